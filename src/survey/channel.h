// Channel: JSON messages with an optional file descriptor between `nora scan` and nora-sender (SOCK_SEQPACKET, SCM_RIGHTS). Used by both
// ends. One owner per end. Limit: max_message_bytes; larger things (the plan) travel as descriptors. To the sender: {"op":"start","key"} +
// plan; {"op":"segment","n","from","to"} or {"op":"segment","n","indexes"} + record file; {"op":"stop"}; {"op":"rate",…}; {"op":"hold",…};
// {"op":"operators",…} + file. From the sender: {"op":"ready","iface","can","path","why"} + receive ring; {"op":"progress","n","at","sent","refused"};
//                  {"op":"done","n","sent","refused","reasons","sha256","complete"}; {"op":"error","code","what","fix"}.
#pragma once

#include <optional>

#include "base/files.h"
#include "base/json.h"

namespace nora::survey {

inline constexpr std::size_t max_message_bytes = 64 * 1024;

struct Message {
  json::Object body;
  Fd fd;
};

class Channel {
 public:
  Channel() = default;
  explicit Channel(Fd fd) : fd_(std::move(fd)) {}
  static Result<std::pair<Channel, Channel>> pair();
  int fd() const { return fd_.get(); }
  Fd release() { return std::move(fd_); }
  Status send(const json::Object& body, int fd = -1);
  // wait < 0: blocks; 0: does not. Nothing when no message is there (or the time is over). Errors: interrupted (the other end is gone),
  // bad_input.
  Result<std::optional<Message>> receive(int wait_ms);

 private:
  Fd fd_;
};

}  // namespace nora::survey
