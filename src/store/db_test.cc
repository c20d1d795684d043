// The conformance suite of the store door: every test runs on SQLite and on a real PostgreSQL.
#include "store/db.h"

#include <thread>

#include "store/testing/both_stores.h"

namespace nora::store {
namespace {

class DbTest : public testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    ASSERT_TRUE(db);
    auto done = db->migrate("test", {{1, "thing", "CREATE TABLE thing (id {serial}, key {bigint} UNIQUE, name TEXT, raw {blob}, part {real})"}});
    ASSERT_TRUE(done.has_value()) << done.error().text();
  }
};

TEST_P(DbTest, KeepsEveryTypeAndNull) {
  Bytes raw{0, 1, 255, 0};
  ASSERT_TRUE(db->exec("INSERT INTO thing (key, name, raw, part) VALUES (?, ?, ?, ?)", {std::int64_t{1} << 60, "野良 ' \" \\ ?", raw, 0.25}));
  ASSERT_TRUE(db->exec("INSERT INTO thing (key, name, raw, part) VALUES (?, ?, ?, ?)", {-5, nullptr, Bytes{}, nullptr}));
  auto rows = db->query("SELECT key, name, raw, part FROM thing ORDER BY key DESC");
  ASSERT_TRUE(rows.has_value()) << rows.error().text();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0][0].integer(), std::int64_t{1} << 60);
  EXPECT_EQ((*rows)[0][1].str(), "野良 ' \" \\ ?");
  EXPECT_EQ((*rows)[0][2].blob(), raw);
  EXPECT_EQ((*rows)[0][3].real(), 0.25);
  EXPECT_EQ((*rows)[1][0].integer(), -5);
  EXPECT_TRUE((*rows)[1][1].is_null());
  EXPECT_FALSE((*rows)[1][2].is_null());
  EXPECT_TRUE((*rows)[1][2].blob().empty());
  EXPECT_TRUE((*rows)[1][3].is_null());
}

TEST_P(DbTest, AddressesOrderAsNumbers) {
  for (const char* text : {"203.0.113.9", "2001:db8::1", "203.0.113.10", "192.0.2.1"}) {
    ASSERT_TRUE(db->exec("INSERT INTO thing (raw) VALUES (?)", {*Ip::parse(text)}));
  }
  auto rows = db->query("SELECT raw FROM thing WHERE raw >= ? ORDER BY raw", {*Ip::parse("203.0.113.0")});
  ASSERT_TRUE(rows.has_value());
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[0][0].ip().text(), "203.0.113.9");
  EXPECT_EQ((*rows)[1][0].ip().text(), "203.0.113.10");
  EXPECT_EQ((*rows)[2][0].ip().text(), "2001:db8::1");
}

TEST_P(DbTest, ManyRowsAndConflictsIgnored) {
  Rows rows;
  for (std::int64_t i = 0; i < 5000; ++i) rows.push_back({i, "n" + std::to_string(i), Bytes(3, static_cast<std::uint8_t>(i)), 0.5});
  auto done = db->insert_many("thing", {"key", "name", "raw", "part"}, rows, true);
  ASSERT_TRUE(done.has_value()) << done.error().text();
  rows.push_back({5000, "new", nullptr, nullptr});
  done = db->insert_many("thing", {"key", "name", "raw", "part"}, rows, true);
  ASSERT_TRUE(done.has_value()) << done.error().text();
  EXPECT_EQ(db->one("SELECT count(*) FROM thing")->integer(), 5001);
  EXPECT_EQ(db->one("SELECT sum(key) FROM thing")->integer(), 5000 * 5001 / 2);
  EXPECT_FALSE(db->insert_many("thing", {"key"}, {{7}}).has_value()) << "a doubled key is an error when conflicts are not ignored";
  EXPECT_EQ(db->one("SELECT count(*) FROM thing")->integer(), 5001);
}

TEST_P(DbTest, TransactionRollsBackAndNests) {
  auto done = db->transaction([&]() -> Status {
    NORA_CHECK(db->exec("INSERT INTO thing (key) VALUES (1)"));
    NORA_CHECK(db->transaction([&]() -> Status { return db->write("INSERT INTO thing (key) VALUES (2)"); }));
    return fail(Code::failed, "no");
  });
  EXPECT_FALSE(done.has_value());
  EXPECT_EQ(db->one("SELECT count(*) FROM thing")->integer(), 0);
  // The connection is usable afterwards, also after a statement failed inside a transaction.
  EXPECT_FALSE(db->transaction([&]() -> Status { return db->write("INSERT INTO nowhere VALUES (1)"); }).has_value());
  EXPECT_TRUE(db->exec("INSERT INTO thing (key) VALUES (3)").has_value());
}

TEST_P(DbTest, TwoConnectionsSeeEachOther) {
  auto other = open_again();
  ASSERT_TRUE(other);
  ASSERT_TRUE(db->exec("INSERT INTO thing (key) VALUES (1)"));
  EXPECT_EQ(other->one("SELECT count(*) FROM thing")->integer(), 1);
  // Two writers at once: both end, nothing is lost.
  const auto write = [](Db& d, int from) {
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(d.transaction([&]() -> Status { return d.write("INSERT INTO thing (key) VALUES (?)", {from + i}); }));
  };
  std::thread a([&] { write(*db, 1000); });
  write(*other, 2000);
  a.join();
  EXPECT_EQ(db->one("SELECT count(*) FROM thing")->integer(), 101);
}

TEST_P(DbTest, AChangedMigrationIsRefused) {
  EXPECT_TRUE(db->migrate("test", {{1, "thing", "CREATE TABLE thing (id {serial}, key {bigint} UNIQUE, name TEXT, raw {blob}, part {real})"},
                                   {2, "more", "CREATE TABLE more (a TEXT);\nCREATE INDEX more_a ON more (a)"}}));
  auto changed = db->migrate("test", {{1, "thing", "CREATE TABLE thing (other TEXT)"}});
  ASSERT_FALSE(changed.has_value());
  EXPECT_NE(changed.error().text().find("new migration"), std::string::npos);
}

TEST_P(DbTest, ErrorsNameTheStatement) {
  auto broken = db->query("SELECT nothing FROM nowhere");
  ASSERT_FALSE(broken.has_value());
  EXPECT_NE(broken.error().what.find("SELECT nothing"), std::string::npos);
}

NORA_ON_BOTH_STORES(DbTest);

TEST(DbUrl, UnknownSchemeNamesTheForms) {
  auto db = Db::open("mysql://x");
  ASSERT_FALSE(db.has_value());
  EXPECT_EQ(db.error().code, Code::usage);
  EXPECT_NE(db.error().fix.find("sqlite:PATH"), std::string::npos);
}

}  // namespace
}  // namespace nora::store
