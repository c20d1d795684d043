// The parts of the CSAF reader. Private to csaf*.cc.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "expose/csaf.h"
#include "expose/cvss.h"
#include "expose/json_read.h"

namespace nora::expose::csaf {

inline constexpr std::size_t max_issues = 200;
inline constexpr int max_branch_depth = 32;

struct Issues {
  std::vector<CsafIssue>& list;
  void add(std::string_view test, const std::string& pointer, std::string what) {
    if (list.size() < max_issues) list.push_back({std::string(test), pointer, std::move(what)});
  }
};

// Structure. Unknown properties become warnings 6.2.20. Everything behind it may rely on types and required fields.
void check_schema(const JsonPlace& document, Issues& errors, Issues& warnings);
void check_mandatory(const JsonPlace& document, Issues& errors, Issues& warnings);
void check_optional(const JsonPlace& document, std::string_view file_name, Issues& warnings);

// "4", "1.2.3-rc.1+build".
struct Version {
  bool integer = true;
  std::uint64_t numbers[3] = {0, 0, 0};
  std::string pre, build;
};
std::optional<Version> parse_version(std::string_view text);
bool before(const Version& a, const Version& b);   // by precedence, build ignored
bool same(const Version& a, const Version& b, bool without_pre = false);

// Time with all digits of its fraction: documents differ in them.
struct Moment {
  std::int64_t second = 0;
  std::string fraction;  // without trailing zeros
  auto operator<=>(const Moment&) const = default;
};
std::optional<Moment> parse_moment(std::string_view text);

struct Revision {
  JsonPlace place;
  Moment date;
  Version number;
  std::string text;
};
std::vector<Revision> revisions_by_date(const JsonPlace& document);

// Texts and lists of a document whose structure was checked; missing gives "" or nothing.
std::string text_at(const JsonPlace& p, std::string_view key);
std::vector<JsonPlace> list_at(const JsonPlace& p, std::string_view key);
std::optional<JsonPlace> at(const JsonPlace& p, std::initializer_list<std::string_view> path);

// Every full_product_name_t with the branches above it.
struct ProductPlace {
  JsonPlace product;
  std::vector<std::pair<std::string, std::string>> path;  // category, name
};
std::vector<ProductPlace> full_products(const JsonPlace& document);
std::vector<JsonPlace> branches_of(const JsonPlace& document, std::string_view category);
// Product ids of product_ids and group_ids together.
std::set<std::string> products_of(const JsonPlace& item, const std::map<std::string, std::set<std::string>>& groups);
std::map<std::string, std::set<std::string>> groups_of(const JsonPlace& document);

// One score of a vulnerability: version, metrics of vector and properties together.
struct ScoreRead {
  CvssVersion version = CvssVersion::v31;
  CvssMetrics vector, all;
  bool valid = false;
};
ScoreRead read_cvss(const JsonPlace& cvss, bool v2);

// Tables of facts (csaf_tables.cc).
bool is_known_language(std::string_view two_letters);
std::optional<std::string_view> cwe_name(std::string_view id);  // nullopt: not in the table
struct LanguageTag {
  std::string language, script, region;
  bool private_use = false, well_formed = false, is_default = false;
};
LanguageTag parse_language(std::string_view tag);

}  // namespace nora::expose::csaf
