#include "survey/engine.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "survey/engine_run.h"

namespace nora::survey {
namespace {

constexpr std::size_t max_visit_backlog = 100'000;  // no further segment while so many open ports wait
constexpr std::size_t calibration_probes = 200;
constexpr Span opt_out_every = Span::seconds(1), daily_every = Span::seconds(5);
constexpr Span wall_every = Span::ms(200), deliver_every = Span::ms(300), progress_every = Span::ms(250), journal_every = Span::ms(100);

}  // namespace

EngineRun::~EngineRun() {
  abandon_conversations();
  if (sender_ > 0) {
    channel_ = Channel();  // the sender ends when its socket closes
    for (int i = 0; i < 50; ++i) {
      if (waitpid(sender_, nullptr, WNOHANG) != 0) return;
      env_.clock.sleep(Span::ms(20));
    }
    kill(sender_, SIGKILL);
    waitpid(sender_, nullptr, 0);
  }
}

// Every connection is closed by one RST, and the devices are free for other engines of this process; the journal still holds the ports.
void EngineRun::abandon_conversations() {
  grabber_.abandon_all();
  for (const auto& [tag, visit] : talking_) visits_.conversation_over(visit.ip, visit.social, now());
  talking_.clear();
}

bool EngineRun::allowed(Ip ip, std::uint16_t port, std::string_view probe) const {
  const auto* info = mandate_.probes().find(probe);
  if (info == nullptr) return false;
  if (is_relay_test(probe) && (shared_.relay == nullptr || shared_.relay->url(ip.is_v4(), "x").empty())) return false;
  return mandate_.permit({ip, port}, *info, env_.clock.now()).has_value();
}

Status EngineRun::settle() {
  NORA_CHECK(spool_.flush(true));
  return journal_.flush(true);
}

// Who opts out while the survey runs is left alone from here on, in conversations as well as in probes; the sender reads the lists itself.
Status EngineRun::look_at_opt_outs() {
  last_opt_out_ = now();
  NORA_CHECK(mandate_.refresh_opt_out());
  return {};
}

void EngineRun::deliver(bool hurry) {
  if (sink_ == nullptr) return;
  auto t = now();
  if (!hurry && t - last_deliver_ < (store_down_ ? Span::seconds(5) : deliver_every)) return;
  last_deliver_ = t;
  if (auto left = spool_.deliver(*sink_); !left) {
    if (!store_down_) env_.log.warn("the store does not take results (" + left.error().text() + "); they wait in the spool");
    store_down_ = true;
  } else {
    if (store_down_) env_.log.info("the store takes results again");
    store_down_ = false;
  }
}

void EngineRun::report_progress() {
  if (!events_.progress || now() - last_progress_ < progress_every) return;
  last_progress_ = now();
  EngineEvents::Progress p;
  for (const auto& [n, s] : journal_.state().segments) p.sent += static_cast<std::uint64_t>(s.frames);
  if (active_ && !active_->done) p.sent += static_cast<std::uint64_t>(sent_now_);
  p.total = plan_.space.size();
  p.received = summary_.received;
  p.unique = summary_.unique;
  p.open_waiting = static_cast<std::int64_t>(visits_.waiting() + grabber_.running());
  p.replies = summary_.replies;
  p.drops = summary_.ring_drops;
  p.elapsed = now() - started_;
  p.pps = p.elapsed.us > 0 ? static_cast<double>(p.sent) / p.elapsed.as_seconds() : 0;
  if (p.pps > 0 && p.total > p.sent) p.left = Span{static_cast<std::int64_t>(static_cast<double>(p.total - p.sent) / p.pps * 1e6)};
  events_.progress(p);
}

Status EngineRun::step() {
  if (phase_ == Phase::walking && !active_ && !sender_stopping_) {
    const auto& segments = journal_.state().segments;
    auto total = static_cast<std::int64_t>(plan_.segments());
    while (next_ < total) {
      auto at = segments.find(next_);
      if (at == segments.end() || !at->second.committed) break;
      ++next_;
    }
    if (next_ >= total) {
      phase_ = Phase::calibrating;
    } else if (visits_.waiting() < max_visit_backlog) {
      return reserve(next_, {});
    }
  }
  if (phase_ == Phase::calibrating && !active_ && !sender_stopping_) {
    auto n = static_cast<std::int64_t>(plan_.segments());
    auto done = journal_.state().segments.find(n);
    bool already = done != journal_.state().segments.end() && done->second.committed;
    if (!o_.calibrate || already || !calibration_.empty() || candidates_.empty()) {
      phase_ = Phase::draining;
      return {};
    }
    flush_gathers(true);
    std::vector<std::uint64_t> chosen;
    for (std::size_t i = 0; i < calibration_probes && !candidates_.empty(); ++i) {
      auto k = env_.random.below(candidates_.size());
      chosen.push_back(permutation_.place(candidates_[k]));
      calibration_[candidates_[k]] = false;
      candidates_[k] = candidates_.back();
      candidates_.pop_back();
    }
    return reserve(n, std::move(chosen));
  }
  if (active_ && active_->done && now() >= active_->window_over && active_->pending <= 0) NORA_CHECK(commit());
  if (phase_ == Phase::draining && !active_ && visits_.waiting() == 0 && grabber_.running() == 0 && talking_.empty() && gathers_.empty() &&
      on_the_way_ == 0)
    phase_ = Phase::over;
  return {};
}

Status EngineRun::loop() {
  auto visit = [this](ByteView frame, Instant at) { receive(frame, at); };
  while (phase_ != Phase::over) {
    if (stop_ && !sender_stopping_) {
      sender_stopping_ = true;
      sender_deadline_ = now() + sender_patience;
      NORA_CHECK(channel_.send({{"op", "stop"}}));
      give_up(Code::interrupted, "stopped");
      phase_ = Phase::draining;
    }
    // Stopped: what has been sent is settled, open ports stay in the journal for the next run.
    if (failed_ && !active_) break;
    if (failed_ && sender_stopping_ && sender_deadline_.us > 0 && now() > sender_deadline_) break;
    if (failed_ && active_ && active_->done && now() >= active_->window_over) {
      flush_gathers(true);
      if (on_the_way_ > 0 && active_->pending > 0) {
        parser_.serve();
      } else {
        NORA_CHECK(commit());
        break;
      }
    }
    if (o_.deadline.us > 0 && now() - started_ > o_.deadline) {
      give_up(Code::interrupted, "the time for this run is over");
      break;
    }
    if (!failed_) {
      NORA_CHECK(step());
      visit_more();
    }
    auto wait = std::min({grabber_.next_due(), visits_.next_due(now()), gathers_.empty() ? Span::ms(100) : Span::ms(20)});
    pollfd p[4] = {{ring_->fd(), POLLIN, 0},
                   {channel_.fd(), POLLIN, 0},
                   {grabber_.fd(), POLLIN, 0},
                   {parser_.fd(), static_cast<short>(POLLIN | (parser_.wants_write() ? POLLOUT : 0)), 0}};
    if (poll(p, 4, static_cast<int>(std::max<std::int64_t>(1, wait.us / 1000))) < 0 && errno != EINTR)
      return fail(Code::failed, "poll: " + errno_text(errno));
    NORA_CHECK(ring_->read(Span{}, visit));
    if (p[1].revents != 0) {
      for (int i = 0; i < 64; ++i) {
        NORA_TRY(auto message, channel_.receive(0));
        if (!message) break;
        NORA_CHECK(sender_message(std::move(*message)));
      }
    }
    grabber_.serve([this](Grabbed&& g) { conversation_ended(std::move(g)); });
    parser_.serve();
    flush_gathers(false);
    auto t = now();
    if (t - last_wall_ >= wall_every) NORA_CHECK(look_at_wall());
    if (t - last_daily_ >= daily_every) {
      last_daily_ = t;
      NORA_CHECK(budget_.ledger().sync(env_.clock.now()));
    }
    if (t - last_opt_out_ >= opt_out_every) NORA_CHECK(look_at_opt_outs());
    if (t - last_journal_ >= journal_every) {
      last_journal_ = t;
      NORA_CHECK(spool_.flush(false));  // replies before the "visited" that depends on them
      NORA_CHECK(journal_.flush(false));
    }
    deliver(false);
    report_progress();
  }
  return {};
}

Summary EngineRun::finish() {
  const auto& s = journal_.state();
  auto& m = summary_;
  m.complete = !failed_ && phase_ == Phase::over;
  for (const auto& [n, segment] : s.segments) {
    m.sent += segment.frames;
    m.refused += segment.refused;
    if (segment.times > 1) {
      m.repeated_segments += segment.times - 1;
      m.repeated_probes_at_most += static_cast<std::int64_t>(segment.to - segment.from) * (segment.times - 1);
    }
  }
  for (const auto& [why, n] : s.refused_by) m.refused_by[why] += n;
  m.calibration_asked = static_cast<std::int64_t>(calibration_.size());
  for (const auto& [index, again] : calibration_) m.calibration_missed += again ? 0 : 1;
  if (ring_) m.ring_drops = ring_->counters().drops;
  m.parser_deaths = parser_.deaths();
  m.took = now() - started_ + s.earlier;
  journal_.add({{"ev", "counts"},
                {"received", m.received},
                {"unique", m.unique},
                {"duplicates", m.duplicates},
                {"replies", m.replies},
                {"conversations", m.conversations},
                {"ms", m.took.us / 1000}});
  if (m.complete) {
    journal_.add({{"ev", "finished"}});
    registry::Survey survey;
    survey.id = plan_.survey;
    survey.kind = plan_.kind;
    survey.mandate_hash = plan_.mandate;
    survey.plan = plan_.text();
    survey.started = env_.clock.now() - m.took;
    survey.finished = env_.clock.now();
    survey.sent = m.sent;
    survey.replies = m.replies;
    survey.summary = json::text(m.to_json());
    spool_.add(survey);
  }
  // The spool first: a "visited" in the journal promises that the reply is there.
  if (auto kept = spool_.flush(true); !kept) give_up(Code::failed, kept.error().text());
  if (auto kept = journal_.flush(true); !kept) give_up(Code::failed, kept.error().text());
  if (auto kept = budget_.ledger().sync(env_.clock.now()); !kept) give_up(Code::failed, kept.error().text());
  auto patience = now() + o_.give_up_store;
  while (sink_ != nullptr && spool_.pending_bytes() > 0 && now() < patience) {
    deliver(true);
    if (store_down_) env_.clock.sleep(Span::ms(500));
  }
  m.undelivered_bytes = sink_ != nullptr ? spool_.pending_bytes() : 0;
  m.complete = m.complete && !failed_;
  return m;
}

Result<Summary> EngineRun::run() {
  NORA_CHECK(start());
  if (auto looped = loop(); !looped)
    give_up(looped.error().code == Code::interrupted ? Code::failed : looped.error().code, looped.error().text());
  return finish();
}

Result<Summary> run_engine(const EngineOptions& options, EngineShared& shared, ReplySink* sink, const EngineEvents& events,
                           const std::atomic<bool>& stop, Env env) {
  std::error_code error;
  std::filesystem::create_directories(options.dir / "segments", error);
  if (error) return fail(Code::failed, options.dir.string() + ": " + error.message());
  NORA_TRY(auto plan, Plan::load(options.dir));
  NORA_TRY(auto journal, Journal::open(options.dir));
  if (journal.state().finished)
    return fail(Code::usage, "the survey in " + options.dir.string() + " is finished", "use another --dir for a new one");
  NORA_TRY(auto spool, Spool::open(options.dir));
  EngineRun engine(options, shared, sink, events, stop, env, std::move(plan), std::move(journal), std::move(spool));
  return engine.run();
}

}  // namespace nora::survey
