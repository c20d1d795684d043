// From files of the sources to rows of devices, on both stores: import, judge again, judge again with newer data.
#include "flow/vulns.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "flow/scheduler.h"
#include "registry/views.h"
#include "store/testing/both_stores.h"

namespace nora::flow {
namespace {

const std::filesystem::path source = NORA_SOURCE_DIR, testdata = source / "src/expose/testdata";

class VulnFlow : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
    world.clock.set(*Instant::parse("2026-03-05T00:00:00Z"));
    flow.emplace(world.env(), *registry, names, products);
    dir = std::filesystem::path(::testing::TempDir()) / ("vulns" + std::to_string(::getpid()));
    std::filesystem::create_directories(dir);
  }
  void TearDown() override {
    flow.reset();
    registry.reset();
    std::filesystem::remove_all(dir);
    BothStores::TearDown();
  }
  registry::Id device(std::string_view product, std::string_view firmware, double confidence = 0.9, std::string_view vendor = "Kinmirai Denki") {
    registry::Device d;
    d.identity.vendor = {std::string(vendor), 1, {}};
    d.identity.product = {std::string(product), confidence, {}};
    d.identity.firmware = {std::string(firmware), 1, {}};
    d.first_seen = d.last_seen = world.clock.now();
    return registry->put_device(d, "key", "v1").value();
  }
  VulnImport import(std::string_view kind, const std::filesystem::path& file) {
    auto r = flow->import(kind, file);
    EXPECT_TRUE(r) << (r ? "" : r.error().text());
    return r.value_or(VulnImport{});
  }
  std::filesystem::path changed(std::string_view file, std::initializer_list<std::pair<std::string_view, std::string_view>> edits) {
    auto text = read_file(testdata / file).value();
    for (const auto& [from, to] : edits) {
      const auto at = text.find(from);
      EXPECT_NE(at, std::string::npos) << from;
      if (at != std::string::npos) text.replace(at, from.size(), to);
    }
    EXPECT_TRUE(replace_file(dir / file, text));
    return dir / file;
  }
  void import_all() {
    for (const auto& [kind, file] : {std::pair{"kev", "kev.json"}, std::pair{"nvd", "nvd.json"}, std::pair{"epss", "epss.csv"}, std::pair{"jvn", "jvn_rss.xml"},
                                     std::pair{"jvn", "jvn_vuldef.xml"}, std::pair{"csaf", "csaf_advisory.json"}, std::pair{"eol", "routeros.json"}})
      import(kind, testdata / file);
  }
  std::vector<registry::DeviceVuln> of(registry::Id id) { return registry::Vulns(*db).of_device(id).value(); }
  FakeEnv world;
  expose::CpeNames names = expose::CpeNames::load(source / "data/products/cpe_aliases.toml").value();
  expose::Knowledge products = expose::Knowledge::load(source / "data/products", source / "data/advice").value();
  std::optional<registry::Registry> registry;
  std::optional<Vulnerabilities> flow;
  std::filesystem::path dir;
};
NORA_ON_BOTH_STORES(VulnFlow);

