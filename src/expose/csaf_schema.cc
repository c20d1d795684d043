// Structure of a CSAF 2.0 document: which fields there are, which are required, what they may hold. After the JSON schema of the standard
// (https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json), written as a table of our own.
#include <algorithm>
#include <deque>
#include <limits>

#include "base/instant.h"
#include "expose/csaf_parts.h"
#include "expose/vuln_import.h"

namespace nora::expose::csaf {
namespace {

bool letters(std::string_view t) { return std::all_of(t.begin(), t.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }); }
bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

bool is_time(std::string_view t) { return parse_moment(t).has_value(); }
bool is_uri(std::string_view t) {
  const auto colon = t.find(':');
  if (colon == std::string_view::npos || colon == 0 || !letters(t.substr(0, 1))) return false;
  return std::none_of(t.begin(), t.end(), [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == '<' || c == '>' || c == '"'; });
}
bool is_lang(std::string_view t) { return parse_language(t).well_formed; }
bool is_version(std::string_view t) { return parse_version(t).has_value(); }
bool is_cpe(std::string_view t) { return Cpe::parse(t).has_value(); }
bool is_hash(std::string_view t) { return t.size() >= 32 && std::all_of(t.begin(), t.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }); }
bool is_purl(std::string_view t) {
  if (!t.starts_with("pkg:")) return false;
  t.remove_prefix(4);
  const auto slash = t.find('/');
  return slash != std::string_view::npos && slash > 0 && slash + 1 < t.size() && !(t[0] >= '0' && t[0] <= '9');
}
bool is_category(std::string_view t) {
  const auto edge = [](char c) { return blank(c) || c == '-' || c == '_' || c == '.'; };
  return !t.empty() && !edge(t.front()) && !edge(t.back()) && t.find('\n') == std::string_view::npos;
}
bool is_tracking_id(std::string_view t) { return !t.empty() && !blank(t.front()) && !blank(t.back()) && t.find('\n') == std::string_view::npos; }
bool is_cwe(std::string_view t) {
  return t.size() >= 5 && t.size() <= 10 && t.starts_with("CWE-") && t[4] != '0' && std::all_of(t.begin() + 4, t.end(), [](char c) { return c >= '0' && c <= '9'; });
}

struct Node {
  enum class Type { text, object, list } type = Type::text;
  std::vector<std::string_view> values;         // text: one of
  bool (*format)(std::string_view) = nullptr;   // text
  std::string_view format_name;
  std::vector<std::pair<std::string_view, const Node*>> fields;  // object; "name!" = required
  std::size_t min = 0, max = std::numeric_limits<std::size_t>::max();  // fields of an object, items of a list
  const Node* item = nullptr;
  bool unique = false;
  bool free = false;                            // object: its inner part is judged elsewhere (CVSS)
};

