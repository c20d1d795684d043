#include "flow/naming.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/escape.h"
#include "flow/samples.h"
#include "flow/side_by_side.h"
#include "registry/reply_scan.h"

namespace nora::flow {
namespace {

Result<std::vector<Proposal>> read(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT id, cluster, vendor, product, type, proposed_by, accepted_by, rule_file, proposed_at, accepted_at, undone_at FROM cluster_name " +
                                   std::string(tail), params));
  std::vector<Proposal> out;
  for (const auto& r : rows) {
    Proposal p{r[0].integer(), r[1].str(), r[2].str(), r[3].str(), r[4].str(), r[5].str(), r[6].str(), r[7].str(), r[8].instant(), {}, {}};
    if (!r[9].is_null()) p.accepted_at = r[9].instant();
    if (!r[10].is_null()) p.undone_at = r[10].instant();
    out.push_back(std::move(p));
  }
  return out;
}

constexpr std::size_t timed_values = 2000, timed_bytes = 1u << 20;  // of a key, to measure what a pattern costs

// What one reader of the distinct replies found.
struct ReadPart {
  std::vector<Hash> taken;                            // by any candidate: 32 bytes each
  std::vector<std::size_t> decoys;                    // by candidate: replies that show its key and are left alone
  std::vector<std::vector<std::string>> values;       // by candidate: some values of its key; of part 0 only
  std::vector<std::size_t> bytes;
};

Status read_part(store::Db& db, int part, int parts, const identify::NamePlan& plan, ReadPart& out) {
  const auto& candidates = plan.candidates();
  out.decoys.resize(candidates.size());
  out.values.resize(candidates.size());
  out.bytes.resize(candidates.size());
  identify::Scratch scratch;
  std::vector<identify::Slice> slices;
  return registry::scan_replies(db, part, parts, [&](const registry::StoredKeys& reply) -> Status {
    identify::NamePlan::Taken taken;
    auto keys = reply.keys;
    for (std::string_view key, value; keys.next(key, value);) {
      plan.ask(key, value, scratch, slices, taken);
      for (std::size_t i = 0; part == 0 && i < candidates.size(); ++i) {
        if (candidates[i].key != key || out.values[i].size() == timed_values || out.bytes[i] + value.size() > timed_bytes) continue;
        out.values[i].emplace_back(value);
        out.bytes[i] += value.size();
      }
    }
    if (taken.takes != 0) out.taken.push_back(reply.hash);
    for (std::size_t i = 0; i < candidates.size(); ++i) out.decoys[i] += taken.leaves() >> i & 1u;
    return {};
  });
}

// Devices outside the cluster where one of these replies was said while they stood there.
Status devices_of(store::Db& db, std::span<const Hash> replies, std::string_view but_cluster, std::vector<registry::Id>& out) {
  constexpr std::size_t at_once = 500;
  for (std::size_t from = 0; from < replies.size(); from += at_once) {
    const auto some = replies.subspan(from, std::min(at_once, replies.size() - from));
    store::Params params(some.begin(), some.end());
    params.emplace_back(but_cluster);
    NORA_TRY(const auto rows, db.query("SELECT DISTINCT e.device FROM observation o JOIN device_endpoint e ON e.ip = o.ip AND e.port = o.port AND e.proto = o.proto AND "
                                       "e.from_at <= o.at AND e.to_at >= o.at JOIN device d ON d.id = e.device WHERE o.reply_hash IN (" +
                                           store::places(some.size()) + ") AND d.cluster <> ? AND d.merged_into = 0",
                                       params));
    for (const auto& r : rows) out.push_back(r[0].integer());
  }
  return {};
}

}  // namespace

