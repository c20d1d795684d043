// CSAF 2.0: our own advisory, one broken copy of it for each mandatory test, CVSS, what devices it concerns; and with NORA_CSAF_DIR (the folder that
// holds the standard's test/validator/data) every document of the standard's test suite.
#include "expose/csaf.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "base/files.h"
#include "expose/cpe_names.h"
#include "expose/cvss.h"
#include "expose/json_read.h"

namespace nora::expose {
namespace {

const std::filesystem::path testdata = std::filesystem::path(NORA_SOURCE_DIR) / "src/expose/testdata";
std::string advisory() { return read_file(testdata / "csaf_advisory.json").value(); }

std::string all_of(const std::vector<CsafIssue>& list) {
  std::string out;
  for (const auto& i : list) out += i.text() + "\n";
  return out;
}
bool names(const std::vector<CsafIssue>& list, std::string_view test) {
  for (const auto& i : list) if (i.test == test || i.test.starts_with(std::string(test) + ".")) return true;
  return false;
}

TEST(Csaf, AGoodDocumentPassesWithoutErrors) {
  const auto check = check_csaf(advisory(), "kd-2026-001.json");
  ASSERT_TRUE(check) << check.error().text();
  EXPECT_EQ(all_of(check->errors), "");
  EXPECT_FALSE(names(check->warnings, "5.1")) << all_of(check->warnings);
  EXPECT_TRUE(names(check->warnings, "6.3.10"));
  EXPECT_TRUE(names(check_csaf(advisory(), "other.json")->warnings, "5.1"));
}

// Replaces the first `from`, which must be there.
std::string changed(std::string_view from, std::string_view to) {
  auto text = advisory();
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

TEST(Csaf, EachMandatoryTestRefusesItsBreach) {
  struct Row { const char *test, *from, *to; };
  for (const Row& r : std::initializer_list<Row>{
           {"schema", R"("csaf_version": "2.0")", R"("csaf_version": "1.9")"},
           {"schema", R"("title": "Command injection in CTL-100",)", ""},
           {"schema", R"("product_id": "FW-OLD")", R"("product_id": 7)"},
           {"schema", R"("cve": "CVE-2026-90001")", R"("cve": "CVE-26-1")"},
           {"schema", R"("2026-03-01T00:00:00Z", "number")", R"("yesterday", "number")"},
           {"schema", R"(["ON", "FW-OLD"])", R"(["ON"])"},
           {"schema", R"("cpe:2.3:h:kinmirai_denki)", R"("cpe:2.3:q:kinmirai_denki)"},
           {"6.1.1", R"("known_affected": ["ON"])", R"("known_affected": ["OFF"])"},
           {"6.1.2", R"("product_id": "FW-NEW")", R"("product_id": "FW-OLD")"},
           {"6.1.3", R"("product_reference": "FW-OLD")", R"("product_reference": "ON")"},
           {"6.1.4", R"("group_ids": ["ALL"])", R"("group_ids": ["NONE"])"},
           {"6.1.5", R"("product_groups": [)", R"("product_groups": [{"group_id": "ALL", "product_ids": ["HW", "ON"]}, )"},
           {"6.1.6", R"("known_affected": ["ON"])", R"("known_affected": ["ON", "FW-NEW"])"},
           {"6.1.7", R"("scores": [)", R"("scores": [{"cvss_v3": {"baseScore": 9.8, "baseSeverity": "CRITICAL", "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "version": "3.1"}, "products": ["ON"]}, )"},
           {"6.1.8", R"("baseSeverity": "CRITICAL", )", ""},
           {"6.1.8", "/S:U/C:H", "/S:U/C:Z"},
           {"6.1.9", R"("baseScore": 9.8)", R"("baseScore": 9.1)"},
           {"6.1.9", R"("baseSeverity": "CRITICAL")", R"("baseSeverity": "HIGH")"},
           {"6.1.10", R"("baseScore": 9.8)", R"("attackVector": "LOCAL", "baseScore": 9.8)"},
           {"6.1.11", R"("id": "CWE-78")", R"("id": "CWE-79")"},
           {"6.1.12", R"("lang": "en")", R"("lang": "ez")"},
           {"6.1.13", R"("hashes": [)", R"("purl": "pkg:generic/@2.4", "hashes": [)"},
           {"6.1.14", R"("2026-03-01T00:00:00Z", "number": "1")", R"("2026-03-03T00:00:00Z", "number": "1")"},
           {"6.1.15", R"("category": "vendor", "name": "Kinmirai Denki", "namespace")", R"("category": "user", "name": "Kinmirai Denki", "namespace")"},
           {"6.1.16", R"("version": "2")", R"("version": "1")"},
           {"6.1.17", R"("version": "2")", R"("version": "0")"},
           {"6.1.18", R"("number": "1")", R"("number": "0")"},
           {"6.1.19", R"("number": "1")", R"("number": "1.0.0-rc")"},
           {"6.1.20", R"("version": "2")", R"("version": "2.0.0-rc")"},
           {"6.1.21", R"("number": "2")", R"("number": "3")"},
           {"6.1.22", R"("number": "2")", R"("number": "1")"},
           {"6.1.23", R"("vulnerabilities": [)", R"("vulnerabilities": [{"cve": "CVE-2026-90001"}, )"},
           {"6.1.24", R"("involvements": [)", R"("involvements": [{"date": "2026-02-01T00:00:00Z", "party": "vendor", "status": "open"}, )"},
           {"6.1.25", R"("file_hashes": [)", R"("file_hashes": [{"algorithm": "sha256", "value": "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}, )"},
           {"6.1.26", R"("category": "csaf_vex")", R"("category": "CSAF VEX")"},
           {"6.1.27.1", R"("category": "csaf_vex")", R"("category": "csaf_informational_advisory")"},
           {"6.1.27.2", R"("category": "csaf_vex")", R"("category": "csaf_security_incident_response")"},
           {"6.1.27.3", R"("category": "csaf_vex")", R"("category": "csaf_informational_advisory")"},
           {"6.1.27.5", R"("notes": [{"category": "description", "text": "A command can be injected. Invented."}],)", ""},
           {"6.1.27.7", R"("product_status": {"known_affected": ["ON"], "known_not_affected": ["FW-NEW"]},)", ""},
           {"6.1.27.9", R"("flags": [{"label": "vulnerable_code_not_present", "product_ids": ["FW-NEW"]}],)", ""},
           {"6.1.27.10", R"("group_ids": ["ALL"])", R"("product_ids": ["HW"])"},
           {"6.1.28", R"("lang": "en",)", R"("lang": "en", "source_lang": "en",)"},
           {"6.1.29", R"(, "group_ids": ["ALL"])", ""},
           {"6.1.30", R"("number": "1")", R"("number": "1.0.0")"},
           {"6.1.31", R"("product_version", "name": "2.4")", R"("product_version", "name": "before 2.4")"},
           {"6.1.32", R"(, "product_ids": ["FW-NEW"]}])", "}]"},
           {"6.1.33", R"("flags": [)", R"("flags": [{"label": "component_not_present", "product_ids": ["FW-NEW"]}, )"},
       }) {
    auto text = changed(r.from, r.to);
    if (std::string_view(r.test) == "6.1.15") text.replace(text.find(R"("category": "user")"), 18, R"("category": "translator")");
    if (std::string_view(r.test) == "6.1.27.1" || std::string_view(r.test) == "6.1.27.2") text.replace(text.find(R"("category": "summary")"), 21, R"("category": "other")");
    const auto check = check_csaf(text);
    ASSERT_TRUE(check) << r.test << ": " << check.error().text();
    EXPECT_TRUE(names(check->errors, r.test)) << r.test << " was not found after " << r.to << ": " << all_of(check->errors);
    const auto parsed = parse_csaf(text);
    ASSERT_FALSE(parsed) << r.test;
    EXPECT_NE(parsed.error().what.find("test "), std::string::npos);
  }
}

