#include "law/opt_out_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/files.h"
#include "law/mandate_text.h"
#include "law/wall_mandate.h"

namespace nora::law {
namespace {

struct OptOut : ::testing::Test {
  std::filesystem::path dir;
  Instant at = *Instant::parse("2026-11-25T03:12:00Z");
  OptOut() {
    char name[] = "/tmp/nora-optout-XXXXXX";
    dir = mkdtemp(name);
  }
  ~OptOut() override { std::filesystem::remove_all(dir); }
};

TEST_F(OptOut, WhatIsAddedIsReadByBothWalls) {
  auto file = OptOutFile::open(dir / "out.txt");
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_TRUE(*file->add(*Prefix::parse("203.0.113.0/28"), "operator", "asked by letter", at));
  EXPECT_TRUE(*file->add(*Prefix::parse("2001:db8::7"), "self-service", "", at));
  EXPECT_FALSE(*file->add(*Prefix::parse("203.0.113.7"), "self-service", "again", at)) << "the /28 covers it";
  const std::string text = *read_file(dir / "out.txt");
  EXPECT_EQ(parse_opt_out(text)->size(), 2u);
  EXPECT_EQ(wall::read_opt_out(text)->size(), 2u);
  auto again = OptOutFile::open(dir / "out.txt");
  const auto entries = *again->list();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].remark, "2026-11-25T03:12:00Z operator: asked by letter");
  EXPECT_FALSE(*again->remove(*Prefix::parse("203.0.113.7")));
  EXPECT_TRUE(*again->remove(*Prefix::parse("203.0.113.0/28")));
  EXPECT_EQ(again->list()->size(), 1u);
}

TEST_F(OptOut, WordsCannotBecomeLines) {
  auto file = OptOutFile::open(dir / "out.txt");
  EXPECT_TRUE(*file->add(*Prefix::parse("203.0.113.7"), "x\n0.0.0.0/0", "y\r\n::/0\x1b[2J" + std::string(1000, 'z'), at));
  const std::string text = *read_file(dir / "out.txt");
  EXPECT_EQ(parse_opt_out(text)->size(), 1u) << text;
  EXPECT_EQ(text.find('\x1b'), text.npos);
}

TEST_F(OptOut, ManyAtOnceLoseNothing) {
  ASSERT_TRUE(OptOutFile::open(dir / "out.txt"));
  std::vector<pid_t> children;
  for (std::uint32_t p = 0; p < 4; ++p) {
    children.push_back(fork());
    if (children.back() == 0) {
      auto file = OptOutFile::open(dir / "out.txt");
      for (std::uint32_t i = 0; i < 25; ++i)
        if (!file || !file->add(*Prefix::make(Ip::v4(0xcb007100u + p * 25 + i), 32), "t", "t", at)) _exit(1);
      _exit(0);
    }
  }
  for (const pid_t c : children) {
    int status = 0;
    waitpid(c, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(OptOutFile::open(dir / "out.txt")->list()->size(), 100u);
}

TEST_F(OptOut, ADamagedListIsTold) {
  std::ofstream(dir / "bad.txt") << "203.0.113.7/32\nnot a prefix\n";
  const auto file = OptOutFile::open(dir / "bad.txt");
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().what.find("line 2"), std::string::npos) << file.error().what;
}

}  // namespace
}  // namespace nora::law
