// Middleboxes: addresses and networks that accept every connection and say nothing (LZR, USENIX Security 2021: most of what answers a SYN on an
// unusual port serves nothing). They are set apart: told as one anomaly each, never as devices, and not talked to any further.
// An address is under suspicion when it accepts nearly every port that it was asked for; a /24 (IPv6: /48) when nearly all of its addresses do so
// alike (TTL, window). A few conversations decide: one that brings data clears, none that does convicts. Used by the engine. One thread.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/instant.h"
#include "base/ip.h"

namespace nora::survey {

class Middleboxes {
 public:
  static constexpr int ports_min = 6;             // open ports of one address, and so many addresses' worth …
  static constexpr int addresses_min = 24;        // … of one network, before anything is suspected
  static constexpr double nearly_all = 0.8;       // of the ports that were asked
  static constexpr double alike = 0.95;           // of the answers of a network
  static constexpr int talks_address = 3, talks_network = 8;  // conversations that decide

  // probes_per_address: TCP ports in the plan. addresses_of: how many targets a network has.
  Middleboxes(double probes_per_address, std::function<double(const Prefix&)> addresses_of)
      : per_address_(probes_per_address), addresses_of_(std::move(addresses_of)) {}

  struct Anomaly {
    Prefix what;          // a /24 (/48), or one address
    std::string why;      // one sentence
    std::int64_t accepted = 0;
    std::uint8_t ttl = 0;
    std::uint16_t window = 0;
  };
  // A SYN was accepted. share_sent: how much of the survey has been sent so far, 0 to 1. The anomaly, when this convicts.
  std::optional<Anomaly> accepted(Ip ip, std::uint8_t ttl, std::uint16_t window, double share_sent);
  enum class May { talk, wait, never };
  May may(Ip ip) const;  // begin a conversation?
  void begun(Ip ip);     // it has begun; over() must follow
  // A conversation ended. The anomaly, when this convicts.
  std::optional<Anomaly> over(Ip ip, bool data);
  bool convicted(Ip ip) const;
  std::int64_t count() const { return found_; }

 private:
  enum class State : std::uint8_t { unknown, suspect, clear, convicted };
  struct Address {
    std::uint16_t accepted = 0;
    std::uint8_t begun = 0, silent = 0;
    State state = State::unknown;
  };
  struct Network {
    std::uint32_t accepted = 0, like_first = 0;
    std::bitset<256> addresses;
    std::uint16_t window = 0;
    std::uint8_t ttl = 0, begun = 0, silent = 0;
    State state = State::unknown;
  };
  struct Hasher {
    std::size_t operator()(const Prefix& p) const noexcept { return std::hash<Ip>{}(p.base()); }
  };
  std::optional<Anomaly> judge(Ip ip, Address& a, Network& n);
  double per_address_;
  std::function<double(const Prefix&)> addresses_of_;
  std::unordered_map<Ip, Address> addresses_;
  std::unordered_map<Prefix, Network, Hasher> networks_;
  std::int64_t found_ = 0;
};

}  // namespace nora::survey
