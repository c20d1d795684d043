// The mandatory tests of CSAF 2.0, section 6.1. Called with a document whose structure is right; numbers in comments are those of the standard.
#include <algorithm>
#include <cmath>

#include "expose/csaf_parts.h"

namespace nora::expose::csaf {
namespace {

constexpr std::string_view status_lists[] = {"first_affected", "first_fixed", "fixed", "known_affected", "known_not_affected", "last_affected", "recommended", "under_investigation"};
constexpr std::pair<std::string_view, std::string_view> status_groups[] = {  // "recommended" may stand beside any
    {"first_affected", "affected"}, {"known_affected", "affected"}, {"last_affected", "affected"},  {"known_not_affected", "not affected"},
    {"first_fixed", "fixed"},       {"fixed", "fixed"},             {"under_investigation", "under investigation"}};

std::string lower(std::string_view t) {
  std::string out;
  for (const char c : t) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

class Tests {
 public:
  Tests(const JsonPlace& document, Issues& errors, Issues& warnings) : doc_(document), errors_(errors), warnings_(warnings), groups_(groups_of(document)), products_(full_products(document)),
                                                    vulnerabilities_(list_at(document, "vulnerabilities")) {
    if (const auto p = at(doc_, {"document", "category"})) category_ = std::string(p->value().get_string());
    const auto tracking = at(doc_, {"document", "tracking"});
    status_ = text_at(*tracking, "status");
    version_text_ = text_at(*tracking, "version");
    version_ = parse_version(version_text_).value_or(Version{});
    revisions_ = revisions_by_date(doc_);
  }
  void run() {
    ids();
    relations();
    status_and_scores();
    names();
    languages();
    history();
    duplicates();
    profile();
    vex();
    version_ranges();
  }

 private:
  void add(std::string_view test, const JsonPlace& p, std::string what) { errors_.add(test, p.pointer(), std::move(what)); }
  template <class F>
  void each(const JsonPlace& holder, std::string_view list, F f) { for (const auto& item : list_at(holder, list)) f(item); }
  // Every place that names a product id or a group id.
  template <class P, class G>
  void references(P product, G group) {
    if (const auto tree = doc_.find("product_tree")) {
      each(*tree, "product_groups", [&](const JsonPlace& g) { each(g, "product_ids", product); });
      each(*tree, "relationships", [&](const JsonPlace& r) {
        for (const auto key : {"product_reference", "relates_to_product_reference"}) if (const auto p = r.find(key)) product(*p);
      });
    }
    for (const auto& v : vulnerabilities_) {
      if (const auto status = v.find("product_status")) for (const auto list : status_lists) each(*status, list, product);
      for (const auto list : {"flags", "remediations", "threats"})
        each(v, list, [&](const JsonPlace& item) {
          each(item, "product_ids", product);
          each(item, "group_ids", group);
        });
      each(v, "scores", [&](const JsonPlace& s) { each(s, "products", product); });
    }
  }
  static std::string str(const JsonPlace& p) { return p.value().is_string() ? std::string(p.value().get_string()) : std::string(); }

  void ids() {  // 6.1.1, 6.1.2, 6.1.4, 6.1.5
    std::set<std::string> defined, defined_groups;
    for (const auto& p : products_)
      if (const auto id = text_at(p.product, "product_id"); !defined.insert(id).second) add("6.1.2", p.product, fmt::format("product id {} is defined twice", id));
    if (const auto tree = doc_.find("product_tree"))
      each(*tree, "product_groups", [&](const JsonPlace& g) {
        if (const auto id = text_at(g, "group_id"); !defined_groups.insert(id).second) add("6.1.5", g, fmt::format("group id {} is defined twice", id));
      });
    references([&](const JsonPlace& p) { if (!defined.contains(str(p))) add("6.1.1", p, fmt::format("product id {} is not defined", str(p))); },
               [&](const JsonPlace& g) { if (!defined_groups.contains(str(g))) add("6.1.4", g, fmt::format("group id {} is not defined", str(g))); });
  }

  void relations() {  // 6.1.3
    std::map<std::string, std::set<std::string>> made_of;
    const auto tree = doc_.find("product_tree");
    if (!tree) return;
    const auto list = list_at(*tree, "relationships");
    for (const auto& r : list)
      for (const auto key : {"product_reference", "relates_to_product_reference"}) made_of[text_at(*r.find("full_product_name"), "product_id")].insert(text_at(r, key));
    for (const auto& r : list) {
      const auto id = text_at(*r.find("full_product_name"), "product_id");
      std::set<std::string> reached;
      std::vector<std::string> todo{id};
      bool circle = false;
      while (!todo.empty() && !circle) {
        const auto now = todo.back();
        todo.pop_back();
        if (const auto it = made_of.find(now); it != made_of.end())
          for (const auto& next : it->second) {
            if (next == id) circle = true;
            if (reached.insert(next).second) todo.push_back(next);
          }
      }
      if (circle) add("6.1.3", r, fmt::format("product id {} is defined by itself", id));
    }
  }

  void status_and_scores() {  // 6.1.6 to 6.1.10
    for (const auto& v : vulnerabilities_) {
      if (const auto status = v.find("product_status")) {
        std::map<std::string, std::string_view> said;
        for (const auto& each_group : status_groups)
          each(*status, each_group.first, [&, group = each_group.second](const JsonPlace& p) {
            const auto it = said.emplace(str(p), group).first;
            if (it->second != group) add("6.1.6", p, fmt::format("product {} is both \"{}\" and \"{}\"", str(p), it->second, group));
          });
      }
      std::set<std::pair<std::string, CvssVersion>> scored;
      each(v, "scores", [&](const JsonPlace& s) {
        for (const auto key : {"cvss_v2", "cvss_v3"}) {
          const auto c = s.find(key);
          if (!c) continue;
          const auto read = cvss(*c, std::string_view(key) == "cvss_v2");
          each(s, "products", [&](const JsonPlace& p) {
            if (!scored.emplace(str(p), read.version).second) add("6.1.7", p, fmt::format("product {} has two scores of the same CVSS version", str(p)));
          });
        }
      });
    }
  }

  ScoreRead cvss(const JsonPlace& c, bool v2) {
    const auto read = read_cvss(c, v2);
    const auto invalid = [&](const JsonPlace& p, std::string what) { add("6.1.8", p, std::move(what)); };
    // 6.1.8: the fields that the CVSS schemas require, and known values.
    bool complete = true;
    for (const auto key : {"version", "vectorString"}) if (const auto p = c.find(key); !p || !p->value().is_string()) { invalid(c, fmt::format("\"{}\" is missing", key)); complete = false; }
    if (const auto p = c.find("baseScore"); !p || !p->value().is_number()) { invalid(c, "\"baseScore\" is missing"); complete = false; }
    if (!v2 && !c.find("baseSeverity")) { invalid(c, "\"baseSeverity\" is missing"); complete = false; }
    const auto version = text_at(c, "version");
    if (complete && (v2 ? version != "2.0" : version != "3.0" && version != "3.1")) invalid(c, fmt::format("\"version\" is {}", version));
    if (const auto vector = parse_cvss_vector(read.version, text_at(c, "vectorString")); complete && !vector) invalid(c, vector.error().what);
    if (!c.is_object()) return read;
    const auto scores = cvss_scores(read.version, read.vector);
    const bool temporal = has(read.vector, {"E", "RL", "RC"}), environmental = has(read.vector, {"CDP", "TD", "CR", "IR", "AR", "MAV", "MAC", "MPR", "MUI", "MS", "MC", "MI", "MA"});
    for (const auto& [key, value] : c.value().get_object()) {
      const std::string_view name(key.data(), key.size());
      const JsonPlace here(value, c.pointer() + "/" + JsonPlace::escaped(name));
      if (name.ends_with("Score")) {
        const bool known = name == "baseScore" || name == "temporalScore" || name == "environmentalScore";
        if (!known) continue;
        const double said = value.is_number() ? value.to_number<double>() : -1;
        if (!(said >= 0 && said <= 10)) { invalid(here, "is not a score from 0 to 10"); continue; }
        if (!read.valid || (name == "temporalScore" && !temporal) || (name == "environmentalScore" && !environmental)) continue;
        const double right = name == "baseScore" ? scores.base : name == "temporalScore" ? scores.temporal : scores.environmental;
        if (std::fabs(said - right) > 0.04) add("6.1.9", here, fmt::format("is {:.1f}; the vector gives {:.1f}", said, right));
      } else if (name.ends_with("Severity") && !v2) {
        const auto said = str(here);
        if (said != "NONE" && said != "LOW" && said != "MEDIUM" && said != "HIGH" && said != "CRITICAL") { invalid(here, "is no severity"); continue; }
        if (!read.valid || (name == "temporalSeverity" && !temporal) || (name == "environmentalSeverity" && !environmental)) continue;
        const double right = name == "baseSeverity" ? scores.base : name == "temporalSeverity" ? scores.temporal : scores.environmental;
        if (said != cvss_severity(right)) add("6.1.9", here, fmt::format("is {}; the vector gives {}", said, cvss_severity(right)));
      } else if (const auto metric = cvss_metric_of(read.version, name)) {
        const auto short_value = cvss_value_of(read.version, *metric, str(here));
        if (!short_value) { invalid(here, fmt::format("\"{}\" is no value of {}", str(here), name)); continue; }
        const auto it = read.vector.find(*metric);
        if (it != read.vector.end() && it->second != *short_value) add("6.1.10", here, fmt::format("is {}; the vector says {}:{}", str(here), *metric, it->second));
      }
    }
    return read;
  }
  static bool has(const CvssMetrics& m, std::initializer_list<std::string_view> ids) {
    return std::any_of(ids.begin(), ids.end(), [&](std::string_view id) { const auto it = m.find(id); return it != m.end() && it->second != "X" && it->second != "ND"; });
  }

  void names() {  // 6.1.11, 6.1.13
    for (const auto& v : vulnerabilities_)
      if (const auto cwe = v.find("cwe"))
        if (const auto right = cwe_name(text_at(*cwe, "id")); right && *right != text_at(*cwe, "name"))
          add("6.1.11", *cwe, fmt::format("{} is called \"{}\"", text_at(*cwe, "id"), *right));
    for (const auto& p : products_) {
      const auto purl = at(p.product, {"product_identification_helper", "purl"});
      if (!purl) continue;
      // pkg:type/namespace/name@version?qualifiers#subpath: the name must not be empty.
      std::string_view t(purl->value().get_string().data(), purl->value().get_string().size());
      t = t.substr(0, t.find('#'));
      t = t.substr(0, t.find('?'));
      if (const auto sign = t.rfind('@'); sign != std::string_view::npos && sign > t.rfind('/')) t = t.substr(0, sign);
      const auto slash = t.find('/');
      while (t.size() > slash + 1 && t.ends_with('/')) t.remove_suffix(1);
      if (slash == std::string_view::npos || t.size() <= slash + 1) add("6.1.13", *purl, "the package URL names no package");
    }
  }

  void languages() {  // 6.1.12, 6.1.15, 6.1.28
    const auto document = *doc_.find("document");
    for (const auto key : {"lang", "source_lang"})
      if (const auto p = document.find(key))
        if (const auto tag = parse_language(str(*p)); !is_known_language(tag.language)) add("6.1.12", *p, fmt::format("there is no language \"{}\"", tag.language));
    const auto publisher = *document.find("publisher");
    const bool source = document.find("source_lang").has_value();
    if (text_at(publisher, "category") == "translator" && !source) add("6.1.15", publisher, "a translator must name source_lang");
    if (source && text_at(document, "lang") == text_at(document, "source_lang")) add("6.1.28", *document.find("source_lang"), "the translation is in the language that it was made from");
  }

  void history() {  // 6.1.14, 6.1.16 to 6.1.22, 6.1.30
    const auto tracking = *at(doc_, {"document", "tracking"});
    const auto list = list_at(tracking, "revision_history");
    const auto version_place = *tracking.find("version");
    const bool released = status_ == "final" || status_ == "interim";
    for (std::size_t i = 1; i < revisions_.size(); ++i)
      if (before(revisions_[i].number, revisions_[i - 1].number)) {
        add("6.1.14", revisions_[i].place, fmt::format("by date {} comes after {}", revisions_[i].text, revisions_[i - 1].text));
        break;
      }
    const bool draft = status_ == "draft";
    if (!revisions_.empty() && !same(version_, last_by_date(), draft)) add("6.1.16", version_place, fmt::format("is {}, the newest revision another", version_text_));
    if ((version_.numbers[0] == 0 || !version_.pre.empty()) && !draft) add("6.1.17", version_place, fmt::format("version {} is one of a draft, the status is {}", version_text_, status_));
    if (released && !version_.pre.empty()) add("6.1.20", version_place, "a released document has a pre-release version");
    std::map<std::string, std::size_t> seen;
    std::set<std::uint64_t> majors;
    bool integers = version_.integer, semantic = !version_.integer;
    for (const auto& r : revisions_) {
      if (released && r.number.numbers[0] == 0) add("6.1.18", r.place, fmt::format("revision {} of a released document", r.text));
      if (!r.number.pre.empty()) add("6.1.19", r.place, fmt::format("revision {} is a pre-release", r.text));
      if (!seen.emplace(r.text, 0).second) add("6.1.22", r.place, fmt::format("revision {} stands there twice", r.text));
      majors.insert(r.number.numbers[0]);
      integers = integers || r.number.integer;
      semantic = semantic || !r.number.integer;
    }
    if (integers && semantic) add("6.1.30", tracking, "integer and semantic versions are mixed");
    if (!majors.empty()) {
      if (*majors.begin() > 1) add("6.1.21", *tracking.find("revision_history"), fmt::format("begins with version {}", *majors.begin()));
      std::uint64_t expected = *majors.begin();
      for (const auto major : majors) {
        if (major != expected) { add("6.1.21", *tracking.find("revision_history"), fmt::format("version {} is missing", expected)); break; }
        expected = major + 1;
      }
    }
  }
  // Among revisions of the newest date the highest number.
  const Version& last_by_date() const { return revisions_.back().number; }

  void duplicates() {  // 6.1.23 to 6.1.25, 6.1.29, 6.1.32
    std::set<std::string> cves;
    for (const auto& v : vulnerabilities_) {
      if (const auto cve = v.find("cve"); cve && !cves.insert(str(*cve)).second) add("6.1.23", *cve, fmt::format("{} stands in two vulnerabilities", str(*cve)));
      std::set<std::pair<std::string, std::string>> said;
      each(v, "involvements", [&](const JsonPlace& i) {
        if (!said.emplace(text_at(i, "party"), text_at(i, "date")).second) add("6.1.24", i, "the same party at the same time twice");
      });
      each(v, "remediations", [&](const JsonPlace& r) { if (!r.find("product_ids") && !r.find("group_ids")) add("6.1.29", r, "names no product"); });
      each(v, "flags", [&](const JsonPlace& f) { if (!f.find("product_ids") && !f.find("group_ids")) add("6.1.32", f, "names no product"); });
    }
    for (const auto& p : products_)
      if (const auto helper = p.product.find("product_identification_helper"))
        each(*helper, "hashes", [&](const JsonPlace& h) {
          std::set<std::string> algorithms;
          each(h, "file_hashes", [&](const JsonPlace& f) {
            const auto algorithm = text_at(f, "algorithm");
            if (algorithms.insert(algorithm).second) return;
            // The standard's own test list calls two documents valid that hold MD5 or SHA-1 twice (6-2-08-02, 6-2-09-02): these two only warn.
            const bool broken = algorithm == "md5" || algorithm == "sha1";
            (broken ? warnings_ : errors_).add("6.1.25", f.pointer(), "the same hash algorithm twice");
          });
        });
  }

  bool is(std::initializer_list<std::string_view> profiles) const { return std::find(profiles.begin(), profiles.end(), category_) != profiles.end(); }

  void profile() {  // 6.1.26, 6.1.27.1 to 6.1.27.8, 6.1.27.11
    const auto document = *doc_.find("document");
    constexpr std::string_view incident = "csaf_security_incident_response", informational = "csaf_informational_advisory", advisory = "csaf_security_advisory", vex = "csaf_vex";
    if (!is({incident, informational, advisory, vex, "csaf_base"})) {
      std::string squeezed;
      for (const char c : lower(category_)) if (c != '-' && c != '_' && c != ' ' && c != '\t') squeezed += c;
      for (const std::string_view name : {"csafsecurityincidentresponse", "csafinformationaladvisory", "csafsecurityadvisory", "csafvex", "csafbase", "securityincidentresponse",
                                          "informationaladvisory", "securityadvisory", "vex"})
        if (squeezed == name) add("6.1.26", *document.find("category"), fmt::format("\"{}\" looks like a profile of the standard and is none", category_));
    }
    if (is({incident, informational})) {
      const auto notes = list_at(document, "notes"), references = list_at(document, "references");
      if (std::none_of(notes.begin(), notes.end(), [](const JsonPlace& n) {
            const auto c = text_at(n, "category");
            return c == "description" || c == "details" || c == "general" || c == "summary";
          })) add("6.1.27.1", document, "this profile needs a note that is a description, details, general or a summary");
      if (std::none_of(references.begin(), references.end(), [](const JsonPlace& r) { return text_at(r, "category") == "external" || !r.find("category"); }))
        add("6.1.27.2", document, "this profile needs an external reference");
    }
    if (category_ == informational && doc_.find("vulnerabilities")) add("6.1.27.3", *doc_.find("vulnerabilities"), "this profile has no vulnerabilities");
    if (!is({advisory, vex})) return;
    if (!doc_.find("product_tree")) add("6.1.27.4", doc_, "this profile needs a product_tree");
    if (!doc_.find("vulnerabilities")) add("6.1.27.11", doc_, "this profile needs vulnerabilities");
    for (const auto& v : vulnerabilities_) {
      if (!v.find("notes")) add("6.1.27.5", v, "this profile needs notes");
      const auto status = v.find("product_status");
      if (category_ == advisory && !status) add("6.1.27.6", v, "this profile needs product_status");
      if (category_ != vex) continue;
      if (!status || (!status->find("fixed") && !status->find("known_affected") && !status->find("known_not_affected") && !status->find("under_investigation")))
        add("6.1.27.7", v, "VEX needs fixed, known_affected, known_not_affected or under_investigation");
      if (!v.find("cve") && !v.find("ids")) add("6.1.27.8", v, "VEX needs a CVE or another id");
    }
  }

  void vex() {  // 6.1.27.9, 6.1.27.10, 6.1.33
    for (const auto& v : vulnerabilities_) {
      std::map<std::string, std::string> justified;
      each(v, "flags", [&](const JsonPlace& f) {
        for (const auto& id : products_of(f, groups_)) {
          const auto [it, fresh] = justified.emplace(id, text_at(f, "label"));
          if (!fresh) add("6.1.33", f, fmt::format("product {} is justified twice", id));
        }
      });
      if (category_ != "csaf_vex") continue;
      const auto status = v.find("product_status");
      if (!status) continue;
      std::set<std::string> explained, acted;
      for (const auto& [id, label] : justified) explained.insert(id);
      each(v, "threats", [&](const JsonPlace& t) { if (text_at(t, "category") == "impact") explained.merge(products_of(t, groups_)); });
      each(v, "remediations", [&](const JsonPlace& r) { acted.merge(products_of(r, groups_)); });
      each(*status, "known_not_affected", [&](const JsonPlace& p) { if (!explained.contains(str(p))) add("6.1.27.9", p, fmt::format("no statement why {} is not affected", str(p))); });
      each(*status, "known_affected", [&](const JsonPlace& p) { if (!acted.contains(str(p))) add("6.1.27.10", p, fmt::format("no statement what to do about {}", str(p))); });
    }
  }

  void version_ranges() {  // 6.1.31
    for (const auto& b : branches_of(doc_, "product_version")) {
      const auto name = lower(text_at(b, "name"));
      bool range = name.find_first_of("<>") != std::string::npos;
      std::string word;
      for (const char c : name + " ") {
        if (c != ' ' && c != '\t') { word += c; continue; }
        for (const std::string_view w : {"after", "all", "before", "earlier", "later", "prior", "versions"}) range = range || word == w;
        word.clear();
      }
      if (range) add("6.1.31", b, fmt::format("\"{}\" is a range, not a version", text_at(b, "name")));
    }
  }

  const JsonPlace& doc_;
  Issues &errors_, &warnings_;
  std::map<std::string, std::set<std::string>> groups_;
  std::vector<ProductPlace> products_;
  std::vector<JsonPlace> vulnerabilities_;
  std::vector<Revision> revisions_;
  std::string category_, status_, version_text_;
  Version version_;
};

}  // namespace

void check_mandatory(const JsonPlace& document, Issues& errors, Issues& warnings) { Tests(document, errors, warnings).run(); }

ScoreRead read_cvss(const JsonPlace& cvss, bool v2) {
  ScoreRead out;
  out.version = v2 ? CvssVersion::v2 : text_at(cvss, "version") == "3.0" ? CvssVersion::v30 : CvssVersion::v31;
  if (auto vector = parse_cvss_vector(out.version, text_at(cvss, "vectorString"))) {
    out.vector = std::move(*vector);
    out.valid = true;
  }
  out.all = out.vector;
  if (!cvss.is_object()) return out;
  for (const auto& [key, value] : cvss.value().get_object()) {
    if (!value.is_string()) continue;
    const auto metric = cvss_metric_of(out.version, std::string_view(key.data(), key.size()));
    if (!metric) continue;
    if (const auto v = cvss_value_of(out.version, *metric, std::string_view(value.get_string().data(), value.get_string().size()))) out.all.insert_or_assign(std::string(*metric), std::string(*v));
  }
  return out;
}

}  // namespace nora::expose::csaf
