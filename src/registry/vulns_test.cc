// Vulnerability data on both stores: imports are idempotent, older data does not win, the index finds, device rows change only where something changed.
#include "registry/vulns.h"

#include <gtest/gtest.h>

#include "base/crypto.h"
#include "registry/registry.h"
#include "registry/views.h"
#include "store/testing/both_stores.h"

namespace nora::registry {
namespace {

const Instant day = Instant::seconds(1'795'600'000), later = day + Span::days(1);

class VulnsOnBoth : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
    vulns.emplace(*db);
  }
  void TearDown() override {
    vulns.reset();
    registry.reset();
    BothStores::TearDown();
  }
  std::int64_t count(const std::string& table) { return db->one("SELECT count(*) FROM " + table)->integer(); }
  std::optional<Registry> registry;
  std::optional<Vulns> vulns;
};
NORA_ON_BOTH_STORES(VulnsOnBoth);

VulnRecord record(std::string id, Instant modified, std::vector<VulnItem> items) { return {std::move(id), modified, std::move(items)}; }
const std::pair<std::string, std::string> ctl{"kinmirai", "ctl-100_firmware"};

TEST_P(VulnsOnBoth, TheSameImportAgainChangesNothing) {
  const std::vector<VulnRecord> records = {record("A", day, {{"CVE-2026-90001", "{\"a\":1}", {ctl, {"kinmirai", "*"}}}, {"CVE-2026-90002", "{\"b\":\"日本\"}", {ctl}}}),
                                           record("B", day, {{"CVE-2026-90003", "{}", {{"*", "x"}}}}), record("empty", day, {})};
  const auto first = vulns->put("csaf", records);
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_EQ(*first, (VulnCounts{.records = 3, .added = 2, .changed = 0, .same = 1, .older = 0, .removed = 0}));
  const auto again = vulns->put("csaf", records);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->same, 3);
  EXPECT_EQ(again->added + again->changed + again->older, 0);
  EXPECT_EQ(count("vuln_record"), 3);
  EXPECT_EQ(count("vuln_product"), 4);
  EXPECT_EQ(*vulns->cves_of({ctl}), (std::set<std::string>{"CVE-2026-90001", "CVE-2026-90002"}));
  EXPECT_EQ(*vulns->cves_of({{"kinmirai", "ctl-900"}}), (std::set<std::string>{"CVE-2026-90001"})) << "an open index row";
  EXPECT_EQ(*vulns->cves_of({{"other", "x"}}), (std::set<std::string>{"CVE-2026-90003"}));
  EXPECT_TRUE(vulns->cves_of({{"other", "y"}})->empty());
  const auto docs = vulns->docs_of({"CVE-2026-90002", "CVE-2026-99999"});
  ASSERT_TRUE(docs);
  EXPECT_EQ(docs->at("CVE-2026-90002"), std::vector<std::string>{"{\"b\":\"日本\"}"});
  EXPECT_EQ(docs->size(), 1u);
}

TEST_P(VulnsOnBoth, ANewVersionReplacesTheWholeRecordAndAnOlderOneNothing) {
  ASSERT_TRUE(vulns->put("csaf", {record("A", later, {{"CVE-2026-90001", "1", {ctl}}, {"CVE-2026-90002", "2", {ctl}}})}));
  EXPECT_EQ(vulns->put("csaf", {record("A", day, {{"CVE-2026-90009", "old", {ctl}}})})->older, 1);
  EXPECT_EQ(vulns->cves_of({ctl})->size(), 2u);
  EXPECT_EQ(vulns->put("csaf", {record("A", later + Span::days(1), {{"CVE-2026-90002", "3", {}}})})->changed, 1);
  EXPECT_TRUE(vulns->cves_of({ctl})->empty()) << "the index follows";
  EXPECT_EQ(count("vuln_record"), 1);
  // Another source's record of the same name is another record.
  ASSERT_TRUE(vulns->put("nvd", {record("A", day, {{"CVE-2026-90002", "4", {}}})}));
  EXPECT_EQ(vulns->docs_of({"CVE-2026-90002"})->at("CVE-2026-90002").size(), 2u);
  EXPECT_EQ(*vulns->remove_others("csaf", {"A"}), 0);
  EXPECT_EQ(*vulns->remove_others("csaf", {}), 1);
  EXPECT_EQ(vulns->record_counts()->at("nvd"), 1);
  EXPECT_EQ(vulns->record_counts()->count("csaf"), 0u);
  // The same record twice in one batch: the later form stands.
  ASSERT_TRUE(vulns->put("nvd", {record("C", day, {{"CVE-2026-90005", "x", {ctl}}}), record("C", later, {{"CVE-2026-90005", "y", {}}})}));
  EXPECT_EQ(vulns->docs_of({"CVE-2026-90005"})->at("CVE-2026-90005"), std::vector<std::string>{"y"});
}

