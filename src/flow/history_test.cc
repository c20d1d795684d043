// The history under other rules than it was made with, on both stores: a program that starts with other rules, killed half-way; clusters made anew;
// and the preview of a name, which streams, against the oracle that looks at every device.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "base/files.h"
#include "flow/naming.h"
#include "flow/pipeline.h"
#include "flow/samples.h"
#include "flow/scheduler.h"
#include "flow/testing/faces_world.h"
#include "identify/testdata/plan_over.h"
#include "registry/history.h"
#include "store/testing/both_stores.h"

namespace nora::flow {
namespace {

namespace fs = std::filesystem;
const Instant t0 = Instant::seconds(1'795'600'000);

class HistoryOnBoth : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
    book.emplace(*registry, codes);
    routes = *cases::Routes::parse("[[isp]]\nid = \"hikari\"\nname = \"Hikari\"\ntrack = \"list\"\n[[isp.prefix]]\nprefix = \"203.0.113.0/24\"\nfrom = 2026-11-01T00:00:00Z\nlease_hours = 24\n", "routes.toml");
    dir = fs::path(::testing::TempDir()) / ("nora_history_" + std::to_string(::getpid()) + "_" + GetParam());
    fs::remove_all(dir);
    fs::create_directories(dir);
    write_rules({{"alpha", "Alpha Panel"}, {"beta", "Beta Panel"}});
  }
  void TearDown() override {
    fs::remove_all(dir);
    book.reset();
    registry.reset();
    BothStores::TearDown();
  }
  // The shipped rules of this world: product -> title.
  void write_rules(const std::vector<std::pair<std::string, std::string>>& rules) {
    std::string text = "<fingerprints matches=\"html_title\" preference=\"0.9\">";
    for (const auto& [product, title] : rules)
      text += fmt::format(R"(<fingerprint pattern="^{} [0-9]+$"><description>x</description><param pos="0" name="hw.vendor" value="Kinmirai"/><param pos="0" name="hw.product" value="{}"/></fingerprint>)", title, product);
    ASSERT_TRUE(replace_file(dir / "world.xml", text + "</fingerprints>"));
  }
  // A program that starts: knows what lies in the files now, and nothing of what ran before.
  std::unique_ptr<Pipeline> start() {
    auto known = Knowledge::load({std::string(NORA_SOURCE_DIR) + "/data", {dir}, {}});
    EXPECT_TRUE(known) << known.error().text();
    PipelineOptions options;
    options.store = url();
    return std::make_unique<Pipeline>(env.env(), *registry, *book, routes, *known, options);
  }
  registry::ReplyRecord page(int n, std::string_view title, Instant at = t0, std::vector<registry::KeyValue> more = {}, std::uint16_t port = 80) {
    identify::testing::Face::Reply reply;
    reply.where = {Port{port}, Proto::tcp};
    reply.protocol = "http";
    reply.keys = {{"http.status", "200"}, {"html_title", std::string(title)}};
    for (auto& kv : more) reply.keys.push_back(std::move(kv));
    return testing::record_of(reply, *Ip::parse(fmt::format("203.0.113.{}", n)), at, "s1/0");
  }
  void put(const std::vector<registry::ReplyRecord>& records) { ASSERT_TRUE(registry->put_replies(records)); }
  std::map<std::string, int> names() {
    std::map<std::string, int> out;
    const auto all = registry->all_devices(0, 1000).value();
    for (const auto& d : all) ++out[d.identity.product_known() ? d.identity.product.value : d.cluster.empty() ? "?" : "cluster"];
    return out;
  }
  std::vector<std::string> devices() {
    std::vector<std::string> out;
    const auto all = registry->all_devices(0, 1000).value();
    for (const auto& d : all) out.push_back(fmt::format("{} {} {}", d.id, d.identity.display(), d.cluster));
    return out;
  }
  std::int64_t count(std::string_view sql) { return db->one(sql)->integer(); }