TEST_P(VulnFlow, NewDataJudgesStoredDevicesAgain) {
  const auto old = device("CTL-100", "Ver.2.3"), fresh = device("CTL-100", "2.4"), unknown = device("CTL-100", ""), other = device("CTL-900", "1.0"), weak = device("CTL-100", "2.3", 0.3);
  registry::StoredFinding f;
  f.finding.device = old;
  f.finding.rule = "telnet-login";
  f.finding.pattern = registry::Pattern::D;
  f.finding.where = {*Ip::parse("192.0.2.1"), {23}, Proto::tcp, world.clock.now()};
  f.finding.first_seen = f.finding.last_seen = world.clock.now();
  f.finding.state = "open";
  ASSERT_TRUE(registry->put_finding(f));

  auto counts = flow->reassess();
  ASSERT_TRUE(counts) << counts.error().text();
  EXPECT_EQ(counts->devices, 5);
  EXPECT_EQ(counts->named, 4);
  EXPECT_EQ(counts->rows_added, 0) << "no data yet";
  import_all();
  counts = flow->reassess();
  ASSERT_TRUE(counts) << counts.error().text();
  EXPECT_GT(counts->rows_added, 0);

  const auto rows = of(old);
  ASSERT_FALSE(rows.empty());
  EXPECT_EQ(rows[0].cve, "CVE-2026-90001");
  EXPECT_EQ(static_cast<expose::Verdict>(rows[0].verdict), expose::Verdict::affected_by_version);
  EXPECT_NE(rows[0].reason.find("firmware Ver.2.3 is from 1.0 and before 2.4"), std::string::npos) << rows[0].reason;
  const auto why = expose::priority_input_from(rows[0].why);
  ASSERT_TRUE(why) << why.error().text();
  const auto priority = expose::priority_of(*why);
  EXPECT_EQ(priority.score, rows[0].priority) << "what is stored explains what is stored";
  EXPECT_NE(priority.words.find("exposed: D (telnet-login) x4; known to be exploited (KEV since 2026-02-20, by ransomware)"), std::string::npos) << priority.words;
  EXPECT_NE(priority.words.find("EPSS 0.912"), std::string::npos);
  const auto possibly = of(unknown);
  ASSERT_FALSE(possibly.empty());
  for (const auto& r : possibly) EXPECT_EQ(static_cast<expose::Verdict>(r.verdict), expose::Verdict::possibly_affected) << r.cve;
  EXPECT_LT(possibly[0].priority, rows[0].priority);
  EXPECT_TRUE(of(other).empty());
  EXPECT_TRUE(of(weak).empty()) << "a product that is only guessed is not used";
  for (const auto& r : of(fresh)) EXPECT_NE(static_cast<expose::Verdict>(r.verdict), expose::Verdict::affected_by_version) << r.cve << ": " << r.reason;

  counts = flow->reassess();
  EXPECT_EQ(counts->rows_added + counts->rows_removed + counts->devices_changed, 0) << "once more changes nothing";

  // NVD learns that 2.3 has the fix: the same device, no new survey.
  import("nvd", changed("nvd.json", {{"\"versionEndExcluding\": \"2.4\"", "\"versionEndExcluding\": \"2.3\""}, {"2026-02-15T10:15:00.123", "2026-03-04T00:00:00.000"}}));
  import("csaf", changed("csaf_advisory.json", {{"vers:generic/>=1.0|<2.4", "vers:generic/>=1.0|<2.3"}, {"2026-03-02T00:00:00Z", "2026-03-04T00:00:00Z"}}));
  counts = flow->reassess();
  EXPECT_GT(counts->devices_changed, 0);
  for (const auto& r : of(old)) EXPECT_FALSE(r.cve == "CVE-2026-90001" && r.verdict == static_cast<int>(expose::Verdict::affected_by_version)) << r.reason;

  // A device that turns out to be another one leaves no rows behind.
  ASSERT_TRUE(registry->merge_devices(unknown, old));
  ASSERT_TRUE(flow->reassess());
  EXPECT_TRUE(of(unknown).empty());
}

