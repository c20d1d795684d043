// From a checked CSAF document to vulnerabilities: product tree -> criteria. Relationships ("firmware installed on device") become "both".
#include "expose/csaf.h"

#include <algorithm>

#include "base/instant.h"
#include "base/text.h"
#include "expose/cpe_names.h"
#include "expose/csaf_parts.h"
#include "expose/vuln_import.h"

namespace nora::expose {

using namespace csaf;

std::string CsafIssue::text() const { return fmt::format("test {} at {}: {}", test, pointer.empty() ? "/" : pointer, what); }

namespace {

constexpr std::size_t max_told_errors = 10;

CsafCheck check_document(const JsonPlace& document, std::string_view file_name) {
  CsafCheck out;
  Issues errors{out.errors}, warnings{out.warnings};
  check_schema(document, errors, warnings);
  if (!out.errors.empty()) return out;  // the tests rely on the structure
  check_mandatory(document, errors, warnings);
  check_optional(document, file_name, warnings);
  return out;
}

// What a product id stands for: alternatives, each of criteria that must hold together.
struct Products {
  std::map<std::string, CpeMatch> plain;
  std::map<std::string, std::pair<std::string, std::string>> pairs;  // relationship: product_reference, relates_to_product_reference
};

CpeMatch match_of(const ProductPlace& place, const std::string& publisher_vendor) {
  CpeMatch m;
  m.versions_named = false;
  std::string vendor, name, version, range;
  for (const auto& [category, text] : place.path) {
    if (category == "vendor") vendor = text;
    else if (category == "product_name") name = text;
    else if (category == "product_version") version = text;
    else if (category == "product_version_range") range = text;
  }
  if (const auto cpe = at(place.product, {"product_identification_helper", "cpe"}))
    if (auto parsed = Cpe::parse(std::string_view(cpe->value().get_string().data(), cpe->value().get_string().size()))) m.cpe = std::move(*parsed);
  auto& v = m.cpe[CpeField::vendor];
  auto& p = m.cpe[CpeField::product];
  if (v.is_any()) v = CpeValue::literal(cpe_normal(vendor.empty() ? publisher_vendor : vendor));
  if (p.is_any()) p = CpeValue::literal(cpe_normal(name.empty() ? text_at(place.product, "name") : name));
  m.version_text = !range.empty() ? range : version;
  auto& cpe_version = m.cpe[CpeField::version];
  if (!range.empty()) {
    m.versions_named = read_csaf_range(range, m);
    if (m.versions_named) cpe_version = CpeValue::any();
  } else if (!version.empty()) {
    cpe_version = CpeValue::literal(version);
    m.versions_named = true;
  } else if (cpe_version.is_text()) {
    m.versions_named = true;
  }
  return m;
}

Products read_products(const JsonPlace& document) {
  Products out;
  std::string publisher_vendor;
  if (const auto publisher = at(document, {"document", "publisher"}); publisher && text_at(*publisher, "category") == "vendor") publisher_vendor = text_at(*publisher, "name");
  for (const auto& p : full_products(document)) out.plain.emplace(text_at(p.product, "product_id"), match_of(p, publisher_vendor));
  if (const auto tree = document.find("product_tree"))
    for (const auto& r : list_at(*tree, "relationships"))
      out.pairs.emplace(text_at(*r.find("full_product_name"), "product_id"), std::pair(text_at(r, "product_reference"), text_at(r, "relates_to_product_reference")));
  return out;
}

// The product_reference of a relationship is what is affected; what it stands on is context.
void add_criteria(const Products& products, const std::string& id, bool vulnerable, Configuration& to, int depth) {
  if (depth > max_configuration_depth) return;
  if (const auto pair = products.pairs.find(id); pair != products.pairs.end()) {
    add_criteria(products, pair->second.first, vulnerable, to, depth + 1);
    add_criteria(products, pair->second.second, false, to, depth + 1);
    return;
  }
  if (const auto it = products.plain.find(id); it != products.plain.end()) {
    to.matches.push_back(it->second);
    to.matches.back().vulnerable = vulnerable;
    if (!vulnerable && !it->second.versions_named) to.matches.back().versions_named = true;  // context without a version: any
  }
}

std::vector<Vulnerability> read_records(const JsonPlace& document, const CsafDocument& head) {
  std::vector<Vulnerability> out;
  const auto products = read_products(document);
  const auto doc = *document.find("document");
  const bool japanese = text_at(doc, "lang").starts_with("ja");
  std::vector<std::string> references;
  for (const auto& r : list_at(doc, "references")) references.push_back(text_at(r, "url"));
  std::size_t number = 0;
  for (const auto& v : list_at(document, "vulnerabilities")) {
    Vulnerability r;
    r.source = "csaf";
    r.record = head.id;
    r.status = head.status;
    r.modified = head.released;
    r.published = normal_time(text_at(doc.find("tracking").value(), "initial_release_date")).value_or("");
    r.id = text_at(v, "cve");
    const auto ids = list_at(v, "ids");
    if (r.id.empty()) r.id = ids.empty() ? fmt::format("{}#{}", head.id, number) : text_at(ids[0], "text");
    ++number;
    auto title = text_at(v, "title");
    if (title.empty()) title = text_at(doc, "title");
    (japanese ? r.title_ja : r.title_en) = title.substr(0, max_text_bytes);
    for (const auto& n : list_at(v, "notes"))
      if (const auto c = text_at(n, "category"); r.description.empty() && (c == "description" || c == "summary" || c == "details")) r.description = text_at(n, "text").substr(0, max_text_bytes);
    if (const auto cwe = v.find("cwe")) r.cwes.push_back(text_at(*cwe, "id"));
    r.references = references;
    for (const auto& each : list_at(v, "references")) r.references.push_back(text_at(each, "url"));
    for (const auto& each : list_at(v, "remediations")) {
      auto text = text_at(each, "category") + ": " + text_at(each, "details");
      if (each.find("url")) text += " (" + text_at(each, "url") + ")";
      r.remedies.push_back(text.substr(0, max_text_bytes));
    }
    for (const auto& s : list_at(v, "scores"))
      for (const auto key : {"cvss_v2", "cvss_v3"})
        if (const auto c = s.find(key)) {
          Cvss score{text_at(*c, "version"), text_at(*c, "vectorString"), text_at(*c, "baseSeverity"), c->number("baseScore").value_or(0)};
          if (std::find(r.cvss.begin(), r.cvss.end(), score) == r.cvss.end()) r.cvss.push_back(std::move(score));
        }
    if (const auto status = v.find("product_status")) {
      for (const auto list : {"known_affected", "first_affected", "last_affected", "under_investigation"})
        for (const auto& id : status->strings(list).value_or(std::vector<std::string>{})) {
          Configuration c;
          c.op = Configuration::Op::all;
          add_criteria(products, id, true, c, 0);
          if (std::string_view(list) == "under_investigation")
            for (auto& m : c.matches) if (m.vulnerable) { m.versions_named = false; m.version_text = "under investigation"; }
          if (!c.matches.empty()) r.configurations.push_back(std::move(c));
        }
      for (const auto list : {"known_not_affected", "fixed", "first_fixed"})
        for (const auto& id : status->strings(list).value_or(std::vector<std::string>{})) {
          // Only a product with its version can spare a device, and only one that stands by itself: what it is installed on would be lost here.
          if (products.pairs.contains(id)) continue;
          if (const auto it = products.plain.find(id); it != products.plain.end() && it->second.versions_named) r.not_affected.push_back(it->second);
        }
    }
    out.push_back(std::move(r));
  }
  return out;
}

}  // namespace

bool read_csaf_range(std::string_view text, CpeMatch& m) {
  if (text.starts_with("vers:")) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return false;
    text.remove_prefix(slash + 1);
  }
  CpeMatch read;
  bool any = false;
  for (auto piece : split(text, '|')) {
    const auto trim = [](std::string_view& t) {
      while (t.starts_with(' ')) t.remove_prefix(1);
      while (t.ends_with(' ')) t.remove_suffix(1);
    };
    trim(piece);
    std::string* bound = nullptr;
    std::size_t sign = 1;
    if (piece.starts_with("<=")) { bound = &read.end_including; sign = 2; }
    else if (piece.starts_with(">=")) { bound = &read.start_including; sign = 2; }
    else if (piece.starts_with('<')) bound = &read.end_excluding;
    else if (piece.starts_with('>')) bound = &read.start_excluding;
    else return false;  // single versions, "!=", "*" and words are no interval
    piece.remove_prefix(sign);
    trim(piece);
    if (piece.empty() || !bound->empty() || piece.find_first_of("<>=,") != std::string_view::npos) return false;
    *bound = piece;
    any = true;
  }
  // Two lower or two upper bounds are several intervals.
  if (!any || (!read.start_including.empty() && !read.start_excluding.empty()) || (!read.end_including.empty() && !read.end_excluding.empty())) return false;
  m.start_including = read.start_including;
  m.start_excluding = read.start_excluding;
  m.end_including = read.end_including;
  m.end_excluding = read.end_excluding;
  return true;
}

