// CSAF 2.0 advisories (OASIS): structure, the tests of section 6 of the standard, and the vulnerabilities with their products.
// Used by flow/vulns and `nora vuln import csaf`. Pure functions over the text, any thread. A document that breaks the structure or a mandatory test
// (6.1) is refused with the test and the JSON pointer; optional (6.2) and informative (6.3) tests give warnings.
// Not done: 6.3.6 and 6.3.7 (they ask the network whether links answer) and 6.3.8 (spelling). 6.1.11 knows the names of the weaknesses in
// csaf_tables.cc; 6.1.12 the two-letter languages of ISO 639-1, longer codes pass when well-formed.
// Limits: base/json.h (64 MiB, 32 levels of JSON: 13 nested branches).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "expose/vuln.h"

namespace nora::expose {

struct CsafIssue {
  std::string test;             // "schema", "6.1.1" …
  std::string pointer;          // JSON pointer
  std::string what;
  std::string text() const;
};

struct CsafCheck {
  std::vector<CsafIssue> errors;    // structure and 6.1
  std::vector<CsafIssue> warnings;  // 6.2, 6.3, file name (5.1)
};
// file_name empty: the rule for file names is not looked at. Errors: bad_input when it is not JSON at all.
Result<CsafCheck> check_csaf(std::string_view text, std::string_view file_name = {});

struct CsafDocument {
  std::string id, publisher, version, status, released;  // released: current_release_date, RFC 3339
  std::vector<CsafIssue> warnings;
  std::vector<Vulnerability> records;
};
// Errors: bad_input with the first ten issues and how many more there are.
Result<CsafDocument> parse_csaf(std::string_view text, std::string_view file_name = {});

// "<4.2", ">=2.0|<2.3", "vers:generic/>=1|<2", "4.1" into bounds; false when the text says no such range.
bool read_csaf_range(std::string_view text, CpeMatch& match);

}  // namespace nora::expose
