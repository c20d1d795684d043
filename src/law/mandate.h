// Mandate: the signed permission to survey, and Permit: the right to send one probe to one target, made from nothing else.
// Used by survey (plan, sender, grabber), app, sense. A packet without a Permit cannot be sent: law::FrameSender and law::connect take one.
// Threads: permit() is const and safe from any thread; refresh_opt_out() must not run at the same time as permit() (one owner).
// Limits: mandate text <= 1 MiB, 65,536 lines of each repeated key. Cost of permit(): tens of ns, no allocation (mandate_bench.cc).
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "law/live_out.h"
#include "law/mandate_text.h"
#include "law/permit.h"
#include "law/probe_list.h"
#include "law/profile.h"
#include "net/address_set.h"
#include "net/flag_table.h"

namespace nora::law {

// What a caller wants to send: one probe of the catalogue to one port of one address.
struct Target {
  Ip ip;
  std::uint16_t port = 0;
};

// Where the parts of a mandate lie on disk.
struct MandateFiles {
  std::filesystem::path mandate;                 // signed note
  std::filesystem::path roots;                   // threshold and signer keys
  std::filesystem::path law_dir;                 // data/law: one profile per country
  std::filesystem::path catalogue;               // data/probes/catalogue.tsv
  // Opt-out lists, all of them in force. If the mandate names a hash, the list with that hash must be among them.
  // Lists are read again by refresh_opt_out(); an address that the signed list names stays out whatever happens to the file.
  std::vector<std::filesystem::path> opt_outs;
};

class Mandate {
 public:
  // Reads, verifies the signatures (threshold of the root file), the canonical form, the catalogue hash, the opt-out hash and the law
  // profile. Dates are not judged here but in permit() and usable(). Errors: refused (unsigned, altered, wrong catalogue, no law profile …),
  // failed (file unreadable); the sentence names the line or the cause.
  static Result<Mandate> load(const MandateFiles& files);
  // The same from memory. `opt_out_lists`: the texts of the lists.
  static Result<Mandate> open(std::string_view note, const Roots& roots, ProbeList probes, LawProfile profile,
                              const std::vector<std::string>& opt_out_lists);

  // The one way to a Permit. `probe` must be an entry of probes().
  std::expected<Permit, Refusal> permit(const Target& target, const ProbeInfo& probe, Instant now) const;
  // Would permit() refuse every target now? Errors: refused, with the sentence (not yet valid, expired, outside the daily window).
  Status usable(Instant now) const;

  // Reads the opt-out lists again if a file changed. Returns true when the set changed. A list that cannot be read keeps the last set
  // and is an error: the caller stops.
  Result<bool> refresh_opt_out();

  const MandateText& text() const { return text_; }
  const Hash& hash() const { return hash_; }       // SHA-256 of the signed text (without signatures)
  const ProbeList& probes() const { return probes_; }
  const LawProfile& profile() const { return profile_; }
  const std::vector<std::string>& signers() const { return signers_; }
  const net::AddressSet& ranges() const { return range_; }
  // Excludes count for this: those of the mandate, and the profile's facilities outside its social-impact ranges.
  bool in_range(Ip ip) const { return range_.contains(ip) && !exclude_.contains(ip) && !opt_out_.contains(ip); }
  bool is_social(Ip ip) const { return social_.contains(ip); }
  void prefetch(Ip ip) const {  // before permit(), when many targets are judged at once
    if (ip.is_v4()) table_.prefetch(ip.v4_value());
  }
  std::optional<Ip> source_for(Ip dest) const;     // the mandate's first source address of this family
  LiveRules live_rules() const { return {table_, tcp_, has4_ ? source4_ : Ip()}; }
  // All prefixes that no probe may enter: excludes, facilities and opt-outs, sorted (for the planner).
  std::vector<Prefix> closed() const;

 private:
  static constexpr std::uint8_t in_range_flag = 1, excluded_flag = 2, opted_out_flag = 4, social_flag = 8;
  Mandate() = default;
  struct DailyWindow {  // us of the UTC day, [from, to); to <= from crosses midnight
    std::int64_t from_us = 0, to_us = 0;
    bool holds(std::int64_t into_day) const { return from_us < to_us ? into_day >= from_us && into_day < to_us : into_day >= from_us || into_day < to_us; }
    std::int64_t left(std::int64_t into_day) const;  // until it ends next
  };
  Refusal judge_time(Instant now, std::int64_t into_day) const;
  std::uint8_t place(Ip ip) const;  // flags of the address
  void tabulate();

  MandateText text_;
  Hash hash_{};
  ProbeList probes_;
  LawProfile profile_;
  std::vector<std::string> signers_;
  net::AddressSet range_, exclude_, social_, opt_out_;
  net::FlagTable table_;  // the four sets, IPv4, for permit()
  DailyWindow granted_hours_, lawful_hours_;  // of the mandate, of the profile
  std::bitset<65536> tcp_, udp_;
  std::array<bool, 4> classes_{};
  Ip source4_, source6_;
  bool has4_ = false, has6_ = false, has_listener4_ = false, has_listener6_ = false;
  std::vector<std::filesystem::path> opt_out_files_;
  std::vector<std::string> opt_out_texts_;
  std::vector<Prefix> signed_opt_out_, all_opt_out_, excludes_;
};

// Code::refused with the target and the sentence.
Error refused(Refusal refusal, const Target& target);

}  // namespace nora::law
