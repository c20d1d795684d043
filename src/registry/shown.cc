#include "registry/shown.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "registry/views.h"

namespace nora::registry {

Result<std::vector<ShownDevice>> shown(store::Db& db, std::span<const Id> devices) {
  std::vector<ShownDevice> out;
  if (devices.empty()) return out;
  if (devices.size() > max_shown_devices) return fail(Code::usage, "too many devices in one look");
  NORA_TRY(const auto rows, db.query("SELECT e.device, e.id, e.port, e.proto, o.probe, o.reply_hash FROM device_endpoint e "
                                     "JOIN observation o ON o.ip = e.ip AND o.port = e.port AND o.proto = e.proto AND o.at >= e.from_at AND o.at <= e.to_at WHERE e.device IN (" +
                                         store::places(devices.size()) +
                                         ") GROUP BY e.device, e.id, e.port, e.proto, e.to_at, e.ip, o.probe, o.reply_hash "
                                         "ORDER BY e.device, e.to_at DESC, e.ip, e.port, e.proto, e.id, max(o.at) DESC, max(o.id) DESC",
                                     store::Params(devices.begin(), devices.end())));
  std::map<std::pair<Port, Proto>, Id> place;  // service -> its newest endpoint, of the device under work
  for (const auto& r : rows) {
    if (out.empty() || out.back().device != r[0].integer()) {
      out.push_back({r[0].integer(), {}});
      place.clear();
    }
    const Port port{static_cast<std::uint16_t>(r[2].integer())};
    const auto proto = static_cast<Proto>(r[3].integer());
    if (place.try_emplace({port, proto}, r[1].integer()).first->second != r[1].integer()) continue;
    out.back().replies.push_back({port, proto, r[4].str(), r[5].hash()});
  }
  return out;
}

void keep_newest(std::vector<ShownReply>& replies, const std::function<std::string_view(const Hash&)>& protocol_of) {
  std::set<std::tuple<Port, Proto, std::string, std::string>> kinds;
  std::set<std::tuple<Port, Proto, Hash>> answers;
  std::erase_if(replies, [&](const ShownReply& r) {
    const auto protocol = protocol_of(r.hash);
    if (protocol.empty() || protocol == middlebox_protocol) return true;
    return !kinds.insert({r.port, r.proto, r.probe, std::string(protocol)}).second || !answers.insert({r.port, r.proto, r.hash}).second;
  });
}

}  // namespace nora::registry
