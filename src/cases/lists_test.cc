// Lists and returns from end to end: the center's store, a sealed file, the ISP's reading, its return, the cases.
#include "cases/lists.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "cases/metrics.h"
#include "store/testing/both_stores.h"

namespace nora::cases {
namespace {

using enum State;

class ListsOnBoth : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
    book.emplace(*registry, codes);
    dir = std::filesystem::path(::testing::TempDir()) / ("nora_lists_" + std::to_string(::getpid()) + "_" + GetParam());
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
    auto opened = law::Audit::open(dir / "audit", "center", center, env.env());
    ASSERT_TRUE(opened) << opened.error().text();
    audit.emplace(std::move(*opened));
    routes = *Routes::parse(route_text(), "routes.toml");
    maker.emplace(env.env(), *registry, *book, routes, *audit, center, "demo-center", dir / "lists");
  }
  void TearDown() override {
    maker.reset();
    audit.reset();
    std::filesystem::remove_all(dir);
    book.reset();
    registry.reset();
    BothStores::TearDown();
  }
  std::string route_text() {
    return "[[isp]]\nid = \"hikari\"\nname = \"Hikari\"\ntrack = \"list\"\nkey = \"" + hikari.public_key().text() +
           "\"\n[[isp.prefix]]\nprefix = \"203.0.113.0/25\"\nfrom = 2026-11-01T00:00:00Z\nlease_hours = 24\n"
           "[[isp]]\nid = \"sakura\"\nname = \"Sakura\"\ntrack = \"list\"\nkey = \"" + sakura.public_key().text() +
           "\"\n[[isp.prefix]]\nprefix = \"198.51.100.0/26\"\nfrom = 2026-11-01T00:00:00Z\nlease_hours = 24\n"
           "[[isp]]\nid = \"kinmirai\"\nname = \"Kinmirai\"\ntrack = \"on-site\"\n[[isp.prefix]]\nprefix = \"198.51.100.128/28\"\nfrom = 2026-11-01T00:00:00Z\n";
  }
  // A device with one open finding, as far as S1.
  Id add_case(std::string_view address, std::string_view rule, bool validated = true) {
    const auto now = env.clock.now();
    registry::Device d;
    d.identity.product = {"LAN-W300N/R", 0.9, {}};
    d.first_seen = d.last_seen = now;
    registry::StoredFinding s;
    s.finding.device = *registry->put_device(d, "", "v1");
    s.finding.rule = s.finding_class = rule;
    s.finding.severity = registry::Severity::high;
    s.finding.where = {*Ip::parse(address), {23}, Proto::tcp, now};
    s.finding.first_seen = s.finding.last_seen = now;
    s.finding.state = "open";
    s.finding.evidence = {"telnet_banners on 23/tcp"};
    s.finding.id = *registry->put_finding(s);
    const auto id = *book->attach(s, routes.route(s.finding.where.ip, now), {}, now);
    if (validated) { EXPECT_TRUE(book->move(id, S1_VALIDATED, {}, now)); }
    last = s;
    return id;
  }
  const Isp& isp(std::string_view id) { return *routes.isp(id); }
  Result<exchange::List> read(const ListRecord& record, const SigningKey& key, std::int64_t last_sequence = 0) {
    auto file = read_file(dir / "lists" / record.file);
    if (!file) return pass(file.error());
    return exchange::read_list(as_bytes(*file), key, record.isp, center.public_key(), last_sequence, env.clock.now());
  }
  Result<ReturnCounts> bring_back(std::vector<exchange::ReturnRow> rows, std::int64_t sequence) {
    const exchange::Return ret{"x", "hikari", sequence, env.clock.now(), std::move(rows)};
    return import_return(*maker, isp("hikari"), *exchange::write_return(ret, hikari, center.public_key()));
  }
  FakeEnv env;
  SigningKey center = SigningKey::make("center.example", env.random), hikari = SigningKey::make("hikari.example", env.random),
             sakura = SigningKey::make("sakura.example", env.random);
  Codes codes{Secret(Bytes(32, 7))};
  std::filesystem::path dir;
  std::optional<registry::Registry> registry;
  std::optional<CaseBook> book;
  std::optional<law::Audit> audit;
  std::optional<ListMaker> maker;
  Routes routes;
  registry::StoredFinding last;
};
NORA_ON_BOTH_STORES(ListsOnBoth);

TEST_P(ListsOnBoth, OneSealedListPerIspWithItsOwnCasesOnly) {
  const auto a = add_case("203.0.113.10", "telnet-login"), b = add_case("203.0.113.11", "telnet-login");
  add_case("198.51.100.7", "nas-ftp-web");
  add_case("198.51.100.130", "modbus-controller");
  add_case("203.0.113.12", "telnet-login", false);  // seen once only
  auto made = make_list(*maker, isp("hikari"));
  ASSERT_TRUE(made) << made.error().text();
  ASSERT_TRUE(*made);
  EXPECT_EQ((*made)->sequence, 1);
  EXPECT_EQ((*made)->rows, 2);
  auto list = read(**made, hikari);
  ASSERT_TRUE(list) << list.error().text();
  std::set<std::string> addresses, row_codes;
  for (const auto& row : list->rows) {
    addresses.insert(row.where.ip.text());
    row_codes.insert(row.notice_code);
  }
  EXPECT_EQ(addresses, (std::set<std::string>{"203.0.113.10", "203.0.113.11"}));
  EXPECT_EQ(row_codes, (std::set<std::string>{codes.of_case(a).code, codes.of_case(b).code}));
  EXPECT_FALSE(read(**made, sakura)) << "another ISP cannot open it";
  EXPECT_EQ((*book->get(a))->state, S2_ROUTED);
  auto again = make_list(*maker, isp("hikari"));
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again) << "nothing new: no list";
  EXPECT_EQ(make_list(*maker, isp("kinmirai")).error().code, Code::refused) << "people are visited, not mailed";
  EXPECT_EQ(list_records(*registry)->size(), 1u);
}

