#include "survey/engine.h"

#include <poll.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "survey/engine_run.h"

namespace nora::survey {
namespace {

constexpr std::size_t max_visit_backlog = 100'000;  // no further segment while so many open ports wait
constexpr Span opt_out_every = Span::seconds(1), daily_every = Span::seconds(5), room_every = Span::seconds(1), window_every = Span::seconds(1);
constexpr Span wall_every = Span::ms(200), stop_look_every = Span::ms(200), journal_every = Span::ms(100), alive_every = Span::ms(250);

law::MandateText uncut_total(const law::MandateText& m) {
  auto out = conversation_rates(m);
  out.rate_total_pps = m.rate_total_pps;  // talk_pace_ keeps the share of the moment
  return out;
}
double tcp_slots(const Space& space) {
  auto slots = space.slots();
  return static_cast<double>(std::count_if(slots.begin(), slots.end(), [](const Slot* s) { return s->proto == Proto::tcp; }));
}

}  // namespace

EngineRun::EngineRun(const EngineOptions& options, EngineShared& shared, ReplySink* sink, const EngineEvents& events,
                     const std::atomic<bool>& stop, Env env, Plan plan, Journal journal, Spool spool, Answered answered)
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
      answered_(std::move(answered)),
      courier_(options.dir, sink, env),
      permutation_(plan_.space.size(), plan_.order),
      budget_(uncut_total(mandate_.text())),
      grabber_(env),
      parser_(options.programs / "nora-parse", env),
      visits_(mandate_.probes(), shared.courtesy, [this](Ip ip, std::uint16_t port, std::string_view probe) { return allowed(ip, port, probe); }),
      middleboxes_(std::max(1.0, tcp_slots(plan_.space)), [this](const Prefix& p) { return static_cast<double>(plan_.space.targets_in(p)); }) {
  for (const auto& p : mandate_.probes().all()) probe_ids_.push_back(p.id);
  tcp_slots_ = std::max(1.0, tcp_slots(plan_.space));
}

EngineRun::~EngineRun() {
  abandon_conversations();
  end_sender();
}

bool EngineRun::stopped_by_file() const { return std::filesystem::exists(o_.dir / "stop"); }

// Who opts out while the survey runs is left alone from here on, in conversations as well as in probes; the sender reads the lists itself.
Status EngineRun::look_at_opt_outs() {
  last_opt_out_ = now();
  NORA_CHECK(mandate_.refresh_opt_out());
  return {};
}

// Room for what a segment may bring. Nothing that the store has not taken is ever dropped: sending stops instead.
bool EngineRun::room_in_spool() {
  if (last_room_.us != 0 && now() - last_room_ < room_every) return room_;
  last_room_ = now();
  struct statvfs disk {};
  std::uint64_t free_bytes = ~std::uint64_t{0};
  auto look = [&] {
    if (statvfs(o_.dir.c_str(), &disk) == 0) free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  };
  look();
  auto waiting = sink_ != nullptr ? courier_.waiting_bytes() : 0;
  if (free_bytes < 2 * spool_disk_reserve) courier_.give_back_disk();
  // What a full disk has room for is little by its own measure: a tenth of it is kept free where that is less.
  auto reserve = std::min<std::uint64_t>(spool_disk_reserve, std::uint64_t{disk.f_blocks} * disk.f_frsize / 10);
  bool full = waiting >= o_.spool_bytes, no_disk = free_bytes < reserve;
  bool room = !full && !no_disk;
  if (room_ && !room)
    env_.log.warn((full ? "the spool is full: " + std::to_string(waiting >> 20) + " MiB wait for the store"
                        : "the disk of " + o_.dir.string() + " is nearly full: " + std::to_string(free_bytes >> 20) + " MiB are left") +
                  "; sending stops until there is room, nothing is dropped");
  if (!room_ && room) env_.log.info("there is room in the spool again; sending goes on");
  return room_ = room;
}

// The mandate's daily hours: outside them the survey waits, it does not end.
Status EngineRun::look_at_window() {
  if (last_window_.us != 0 && now() - last_window_ < window_every) return {};
  last_window_ = now();
  auto usable = mandate_.usable(env_.clock.now());
  if (usable) {
    if (daily_window_shut_) env_.log.info("the mandate's hours have begun; the survey goes on");
    daily_window_shut_ = false;
    return {};
  }
  const auto& m = mandate_.text();
  if (env_.clock.now() >= m.not_after || env_.clock.now() < m.not_before) return usable;
  if (!daily_window_shut_) env_.log.info(usable.error().what + "; the survey waits");
  daily_window_shut_ = true;
  return {};
}

bool EngineRun::may_reserve() {
  waiting_for_.clear();
  if (visits_.waiting() >= max_visit_backlog) waiting_for_ = "open ports wait for their conversations";
  else if (!room_in_spool()) waiting_for_ = "there is no room in the spool";
  else if (open_.size() >= max_open_segments) waiting_for_ = "networks that asked to be left alone";
  if (!waiting_for_.empty()) return false;
  // While one segment waits for its answers the next is sent; after a crash only what was in doubt of both goes out again, and that must not
  // be more than a segment: so short segments (less than two answer windows) wait for each other.
  double seconds = static_cast<double>(plan_.segment_size) / std::max(1.0, asked_pps_ > 0 ? asked_pps_ : static_cast<double>(whole_.pps));
  int allowed = seconds * 1000 >= 2.0 * plan_.answer_window_ms ? 1 : 0;
  for (const auto& [n, o] : open_) allowed -= !o.waits_for_hold() && !(o.sent_all && now() >= o.window_over);
  return allowed >= 0;
}

Status EngineRun::next_segment() {
  const auto& segments = journal_.state().segments;
  auto total = static_cast<std::int64_t>(plan_.segments());
  if (courier_.shared()) {
    auto t = now();
    if (courier_.share_now().until <= t) {
      waiting_for_ = "the center: this node's share of the rate has ended";
      return {};
    }
    if (auto lease = courier_.take()) return begin_segment(lease->n, lease->fence);
    if (courier_.all_committed() && open_.empty()) phase_ = Phase::looking;
    else if (open_.empty()) waiting_for_ = "other nodes' segments";
    return {};
  }
  while (next_ < total) {
    auto at = segments.find(next_);
    if (!open_.contains(next_) && (at == segments.end() || !at->second.committed)) break;
    ++next_;
  }
  if (next_ < total) return begin_segment(next_, 0);
  if (open_.empty()) phase_ = Phase::looking;
  return {};
}

// Gives the sender, who is idle, what an open segment still has to send; closes those that have nothing more.
Status EngineRun::next_order() {
  auto t = now();
  std::vector<std::int64_t> numbers;
  for (const auto& [n, o] : open_) numbers.push_back(n);
  for (auto n : numbers) {
    if (open_.at(n).broken) NORA_CHECK(mend(open_.at(n)));
    auto at = open_.find(n);
    if (at == open_.end()) continue;
    auto& o = at->second;
    std::erase_if(o.held, [&](Open::Held& h) {
      if (h.due > t) return false;
      for (auto& order : orders_of(h.places)) o.orders.push_back(std::move(order));
      return true;
    });
    if (!o.orders.empty()) return give_order(o);
    if (o.held.empty() && !o.sent_all) NORA_CHECK(all_sent(o));
  }
  return {};
}

// Among several nodes a segment is done when its open ports have been visited: what a dead node had not visited is found again by another.
// A node alone has its journal for that.
bool EngineRun::visited(const Open& o) const { return !courier_.shared() || o.look || !journal_.state().visits.contains(o.n); }

Status EngineRun::step() {
  auto t = now();
  NORA_CHECK(look_at_window());
  // A segment whose lease went to another node is that node's; a node that was away stops by its share, and learns here what it lost.
  if (courier_.shared())
    for (auto at = open_.begin(); at != open_.end();) {
      auto n = (at++)->first;
      if (open_.at(n).look || courier_.lease(n)) continue;
      if (at_work_ == n) stop_sender(true);
      lose(n, "its lease went to another node");
    }
  auto idle = [&] { return !at_work_ && !stopping_sender_ && sender_ > 0 && rate_answered_ && (!can("rate") || asked_pps_ >= 1); };
  if (idle() && !daily_window_shut_) {
    NORA_CHECK(next_order());
    if (idle() && phase_ == Phase::walking && may_reserve()) {
      NORA_CHECK(next_segment());
      NORA_CHECK(next_order());
    }
    if (idle() && phase_ == Phase::looking && open_.empty() && room_in_spool()) {
      if (look_begun_) phase_ = Phase::draining;
      else NORA_CHECK(begin_look());
    }
  }
  for (auto at = open_.begin(); at != open_.end();) {
    auto& o = (at++)->second;
    if (o.sent_all && t >= o.window_over && o.pending <= 0 && visited(o)) NORA_CHECK(commit(o));
  }
  if (phase_ == Phase::draining && open_.empty() && visits_.waiting() == 0 && grabber_.running() == 0 && talking_.empty() && gathers_.empty() &&
      on_the_way_ == 0 && (summary_.send != "live" || live_.proven == live_.sent))
    phase_ = Phase::over;
  return {};
}

Status EngineRun::loop() {
  auto visit = [this](ByteView frame, Instant at) { receive(frame, at); };
  while (phase_ != Phase::over) {
    auto t = now();
    if (!failed_ && (stop_ || (t - last_stop_look_ >= stop_look_every && (last_stop_look_ = t, stopped_by_file())))) give_up(Code::interrupted, "stopped");
    if (!failed_ && o_.deadline.us > 0 && t - started_ > o_.deadline) {
      give_up(Code::interrupted, "the time for this run is over");
      break;
    }
    // Stopped: what has been sent is heard out and settled; open ports stay in the journal for the next run.
    if (failed_) {
      bool sender_works = at_work_ && sender_ > 0 && t < sender_deadline_;
      if (sender_works) closing_ = t + Span::ms(plan_.answer_window_ms);
      if (t >= closing_) {
        flush_gathers(true);
        if (on_the_way_ == 0 || t >= closing_ + Span::seconds(1)) {
          NORA_CHECK(settle_the_sent());
          break;
        }
      }
    } else {
      NORA_CHECK(step());
      NORA_CHECK(divide_rates());
      visit_more();
    }
    auto wait = std::min({grabber_.next_due(), visits_.next_due(now()), gathers_.empty() ? Span::ms(100) : Span::ms(20), Span::ms(50)});
    pollfd p[4] = {{ring_->fd(), POLLIN, 0},
                   {channel_.fd(), POLLIN, 0},
                   {grabber_.fd(), POLLIN, 0},
                   {parser_.fd(), static_cast<short>(POLLIN | (parser_.wants_write() ? POLLOUT : 0)), 0}};
    if (poll(p, 4, static_cast<int>(std::max<std::int64_t>(1, wait.us / 1000))) < 0 && errno != EINTR)
      return fail(Code::failed, "poll: " + errno_text(errno));
    NORA_CHECK(ring_->read(Span{}, visit));
    if (p[1].revents != 0) {
      for (int i = 0; i < 64 && channel_.fd() >= 0; ++i) {
        auto message = channel_.receive(0);
        if (!message) {
          if (message.error().code != Code::interrupted) return std::unexpected(message.error());
          NORA_CHECK(sender_lost());
          break;
        }
        if (!*message) break;
        NORA_CHECK(sender_message(std::move(**message)));
      }
    }
    if (stopping_sender_ && now() >= sender_deadline_) NORA_CHECK(sender_lost());
    grabber_.serve([this](Grabbed&& g) { conversation_ended(std::move(g)); });
    parser_.serve();
    flush_gathers(false);
    judge_canaries();
    t = now();
    if (t - last_wall_ >= wall_every) NORA_CHECK(look_at_wall());
    if (t - last_daily_ >= daily_every) {
      last_daily_ = t;
      NORA_CHECK(budget_.ledger().sync(env_.clock.now()));
    }
    if (t - last_opt_out_ >= opt_out_every) NORA_CHECK(look_at_opt_outs());
    if (t - last_alive_ >= alive_every) NORA_CHECK(note_alive());
    if (t - last_journal_ >= journal_every) {
      last_journal_ = t;
      NORA_CHECK(flush_facts(false));
      NORA_CHECK(journal_.flush(false));
      courier_.grew(spool_.size());
    }
    report();
  }
  return {};
}

// At the end of a run that stops: segments that were sent whole are committed; the others stay reserved, with nothing of them in doubt.
Status EngineRun::settle_the_sent() {
  for (auto at = open_.begin(); at != open_.end();) {
    auto& o = (at++)->second;
    if (o.broken || !o.orders.empty() || !o.held.empty() || o.pending > 0 || !visited(o)) continue;
    if (!o.sent_all) NORA_CHECK(all_sent(o));
    NORA_CHECK(commit(o));
  }
  return note_alive();
}

void EngineRun::give_up(Code code, std::string why) {
  if (failed_) return;
  failed_ = true;
  summary_.code = code;
  summary_.why = std::move(why);
  stop_sender(false);
  abandon_conversations();
  closing_ = now() + Span::ms(plan_.answer_window_ms);
}

Status EngineRun::start() {
  started_ = now();
  summary_.survey = plan_.survey;
  summary_.kind = plan_.kind;
  summary_.targets = static_cast<std::int64_t>(plan_.space.targets());
  summary_.probes = static_cast<std::int64_t>(plan_.space.size());
  summary_.segments = static_cast<std::int64_t>(plan_.segments());
  std::error_code ignored;
  std::filesystem::remove(o_.dir / "stop", ignored);
  if (plan_.mandate != mandate_.hash())
    return fail(Code::refused, "the plan was made for another mandate", "make a new plan: nora scan plan");
  const auto& m = mandate_.text();
  auto part = [&](std::uint32_t cap) { return std::max<std::int64_t>(1, static_cast<std::int64_t>(cap * o_.share)); };
  whole_ = {part(m.rate_total_pps), part(m.rate_per_24_pps)};
  NORA_CHECK(look_at_wall());
  if (failed_) return fail(summary_.code, summary_.why);
  NORA_TRY(auto ledger, law::DailyLedger::open(daily(), env_.clock.now()));
  budget_.use(std::move(ledger));
  if (!o_.operators.empty()) {
    NORA_TRY(auto text, read_file(o_.operators));
    NORA_TRY(operators_, Operators::parse(text, o_.operator_pps));
    operators_.share((100 - probe_share_percent) * o_.share);
  }
  NORA_CHECK(prepare_canaries());
  NORA_CHECK(parser_.start());
  NORA_CHECK(start_sender());
  if (o_.shared) {
    if (!can("rate"))
      return fail(Code::environment, "this nora-sender cannot be told a share of the rate: several nodes would exceed the mandate's caps",
                  "use the nora-sender of this Nora");
    if (o_.share < 1) return fail(Code::usage, "a node that shares a survey uses its whole share for it");
    double per_second = static_cast<double>(whole_.pps) / static_cast<double>(plan_.segment_size);
    NORA_CHECK(courier_.share({*o_.shared, plan_.survey, plan_.mandate, whole_, summary_.segments, per_second}));
    whole_ = {};  // until the center says so
  }
  courier_.grew(spool_.size());
  NORA_CHECK(courier_.start());
  const auto& s = journal_.state();
  bool again = s.runs > 0;
  heard_before_ = s.heard_until(boot_id());
  again_left_ = plan_.segment_size;
  journal_.add({{"ev", "run"}, {"at", env_.clock.now().text()}, {"boot", boot_id()}, {"key", to_hex(key_)}});
  NORA_CHECK(journal_.flush(true));
  if (!again && !o_.shared) {
    registry::Survey survey;
    survey.id = plan_.survey;
    survey.kind = plan_.kind;
    survey.mandate_hash = plan_.mandate;
    survey.plan = plan_.text();
    survey.started = env_.clock.now();
    spool_.add(survey);
  }
  summary_.received = s.received;
  summary_.unique = std::max<std::int64_t>(s.unique, static_cast<std::int64_t>(answered_.size()));
  summary_.duplicates = s.duplicates;
  summary_.replies = s.replies;
  summary_.conversations = s.conversations;
  for (const auto& [n, segment] : s.segments) sent_before_ += static_cast<std::uint64_t>(segment.frames);
  for (const auto& [n, segment] : s.segments)  // a second look that was cut short is not gone on with: a new one is made
    if (n >= summary_.segments && !segment.committed && !segment.lost) journal_.add({{"ev", "lost"}, {"n", n}});
  for (const auto& open : s.to_visit) {
    Visit v;
    v.ip = open.ip;
    v.port = open.port;
    v.segment = open.segment;
    v.social = mandate_.is_social(open.ip);
    if (!open.path.empty()) {
      v.probe = "upnp";
      v.path = v.key_path = open.path;
    }
    visits_.add(std::move(v));
  }
  NORA_CHECK(divide_rates());
  return write_metadata(false);
}

Result<Summary> EngineRun::run() {
  NORA_CHECK(start());
  if (auto looped = loop(); !looped) give_up(looped.error().code, looped.error().text());
  return finish();
}

namespace {

// The survey is over (a run can be killed between its last line and its exit): what the store has not taken is all that is left to do.
Result<Summary> finished_already(const EngineOptions& options, const JournalState& s, const Plan& plan, ReplySink* sink, Env env) {
  NORA_TRY(auto spool, Spool::open(options.dir));
  Courier courier(options.dir, sink, env);
  courier.grew(spool.size());
  if (sink != nullptr) {
    NORA_CHECK(courier.start());
    courier.finish(options.give_up_store, "");
  }
  env.log.info("the survey in " + options.dir.string() + " is finished; nothing more is sent");
  Summary m;
  m.survey = plan.survey;
  m.kind = plan.kind;
  m.targets = static_cast<std::int64_t>(plan.space.targets());
  m.probes = static_cast<std::int64_t>(plan.space.size());
  m.segments = static_cast<std::int64_t>(plan.segments());
  for (const auto& [n, segment] : s.segments) m.sent += segment.frames;
  m.received = s.received;
  m.unique = s.unique;
  m.duplicates = s.duplicates;
  m.replies = s.replies;
  m.conversations = s.conversations;
  m.took = s.earlier;
  m.undelivered_bytes = courier.waiting_bytes();
  m.late = courier.late();
  m.complete = true;
  return m;
}

// While this node was away the others may have finished the survey that they share: what it had found is offered (and refused where it comes too
// late), nothing more is sent.
bool finished_by_others(const EngineOptions& options, const Plan& plan) {
  if (!options.shared) return false;
  auto registry = registry::Registry::open(options.shared->store);
  if (!registry) return false;  // the center is away: joining says so
  auto survey = registry->survey(plan.survey);
  return survey && *survey && (*survey)->finished;
}

}  // namespace

Result<Summary> run_engine(const EngineOptions& options, EngineShared& shared, ReplySink* sink, const EngineEvents& events,
                           const std::atomic<bool>& stop, Env env) {
  std::error_code error;
  std::filesystem::create_directories(options.dir / "segments", error);
  if (error) return fail(Code::failed, options.dir.string() + ": " + error.message());
  NORA_TRY(auto plan, Plan::load(options.dir));
  NORA_TRY(auto journal, Journal::open(options.dir));
  if (!journal.state().finished && journal.state().runs > 0 && finished_by_others(options, plan)) {
    journal.add({{"ev", "finished"}});
    NORA_CHECK(journal.flush(true));
  }
  if (journal.state().finished) return finished_already(options, journal.state(), plan, sink, env);
  NORA_TRY(auto spool, Spool::open(options.dir));
  NORA_TRY(auto answered, Answered::open(options.dir));
  EngineRun engine(options, shared, sink, events, stop, env, std::move(plan), std::move(journal), std::move(spool), std::move(answered));
  return engine.run();
}

Status ask_to_stop(const std::filesystem::path& dir) {
  if (!Journal::held(dir)) return fail(Code::not_found, "no survey runs in " + dir.string(), "see `nora scan status --dir " + dir.string() + "`");
  return replace_file(dir / "stop", "", 0600);
}

Result<Canary> parse_canary(std::string_view text) {
  auto colon = text.rfind(':');
  auto wrong = [&] { return fail(Code::usage, "a canary is ADDRESS:PORT, not \"" + std::string(text.substr(0, 60)) + "\"", "IPv6: [ADDRESS]:PORT"); };
  if (colon == text.npos) return wrong();
  auto address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  auto ip = Ip::parse(address);
  auto port = parse_port(text.substr(colon + 1));
  if (!ip || !port) return wrong();
  return Canary{*ip, port->value};
}

}  // namespace nora::survey
