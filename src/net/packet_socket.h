// Packet sockets: PacketSender (AF_PACKET, PACKET_QDISC_BYPASS, sendmmsg) and PacketRing (TPACKET_V3 receive ring). Used by law and sense; survey reads a ring.
// PacketSender can be opened only by law::FrameSender: raw frames leave nowhere else (law/send.h).
// One owner, one thread each. Figures: bench/survey/README.md.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/files.h"
#include "base/instant.h"
#include "net/frame.h"
#include "net/frame_out.h"

namespace nora::law {
class FrameSender;
}

namespace nora::net {

struct InterfaceInfo {
  std::string name;
  int index = 0;
  Mac mac{};
  bool up = false;
};
Result<InterfaceInfo> interface_info(std::string_view name);  // Errors: environment when there is none

class PacketSender final : public FrameOut {
 public:
  ~PacketSender() override;
  std::span<std::uint8_t> slot(std::size_t bytes) override;
  Status commit(std::size_t bytes) override;
  Status flush() override;  // waits while the device queue is full, at most 2 s
  std::uint64_t sent() const override;
  std::string_view name() const override { return "packet"; }

 private:
  friend class nora::law::FrameSender;
  static Result<std::unique_ptr<PacketSender>> open(const InterfaceInfo& iface);
  struct Parts;
  explicit PacketSender(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Frames that arrive at an interface, with kernel times. Our own outgoing frames are not seen (PACKET_IGNORE_OUTGOING).
class PacketRing {
 public:
  struct Options {
    std::uint32_t block_bytes = 1u << 20;
    std::uint32_t blocks = 16;
    std::uint32_t retire_ms = 10;  // a part-filled block is handed over after this time
  };
  static Result<PacketRing> open(std::string_view iface, const Options& options);
  static Result<PacketRing> open(std::string_view iface) { return open(iface, Options{}); }
  // A ring that another process opened with the same options and passed here (SCM_RIGHTS).
  static Result<PacketRing> adopt(Fd fd, const Options& options);
  static Result<PacketRing> adopt(Fd fd) { return adopt(std::move(fd), Options{}); }
  PacketRing(PacketRing&&) noexcept;
  PacketRing& operator=(PacketRing&&) noexcept;
  ~PacketRing();

  using Visit = std::function<void(ByteView frame, Instant at)>;
  // Waits up to `timeout` for a block and visits every frame of all blocks that are ready. Returns the number of frames.
  Result<std::size_t> read(Span timeout, const Visit& visit);
  struct Counters {
    std::uint64_t packets = 0, drops = 0;  // since open
  };
  Counters counters();  // PACKET_STATISTICS
  int fd() const { return fd_.get(); }

 private:
  PacketRing() = default;
  Status map(const Options& options);
  Fd fd_;
  std::uint8_t* ring_ = nullptr;
  std::size_t ring_bytes_ = 0;
  Options options_;
  std::uint32_t at_ = 0;
  Counters counters_;
};

}  // namespace nora::net
