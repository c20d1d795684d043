// Pipeline::catch_up: a program that starts with other rules than the history was thought through with brings the history to its own, in steps that
// others may go on from. What is done stands in the store (registry/history.h): a kill loses one step.
//   1. Every distinct reply is identified by the new rules; where the answer is another one, its addresses are queued.
//   2. Other exposure rules: every address with a device is queued.
//   3. Queued addresses are thought through again.
//   4. Other faces: devices without a name are clustered again (recluster.cc).
// Each step is one short transaction, so that surveys and the desk go on meanwhile. An address that another program assesses by other rules than the
// history is being brought to is queued as well: the last one that started has the last word.
#include <fmt/format.h>

#include "flow/pipeline_parts.h"
#include "flow/recluster.h"
#include "registry/history.h"

namespace nora::flow {
namespace {

constexpr int replies_per_step = 1000, parts_per_step = 256;
constexpr std::size_t endpoints_per_step = 20'000, addresses_per_step = 50;
constexpr Span tell_again = Span::seconds(10);
constexpr std::string_view part_mark = "history.part", endpoint_mark = "history.endpoint";

// Where the history is being brought to: "<name>.next", else "<name>".
Result<std::string> target(store::Db& db, std::string_view name) {
  NORA_TRY(auto next, registry::history_state(db, std::string(name) + ".next"));
  if (!next.empty()) return next;
  return registry::history_state(db, name);
}

}  // namespace

Status Pipeline::Parts::claim(std::string_view name, std::string_view mine, std::string_view progress, bool may_move) {
  auto& db = registry.db();
  NORA_TRY(const auto aim, target(db, name));
  if (aim == mine) return {};
  if (aim.empty()) {
    NORA_TRY(const auto devices, db.one("SELECT min(id) FROM device"));
    if (devices.is_null()) return registry::set_history_state(db, name, mine);  // a new store
  }
  if (!may_move) return {};
  env.log.info(fmt::format("{} are other ones than the history was thought through with: it is thought through again", name));
  NORA_CHECK(registry::set_history_state(db, std::string(name) + ".next", mine));
  return registry.set_progress(progress, 0);
}

// The first program of a store: what it sees is thought through by its rules from the beginning.
Status Pipeline::Parts::note_history() {
  auto& db = registry.db();
  NORA_TRY(const auto label, registry::rules_label(db, knowledge->version));
  NORA_CHECK(claim("rules", label, part_mark, false));
  NORA_CHECK(claim("exposures", knowledge->exposure_version, endpoint_mark, false));
  NORA_CHECK(claim("faces", identify::face_version(), cluster_mark, false));
  noted = true;
  return {};
}

Status Pipeline::Parts::claim_history() {
  auto& db = registry.db();
  NORA_TRY(const auto label, registry::rules_label(db, knowledge->version));
  if (label.find(registry::superseded) != std::string::npos) return {};  // this program's rules were just replaced; it will get the new ones
  NORA_CHECK(claim("rules", label, part_mark, true));
  NORA_CHECK(claim("exposures", knowledge->exposure_version, endpoint_mark, true));
  NORA_CHECK(claim("faces", identify::face_version(), cluster_mark, true));
  claimed = true;
  return {};
}

Status Pipeline::Parts::queue_if_outdated(Ip ip) {
  auto& db = registry.db();
  NORA_TRY(const auto aim, db.query("SELECT coalesce((SELECT value FROM history_state WHERE name = 'rules.next'), (SELECT value FROM history_state WHERE name = 'rules'), ''), "
                                    "coalesce((SELECT value FROM history_state WHERE name = 'exposures.next'), (SELECT value FROM history_state WHERE name = 'exposures'), ''), "
                                    "coalesce((SELECT label FROM rules_label WHERE version = ?), ?)", {knowledge->version, knowledge->version}));
  const auto other = [](const std::string& wanted, const std::string& mine) { return !wanted.empty() && wanted != mine; };
  if (!other(aim[0][0].str(), aim[0][2].str()) && !other(aim[0][1].str(), knowledge->exposure_version)) return {};
  return registry::queue_address(db, ip);
}

Result<bool> Pipeline::Parts::replies_step() {
  auto& db = registry.db();
  NORA_CHECK(in_turn([&]() -> Status {
    NORA_TRY(const auto label, registry::rules_label(db, knowledge->version));
    NORA_TRY(const auto next, registry::history_state(db, "rules.next"));
    if (next != label) return {};
    NORA_TRY(const auto before, registry::history_state(db, "rules"));
    NORA_TRY(const auto from, registry.progress(part_mark));
    auto part = static_cast<int>(from);
    const auto seen_before = counts.replies_seen;
    for (; part < registry::history_parts && part < from + parts_per_step && counts.replies_seen < seen_before + replies_per_step; ++part) {
      NORA_CHECK(registry::scan_history_part(db, part, before, label, [&](const registry::KeptReply& reply) -> Status {
        ++counts.replies_seen;
        auto keys = reply.keys;
        const auto text = json::text(json::Value(identify::to_json(identify::statements_of(*matcher, keys.rest()))));
        if (reply.now != text) NORA_CHECK(registry.put_identification(reply.hash, knowledge->version, text));
        // One that the old rules never saw was thought through by the new ones when it came.
        if (reply.before == text || (!reply.before && reply.now)) return {};
        ++counts.replies_again;
        return registry::queue_addresses_of(db, reply.hash);
      }));
      NORA_CHECK(registry::forget_identifications(db, part, label));
    }
    NORA_CHECK(registry.set_progress(part_mark, part));
    if (part < registry::history_parts) return tell_progress(fmt::format("{:.0f} % of the replies are identified again", 100.0 * part / registry::history_parts), false);
    NORA_CHECK(registry::set_history_state(db, "rules", label));
    NORA_CHECK(registry::set_history_state(db, "rules.next", ""));
    return tell_progress("all replies are identified again", true);
  }));
  return true;
}

Result<bool> Pipeline::Parts::exposures_step() {
  auto& db = registry.db();
  NORA_CHECK(in_turn([&]() -> Status {
    NORA_TRY(const auto next, registry::history_state(db, "exposures.next"));
    if (next != knowledge->exposure_version) return {};
    NORA_TRY(const auto after, registry.progress(endpoint_mark));
    NORA_TRY(const auto last, registry::queue_device_addresses(db, after, endpoints_per_step));
    if (last != 0) return registry.set_progress(endpoint_mark, last);
    NORA_CHECK(registry::set_history_state(db, "exposures", next));
    return registry::set_history_state(db, "exposures.next", "");
  }));
  return true;
}

Result<bool> Pipeline::Parts::addresses_step() {
  NORA_TRY(const auto queued, registry::queued_addresses(registry.db(), addresses_per_step));
  for (const Ip ip : queued) NORA_CHECK(assess_again(ip, true));
  if (!queued.empty()) NORA_CHECK(tell_progress("addresses are thought through again", false));
  return !queued.empty();
}

Result<bool> Pipeline::Parts::history_step() {
  auto& db = registry.db();
  NORA_TRY(const auto label, registry::rules_label(db, knowledge->version));
  NORA_TRY(const auto rules, target(db, "rules"));
  NORA_TRY(const auto exposures, target(db, "exposures"));
  if (rules != label || exposures != knowledge->exposure_version) return false;  // another program started later, with other rules
  NORA_TRY(const auto rules_next, registry::history_state(db, "rules.next"));
  if (!rules_next.empty()) return replies_step();
  NORA_TRY(const auto exposures_next, registry::history_state(db, "exposures.next"));
  if (!exposures_next.empty()) return exposures_step();
  NORA_TRY(const auto some, addresses_step());
  if (some) return true;
  NORA_TRY(const auto faces, registry::history_state(db, "faces.next"));
  if (faces != identify::face_version()) return false;
  ClusterCounts ignored;
  return clusters_step(ignored);
}

// Says how far it is, now and then.
Status Pipeline::Parts::tell_progress(std::string_view what, bool at_once) {
  const auto now = env.clock.monotonic();
  if (!told_at) told_at = now;
  if (!at_once && now - *told_at < tell_again) return {};
  told_at = now;
  NORA_TRY(const auto left, registry::queued_count(registry.db()));
  env.log.info(fmt::format("history: {}; {} addresses wait for it", what, left));
  return {};
}

Result<PipelineCounts> Pipeline::catch_up(Span at_most) {
  auto& p = *parts_;
  p.counts = {};
  if (!p.claimed) NORA_CHECK(p.in_turn([&] { return p.claim_history(); }));
  const auto from = p.env.clock.monotonic();
  bool more = true;
  do {
    NORA_TRY(more, p.history_step());
  } while (more && p.env.clock.monotonic() - from < at_most);
  NORA_CHECK(tell_onsite());
  p.counts.more = more;
  return p.counts;
}

Result<PipelineCounts> Pipeline::catch_up_wholly() {
  PipelineCounts all;
  do {
    NORA_TRY(const auto some, catch_up(Span::seconds(10)));
    all.add(some);
  } while (all.more);
  return all;
}

}  // namespace nora::flow