// Owns the nodes; built once.
class Table {
 public:
  const Node* root() const { return root_; }
  Table() {
    const auto* s = text();
    const auto* uri = format(is_uri, "a URI");
    const auto* time = format(is_time, "an RFC 3339 time");
    const auto* lang = format(is_lang, "a language tag");
    const auto* version = format(is_version, "a version number");
    const auto* ids = list(s, 1, true);
    const auto* notes = list(object({{"audience", s}, {"category!", one_of({"description", "details", "faq", "general", "legal_disclaimer", "other", "summary"})}, {"text!", s}, {"title", s}}));
    const auto* references = list(object({{"category", one_of({"external", "self"})}, {"summary!", s}, {"url!", uri}}));
    const auto* acknowledgments = list(object({{"names", list(s)}, {"organization", s}, {"summary", s}, {"urls", list(uri)}}, 1));
    const auto* helper = object({{"cpe", format(is_cpe, "a CPE name")},
                                 {"hashes", list(object({{"file_hashes!", list(object({{"algorithm!", s}, {"value!", format(is_hash, "a hash of at least 32 hex digits")}}))}, {"filename!", s}}))},
                                 {"model_numbers", ids}, {"purl", format(is_purl, "a package URL")}, {"sbom_urls", list(uri)}, {"serial_numbers", ids}, {"skus", list(s)},
                                 {"x_generic_uris", list(object({{"namespace!", uri}, {"uri!", uri}}))}}, 1);
    const auto* product = object({{"name!", s}, {"product_id!", s}, {"product_identification_helper", helper}});
    auto* branch = make(Node::Type::object);
    const auto* branches = list(branch);
    branch->fields = {{"branches", branches},
                      {"category!", one_of({"architecture", "host_name", "language", "legacy", "patch_level", "product_family", "product_name", "product_version", "product_version_range",
                                            "service_pack", "specification", "vendor"})},
                      {"name!", s}, {"product", product}};
    branch->min = branch->max = 3;  // category, name, and either branches or product
    const auto* document = object(
        {{"acknowledgments", acknowledgments}, {"aggregate_severity", object({{"namespace", uri}, {"text!", s}})}, {"category!", format(is_category, "a category")},
         {"csaf_version!", one_of({"2.0"})},
         {"distribution", object({{"text", s}, {"tlp", object({{"label!", one_of({"AMBER", "GREEN", "RED", "WHITE"})}, {"url", uri}})}}, 1)}, {"lang", lang}, {"notes", notes},
         {"publisher!", object({{"category!", one_of({"coordinator", "discoverer", "other", "translator", "user", "vendor"})}, {"contact_details", s}, {"issuing_authority", s}, {"name!", s},
                                {"namespace!", uri}})},
         {"references", references}, {"source_lang", lang}, {"title!", s},
         {"tracking!", object({{"aliases", ids}, {"current_release_date!", time}, {"generator", object({{"date", time}, {"engine!", object({{"name!", s}, {"version", s}})}})},
                               {"id!", format(is_tracking_id, "a tracking id")}, {"initial_release_date!", time},
                               {"revision_history!", list(object({{"date!", time}, {"legacy_version", s}, {"number!", version}, {"summary!", s}}))},
                               {"status!", one_of({"draft", "final", "interim"})}, {"version!", version}})}});
    const auto* tree = object(
        {{"branches", branches}, {"full_product_names", list(product)}, {"product_groups", list(object({{"group_id!", s}, {"product_ids!", list(s, 2, true)}, {"summary", s}}))},
         {"relationships", list(object({{"category!", one_of({"default_component_of", "external_component_of", "installed_on", "installed_with", "optional_component_of"})},
                                        {"full_product_name!", product}, {"product_reference!", s}, {"relates_to_product_reference!", s}}))}}, 1);
    auto* cvss = make(Node::Type::object);
    cvss->free = true;
    const auto* vulnerability = object(
        {{"acknowledgments", acknowledgments}, {"cve", format(is_cve_id, "a CVE id")}, {"cwe", object({{"id!", format(is_cwe, "a CWE id")}, {"name!", s}})}, {"discovery_date", time},
         {"flags", list(object({{"date", time}, {"group_ids", ids},
                                {"label!", one_of({"component_not_present", "inline_mitigations_already_exist", "vulnerable_code_cannot_be_controlled_by_adversary",
                                                   "vulnerable_code_not_in_execute_path", "vulnerable_code_not_present"})}, {"product_ids", ids}}), 1, true)},
         {"ids", list(object({{"system_name!", s}, {"text!", s}}), 1, true)},
         {"involvements", list(object({{"date", time}, {"party!", one_of({"coordinator", "discoverer", "other", "user", "vendor"})},
                                       {"status!", one_of({"completed", "contact_attempted", "disputed", "in_progress", "not_contacted", "open"})}, {"summary", s}}), 1, true)},
         {"notes", notes},
         {"product_status", object({{"first_affected", ids}, {"first_fixed", ids}, {"fixed", ids}, {"known_affected", ids}, {"known_not_affected", ids}, {"last_affected", ids},
                                    {"recommended", ids}, {"under_investigation", ids}}, 1)},
         {"references", references}, {"release_date", time},
         {"remediations", list(object({{"category!", one_of({"mitigation", "no_fix_planned", "none_available", "vendor_fix", "workaround"})}, {"date", time}, {"details!", s},
                                       {"entitlements", list(s)}, {"group_ids", ids}, {"product_ids", ids},
                                       {"restart_required", object({{"category!", one_of({"connected", "dependencies", "machine", "none", "parent", "service", "system",
                                                                                          "vulnerable_component", "zone"})}, {"details", s}})}, {"url", uri}}))},
         {"scores", list(object({{"cvss_v2", cvss}, {"cvss_v3", cvss}, {"products!", ids}}, 2))},
         {"threats", list(object({{"category!", one_of({"exploit_status", "impact", "target_set"})}, {"date", time}, {"details!", s}, {"group_ids", ids}, {"product_ids", ids}}))},
         {"title", s}}, 1);
    root_ = object({{"document!", document}, {"product_tree", tree}, {"vulnerabilities", list(vulnerability)}});
  }

