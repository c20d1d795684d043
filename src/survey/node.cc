#include "survey/node.h"

#include <thread>

#include "registry/jobs.h"

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
  Result<Plan> plan_for(const registry::Job& job);

  const NodeOptions& o_;
  EngineShared& shared_;
  std::vector<std::string> kinds_;
  const std::atomic<bool>& stop_;
  Env env_;
  std::optional<registry::Registry> registry_;
  std::unique_ptr<RegistrySink> sink_;
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
  std::error_code error;
  std::filesystem::create_directories(options.dir, error);
  // A job that another holder (or this one, before a crash) began goes on from its spool.
  if (!std::filesystem::exists(options.dir / "plan.json")) {
    auto plan = plan_for(job);
    if (!plan) return finish(false, plan.error().text());
    NORA_CHECK(plan->save(options.dir));
  }
  EngineEvents events;
  auto renewed = env_.clock.monotonic();
  if (check) events.check_event = event;
  events.progress = [&](const EngineEvents::Progress&) {
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

void Worker::run() {
  registry::Jobs jobs(registry_->db());
  while (!stop_) {
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
