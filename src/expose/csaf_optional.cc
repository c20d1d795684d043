// The optional (6.2) and informative (6.3) tests of CSAF 2.0: warnings. Not done: 6.3.6, 6.3.7 (network), 6.3.8 (spelling).
#include <algorithm>

#include "expose/csaf_parts.h"
#include "expose/vuln_import.h"

namespace nora::expose::csaf {
namespace {

class Tests {
 public:
  Tests(const JsonPlace& document, std::string_view file_name, Issues& warnings)
      : doc_(document), file_name_(file_name), warnings_(warnings), groups_(groups_of(document)), products_(full_products(document)),
        vulnerabilities_(list_at(document, "vulnerabilities")) {}
  void run() {
    document();
    product_tree();
    for (const auto& v : vulnerabilities_) vulnerability(v);
    sorted(doc_);
  }

 private:
  void add(std::string_view test, const JsonPlace& p, std::string what) { warnings_.add(test, p.pointer(), std::move(what)); }
  template <class F>
  void each(const JsonPlace& holder, std::string_view list, F f) { for (const auto& item : list_at(holder, list)) f(item); }
  static std::string str(const JsonPlace& p) { return p.value().is_string() ? std::string(p.value().get_string()) : std::string(); }

  void document() {
    const auto d = *doc_.find("document");
    const auto tracking = *d.find("tracking");
    const auto revisions = revisions_by_date(doc_);
    for (const auto& r : revisions) if (!r.number.build.empty()) add("6.2.4", r.place, "the revision number holds build metadata");
    const auto initial = parse_moment(text_at(tracking, "initial_release_date")), current = parse_moment(text_at(tracking, "current_release_date"));
    if (!revisions.empty() && initial && *initial < revisions.front().date) add("6.2.5", *tracking.find("initial_release_date"), "is older than the first revision");
    if (!revisions.empty() && current && *current < revisions.back().date) add("6.2.6", *tracking.find("current_release_date"), "is older than the newest revision");
    if (!at(d, {"distribution", "tlp", "label"})) add("6.2.10", d, "no TLP label");
    // 5.1: the file is called after the tracking id, in lower case, runs of other characters as "_".
    std::string expected;
    for (char c : text_at(tracking, "id")) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-';
      if (plain) expected += c;
      else if (expected.empty() || expected.back() != '_') expected += '_';
    }
    expected += ".json";
    const auto references = list_at(d, "references");
    const auto self = [](const JsonPlace& r) { return text_at(r, "category") == "self"; };
    if (std::none_of(references.begin(), references.end(), [&](const JsonPlace& r) { return self(r) && text_at(r, "url").starts_with("https://") && text_at(r, "url").ends_with("/" + expected); }))
      add("6.2.11", d, fmt::format("no canonical URL that ends in {}", expected));
    if (!file_name_.empty() && file_name_ != expected) add("5.1", d, fmt::format("the file should be called {}", expected));
    if (!d.find("lang")) add("6.2.12", d, "no language");
    for (const auto key : {"lang", "source_lang"})
      if (const auto p = d.find(key)) {
        const auto tag = parse_language(str(*p));
        if (tag.private_use) add("6.2.14", *p, "is a language of private use");
        if (tag.is_default) add("6.2.15", *p, "is the default language");
      }
  }

  void product_tree() {
    std::set<std::string> used;
    const auto use = [&](const JsonPlace& p) { used.insert(str(p)); };
    if (const auto tree = doc_.find("product_tree")) {
      each(*tree, "product_groups", [&](const JsonPlace& g) { each(g, "product_ids", use); });
      each(*tree, "relationships", [&](const JsonPlace& r) {
        for (const auto key : {"product_reference", "relates_to_product_reference"}) if (const auto p = r.find(key)) use(*p);
      });
    }
    for (const auto& v : vulnerabilities_) {
      if (const auto status = v.find("product_status"); status && status->is_object())
        for (const auto& [key, value] : status->value().get_object()) each(*status, std::string_view(key.data(), key.size()), use);
      for (const auto list : {"flags", "remediations", "threats"}) each(v, list, [&](const JsonPlace& i) { each(i, "product_ids", use); });
      each(v, "scores", [&](const JsonPlace& s) { each(s, "products", use); });
    }
    const bool informational = text_at(*doc_.find("document"), "category") == "csaf_informational_advisory";
    for (const auto& p : products_) {
      if (!informational && !used.contains(text_at(p.product, "product_id"))) add("6.2.1", p.product, "the product is not used");
      const auto helper = p.product.find("product_identification_helper");
      if (!helper) add("6.2.16", p.product, "nothing helps to identify the product");
      if (helper)
        each(*helper, "hashes", [&](const JsonPlace& h) {
          bool md5 = true, sha1 = true;
          each(h, "file_hashes", [&](const JsonPlace& f) {
            md5 = md5 && text_at(f, "algorithm") == "md5";
            sha1 = sha1 && text_at(f, "algorithm") == "sha1";
            if (text_at(f, "value").size() < 64) add("6.3.5", f, "the hash is short");
          });
          if (md5) add("6.2.8", h, "MD5 is the only hash");
          if (sha1) add("6.2.9", h, "SHA-1 is the only hash");
        });
      if (p.path.empty()) continue;
      // 6.3.9: vendor, then product_name, then product_version somewhere on the way.
      std::size_t want = 0;
      static constexpr std::string_view order[] = {"vendor", "product_name", "product_version"};
      for (const auto& [category, name] : p.path) if (want < 3 && (category == order[want] || (want == 2 && category == "product_version_range"))) ++want;
      if (want < 3) add("6.3.9", p.product, fmt::format("no {} above it in its place", order[want]));
    }
    for (const auto& b : branches_of(doc_, "product_version_range")) {
      const auto name = text_at(b, "name");
      add("6.3.10", b, "a range of versions instead of versions");
      const auto slash = name.find('/');
      if (!name.starts_with("vers:") || slash == std::string::npos || slash <= 5 || slash + 1 >= name.size()) add("6.2.18", b, fmt::format("\"{}\" is not written as vers", name));
    }
    for (const auto& b : branches_of(doc_, "product_version")) {
      const auto name = text_at(b, "name");
      if (name.size() > 1 && (name[0] == 'v' || name[0] == 'V') && name[1] >= '0' && name[1] <= '9') add("6.3.11", b, "the version begins with a \"v\"");
    }
  }