  FakeEnv env;
  cases::Codes codes{Secret(Bytes(32, 7))};
  std::optional<registry::Registry> registry;
  std::optional<cases::CaseBook> book;
  cases::Routes routes;
  fs::path dir;
};
NORA_ON_BOTH_STORES(HistoryOnBoth);

TEST_P(HistoryOnBoth, AProgramThatStartsWithOtherRulesIdentifiesTheHistoryAgain) {
  using Names = std::map<std::string, int>;
  for (int i = 1; i <= 20; ++i) put({page(i, fmt::format("Alpha Panel {}", i)), page(20 + i, fmt::format("Beta Panel {}", i)), page(40 + i, fmt::format("Gamma Panel {}", i))});
  put({page(61, "Gamma Panel 1")});   // the same reply at another address
  {
    const auto first = start();
    ASSERT_TRUE(first->process_new());
    const auto nothing = first->catch_up(Span::seconds(60));
    ASSERT_TRUE(nothing) << nothing.error().text();
    EXPECT_FALSE(nothing->more);
    EXPECT_EQ(nothing->replies_seen, 0) << "the first program of a store has nothing to do again";
    EXPECT_EQ(nothing->addresses, 0);
  }
  EXPECT_EQ(names(), (Names{{"alpha", 20}, {"beta", 20}, {"cluster", 21}}));

  write_rules({{"alpha", "Alpha Panel"}, {"gamma", "Gamma Panel"}});  // one came, one went
  std::int64_t steps = 0;
  // Killed after each step: what follows goes on from there.
  for (bool more = true; more; ++steps) {
    const auto program = start();
    const auto done = program->catch_up({});
    ASSERT_TRUE(done) << done.error().text();
    more = done->more;
    ASSERT_LT(steps, 100);
    if (steps == 5) {
      EXPECT_LT(count("SELECT value FROM progress WHERE name = 'history.part'"), registry::history_parts);
      // What comes meanwhile is identified by the new rules, and what an older program thinks through meanwhile is thought through again.
      put({page(71, "Gamma Panel 71"), page(72, "Beta Panel 72")});
      ASSERT_TRUE(program->process_new());
      EXPECT_EQ(names()["gamma"], 1);
    }
  }
  EXPECT_GT(steps, 16) << "the work was cut into pieces";
  EXPECT_EQ(names(), (Names{{"alpha", 20}, {"gamma", 22}, {"cluster", 21}}));
  EXPECT_EQ(count("SELECT count(*) FROM address_again"), 0);
  EXPECT_EQ(count("SELECT count(DISTINCT rules_version) FROM identification"), 1) << "what other rules said is forgotten";

  // The same as identifying everything from nothing.
  const auto quick = devices();
  ASSERT_TRUE(db->write("DELETE FROM identification"));
  const auto anew = start();
  ASSERT_TRUE(anew->reassess_all());
  EXPECT_EQ(quick, devices());
  const auto again = start()->catch_up(Span::seconds(60));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->replies_seen, 0) << "done is done";

  // And back, by the scheduler of a server.
  write_rules({{"alpha", "Alpha Panel"}, {"beta", "Beta Panel"}});
  const auto server = start();
  SchedulerParts parts{env.env(), routes, codes, [&] { return std::shared_ptr<const Knowledge>(std::shared_ptr<void>(), &server->knowledge()); }, {}};
  SchedulerOptions options;
  options.store = url();
  ASSERT_TRUE(Scheduler::work(parts, options, *registry, *server, *book));
  EXPECT_EQ(names(), (Names{{"alpha", 20}, {"beta", 21}, {"cluster", 22}}));
  EXPECT_NE(env.log.text.find("all replies are identified again"), std::string::npos) << env.log.text;
}

TEST_P(HistoryOnBoth, OnlyAddressesWithAnotherAnswerAreThoughtThrough) {
  for (int i = 1; i <= 60; ++i) put({page(i, i <= 3 ? fmt::format("Gamma Panel {}", i) : fmt::format("Alpha Panel {}", i))});
  ASSERT_TRUE(start()->process_new());
  write_rules({{"alpha", "Alpha Panel"}, {"gamma", "Gamma Panel"}});
  const auto done = start()->catch_up_wholly();
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->replies_seen, 60);
  EXPECT_EQ(done->replies_again, 3);
  EXPECT_EQ(done->addresses, 3);
  EXPECT_EQ(names()["gamma"], 3);
}

