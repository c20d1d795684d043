// Pipeline::change_rules: other rules over the whole history while a program runs. Only distinct replies that a changed rule matches are identified
// again; the others keep their answer. Reading is done by several threads, each on its own connection; writing by the caller's.
#include <atomic>

#include "flow/pipeline_parts.h"
#include "flow/side_by_side.h"
#include "identify/rule_diff.h"
#include "registry/history.h"

namespace nora::flow {
namespace {

struct Again {
  Hash hash{};
  std::vector<identify::Statement> statements;
};

// Every reply of one part of the history whose answer may differ, identified by the new rules.
Status read_part(store::Db& db, int part, int parts, const identify::RuleDiff& diff, identify::Matcher& matcher, std::vector<Again>& out, std::atomic<std::int64_t>& seen) {
  identify::Scratch scratch;
  std::vector<identify::Slice> slices;
  return registry::scan_replies(db, part, parts, [&](const registry::StoredKeys& reply) -> Status {
    seen.fetch_add(1, std::memory_order_relaxed);
    std::string_view key, value;
    bool touched = false;
    for (auto walk = reply.keys; !touched && walk.next(key, value);)
      if (const auto* changed = identify::changed(diff, key)) touched = may_differ(*changed, value, scratch, slices);
    if (!touched) return {};
    auto all = reply.keys;
    out.push_back({reply.hash, identify::statements_of(matcher, all.rest())});
    return {};
  });
}

}  // namespace

Result<PipelineCounts> Pipeline::change_rules(std::shared_ptr<const Knowledge> after) {
  auto& p = *parts_;
  const auto before = p.knowledge;
  if (before->exposure_version != after->exposure_version) {
    // Other exposure rules may mean something else for any device: the way of a program that starts with other rules.
    use(std::move(after));
    return catch_up_wholly();
  }
  const auto diff = identify::diff(before->rules, after->rules);
  std::vector<std::vector<Again>> parts(static_cast<std::size_t>(parts_of(p.options.store)));
  std::atomic<std::int64_t> seen{0};
  if (!diff.empty())
    NORA_CHECK(side_by_side(p.registry.db(), p.options.store, [&](store::Db& db, int part) {
      identify::Matcher matcher(after->rules, after->prefilter.get());
      return read_part(db, part, static_cast<int>(parts.size()), diff, matcher, parts[static_cast<std::size_t>(part)], seen);
    }));

  std::set<Ip> addresses;
  std::int64_t again = 0;
  const auto now = p.env.clock.now();
  NORA_CHECK(p.registry.db().transaction([&]() -> Status {
    NORA_CHECK(registry::move_identifications(p.registry.db(), before->version, after->version, now));
    for (const auto& part : parts) {
      for (const auto& reply : part) {
        ++again;
        const auto text = json::text(json::Value(identify::to_json(reply.statements)));
        NORA_TRY(const auto kept, p.registry.identification(reply.hash, after->version));
        if (kept && *kept == text) continue;
        NORA_CHECK(p.registry.put_identification(reply.hash, after->version, text));
        NORA_TRY(const auto rows, p.registry.db().query("SELECT DISTINCT ip FROM observation WHERE reply_hash = ?", {reply.hash}));
        for (const auto& r : rows) addresses.insert(r[0].ip());
      }
    }
    // Whoever is stopped between here and the end leaves word of what is left.
    for (const Ip ip : addresses) NORA_CHECK(registry::queue_address(p.registry.db(), ip));
    return {};
  }));
  use(std::move(after));
  NORA_TRY(auto counts, reassess_these(addresses));
  counts.replies_seen = seen;
  counts.replies_again = again;
  return counts;
}

}  // namespace nora::flow
