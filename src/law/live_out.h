// LiveOut: IPv4 SYNs by XDP live frames: an eBPF program in this namespace makes each packet, checks its final bytes against the mandate once more,
// and hands it to the driver. Frames of any other kind leave by the packet socket. Used by law::FrameSender only (SendPath::live). An option, never
// chosen by itself: a driver without native XDP at the far end loses every frame without a word, so the caller must compare with a counter there.
// Needs CAP_BPF and CAP_NET_ADMIN (of the first user namespace) when opened, and CAP_NET_ADMIN, CAP_BPF as long as it sends.
// One owner, one thread.
#pragma once

#include <bitset>
#include <memory>

#include "base/instant.h"
#include "net/flag_table.h"
#include "net/frame_out.h"
#include "net/packet_socket.h"

namespace nora::law {

// What the eBPF program holds frames against.
struct LiveRules {
  const net::FlagTable& addresses;  // flags of law::Mandate
  const std::bitset<65536>& tcp_ports;
  Ip source;
};

class LiveOut final : public net::FrameOut {
 public:
  ~LiveOut() override;
  std::span<std::uint8_t> slot(std::size_t bytes) override;
  Status commit(std::size_t bytes) override;
  Status flush() override;
  std::size_t round_frames() const override;
  std::uint64_t sent() const override;
  std::string_view name() const override { return "live"; }
  // The rules have changed (an opt-out). Errors: failed (more of them than the maps have room for).
  Status set_rules(const LiveRules& rules);
  void open_for(Span span);  // frames leave until then; renewed by the owner while the mandate is open

 private:
  friend class FrameSender;
  // `rest`: the way of all other frames. Errors: environment.
  static Result<std::unique_ptr<LiveOut>> open(const net::InterfaceInfo& iface, const LiveRules& rules, std::unique_ptr<net::FrameOut> rest);
  struct Parts;
  explicit LiveOut(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace nora::law
