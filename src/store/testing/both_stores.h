// A gtest fixture that runs every test on SQLite and on a real PostgreSQL: the conformance rule "two stores, one suite".
// Used by store/db_test.cc and registry's suite. One PostgreSQL per test program, one fresh database per test.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "store/db.h"
#include "store/testing/private_postgres.h"

namespace nora::store::testing {

class BothStores : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { db = open_again(); }
  void TearDown() override {
    db.reset();
    std::error_code error;
    if (!file_.empty()) for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file_ + end, error);
  }
  // One more connection to the same store.
  std::unique_ptr<Db> open_again() {
    if (url_.empty()) make_url();
    auto opened = Db::open(url_);
    EXPECT_TRUE(opened.has_value()) << (opened ? "" : opened.error().text());
    return opened ? std::move(*opened) : nullptr;
  }
  const std::string& url() const { return url_; }
  std::unique_ptr<Db> db;

 private:
  void make_url() {
    static int count = 0;
    const std::string name = "nora_t" + std::to_string(::getpid()) + "_" + std::to_string(++count);
    if (std::string_view(GetParam()) == "sqlite") {
      file_ = ::testing::TempDir() + name + ".db";
      url_ = "sqlite:" + file_;
      return;
    }
    static std::optional<PrivatePostgres> server;
    if (!server) {
      const char* root = std::getenv("NORA_STANDINS");
      auto started = PrivatePostgres::start(root != nullptr ? root : NORA_SOURCE_DIR "/build/standins/root");
      ASSERT_TRUE(started.has_value()) << started.error().text();
      server.emplace(std::move(*started));
    }
    auto made = server->new_database(name);
    ASSERT_TRUE(made.has_value()) << made.error().text();
    url_ = *made;
  }
  std::string url_, file_;
};

}  // namespace nora::store::testing

#define NORA_ON_BOTH_STORES(Suite) \
  INSTANTIATE_TEST_SUITE_P(Stores, Suite, ::testing::Values("sqlite", "postgres"), [](const auto& info) { return std::string(info.param); })