// The names that fingerprints state reach the judgement of stored devices; components are capped, and stay "possibly".
TEST_P(VulnFlow, CpeNamesOfFingerprintsAreUsed) {
  registry::Device d;
  d.identity.vendor = {"Somebody", 1, {}};
  d.identity.product = {"Rebranded 9", 0.9, {}};  // NVD knows it under the name of its maker
  d.identity.cpes = {"cpe:/o:kinmirai_denki:ctl-100_firmware:2.2"};
  d.first_seen = d.last_seen = world.clock.now();
  const auto by_version = registry->put_device(d, "a", "v1").value();
  d.identity.cpes = {"cpe:/o:kinmirai_denki:ctl-100_firmware:-"};
  const auto unknown = registry->put_device(d, "b", "v1").value();
  d.identity.cpes.clear();
  d.identity.components = {"cpe:/a:lighttpd:lighttpd:1.4.35"};
  const auto component = registry->put_device(d, "c", "v1").value();
  import_all();
  std::string items;
  for (int i = 0; i < 30; ++i)
    items += fmt::format("{}{{\"cve\": {{\"id\": \"CVE-2026-91{:03}\", \"published\": \"2026-02-01T00:00:00.000\", \"lastModified\": \"2026-02-01T00:00:00.000\", \"vulnStatus\": \"Analyzed\", "
                         "\"descriptions\": [{{\"lang\": \"en\", \"value\": \"Invented.\"}}], \"references\": [], \"configurations\": [{{\"nodes\": [{{\"operator\": \"OR\", \"negate\": false, "
                         "\"cpeMatch\": [{{\"vulnerable\": true, \"criteria\": \"cpe:2.3:a:lighttpd:lighttpd:*:*:*:*:*:*:*:*\", \"versionEndExcluding\": \"1.4.50\", \"matchCriteriaId\": \"A\"}}]}}]}}]}}}}",
                         i == 0 ? "" : ",\n", i);
  ASSERT_TRUE(replace_file(dir / "nvd.json", fmt::format("{{\"resultsPerPage\": 30, \"startIndex\": 0, \"totalResults\": 30, \"format\": \"NVD_CVE\", \"version\": \"2.0\", \"timestamp\": \"2026-03-01T00:00:00.000\", "
                                                         "\"vulnerabilities\": [\n{}]}}", items)));
  EXPECT_EQ(import("nvd", dir / "nvd.json").counts.records, 30);
  ASSERT_TRUE(flow->reassess());
  ASSERT_FALSE(of(by_version).empty());
  EXPECT_EQ(static_cast<expose::Verdict>(of(by_version)[0].verdict), expose::Verdict::affected_by_version) << of(by_version)[0].reason;
  ASSERT_FALSE(of(unknown).empty());
  for (const auto& r : of(unknown)) EXPECT_EQ(static_cast<expose::Verdict>(r.verdict), expose::Verdict::possibly_affected);
  EXPECT_EQ(expose::priority_input_from(of(unknown)[0].why)->doubt, expose::Doubt::version);
  const auto web = of(component);
  EXPECT_EQ(web.size(), max_component_rows) << "of 30";
  for (const auto& r : web) {
    EXPECT_EQ(static_cast<expose::Verdict>(r.verdict), expose::Verdict::possibly_affected);
    EXPECT_EQ(expose::priority_input_from(r.why)->doubt, expose::Doubt::component);
  }
}

// Findings and devices carry how urgent they are, also where nothing is known but the exposure.
TEST_P(VulnFlow, FindingsAreOrderedByUrgency) {
  const auto flawed = device("CTL-100", "Ver.2.3"), plain = device("CTL-900", "1.0"), nameless = device("", "", 0, "");
  std::vector<registry::Id> findings;
  for (const auto id : {flawed, plain, nameless})
    for (const auto& [rule, pattern, port] : {std::tuple("open-resolver", registry::Pattern::A, 53), std::tuple("telnet-login", registry::Pattern::D, 23)}) {
      registry::StoredFinding f;
      f.finding.device = id;
      f.finding.rule = rule;
      f.finding.pattern = pattern;
      f.finding.where = {*Ip::parse("192.0.2.1"), {static_cast<std::uint16_t>(port)}, Proto::tcp, world.clock.now()};
      f.finding.first_seen = f.finding.last_seen = world.clock.now();
      f.finding.state = "open";
      findings.push_back(registry->put_finding(f).value());
    }
  import_all();
  ASSERT_TRUE(flow->reassess());
  const auto finding = [&](std::size_t i) { return *registry->finding(findings[i]).value(); };
  const auto worst = finding(1), resolver = finding(0), alone = finding(3), unnamed = finding(5);
  EXPECT_GT(worst.priority, resolver.priority) << "the same flaw, the other door";
  EXPECT_GT(resolver.priority, alone.priority);
  EXPECT_EQ(alone.priority, 26);
  EXPECT_EQ(unnamed.priority, 26);
  const auto why = expose::priority_input_from(worst.priority_why);
  ASSERT_TRUE(why);
  EXPECT_EQ(why->cve, "CVE-2026-90001");
  EXPECT_EQ(expose::priority_of(*why).score, worst.priority);
  EXPECT_EQ(expose::priority_input_from(alone.priority_why)->verdict, std::nullopt);
  EXPECT_EQ(registry::Vulns(*db).devices(0, 10)->at(0).priority, worst.priority);
  registry::Filter filter;
  filter.by_priority = true;
  EXPECT_EQ(registry::find_devices(*registry, filter)->at(0).device.id, flawed);
  auto counts = flow->reassess();
  EXPECT_EQ(counts->devices_changed, 0);
  auto fixed = worst;
  fixed.finding.state = "fixed";
  ASSERT_TRUE(registry->put_finding(fixed));
  ASSERT_TRUE(flow->reassess());
  EXPECT_EQ(finding(1).priority, 0);
  EXPECT_LT(registry::Vulns(*db).devices(0, 10)->at(0).priority, worst.priority);
}

