#include "law/daily_ledger.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "net/in_namespace.h"

namespace nora::law {
namespace {

using Taken = DailyLedger::Taken;

struct Ledger : ::testing::Test {
  std::filesystem::path dir;
  Instant now = *Instant::parse("2026-11-26T10:00:00Z");
  Ip a = *Ip::parse("203.0.113.7"), b = *Ip::parse("2001:db8::7");
  Ledger() {
    char name[] = "/tmp/nora-ledger-XXXXXX";
    dir = mkdtemp(name);
  }
  ~Ledger() override { std::filesystem::remove_all(dir); }
  DailyLedger open() {
    auto ledger = DailyLedger::open(dir / "d", now);
    EXPECT_TRUE(ledger) << ledger.error().text();
    return std::move(*ledger);
  }
};

TEST_F(Ledger, ACapIsUsedToItsLastProbeAndNoFurther) {
  DailyLedger memory, disk = open();
  for (DailyLedger* ledger : {&memory, &disk})
    for (const Ip ip : {a, b}) {
      for (int i = 0; i < 5; ++i) EXPECT_EQ(ledger->take(ip, 2, 11, now), Taken::yes);
      EXPECT_EQ(ledger->take(ip, 2, 11, now), Taken::cap_reached);
      EXPECT_EQ(ledger->take(ip, 1, 11, now), Taken::yes);
      EXPECT_EQ(ledger->take(ip, 1, 11, now), Taken::cap_reached);
      EXPECT_EQ(ledger->count(ip, now), 11u);
      EXPECT_EQ(ledger->take(ip, 1, 11, now + Span::days(1)), Taken::yes) << "a new day begins at nothing";
      EXPECT_EQ(ledger->count(ip, now + Span::days(1)), 1u);
      EXPECT_EQ(ledger->take(ip, 11, 11, now), Taken::yes) << "and the ledger follows the clock";
    }
}

TEST_F(Ledger, AHigherCapThanItCanCountActsAsTheHighest) {
  DailyLedger ledger;
  EXPECT_EQ(ledger.take(a, 65'535, 1'000'000, now), Taken::yes);
  EXPECT_EQ(ledger.take(a, 1, 1'000'000, now), Taken::cap_reached);
}

TEST_F(Ledger, WhatAKilledProcessCountedStaysCounted) {
  const pid_t child = fork();
  if (child == 0) {
    auto ledger = DailyLedger::open(dir / "d", now);
    if (!ledger || ledger->take(a, 7, 10, now) != Taken::yes || ledger->take(b, 7, 10, now) != Taken::yes || !ledger->sync(now)) _exit(1);
    if (ledger->take(a, 1, 10, now) != Taken::yes) _exit(1);  // not synced: an IPv4 count is kept all the same
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  DailyLedger ledger = open();
  EXPECT_EQ(ledger.count(a, now), 8u);
  EXPECT_EQ(ledger.count(b, now), 7u);
  EXPECT_EQ(ledger.take(a, 3, 10, now), Taken::cap_reached);
}

TEST_F(Ledger, TwoProcessesShareOneCap) {
  DailyLedger one = open(), two = open();
  int granted = 0;
  for (int i = 0; i < 20; ++i) granted += (i & 1 ? one : two).take(a, 1, 10, now) == Taken::yes;
  EXPECT_EQ(granted, 10) << "IPv4: at once";
  EXPECT_EQ(one.take(b, 3, 10, now), Taken::yes);
  EXPECT_EQ(two.take(b, 4, 10, now), Taken::yes);
  ASSERT_TRUE(one.sync(now));
  ASSERT_TRUE(two.sync(now));
  ASSERT_TRUE(two.sync(now)) << "syncing twice counts once";
  EXPECT_EQ(open().count(b, now), 7u);
  EXPECT_EQ(one.take(b, 1, 10, now), Taken::yes);
  ASSERT_TRUE(one.sync(now));
  EXPECT_EQ(one.count(b, now), 8u) << "IPv6: at the next sync";
}

TEST_F(Ledger, OldDaysGoAndDamageIsTold) {
  open().take(a, 1, 10, now);
  now = now + Span::days(1);
  open().take(a, 1, 10, now);
  EXPECT_FALSE(std::filesystem::exists(dir / "d/v4-2026-11-26"));
  EXPECT_TRUE(std::filesystem::exists(dir / "d/v4-2026-11-27"));
  std::ofstream(dir / "d/v6-2026-11-27.txt") << "2026-11-27\n2001:db8::7 ten\n";
  EXPECT_FALSE(DailyLedger::open(dir / "d", now));
  std::filesystem::remove(dir / "d/v6-2026-11-27.txt");
  std::filesystem::resize_file(dir / "d/v4-2026-11-27", 100);
  EXPECT_FALSE(DailyLedger::open(dir / "d", now));
}

TEST_F(Ledger, ADayThatCannotBeginRefusesAndLeavesNoCountBehind) {
  DailyLedger ledger = open();
  EXPECT_EQ(ledger.take(a, 1, 10, now), Taken::yes);
  std::ofstream(dir / "d/v4-2026-11-27") << "damaged";
  EXPECT_EQ(ledger.take(a, 1, 10, now + Span::days(1)), Taken::cannot_be_kept);
  EXPECT_EQ(ledger.count(a, now), 0u) << "the day before is gone, and asking for it is no fault";
  EXPECT_EQ(ledger.take(a, 1, 10, now + Span::days(1)), Taken::cannot_be_kept);
  std::filesystem::remove(dir / "d/v4-2026-11-27");
  EXPECT_EQ(ledger.take(a, 1, 10, now + Span::days(1)), Taken::yes);
}

TEST_F(Ledger, AFullDiskRefusesAndDoesNotKill) {
  const int code = net::in_namespace("true", [&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 || ::mount("none", dir.c_str(), "tmpfs", 0, "size=256k") != 0) return 1;
    auto ledger = DailyLedger::open(dir / "d", now);
    if (!ledger) return 2;
    // One block of 128 KiB has room, not every further one.
    if (ledger->take(a, 1, 10, now) != Taken::yes) return 3;
    int refused = 0;
    for (std::uint32_t i = 1; i < 8; ++i) refused += ledger->take(Ip::v4(i << 16), 1, 10, now) == Taken::cannot_be_kept;
    if (refused < 6) return 4;
    return ledger->take(a, 1, 10, now) == Taken::yes && ledger->count(a, now) == 2 ? 0 : 5;
  });
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace nora::law
