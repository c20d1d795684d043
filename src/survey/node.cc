#include "survey/node.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <thread>

#include "base/files.h"
#include "registry/jobs.h"
#include "registry/nodes.h"

namespace nora::survey {
namespace {

constexpr Span renew_every = Span::seconds(10);
constexpr Span pause_after_error = Span::seconds(2);

class Worker {
 public:
  Worker(const NodeOptions& options, EngineShared& shared, std::vector<std::string> kinds, const std::atomic<bool>& stop, Env env)
      : o_(options), shared_(shared), kinds_(std::move(kinds)), stop_(stop), env_(env) {}
  Status open() {
    NORA_TRY(auto registry, registry::Registry::open(o_.store));
    registry_.emplace(std::move(registry));
    NORA_TRY(sink_, RegistrySink::open(o_.store, o_.name));
    return {};
  }
  void run();

 private:
  Status work(const registry::Job& job);
  Result<bool> join();
  Result<Plan> plan_for(const registry::Job& job);

  const NodeOptions& o_;
  EngineShared& shared_;
  std::vector<std::string> kinds_;
  const std::atomic<bool>& stop_;
  Env env_;
  std::optional<registry::Registry> registry_;
  std::unique_ptr<RegistrySink> sink_;
  std::set<std::string> ended_;  // shared surveys whose part here is done
};

Result<Plan> Worker::plan_for(const registry::Job& job) {
  PlanOptions p;
  p.kind = job.kind == "survey" ? "full" : job.kind;
  p.answer_window_ms = job.kind == "check" ? o_.check_window_ms : o_.survey_window_ms;
  if (job.kind == "check") {
    if (!job.ip) return fail(Code::bad_input, "a check without an address");
    p.limits.only = {*job.ip};
    p.segment_size = max_segment;
    return make_plan(shared_.mandate, shared_.catalogue, p, env_);
  }
  p.targets6 = o_.targets6;
  if (auto payload = json::parse_object(job.payload.empty() ? "{}" : job.payload)) {
    if (const auto* ports = payload->if_contains("ports"); ports && ports->is_array())
      for (const auto& v : ports->as_array())
        if (v.is_int64() && v.as_int64() > 0 && v.as_int64() < 65536) p.limits.ports.push_back(static_cast<std::uint16_t>(v.as_int64()));
    if (const auto* six = payload->if_contains("targets6"); six && six->is_array())
      for (const auto& v : six->as_array())
        if (v.is_string())
          if (auto ip = Ip::parse(std::string_view(v.as_string()))) p.targets6.push_back(*ip);
  }
  return make_plan(shared_.mandate, shared_.catalogue, p, env_);
}

Status Worker::work(const registry::Job& job) {
  registry::Jobs jobs(registry_->db());
  auto finish = [&](bool ok, std::string_view result) { return jobs.finish(job.id, job.fence, ok, result, env_.clock.now()); };
  auto event = [&](const json::Object& line) {
    if (auto put = jobs.append_event(job.id, job.fence, env_.clock.now(), json::text(line)); !put)
      env_.log.warn("job " + std::to_string(job.id) + ": " + put.error().text());
  };
  auto options = o_.engine;
  options.dir = o_.engine.dir / (job.kind + "-" + std::to_string(job.id));
  bool check = job.kind == "check";
  if (check) {
    event({{"step", "started"}});
    options.calibrate = false;
    options.deadline = check_deadline;
    options.give_up_store = Span::seconds(5);
  }
  options.canaries.clear();
  if (!check) options.canaries = o_.engine.canaries;
  options.share = check ? check_share : 1 - check_share;
  std::error_code error;
  std::filesystem::create_directories(options.dir, error);
  // A job that another holder (or this one, before a crash) began goes on from its spool.
  if (!std::filesystem::exists(options.dir / "plan.json")) {
    auto plan = plan_for(job);
    if (!plan) return finish(false, plan.error().text());
    NORA_CHECK(plan->save(options.dir));
    // A survey for several nodes: this one opens it, the others join, and its end is the end of the job.
    auto payload = json::parse_object(job.payload.empty() ? "{}" : job.payload);
    if (auto nodes = payload ? json::int_or(*payload, "nodes", 0) : 0; !check && nodes > 1) {
      if (auto shared = share_plan(*plan, o_.store, nodes, env_); !shared) return finish(false, shared.error().text());
      NORA_CHECK(replace_file(options.dir / "nodes", std::to_string(nodes) + "\n", 0600));
    }
  }
  if (auto nodes = read_file(options.dir / "nodes", 32)) {
    options.shared = SharedOptions{o_.store, o_.name, std::atoll(nodes->c_str()), o_.autonomy};
    options.share = 1;
  }
  EngineEvents events;
  auto renewed = env_.clock.monotonic();
  if (check) events.check_event = event;
  events.progress = [&](const LiveState&) {
    if (env_.clock.monotonic() - renewed < renew_every) return;
    renewed = env_.clock.monotonic();
    if (auto r = jobs.renew(job.id, job.fence, env_.clock.now() + registry::job_lease); !r)
      env_.log.warn("job " + std::to_string(job.id) + ": " + r.error().text());
  };
  auto summary = run_engine(options, shared_, sink_.get(), events, stop_, env_);
  if (!summary) return finish(false, summary.error().text());
  if (!summary->complete && stop_) return {};  // the lease runs out and the job goes on elsewhere, or here after a restart
  auto done = finish(summary->complete, json::text(summary->to_json()));
  if (check && summary->undelivered_bytes == 0) std::filesystem::remove_all(options.dir, error);  // all of it is in the store
  return done;
}

// Works on the oldest survey that others have opened for several nodes and that has room. False: there is none.
Result<bool> Worker::join() {
  registry::Nodes nodes(registry_->db());
  NORA_TRY(auto open, nodes.open_surveys(shared_.mandate.hash()));
  for (const auto& id : open) {
    if (ended_.contains(id)) continue;
    auto options = o_.engine;
    options.dir = o_.engine.dir / ("shared-" + id);
    if (!std::filesystem::exists(options.dir / "plan.json")) {
      NORA_TRY(auto shared, shared_plan(o_.store, shared_.mandate.hash(), id));
      std::error_code error;
      std::filesystem::create_directories(options.dir, error);
      NORA_CHECK(shared.plan.save(options.dir));
    }
    NORA_TRY(auto count, nodes.nodes_of(id));
    options.shared = SharedOptions{o_.store, o_.name, count, o_.autonomy};
    auto summary = run_engine(options, shared_, sink_.get(), {}, stop_, env_);
    if (!summary && summary.error().code == Code::refused) continue;  // as many nodes as may be are there
    if (!summary && summary.error().code != Code::usage) return std::unexpected(summary.error());
    if (!summary || summary->complete) ended_.insert(id);
    if (summary) return true;
  }
  return false;
}

void Worker::run() {
  registry::Jobs jobs(registry_->db());
  bool surveys = std::find(kinds_.begin(), kinds_.end(), "survey") != kinds_.end();
  while (!stop_) {
    if (surveys) {
      auto joined = join();
      if (!joined) env_.log.warn("a shared survey: " + joined.error().text());
      if (joined && *joined) continue;
    }
    auto job = jobs.lease(kinds_, o_.name, env_.clock.now());
    if (!job) {
      env_.log.warn("no job can be leased: " + job.error().text());
      env_.clock.sleep(pause_after_error);
      continue;
    }
    if (!*job) {
      env_.clock.sleep(o_.poll);
      continue;
    }
    if (auto done = work(**job); !done) {
      env_.log.error("job " + std::to_string((*job)->id) + ": " + done.error().text());
      env_.clock.sleep(Span::ms(200));
    }
  }
}

}  // namespace

Status share_plan(const Plan& plan, const std::string& store, std::int64_t nodes, Env env) {
  NORA_TRY(auto registry, registry::Registry::open(store));
  registry::Survey survey;
  survey.id = plan.survey;
  survey.kind = plan.kind;
  survey.mandate_hash = plan.mandate;
  survey.plan = plan.text();
  survey.started = env.clock.now();
  NORA_CHECK(registry.put_survey(survey));
  std::vector<registry::Segment> segments;
  for (std::uint64_t n = 0; n < plan.segments(); ++n) {
    registry::Segment s;
    s.number = static_cast<std::int64_t>(n);
    s.id = segment_id(plan.survey, s.number);
    s.survey = plan.survey;
    s.from = n * plan.segment_size;
    s.to = std::min(s.from + plan.segment_size, plan.space.size());
    segments.push_back(std::move(s));
  }
  NORA_CHECK(registry.add_segments(segments));
  return registry::Nodes(registry.db()).open_survey(plan.survey, nodes);
}

Result<SharedPlan> shared_plan(const std::string& store, const Hash& mandate, const std::string& wanted) {
  NORA_TRY(auto registry, registry::Registry::open(store));
  registry::Nodes nodes(registry.db());
  auto id = wanted;
  if (id.empty()) {
    NORA_TRY(auto open, nodes.open_surveys(mandate));
    if (open.empty()) return fail(Code::not_found, "no survey is open for several nodes under this mandate", "open one: nora scan run --nodes N");
    id = open.front();
  }
  NORA_TRY(auto survey, registry.survey(id));
  if (!survey) return fail(Code::not_found, "there is no survey " + id);
  SharedPlan out;
  NORA_TRY(out.plan, Plan::parse(survey->plan));
  NORA_TRY(out.nodes, nodes.nodes_of(id));
  if (out.nodes == 0) return fail(Code::refused, "the survey " + id + " is not open for several nodes");
  return out;
}

Status run_node(const NodeOptions& options, EngineShared& shared, const std::atomic<bool>& stop, Env env) {
  Worker checks(options, shared, {"check"}, stop, env), surveys(options, shared, {"survey", "remeasure"}, stop, env);
  NORA_CHECK(checks.open());
  NORA_CHECK(surveys.open());
  env.log.info("node " + options.name + " waits for jobs");
  std::thread other([&] { surveys.run(); });
  checks.run();
  other.join();
  return {};
}

}  // namespace nora::survey