TEST_P(VulnsOnBoth, ScoresCyclesAndTheLog) {
  EXPECT_EQ(vulns->put_epss({{"CVE-2026-90001", 0.5, 0.9, later}, {"CVE-2026-90002", 0.1, 0.2, later}})->added, 2);
  EXPECT_EQ(vulns->put_epss({{"CVE-2026-90001", 0.5, 0.9, later}, {"CVE-2026-90002", 0.1, 0.2, later}})->same, 2);
  EXPECT_EQ(vulns->put_epss({{"CVE-2026-90001", 0.4, 0.8, day}})->older, 1);
  EXPECT_EQ(vulns->put_epss({{"CVE-2026-90001", 0.6, 0.9, later + Span::days(1)}})->changed, 1);
  EXPECT_DOUBLE_EQ(vulns->epss_of({"CVE-2026-90001"})->at("CVE-2026-90001").score, 0.6);
  const SupportRow six{"routeros", "6", "2026-02-01", "", "6.49"}, seven{"routeros", "7", "supported", "", "7.21"};
  EXPECT_EQ(vulns->put_support("routeros", {six, seven})->added, 2);
  EXPECT_EQ(vulns->put_support("routeros", {six, seven})->same, 2);
  const auto counts = vulns->put_support("routeros", {seven});
  EXPECT_EQ(counts->removed, 1);
  EXPECT_EQ(*vulns->support_of("routeros"), std::vector<SupportRow>{seven});
  EXPECT_FALSE(vulns->data_at("kev")->has_value());
  ASSERT_TRUE(vulns->note_import({0, "kev", "kev.json", sha256(as_bytes("x")), day, 2, 2, later}));
  ASSERT_TRUE(vulns->note_import({0, "kev", "kev2.json", sha256(as_bytes("y")), later, 2, 0, later}));
  EXPECT_EQ(vulns->data_at("kev")->value(), later);
  const auto log = vulns->imports();
  ASSERT_EQ(log->size(), 2u);
  EXPECT_EQ(log->at(0).file, "kev2.json");
  EXPECT_EQ(log->at(1).file_hash, sha256(as_bytes("x")));
}