Result<CsafCheck> check_csaf(std::string_view text, std::string_view file_name) {
  NORA_TRY(const auto document, json::parse(text));
  return check_document(JsonPlace(document, ""), file_name);
}

Result<CsafDocument> parse_csaf(std::string_view text, std::string_view file_name) {
  NORA_TRY(const auto document, json::parse(text));
  const JsonPlace root(document, "");
  auto check = check_document(root, file_name);
  if (!check.errors.empty()) {
    std::string what = "the CSAF document breaks ";
    for (std::size_t i = 0; i < std::min(check.errors.size(), max_told_errors); ++i) what += (i > 0 ? "; " : "") + check.errors[i].text();
    if (check.errors.size() > max_told_errors) what += fmt::format("; and {} more", check.errors.size() - max_told_errors);
    return fail(Code::bad_input, what);
  }
  CsafDocument out;
  const auto doc = *root.find("document");
  const auto tracking = *doc.find("tracking");
  out.id = text_at(tracking, "id");
  out.publisher = text_at(*doc.find("publisher"), "namespace");
  out.version = text_at(tracking, "version");
  out.status = text_at(tracking, "status");
  if (const auto released = parse_moment(text_at(tracking, "current_release_date"))) out.released = Instant::seconds(released->second).text();
  out.warnings = std::move(check.warnings);
  out.records = read_records(root, out);
  return out;
}

}  // namespace nora::expose
