// EngineRun: the state of one running survey (engine.h is the door). Its work lies in engine.cc (the loop and what comes next),
// engine_sender.cc (sender, wall, rates, back-off), engine_segments.cc (reserve, send, commit, resume), engine_answers.cc (answers,
// conversations, results), engine_looks.cc (canaries, second look) and engine_report.cc (progress, files for others, the end). One thread.
#pragma once

#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "law/budget.h"
#include "net/packet_socket.h"
#include "survey/answer.h"
#include "survey/answered.h"
#include "survey/back_off.h"
#include "survey/channel.h"
#include "survey/clock_state.h"
#include "survey/doubt.h"
#include "survey/engine.h"
#include "survey/holds.h"
#include "survey/journal.h"
#include "survey/middlebox.h"
#include "survey/operators.h"
#include "survey/parser_client.h"
#include "survey/rates.h"
#include "survey/spool.h"

namespace nora::survey {

inline constexpr Span sender_patience = Span::seconds(15);  // for "ready", and for "done" after "stop"
inline constexpr Span hearing_lag = Span::ms(50);           // a frame that has arrived is read at the latest this much later
inline constexpr int max_sender_restarts = 20;              // in one run
inline constexpr std::size_t max_open_segments = 64;        // reserved and not committed: two, and those that wait for a hold to end
inline constexpr std::int64_t extra_numbers = 1'000'000;    // numbers for second looks, for each node of a survey

class EngineRun {
 public:
  EngineRun(const EngineOptions& options, EngineShared& shared, ReplySink* sink, const EngineEvents& events, const std::atomic<bool>& stop,
            Env env, Plan plan, Journal journal, Spool spool, Answered answered);
  ~EngineRun();
  Result<Summary> run();

 private:
  enum class Phase { walking, looking, draining, over };
  struct Open {  // a segment between its reservation and its commit
    std::int64_t n = -1, fence = 0;
    std::uint64_t from = 0, to = 0;
    bool look = false;          // a second look: places of its own, no range of the plan
    std::deque<Order> orders;   // not yet given to the sender
    struct Held {
      Span due{};
      std::vector<std::uint64_t> places;
    };
    std::vector<Held> held;     // left out because of a hold
    bool sent_all = false;
    bool broken = false;        // the sender was lost over it, or the daily window closed: doubt() says what is left
    Span window_over{};
    std::int64_t sent = 0, refused = 0;  // records in its file; refused since it was last "sent"
    std::map<std::string, std::int64_t> reasons;
    int orders_done = 0;
    std::uint64_t bytes_before = 0;      // of the record file, when the order at work began
    Hash hash{};
    std::int64_t pending = 0;            // datagram replies of this segment still on their way to the spool
    bool waits_for_hold() const { return orders.empty() && !held.empty(); }
  };
  struct Gather {
    Answer answer;
    std::vector<Bytes> parts;
    std::int64_t bytes = 0;
    Instant at;
    Span due{};
  };
  struct CanaryState {
    std::uint64_t index = 0;
    Instant asked, heard;    // the last time
    bool waiting = false;    // asked, and the window is not over
    Span next{};
  };

