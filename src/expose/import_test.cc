// Importers: our own small files, each breach named with its record, and with NORA_KEV_FILE the real catalogue.
#include "expose/vuln_import.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/files.h"
#include "expose/cpe_names.h"

namespace nora::expose {
namespace {

std::string file(std::string_view name) { return read_file(std::filesystem::path(NORA_SOURCE_DIR) / "src/expose/testdata" / name).value(); }
std::string changed(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}
template <class T>
std::string error(const Result<T>& r) { return r ? "accepted" : r.error().what; }
void survives_the_store(const std::vector<Vulnerability>& list) {
  for (const auto& v : list) {
    const auto again = vulnerability_from(json::parse_object(json::text(to_json(v))).value());
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(*again, v) << v.id;
  }
}

TEST(Kev, IsJoinedByCveAlone) {
  const auto kev = parse_kev(file("kev.json"));
  ASSERT_TRUE(kev) << kev.error().text();
  EXPECT_EQ(kev->version, "2026.03.01");
  EXPECT_EQ(kev->released, "2026-03-01T12:00:00Z");
  ASSERT_EQ(kev->records.size(), 2u);
  EXPECT_TRUE(kev->records[0].kev->ransomware);
  EXPECT_FALSE(kev->records[1].kev->ransomware);
  EXPECT_TRUE(kev->records[0].configurations.empty()) << "free text is no CPE";
  EXPECT_EQ(kev->records[0].kev->vendor_project, "Kinmirai");
  survives_the_store(kev->records);
}
TEST(Kev, BreachesAreNamed) {
  EXPECT_NE(error(parse_kev(changed(file("kev.json"), "\"count\": 2", "\"count\": 3"))).find("not whole"), std::string::npos);
  EXPECT_EQ(error(parse_kev(changed(file("kev.json"), "CVE-2026-90002", "CVE-26"))), "/vulnerabilities/1: cveID is no CVE id");
  EXPECT_NE(error(parse_kev(changed(file("kev.json"), "CVE-2026-90002", "CVE-2026-90001"))).find("twice"), std::string::npos);
  EXPECT_NE(error(parse_kev(changed(file("kev.json"), "\"2026-02-21\"", "\"soon\""))).find("dateAdded"), std::string::npos);
  EXPECT_NE(error(parse_kev(changed(file("kev.json"), "\"Unknown\"", "\"Maybe\""))).find("knownRansomwareCampaignUse"), std::string::npos);
  EXPECT_NE(error(parse_kev(changed(file("kev.json"), "\"requiredAction\": \"Update.\", ", ""))).find("requiredAction"), std::string::npos);
  EXPECT_FALSE(parse_kev("[]"));
}
TEST(Kev, TheRealCatalogueIsWhole) {
  const char* path = std::getenv("NORA_KEV_FILE");
  if (path == nullptr) {
    std::printf("NORA_KEV_FILE is not set: this run covers our own catalogue only\n");
    return;
  }
  const auto text = read_file(path);
  ASSERT_TRUE(text) << text.error().text();
  const auto kev = parse_kev(*text);
  ASSERT_TRUE(kev) << kev.error().text();
  int ransomware = 0;
  for (const auto& r : kev->records) ransomware += r.kev->ransomware;
  std::printf("KEV %s: %zu CVEs, %d with known use by ransomware\n", kev->version.c_str(), kev->records.size(), ransomware);
  EXPECT_GT(kev->records.size(), 1000u);
  survives_the_store(kev->records);
}

TEST(Nvd, ConfigurationsKeepFirmwareAndHardware) {
  const auto list = parse_nvd(file("nvd.json"));
  ASSERT_TRUE(list) << list.error().text();
  ASSERT_EQ(list->size(), 2u);
  const auto& v = list->at(0);
  EXPECT_EQ(v.modified, "2026-02-15T10:15:00.123Z");
  EXPECT_EQ(v.cvss.at(0).score, 9.8);
  EXPECT_EQ(v.cwes, std::vector<std::string>{"CWE-78"});
  ASSERT_EQ(v.configurations.size(), 1u);
  EXPECT_EQ(v.configurations[0].op, Configuration::Op::all);
  EXPECT_FALSE(v.configurations[0].children.at(1).matches.at(0).vulnerable);
  EXPECT_EQ(list->at(1).status, "Rejected");
  const CpeNames none;
  EXPECT_EQ(judge(v, none.facts("Kinmirai Denki", "CTL-100", "Ver.2.3")).verdict, Verdict::affected_by_version);
  EXPECT_EQ(judge(v, none.facts("Kinmirai Denki", "CTL-100", "Ver.2.4")).verdict, Verdict::not_affected);
  survives_the_store(*list);
}
TEST(Nvd, BreachesAreNamed) {
  const auto good = file("nvd.json");
  EXPECT_NE(error(parse_nvd(changed(good, "\"format\": \"NVD_CVE\"", "\"format\": \"X\""))).find("NVD_CVE"), std::string::npos);
  EXPECT_EQ(error(parse_nvd(changed(good, "\"id\": \"CVE-2026-90001\"", "\"id\": 4"))), "/vulnerabilities/0/cve/id: is not a string");
  EXPECT_NE(error(parse_nvd(changed(good, "cpe:2.3:h:kinmirai_denki:ctl-100:-:", "cpe:2.3:h:"))).find("/vulnerabilities/0/cve/configurations/0/nodes/1/cpeMatch/0: not a CPE name"), std::string::npos);
  EXPECT_NE(error(parse_nvd(changed(good, "\"operator\": \"AND\"", "\"operator\": \"XOR\""))).find("neither AND nor OR"), std::string::npos);
  EXPECT_NE(error(parse_nvd(changed(good, "\"baseScore\": 9.8", "\"baseScore\": 98"))).find("between 0 and 10"), std::string::npos);
  EXPECT_NE(error(parse_nvd(changed(good, "2026-02-16T00:00:00.000", "yesterday"))).find("lastModified of CVE-2026-90003"), std::string::npos);
  EXPECT_NE(error(parse_nvd(changed(good, "\"vulnerable\": true, ", ""))).find("\"vulnerable\" is missing"), std::string::npos);
}

TEST(Epss, RowsAndDay) {
  const auto t = parse_epss(file("epss.csv"));
  ASSERT_TRUE(t) << t.error().text();
  EXPECT_EQ(t->model, "v2025.03.14");
  EXPECT_EQ(t->date, "2026-03-01T12:55:00Z");
  ASSERT_EQ(t->rows.size(), 2u);
  EXPECT_DOUBLE_EQ(t->rows[0].score, 0.91234);
  EXPECT_DOUBLE_EQ(t->rows[0].percentile, 0.99501);
  EXPECT_TRUE(parse_epss("#model_version:v1,score_date:2026-03-01T00:00:00+0000\r\ncve,epss,percentile\r\nCVE-2026-1234,1,1\r\n"));
}
TEST(Epss, BreachesAreNamed) {
  EXPECT_EQ(error(parse_epss(changed(file("epss.csv"), "0.00042", "1.5"))), "line 4: CVE-2026-90002: epss and percentile must be numbers from 0 to 1");
  EXPECT_EQ(error(parse_epss(changed(file("epss.csv"), "0.00042", "nan"))), "line 4: CVE-2026-90002: epss and percentile must be numbers from 0 to 1");
  EXPECT_EQ(error(parse_epss(changed(file("epss.csv"), "CVE-2026-90002", "x"))), "line 4: the first cell is no CVE id");
  EXPECT_EQ(error(parse_epss("cve,epss\n")), "line 1: the header is not \"cve,epss,percentile\"");
  EXPECT_NE(error(parse_epss("cve,epss,percentile\nCVE-2026-1234,1,1\n")).find("which day"), std::string::npos);
  EXPECT_NE(error(parse_epss("\x1f\x8b\x08")).find("compressed"), std::string::npos);
  EXPECT_FALSE(parse_epss(""));
}

TEST(Jvn, RssNamesProductsWithoutVersions) {
  const auto list = parse_jvn(file("jvn_rss.xml"));
  ASSERT_TRUE(list) << list.error().text();
  ASSERT_EQ(list->size(), 2u) << "one per CVE";
  const auto& v = list->at(0);
  EXPECT_EQ(v.id, "CVE-2026-90001");
  EXPECT_EQ(list->at(1).id, "CVE-2026-90004");
  EXPECT_EQ(v.record, "JVNDB-2026-900001");
  EXPECT_EQ(v.modified, "2026-02-21T03:00:30Z");
  EXPECT_EQ(v.published, "2026-02-20T03:00:00Z") << "without seconds";
  EXPECT_NE(v.title_ja.find("CTL-100"), std::string::npos);
  EXPECT_EQ(v.cwes, std::vector<std::string>{"CWE-78"});
  const CpeNames none;
  EXPECT_EQ(judge(v, none.facts("Kinmirai Denki", "CTL-100", "2.3")).verdict, Verdict::possibly_affected);
  survives_the_store(*list);
}
TEST(Jvn, VuldefReadsVersionsThatSayAnOrder) {
  const auto list = parse_jvn(file("jvn_vuldef.xml"));
  ASSERT_TRUE(list) << list.error().text();
  ASSERT_EQ(list->size(), 2u);
  const auto& v = list->at(0);
  EXPECT_EQ(v.id, "CVE-2026-90005");
  ASSERT_EQ(v.configurations.at(0).matches.size(), 6u) << "a product with a Japanese name only matches nothing, one row is of another CVE";
  const auto& m = v.configurations[0].matches;
  EXPECT_EQ(m[0].end_including, "Ver.2.3");
  EXPECT_FALSE(m[2].versions_named);
  EXPECT_EQ(m[2].version_text, "1.8 系の一部");
  EXPECT_EQ(m[3].end_excluding, "3.0");
  EXPECT_EQ(m[3].cpe[CpeField::vendor].plain(), "kinmirai_denki") << "misc names nobody";
  const CpeNames none;
  const auto at = [&](std::string_view product, std::string_view version) { return judge(v, none.facts("Kinmirai Denki", product, version)).verdict; };
  EXPECT_EQ(at("CTL-100", "2.3"), Verdict::affected_by_version);
  EXPECT_EQ(at("CTL-100", "2.4"), Verdict::not_affected);
  EXPECT_EQ(at("HEMS-GW1", "1.7"), Verdict::affected_by_version);
  EXPECT_EQ(at("HEMS-GW1", "1.9"), Verdict::possibly_affected) << "the words of the second row are not understood";
  EXPECT_EQ(at("CTL-400", "Ver.1.4.1"), Verdict::affected_by_version);
  EXPECT_EQ(at("CTL-400", "Ver.1.4.2"), Verdict::not_affected);
  EXPECT_EQ(at("CTL-500", "1.05"), Verdict::not_affected) << "the row names another CVE";
  EXPECT_EQ(at("CTL-600", "9.9"), Verdict::affected_by_version) << "all versions";
  const auto other = [&](std::string_view product, std::string_view version) { return judge(list->at(1), none.facts("Kinmirai Denki", product, version)).verdict; };
  EXPECT_EQ(other("CTL-500", "1.05"), Verdict::affected_by_version);
  EXPECT_EQ(other("CTL-500", "1.06"), Verdict::not_affected);
  survives_the_store(*list);
}
TEST(Jvn, BreachesAreNamed) {
  EXPECT_NE(error(parse_jvn("<a")).find("not XML"), std::string::npos);
  EXPECT_NE(error(parse_jvn("<html/>")).find("neither JVNRSS"), std::string::npos);
  EXPECT_NE(error(parse_jvn(changed(file("jvn_rss.xml"), "<sec:identifier>JVNDB-2026-900001", "<sec:identifier>X"))).find("JVN record X"), std::string::npos);
  EXPECT_NE(error(parse_jvn(changed(file("jvn_rss.xml"), "cpe:/o:kinmirai", "cpe:/q:kinmirai"))).find("JVN record JVNDB-2026-900001: not a CPE name"), std::string::npos);
  EXPECT_NE(error(parse_jvn(changed(file("jvn_rss.xml"), "score=\"9.8\"", "score=\"hoch\""))).find("CVSS score"), std::string::npos);
  EXPECT_NE(error(parse_jvn(changed(file("jvn_rss.xml"), "2026-02-21T12:00:30+09:00", "gestern"))).find("is not a time"), std::string::npos);
  EXPECT_NE(error(parse_jvn(changed(file("jvn_rss.xml"), "retCd=\"0\" errMsg=\"\"", "retCd=\"1\" errMsg=\"no\""))).find("answered with an error"), std::string::npos);
}

TEST(Eol, BothForms) {
  const auto cycles = parse_eol(file("routeros.json"), "routeros");
  ASSERT_TRUE(cycles) << cycles.error().text();
  ASSERT_EQ(cycles->size(), 3u);
  EXPECT_EQ(cycles->at(0).eol, "supported");
  EXPECT_EQ(cycles->at(1).eol, "2026-02-01");
  EXPECT_EQ(cycles->at(2).cycle, "5");
  EXPECT_EQ(cycles->at(2).eol, "ended");
  EXPECT_EQ(cycle_of(*cycles, "6.49.2"), &cycles->at(1));
  EXPECT_EQ(cycle_of(*cycles, "v7.1"), &cycles->at(0));
  EXPECT_EQ(cycle_of(*cycles, "6.4"), nullptr);
  EXPECT_EQ(cycle_of(*cycles, "70.1"), nullptr);
  EXPECT_EQ(cycle_of(*cycles, ""), nullptr);
  const auto v1 = parse_eol(R"({"schema_version": "1.2.0", "result": {"name": "routeros", "releases": [{"name": "7", "isEol": false, "eolFrom": null, "latest": {"name": "7.21"}},
                               {"name": "6", "isEol": true, "eolFrom": "2026-02-01"}]}})", "");
  ASSERT_TRUE(v1) << v1.error().text();
  EXPECT_EQ(v1->at(0).eol, "supported");
  EXPECT_EQ(v1->at(0).latest, "7.21");
  EXPECT_EQ(v1->at(1).eol, "2026-02-01");
  EXPECT_EQ(error(parse_eol(R"([{"cycle": "1"}])", "x")), "/0: \"eol\" is missing");
  EXPECT_EQ(error(parse_eol(R"([{"cycle": "1", "eol": "soon"}])", "x")), "/0/eol: is not a date");
  EXPECT_NE(error(parse_eol(R"([{"cycle": "1", "eol": true}, {"cycle": "1", "eol": true}])", "x")).find("twice"), std::string::npos);
  EXPECT_FALSE(parse_eol("[]", ""));
}

TEST(Times, WhatTheSourcesWrite) {
  EXPECT_EQ(normal_time("2026-03-01").value(), "2026-03-01T00:00:00Z");
  EXPECT_EQ(normal_time("2026-03-01T01:02:03.5").value(), "2026-03-01T01:02:03.5Z");
  EXPECT_EQ(normal_time("2026-03-01T09:02+09:00").value(), "2026-03-01T00:02:00Z");
  EXPECT_EQ(normal_time("2026-03-01T00:00:00+0000").value(), "2026-03-01T00:00:00Z");
  EXPECT_EQ(normal_time("2026-03-01T00:00:00-0500").value(), "2026-03-01T05:00:00Z");
  for (const auto* bad : {"", "x", "2026-13-01", "2026-03-01T", "2026-03-01T25:00"}) EXPECT_FALSE(normal_time(bad)) << bad;
}

}  // namespace
}  // namespace nora::expose
