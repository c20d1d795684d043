// Charts: golden pictures (NORA_UPDATE_GOLDEN=1 writes them anew, to be read in the diff), and properties of the geometry.
#include "desk/charts.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>

#include "base/files.h"

namespace nora::desk {
namespace {

void same_as_golden(std::string_view name, const http::Html& html) {
  auto file = std::filesystem::path(NORA_SOURCE_DIR) / "src/desk/golden" / name;
  // One element a line, so that a diff can be read.
  std::string got;
  for (char c : html.str()) {
    if (c == '<' && !got.empty() && got.back() == '>') got += '\n';
    got += c;
  }
  got += '\n';
  if (std::getenv("NORA_UPDATE_GOLDEN")) {
    ASSERT_TRUE(replace_file(file, got));
    return;
  }
  auto want = read_file(file);
  ASSERT_TRUE(want) << want.error().text();
  EXPECT_EQ(got, *want);
}

LineChart two_surveys() {
  LineChart c;
  c.id = "trend";
  c.title = "Open findings by pattern, <two> surveys";
  c.summary = "Table of these numbers";
  c.time_heading = "Survey";
  c.at = {Instant::seconds(1'795'600'000), Instant::seconds(1'795'603'600)};
  c.at_text = {"2026-11-25 18:46", "2026-11-25 19:46"};
  c.series = {{"A reflection", {6, 4}}, {"B stepping stone", {2, 1}}, {"C mischief", {5, 4}}, {"D botnet base", {4, 4}}};
  return c;
}

TEST(Charts, TwoSurveys) { same_as_golden("line_two_surveys.html", line_chart(two_surveys())); }

TEST(Charts, OneSurveyHasPointsAndNoLine) {
  auto c = two_surveys();
  c.at.pop_back();
  c.at_text.pop_back();
  for (auto& s : c.series) s.values.pop_back();
  auto html = line_chart(c).str();
  EXPECT_EQ(html.find("class=\"ln"), std::string::npos);
  EXPECT_NE(html.find("<circle"), std::string::npos);
  same_as_golden("line_one_survey.html", line_chart(c));
}

TEST(Charts, NothingToDrawIsNothing) {
  EXPECT_TRUE(line_chart({}).empty());
  EXPECT_TRUE(lanes({}).empty());
}

TEST(Charts, ForeignTextIsEscaped) {
  auto c = two_surveys();
  c.series[0].label = "</text><script>alert(1)</script>";
  c.title = "\"><img src=x onerror=alert(1)>";
  auto html = line_chart(c).str();
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  auto list = bars({{"<b>", "\"1\"", 1, "javascript:alert(1)"}}).str();
  EXPECT_EQ(list.find("<b><"), std::string::npos);
  EXPECT_EQ(list.find("javascript:"), std::string::npos);
}

// Everything that is drawn lies inside the viewBox, and no two direct labels overlap, whatever the numbers are.
TEST(Charts, GeometryStaysInsideAndLabelsApart) {
  std::uint64_t seed = 7;
  auto next = [&](std::uint64_t n) { seed = seed * 6364136223846793005u + 1442695040888963407u; return (seed >> 33) % n; };
  for (int round = 0; round < 300; ++round) {
    LineChart c;
    c.id = "x";
    c.title = "t";
    auto points = 1 + next(round % 10 == 0 ? 1000 : 30);
    std::int64_t top = 1ll << next(40);
    for (std::size_t i = 0; i < points; ++i) {
      c.at.push_back(Instant::seconds(1'795'600'000 + static_cast<std::int64_t>(i * (1 + next(3)) * 3600)));
      c.at_text.push_back("t");
    }
    std::sort(c.at.begin(), c.at.end());
    for (std::size_t s = 0; s < 1 + next(4); ++s) {
      Series series{"s" + std::to_string(s), {}};
      for (std::size_t i = 0; i < points; ++i) series.values.push_back(static_cast<std::int64_t>(next(static_cast<std::uint64_t>(top) + 1)));
      c.series.push_back(series);
    }
    auto html = line_chart(c).str();
    std::regex xy(R"re((?:x|cx)="(-?[0-9.]+)" (?:y|cy)="(-?[0-9.]+)")re");
    for (std::sregex_iterator it(html.begin(), html.end(), xy), end; it != end; ++it) {
      EXPECT_GE(std::stod((*it)[1]), 0);
      EXPECT_LE(std::stod((*it)[1]), 720);
      EXPECT_GE(std::stod((*it)[2]), 0);
      EXPECT_LE(std::stod((*it)[2]), 270);
    }
    std::vector<double> labels;
    std::regex label(R"re(class="t[1-4]" x="[0-9.]+" y="(-?[0-9.]+)")re");
    for (std::sregex_iterator it(html.begin(), html.end(), label), end; it != end; ++it) labels.push_back(std::stod((*it)[1]));
    EXPECT_EQ(labels.size(), c.series.size());
    std::sort(labels.begin(), labels.end());
    for (std::size_t i = 1; i < labels.size(); ++i) EXPECT_GE(labels[i] - labels[i - 1], 16.8);
    EXPECT_LT(html.size(), 200'000u);
  }
}

TEST(Charts, Bars) {
  same_as_golden("bars.html", bars({{"Found", "7,420", 7420, "/en/findings"}, {"Product known", "6,559 · 88%", 6559, ""}, {"Fixed", "0", 0, ""}}));
}

TEST(Charts, LanesOfAHost) {
  Lanes l;
  l.id = "days";
  l.title = "Port 80 open, closed on the second day";
  l.from = Instant::seconds(1'795'600'000);
  l.to = l.from + Span::days(3);
  l.from_text = "25 Nov";
  l.to_text = "28 Nov";
  l.lanes = {{"80/tcp http", {{l.from, l.from + Span::days(2)}}}, {"23/tcp telnet", {{l.from + Span::days(1), l.from + Span::days(1)}}}};
  l.marks = {{l.from + Span::days(1), "listed"}, {l.from + Span::days(2), "fixed"}};
  same_as_golden("lanes.html", lanes(l));
}

TEST(Charts, NumbersAreHonest) {
  EXPECT_EQ(group_digits(0), "0");
  EXPECT_EQ(group_digits(999), "999");
  EXPECT_EQ(group_digits(1000), "1,000");
  EXPECT_EQ(group_digits(-1234567), "−1,234,567");
  EXPECT_EQ(percent(1, 0), "–");
  EXPECT_EQ(percent(500, 501), ">99%");
  EXPECT_EQ(percent(1, 900), "<1%");
  EXPECT_EQ(percent(7, 8), "88%");
  EXPECT_EQ(percent(8, 8), "100%");
  EXPECT_EQ(percent(6559, 7420), "88.4%");
}

// axe does not judge text on SVG shapes. Here: every colour that chart text takes, against the page and card ground, in light and dark.
struct Colours { std::map<std::string, std::array<double, 3>> of; };
double luminance(const std::array<double, 3>& c) {
  auto linear = [](double v) { return v <= 0.03928 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
  return 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
}
double contrast(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}
Colours read_colours(const std::string& css) {
  Colours out;
  std::regex variable(R"(--([a-z0-9-]+):\s*#([0-9a-f]{6}))");
  for (std::sregex_iterator it(css.begin(), css.end(), variable), end; it != end; ++it) {
    auto hex = (*it)[2].str();
    out.of.try_emplace((*it)[1], std::array<double, 3>{std::stoi(hex.substr(0, 2), nullptr, 16) / 255.0, std::stoi(hex.substr(2, 2), nullptr, 16) / 255.0, std::stoi(hex.substr(4, 2), nullptr, 16) / 255.0});
  }
  return out;
}

TEST(Charts, TextHasContrastInLightAndDark) {
  auto css = read_file(std::filesystem::path(NORA_SOURCE_DIR) / "web/nora.css");
  ASSERT_TRUE(css);
  auto dark_at = css->find("prefers-color-scheme: dark");
  ASSERT_NE(dark_at, std::string::npos);
  for (const auto& colours : {read_colours(css->substr(0, dark_at)), read_colours(css->substr(dark_at))}) {
    for (auto ground : {"bg", "soft"})
      for (auto ink : {"ink", "ink2", "c1", "c2", "c3", "c4", "key", "bad", "warn", "ok"}) {
        ASSERT_TRUE(colours.of.contains(ground) && colours.of.contains(ink)) << ground << ink;
        EXPECT_GE(contrast(colours.of.at(ground), colours.of.at(ink)), 4.5) << ink << " on " << ground;
      }
    for (auto state : {"bad", "warn", "ok", "key"})
      EXPECT_GE(contrast(colours.of.at(state), colours.of.at(std::string(state) + "-soft")), 4.5) << state;
    EXPECT_GE(contrast(colours.of.at("on-key"), colours.of.at("key")), 4.5);
    // Shapes that carry meaning need 3 : 1 (WCAG 1.4.11).
    for (auto shape : {"key", "c2", "line2"}) EXPECT_GE(contrast(colours.of.at(shape), colours.of.at("bg")), 3.0) << shape;
  }
  EXPECT_NEAR(contrast({1, 1, 1}, {0, 0, 0}), 21, 0.01);
}

}  // namespace
}  // namespace nora::desk