TEST(Csaf, RemovedWholeParts) {
  // Profiles that need more than they have; written from scratch because the parts are whole objects.
  const auto document = [](std::string_view category, std::string_view more) {
    return std::string(R"({"document": {"category": ")") + std::string(category) +
           R"(", "csaf_version": "2.0", "publisher": {"category": "vendor", "name": "K", "namespace": "https://k.example"}, "title": "t", "tracking": {"current_release_date": "2026-03-01T00:00:00Z",
              "id": "K-1", "initial_release_date": "2026-03-01T00:00:00Z", "revision_history": [{"date": "2026-03-01T00:00:00Z", "number": "1", "summary": "s"}], "status": "final", "version": "1"}})" +
           std::string(more) + "}";
  };
  EXPECT_TRUE(check_csaf(document("csaf_base", ""))->errors.empty());
  EXPECT_TRUE(names(check_csaf(document("csaf_vex", ""))->errors, "6.1.27.4"));
  EXPECT_TRUE(names(check_csaf(document("csaf_vex", ""))->errors, "6.1.27.11"));
  EXPECT_TRUE(names(check_csaf(document("csaf_security_advisory", R"(, "vulnerabilities": [{"title": "x"}])"))->errors, "6.1.27.6"));
  EXPECT_TRUE(names(check_csaf(document("csaf_vex", R"(, "vulnerabilities": [{"title": "x"}])"))->errors, "6.1.27.8"));
  EXPECT_FALSE(check_csaf("{"));
  EXPECT_TRUE(names(check_csaf("[]")->errors, "schema"));
  EXPECT_TRUE(names(check_csaf("{}")->errors, "schema"));
}

