// Vulnerability as JSON and back: how the store keeps a record.
#include <fmt/format.h>

#include "base/escape.h"
#include "expose/vuln.h"

namespace nora::expose {
namespace {

void put(json::Object& o, std::string_view key, const std::string& value) { if (!value.empty()) o[key] = to_clean_utf8(value); }
json::Array strings(const std::vector<std::string>& list) {
  json::Array out;
  for (const auto& s : list) out.emplace_back(to_clean_utf8(s));
  return out;
}
void put(json::Object& o, std::string_view key, const std::vector<std::string>& list) { if (!list.empty()) o[key] = strings(list); }

json::Object of(const CpeMatch& m) {
  json::Object o{{"cpe", m.cpe.formatted()}};
  if (!m.vulnerable) o["vulnerable"] = false;
  put(o, "start_including", m.start_including);
  put(o, "start_excluding", m.start_excluding);
  put(o, "end_including", m.end_including);
  put(o, "end_excluding", m.end_excluding);
  if (!m.versions_named) o["versions_named"] = false;
  put(o, "version_text", m.version_text);
  return o;
}
json::Object of(const Configuration& c) {
  json::Object o;
  if (c.op == Configuration::Op::all) o["op"] = "all";
  if (c.negate) o["negate"] = true;
  json::Array matches, children;
  for (const auto& m : c.matches) matches.emplace_back(of(m));
  for (const auto& n : c.children) children.emplace_back(of(n));
  if (!matches.empty()) o["matches"] = std::move(matches);
  if (!children.empty()) o["children"] = std::move(children);
  return o;
}

// References, not copies: a record can hold thousands of criteria.
Result<const json::Array*> array_of(const json::Object& o, std::string_view key) {
  static const json::Array none;
  const auto* v = o.if_contains(key);
  if (v == nullptr) return &none;
  if (!v->is_array()) return fail(Code::bad_input, fmt::format("field \"{}\" is not a list", key));
  return &v->get_array();
}
Result<std::vector<std::string>> strings_in(const json::Object& o, std::string_view key) {
  std::vector<std::string> out;
  NORA_TRY(const auto* list, array_of(o, key));
  for (const auto& v : *list) {
    if (!v.is_string()) return fail(Code::bad_input, fmt::format("field \"{}\" is not a list of strings", key));
    out.emplace_back(v.get_string());
  }
  return out;
}
Result<CpeMatch> match_in(const json::Value& v) {
  if (!v.is_object()) return fail(Code::bad_input, "a criterion is not an object");
  const auto& o = v.get_object();
  CpeMatch m;
  NORA_TRY(const auto text, json::get_string(o, "cpe"));
  NORA_TRY(m.cpe, Cpe::parse(text));
  m.vulnerable = json::bool_or(o, "vulnerable", true);
  m.start_including = json::string_or(o, "start_including");
  m.start_excluding = json::string_or(o, "start_excluding");
  m.end_including = json::string_or(o, "end_including");
  m.end_excluding = json::string_or(o, "end_excluding");
  m.versions_named = json::bool_or(o, "versions_named", true);
  m.version_text = json::string_or(o, "version_text");
  return m;
}
Result<Configuration> configuration_in(const json::Value& v, int depth) {
  if (!v.is_object() || depth > max_configuration_depth) return fail(Code::bad_input, "a configuration is not an object, or nests too deeply");
  const auto& o = v.get_object();
  Configuration c;
  c.op = json::string_or(o, "op", "any") == "all" ? Configuration::Op::all : Configuration::Op::any;
  c.negate = json::bool_or(o, "negate", false);
  NORA_TRY(const auto* matches, array_of(o, "matches"));
  for (const auto& m : *matches) {
    NORA_TRY(auto match, match_in(m));
    c.matches.push_back(std::move(match));
  }
  NORA_TRY(const auto* children, array_of(o, "children"));
  for (const auto& n : *children) {
    NORA_TRY(auto child, configuration_in(n, depth + 1));
    c.children.push_back(std::move(child));
  }
  return c;
}

}  // namespace

json::Object to_json(const Vulnerability& v) {
  json::Object o{{"id", v.id}, {"source", v.source}, {"record", v.record}};
  put(o, "title_en", v.title_en);
  put(o, "title_ja", v.title_ja);
  put(o, "description", v.description);
  put(o, "status", v.status);
  put(o, "published", v.published);
  put(o, "modified", v.modified);
  json::Array cvss, configurations, spared;
  for (const auto& c : v.cvss) cvss.push_back(json::Object{{"version", to_clean_utf8(c.version)}, {"vector", to_clean_utf8(c.vector)}, {"severity", to_clean_utf8(c.severity)}, {"score", c.score}});
  for (const auto& c : v.configurations) configurations.emplace_back(of(c));
  for (const auto& m : v.not_affected) spared.emplace_back(of(m));
  if (!cvss.empty()) o["cvss"] = std::move(cvss);
  put(o, "cwes", v.cwes);
  put(o, "references", v.references);
  put(o, "remedies", v.remedies);
  if (!configurations.empty()) o["configurations"] = std::move(configurations);
  if (!spared.empty()) o["not_affected"] = std::move(spared);
  if (v.kev) {
    json::Object k{{"ransomware", v.kev->ransomware}};
    put(k, "date_added", v.kev->date_added);
    put(k, "due_date", v.kev->due_date);
    put(k, "required_action", v.kev->required_action);
    put(k, "vendor_project", v.kev->vendor_project);
    put(k, "product", v.kev->product);
    put(k, "notes", v.kev->notes);
    o["kev"] = std::move(k);
  }
  return o;
}

Result<Vulnerability> vulnerability_from(const json::Object& o) {
  Vulnerability v;
  NORA_TRY(v.id, json::get_string(o, "id"));
  NORA_TRY(v.source, json::get_string(o, "source"));
  NORA_TRY(v.record, json::get_string(o, "record"));
  v.title_en = json::string_or(o, "title_en");
  v.title_ja = json::string_or(o, "title_ja");
  v.description = json::string_or(o, "description");
  v.status = json::string_or(o, "status");
  v.published = json::string_or(o, "published");
  v.modified = json::string_or(o, "modified");
  NORA_TRY(const auto* cvss, array_of(o, "cvss"));
  for (const auto& c : *cvss) {
    if (!c.is_object()) return fail(Code::bad_input, "field \"cvss\" is not a list of objects");
    const auto& each = c.get_object();
    Cvss out{json::string_or(each, "version"), json::string_or(each, "vector"), json::string_or(each, "severity"), 0};
    NORA_TRY(out.score, json::get_double(each, "score"));
    v.cvss.push_back(std::move(out));
  }
  NORA_TRY(v.cwes, strings_in(o, "cwes"));
  NORA_TRY(v.references, strings_in(o, "references"));
  NORA_TRY(v.remedies, strings_in(o, "remedies"));
  NORA_TRY(const auto* configurations, array_of(o, "configurations"));
  for (const auto& c : *configurations) {
    NORA_TRY(auto configuration, configuration_in(c, 0));
    v.configurations.push_back(std::move(configuration));
  }
  NORA_TRY(const auto* spared, array_of(o, "not_affected"));
  for (const auto& m : *spared) {
    NORA_TRY(auto match, match_in(m));
    v.not_affected.push_back(std::move(match));
  }
  if (o.contains("kev")) {
    NORA_TRY(const auto k, json::get_object(o, "kev"));
    v.kev = Kev{json::string_or(k, "date_added"), json::string_or(k, "due_date"), json::string_or(k, "required_action"), json::string_or(k, "vendor_project"),
                json::string_or(k, "product"), json::string_or(k, "notes"), json::bool_or(k, "ransomware", false)};
  }
  return v;
}

}  // namespace nora::expose
