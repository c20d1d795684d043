// Grabber: many TCP conversations at once over kernel TCP, each through law::connect(Permit), with an absolute deadline and a byte cap;
// closed by one RST. Used by the engine. One thread; epoll inside, the engine waits on fd(). Bytes are never parsed here.
// Two lanes, so that hosts that never answer do not hold up those that do: a conversation that lasts longer than slow_after leaves the fast
// lane and makes room there. Both lanes and the bytes that wait in them are bounded; a slow host costs a descriptor until its deadline.
#pragma once

#include <functional>
#include <memory>

#include "base/env.h"
#include "law/send.h"
#include "survey/script.h"

namespace nora::survey {

inline constexpr Span conversation_deadline = Span::seconds(9);
inline constexpr std::size_t max_conversation_bytes = 64 * 1024;
inline constexpr std::size_t max_fast_conversations = 2048;
inline constexpr std::size_t max_slow_conversations = 20'000;           // fewer where the limit of open files is lower
inline constexpr std::size_t max_buffered_bytes = 64 * 1024 * 1024;     // heard by all running conversations together; then the hearers end
inline constexpr Span slow_after = Span::ms(300);
inline constexpr std::size_t descriptors_kept_free = 200;               // for stores, logs, sockets of the rest of the process

enum class Ended { answered, silent, refused, unreachable };
std::string_view name(Ended ended);

struct Grabbed {
  std::uint64_t tag = 0;
  ScriptSpec spec;
  Ended ended = Ended::silent;
  std::vector<Bytes> parts;  // as probes/parse.cc wants them for spec.probe
  Instant at;                // first byte of the answer; for refused: the RST
  std::int64_t sent_bytes = 0, received_bytes = 0;
};

class Grabber {
 public:
  explicit Grabber(Env env);  // raises this process's limit of open files as far as it may
  ~Grabber();
  Grabber(Grabber&&) = delete;
  int fd() const;
  std::size_t running() const;
  std::size_t slow() const;
  bool has_room() const;  // for one more conversation
  // Errors: refused or environment (law::connect). The permit is for spec.ip, spec.port.
  Status start(const law::Permit& permit, ScriptSpec spec, std::uint64_t tag);
  // Serves what is ready and what is due; calls `done` for each conversation that ended.
  void serve(const std::function<void(Grabbed&&)>& done);
  Span next_due() const;  // how long nothing needs to happen without an event; at most 100 ms
  void abandon_all();     // hard stop: every connection is closed by RST

 private:
  struct Conversation;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace nora::survey