TEST_P(VulnsOnBoth, DeviceRowsChangeOnlyWhereSomethingChanged) {
  const auto device = [&](std::string_view product, double confidence) {
    Device d;
    d.identity.vendor = {"Kinmirai", 1, {}};
    d.identity.product = {std::string(product), confidence, {}};
    d.identity.firmware = {"2.3", 1, {}};
    d.first_seen = d.last_seen = day;
    return registry->put_device(d, "key", "v1").value();
  };
  const Id a = device("CTL-100", 0.9), b = device("CTL-100", 0.3), c = device("CTL-200", 0.9);
  ASSERT_TRUE(registry->merge_devices(c, a));
  const auto devices = vulns->devices(0, 10);
  ASSERT_TRUE(devices) << devices.error().text();
  ASSERT_EQ(devices->size(), 2u) << "merged ones are left out";
  EXPECT_TRUE(devices->at(0).product_known);
  EXPECT_FALSE(devices->at(1).product_known);
  EXPECT_EQ(vulns->devices(a, 10)->size(), 1u);
  StoredFinding f;
  f.finding.device = a;
  f.finding.rule = "telnet-login";
  f.finding.where = {*Ip::parse("192.0.2.1"), {23}, Proto::tcp, day};
  f.finding.first_seen = f.finding.last_seen = day;
  f.finding.state = "open";
  ASSERT_TRUE(registry->put_finding(f));
  const auto exposed = vulns->exposures(a, b);
  ASSERT_EQ(exposed->size(), 1u);
  EXPECT_EQ(exposed->at(0).rule, "telnet-login");

  const auto reason = Vulns::text_key("because"), words = Vulns::text_key("in words"), other = Vulns::text_key("more");
  EXPECT_NE(reason, words);
  const std::map<std::int64_t, std::string> texts = {{reason, "because"}, {words, "in words"}, {other, "more"}};
  ASSERT_TRUE(vulns->put_texts(texts));
  ASSERT_TRUE(vulns->put_texts(texts)) << "again";
  std::map<Id, std::vector<DeviceVulnRow>> rows = {{a, {{"CVE-2026-90001", 2, "nvd", reason, words, 90}, {"CVE-2026-90002", 1, "jvn", reason, words, 10}}}, {b, {{"CVE-2026-90001", 1, "nvd", reason, words, 20}}}};
  auto counts = vulns->put_device_vulns(1, c, rows, day);
  ASSERT_TRUE(counts) << counts.error().text();
  EXPECT_EQ(counts->rows_added, 3);
  counts = vulns->put_device_vulns(1, c, rows, later);
  EXPECT_EQ(counts->rows_added + counts->rows_removed + counts->devices_changed, 0);
  rows[a] = {{"CVE-2026-90001", 2, "nvd", reason, other, 95}};
  rows.erase(b);
  counts = vulns->put_device_vulns(1, c, rows, later);
  EXPECT_EQ(counts->devices_changed, 2);
  EXPECT_EQ(counts->rows_added, 1);
  EXPECT_EQ(counts->rows_removed, 3);
  const auto found = vulns->of_device(a);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->at(0).reason, "because");
  EXPECT_EQ(found->at(0).why, "more");
  EXPECT_EQ(found->at(0).priority, 95);
  EXPECT_EQ(found->at(0).at, later);
  EXPECT_TRUE(vulns->of_device(b)->empty());
  EXPECT_EQ(vulns->of_cve("CVE-2026-90001", 0, 10)->size(), 1u);
}

