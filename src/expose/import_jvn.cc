// JVN iPedia: JVNRSS (overview list and feeds: products without versions) and VULDEF (details, with versions in words). Fields after the MyJVN API's
// description of getVulnOverviewList and getVulnDetailInfo (https://jvndb.jvn.jp/apis/, https://github.com/MyJVN/np). Texts of versions are read only in
// the forms that say an order without doubt ("X", "X およびそれ以前", "X 以前", "X 未満", "X より前"), and "（CVE-…、CVE-…）" behind one limits it to these
// CVEs; all others are kept in words and give "possibly affected".
#include <fmt/format.h>

#include <pugixml.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "expose/cpe_names.h"
#include "expose/vuln_import.h"

namespace nora::expose {
namespace {

constexpr std::size_t max_items = 20'000;

std::string_view local(const pugi::xml_node& n) {
  const char* colon = std::strchr(n.name(), ':');
  return colon != nullptr ? colon + 1 : n.name();
}
std::string_view trimmed(std::string_view t) {
  const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; };
  while (!t.empty() && blank(t.front())) t.remove_prefix(1);
  while (!t.empty() && blank(t.back())) t.remove_suffix(1);
  return t;
}
std::string text_of(const pugi::xml_node& n) { return std::string(trimmed(n.text().get()).substr(0, max_text_bytes)); }
pugi::xml_node child(const pugi::xml_node& n, std::string_view name) {
  for (const auto& c : n.children()) if (local(c) == name) return c;
  return {};
}
std::unexpected<Error> bad(std::string_view record, std::string_view what) {
  return fail(Code::bad_input, fmt::format("JVN record {}: {}", record.empty() ? "(without id)" : record, what));
}
bool is_jvndb_id(std::string_view t) {
  return t.size() >= 17 && t.starts_with("JVNDB-") && t[10] == '-' && std::all_of(t.begin() + 6, t.end(), [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
}

Result<double> score(std::string_view record, std::string_view text) {
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || !(out >= 0 && out <= 10)) return bad(record, "a CVSS score is not a number from 0 to 10");
  return out;
}

// "cpe:/a:misc:…" is JVN's word for a vendor without a CPE name: it names nobody.
Result<std::optional<CpeMatch>> product(std::string_view record, std::string_view cpe_text, std::string_view vendor, std::string_view name) {
  CpeMatch m;
  if (!cpe_text.empty()) {
    auto cpe = Cpe::parse(cpe_text);
    if (!cpe) return bad(record, cpe.error().what);
    m.cpe = std::move(*cpe);
  }
  auto& v = m.cpe[CpeField::vendor];
  auto& p = m.cpe[CpeField::product];
  if (v.is_any() || v.plain() == "misc") v = CpeValue::literal(cpe_normal(vendor));
  if (p.is_any()) p = CpeValue::literal(cpe_normal(name));
  if (v.is_any() || p.is_any()) return std::optional<CpeMatch>{};  // Japanese names only: nothing that could be matched
  m.versions_named = false;
  return std::optional(std::move(m));
}

bool cut_suffix(std::string_view& text, std::initializer_list<std::string_view> suffixes) {
  for (const auto s : suffixes) {
    if (!text.ends_with(s)) continue;
    text.remove_suffix(s.size());
    text = trimmed(text);
    return true;
  }
  return false;
}
// One version as a maker writes it: ASCII, begins with a digit after an optional prefix, no words of a sentence.
bool one_version(std::string_view t) {
  if (t.empty() || t.size() > 60) return false;
  int blanks = 0;
  bool digit = false;
  for (const char c : t) {
    if (static_cast<unsigned char>(c) >= 0x80 || c == ',' || c == '~') return false;
    blanks += c == ' ';
    digit = digit || (c >= '0' && c <= '9');
  }
  return digit && blanks <= 3;
}
bool is_cve_list(std::string_view text, std::vector<std::string>& out) {
  std::string word;
  for (const char c : std::string(text) + " ") {
    if (static_cast<unsigned char>(c) < 0x80 && c != ' ' && c != ',') { word += c; continue; }
    if (word.empty()) continue;  // between two: a comma, or the bytes of "、"
    if (!is_cve_id(word)) return false;
    out.push_back(std::exchange(word, {}));
  }
  return !out.empty();
}
// "…（CVE-2026-90005、CVE-2026-90006）": only these. Empty: every CVE of the entry.
std::vector<std::string> cut_cves(std::string_view& text) {
  for (const auto& [open, close] : {std::pair<std::string_view, std::string_view>{"（", "）"}, {"(", ")"}}) {
    const auto at = text.rfind(open);
    if (at == std::string_view::npos || !text.ends_with(close)) continue;
    std::vector<std::string> out;
    if (!is_cve_list(text.substr(at + open.size(), text.size() - at - open.size() - close.size()), out)) continue;
    text = trimmed(text.substr(0, at));
    return out;
  }
  return {};
}
void read_version(CpeMatch& m, std::string_view text) {
  m.version_text = text;
  auto t = text;
  for (const std::string_view all : {"すべてのバージョン", "全てのバージョン", "全バージョン"})
    if (t == all) { m.versions_named = true; return; }
  for (const std::string_view word : {"ファームウェアバージョン", "ファームウェア", "バージョン"})
    if (t.starts_with(word)) { t = trimmed(t.substr(word.size())); break; }
  std::string* bound = nullptr;
  if (cut_suffix(t, {"およびそれ以前のバージョン", "およびそれ以前", "及びそれ以前", "以前のバージョン", "以前", "and earlier", "and prior"})) bound = &m.end_including;
  else if (cut_suffix(t, {"未満のバージョン", "未満", "より前のバージョン", "より前"})) bound = &m.end_excluding;
  if (!one_version(t)) return;
  if (bound != nullptr) *bound = t;
  else m.cpe[CpeField::version] = CpeValue::literal(t);
  m.versions_named = true;
}

Status set_time(std::string_view record, std::string_view text, std::string& to) {
  if (text.empty()) return {};
  auto when = normal_time(text);
  if (!when) return bad(record, fmt::format("\"{}\" is not a time", text.substr(0, 40)));
  to = *when;
  return {};
}

struct Product {
  CpeMatch match;
  std::vector<std::string> cves;  // empty: every CVE of the entry
};
// One record per CVE; a JVNDB entry without one stands under its own id.
void put(std::vector<Vulnerability>& out, const Vulnerability& base, std::vector<std::string> cves, const std::vector<Product>& products) {
  const bool none = cves.empty();
  if (none) cves.push_back(base.record);
  for (const auto& cve : cves) {
    out.push_back(base);
    out.back().id = cve;
    Configuration c;
    for (const auto& p : products)
      if (none || p.cves.empty() || std::find(p.cves.begin(), p.cves.end(), cve) != p.cves.end()) c.matches.push_back(p.match);
    if (!c.matches.empty()) out.back().configurations.push_back(std::move(c));
  }
}
void note_cve(std::vector<std::string>& cves, std::string id) {
  if (is_cve_id(id) && std::find(cves.begin(), cves.end(), id) == cves.end()) cves.push_back(std::move(id));
}

Status read_rss(const pugi::xml_node& root, bool japanese, std::vector<Vulnerability>& out) {
  std::size_t items = 0;
  for (const auto& item : root.children()) {
    if (local(item) != "item") continue;
    if (++items > max_items) return fail(Code::bad_input, "the feed has more items than one import takes");
    Vulnerability v;
    v.source = "jvn";
    v.record = text_of(child(item, "identifier"));
    if (!is_jvndb_id(v.record)) return bad(v.record, "sec:identifier is not a JVNDB id");
    v.id = v.record;
    (japanese ? v.title_ja : v.title_en) = text_of(child(item, "title"));
    v.description = text_of(child(item, "description"));
    if (auto link = text_of(child(item, "link")); !link.empty()) v.references.push_back(std::move(link));
    std::vector<std::string> cves;
    std::vector<Product> products;
    for (const auto& c : item.children()) {
      const auto name = local(c);
      if (name == "references") {
        const std::string id = c.attribute("id").value();
        note_cve(cves, id);
        if (id.starts_with("CWE-")) v.cwes.push_back(id);
        if (auto url = text_of(c); !url.empty()) v.references.push_back(std::move(url));
      } else if (name == "cpe") {
        NORA_TRY(auto m, product(v.record, text_of(c), c.attribute("vendor").value(), c.attribute("product").value()));
        if (m) products.push_back({std::move(*m), {}});
        if (products.size() > max_matches) return bad(v.record, "more products than one record may have");
      } else if (name == "cvss") {
        Cvss s{c.attribute("version").value(), c.attribute("vector").value(), c.attribute("severity").value(), 0};
        NORA_TRY(s.score, score(v.record, c.attribute("score").value()));
        v.cvss.push_back(std::move(s));
      } else if (name == "issued") {
        NORA_CHECK(set_time(v.record, text_of(c), v.published));
      } else if (name == "modified") {
        NORA_CHECK(set_time(v.record, text_of(c), v.modified));
      }
    }
    put(out, v, std::move(cves), products);
  }
  return {};
}

Status read_vuldef(const pugi::xml_node& root, bool japanese, std::vector<Vulnerability>& out) {
  std::size_t items = 0;
  for (const auto& info : root.children()) {
    if (local(info) != "Vulinfo") continue;
    if (++items > max_items) return fail(Code::bad_input, "the file has more entries than one import takes");
    Vulnerability v;
    v.source = "jvn";
    v.record = text_of(child(info, "VulinfoID"));
    if (!is_jvndb_id(v.record)) return bad(v.record, "VulinfoID is not a JVNDB id");
    v.id = v.record;
    const auto data = child(info, "VulinfoData");
    if (!data) return bad(v.record, "VulinfoData is missing");
    (japanese ? v.title_ja : v.title_en) = text_of(child(data, "Title"));
    v.description = text_of(child(child(data, "VulinfoDescription"), "Overview"));
    std::vector<Product> products;
    for (const auto& item : child(data, "Affected").children()) {
      if (local(item) != "AffectedItem") continue;
      NORA_TRY(const auto base, product(v.record, text_of(child(item, "Cpe")), text_of(child(item, "Name")), text_of(child(item, "ProductName"))));
      if (!base) continue;
      std::size_t versions = 0;
      for (const auto& number : item.children()) {
        if (local(number) != "VersionNumber" || text_of(number).empty()) continue;
        const auto text = text_of(number);
        std::string_view rest = text;
        Product p{*base, cut_cves(rest)};
        read_version(p.match, rest);
        products.push_back(std::move(p));
        ++versions;
      }
      if (versions == 0) products.push_back({*base, {}});
      if (products.size() > max_matches) return bad(v.record, "more products than one record may have");
    }
    for (const auto& c : child(data, "Impact").children()) {
      if (local(c) != "Cvss") continue;
      Cvss s{c.attribute("version").value(), text_of(child(c, "Vector")), text_of(child(c, "Severity")), 0};
      NORA_TRY(s.score, score(v.record, text_of(child(c, "Base"))));
      v.cvss.push_back(std::move(s));
    }
    for (const auto& item : child(data, "Solution").children())
      if (auto text = text_of(child(item, "Description")); !text.empty()) v.remedies.push_back(std::move(text));
    std::vector<std::string> cves;
    for (const auto& item : child(data, "Related").children()) {
      const auto id = text_of(child(item, "VulinfoID"));
      note_cve(cves, id);
      if (id.starts_with("CWE-")) v.cwes.push_back(id);
      if (auto url = text_of(child(item, "URL")); !url.empty()) v.references.push_back(std::move(url));
    }
    NORA_CHECK(set_time(v.record, text_of(child(data, "DateFirstPublished")), v.published));
    NORA_CHECK(set_time(v.record, text_of(child(data, "DateLastUpdated")), v.modified));
    put(out, v, std::move(cves), products);
  }
  return {};
}

}  // namespace

Result<std::vector<Vulnerability>> parse_jvn(std::string_view xml) {
  if (xml.size() > max_import_bytes) return fail(Code::bad_input, "the JVN file is larger than one import takes");
  pugi::xml_document document;
  // pugixml reads no external entities and expands no DTD.
  const auto parsed = document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!parsed) return fail(Code::bad_input, fmt::format("not XML: {} at byte {}", parsed.description(), parsed.offset));
  const auto root = document.document_element();
  const bool japanese = std::string_view(root.attribute("xml:lang").value()) != "en";
  std::vector<Vulnerability> out;
  if (local(root) == "RDF") {
    NORA_CHECK(read_rss(root, japanese, out));
  } else if (local(root) == "VULDEF-Document") {
    NORA_CHECK(read_vuldef(root, japanese, out));
  } else {
    return fail(Code::bad_input, fmt::format("neither JVNRSS (rdf:RDF) nor VULDEF: the root is <{}>", std::string(root.name()).substr(0, 40)));
  }
  if (const auto status = child(root, "Status"); status && std::string_view(status.attribute("retCd").value()) == "1")
    return fail(Code::bad_input, fmt::format("the MyJVN API answered with an error: {}", std::string_view(status.attribute("errMsg").value()).substr(0, 200)));
  return out;
}

}  // namespace nora::expose
