#include "flow/scheduler.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>

#include "base/crypto.h"
#include "base/json.h"
#include "cases/metrics.h"
#include "flow/vulns.h"
#include "registry/jobs.h"

namespace nora::flow {
namespace {

using cases::State;
using registry::Id;

constexpr Span fixed_kept_open = Span::days(90);      // S7 FIXED -> CLOSED (workflow.md section 5.2)
constexpr Span check_address_kept = Span::hours(24);  // workflow.md section 6, portal row
constexpr Span second_look_again = Span::minutes(10); // not more often for one address
constexpr std::size_t cases_per_round = 200;
constexpr Span judge_again = Span::minutes(1);
constexpr std::string_view judged_at_mark = "flow.vulns.at", judged_device_mark = "flow.vulns.device", judged_event_mark = "flow.vulns.event";
constexpr std::string_view rules_mark = "flow.rules";  // which rules stand behind what is stored
constexpr int rounds_at_once = 20;                    // of the pipeline, before the other duties get their turn

// Asks the scan node to look again at the addresses of a case's open findings.
Result<int> ask_second_look(registry::Registry& registry, registry::Jobs& jobs, Id case_id, std::string_view why, Instant now) {
  NORA_TRY(const auto findings, registry.findings_of_case(case_id));
  std::set<Ip> addresses;
  for (const auto& f : findings)
    if (f.finding.state == "open" && f.finding.rule != registry::sighting_rule) addresses.insert(f.finding.where.ip);
  int asked = 0;
  for (Ip ip : addresses) {
    NORA_TRY(const auto waiting, jobs.waiting("check", ip));
    NORA_TRY(const auto recent, jobs.count_since("check", ip, now - second_look_again, "scheduler"));
    if (waiting > 0 || recent > 0) continue;
    NORA_CHECK(jobs.enqueue("check", json::text(json::Object{{"ip", ip.text()}, {"why", std::string(why)}}), ip, "scheduler", now));
    ++asked;
  }
  return asked;
}

Status second_looks(const SchedulerOptions& options, registry::Registry& registry, cases::CaseBook& book, Instant now) {
  registry::Jobs jobs(registry.db());
  NORA_TRY(const auto waiting, jobs.waiting("check"));
  auto room = options.second_looks_at_once - static_cast<int>(waiting);
  for (State state : {State::S6U_USER_SAYS_FIXED, State::S0_OBSERVED}) {
    if (room <= 0) return {};
    NORA_TRY(const auto some, book.find({.state = std::string(cases::name(state)), .limit = cases_per_round}));
    for (const auto& c : some) {
      if (room <= 0) break;
      if (now - c.state_at < options.second_look_after) continue;
      const bool owner = state == State::S6U_USER_SAYS_FIXED;
      NORA_TRY(const auto asked, ask_second_look(registry, jobs, c.id, owner ? "owner says fixed" : "second look", now));
      room -= asked;
      if (owner && asked > 0)
        NORA_CHECK(book.move(c.id, State::S6_VERIFYING, {cases::Actor::sensor, "scheduler", "", "a new look was ordered", "owner's word"}, now));
    }
  }
  return {};
}

Status snapshots(registry::Registry& registry, Instant now) {
  NORA_TRY(const auto surveys, registry.surveys(20));
  for (const auto& s : surveys) {
    if (!s.finished || (s.kind != "full" && s.kind != "remeasure")) continue;
    NORA_TRY(const auto have, registry.db().one("SELECT count(*) FROM metric_snapshot WHERE survey = ?", {s.id}));
    if (have.integer() == 0) NORA_CHECK(cases::snapshot(registry, s.id, now));
  }
  return {};
}

Status close_old(cases::CaseBook& book, Instant now) {
  NORA_TRY(const auto fixed, book.find({.state = std::string(cases::name(State::S7_FIXED)), .limit = cases_per_round}));
  for (const auto& c : fixed)
    if (now - c.state_at >= fixed_kept_open) NORA_CHECK(book.move(c.id, State::CLOSED, {cases::Actor::sensor, "scheduler", "", "fixed for 90 days", ""}, now));
  return {};
}

// Devices and findings that came or went since the last judgement are held against the vulnerability data; not more often than once a minute. Where no
// data was imported there is nothing to do.
Status judge_vulnerabilities(const SchedulerParts& parts, registry::Registry& registry, const Knowledge& knowledge, Instant now) {
  NORA_TRY(const auto data, registry.db().one("SELECT max(id) FROM vuln_import"));
  if (data.is_null()) return {};
  NORA_TRY(const auto newest, registry.db().query("SELECT coalesce((SELECT max(id) FROM device), 0), coalesce((SELECT max(id) FROM finding_event), 0)"));
  NORA_TRY(const auto last, registry.progress(judged_at_mark));
  if (now.us - last < judge_again.us) return {};
  for (int i = 0; const auto mark : {judged_device_mark, judged_event_mark}) {
    NORA_TRY(const auto seen, registry.progress(mark));
    if (newest[0][static_cast<std::size_t>(i++)].integer() != seen) {
      NORA_TRY([[maybe_unused]] const auto done, Vulnerabilities(parts.env, registry, knowledge.cpe_names, knowledge.products).reassess());
      NORA_CHECK(registry.set_progress(judged_device_mark, newest[0][0].integer()));
      NORA_CHECK(registry.set_progress(judged_event_mark, newest[0][1].integer()));
      return registry.set_progress(judged_at_mark, now.us);
    }
  }
  return {};
}

std::int64_t mark_of(const Knowledge& knowledge) {
  const auto hash = sha256(as_bytes(knowledge.version + " " + knowledge.exposure_version));
  std::int64_t out = 0;
  for (int i = 0; i < 7; ++i) out = out << 8 | hash[static_cast<std::size_t>(i)];
  return out;
}

}  // namespace

Result<PipelineCounts> Scheduler::work(SchedulerParts& parts, const SchedulerOptions& options, registry::Registry& registry, Pipeline& pipeline, cases::CaseBook& book) {
  PipelineCounts all;
  const auto now = parts.env.clock.now();
  const auto knowledge = parts.knowledge();
  const auto mark = mark_of(*knowledge);
  NORA_TRY(const auto stored, registry.progress(rules_mark));
  if (knowledge.get() != &pipeline.knowledge() || stored != mark) {
    // Rules that changed while nobody ran (a new version of Nora, another folder): what they were is not known, so every address is looked at.
    NORA_TRY(const auto again, knowledge.get() != &pipeline.knowledge() ? pipeline.change_rules(knowledge) : pipeline.reassess_all());
    if (again.addresses > 0) NORA_CHECK(registry.set_progress(judged_device_mark, 0));  // other names: other vulnerabilities
    NORA_CHECK(registry.set_progress(rules_mark, mark));
    all.add(again);
  }
  for (int i = 0; i < rounds_at_once; ++i) {
    NORA_TRY(const auto fresh, pipeline.process_new());
    all.add(fresh);
    if (!fresh.more) break;
  }
  NORA_CHECK(second_looks(options, registry, book, now));
  if (!all.more) {  // everything that came in is thought through
    NORA_CHECK(snapshots(registry, now));
    NORA_CHECK(close_old(book, now));
    NORA_CHECK(judge_vulnerabilities(parts, registry, *knowledge, now));
  }
  NORA_TRY([[maybe_unused]] const auto forgotten, registry::Jobs(registry.db()).forget_check_addresses(now - check_address_kept));
  return all;
}

struct Scheduler::State {
  SchedulerParts parts;
  SchedulerOptions options;
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::thread thread;