TEST_P(VulnsOnBoth, NamesAndUrgencyStandBesideTheDevice) {
  Device d;
  d.identity.vendor = {"MikroTik", 0.9, {}};
  d.identity.product = {"RouterOS", 0.9, {}};
  d.identity.cpes = {"cpe:/o:mikrotik:routeros:6.40"};
  d.identity.components = {"cpe:/a:lighttpd:lighttpd:1.4"};
  d.first_seen = d.last_seen = day;
  d.id = registry->put_device(d, "k", "v").value();
  EXPECT_EQ(registry->device(d.id).value()->identity.cpes, d.identity.cpes);
  EXPECT_EQ(registry->device(d.id).value()->identity.components, d.identity.components);
  auto names = vulns->devices(0, 10).value();
  ASSERT_EQ(names.size(), 1u);
  std::vector<std::string> cpes, components;
  ASSERT_TRUE(Vulns::names_in(names[0], cpes, components));
  EXPECT_EQ(cpes, d.identity.cpes);
  EXPECT_EQ(components, d.identity.components);
  d.identity.cpes.clear();
  d.identity.components.clear();
  ASSERT_TRUE(registry->put_device(d, "k", "v"));
  EXPECT_EQ(vulns->devices(0, 10)->at(0).cpes, "");

  std::vector<Id> findings;
  for (const int port : {23, 80, 81}) {
    StoredFinding f;
    f.finding.device = d.id;
    f.finding.rule = "telnet-login";
    f.finding.where = {*Ip::parse("192.0.2.1"), {static_cast<std::uint16_t>(port)}, Proto::tcp, day};
    f.finding.first_seen = f.finding.last_seen = day;
    f.finding.state = "open";
    f.finding.severity = static_cast<Severity>(port % 3);
    findings.push_back(registry->put_finding(f).value());
  }
  const auto why = Vulns::text_key("{}");
  ASSERT_TRUE(vulns->put_texts({{why, "{}"}}));
  ASSERT_TRUE(vulns->put_urgency(1, d.id, {{d.id, 90}}, {{findings[0], {26, why}}, {findings[1], {90, why}}, {findings[2], {50, why}}}));
  EXPECT_EQ(vulns->devices(0, 10)->at(0).priority, 90);
  EXPECT_EQ(registry->finding(findings[1]).value()->priority, 90);
  EXPECT_EQ(registry->finding(findings[1]).value()->priority_why, "{}");
  // Lists in the order of urgency, page by page.
  Filter filter;
  filter.by_priority = true;
  filter.limit = 2;
  auto page = find_findings(*registry, filter).value();
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].stored.finding.id, findings[1]);
  EXPECT_EQ(page[1].stored.finding.id, findings[2]);
  filter.after = page[1].stored.finding.id;
  filter.after_priority = page[1].stored.priority;
  page = find_findings(*registry, filter).value();
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0].stored.finding.id, findings[0]);
  filter = {};
  filter.by_priority = true;
  EXPECT_EQ(find_devices(*registry, filter)->at(0).priority, 90);
  filter.cve = "CVE-2026-90001";
  EXPECT_TRUE(find_devices(*registry, filter)->empty());
  // What is not open any more is not urgent; writing a finding again keeps what was judged.
  auto fixed = *registry->finding(findings[1]).value();
  fixed.finding.state = "fixed";
  ASSERT_TRUE(registry->put_finding(fixed));
  EXPECT_EQ(registry->finding(findings[1]).value()->priority, 90);
  ASSERT_TRUE(vulns->put_urgency(1, d.id, {}, {}));
  EXPECT_EQ(registry->finding(findings[1]).value()->priority, 0);

  const auto text = Vulns::text_key("because");
  ASSERT_TRUE(vulns->put_texts({{text, "because"}}));
  ASSERT_TRUE(vulns->put("nvd", {record("CVE-2026-90001", day, {{"CVE-2026-90001", "{\"n\":1}", {ctl}}}), record("CVE-2026-90002", day, {{"CVE-2026-90002", "{}", {ctl}}})}));
  ASSERT_TRUE(vulns->put("kev", {record("CVE-2026-90001", day, {{"CVE-2026-90001", "{\"k\":1}", {}}})}));
  ASSERT_TRUE(vulns->put_device_vulns(1, d.id, {{d.id, {{"CVE-2026-90001", 1, "nvd", text, why, 50}, {"CVE-2026-90002", 2, "nvd", text, why, 90}, {"X-1", 1, "csaf", text, why, 1}}}}, day));
  const auto shown = vulns->with_docs({d.id, 999}, 2).value();
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[0].row.cve, "CVE-2026-90002");
  EXPECT_EQ(shown[1].docs, (std::vector<std::string>{"{\"n\":1}", "{\"k\":1}"}));
  EXPECT_TRUE(vulns->with_docs({d.id}, 10)->back().docs.empty()) << "a record that is gone";
  const auto exploited = vulns->exploited(d.id, 10).value();
  ASSERT_EQ(exploited.size(), 1u);
  EXPECT_EQ(exploited[0].cve, "CVE-2026-90001");
  EXPECT_EQ(find_devices(*registry, filter)->size(), 1u);
}

}  // namespace
}  // namespace nora::registry