 private:
  Node* make(Node::Type type) {
    nodes_.emplace_back();
    nodes_.back().type = type;
    return &nodes_.back();
  }
  const Node* text() { return make(Node::Type::text); }
  const Node* one_of(std::initializer_list<std::string_view> values) { auto* n = make(Node::Type::text); n->values = values; return n; }
  const Node* format(bool (*test)(std::string_view), std::string_view name) {
    auto* n = make(Node::Type::text);
    n->format = test;
    n->format_name = name;
    return n;
  }
  const Node* object(std::initializer_list<std::pair<std::string_view, const Node*>> fields, std::size_t min = 0) {
    auto* n = make(Node::Type::object);
    n->fields = fields;
    n->min = min;
    return n;
  }
  const Node* list(const Node* item, std::size_t min = 1, bool unique = false) {
    auto* n = make(Node::Type::list);
    n->item = item;
    n->min = min;
    n->unique = unique;
    return n;
  }
  std::deque<Node> nodes_;
  const Node* root_ = nullptr;
};

void check(const Node& node, const JsonPlace& p, Issues& errors, Issues& warnings) {
  const auto bad = [&](std::string what) { errors.add("schema", p.pointer(), std::move(what)); };
  switch (node.type) {
    case Node::Type::text: {
      if (!p.value().is_string()) return bad("is not a string");
      const std::string_view t(p.value().get_string().data(), p.value().get_string().size());
      if (t.empty()) return bad("is empty");
      if (!node.values.empty() && std::find(node.values.begin(), node.values.end(), t) == node.values.end()) return bad(fmt::format("\"{}\" is not one of the allowed values", t.substr(0, 60)));
      if (node.format != nullptr && !node.format(t)) return bad(fmt::format("\"{}\" is not {}", t.substr(0, 60), node.format_name));
      return;
    }
    case Node::Type::list: {
      if (!p.value().is_array()) return bad("is not a list");
      const auto& array = p.value().get_array();
      if (array.size() < node.min) return bad(fmt::format("has fewer than {} items", node.min));
      if (node.unique) {
        std::set<std::string> seen;
        for (const auto& v : array)
          if (!seen.insert(json::text(v)).second) { bad("holds an item twice"); break; }
      }
      const auto items = p.items();
      for (const auto& item : *items) check(*node.item, item, errors, warnings);
      return;
    }
    case Node::Type::object: {
      if (!p.value().is_object()) return bad("is not an object");
      if (node.free) return;
      const auto& o = p.value().get_object();
      for (const auto& [name, inner] : node.fields) {
        const bool required = name.ends_with('!');
        const auto key = required ? name.substr(0, name.size() - 1) : name;
        if (const auto field = p.find(key)) check(*inner, *field, errors, warnings);
        else if (required) bad(fmt::format("\"{}\" is missing", key));
      }
      if (o.size() < node.min) bad(fmt::format("has fewer than {} properties", node.min));
      if (o.size() > node.max) bad(fmt::format("has more than {} properties", node.max));
      for (const auto& [key, value] : o) {
        const std::string_view k(key.data(), key.size());
        if (std::none_of(node.fields.begin(), node.fields.end(), [&](const auto& f) { return f.first == k || (f.first.ends_with('!') && f.first.substr(0, f.first.size() - 1) == k); }))
          warnings.add("6.2.20", p.pointer() + "/" + JsonPlace::escaped(k), "the standard does not know this property");
      }
      return;
    }
  }
}

}  // namespace

