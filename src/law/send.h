// The two ways out, each of which takes a Permit: FrameSender (raw frames) and connect (kernel TCP). Used by survey.
// check_frame reads destination, protocol, port and source back out of the final bytes, so a bug between permit and frame is caught here.
// FrameSender: one owner, one thread; the packet socket may be opened before capabilities are dropped.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/files.h"
#include "law/permit.h"
#include "net/frame.h"

namespace nora::law {

// none, or the first thing in the frame that the permit does not cover. `now` must lie before the permit's expiry.
Refusal check_frame(const Permit& permit, ByteView frame, Instant now);

class FrameSender {
 public:
  static constexpr std::size_t batch = 64;  // survey.md section 8: sendmmsg of 64 with PACKET_QDISC_BYPASS
  // Errors: environment (no CAP_NET_RAW in this network namespace, or no such interface).
  static Result<FrameSender> open(std::string_view iface);
  FrameSender(FrameSender&&) noexcept;
  FrameSender& operator=(FrameSender&&) noexcept;
  ~FrameSender();  // does not flush

  // Checks the bytes against the permit (which is used up) and queues the frame; sends when `batch` frames are queued.
  // Returns the refusal when the frame is not covered: nothing is queued then.
  Result<Refusal> send(Permit&& permit, ByteView frame, Instant now);
  Status flush();  // sends what is queued. Errors: failed (the kernel's words)

  std::uint64_t sent() const;      // frames that the kernel took
  std::uint64_t refused() const;   // frames that check_frame stopped
  const net::Mac& mac() const;     // of the interface

 private:
  struct Parts;
  explicit FrameSender(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// A nonblocking TCP connection under way to permit.dest():port() from permit.source(); wait for writability, then SO_ERROR.
// At most `syn_retries` further SYNs are sent by the kernel (TCP_SYNCNT), and unanswered data is given up after 8 s (TCP_USER_TIMEOUT).
// close_hard() makes close send one RST instead of a FIN exchange (SO_LINGER 0).
// Errors: refused (not TCP, permit expired), failed (the kernel's words; ECONNREFUSED at once included), environment (source not ours).
inline constexpr int syn_retries = 1;
Result<Fd> connect(const Permit& permit, Instant now);
void close_hard(Fd fd);

}  // namespace nora::law
