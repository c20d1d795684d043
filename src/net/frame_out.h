// FrameOut: a way for finished frames onto an interface. The caller builds each frame in place: slot(), write, commit(); flush() at the end
// of a round. Ways: PacketSender (any driver), XskSender (AF_XDP). Used by law::FrameSender only, which alone can open one.
// One owner, one thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace nora::net {

class FrameOut {
 public:
  virtual ~FrameOut() = default;
  // Where the next frame of at most `bytes` (<= max_frame_bytes) is to be written. The same place until commit().
  virtual std::span<std::uint8_t> slot(std::size_t bytes) = 0;
  // Queues the frame that was written there; a full batch goes out at once. Errors: failed (the kernel's words).
  virtual Status commit(std::size_t bytes) = 0;
  // Sends what is queued and waits until the kernel has taken it. Errors: failed.
  virtual Status flush() = 0;
  // So many frames are worth queueing between two calls of flush(); more gain nothing.
  virtual std::size_t round_frames() const { return 4096; }
  virtual std::uint64_t sent() const = 0;  // frames that the kernel has taken
  virtual std::string_view name() const = 0;  // "packet", "xdp", "live"
};

inline constexpr std::size_t send_batch = 64;           // measured: larger batches gain nothing on veth
inline constexpr std::size_t small_frame_bytes = 128;  // most probes are smaller: their slots lie close together (cache)

}  // namespace nora::net
