// The two ways out, each of which takes a Permit: FrameSender (raw frames) and connect (kernel TCP). Used by survey.
// check_frame reads destination, protocol, port and source back out of the final bytes, so a bug between permit and frame is caught here.
// FrameSender: one owner, one thread; its socket is opened before capabilities are dropped.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/files.h"
#include "law/permit.h"
#include "net/frame.h"
#include "net/frame_out.h"

namespace nora::law {

// none, or the first thing in the frame that the permit does not cover. `now` must lie before the permit's expiry.
Refusal check_frame(const Permit& permit, ByteView frame, Instant now);

class Mandate;
class LiveOut;

// By which way raw frames leave. automatic: AF_XDP where it can be opened, else the packet socket. live: XDP live frames (law/live_out.h).
enum class SendPath : std::uint8_t { automatic, packet, xdp, live };
std::string_view name(SendPath path);
Result<SendPath> parse_send_path(std::string_view text);  // "auto", "packet", "xdp", "live"

class FrameSender {
 public:
  // Errors: environment (no CAP_NET_RAW in this network namespace, no such interface, or the path that was asked for is not to be had).
  // With `automatic` a path that is not to be had is passed over; fell_back() then says why.
  // live needs the mandate, and falls back to `automatic` with a sentence.
  static Result<FrameSender> open(std::string_view iface, SendPath path = SendPath::packet, const Mandate* mandate = nullptr);
  FrameSender(FrameSender&&) noexcept;
  FrameSender& operator=(FrameSender&&) noexcept;
  ~FrameSender();  // does not flush

  // Where a frame of at most `bytes` is to be built; send() then checks and sends what lies there.
  std::span<std::uint8_t> slot(std::size_t bytes) { return place_ = out_->slot(bytes); }
  // Checks the first `length` bytes of the slot against the permit (which is used up) and queues the frame; a full batch goes out at once.
  // Returns the refusal when the frame is not covered: nothing is queued then. When the kernel fails, flush() says so.
  Refusal send(Permit&& permit, std::size_t length, Instant now);
  // The same for a frame that lies elsewhere; it is copied.
  Refusal send(Permit&& permit, ByteView frame, Instant now);
  Status flush();  // sends what is queued. Errors: failed (the kernel's words), also of an earlier batch

  // The live path checks each frame against a copy of the mandate of its own: to be called when an opt-out came, and at least each half minute
  // (what is not renewed runs out after a minute). Nothing to do on the other paths.
  Status renew(const Mandate& mandate, bool changed);

  std::size_t round_frames() const { return out_->round_frames(); }  // worth queueing between two calls of flush()
  std::uint64_t sent() const { return out_->sent(); }  // frames that the kernel took
  std::uint64_t refused() const { return refused_; }   // frames that check_frame stopped
  const net::Mac& mac() const { return mac_; }         // of the interface
  std::string_view path() const { return out_->name(); }
  const std::string& fell_back() const { return fell_back_; }  // empty, or why the faster path is not used

 private:
  FrameSender(std::unique_ptr<net::FrameOut> out, const net::Mac& mac);
  std::unique_ptr<net::FrameOut> out_;
  LiveOut* live_ = nullptr;  // out_, when it is one
  std::span<std::uint8_t> place_;
  net::Mac mac_{};
  std::uint64_t refused_ = 0;
  std::string fell_back_;
  Status failed_;
};

// A nonblocking TCP connection under way to permit.dest():port() from permit.source(); wait for writability, then SO_ERROR.
// At most `syn_retries` further SYNs are sent by the kernel (TCP_SYNCNT), and unanswered data is given up after 8 s (TCP_USER_TIMEOUT).
// close_hard() makes close send one RST instead of a FIN exchange (SO_LINGER 0).
// Errors: refused (not TCP, permit expired), failed (the kernel's words; ECONNREFUSED at once included), environment (source not ours).
inline constexpr int syn_retries = 1;
Result<Fd> connect(const Permit& permit, Instant now);
void close_hard(Fd fd);

}  // namespace nora::law
