// Pipeline::change_rules: other rules over the whole history. Only distinct replies that a changed rule matches are identified again; the
// others keep their answer. Reading is done by several threads, each on its own connection; writing by the caller's.
#include <atomic>
#include <mutex>
#include <thread>

#include "flow/pipeline_parts.h"
#include "identify/rule_diff.h"
#include "registry/reply_scan.h"

namespace nora::flow {
namespace {

constexpr int readers = 2;

struct Again {
  Hash hash{};
  std::vector<identify::Statement> statements;
};

// Every reply of one part of the history whose answer may differ, identified by the new rules.
Status read_part(store::Db& db, int part, int parts, const identify::RuleDiff& diff, identify::Matcher& matcher, std::vector<Again>& out, std::atomic<std::int64_t>& seen) {
  identify::Scratch scratch;
  std::vector<identify::Slice> slices;
  return registry::scan_replies(db, part, parts, [&](const Hash& hash, registry::PackedKeys keys) -> Status {
    seen.fetch_add(1, std::memory_order_relaxed);
    std::string_view key, value;
    bool touched = false;
    for (auto walk = keys; !touched && walk.next(key, value);)
      if (const auto* changed = identify::changed(diff, key)) touched = may_differ(*changed, value, scratch, slices);
    if (!touched) return {};
    std::vector<registry::KeyValue> all;
    while (keys.next(key, value)) all.push_back({std::string(key), std::string(value)});
    out.push_back({hash, identify::statements_of(matcher, all)});
    return {};
  });
}

}  // namespace

Result<PipelineCounts> Pipeline::change_rules(std::shared_ptr<const Knowledge> after) {
  auto& p = *parts_;
  const auto before = p.knowledge;
  if (before->exposure_version != after->exposure_version) {
    // Other exposure rules may mean something else for any device.
    use(std::move(after));
    return reassess_all();
  }
  const auto diff = identify::diff(before->rules, after->rules);
  std::vector<std::vector<Again>> parts(p.options.store.empty() ? 1 : readers);
  std::vector<Status> done(parts.size());
  std::atomic<std::int64_t> seen{0};
  const int count = static_cast<int>(parts.size());
  if (!diff.empty()) {
    std::vector<std::jthread> others;
    for (int i = 1; i < count; ++i) {
      others.emplace_back([&, i] {
        done[static_cast<std::size_t>(i)] = [&]() -> Status {
          NORA_TRY(auto db, store::Db::open(p.options.store));
          identify::Matcher matcher(after->rules, after->prefilter.get());
          return read_part(*db, i, count, diff, matcher, parts[static_cast<std::size_t>(i)], seen);
        }();
      });
    }
    identify::Matcher matcher(after->rules, after->prefilter.get());
    done[0] = read_part(p.registry.db(), 0, count, diff, matcher, parts[0], seen);
  }
  for (auto& status : done) NORA_CHECK(status);

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
    return {};
  }));
  use(std::move(after));
  NORA_TRY(auto counts, reassess_these(addresses));
  counts.replies_seen = seen;
  counts.replies_again = again;
  return counts;
}

}  // namespace nora::flow