TEST(Csaf, TheAdvisoryConcernsTheRightDevices) {
  const auto doc = parse_csaf(advisory());
  ASSERT_TRUE(doc) << doc.error().text();
  EXPECT_EQ(doc->id, "KD-2026-001");
  EXPECT_EQ(doc->released, "2026-03-02T00:00:00Z");
  ASSERT_EQ(doc->records.size(), 1u);
  const auto& v = doc->records[0];
  EXPECT_EQ(v.id, "CVE-2026-90001");
  EXPECT_EQ(v.remedies.at(0), "vendor_fix: Install firmware 2.4.");
  const auto again = vulnerability_from(to_json(v));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(*again, v);
  const CpeNames none;
  const auto verdict = [&](std::string_view product, std::string_view firmware) { return judge(v, none.facts("Kinmirai Denki", product, firmware)); };
  EXPECT_EQ(verdict("CTL-100", "Ver.2.3").verdict, Verdict::affected_by_version) << verdict("CTL-100", "Ver.2.3").reason;
  EXPECT_EQ(verdict("CTL-100", "0.9").verdict, Verdict::not_affected);
  EXPECT_EQ(verdict("CTL-100", "2.4").verdict, Verdict::not_affected);
  EXPECT_NE(verdict("CTL-100", "2.4").reason.find("not affected according to the advisory KD-2026-001"), std::string::npos) << verdict("CTL-100", "2.4").reason;
  EXPECT_EQ(verdict("CTL-100", "").verdict, Verdict::possibly_affected);
  EXPECT_EQ(verdict("CTL-200", "2.3").verdict, Verdict::not_affected);
}

TEST(Csaf, RangesThatAreOneIntervalAreRead) {
  const auto read = [](std::string_view text) {
    CpeMatch m;
    return read_csaf_range(text, m) ? m.start_including + "|" + m.start_excluding + "|" + m.end_including + "|" + m.end_excluding : std::string("no");
  };
  EXPECT_EQ(read("<4.2"), "|||4.2");
  EXPECT_EQ(read("vers:generic/>=2.2.0|<2.3.0"), "2.2.0|||2.3.0");
  EXPECT_EQ(read("vers:npm/>1|<=2"), "|1|2|");
  EXPECT_EQ(read("<= 4.1"), "||4.1|");
  for (const auto* text : {"", "4.2", "all", "vers:x", "*", "!=3", "<1|<2", ">=1|>0", "<", "<1 and >2", ">=1|<2|>=3|<4"}) EXPECT_EQ(read(text), "no") << text;
}