  void vulnerability(const JsonPlace& v) {
    std::set<std::string> remedied, scored, scored_v2, scored_v3;
    each(v, "remediations", [&](const JsonPlace& r) { remedied.merge(products_of(r, groups_)); });
    std::map<std::string, std::vector<JsonPlace>> scores_of;
    each(v, "scores", [&](const JsonPlace& s) {
      each(s, "products", [&](const JsonPlace& p) {
        scored.insert(str(p));
        if (s.find("cvss_v2")) scored_v2.insert(str(p));
        if (s.find("cvss_v3")) scored_v3.insert(str(p));
        scores_of[str(p)].push_back(s);
      });
      if (const auto c = s.find("cvss_v3"); c && text_at(*c, "version") == "3.0") add("6.3.2", *c, "CVSS 3.0");
    });
    if (const auto status = v.find("product_status")) {
      for (const auto list : {"first_affected", "known_affected", "last_affected", "under_investigation"})
        each(*status, list, [&](const JsonPlace& p) {
          if (!remedied.contains(str(p))) add("6.2.2", p, fmt::format("no remediation for {}", str(p)));
          if (std::string_view(list) != "under_investigation" && !scored.contains(str(p))) add("6.2.3", p, fmt::format("no score for {}", str(p)));
        });
      for (const auto list : {"fixed", "first_fixed"})
        each(*status, list, [&](const JsonPlace& p) {
          for (const auto& s : scores_of[str(p)])
            for (const auto key : {"cvss_v2", "cvss_v3"})
              if (const auto c = s.find(key)) {
                const auto read = read_cvss(*c, std::string_view(key) == "cvss_v2");
                if (read.valid && cvss_scores(read.version, read.all).environmental > 0) add("6.2.19", *c, fmt::format("{} is fixed and has a score above 0", str(p)));
              }
        });
    }
    for (const auto& id : scored_v2) if (!scored_v3.contains(id)) add("6.3.1", v, fmt::format("only CVSS 2 for {}", id));
    each(v, "involvements", [&](const JsonPlace& i) { if (!i.find("date")) add("6.2.7", i, "no date"); });
    each(v, "ids", [&](const JsonPlace& i) { if (is_cve_id(text_at(i, "text"))) add("6.2.17", i, "a CVE id belongs into \"cve\""); });
    if (!v.find("cve")) add("6.3.3", v, "no CVE");
    if (!v.find("cwe")) add("6.3.4", v, "no CWE");
  }

  bool sorted(const JsonPlace& p) {  // 6.2.13: one warning is enough
    if (p.value().is_object()) {
      std::string last;
      for (const auto& [key, value] : p.value().get_object()) {
        const std::string now(key.data(), key.size());
        if (now < last) {
          add("6.2.13", p, fmt::format("\"{}\" stands after \"{}\": not sorted by name", now, last));
          return false;
        }
        last = now;
        if (!sorted(JsonPlace(value, p.pointer() + "/" + JsonPlace::escaped(now)))) return false;
      }
    } else if (p.value().is_array()) {
      const auto items = p.items();
      for (const auto& item : *items) if (!sorted(item)) return false;
    }
    return true;
  }

  const JsonPlace& doc_;
  std::string_view file_name_;
  Issues& warnings_;
  std::map<std::string, std::set<std::string>> groups_;
  std::vector<ProductPlace> products_;
  std::vector<JsonPlace> vulnerabilities_;
};

}  // namespace

void check_optional(const JsonPlace& document, std::string_view file_name, Issues& warnings) { Tests(document, file_name, warnings).run(); }

}  // namespace nora::expose::csaf
