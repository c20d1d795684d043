// Grabber: many TCP conversations at once over kernel TCP, each through law::connect(Permit), with an absolute deadline and a byte cap;
// closed by one RST. Used by the engine. One thread; epoll inside, the engine waits on fd(). Bytes are never parsed here.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <unordered_map>

#include "base/env.h"
#include "law/send.h"
#include "survey/script.h"

namespace nora::survey {

inline constexpr Span conversation_deadline = Span::seconds(9);
inline constexpr std::size_t max_conversation_bytes = 64 * 1024;
inline constexpr std::size_t max_conversations = 800;  // below the usual limit of 1,024 descriptors

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
  explicit Grabber(Env env);
  ~Grabber();
  Grabber(Grabber&&) = delete;
  int fd() const;
  std::size_t running() const;
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