void check_schema(const JsonPlace& document, Issues& errors, Issues& warnings) {
  static const Table table;
  check(*table.root(), document, errors, warnings);
}

std::optional<Version> parse_version(std::string_view text) {
  Version out;
  const auto number = [&](std::uint64_t& to) {
    std::size_t n = 0;
    to = 0;
    while (n < text.size() && text[n] >= '0' && text[n] <= '9') {
      if (n >= 18) return false;
      to = to * 10 + static_cast<std::uint64_t>(text[n++] - '0');
    }
    if (n == 0 || (n > 1 && text[0] == '0')) return false;
    text.remove_prefix(n);
    return true;
  };
  if (!number(out.numbers[0])) return std::nullopt;
  if (text.empty()) return out;
  out.integer = false;
  for (int i = 1; i < 3; ++i) {
    if (!text.starts_with('.')) return std::nullopt;
    text.remove_prefix(1);
    if (!number(out.numbers[i])) return std::nullopt;
  }
  // Identifiers of letters, digits and "-" between dots; a numeric one of the pre-release has no leading zero.
  const auto identifiers = [](std::string_view t, bool pre) {
    std::size_t from = 0;
    for (;;) {
      const auto to = std::min(t.find('.', from), t.size());
      const auto piece = t.substr(from, to - from);
      if (piece.empty()) return false;
      bool digits = true;
      for (const char c : piece) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !letters(std::string_view(&c, 1)) && c != '-') return false;
        digits = digits && digit;
      }
      if (pre && digits && piece.size() > 1 && piece[0] == '0') return false;
      if (to == t.size()) return true;
      from = to + 1;
    }
  };
  if (text.starts_with('-')) {
    const auto end = std::min(text.find('+'), text.size());
    out.pre = text.substr(1, end - 1);
    if (!identifiers(out.pre, true)) return std::nullopt;
    text.remove_prefix(end);
  }
  if (text.starts_with('+')) {
    out.build = text.substr(1);
    if (!identifiers(out.build, false)) return std::nullopt;
    text = {};
  }
  if (!text.empty()) return std::nullopt;
  return out;
}

bool before(const Version& a, const Version& b) {
  for (int i = 0; i < 3; ++i) if (a.numbers[i] != b.numbers[i]) return a.numbers[i] < b.numbers[i];
  if (a.pre == b.pre) return false;
  if (a.pre.empty() || b.pre.empty()) return !a.pre.empty();
  // Identifier by identifier (SemVer 2.0.0 item 11).
  std::string_view x = a.pre, y = b.pre;
  for (;;) {
    const auto p = x.substr(0, x.find('.')), q = y.substr(0, y.find('.'));
    if (p != q) {
      const auto numeric = [](std::string_view t) { return std::all_of(t.begin(), t.end(), [](char c) { return c >= '0' && c <= '9'; }); };
      const bool pn = numeric(p), qn = numeric(q);
      if (pn != qn) return pn;
      if (pn && p.size() != q.size()) return p.size() < q.size();
      return p < q;
    }
    x.remove_prefix(std::min(x.size(), p.size() + 1));
    y.remove_prefix(std::min(y.size(), q.size() + 1));
    if (x.empty() || y.empty()) return x.empty() && !y.empty();
  }
}
bool same(const Version& a, const Version& b, bool without_pre) {
  return a.integer == b.integer && std::equal(a.numbers, a.numbers + 3, b.numbers) && (without_pre || a.pre == b.pre);
}

std::optional<Moment> parse_moment(std::string_view text) {
  Moment out;
  std::string whole(text);
  // RFC 3339 allows "t" and "z"; the fraction is kept apart, with all its digits.
  if (whole.size() > 10 && whole[10] == 't') whole[10] = 'T';
  if (!whole.empty() && whole.back() == 'z') whole.back() = 'Z';
  if (whole.size() > 19 && whole[19] == '.') {
    std::size_t end = 20;
    while (end < whole.size() && whole[end] >= '0' && whole[end] <= '9') ++end;
    if (end == 20 || end > 60) return std::nullopt;
    out.fraction = whole.substr(20, end - 20);
    while (!out.fraction.empty() && out.fraction.back() == '0') out.fraction.pop_back();
    whole.erase(19, end - 19);
  }
  const auto instant = Instant::parse(whole);
  if (!instant) return std::nullopt;
  out.second = instant->us / 1'000'000;
  return out;
}