TEST_P(HistoryOnBoth, AnOlderProgramBesideTheNewOneLeavesNoOldNames) {
  put({page(1, "Alpha Panel 1"), page(2, "Gamma Panel 2")});
  const auto older = start();
  ASSERT_TRUE(older->process_new());
  write_rules({{"alpha", "Alpha Panel"}, {"gamma", "Gamma Panel"}});
  ASSERT_TRUE(start()->catch_up_wholly());
  put({page(3, "Gamma Panel 3")});
  ASSERT_TRUE(older->process_new());   // it still runs, with what it knew
  EXPECT_EQ(names()["gamma"], 1);
  EXPECT_EQ(count("SELECT count(*) FROM address_again"), 1);
  const auto not_mine = older->catch_up(Span::seconds(60));
  ASSERT_TRUE(not_mine);
  ASSERT_TRUE(start()->catch_up_wholly());
  EXPECT_EQ(names()["gamma"], 2);
}

TEST_P(HistoryOnBoth, OtherExposureRulesAreThoughtThroughEverywhere) {
  put({page(1, "Alpha Panel 1"), page(2, "Gamma Panel 2")});
  ASSERT_TRUE(start()->process_new());
  ASSERT_TRUE(registry::set_history_state(*db, "exposures", "earlier"));
  const auto done = start()->catch_up_wholly();
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->addresses, 2);
  EXPECT_NE(*registry::history_state(*db, "exposures"), "earlier");
  EXPECT_EQ(start()->catch_up_wholly()->addresses, 0);
}

TEST_P(HistoryOnBoth, ARuleChangeThatIsKilledIsFinishedByTheNextProgram) {
  put({page(1, "Gamma Panel 1"), page(2, "Gamma Panel 2")});
  const auto program = start();
  ASSERT_TRUE(program->process_new());
  // What change_rules leaves in the store when it is stopped after its first transaction.
  write_rules({{"alpha", "Alpha Panel"}, {"gamma", "Gamma Panel"}});
  const auto next = start();
  ASSERT_TRUE(registry::move_identifications(*db, program->knowledge().version, next->knowledge().version, t0));
  ASSERT_TRUE(db->write("DELETE FROM identification"));
  ASSERT_TRUE(registry::queue_address(*db, *Ip::parse("203.0.113.1")));
  ASSERT_TRUE(registry::queue_address(*db, *Ip::parse("203.0.113.2")));
  const auto done = next->catch_up_wholly();
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->replies_seen, 0) << "the label moved: nothing is read again";
  EXPECT_EQ(names()["gamma"], 2);
}

// Keys of a time when other faces were known: all stale. One pass gives what seeing each device again would give.
TEST_P(HistoryOnBoth, ClustersAreMadeAnew) {
  for (int i = 1; i <= 9; ++i) {
    put({page(i, "Console", t0, {{"http_header.server", fmt::format("tiny/{}", i % 3 == 0 ? "x" : "1.2")}})});
    put({page(20 + i, "Other page", t0), page(20 + i, "Second port", t0 + Span::seconds(1), {}, 8080)});
    put({page(40 + i, fmt::format("Alpha Panel {}", i))});
    // Seen twice: the newer answer speaks.
    put({page(60 + i, "First face", t0), page(60 + i, "Later face", t0 + Span::seconds(60))});
  }
  for (const auto& f : testing::faces()) {
    for (const auto& r : f.replies) put({testing::record_of(r, *Ip::parse(f.ip), t0, "s1/0")});
  }
  const auto program = start();
  ASSERT_TRUE(program->process_new());
  const auto fresh = devices();
  auto rebuilt = program->rebuild_clusters();
  ASSERT_TRUE(rebuilt) << rebuilt.error().text();
  EXPECT_EQ(rebuilt->moved, 0) << "placing a device and the one pass agree";
  EXPECT_EQ(devices(), fresh);
  EXPECT_GE(rebuilt->devices, 20);
  EXPECT_EQ(rebuilt->clusters, count("SELECT count(DISTINCT cluster) FROM device WHERE cluster <> ''"));

  ASSERT_TRUE(db->write("UPDATE device SET cluster = 'c-0000000000' WHERE cluster <> ''"));
  ASSERT_TRUE(db->write("UPDATE device SET cluster = '' WHERE id % 5 = 0"));
  rebuilt = program->rebuild_clusters();
  ASSERT_TRUE(rebuilt);
  EXPECT_EQ(rebuilt->moved, rebuilt->devices - rebuilt->faceless);
  EXPECT_EQ(devices(), fresh);
  const auto once_more = program->rebuild_clusters();
  EXPECT_EQ(once_more->moved, 0);

  // At the start of a program that knows other faces; killed after each step.
  ASSERT_TRUE(db->write("UPDATE device SET cluster = 'c-0000000000' WHERE cluster <> ''"));
  ASSERT_TRUE(registry::set_history_state(*db, "faces", "0-earlier"));
  ASSERT_TRUE(start()->catch_up({}));
  EXPECT_EQ(*registry::history_state(*db, "faces"), "0-earlier") << "killed before the first device";
  ASSERT_TRUE(start()->catch_up_wholly());
  EXPECT_EQ(*registry::history_state(*db, "faces"), identify::face_version());
  EXPECT_EQ(devices(), fresh);
}

