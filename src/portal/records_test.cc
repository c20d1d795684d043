#include "portal/records.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace nora::portal {
namespace {

struct RecordsTest : testing::Test {
  FakeEnv fake;
  std::filesystem::path file = testing::TempDir() + "nora_portal_records_test.db";
  std::unique_ptr<Records> records;
  RecordsTest() {
    remove_files();
    auto opened = Records::open("sqlite:" + file.string(), Secret(Bytes(32, 3)), fake.env());
    EXPECT_TRUE(opened) << opened.error().text();
    records = std::move(*opened);
  }
  ~RecordsTest() override { records.reset(); remove_files(); }
  void remove_files() { for (const auto* end : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + end); }
  store::Rows rows(std::string_view sql) {
    auto db = *store::Db::open("sqlite:" + file.string());
    return *db->query(sql);
  }
};

TEST_F(RecordsTest, keeps_the_consent_and_the_verdict) {
  const auto id = records->consented(*Ip::parse("203.0.113.77"), "consent-2026-1", "ja", "7KQ4-M2XD-9RTC");
  ASSERT_TRUE(id) << id.error().text();
  ASSERT_TRUE(records->checked(*id, "red", 5));
  ASSERT_TRUE(records->told("7KQ4-M2XD-9RTC", "did_it"));
  EXPECT_EQ(rows("SELECT verdict, lines FROM check_run")[0][0].str(), "red");
  EXPECT_EQ(rows("SELECT ip FROM consent")[0][0].ip().text(), "203.0.113.77");
}

// A look into the file itself: no code and no part of a code stands there in the clear.
TEST_F(RecordsTest, no_code_in_the_clear) {
  ASSERT_TRUE(records->consented(*Ip::parse("203.0.113.77"), "consent-2026-1", "ja", "7KQ4-M2XD-9RTC"));
  ASSERT_TRUE(records->told("7KQ4-M2XD-9RTC", "stuck"));
  records.reset();
  std::string all;
  for (const auto* end : {"", "-wal"})
    if (std::filesystem::exists(file.string() + end)) all += *read_file(file.string() + end);
  ASSERT_NE(all.find("stuck"), std::string::npos);
  for (const auto* part : {"7KQ4", "M2XD", "9RTC", "7KQ4M2XD9RTC"}) EXPECT_EQ(all.find(part), std::string::npos) << part;
}

TEST_F(RecordsTest, forgets_addresses_after_a_day_and_rows_after_a_month) {
  const auto id = *records->consented(*Ip::parse("203.0.113.77"), "consent-2026-1", "ja", "");
  ASSERT_TRUE(records->checked(id, "green", 5));
  ASSERT_TRUE(records->told("7KQ4-M2XD-9RTC", "did_it"));
  fake.clock.sleep(address_kept + Span::seconds(1));
  ASSERT_TRUE(records->forget());
  EXPECT_TRUE(rows("SELECT ip FROM consent")[0][0].is_null());
  fake.clock.sleep(rows_kept);
  ASSERT_TRUE(records->forget());
  for (const auto* table : {"consent", "check_run", "told"}) EXPECT_TRUE(rows("SELECT id FROM " + std::string(table)).empty()) << table;
}

}  // namespace
}  // namespace nora::portal