std::string text_at(const JsonPlace& p, std::string_view key) { return p.text_or_empty(key).value_or(""); }
std::vector<JsonPlace> list_at(const JsonPlace& p, std::string_view key) { return p.list(key).value_or(std::vector<JsonPlace>{}); }
std::optional<JsonPlace> at(const JsonPlace& p, std::initializer_list<std::string_view> path) {
  std::optional<JsonPlace> out = p;
  for (const auto key : path) {
    out = out->find(key);
    if (!out) return std::nullopt;
  }
  return out;
}

std::vector<Revision> revisions_by_date(const JsonPlace& document) {
  std::vector<Revision> out;
  if (const auto tracking = at(document, {"document", "tracking"}))
    for (const auto& r : list_at(*tracking, "revision_history")) {
      const auto text = text_at(r, "number");
      if (const auto date = parse_moment(text_at(r, "date"))) out.push_back({r, *date, parse_version(text).value_or(Version{}), text});
    }
  std::stable_sort(out.begin(), out.end(), [](const Revision& a, const Revision& b) { return a.date != b.date ? a.date < b.date : before(a.number, b.number); });
  return out;
}

namespace {
void walk_branches(const JsonPlace& holder, std::vector<std::pair<std::string, std::string>>& path, std::vector<ProductPlace>& products, std::vector<JsonPlace>* all, int depth) {
  if (depth > max_branch_depth) return;
  for (const auto& b : list_at(holder, "branches")) {
    if (all != nullptr) all->push_back(b);
    path.emplace_back(text_at(b, "category"), text_at(b, "name"));
    if (const auto p = b.find("product")) products.push_back({*p, path});
    walk_branches(b, path, products, all, depth + 1);
    path.pop_back();
  }
}
}  // namespace

std::vector<ProductPlace> full_products(const JsonPlace& document) {
  std::vector<ProductPlace> out;
  const auto tree = document.find("product_tree");
  if (!tree) return out;
  std::vector<std::pair<std::string, std::string>> path;
  walk_branches(*tree, path, out, nullptr, 0);
  for (const auto& p : list_at(*tree, "full_product_names")) out.push_back({p, {}});
  for (const auto& r : list_at(*tree, "relationships"))
    if (const auto p = r.find("full_product_name")) out.push_back({*p, {}});
  return out;
}

std::vector<JsonPlace> branches_of(const JsonPlace& document, std::string_view category) {
  std::vector<JsonPlace> all, out;
  std::vector<ProductPlace> products;
  std::vector<std::pair<std::string, std::string>> path;
  if (const auto tree = document.find("product_tree")) walk_branches(*tree, path, products, &all, 0);
  for (auto& b : all) if (text_at(b, "category") == category) out.push_back(b);
  return out;
}

std::map<std::string, std::set<std::string>> groups_of(const JsonPlace& document) {
  std::map<std::string, std::set<std::string>> out;
  if (const auto tree = document.find("product_tree"))
    for (const auto& g : list_at(*tree, "product_groups"))
      for (auto& id : g.strings("product_ids").value_or(std::vector<std::string>{})) out[text_at(g, "group_id")].insert(id);
  return out;
}

std::set<std::string> products_of(const JsonPlace& item, const std::map<std::string, std::set<std::string>>& groups) {
  std::set<std::string> out;
  for (auto& id : item.strings("product_ids").value_or(std::vector<std::string>{})) out.insert(std::move(id));
  for (const auto& group : item.strings("group_ids").value_or(std::vector<std::string>{}))
    if (const auto it = groups.find(group); it != groups.end()) out.insert(it->second.begin(), it->second.end());
  return out;
}

}  // namespace nora::expose::csaf
