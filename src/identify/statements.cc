// Turns recog fields into statements about a device (fuse.h), and statements to and from JSON for the memo table.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/escape.h"
#include "identify/fuse.h"
#include "identify/words.h"

namespace nora::identify {

namespace {

std::string field(const Fields& fields, std::string_view name) {
  const auto it = fields.find(std::string(name));
  return it == fields.end() ? std::string{} : it->second;
}

double number(const Fields& fields, const char* name, double fallback) {
  const auto it = fields.find(name);
  if (it == fields.end()) return fallback;
  char* end = nullptr;
  const double v = std::strtod(it->second.c_str(), &end);
  return end != it->second.c_str() && v >= 0 && v <= 1 ? v : fallback;
}

std::string trimmed(std::string text) {
  const auto from = text.find_first_not_of(" \t\r\n");
  if (from == std::string::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

void add_cpe(std::vector<std::string>& to, std::string cpe) {
  if (cpe.empty() || cpe.size() > max_cpe_bytes || to.size() >= max_cpes) return;
  if (std::find(to.begin(), to.end(), cpe) == to.end()) to.push_back(std::move(cpe));
}

// "AirStation" + "WSR-3200AX4S"; never the same words twice.
std::string product_name(const Fields& f) {
  std::string base = field(f, "hw.product");
  if (base.empty()) base = field(f, "hw.family");
  std::string model = field(f, "hw.model");
  if (model.empty() || covers(base, model)) return base;
  if (base.empty() || covers(model, base)) return model;
  return base + " " + model;
}

Statement from_match(const Match& match, const std::string& key) {
  const Fields& f = match.fields;
  Statement s;
  s.key = key;
  s.rule = match.rule->id;
  // Rules of recog carry no nora:source; they were checked by their project.
  s.verified = match.rule->verified || match.rule->source.empty();
  s.vendor = field(f, "hw.vendor");
  s.product = product_name(f);
  s.type = field(f, "hw.device");
  s.firmware = field(f, "hw.version");
  const bool hardware = !s.vendor.empty() || !s.product.empty();
  s.certainty = number(f, "hw.certainty", default_certainty);
  bool own_system = false, own_service = false;  // the operating system, the service is the device itself
  const std::string os_vendor = field(f, "os.vendor"), os_product = field(f, "os.product"), os_device = field(f, "os.device");
  if (hardware) {
    if (s.type.empty()) s.type = os_device;
    // The operating system of a box counts as its firmware only when it is the maker's own.
    own_system = normal(os_vendor) == normal(s.vendor) || os_product.find("Firmware") != std::string::npos;
    if (s.firmware.empty() && own_system) s.firmware = field(f, "os.version");
  } else if (!os_device.empty() && os_device != "General") {
    own_system = true;
    s.vendor = os_vendor;
    s.product = os_product;
    s.firmware = field(f, "os.version");
    if (s.type.empty()) s.type = os_device;
    s.certainty = number(f, "os.certainty", default_certainty) * 0.9;
  } else if (!s.type.empty() && !field(f, "service.product").empty()) {
    // The rule says what the box is and names only its software: a box that exists for this service.
    own_service = true;
    s.vendor = field(f, "service.vendor");
    s.product = field(f, "service.product");
    s.firmware = field(f, "service.version");
    s.certainty = number(f, "service.certainty", default_certainty) * 0.9;
  }
  if (!s.verified) s.certainty *= 0.9;
  s.software = field(f, "service.product");
  if (s.software.empty()) s.software = field(f, "service.family");
  if (const auto version = field(f, "service.version"); !s.software.empty() && !version.empty()) s.software += " " + version;
  s.serial = field(f, "hw.serial_number");
  s.mac = field(f, mac_field);
  add_cpe(s.cpes, field(f, "hw.cpe23"));
  add_cpe(own_system ? s.cpes : s.components, field(f, "os.cpe23"));
  add_cpe(own_service ? s.cpes : s.components, field(f, "service.cpe23"));
  add_cpe(s.components, field(f, "service.component.cpe23"));
  for (auto* text : {&s.vendor, &s.product, &s.firmware, &s.type, &s.software, &s.serial, &s.mac}) *text = trimmed(std::move(*text));
  return s;
}

}  // namespace

std::vector<Statement> statements_of(Matcher& matcher, std::span<const registry::KeyValue> keys) {
  std::vector<Statement> out;
  const auto ask = [&](const std::string& key, const std::string& value) {
    for (const auto& match : matcher.identify_all(key, value)) {
      if (out.size() >= max_statements) return;
      Statement s = from_match(match, key);
      if (s.certainty <= 0) continue;  // recog's "assert nothing"
      s.certainty = matcher.rules().calibration().certainty(s.rule, s.certainty);
      if (s.vendor.empty() && s.product.empty() && s.type.empty() && s.firmware.empty() && s.software.empty() && s.serial.empty() && s.mac.empty() && s.cpes.empty() && s.components.empty())
        continue;
      if (std::find(out.begin(), out.end(), s) == out.end()) out.push_back(std::move(s));
    }
  };
  for (const auto& kv : keys) ask(kv.key, kv.value);
  const auto* makers = matcher.rules().makers();
  if (makers == nullptr) return out;
  // A leaked address stands in a key of its own, or a rule has read it out of a text.
  std::set<std::string> addresses;
  for (const auto& kv : keys) if (is_mac_key(kv.key)) addresses.insert(kv.value);
  for (const auto& s : out) if (!s.mac.empty()) addresses.insert(s.mac);
  std::set<std::string> registrants;
  for (const auto& mac : addresses) registrants.insert(makers->of(mac));
  registrants.erase("");
  for (const auto& name : registrants) ask(std::string(mac_maker_key), name);
  return out;
}

json::Array to_json(const std::vector<Statement>& statements) {
  json::Array out;
  for (const auto& s : statements) {
    json::Object o;
    o["key"] = s.key;
    o["rule"] = s.rule;
    // Captured bytes may be anything; JSON must be UTF-8.
    const auto put = [&](const char* name, const std::string& v) { if (!v.empty()) o[name] = to_clean_utf8(v); };
    put("vendor", s.vendor);
    put("product", s.product);
    put("firmware", s.firmware);
    put("type", s.type);
    put("software", s.software);
    put("serial", s.serial);
    put("mac", s.mac);
    const auto put_list = [&](const char* name, const std::vector<std::string>& list) {
      json::Array texts;
      for (const auto& v : list) texts.emplace_back(to_clean_utf8(v));
      if (!texts.empty()) o[name] = std::move(texts);
    };
    put_list("cpes", s.cpes);
    put_list("components", s.components);
    o["certainty"] = s.certainty;
    o["verified"] = s.verified;
    out.push_back(std::move(o));
  }
  return out;
}

Result<std::vector<Statement>> statements_from_json(const json::Array& array) {
  std::vector<Statement> out;
  for (const auto& value : array) {
    if (!value.is_object()) return fail(Code::bad_input, "a statement is not an object");
    const auto& o = value.as_object();
    Statement s;
    NORA_TRY(s.key, json::get_string(o, "key"));
    NORA_TRY(s.rule, json::get_string(o, "rule"));
    s.vendor = json::string_or(o, "vendor");
    s.product = json::string_or(o, "product");
    s.firmware = json::string_or(o, "firmware");
    s.type = json::string_or(o, "type");
    s.software = json::string_or(o, "software");
    s.serial = json::string_or(o, "serial");
    s.mac = json::string_or(o, "mac");
    for (auto [name, list] : {std::pair("cpes", &s.cpes), std::pair("components", &s.components)}) {
      if (!o.contains(name)) continue;
      NORA_TRY(const auto texts, json::get_array(o, name));
      for (const auto& t : texts) {
        if (!t.is_string()) return fail(Code::bad_input, fmt::format("field \"{}\" of a statement holds something that is no text", name));
        list->emplace_back(t.as_string());
      }
    }
    NORA_TRY(s.certainty, json::get_double(o, "certainty"));
    s.verified = json::bool_or(o, "verified", false);
    out.push_back(std::move(s));
  }
  return out;
}

}  // namespace nora::identify
