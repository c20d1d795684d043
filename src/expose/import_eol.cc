// endoflife.date: release cycles of a product, in the old form (a list of cycles) and in API v1 ({"result": {"releases": […]}}).
#include <set>

#include "base/text.h"
#include "expose/json_read.h"
#include "expose/vuln_import.h"

namespace nora::expose {
namespace {

// eol: false = supported, true = ended on an unknown day, or a date.
Result<std::string> end_of(const JsonPlace& p, std::string_view key) {
  const auto v = p.find(key);
  if (!v || v->value().is_null()) return std::string();
  if (v->value().is_bool()) return std::string(v->value().get_bool() ? "ended" : "supported");
  if (!v->value().is_string()) return v->bad("is neither a date nor true or false");
  const std::string date(v->value().get_string());
  if (date.size() != 10 || !normal_time(date)) return v->bad("is not a date");
  return date;
}

Status check(const JsonPlace& at, std::set<std::string>& seen, const SupportCycle& c) {
  if (c.cycle.empty()) return at.bad("the cycle has no name");
  if (!seen.insert(c.cycle).second) return at.bad("cycle " + c.cycle + " stands there twice");
  return {};
}

}  // namespace

Result<std::vector<SupportCycle>> parse_eol(std::string_view text, std::string_view product) {
  NORA_TRY(const auto document, json::parse(text));
  const JsonPlace root(document, "");
  std::vector<SupportCycle> out;
  std::set<std::string> seen;
  if (document.is_array()) {
    NORA_TRY(const auto cycles, root.items());
    for (const auto& p : cycles) {
      SupportCycle c;
      c.product = product;
      const auto name = p.find("cycle");
      if (!name) return p.bad("\"cycle\" is missing");
      // Older files write 7 instead of "7".
      if (name->value().is_int64()) c.cycle = std::to_string(name->value().get_int64());
      else { NORA_TRY(c.cycle, p.text("cycle")); }
      if (!p.find("eol")) return p.bad("\"eol\" is missing");
      NORA_TRY(c.eol, end_of(p, "eol"));
      NORA_TRY(c.support, end_of(p, "support"));
      NORA_TRY(c.latest, p.text_or_empty("latest"));
      NORA_CHECK(check(p, seen, c));
      out.push_back(std::move(c));
    }
    if (product.empty()) return root.bad("the product is not named in this form: the file must be called <product>.json");
    return out;
  }
  NORA_TRY(const auto result, root.need("result"));
  NORA_TRY(const auto name, result.text("name"));
  NORA_TRY(const auto releases, result.need("releases"));
  NORA_TRY(const auto items, releases.items());
  for (const auto& p : items) {
    SupportCycle c;
    c.product = name;
    NORA_TRY(c.cycle, p.text("name"));
    NORA_TRY(c.eol, end_of(p, "eolFrom"));
    if (c.eol.empty()) { NORA_TRY(c.eol, end_of(p, "isEol")); }
    NORA_TRY(c.support, end_of(p, "eoasFrom"));
    if (const auto latest = p.find("latest"); latest && latest->is_object()) { NORA_TRY(c.latest, latest->text_or_empty("name")); }
    NORA_CHECK(check(p, seen, c));
    out.push_back(std::move(c));
  }
  return out;
}

const SupportCycle* cycle_of(const std::vector<SupportCycle>& cycles, std::string_view firmware) {
  while (!firmware.empty() && !(firmware.front() >= '0' && firmware.front() <= '9')) firmware.remove_prefix(1);  // "Ver.7.1", "v7.1"
  const SupportCycle* best = nullptr;
  for (const auto& c : cycles) {
    if (!firmware.starts_with(c.cycle)) continue;
    const auto rest = firmware.substr(c.cycle.size());
    if (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') continue;  // cycle 6 is not version 60
    if (best == nullptr || c.cycle.size() > best->cycle.size()) best = &c;
  }
  return best;
}

}  // namespace nora::expose