// The scheduler judges devices that came after the import, and not again while nothing changed.
TEST_P(VulnFlow, TheSchedulerJudgesDevicesThatComeLater) {
  auto knowledge = Knowledge::load({source / "data", {}, {}}).value();
  const auto codes = *cases::Codes::open(dir / "codes.key", world.random);
  cases::CaseBook book(*registry, codes);
  const auto routes = cases::Routes{};
  Pipeline pipeline(world.env(), *registry, book, routes, knowledge, {});
  SchedulerParts parts{world.env(), routes, codes, [&] { return knowledge; }, {}};
  const SchedulerOptions options;
  ASSERT_TRUE(import("nvd", testdata / "nvd.json").counts.records > 0);
  const auto judged_at = [&] { return registry->progress("flow.vulns.at").value(); };
  const auto id = device("Box 100", "1.0");
  ASSERT_TRUE(Scheduler::work(parts, options, *registry, pipeline, book));
  const auto first = judged_at();
  EXPECT_GT(first, 0);
  world.clock.set(world.clock.now() + Span::minutes(5));
  ASSERT_TRUE(Scheduler::work(parts, options, *registry, pipeline, book));
  EXPECT_EQ(judged_at(), first) << "nothing changed";
  device("Box 200", "1.0");
  ASSERT_TRUE(Scheduler::work(parts, options, *registry, pipeline, book));
  EXPECT_GT(judged_at(), first);
  EXPECT_GT(id, 0);
}

// Rules that know more after a restart: stored devices get the names that the new rules state, without a new reply.
TEST_P(VulnFlow, RulesThatChangedWhileNobodyRan) {
  const auto codes = *cases::Codes::open(dir / "codes.key", world.random);
  cases::CaseBook book(*registry, codes);
  const auto routes = cases::Routes{};
  const SchedulerOptions options;
  const auto run = [&](const std::vector<std::filesystem::path>& rules) {
    auto knowledge = Knowledge::load({source / "data", rules, {}}).value();
    Pipeline pipeline(world.env(), *registry, book, routes, knowledge, {});
    SchedulerParts parts{world.env(), routes, codes, [&] { return knowledge; }, {}};
    auto counts = Scheduler::work(parts, options, *registry, pipeline, book);
    EXPECT_TRUE(counts) << (counts ? "" : counts.error().text());
    return counts.value_or(PipelineCounts{});
  };
  registry::ReplyRecord r;
  r.reply.protocol = "telnet";
  r.reply.bytes = to_bytes("Kinmirai CTL-100 2.2 login: ");
  r.reply.keys = {{"telnet_banners", "Kinmirai CTL-100 2.2 login: "}};
  r.reply.hash = registry::reply_hash("telnet", r.reply.bytes);
  r.seen = {0, {*Ip::parse("192.0.2.7"), {23}, Proto::tcp, world.clock.now()}, {}, r.reply.hash, "telnet", "s/0", 10, 30};
  ASSERT_TRUE(registry->put_replies({r}));
  run({});
  ASSERT_EQ(registry->all_devices(0, 10)->size(), 1u);
  EXPECT_TRUE(registry->all_devices(0, 10)->at(0).identity.cpes.empty());
  std::filesystem::create_directories(dir / "rules");
  ASSERT_TRUE(replace_file(dir / "rules/t.xml", R"x(<fingerprints matches="telnet_banners"><fingerprint pattern="^Kinmirai CTL-100 (\S+) login"><description>own</description>
    <param pos="0" name="hw.vendor" value="Kinmirai Denki"/><param pos="0" name="hw.product" value="CTL-100"/><param pos="1" name="hw.version"/>
    <param pos="0" name="os.vendor" value="Kinmirai Denki"/><param pos="0" name="os.cpe23" value="cpe:/o:kinmirai_denki:ctl-100_firmware:{hw.version}"/></fingerprint></fingerprints>)x"));
  EXPECT_EQ(run({dir / "rules"}).addresses, 1);
  const auto devices = registry->all_devices(0, 10).value();
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].identity.cpes, std::vector<std::string>{"cpe:/o:kinmirai_denki:ctl-100_firmware:2.2"});
  EXPECT_EQ(run({dir / "rules"}).addresses, 0) << "once";
  import_all();
  ASSERT_TRUE(flow->reassess());
  ASSERT_FALSE(of(devices[0].id).empty());
  EXPECT_EQ(static_cast<expose::Verdict>(of(devices[0].id)[0].verdict), expose::Verdict::affected_by_version);
}