  void run() {
    std::optional<registry::Registry> registry;
    std::optional<cases::CaseBook> book;
    std::optional<cases::OnSite> onsite;
    std::optional<Pipeline> pipeline;
    std::string last_error;
    for (;;) {
      auto round = [&]() -> Status {
        if (!pipeline) {
          NORA_TRY(auto opened, registry::Registry::open(options.store));
          registry.emplace(std::move(opened));
          book.emplace(*registry, parts.codes);
          if (!options.onsite_store.empty()) {
            NORA_TRY(auto store, cases::OnSite::open(options.onsite_store));
            onsite.emplace(std::move(store));
            parts.pipeline.onsite = &*onsite;
          }
          parts.pipeline.store = options.store;
          pipeline.emplace(parts.env, *registry, *book, parts.routes, parts.knowledge(), parts.pipeline);
        }
        NORA_TRY([[maybe_unused]] const auto counts, Scheduler::work(parts, options, *registry, *pipeline, *book));
        return {};
      }();
      if (!round && round.error().text() != last_error) parts.env.log.error("scheduler: " + round.error().text());
      last_error = round ? "" : round.error().text();
      if (!round && round.error().code == Code::environment) {  // the server went away: connect anew
        pipeline.reset();
        onsite.reset();
        book.reset();
        registry.reset();
      }
      std::unique_lock lock(mutex);
      if (wake.wait_for(lock, std::chrono::microseconds(options.period.us), [&] { return stop; })) return;
    }
  }
};

Result<std::unique_ptr<Scheduler>> Scheduler::start(SchedulerParts parts, SchedulerOptions options) {
  // What is wrong with the store is said at the start, not in a log line later.
  NORA_TRY([[maybe_unused]] auto trial, registry::Registry::open(options.store));
  std::unique_ptr<State> state(new State{std::move(parts), std::move(options), {}, {}, false, {}});
  std::unique_ptr<Scheduler> out(new Scheduler(std::move(state)));
  out->state_->thread = std::thread([s = out->state_.get()] { s->run(); });
  return out;
}

Scheduler::Scheduler(std::unique_ptr<State> state) : state_(std::move(state)) {}

Scheduler::~Scheduler() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace nora::flow
