// XskSender: frames onto an interface by AF_XDP (copy mode; zero copy where the driver has it). Used by law::FrameSender only.
// One owner, one thread. Needs CAP_NET_RAW in the namespace when it is opened, and nothing afterwards. Receives nothing.
// Frames go past qdiscs, nft egress hooks and taps of this namespace: only the wall at the far end sees them.
#pragma once

#include <memory>

#include "net/frame_out.h"
#include "net/packet_socket.h"

namespace nora::net {

class XskSender final : public FrameOut {
 public:
  ~XskSender() override;
  std::span<std::uint8_t> slot(std::size_t bytes) override;
  Status commit(std::size_t bytes) override;
  Status flush() override;
  std::uint64_t sent() const override;
  std::string_view name() const override { return "xdp"; }
  bool zero_copy() const;

 private:
  friend class nora::law::FrameSender;
  // Errors: environment, with the reason (no support in kernel or driver, no right, the queue is taken).
  static Result<std::unique_ptr<XskSender>> open(const InterfaceInfo& iface);
  struct Parts;
  explicit XskSender(std::unique_ptr<Parts> parts);
  Status kick();
  std::unique_ptr<Parts> parts_;
};

}  // namespace nora::net
