// What a run tells while it goes on and at its end: progress, files for others, the summary.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "survey/engine_run.h"

namespace nora::survey {
namespace {

constexpr Span progress_every = Span::ms(250), files_every = Span::seconds(1);

}  // namespace

LiveState EngineRun::live() const {
  LiveState l;
  l.survey = plan_.survey;
  l.phase = phase_ == Phase::walking ? "walking" : phase_ == Phase::looking ? "second look" : "closing";
  if (daily_window_shut_) l.phase = "waiting: outside the mandate's hours";
  else if (!waiting_for_.empty() && !at_work_) l.phase = "waiting: " + waiting_for_;
  l.total = plan_.space.size();
  l.segments = static_cast<std::int64_t>(plan_.segments());
  for (const auto& [n, s] : journal_.state().segments) {
    if (!open_.contains(n)) l.sent += static_cast<std::uint64_t>(s.frames);
    l.committed += s.committed && n < l.segments;
    l.refused += s.refused;
  }
  for (const auto& [n, o] : open_) l.sent += static_cast<std::uint64_t>(o.sent), l.refused += o.refused;
  l.sent += static_cast<std::uint64_t>(sent_now_);
  l.refused_by = journal_.state().refused_by;
  for (const auto& [why, n] : summary_.refused_by) l.refused_by[why] += n;
  l.received = summary_.received;
  l.unique = summary_.unique;
  l.duplicates = summary_.duplicates;
  l.replies = summary_.replies;
  l.conversations = summary_.conversations;
  l.talking = static_cast<std::int64_t>(grabber_.running());
  l.waiting = static_cast<std::int64_t>(visits_.waiting());
  l.open_segments = static_cast<std::int64_t>(open_.size());
  l.ring_drops = summary_.ring_drops;
  l.parser_deaths = parser_.deaths();
  l.spool_bytes = courier_.waiting_bytes();
  l.store_down = courier_.down();
  l.late = courier_.late();
  l.anomalies = static_cast<std::int64_t>(summary_.anomalies.size());
  l.held_networks = static_cast<std::int64_t>(holds_.size());
  l.sender_restarts = restarts_;
  l.canary_asked = summary_.loss.canary.asked;
  l.canary_missed = summary_.loss.canary.missed;
  auto elapsed = now() - started_;
  l.seconds = elapsed.as_seconds();
  auto here = l.sent - std::min(l.sent, sent_before_);
  l.pps = elapsed.us > 0 ? static_cast<double>(here) / l.seconds : 0;
  if (l.pps > 0 && l.total > l.sent + static_cast<std::uint64_t>(l.refused)) l.left_seconds = static_cast<double>(l.total - l.sent - static_cast<std::uint64_t>(l.refused)) / l.pps;
  l.probe_share_pps = asked_pps_ >= 0 ? asked_pps_ : static_cast<double>(probe_rates(mandate_.text()).rate_total_pps);
  l.talk_share_pps = talk_pps_;
  return l;
}

void EngineRun::report() {
  auto t = now();
  if (t - last_progress_ < progress_every) return;
  last_progress_ = t;
  if (ring_) summary_.ring_drops = ring_->counters().drops;
  auto l = live();
  sent_share_ = std::min(1.0, static_cast<double>(l.sent + static_cast<std::uint64_t>(l.refused)) / static_cast<double>(std::max<std::uint64_t>(1, l.total)));
  if (courier_.shared()) l.nodes = courier_.share_now().holders;
  if (events_.progress) events_.progress(l);
  if (t - last_report_ < files_every) return;
  last_report_ = t;
  l.clock_synchronised = clock_state().synchronised;
  // Neither file is a record: a disk that has no room for them stops nothing here.
  (void)swap_in(o_.dir / "live.json", json::text(l.to_json()) + "\n");
  if (!o_.metrics.empty()) (void)swap_in(o_.metrics, l.prometheus());
}

// Everything that is needed to repeat this run, and to judge it.
Status EngineRun::write_metadata(bool over) {
  utsname host{};
  uname(&host);
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  const auto& m = mandate_.text();
  json::Array opt_outs;
  for (const auto& f : o_.files.opt_outs)
    if (auto text = read_file(f)) opt_outs.push_back(json::Object{{"file", f.string()}, {"sha256", to_hex(sha256(as_bytes(*text)))}});
  json::Object o{{"survey", plan_.survey},
                 {"kind", plan_.kind},
                 {"program", o_.program},
                 {"mandate", json::Object{{"id", m.id}, {"sha256", to_hex(plan_.mandate)}, {"file", o_.files.mandate.string()}}},
                 {"catalogue_sha256", to_hex(plan_.catalogue)},
                 {"opt_out", std::move(opt_outs)},
                 {"order_key", to_hex(plan_.order)},
                 {"probes", plan_.space.size()},
                 {"targets", plan_.space.targets()},
                 {"segment_size", plan_.segment_size},
                 {"answer_window_ms", plan_.answer_window_ms},
                 {"plan_made", plan_.made.text()},
                 {"options", o_.described},
                 {"run", journal_.state().runs},
                 {"run_began", (env_.clock.now() - (now() - started_)).text()},
                 {"host", json::Object{{"name", std::string(name)}, {"kernel", std::string(host.release)}, {"machine", std::string(host.machine)}}},
                 {"interface", o_.iface},
                 {"send_path", summary_.send},
                 {"rates", json::Object{{"total_pps", m.rate_total_pps},
                                        {"per_24_pps", m.rate_per_24_pps},
                                        {"per_target_pps", m.rate_per_target_pps},
                                        {"per_target_per_day", m.probes_per_target_per_day}}},
                 {"clock", clock_state().to_json()}};
  if (auto chrony = chrony_tracking(); !chrony.empty()) o["chrony"] = std::move(chrony);
  if (o_.shared) o["node"] = o_.shared->node;
  if (over) {
    o["run_ended"] = env_.clock.now().text();
    o["summary"] = summary_.to_json();
  }
  return replace_file(o_.dir / "run-metadata.json", json::text(o) + "\n", 0600);
}

Summary EngineRun::finish() {
  end_sender();
  const auto& s = journal_.state();
  auto& m = summary_;
  m.complete = !failed_ && phase_ == Phase::over;
  auto planned = static_cast<std::int64_t>(plan_.segments());
  for (const auto& [n, segment] : s.segments) {
    auto stopped = open_.find(n);  // in the middle of a segment: what has left counts
    m.sent += stopped == open_.end() ? segment.frames : std::max(segment.frames, stopped->second.sent);
    m.refused += segment.refused;
    m.segments_here += n < planned && segment.committed;
    if (segment.times > 1) m.repeated_segments += segment.times - 1;
  }
  m.repeated_probes = s.again;
  m.repeated_probes_at_most = s.again_at_most;
  m.answers_in_doubt = s.unheard;
  for (const auto& [why, n] : s.refused_by) m.refused_by[why] += n;
  if (ring_) m.ring_drops = ring_->counters().drops;
  m.parser_deaths = parser_.deaths();
  m.sender_restarts = restarts_;
  for (const auto& [prefix, event] : back_off_.events())
    m.backed_off.push_back({prefix.text(), event.why + (event.for_good ? "; not asked again in this survey" : ", " + std::to_string(event.times) + " times")});
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
    if (!o_.shared) {
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
  }
  if (auto kept = settle(); !kept) {
    give_up(kept.error().code, kept.error().text());
    m.complete = false;
  }
  if (auto kept = budget_.ledger().sync(env_.clock.now()); !kept) give_up(Code::failed, kept.error().text());
  courier_.finish(o_.give_up_store, json::text(m.to_json()));
  m.late = courier_.late();
  m.undelivered_bytes = courier_.waiting_bytes();
  m.complete = m.complete && !failed_;
  std::error_code ignored;
  std::filesystem::remove(o_.dir / "stop", ignored);
  std::filesystem::remove(o_.dir / "live.json", ignored);
  last_progress_ = last_report_ = {};
  if (!o_.metrics.empty()) (void)swap_in(o_.metrics, live().prometheus());
  if (auto written = write_metadata(true); !written) env_.log.warn(written.error().text());
  return m;
}

}  // namespace nora::survey
