#include "flow/pipeline.h"

#include <algorithm>
#include <tuple>

#include "flow/pipeline_parts.h"
#include "flow/recluster.h"
#include "registry/history.h"

namespace nora::flow {
namespace {

constexpr std::size_t observations_per_round = 2000;
constexpr std::size_t observations_per_address = 2000;
constexpr std::size_t max_cached_replies = 20'000;
constexpr std::string_view seen_mark = "flow.observation", outcome_mark = "flow.outcome";

}  // namespace

void PipelineCounts::add(const PipelineCounts& o) {
  addresses += o.addresses;
  devices_new += o.devices_new;
  findings_new += o.findings_new;
  findings_seen += o.findings_seen;
  findings_fixed += o.findings_fixed;
  findings_reopened += o.findings_reopened;
  findings_withdrawn += o.findings_withdrawn;
  cases_new += o.cases_new;
  cases_fixed += o.cases_fixed;
  replies_seen += o.replies_seen;
  replies_again += o.replies_again;
  sightings_joined += o.sightings_joined;
  more = o.more;
}

Pipeline::Pipeline(Env env, registry::Registry& registry, cases::CaseBook& book, const cases::Routes& routes, std::shared_ptr<const Knowledge> knowledge,
                   PipelineOptions options)
    : parts_(new Parts(env, registry, book, routes, std::move(options))) {
  use(std::move(knowledge));
}
Pipeline::Parts::Parts(Env env_, registry::Registry& registry_, cases::CaseBook& book_, const cases::Routes& routes_, PipelineOptions options_)
    : env(env_), registry(registry_), book(book_), routes(routes_), options(std::move(options_)) {}
Pipeline::~Pipeline() = default;
Pipeline::Parts::~Parts() = default;

void Pipeline::use(std::shared_ptr<const Knowledge> knowledge) {
  if (parts_->knowledge == knowledge) return;
  parts_->matcher.reset();
  parts_->cache.clear();
  parts_->knowledge = std::move(knowledge);
  parts_->matcher = std::make_unique<identify::Matcher>(parts_->knowledge->rules, parts_->knowledge->prefilter.get());
  parts_->noted = parts_->claimed = false;
}
const Knowledge& Pipeline::knowledge() const { return *parts_->knowledge; }
const PipelineOptions& Pipeline::options() const { return parts_->options; }

// The statements about one reply: from this process, from the table of earlier work, or by matching now. A pure function of (reply, rules),
// so the whole history is identified again by touching distinct replies only.
Result<const Known*> Pipeline::Parts::known(const Hash& hash) {
  const std::string key(hash.begin(), hash.end());
  if (auto it = cache.find(key); it != cache.end()) return &it->second;
  if (cache.size() >= max_cached_replies) cache.clear();
  NORA_TRY(auto reply, registry.reply(hash));
  if (!reply) return fail(Code::failed, "reply " + to_hex(hash) + " is observed but not stored");
  Known k;
  k.reply = std::move(*reply);
  NORA_TRY(auto memo, registry.identification(hash, knowledge->version));
  std::optional<std::vector<identify::Statement>> kept;
  if (memo) {
    if (auto value = json::parse(*memo); value && value->is_array())
      if (auto statements = identify::statements_from_json(value->as_array())) kept = std::move(*statements);
  }
  if (kept) {
    k.statements = std::move(*kept);
  } else {
    k.statements = identify::statements_of(*matcher, k.reply.keys);
    NORA_CHECK(registry.put_identification(hash, knowledge->version, json::text(json::Value(identify::to_json(k.statements)))));
  }
  return &cache.emplace(key, std::move(k)).first->second;
}

Result<AddressView> Pipeline::Parts::view(Ip ip) {
  AddressView v;
  v.ip = ip;
  NORA_TRY(v.all, registry.observations_of(ip, observations_per_address));
  if (v.all.empty()) return v;
  v.newest = v.all.front().where.at;
  v.route = routes.route(ip, v.newest);
  v.window = v.route && v.route->lease ? *v.route->lease : default_window;
  // Beyond the life of an address somebody else may stand there: older replies do not describe this device.
  std::erase_if(v.all, [&](const auto& o) { return v.newest - o.where.at > v.window; });
  NORA_TRY(auto outcomes, registry::outcomes_at(registry, ip, observations_per_address));
  for (const auto& o : outcomes) {
    if (o.outcome != "closed") continue;
    v.closed.try_emplace(Service{o.port, o.proto}, o);  // newest first
  }
  std::set<std::tuple<Service, std::string, std::string>> taken;  // newest of its kind: (service, probe, protocol)
  std::set<std::pair<Service, Hash>> bytes;
  for (const auto& o : v.all) {
    NORA_TRY(const auto* k, known(o.reply_hash));
    if (k->reply.protocol == registry::middlebox_protocol) continue;
    if (k->reply.protocol != "tcp" || !k->reply.bytes.empty()) v.said_something = true;
    const Service service{o.where.port, o.where.proto};
    if (!taken.insert({service, o.probe, k->reply.protocol}).second) continue;
    if (!bytes.insert({service, o.reply_hash}).second) continue;
    Current c{o, &k->reply, &k->statements, true};
    if (auto it = v.closed.find(service); it != v.closed.end() && it->second.at > o.where.at) c.living = false;
    v.current.push_back(c);
  }
  NORA_TRY(v.set_apart, registry::set_apart(registry, ip, v.newest - v.window));
  return v;
}

Status Pipeline::Parts::assess(Ip ip) {
  looks.clear();
  touched_cases.clear();
  if (cache.size() > max_cached_replies / 2) cache.clear();  // no view may point into it when it is full
  NORA_TRY(const auto v, view(ip));
  ++counts.addresses;
  NORA_CHECK(queue_if_outdated(ip));
  if (v.set_apart) return {};  // what answers there speaks for nobody; what is known of earlier devices stays as it is
  std::vector<PlacedDevice> devices;
  if (v.said_something) { NORA_TRY(devices, place(v)); }
  NORA_CHECK(expose(v, devices));
  NORA_CHECK(end_infections(ip));
  const auto cases_here = touched_cases;
  for (Id id : cases_here) NORA_CHECK(sync_case(id));
  return {};
}

Status Pipeline::Parts::in_turn(const std::function<Status()>& work) {
  return registry.db().transaction([&]() -> Status {
    if (registry.db().is_postgres()) NORA_CHECK(registry.db().write("LOCK TABLE device IN SHARE ROW EXCLUSIVE MODE"));
    return work();
  });
}

// Under other rules: a name may go as well as come.
Status Pipeline::Parts::assess_again(Ip ip, bool only_queued) {
  rules_changed = true;
  const auto done = in_turn([&]() -> Status {
    NORA_TRY(const auto queued, registry::take_address(registry.db(), ip));
    if (only_queued && !queued) return {};
    return assess(ip);
  });
  rules_changed = false;
  return done;
}

Result<PipelineCounts> Pipeline::process_new() {
  auto& p = *parts_;
  p.counts = {};
  if (!p.noted) NORA_CHECK(p.in_turn([&] { return p.note_history(); }));
  NORA_TRY(const auto seen_from, p.registry.progress(seen_mark));
  NORA_TRY(const auto fresh, p.registry.observations_after(seen_from, observations_per_round));
  NORA_TRY(const auto outcome_from, p.registry.progress(outcome_mark));
  Id outcome_to = outcome_from;
  NORA_TRY(const auto outcomes, p.registry.outcomes_after(outcome_from, observations_per_round, &outcome_to));
  std::set<Ip> addresses;
  for (const auto& o : fresh) addresses.insert(o.where.ip);
  // A closed port says something only where something was found.
  std::set<Ip> closed;
  for (const auto& o : outcomes)
    if (o.outcome == "closed" && !addresses.contains(o.ip)) closed.insert(o.ip);
  for (Ip ip : closed) {
    NORA_TRY(const auto findings, p.registry.findings_at(ip));
    if (std::any_of(findings.begin(), findings.end(), [](const auto& f) { return f.finding.state == "open"; })) addresses.insert(ip);
  }
  for (Ip ip : addresses) NORA_CHECK(p.in_turn([&] { return p.assess(ip); }));
  if (!fresh.empty()) NORA_CHECK(p.registry.set_progress(seen_mark, fresh.back().id));
  if (outcome_to != outcome_from) NORA_CHECK(p.registry.set_progress(outcome_mark, outcome_to));
  NORA_CHECK(p.in_turn([&] { return p.join_sightings(); }));
  NORA_CHECK(tell_onsite());
  p.counts.more = fresh.size() == observations_per_round || outcomes.size() == observations_per_round;
  return p.counts;
}

Result<PipelineCounts> Pipeline::reassess(Ip ip) {
  auto& p = *parts_;
  p.counts = {};
  NORA_CHECK(p.in_turn([&] { return p.assess(ip); }));
  NORA_CHECK(tell_onsite());
  return p.counts;
}

Result<PipelineCounts> Pipeline::reassess_all() {
  auto& p = *parts_;
  NORA_TRY(auto rows, p.registry.db().query("SELECT DISTINCT ip FROM device_endpoint ORDER BY ip"));
  std::set<Ip> addresses;
  for (const auto& r : rows) addresses.insert(r[0].ip());
  return reassess_these(addresses);
}

Result<PipelineCounts> Pipeline::reassess_these(const std::set<Ip>& addresses) {
  auto& p = *parts_;
  p.counts = {};
  for (const Ip ip : addresses) NORA_CHECK(p.assess_again(ip, false));
  NORA_CHECK(tell_onsite());
  return p.counts;
}

Status Pipeline::tell_onsite() {
  for (Id id : parts_->onsite_due) NORA_CHECK(parts_->open_onsite(id));
  parts_->onsite_due.clear();
  return {};
}

Status Pipeline::Parts::each_reply(Id device, const std::function<void(const Hash&, const Known&)>& use) {
  NORA_TRY(const auto ends, registry.endpoints(device));
  for (const auto& e : ends) {
    NORA_TRY(const auto rows, registry.db().query("SELECT DISTINCT reply_hash FROM observation WHERE ip = ? AND port = ? AND proto = ? AND at >= ? AND at <= ?",
                                                  {e.ip, e.port.value, static_cast<int>(e.proto), e.from, e.to}));
    for (const auto& r : rows) {
      NORA_TRY(const auto* k, known(r[0].hash()));
      use(r[0].hash(), *k);
    }
  }
  return {};
}

}  // namespace nora::flow
