// CPE 2.3 names: parsing, printing and matching. Naming after NISTIR 7695 (well-formed name, URI and formatted-string bindings), matching after
// NISTIR 7696 (attribute comparison, name relation). Used by vuln.h (judgement), the importers and `nora vuln`. Pure functions, any thread.
// Limits: max_cpe_bytes per name. Names are folded to lower case: 7696 compares without case.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nora::expose {

inline constexpr std::size_t max_cpe_bytes = 2048;

// One attribute of a well-formed name (WFN): ANY, NA ("not applicable"), or a value in WFN form: letters, digits and "_" as they are, every other
// character behind a backslash; "*" and "?" without one are wildcards, and stand at the ends only.
struct CpeValue {
  enum class Kind { any, na, text };
  Kind kind = Kind::any;
  std::string text;
  static CpeValue any() { return {}; }
  static CpeValue na() { return {Kind::na, {}}; }
  static CpeValue literal(std::string_view raw);  // quotes what needs it: "8.0" -> 8\.0; empty: ANY
  bool is_any() const { return kind == Kind::any; }
  bool is_na() const { return kind == Kind::na; }
  bool is_text() const { return kind == Kind::text; }
  bool has_wildcard() const;
  std::string plain() const;  // without backslashes; "*" for ANY, "-" for NA
  bool operator==(const CpeValue&) const = default;
};

enum class CpeField { part, vendor, product, version, update, edition, language, sw_edition, target_sw, target_hw, other };
inline constexpr std::size_t cpe_fields = 11;

struct Cpe {
  std::array<CpeValue, cpe_fields> values;
  CpeValue& operator[](CpeField f) { return values[static_cast<std::size_t>(f)]; }
  const CpeValue& operator[](CpeField f) const { return values[static_cast<std::size_t>(f)]; }
  bool operator==(const Cpe&) const = default;

  // "cpe:2.3:o:nec:…" or "cpe:/o:nec:…". Errors: bad_input with the place in the name.
  static Result<Cpe> parse(std::string_view text);
  std::string formatted() const;  // cpe:2.3:…, eleven attributes
  std::string uri() const;        // cpe:/…, packed edition where needed
};

// recog writes the 2.2 form even under keys that end in ".cpe23", and "-" where it does not know the version. Here that "-" becomes ANY and
// version_known is false: it must never be read as "this product has no version".
struct RecogCpe {
  Cpe cpe;
  bool version_known = false;
};
Result<RecogCpe> parse_recog_cpe(std::string_view text);

// Relation of a source attribute (or name) to a target. undefined: the target holds a wildcard, which 7696 leaves open.
// overlap (names only): some attributes are wider, others narrower.
enum class CpeRelation { disjoint, equal, subset, superset, overlap, undefined };
std::string_view name(CpeRelation relation);
CpeRelation compare(const CpeValue& source, const CpeValue& target);
CpeRelation compare(const Cpe& source, const Cpe& target);
bool covers(const Cpe& source, const Cpe& target);  // superset or equal

}  // namespace nora::expose