// Every device carries its cluster's key, so sizes, risk and growth are one query each; what the members share is read from some of them.
Result<std::vector<Queued>> Naming::queue(std::size_t min_members, std::string_view only) {
  constexpr Span new_since = Span::days(30);
  auto& db = registry_.db();
  const std::string condition = only.empty() ? "d.cluster <> '' " : "d.cluster = ? ";
  store::Params params = {env_.clock.now() - new_since};
  if (!only.empty()) params.emplace_back(only);
  params.emplace_back(static_cast<std::int64_t>(min_members));
  NORA_TRY(const auto sizes, db.query("SELECT d.cluster, count(*), sum(CASE WHEN d.first_seen >= ? THEN 1 ELSE 0 END) FROM device d WHERE d.merged_into = 0 AND " + condition +
                                          "GROUP BY d.cluster HAVING count(*) >= ?", params));
  NORA_TRY(const auto risks, db.query("SELECT d.cluster, max(f.severity) FROM device d JOIN finding f ON f.device = d.id AND f.state = 'open' WHERE d.merged_into = 0 AND " + condition +
                                          "GROUP BY d.cluster", only.empty() ? store::Params{} : store::Params{only}));
  std::map<std::string, registry::Severity> worst;
  for (const auto& r : risks) worst[r[0].str()] = static_cast<registry::Severity>(r[1].integer());
  std::vector<Queued> out;
  for (const auto& r : sizes) {
    Queued q;
    q.cluster.key = r[0].str();
    q.devices = r[1].integer();
    q.grown = r[2].integer();
    if (const auto it = worst.find(q.cluster.key); it != worst.end()) q.worst = it->second;
    const double n = static_cast<double>(q.devices);
    q.score = n * (1 + (q.worst ? static_cast<double>(*q.worst) : 0)) * (1 + static_cast<double>(q.grown) / n);
    out.push_back(std::move(q));
  }
  std::sort(out.begin(), out.end(), [](const Queued& a, const Queued& b) { return std::tie(b.score, a.cluster.key) < std::tie(a.score, b.cluster.key); });
  if (out.size() > queue_length) out.resize(queue_length);
  for (auto& q : out) {
    NORA_TRY(const auto ids, db.query("SELECT id FROM device WHERE cluster = ? AND merged_into = 0 ORDER BY id LIMIT ?", {q.cluster.key, static_cast<std::int64_t>(max_listed_members)}));
    std::vector<identify::Sample> some;
    std::vector<registry::Id> members;
    for (const auto& r : ids) members.push_back(r[0].integer());
    NORA_CHECK(read_samples(registry_, std::span(members).first(std::min(queue_members, members.size())), [&](const identify::Sample& sample) -> Status {
      some.push_back(sample);
      return {};
    }));
    for (auto& c : identify::clusters(some, 1)) if (c.key == q.cluster.key) q.cluster = std::move(c);
    q.cluster.members = std::move(members);
  }
  return out;
}

// Nothing holds a device: the members stream by twice (what they share, then whether the patterns made of it take them all), the distinct replies once,
// on several connections; only the devices that show a reply which is taken are looked at.
Result<std::vector<identify::NamedRule>> Naming::preview(const identify::Naming& naming) {
  NORA_TRY(auto plan, identify::NamePlan::begin(naming, pipeline_.knowledge().rules));
  NORA_CHECK(read_members(registry_, naming.cluster, [&](const identify::Sample& sample) -> Status {
    plan.member(sample);
    return {};
  }));
  NORA_CHECK(plan.patterns());
  identify::Scratch scratch;
  NORA_CHECK(read_members(registry_, naming.cluster, [&](const identify::Sample& sample) -> Status {
    plan.member_again(plan.ask(sample, scratch).takes);
    return {};
  }));
  plan.hold_back();
  NORA_CHECK(ask_history(plan, naming.cluster));
  if (plan.release()) NORA_CHECK(ask_history(plan, naming.cluster));
  return plan.finish();
}

// What the candidates of the plan take beyond the members, what they leave alone and what they cost.
Status Naming::ask_history(identify::NamePlan& plan, std::string_view cluster) {
  if (std::none_of(plan.candidates().begin(), plan.candidates().end(), [](const auto& c) { return c.open(); })) return {};
  identify::Scratch scratch;
  const auto& url = pipeline_.options().store;
  std::vector<ReadPart> parts(static_cast<std::size_t>(parts_of(url)));
  NORA_CHECK(side_by_side(registry_.db(), url, [&](store::Db& db, int part) { return read_part(db, part, static_cast<int>(parts.size()), plan, parts[static_cast<std::size_t>(part)]); }));
  std::vector<registry::Id> others;
  for (const auto& part : parts) {
    for (std::size_t i = 0; i < part.decoys.size(); ++i) plan.candidates()[i].decoys += part.decoys[i];
    NORA_CHECK(devices_of(registry_.db(), part.taken, cluster, others));
  }
  std::sort(others.begin(), others.end());
  others.erase(std::unique(others.begin(), others.end()), others.end());
  NORA_CHECK(read_samples(registry_, others, [&](const identify::Sample& sample) -> Status {
    if (const auto takes = plan.ask(sample, scratch).takes; takes != 0) plan.other(sample.device, sample.identity, takes);
    return {};
  }));
  std::vector<identify::Slice> slices;
  for (std::size_t i = 0; i < plan.candidates().size(); ++i) {
    auto& c = plan.candidates()[i];
    const auto& values = parts[0].values[i];
    if (!c.open() || values.empty()) continue;
    const auto start = env_.clock.monotonic();
    for (const auto& value : values) c.pattern.match(value, identify::Pattern::Mode::bytes, scratch, slices);
    c.cost_ns = (env_.clock.monotonic() - start).us * 1000 / static_cast<std::int64_t>(values.size());
  }
  return {};
}

