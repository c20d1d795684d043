// Generated worlds against a naive oracle: lost Stops, lost Interims, addresses used again within seconds, steady NAS skew, shuffled and doubled records.
// The oracle knows the truth by construction; the matcher sees only the log. Wrong answers: 0. What can be told must be told.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>

#include "isp/test_world.h"

namespace nora::isp {
namespace {

using testing::at;
using testing::Detail;
using testing::World;

struct Truth { std::string user, ip, session; int from, to; };

struct Tally { int asked = 0, unique = 0, wrong = 0, near = 0, ambiguous = 0, none = 0; };

Tally run(unsigned seed, int lost_percent, int skew_s, bool interims) {
  std::mt19937 rng(seed);
  auto pick = [&](int a, int b) { return std::uniform_int_distribution<int>(a, b)(rng); };
  std::vector<Truth> truth;
  std::vector<std::string> log;
  int session = 0;
  const int end = 20'000;
  std::vector<int> busy(8, -1000);  // until when a user is online
  for (int host = 10; host < 14; ++host) {
    for (int t = pick(0, 300); t < end;) {
      int user = pick(0, 7);
      if (busy[static_cast<std::size_t>(user)] >= t - 5) { t += 40; continue; }
      int length = pick(40, 3000);
      busy[static_cast<std::size_t>(user)] = t + length + 5;
      Truth s{fmt::format("u{}@hikari.example", user), fmt::format("203.0.113.{}", host), fmt::format("S{}", ++session), t, t + length};
      truth.push_back(s);
      // The NAS writes its own clock; the server receives within a second, by the true clock.
      auto record = [&](std::string type, int when, bool with_time) {
        Detail d{.type = type, .session = s.session, .user = s.user, .ip = s.ip, .port = fmt::format("port-{}", user), .event = at(when + skew_s)};
        d.received_after = -skew_s;
        if (with_time) d.session_time = when - s.from;
        log.push_back(d.text());
        if (pick(0, 9) == 0) log.push_back(log.back());
      };
      record("Start", t, false);
      if (interims)
        for (int i = t + 300; i < t + length; i += 300)
          if (pick(1, 100) > lost_percent) record("Interim-Update", i, true);
      if (pick(1, 100) > lost_percent) record("Stop", t + length, true);
      t += length + pick(0, 1) * pick(0, 400) + pick(0, 4);
    }
  }
  std::ranges::shuffle(log, rng);
  std::string text;
  for (const auto& r : log) text += r;
  World w({text});
  auto reader = *LeaseReader::open(w.dir.path() / "index");
  Matcher matcher(reader, {});
  Tally tally;
  for (int i = 0; i < 600; ++i) {
    // A finding exists only where somebody answered. The observer is off by up to its stated error.
    const auto& s = truth[static_cast<std::size_t>(pick(0, static_cast<int>(truth.size()) - 1))];
    int t = pick(0, 2) == 0 ? pick(0, 1) * (s.to - s.from - 1) + s.from : pick(s.from, s.to - 1);
    int error = pick(0, 2);
    auto a = matcher.match({{*Ip::parse(s.ip), {80}, Proto::tcp, at(t + pick(-error, error))}, true, Span::seconds(error)});
    ++tally.asked;
    if (a.unique) {
      ++tally.unique;
      if (a.unique->line().reveal() != s.user) ++tally.wrong;
    }
    tally.near += a.status == MatchStatus::near_boundary;
    tally.ambiguous += a.status == MatchStatus::ambiguous;
    tally.none += a.status == MatchStatus::none;
  }
  return tally;
}

RC_GTEST_PROP(MatchProperty, NeverTheWrongLine, (unsigned seed)) {
  auto lost = *rc::gen::inRange(0, 30);
  auto skew = *rc::gen::element(0, 1, -2, 45, -90, 120);
  auto interims = *rc::gen::arbitrary<bool>();
  auto tally = run(seed, lost, skew, interims);
  RC_ASSERT(tally.wrong == 0);
}

// The safe answer to everything would be "cannot say"; with whole logs nearly all findings away from borders are told.
TEST(MatchProperty, WholeLogsAreTold) {
  Tally sum;
  for (unsigned seed = 1; seed <= 5; ++seed) {
    auto t = run(seed, 0, 60, true);
    sum.asked += t.asked; sum.unique += t.unique; sum.wrong += t.wrong; sum.near += t.near; sum.ambiguous += t.ambiguous; sum.none += t.none;
  }
  EXPECT_EQ(sum.wrong, 0);
  // A third of the findings is planted exactly on a border.
  EXPECT_GT(sum.unique, sum.asked * 6 / 10) << sum.unique << " of " << sum.asked;
  EXPECT_EQ(sum.ambiguous, 0);
  EXPECT_EQ(sum.none, 0);
}

}  // namespace
}  // namespace nora::isp
