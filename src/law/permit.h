// Permit: the right to send to exactly one (source, destination, protocol, port) until an instant. Refusal: why there is none.
// Used by survey and by law itself. Only Mandate::permit makes one; it cannot be copied, changed or pointed at another target
// (tests/compile_fail/ proves that such code does not compile).
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"

namespace nora::law {

enum class Refusal : std::uint8_t {
  none,
  // time
  not_yet_valid,
  expired,
  outside_daily_window,
  // place
  out_of_range,
  excluded,
  opted_out,
  no_source_of_family,
  // what is sent
  port_not_granted,
  class_not_granted,
  probe_not_in_catalogue,
  protocol_mismatch,
  profile_forbids_class,
  social_probe_outside_social_range,
  credential_probe,
  no_listener,
  // rates (law/budget.h)
  daily_cap_reached,
  budget_table_full,
  backed_off,
  // final bytes of a frame (law/check_frame.h)
  frame_unreadable,
  frame_malformed,      // VLAN, IP options, fragment, wrong length: nothing that Nora builds
  frame_wrong_source,
  frame_wrong_dest,
  frame_wrong_protocol,
  frame_wrong_port,
  permit_expired,
};
std::string_view name(Refusal refusal);      // "out_of_range": for counters and JSON
std::string_view sentence(Refusal refusal);  // one English sentence for people
Error refused(Refusal refusal);              // Code::refused with the sentence

class Permit {
 public:
  // Moving uses the old one up: it has expired afterwards.
  Permit(Permit&& o) noexcept { *this = std::move(o); }
  Permit& operator=(Permit&& o) noexcept {
    dest_ = o.dest_;
    source_ = o.source_;
    expires_ = std::exchange(o.expires_, Instant{});
    port_ = o.port_;
    probe_ = o.probe_;
    proto_ = o.proto_;
    social_ = o.social_;
    return *this;
  }
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;

  Ip dest() const { return dest_; }
  Ip source() const { return source_; }
  Port port() const { return {port_}; }
  Proto proto() const { return proto_; }
  std::uint16_t probe() const { return probe_; }  // index in the mandate's ProbeList
  Instant expires() const { return expires_; }    // end of the mandate, of the daily window, or 60 s from now: whichever is first
  bool social() const { return social_; }         // the target lies in a social-impact range
  Span gap() const { return social_ ? Span::seconds(10) : Span::ms(200); }  // between conversations with this device

 private:
  friend class Mandate;
  Permit() = default;
  Ip dest_, source_;
  Instant expires_;
  std::uint16_t port_ = 0, probe_ = 0;
  Proto proto_ = Proto::tcp;
  bool social_ = false;
};

}  // namespace nora::law