TEST_P(ListsOnBoth, ALaterListRepeatsRowAndCode) {
  const auto id = add_case("203.0.113.10", "telnet-login");
  auto first = read(**make_list(*maker, isp("hikari")), hikari);
  ASSERT_TRUE(first);
  env.clock.sleep(list_life + Span::hours(1));
  auto second_record = make_list(*maker, isp("hikari"));
  ASSERT_TRUE(second_record && *second_record) << "unanswered until the list ran out: told again";
  auto second = read(**second_record, hikari, 1);
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_EQ(second->rows[0].row_id, first->rows[0].row_id);
  EXPECT_EQ(second->rows[0].notice_code, first->rows[0].notice_code);
  EXPECT_EQ((*book->get(id))->state, S2_ROUTED);
}

TEST_P(ListsOnBoth, TheLeafComesBeforeTheFile) {
  add_case("203.0.113.10", "telnet-login");
  const auto before = audit->state().size;
  auto made = make_list(*maker, isp("hikari"));
  ASSERT_TRUE(made && *made);
  EXPECT_EQ(audit->state().size, before + 1);
  auto seen = view_list(*maker, (*made)->id, "ops1");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->size(), 1u);
  EXPECT_EQ(audit->state().size, before + 2) << "a view is a disclosure";
  EXPECT_TRUE(law::audit_verify(dir / "audit", center.public_key()));
}

TEST_P(ListsOnBoth, ReturnsMoveTheCases) {
  const auto a = add_case("203.0.113.10", "telnet-login"), b = add_case("203.0.113.11", "telnet-login"), c = add_case("203.0.113.12", "telnet-login"),
             d = add_case("203.0.113.13", "telnet-login");
  ASSERT_TRUE(make_list(*maker, isp("hikari")));
  const auto now = env.clock.now();
  const auto row = [&](Id id, std::string_view state, std::string_view detail = "") {
    return exchange::ReturnRow{"demo-center-case-" + std::to_string(id), std::string(state), now, state == "matched" ? "00ff" : "", std::string(detail)};
  };
  const std::vector<exchange::ReturnRow> rows = {row(a, "matched"), row(a, "notified", "mail"), row(b, "ambiguous"), row(c, "none"), row(d, "no_ground")};
  auto counts = bring_back(rows, 1);
  ASSERT_TRUE(counts) << counts.error().text();
  EXPECT_EQ(counts->news, 5);
  EXPECT_EQ((*book->get(a))->state, S4_NOTIFIED);
  EXPECT_EQ((*book->get(a))->handle, "00ff");
  EXPECT_EQ((*book->get(a))->notified_at, now);
  EXPECT_EQ((*book->get(b))->state, S3A_AMBIGUOUS);
  EXPECT_EQ((*book->get(c))->state, S3N_NO_LOG);
  EXPECT_EQ((*book->get(d))->state, S2_ROUTED) << "without a ground nothing was looked up";
  EXPECT_FALSE(bring_back(rows, 1)) << "the same sequence again";
  auto again = bring_back(rows, 2);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->news, 0);
  EXPECT_EQ(again->moved, 0);
  auto garden = bring_back({row(a, "isolated", "walled-garden"), row(a, "released")}, 3);
  ASSERT_TRUE(garden) << garden.error().text();
  EXPECT_EQ((*book->get(a))->state, S6_VERIFYING);
  for (Id id : {a, b, c, d}) EXPECT_TRUE(book->verify_chain(id));
  EXPECT_EQ(funnel(*registry)->at(3).count, 1) << "line found";
  EXPECT_EQ(list_records(*registry)->at(0).state, "returned");
}

TEST_P(ListsOnBoth, ARowThatWasNeverGivenIsRefusedWhole) {
  const auto a = add_case("203.0.113.10", "telnet-login"), s = add_case("198.51.100.7", "nas-ftp-web");
  ASSERT_TRUE(make_list(*maker, isp("hikari")));
  ASSERT_TRUE(make_list(*maker, isp("sakura")));
  const auto now = env.clock.now();
  auto r = bring_back({{"demo-center-case-" + std::to_string(a), "matched", now, "", ""}, {"demo-center-case-" + std::to_string(s), "matched", now, "", ""}}, 1);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::refused);
  EXPECT_EQ((*book->get(a))->state, S2_ROUTED) << "nothing of a bad return counts";
}

}  // namespace
}  // namespace nora::cases