  // engine.cc
  Status start();
  Status loop();
  Status step();
  Status next_order();
  Status next_segment();
  bool may_reserve();
  bool room_in_spool();
  Status look_at_window();
  bool stopped_by_file() const;
  Status settle_the_sent();
  // engine_sender.cc
  Status start_sender();
  std::filesystem::path daily() const { return o_.daily.empty() ? o_.dir / "daily" : o_.daily; }  // shared with the sender
  Status sender_lost();
  void stop_sender(bool again);
  void end_sender();
  Status sender_message(Message&& message);
  Status sender_done(const json::Object& body);
  Status divide_rates();
  Status ask_rate(double pps, double per_24);
  void rate_in_force(const json::Object& body);
  void back_off(const std::optional<BackOff::Decision>& decision);
  Status look_at_wall();
  bool can(std::string_view what) const { return can_.contains(std::string(what)); }
  // engine_segments.cc
  Status begin_segment(std::int64_t n, std::int64_t fence);
  Status reserve(Open segment, std::string_view leaf_kind, json::Object leaf);
  Status resume_segment(Open segment, bool all_sent, Instant heard_until);
  Status begin_anew(std::int64_t n);
  Status mend(Open& segment);
  Status give_order(Open& segment);
  Status all_sent(Open& segment);
  Status commit(Open& segment);
  void lose(std::int64_t n, std::string_view why);
  bool visited(const Open& o) const;
  Status flush_facts(bool sync);
  Status settle();  // spool, answered, journal, all on the disk: a "visited" promises that its reply is there
  Status note_alive();
  Instant heard_now() const;
  std::filesystem::path record_file(std::int64_t n) const { return o_.dir / "segments" / (std::to_string(n) + ".bin"); }
  Result<std::vector<std::uint64_t>> recorded_since(std::int64_t n, std::uint64_t bytes) const;
  // engine_answers.cc
  void receive(ByteView frame, Instant at);
  void answered(const Answer& answer, Instant at, const net::Packet& packet);
  void flush_gathers(bool all);
  void visit_more();
  void conversation_ended(Grabbed&& g);
  void judged(Visit visit, Grabbed g, std::optional<Parsed> parsed);
  void visit_over(const Visit& visit);
  void store(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at, std::int64_t asked,
             std::int64_t heard, const Parsed& parsed);
  void outcome(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at, std::string_view word);
  void set_apart(const std::optional<Middleboxes::Anomaly>& anomaly, std::int64_t segment, Instant at);
  bool allowed(Ip ip, std::uint16_t port, std::string_view probe) const;
  Status look_at_opt_outs();
  void abandon_conversations();
  std::int64_t fence_of(std::int64_t segment) const;
  double share_sent() const;
  double probes_into(Ip ip) const;
  std::int64_t segment_of(std::uint64_t index) const { return static_cast<std::int64_t>(permutation_.place(index) / plan_.segment_size); }
  bool segment_lost(std::int64_t n) const {
    auto at = journal_.state().segments.find(n);
    return at != journal_.state().segments.end() && at->second.lost;
  }
  // engine_looks.cc
  Status prepare_canaries();
  void ask_canaries(Open& segment);
  Status canaries_asked(const Open& segment);
  void judge_canaries();
  Status begin_look();
  void look_over(const std::vector<std::uint64_t>& asked);
  // engine_report.cc
  void report();
  LiveState live() const;
  Status write_metadata(bool over);
  void give_up(Code code, std::string why);
  void claim_delivery();
  void check_delivery(const json::Object& wall);
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
  Answered answered_;
  Courier courier_;
  Permutation permutation_;
  std::vector<std::string> probe_ids_;  // of the catalogue, by number
  law::Budget budget_;
  Grabber grabber_;
  ParserClient parser_;
  Visits visits_;
  Holds holds_;
  BackOff back_off_;
  Operators operators_;
  Middleboxes middleboxes_;
  std::optional<Validator> validator_;
  std::optional<net::PacketRing> ring_;
  // the sender
  Key key_{};
  Channel channel_;
  int sender_ = -1;
  std::unordered_set<std::string> can_;
  std::optional<std::int64_t> at_work_;  // the segment whose order the sender has
  bool canaries_at_work_ = false;
  bool stopping_sender_ = false, start_again_ = false;
  Span sender_deadline_{};
  std::int64_t sent_now_ = 0;            // progress of the order at work
  int restarts_ = 0;
  // rates: what this engine may use, and how it is divided now
  registry::Rates whole_;
  double talk_pps_ = 0, talk_pps_wanted_ = 0, asked_pps_ = -1, asked_per_24_ = -1;
  bool rate_answered_ = true;
  registry::Rates asked_whole_;
  Pace talk_pace_;
  NetPaces talk_net_paces_;
  std::int64_t talk_frames_ = 0;         // since the last division
  double talk_used_ = 0;
  bool talk_starves_ = false;
  Span last_division_{};
  // segments
  Phase phase_ = Phase::walking;
  std::int64_t next_ = 0;
  std::map<std::int64_t, Open> open_;
  Instant heard_before_;                 // by the run before this one
  std::uint64_t again_left_ = 0;         // probes that may go out a second time after a crash
  Span closing_ = {};                    // failed: until then, answers are still heard
  bool daily_window_shut_ = false;
  std::string waiting_for_;              // why nothing is sent; empty: it is
  // answers
  std::unordered_map<std::uint64_t, Gather> gathers_;
  std::unordered_map<std::uint64_t, Visit> talking_;
  std::int64_t on_the_way_ = 0;          // items in the parser
  std::map<std::uint64_t, Instant> parsing_since_;  // datagrams in the parser: tag -> when they came
  std::uint64_t next_tag_ = 1;
  std::vector<std::uint64_t> candidates_;  // answered, steady, not social: a sample of at most candidates_max
  std::uint64_t candidates_seen_ = 0;
  double tcp_slots_ = 1, sent_share_ = 0;  // TCP ports of the plan; how much of it is sent, as last reported
  std::uint64_t sent_before_ = 0;        // by earlier runs
  // looks
  std::map<Ip, std::vector<CanaryState>> canaries_;
  struct Looked {
    bool sample = false, first = false, again = false;
  };
  std::unordered_map<std::uint64_t, Looked> looked_;  // by index
  bool look_begun_ = false;
  // the rest
  std::optional<std::int64_t> wall_base_;
  struct Live {                // live frames can be lost without a word: what left is held against the wall's counter
    std::int64_t sent = 0;     // of finished orders, since `passed` was read
    std::int64_t claimed = 0;  // the part of it that the wall must have counted one second after claimed_at
    std::int64_t proven = 0;   // the part that it has counted
    Instant claimed_at{};
    std::optional<std::int64_t> passed;  // the wall's counter at the beginning
  } live_;
  Summary summary_;
  bool failed_ = false;
  Span started_{}, last_wall_{}, last_opt_out_{}, last_daily_{}, last_progress_{}, last_journal_{}, last_alive_{}, last_report_{}, last_stop_look_{},
      last_room_{}, last_window_{};
  bool room_ = true;
};

}  // namespace nora::survey