TEST(Cvss, ScoresOfTheSpecifications) {
  // FIRST: examples of the CVSS v3.1 and v2 documents, and the vectors of the standard's test documents.
  const auto base = [](CvssVersion v, std::string_view vector) {
    const auto m = parse_cvss_vector(v, vector);
    EXPECT_TRUE(m) << vector;
    return m ? cvss_scores(v, *m).base : -1;
  };
  using enum CvssVersion;
  EXPECT_DOUBLE_EQ(base(v31, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), 9.8);
  EXPECT_DOUBLE_EQ(base(v31, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"), 10.0);
  EXPECT_DOUBLE_EQ(base(v31, "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N"), 6.4);
  EXPECT_DOUBLE_EQ(base(v31, "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N"), 3.1);
  EXPECT_DOUBLE_EQ(base(v30, "CVSS:3.0/AV:P/AC:L/PR:H/UI:R/S:U/C:H/I:H/A:H"), 6.1);
  EXPECT_DOUBLE_EQ(base(v31, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"), 0);
  EXPECT_DOUBLE_EQ(base(v2, "AV:N/AC:L/Au:N/C:N/I:N/A:C"), 7.8);
  EXPECT_DOUBLE_EQ(base(v2, "AV:N/AC:L/Au:N/C:C/I:C/A:C"), 10.0);
  EXPECT_DOUBLE_EQ(base(v2, "AV:L/AC:H/Au:N/C:C/I:C/A:C"), 6.2);
  const auto full = *parse_cvss_vector(v2, "AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:H");
  EXPECT_DOUBLE_EQ(cvss_scores(v2, full).temporal, 6.4);
  EXPECT_DOUBLE_EQ(cvss_scores(v2, full).environmental, 9.2);
  EXPECT_DOUBLE_EQ(cvss_scores(v31, *parse_cvss_vector(v31, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/MC:N/MI:N/MA:N")).environmental, 0);
  for (const auto* bad : {"", "CVSS:3.1/", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:N", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/Q:1"})
    EXPECT_FALSE(parse_cvss_vector(v31, bad)) << bad;
}

// The standard's own documents, where somebody has them. Exact counts are printed.
TEST(CsafSuite, EveryDocumentOfTheStandardIsJudgedAsTheListSays) {
  const char* folder = std::getenv("NORA_CSAF_DIR");
  if (folder == nullptr) {
    std::printf("NORA_CSAF_DIR is not set: this run covers our own documents only\n");
    return;
  }
  const std::filesystem::path data = std::filesystem::path(folder);
  const auto list = read_file(data / "testcases.json");
  ASSERT_TRUE(list) << list.error().text();
  const auto document = json::parse(*list);
  ASSERT_TRUE(document);
  const std::set<std::string> not_done = {"6.3.6", "6.3.7", "6.3.8"};
  int refused = 0, mandatory = 0, accepted = 0, acceptable = 0, warned = 0, warnable = 0, not_warned = 0;
  const JsonPlace root(*document, "");
  const auto tests = root.list("tests");
  ASSERT_TRUE(tests);
  for (const auto& t : *tests) {
    const auto id = t.text("id").value(), group = t.text("group").value();
    for (const auto* kind : {"failures", "valid"}) {
      const auto entries = t.list(kind);
      ASSERT_TRUE(entries);
      for (const auto& e : *entries) {
        const auto name = e.text("name").value();
        const auto text = read_file(data / name);
        ASSERT_TRUE(text) << text.error().text();
        const auto check = check_csaf(*text);
        ASSERT_TRUE(check) << name << ": " << check.error().text();
        const bool must_fail = std::string_view(kind) == "failures";
        if (must_fail && group == "mandatory") {
          ++mandatory;
          const bool right = names(check->errors, id);
          refused += right;
          EXPECT_TRUE(right) << name << " must break " << id << ": " << all_of(check->errors);
          const auto parsed = parse_csaf(*text);
          ASSERT_FALSE(parsed) << name;
          EXPECT_NE(parsed.error().what.find("test " + id), std::string::npos) << parsed.error().what;
          continue;
        }
        ++acceptable;
        accepted += check->errors.empty();
        EXPECT_EQ(all_of(check->errors), "") << name << " must be accepted";
        EXPECT_TRUE(parse_csaf(*text)) << name;
        if (group == "mandatory") continue;
        if (must_fail) {
          ++warnable;
          const bool right = names(check->warnings, id);
          warned += right;
          EXPECT_TRUE(right || not_done.contains(id)) << name << " must be warned of by " << id << ": " << all_of(check->warnings);
        } else {
          EXPECT_FALSE(names(check->warnings, id)) << name << ": " << all_of(check->warnings);
          ++not_warned;
        }
      }
    }
  }
  std::printf("mandatory: %d of %d refused by their test; %d of %d others accepted; optional and informative: %d of %d warned of; %d clean ones\n", refused, mandatory, accepted, acceptable,
              warned, warnable, not_warned);
  EXPECT_GT(mandatory, 0);
  EXPECT_GT(acceptable, 0);
}

}  // namespace
}  // namespace nora::expose
