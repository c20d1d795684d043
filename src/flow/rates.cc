#include "flow/rates.h"

#include <cmath>
#include <set>

#include "base/escape.h"
#include "flow/pipeline_parts.h"
#include "identify/words.h"

namespace nora::flow {

std::pair<double, double> Precision::interval() const {
  if (stated == 0) return {0, 1};
  constexpr double z = 1.959964;
  const double n = static_cast<double>(stated), p = share();
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

Status put_label(registry::Registry& registry, const Label& l) {
  NORA_TRY(const auto device, registry.device(l.device));
  if (!device) return fail(Code::not_found, "there is no device " + std::to_string(l.device));
  if (l.who.empty()) return fail(Code::usage, "who says so?");
  if (l.vendor.empty() && l.product.empty() && l.type.empty()) return fail(Code::usage, "a label says at least the vendor, the product or the type");
  return registry.db().write("INSERT INTO device_label (device, vendor, product, type, who, at) VALUES (?,?,?,?,?,?) ON CONFLICT (device) DO UPDATE SET "
                             "vendor = excluded.vendor, product = excluded.product, type = excluded.type, who = excluded.who, at = excluded.at",
                             {l.device, to_clean_utf8(l.vendor), to_clean_utf8(l.product), to_clean_utf8(l.type), to_clean_utf8(l.who), l.at});
}

Result<std::vector<Label>> labels(registry::Registry& registry) {
  NORA_TRY(const auto rows, registry.db().query("SELECT device, vendor, product, type, who, at FROM device_label ORDER BY device"));
  std::vector<Label> out;
  for (const auto& r : rows) out.push_back({r[0].integer(), r[1].str(), r[2].str(), r[3].str(), r[4].str(), r[5].instant()});
  return out;
}

Result<Rates> Pipeline::rates() {
  auto& p = *parts_;
  Rates out;
  for (Id after = 0;;) {
    NORA_TRY(const auto page, p.registry.all_devices(after, 1000));
    if (page.empty()) break;
    for (const auto& d : page) {
      after = d.id;
      ++out.total.devices;
      const auto& id = d.identity;
      out.total.type += !id.type.value.empty() ? 1 : 0;
      out.total.vendor += id.vendor.value.empty() || id.vendor.confidence < identify::strong ? 0 : 1;
      out.total.product += id.product_known() ? 1 : 0;
      out.total.firmware += id.product_known() && !id.firmware.value.empty() ? 1 : 0;
      // What each key alone says of this device.
      std::map<std::string, Rate> shown;
      std::set<Hash> seen;
      NORA_CHECK(p.each_reply(d.id, [&](const Hash& hash, const Known& k) {
        if (!seen.insert(hash).second) return;
        for (const auto& kv : k.reply.keys) if (!p.knowledge->rules.files_of(kv.key).empty()) shown[kv.key];
        for (const auto& s : k.statements) {
          auto& rate = shown[s.key];
          const bool strong = s.certainty >= identify::strong;
          rate.type |= s.type.empty() ? 0 : 1;
          rate.vendor |= s.vendor.empty() || !strong ? 0 : 1;
          rate.product |= s.product.empty() || !strong ? 0 : 1;
          rate.firmware |= s.product.empty() || s.firmware.empty() || !strong ? 0 : 1;
        }
      }));
      for (const auto& [key, rate] : shown) {
        auto& sum = out.by_key[key];
        ++sum.devices;
        sum.type += rate.type;
        sum.vendor += rate.vendor;
        sum.product += rate.product;
        sum.firmware += rate.firmware;
      }
    }
  }
  NORA_TRY(const auto said, labels(p.registry));
  for (const auto& l : said) {
    NORA_TRY(const auto d, p.registry.device(l.device));
    if (!d) continue;
    ++out.labelled;
    const auto compare = [](Precision& sum, const registry::Claim& claim, const std::string& label) {
      if (label.empty() || claim.value.empty() || claim.confidence < identify::strong) return;
      ++sum.stated;
      sum.right += identify::compatible(claim.value, label) ? 1 : 0;
    };
    compare(out.type, d->identity.type, l.type);
    compare(out.vendor, d->identity.vendor, l.vendor);
    compare(out.product, d->identity.product, l.product);
  }
  NORA_TRY(const auto unnamed, p.registry.db().query("SELECT count(*) FROM device WHERE merged_into = 0 AND cluster <> '' GROUP BY cluster"));
  for (const auto& r : unnamed) {
    ++out.clusters;
    out.clustered += r[0].integer();
    out.largest = std::max(out.largest, r[0].integer());
  }
  return out;
}

}  // namespace nora::flow