Result<registry::Id> Naming::propose(const identify::Naming& naming) {
  if (naming.product.empty() || naming.proposed_by.empty()) return fail(Code::usage, "a name needs a product and the person who proposes it");
  // The rules must be possible before a second person is asked.
  auto trial = naming;
  trial.accepted_by = "(second person)";
  NORA_TRY(const auto rules, preview(trial));
  NORA_TRY(auto rows, registry_.db().query("INSERT INTO cluster_name (cluster, vendor, product, type, proposed_by, proposed_at) VALUES (?,?,?,?,?,?) RETURNING id",
                                           {naming.cluster, to_clean_utf8(naming.vendor), to_clean_utf8(naming.product), to_clean_utf8(naming.type), naming.proposed_by,
                                            env_.clock.now()}));
  return rows.at(0)[0].integer();
}

Result<std::int64_t> Naming::accept(registry::Id id, std::string_view user) {
  if (user.empty()) return fail(Code::usage, "who accepts this name?");
  auto& db = registry_.db();
  NORA_TRY(auto found, read(db, "WHERE id = ?", {id}));
  if (found.empty()) return fail(Code::not_found, fmt::format("there is no proposal {}", id));
  auto& p = found[0];
  if (p.accepted_at) return fail(Code::refused, fmt::format("proposal {} was accepted by {} already", id, p.accepted_by));
  if (p.proposed_by == user) return fail(Code::refused, "the person who proposed a name cannot accept it", "Ask a second person");
  identify::Naming naming{p.cluster, p.vendor, p.product, p.type, p.proposed_by, std::string(user), env_.clock.now()};
  NORA_TRY(const auto rules, preview(naming));
  if (audit_)
    NORA_CHECK(audit_->append("cluster_name", json::Object{{"cluster", p.cluster}, {"vendor", p.vendor}, {"product", p.product}, {"type", p.type},
                                                           {"proposed_by", p.proposed_by}, {"accepted_by", naming.accepted_by}}));
  NORA_CHECK(identify::write_name(rules, dirs_.operator_rules));
  std::string files;
  for (const auto& r : rules) files += (files.empty() ? "" : " ") + r.file;
  NORA_CHECK(db.write("UPDATE cluster_name SET accepted_by = ?, accepted_at = ?, rule_file = ? WHERE id = ?", {user, naming.at, files, id}));
  NORA_CHECK(reload());
  // A family has many names.
  std::string like;
  for (std::size_t from = 0, place = 0; place != std::string::npos; from = place + 3) {  // "{1}"
    place = p.product.find('{', from);
    like += to_sql_like(std::string_view(p.product).substr(from, place - from)) + (place == std::string::npos ? "" : "%");
  }
  NORA_TRY(auto named, db.one("SELECT count(*) FROM device WHERE vendor = ? AND product LIKE ? ESCAPE '\\' AND merged_into = 0", {p.vendor, like}));
  return named.integer();
}

Status Naming::undo(std::string_view cluster, std::string_view user) {
  if (audit_) NORA_CHECK(audit_->append("cluster_name", json::Object{{"cluster", std::string(cluster)}, {"undone_by", to_clean_utf8(user)}}));
  NORA_TRY(const auto removed, identify::unname_cluster(cluster, dirs_.operator_rules));
  if (removed == 0) return fail(Code::not_found, "cluster " + std::string(cluster.substr(0, 40)) + " has no name to undo");
  NORA_CHECK(registry_.db().write("UPDATE cluster_name SET undone_at = ? WHERE cluster = ? AND accepted_at IS NOT NULL AND undone_at IS NULL", {env_.clock.now(), cluster}));
  return reload();
}

Result<std::vector<Proposal>> Naming::proposals(std::string_view cluster) {
  if (cluster.empty()) return read(registry_.db(), "ORDER BY id DESC LIMIT 200", {});
  return read(registry_.db(), "WHERE cluster = ? ORDER BY id DESC LIMIT 200", {cluster});
}

Status Naming::reload() {
  NORA_TRY(auto fresh, Knowledge::load(dirs_));
  NORA_CHECK(pipeline_.change_rules(std::move(fresh)));
  return {};
}

}  // namespace nora::flow
