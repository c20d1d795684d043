// Visits: which conversation with which device comes next. One conversation per device at a time, with a gap; the protocol is found by what
// answers: each open port gets a first guess by its number, and what answered (or did not) decides what is tried next. Used by the engine.
// One thread; Courtesy is shared by all engines of a process.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/guarded.h"
#include "base/instant.h"
#include "base/ip.h"
#include "law/probe_list.h"
#include "survey/grabber.h"
#include "survey/probes/parsed.h"

namespace nora::survey {

inline constexpr int max_attempts = 4;  // conversations that may stay without an answer, per port
inline constexpr int max_conversations_per_port = 6;

// Who is being talked to, over all surveys and checks of this process.
class Courtesy {
 public:
  // True: the caller may talk to this device now, and must call end(). False: somebody does, or the gap is not over; ask again later.
  bool begin(Ip ip, Span now);
  void end(Ip ip, Span now, Span gap);

 private:
  struct State {
    bool busy = false;
    Span free_at{};
  };
  Guarded<std::unordered_map<Ip, State>> devices_;
};

struct Visit {
  Ip ip;
  std::uint16_t port = 0;
  bool social = false;
  std::int64_t segment = 0;
  std::string probe;               // of this conversation
  std::string path = "/";          // http, upnp, igd
  std::string service;             // igd
  std::string token;               // of a relay test
  std::string key_path;            // the UPnP path under which the journal knows this visit; empty for a port
  std::vector<std::string> tried;  // conversations so far, in order
  std::vector<std::string> side;   // questions about a page that was understood, still to be asked
  int unanswered = 0;
  bool reported = false;           // a reply of this port was stored
  std::optional<Parsed> fallback;  // bytes that nobody understood
};

// Does this probe make the device talk to our own listener (P3)? It then needs a token and a running listener.
bool is_relay_test(std::string_view probe);

class Visits {
 public:
  // `allowed(visit ip, port, probe)`: is there a permit for it?
  using Allowed = std::function<bool(Ip, std::uint16_t, std::string_view)>;
  Visits(const law::ProbeList& probes, std::shared_ptr<Courtesy> courtesy, Allowed allowed)
      : probes_(probes), courtesy_(std::move(courtesy)), allowed_(std::move(allowed)) {}

  void add(Visit visit);                   // probe empty: the first guess for the port is made here
  std::optional<Visit> next(Span now);     // the device is then busy until conversation_over()
  void postpone(Visit visit, Span until);  // it could not start (budget): the device is free again
  void conversation_over(Ip ip, bool social, Span now);
  // What the script of this visit needs to know; `source`: our address towards it.
  ScriptSpec spec_of(const Visit& visit, Ip source) const;
  struct Verdict {
    bool store = false;     // this answer is worth a reply
    bool finished = false;  // nothing more to ask on this port
  };
  // What the conversation brought decides what follows; a follow-up is queued by this call. `parsed`: nothing when nothing was heard.
  Verdict judge(Visit& visit, Ended ended, const std::optional<Parsed>& parsed, Span now);
  std::size_t waiting() const { return waiting_; }
  Span next_due(Span now) const;

  std::string usual_service(std::uint16_t port) const;  // the word for people: telnet for 23, where the guess is "listen"

 private:
  bool at_home(std::string_view probe, std::uint16_t port) const;  // does the catalogue name this port for it?
  std::string first_guess(Ip ip, std::uint16_t port) const;
  std::string follow_up(Visit& visit, const std::optional<Parsed>& parsed);
  void side_questions(Visit& visit, const Parsed& page) const;
  void queue(Visit visit, Span due);
  const law::ProbeList& probes_;
  std::shared_ptr<Courtesy> courtesy_;
  Allowed allowed_;
  std::unordered_map<Ip, std::deque<Visit>> devices_;
  using Due = std::pair<std::int64_t, Ip>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::size_t waiting_ = 0;
};

}  // namespace nora::survey