TEST_P(VulnFlow, ImportsAreIdempotentAndKeepTheirOrder) {
  EXPECT_EQ(import("kev", testdata / "kev.json").counts.added, 2);
  EXPECT_EQ(import("kev", testdata / "kev.json").counts.same, 2);
  const auto older = import("kev", changed("kev.json", {{"2026-03-01T12:00:00", "2026-02-27T12:00:00"}}));
  EXPECT_TRUE(older.outdated);
  // A newer catalogue without one of them takes it out.
  auto text = read_file(testdata / "kev.json").value();
  text.replace(text.find("\"count\": 2"), 10, "\"count\": 1");
  text.replace(text.find("2026-03-01T12"), 13, "2026-03-02T12");
  text.erase(text.find(",\n  {\"cveID\": \"CVE-2026-90002\""));
  text += "]}";
  ASSERT_TRUE(replace_file(dir / "kev.json", text));
  EXPECT_EQ(import("kev", dir / "kev.json").counts.removed, 1);
  EXPECT_EQ(import("csaf", testdata / "csaf_advisory.json").counts.added, 1);
  const auto again = import("csaf", testdata / "csaf_advisory.json");
  EXPECT_EQ(again.counts.same, 1);
  EXPECT_FALSE(again.warnings.empty()) << "optional tests warn";
  EXPECT_EQ(import("eol", testdata / "routeros.json").counts.added, 3);
  EXPECT_EQ(import("eol", testdata / "routeros.json").counts.same, 3);
  EXPECT_EQ(import("epss", testdata / "epss.csv").counts.added, 2);
  EXPECT_EQ(registry::Vulns(*db).imports()->size(), 8u) << "what was outdated is not in the log";

  EXPECT_EQ(flow->import("rumour", testdata / "kev.json").error().code, Code::usage);
  const auto bad = flow->import("nvd", testdata / "kev.json");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().what.find("kev.json: "), std::string::npos);
  ASSERT_TRUE(replace_file(dir / "x.csv", "\x1f\x8b\x08"));
  EXPECT_NE(flow->import("epss", dir / "x.csv").error().what.find("compressed"), std::string::npos);
  EXPECT_FALSE(flow->import("kev", dir / "none.json"));
}

TEST_P(VulnFlow, OneIdentityIsAnswered) {
  import_all();
  const auto answers = flow->about({"Kinmirai Denki", "CTL-100", "2.3", {}, {}});
  ASSERT_TRUE(answers) << answers.error().text();
  ASSERT_GE(answers->size(), 2u);
  const auto& first = answers->at(0);
  EXPECT_EQ(first.cve, "CVE-2026-90001");
  EXPECT_EQ(first.judgement.verdict, expose::Verdict::affected_by_version);
  EXPECT_NE(first.title_ja.find("CTL-100"), std::string::npos);
  EXPECT_TRUE(first.kev && first.kev->ransomware);
  EXPECT_EQ(first.cvss->score, 9.8);
  EXPECT_EQ(first.sources.size(), 4u);
  EXPECT_FALSE(first.remedies.empty());
  EXPECT_GE(flow->about({"Kinmirai Denki", "CTL-100", "9.9", {}, {}}, {}, true)->size(), 1u) << "with what does not concern it";
  EXPECT_EQ(flow->about({"", "", "", {"cpe:/o:kinmirai_denki:ctl-100_firmware:2.2"}, {}})->at(0).judgement.verdict, expose::Verdict::affected_by_version);
  EXPECT_TRUE(flow->about({"Nobody", "Nothing", "1", {}, {}})->empty());

  auto end = flow->support_end("MikroTik", "RouterOS", "6.49.10");
  EXPECT_EQ(end->ended, std::optional(true));
  EXPECT_EQ(end->end, "2026-02-01");
  EXPECT_EQ(flow->support_end("MikroTik", "RouterOS", "7.1")->ended, std::optional(false));
  EXPECT_FALSE(flow->support_end("MikroTik", "RouterOS", "")->ended.has_value()) << "unknown is not supported";
  EXPECT_FALSE(flow->support_end("Kinmirai Denki", "CTL-100", "2.3")->end == "supported");
}

}  // namespace
}  // namespace nora::flow
