// EngineRun: the state of one running survey (engine.h is the door). Its work lies in three files: engine.cc (the loop), engine_segments.cc
// (sender, wall, segments) and engine_answers.cc (answers, conversations, results). One thread.
#pragma once

#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "law/budget.h"
#include "net/packet_socket.h"
#include "survey/answer.h"
#include "survey/channel.h"
#include "survey/engine.h"
#include "survey/journal.h"
#include "survey/parser_client.h"
#include "survey/rates.h"
#include "survey/spool.h"

namespace nora::survey {

inline constexpr Span sender_patience = Span::seconds(15);  // for "ready", and for "done" after "stop"
inline std::string segment_id(const std::string& survey, std::int64_t n) { return survey + "/" + std::to_string(n); }

class EngineRun {
 public:
  EngineRun(const EngineOptions& options, EngineShared& shared, ReplySink* sink, const EngineEvents& events, const std::atomic<bool>& stop,
            Env env, Plan plan, Journal journal, Spool spool)
      : o_(options),
        shared_(shared),
        mandate_(shared.mandate),
        sink_(sink),
        events_(events),
        stop_(stop),
        env_(env),
        plan_(std::move(plan)),
        journal_(std::move(journal)),
        spool_(std::move(spool)),
        permutation_(plan_.space.size(), plan_.order),
        budget_(conversation_rates(mandate_.text())),
        grabber_(env),
        parser_(options.programs / "nora-parse", env),
        visits_(mandate_.probes(), shared.courtesy,
                [this](Ip ip, std::uint16_t port, std::string_view probe) { return allowed(ip, port, probe); }) {}
  ~EngineRun();
  Result<Summary> run();

 private:
  enum class Phase { walking, calibrating, draining, over };
  struct Active {
    std::int64_t n = -1;
    std::uint64_t from = 0, to = 0;
    std::vector<std::uint64_t> chosen;  // calibration
    bool done = false;
    Span window_over{};
    std::int64_t sent = 0;
    Hash hash{};
    std::int64_t pending = 0;  // datagram replies of this segment still on their way to the spool
  };
  struct Gather {
    Answer answer;
    std::vector<Bytes> parts;
    std::int64_t bytes = 0;
    Instant at;
    Span due{};
  };

  Status start();
  Status start_sender();
  std::filesystem::path daily() const { return o_.daily.empty() ? o_.dir / "daily" : o_.daily; }  // shared with the sender
  Status loop();
  Status step();
  Status reserve(std::int64_t n, std::vector<std::uint64_t> chosen);
  Status sender_message(Message&& message);
  Status commit();
  void receive(ByteView frame, Instant at);
  void answered(const Answer& answer, Instant at);
  void flush_gathers(bool all);
  void visit_more();
  void conversation_ended(Grabbed&& g);
  void judged(Visit visit, Grabbed g, std::optional<Parsed> parsed);
  void visit_over(const Visit& visit);
  void store(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at, std::int64_t asked,
             std::int64_t heard, const Parsed& parsed);
  void outcome(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at, std::string_view word);
  bool allowed(Ip ip, std::uint16_t port, std::string_view probe) const;
  Status settle();  // spool, then journal, both on the disk: a "visited" promises that its reply is there
  Status look_at_wall();
  Status look_at_opt_outs();
  void deliver(bool hurry);
  void report_progress();
  void abandon_conversations();
  void give_up(Code code, std::string why) {
    if (failed_) return;
    failed_ = true;
    summary_.code = code;
    summary_.why = std::move(why);
  }
  Summary finish();
  Span now() const { return env_.clock.monotonic(); }

  const EngineOptions& o_;
  EngineShared& shared_;
  law::Mandate mandate_;  // a copy of its own, so that an opt-out takes effect here without stopping other engines
  ReplySink* sink_;
  const EngineEvents& events_;
  const std::atomic<bool>& stop_;
  Env env_;
  Plan plan_;
  Journal journal_;
  Spool spool_;
  Permutation permutation_;
  law::Budget budget_;
  Grabber grabber_;
  ParserClient parser_;
  Visits visits_;
  std::optional<Validator> validator_;
  std::optional<net::PacketRing> ring_;
  Channel channel_;
  int sender_ = -1;
  Phase phase_ = Phase::walking;
  std::int64_t next_ = 0;
  std::optional<Active> active_;
  bool sender_stopping_ = false;
  Span sender_deadline_{};
  std::unordered_set<std::uint64_t> answered_;  // indexes, this process
  std::unordered_map<std::uint64_t, bool> calibration_;
  std::vector<std::uint64_t> candidates_;  // for calibration: answered, not social
  std::unordered_map<std::uint64_t, Gather> gathers_;
  std::unordered_map<std::uint64_t, Visit> talking_;
  std::int64_t on_the_way_ = 0;  // items in the parser
  std::uint64_t next_tag_ = 1;
  std::optional<std::int64_t> wall_base_;
  Summary summary_;
  bool failed_ = false;
  Span started_{}, last_wall_{}, last_opt_out_{}, last_daily_{}, last_deliver_{}, last_progress_{}, last_journal_{}, last_store_error_{};
  std::int64_t sent_now_ = 0;  // progress of the running segment
  bool store_down_ = false;
};

}  // namespace nora::survey
