// Facts that tests of CSAF need: languages (ISO 639-1), names of weaknesses (CWE, https://cwe.mitre.org/), the shape of language tags (RFC 5646).
// The CWE table holds the weaknesses that advisories on devices name most; one that is not here is not checked, never refused.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "expose/csaf_parts.h"

namespace nora::expose::csaf {
namespace {

constexpr std::string_view languages =
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi "
    "ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn "
    "no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi "
    "vo wa wo xh yi yo za zh zu ";

constexpr std::array<std::pair<std::string_view, std::string_view>, 52> weaknesses = {{
    {"CWE-20", "Improper Input Validation"},
    {"CWE-22", "Improper Limitation of a Pathname to a Restricted Directory ('Path Traversal')"},
    {"CWE-23", "Relative Path Traversal"},
    {"CWE-59", "Improper Link Resolution Before File Access ('Link Following')"},
    {"CWE-77", "Improper Neutralization of Special Elements used in a Command ('Command Injection')"},
    {"CWE-78", "Improper Neutralization of Special Elements used in an OS Command ('OS Command Injection')"},
    {"CWE-79", "Improper Neutralization of Input During Web Page Generation ('Cross-site Scripting')"},
    {"CWE-89", "Improper Neutralization of Special Elements used in an SQL Command ('SQL Injection')"},
    {"CWE-94", "Improper Control of Generation of Code ('Code Injection')"},
    {"CWE-116", "Improper Encoding or Escaping of Output"},
    {"CWE-119", "Improper Restriction of Operations within the Bounds of a Memory Buffer"},
    {"CWE-120", "Buffer Copy without Checking Size of Input ('Classic Buffer Overflow')"},
    {"CWE-121", "Stack-based Buffer Overflow"},
    {"CWE-122", "Heap-based Buffer Overflow"},
    {"CWE-125", "Out-of-bounds Read"},
    {"CWE-134", "Use of Externally-Controlled Format String"},
    {"CWE-190", "Integer Overflow or Wraparound"},
    {"CWE-191", "Integer Underflow (Wrap or Wraparound)"},
    {"CWE-200", "Exposure of Sensitive Information to an Unauthorized Actor"},
    {"CWE-203", "Observable Discrepancy"},
    {"CWE-250", "Execution with Unnecessary Privileges"},
    {"CWE-259", "Use of Hard-coded Password"},
    {"CWE-269", "Improper Privilege Management"},
    {"CWE-276", "Incorrect Default Permissions"},
    {"CWE-284", "Improper Access Control"},
    {"CWE-287", "Improper Authentication"},
    {"CWE-295", "Improper Certificate Validation"},
    {"CWE-306", "Missing Authentication for Critical Function"},
    {"CWE-307", "Improper Restriction of Excessive Authentication Attempts"},
    {"CWE-311", "Missing Encryption of Sensitive Data"},
    {"CWE-319", "Cleartext Transmission of Sensitive Information"},
    {"CWE-326", "Inadequate Encryption Strength"},
    {"CWE-327", "Use of a Broken or Risky Cryptographic Algorithm"},
    {"CWE-330", "Use of Insufficiently Random Values"},
    {"CWE-345", "Insufficient Verification of Data Authenticity"},
    {"CWE-352", "Cross-Site Request Forgery (CSRF)"},
    {"CWE-362", "Concurrent Execution using Shared Resource with Improper Synchronization ('Race Condition')"},
    {"CWE-400", "Uncontrolled Resource Consumption"},
    {"CWE-401", "Missing Release of Memory after Effective Lifetime"},
    {"CWE-416", "Use After Free"},
    {"CWE-434", "Unrestricted Upload of File with Dangerous Type"},
    {"CWE-476", "NULL Pointer Dereference"},
    {"CWE-502", "Deserialization of Untrusted Data"},
    {"CWE-522", "Insufficiently Protected Credentials"},
    {"CWE-601", "URL Redirection to Untrusted Site ('Open Redirect')"},
    {"CWE-611", "Improper Restriction of XML External Entity Reference"},
    {"CWE-732", "Incorrect Permission Assignment for Critical Resource"},
    {"CWE-787", "Out-of-bounds Write"},
    {"CWE-798", "Use of Hard-coded Credentials"},
    {"CWE-862", "Missing Authorization"},
    {"CWE-863", "Incorrect Authorization"},
    {"CWE-918", "Server-Side Request Forgery (SSRF)"},
}};

bool all(std::string_view t, bool letters, bool digits) {
  return !t.empty() && std::all_of(t.begin(), t.end(), [&](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return (letters && letter) || (digits && c >= '0' && c <= '9');
  });
}
std::string lower(std::string_view t) {
  std::string out;
  for (const char c : t) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

}  // namespace

bool is_known_language(std::string_view two) {
  if (two.size() != 2) return true;
  return languages.find(lower(two) + " ") != std::string_view::npos;
}

std::optional<std::string_view> cwe_name(std::string_view id) {
  for (const auto& [each, name] : weaknesses) if (each == id) return name;
  return std::nullopt;
}

LanguageTag parse_language(std::string_view tag) {
  LanguageTag out;
  const auto whole = lower(tag.substr(0, 200));
  if (whole == "i-default" || whole == "i-mingo") {
    out.well_formed = true;
    out.is_default = whole == "i-default";
    return out;
  }
  const auto pieces = split(whole, '-');
  std::size_t i = 0;
  const auto rest_is = [&](std::size_t from, std::size_t least, std::size_t most) {
    if (from >= pieces.size()) return false;
    for (std::size_t k = from; k < pieces.size(); ++k) if (pieces[k].size() < least || pieces[k].size() > most || !all(pieces[k], true, true)) return false;
    return true;
  };
  if (pieces[0] == "x") {
    out.well_formed = rest_is(1, 1, 8);
    out.private_use = out.well_formed;
    return out;
  }
  if (!all(pieces[0], true, false) || pieces[0].size() < 2 || pieces[0].size() > 8) return out;
  out.language = pieces[i++];
  if (out.language.size() <= 3)
    for (int n = 0; n < 3 && i < pieces.size() && pieces[i].size() == 3 && all(pieces[i], true, false); ++n) ++i;
  if (i < pieces.size() && pieces[i].size() == 4 && all(pieces[i], true, false)) out.script = pieces[i++];
  if (i < pieces.size() && ((pieces[i].size() == 2 && all(pieces[i], true, false)) || (pieces[i].size() == 3 && all(pieces[i], false, true)))) out.region = pieces[i++];
  while (i < pieces.size() && ((pieces[i].size() >= 5 && pieces[i].size() <= 8 && all(pieces[i], true, true)) ||
                               (pieces[i].size() == 4 && pieces[i][0] >= '0' && pieces[i][0] <= '9' && all(pieces[i], true, true)))) ++i;
  while (i < pieces.size() && pieces[i].size() == 1 && pieces[i] != "x" && all(pieces[i], true, true)) {
    const std::size_t from = ++i;
    while (i < pieces.size() && pieces[i].size() >= 2 && pieces[i].size() <= 8 && all(pieces[i], true, true)) ++i;
    if (i == from) return out;
  }
  if (i < pieces.size()) {
    if (pieces[i] != "x" || !rest_is(i + 1, 1, 8)) return out;
    out.private_use = true;
  }
  out.well_formed = true;
  // Codes that ISO 639-2, 15924 and 3166 keep for private use.
  const auto between = [](std::string_view t, std::string_view from, std::string_view to) { return t.size() == from.size() && t >= from && t <= to; };
  out.private_use = out.private_use || between(out.language, "qaa", "qtz") || between(out.script, "qaaa", "qabx") || out.region == "aa" || out.region == "zz" ||
                    between(out.region, "qm", "qz") || between(out.region, "xa", "xz");
  return out;
}

}  // namespace nora::expose::csaf
