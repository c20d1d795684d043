#include "registry/retention.h"

#include "base/bytes.h"

namespace nora::registry {

Result<Forgotten> forget(store::Db& db, const RetentionLimits& limits, bool try_only) {
  Forgotten out;
  bool tried = false;
  auto done = db.transaction([&]() -> Status {
    NORA_TRY(out.reply_bytes, db.exec("UPDATE reply SET bytes = ? WHERE length(bytes) > 0 AND first_seen < ? AND NOT EXISTS "
                                      "(SELECT 1 FROM observation o WHERE o.reply_hash = reply.hash AND o.at >= ?)",
                                      {Bytes{}, limits.replies, limits.replies}));
    NORA_TRY(out.outcomes, db.exec("DELETE FROM probe_outcome WHERE at < ?", {limits.replies}));

    std::string over = "(case_id = 0 AND last_seen < ?)";
    store::Params params{limits.findings};
    if (!limits.ended.empty()) {
      over += " OR case_id IN (SELECT id FROM cases WHERE state_at < ? AND state IN (";
      params.emplace_back(limits.findings);
      for (const auto& state : limits.ended) {
        over += params.size() > 2 ? ", ?" : "?";
        params.emplace_back(state);
      }
      over += "))";
    }
    NORA_CHECK(db.exec("DELETE FROM finding_event WHERE finding IN (SELECT id FROM finding WHERE " + over + ")", params));
    NORA_TRY(out.findings, db.exec("DELETE FROM finding WHERE " + over, params));
    NORA_TRY(out.endpoints, db.exec("DELETE FROM device_endpoint WHERE to_at < ?", {limits.findings}));
    NORA_TRY(out.observations, db.exec("DELETE FROM observation WHERE at < ? AND id NOT IN (SELECT observation FROM finding)", {limits.findings}));
    const std::string unused = "first_seen < ? AND NOT EXISTS (SELECT 1 FROM observation o WHERE o.reply_hash = reply.hash)";
    NORA_CHECK(db.exec("DELETE FROM identification WHERE reply_hash IN (SELECT hash FROM reply WHERE " + unused + ")", {limits.findings}));
    NORA_TRY(out.replies, db.exec("DELETE FROM reply WHERE " + unused, {limits.findings}));

    NORA_CHECK(db.exec("DELETE FROM sighting_join WHERE sighting IN (SELECT id FROM sighting WHERE last_at < ?)", {limits.sightings}));
    NORA_TRY(out.sightings, db.exec("DELETE FROM sighting WHERE last_at < ?", {limits.sightings}));
    if (!try_only) return {};
    tried = true;
    return fail(Code::interrupted, "only tried");  // takes everything back
  });
  if (!done && !tried) return std::unexpected(done.error());
  return out;
}

}  // namespace nora::registry
