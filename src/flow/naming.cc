#include "flow/naming.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/escape.h"

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
    for (const auto& r : ids) {
      members.push_back(r[0].integer());
      if (some.size() == queue_members) continue;
      NORA_TRY(const auto device, registry_.device(members.back()));
      if (!device) continue;
      NORA_TRY(auto sample, pipeline_.sample(*device));
      some.push_back(std::move(sample));
    }
    for (auto& c : identify::clusters(some, 1)) if (c.key == q.cluster.key) q.cluster = std::move(c);
    q.cluster.members = std::move(members);
  }
  return out;
}

Result<std::vector<identify::NamedRule>> Naming::preview(const identify::Naming& naming) {
  constexpr std::size_t timed_values = 2000;
  NORA_TRY(const auto samples, pipeline_.samples());
  NORA_TRY(auto rules, identify::plan_name(naming, samples, pipeline_.knowledge().rules));
  identify::Scratch scratch;
  std::vector<identify::Slice> slices;
  for (auto& rule : rules) {
    const auto pattern = identify::Pattern::compile(rule.pattern, "");
    if (!pattern) continue;
    std::size_t values = 0;
    const auto start = env_.clock.monotonic();
    for (const auto& s : samples)
      for (const auto& reply : s.replies)
        for (const auto& kv : reply.keys)
          if (kv.key == rule.key && values < timed_values) { pattern->match(kv.value, identify::Pattern::Mode::bytes, scratch, slices); ++values; }
    if (values > 0) rule.cost_ns = (env_.clock.monotonic() - start).us * 1000 / static_cast<std::int64_t>(values);
  }
  return rules;
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
  NORA_TRY(const auto samples, pipeline_.samples());
  std::vector<registry::Id> members;
  for (const auto& s : samples)
    if (identify::cluster_key(s) == p.cluster) members.push_back(s.device);
  if (audit_)
    NORA_CHECK(audit_->append("cluster_name", json::Object{{"cluster", p.cluster}, {"vendor", p.vendor}, {"product", p.product}, {"type", p.type},
                                                           {"proposed_by", p.proposed_by}, {"accepted_by", naming.accepted_by}}));
  NORA_TRY(const auto rules, identify::name_cluster(naming, samples, pipeline_.knowledge().rules, dirs_.operator_rules));
  std::string files;
  for (const auto& r : rules) files += (files.empty() ? "" : " ") + r.file;
  NORA_CHECK(db.write("UPDATE cluster_name SET accepted_by = ?, accepted_at = ?, rule_file = ? WHERE id = ?", {user, naming.at, files, id}));
  NORA_CHECK(reload());
  NORA_TRY(auto named, db.one("SELECT count(*) FROM device WHERE vendor = ? AND product = ? AND merged_into = 0", {p.vendor, p.product}));
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