TEST_P(HistoryOnBoth, ThePreviewOfANameIsWhatLookingAtEveryDeviceGives) {
  std::mt19937 random(11);
  const auto pick = [&](std::vector<std::string> all) { return all[random() % all.size()]; };
  for (int i = 1; i <= 120; ++i) {
    std::vector<registry::KeyValue> more;
    if (random() % 2 == 0) more.push_back({"http_header.server", pick({"httpd/1.2 tiny", "httpd/1.3 tiny"})});
    if (random() % 4 == 0) more.push_back({"http.body_shape", pick({"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"})});
    put({page(i, pick({"Device Console", "Device Console", "Unit 1a2b3c4d", "Unit 12345678", "Unit 87654321", "Alpha Panel 7", "Login"}), t0, more)});
    if (random() % 3 == 0) put({page(i, pick({"Device Console", "Alpha Panel 3", "Admin page"}), t0, {}, 8080)});
    // It showed something else before: that speaks no longer.
    if (random() % 5 == 0) put({page(i, "Unit 00000001", t0 - Span::seconds(600))});
  }
  const auto program = start();
  ASSERT_TRUE(program->process_new());
  std::vector<registry::Id> ids;
  const auto all = registry->all_devices(0, 1000).value();
  for (const auto& d : all) ids.push_back(d.id);
  std::vector<identify::Sample> samples;
  ASSERT_TRUE(read_samples(*registry, ids, [&](const identify::Sample& s) -> Status {
    samples.push_back(s);
    return {};
  }));
  ASSERT_EQ(samples.size(), ids.size());
  Naming naming(env.env(), *registry, *program, KnowledgeDirs{std::string(NORA_SOURCE_DIR) + "/data", {dir}, dir / "named"}, nullptr);
  int made = 0, refused = 0;
  std::size_t others = 0;
  std::vector<identify::Naming> names;
  for (const auto& cluster : identify::clusters(samples, 1))
    for (const char* product : {"CTL-100", "alpha"}) names.push_back({cluster.key, "Kinmirai", product, "Router", "analyst1", "analyst2", t0});  // alpha: some have the name already
  for (const auto& name : names) {
    const auto quick = identify::testing::plain(naming.preview(name));
    auto oracle = identify::testing::naive_plan(name, samples, program->knowledge().rules);
    ASSERT_EQ(quick.has_value(), oracle.has_value()) << name.cluster << (quick ? "" : quick.error().what) << (oracle ? "" : oracle.error().what);
    if (!oracle) {
      EXPECT_EQ(quick.error().what, oracle.error().what);
      ++refused;
      continue;
    }
    ++made;
    ASSERT_EQ(quick->size(), oracle->size());
    for (std::size_t i = 0; i < oracle->size(); ++i) {
      others += (*oracle)[i].also.size();
      // Texts left alone: the store counts every distinct reply, the oracle those that some device shows now.
      EXPECT_GE((*quick)[i].decoys, (*oracle)[i].decoys);
      EXPECT_LE((*quick)[i].decoys, (*oracle)[i].decoys + 1) << "the one reply that nobody shows any more";
      (*oracle)[i].decoys = (*quick)[i].decoys;
    }
    EXPECT_EQ(*quick, *oracle) << name.cluster;
  }
  EXPECT_GT(made, 5);
  EXPECT_GT(refused, 2);
  EXPECT_GT(others, 20u);
}

}  // namespace
}  // namespace nora::flow
