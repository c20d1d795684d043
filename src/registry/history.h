// Which rules the history was thought through with, and which addresses must be thought through again: what a program that starts with other rules
// needs to go on from where another one stopped. Used by flow/history and flow/recluster. One thread per Db.
// Words in the store (history_state): "rules" = label (reply_scan.h) of the identifications that every device reflects, "exposures" = version of the
// exposure rules, "faces" = version of the faces by which devices are clustered; "<name>.next" = what the history is being brought to; absent: nothing.
#pragma once

#include <functional>
#include <optional>

#include "registry/reply_scan.h"

namespace nora::registry {

Result<std::string> history_state(store::Db& db, std::string_view name);                 // empty when never set
Status set_history_state(store::Db& db, std::string_view name, std::string_view value);  // empty: forgotten

// The history of distinct replies in parts of about equal size; a reply never leaves its part.
inline constexpr int history_parts = 4096;
struct KeptReply {
  Hash hash{};
  PackedKeys keys;
  std::optional<std::string_view> before, now;   // its kept identifications under the two labels
};
Status scan_history_part(store::Db& db, int part, std::string_view before, std::string_view now, const std::function<Status(const KeptReply&)>& use);
// Identifications of the part's replies that are kept under any other label go.
Status forget_identifications(store::Db& db, int part, std::string_view but);

// ---- addresses to be thought through again ----
Status queue_address(store::Db& db, Ip ip);
Status queue_addresses_of(store::Db& db, const Hash& reply);                        // wherever it was said
// Every place of a device with endpoint id > after, some at a time; returns the last id, 0 when there is none.
Result<Id> queue_device_addresses(store::Db& db, Id after, std::size_t limit);
Result<std::vector<Ip>> queued_addresses(store::Db& db, std::size_t limit);
Result<std::int64_t> queued_count(store::Db& db);
Result<bool> take_address(store::Db& db, Ip ip);                                    // false: somebody else took it

}  // namespace nora::registry
