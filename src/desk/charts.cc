// Geometry of the charts. Coordinates are rounded to a tenth, so that a page is the same on every machine (golden tests).
#include "desk/charts.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace nora::desk {
namespace {

using http::attr;
using http::cls;
using http::element;
using http::Html;
namespace e = http::el;

constexpr double width = 720, height = 270, left = 52, right = 560, top = 14, bottom = 236;
constexpr double label_gap = 17;  // least distance between two direct labels, in units of a 12 px text

std::string num(double v) {
  auto text = fmt::format("{:.1f}", std::round(v * 10) / 10);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  if (text == "-0") text = "0";
  return text;
}

// 1, 2 or 5 times a power of ten, never below 1: counts are whole numbers.
std::int64_t nice_step(std::int64_t most) {
  std::int64_t step = 1;
  for (std::int64_t base = 1; base <= most; base *= 10)
    for (auto factor : {1, 2, 5}) {
      step = base * factor;
      if (most / step < 5) return step;
    }
  return step;
}

std::vector<std::size_t> thinned(std::size_t n) {
  std::vector<std::size_t> keep;
  if (n <= max_points) {
    for (std::size_t i = 0; i < n; ++i) keep.push_back(i);
  } else {
    for (std::size_t i = 0; i < max_points; ++i) keep.push_back(i * (n - 1) / (max_points - 1));
  }
  return keep;
}

// Labels that would overlap are pushed apart, order kept, none outside the drawing.
std::vector<double> spread(std::vector<double> wanted) {
  std::vector<std::size_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return wanted[a] < wanted[b]; });
  for (std::size_t i = 1; i < order.size(); ++i) wanted[order[i]] = std::max(wanted[order[i]], wanted[order[i - 1]] + label_gap);
  double over = order.empty() ? 0 : wanted[order.back()] - bottom;
  for (std::size_t i = order.size(); over > 0 && i-- > 0;) {
    wanted[order[i]] -= over;
    over = i == 0 ? 0 : label_gap - (wanted[order[i]] - wanted[order[i - 1]]);
  }
  return wanted;
}

Html table_of(const LineChart& chart) {
  std::vector<Html> head{e::th(attr("scope", "col"), chart.time_heading)};
  for (const auto& s : chart.series) head.push_back(e::th(attr("scope", "col"), cls("r"), s.label));
  std::vector<Html> rows;
  for (std::size_t i = 0; i < chart.at.size(); ++i) {
    std::vector<Html> cells{e::th(attr("scope", "row"), chart.at_text[i])};
    for (const auto& s : chart.series) cells.push_back(e::td(cls("r num"), group_digits(s.values[i])));
    rows.push_back(e::tr(cells));
  }
  return e::details(e::summary(chart.summary),
                    e::div(e::div(cls("tw"), attr("tabindex", "0"), attr("role", "group"), attr("aria-label", chart.summary + ": " + chart.title),
                                  e::table(e::thead(e::tr(head)), e::tbody(rows)))));
}

}  // namespace

std::string group_digits(std::int64_t n) {
  auto text = std::to_string(n < 0 ? -n : n);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<std::size_t>(at), ",");
  return n < 0 ? "−" + text : text;
}

std::string percent(std::int64_t part, std::int64_t whole) {
  if (whole <= 0) return "–";
  double value = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  // Rounding must not claim "all" or "none" when it is not so.
  if (part < whole && value > 99.5 && whole < 1000) return ">99%";
  if (part > 0 && value < 0.5 && whole < 1000) return "<1%";
  return whole < 1000 ? fmt::format("{:.0f}%", value) : fmt::format("{:.1f}%", value);
}

Html line_chart(const LineChart& chart) {
  if (chart.at.empty() || chart.series.empty()) return {};
  std::int64_t most = 1;
  for (const auto& s : chart.series)
    for (auto v : s.values) most = std::max(most, v);
  const auto step = nice_step(most);
  const auto ceiling = (most + step - 1) / step * step;
  auto y_of = [&](std::int64_t v) { return bottom - (bottom - top) * static_cast<double>(v) / static_cast<double>(ceiling); };
  const auto first = chart.at.front().us, last = chart.at.back().us;
  // A single survey stands in the middle: there is no line yet.
  auto x_of = [&](Instant t) {
    return last == first ? (left + right) / 2 : left + (right - left) * static_cast<double>(t.us - first) / static_cast<double>(last - first);
  };

  std::vector<Html> parts;
  for (std::int64_t v = 0; v <= ceiling; v += step) {
    auto y = y_of(v);
    parts.push_back(element("path", cls("ax"), attr("d", fmt::format("M{} {}H{}", num(left), num(y), num(right)))));
    parts.push_back(element("text", attr("x", num(left - 6)), attr("y", num(y + 4)), attr("text-anchor", "end"), group_digits(v)));
  }
  const auto keep = thinned(chart.at.size());
  std::vector<std::size_t> ticks{keep.front()};
  if (keep.size() > 2 && chart.at_text.front().size() < 12) ticks.push_back(keep[keep.size() / 2]);
  if (keep.size() > 1) ticks.push_back(keep.back());
  for (auto i : ticks) {
    auto anchor = i == keep.front() && keep.size() > 1 ? "start" : i == keep.back() && keep.size() > 1 ? "end" : "middle";
    parts.push_back(element("text", attr("x", num(x_of(chart.at[i]))), attr("y", num(bottom + 22)), attr("text-anchor", anchor), chart.at_text[i]));
  }

  std::string description;
  const auto series_count = std::min(chart.series.size(), max_series);
  std::vector<double> label_y;
  for (std::size_t s = 0; s < series_count; ++s) label_y.push_back(y_of(chart.series[s].values.back()) + 4);
  label_y = spread(label_y);
  for (std::size_t s = 0; s < series_count; ++s) {
    const auto& series = chart.series[s];
    auto kind = std::to_string(s + 1);
    std::string path;
    for (auto i : keep) path += fmt::format("{}{} {}", path.empty() ? "M" : "L", num(x_of(chart.at[i])), num(y_of(series.values[i])));
    if (keep.size() > 1) parts.push_back(element("path", cls("ln l" + kind), attr("d", path)));
    if (keep.size() <= 12)  // few surveys: show that these are points, not a continuous measurement
      for (auto i : keep)
        parts.push_back(element("circle", cls("f" + kind), attr("cx", num(x_of(chart.at[i]))), attr("cy", num(y_of(series.values[i]))),
                                attr("r", "4")));
    parts.push_back(element("text", cls("t" + kind), attr("x", num((keep.size() > 1 ? right : (left + right) / 2) + 10)),
                            attr("y", num(label_y[s])), series.label));
    description += fmt::format("{}{}: {} → {}", description.empty() ? "" : "; ", series.label, group_digits(series.values.front()),
                               group_digits(series.values.back()));
  }
  auto drawing = e::svg(attr("viewBox", fmt::format("0 0 {} {}", num(width), num(height))), attr("role", "img"), cls("chart"),
                        attr("aria-labelledby", chart.id + "-t " + chart.id + "-d"),
                        element("title", http::id(chart.id + "-t"), chart.title), element("desc", http::id(chart.id + "-d"), description), parts);
  return e::figure(cls("fig"),
                   e::div(cls("scroll"), attr("tabindex", "0"), attr("role", "group"), attr("aria-label", chart.title), drawing), table_of(chart));
}

Html bars(const std::vector<Bar>& list) {
  std::int64_t most = 1;
  for (const auto& b : list) most = std::max(most, b.amount);
  std::vector<Html> items;
  for (const auto& b : list) {
    auto label = b.href.empty() ? e::span(b.label) : e::a(http::href(b.href), b.label);
    // 100 units wide whatever the screen: the width attribute of a <rect> needs no inline style.
    auto wide = num(100.0 * static_cast<double>(std::max<std::int64_t>(b.amount, 0)) / static_cast<double>(most));
    items.push_back(e::li(cls("bar"), label, e::b(cls("num"), b.value),
                          e::svg(cls("barline"), attr("viewBox", "0 0 100 3"), attr("preserveAspectRatio", "none"), attr("aria-hidden", "true"),
                                 element("rect", cls("fill"), attr("width", wide), attr("height", "3")))));
  }
  return e::ul(cls("bars"), items);
}

Html lanes(const Lanes& l) {
  if (l.lanes.empty() || l.to <= l.from) return {};
  constexpr double lane_left = 110, lane_right = 700, lane_height = 30, lane_top = 10;
  const double foot = lane_top + lane_height * static_cast<double>(l.lanes.size());
  auto x_of = [&](Instant t) {
    auto share = static_cast<double>(t.us - l.from.us) / static_cast<double>(l.to.us - l.from.us);
    return lane_left + (lane_right - lane_left) * std::clamp(share, 0.0, 1.0);
  };
  std::vector<Html> parts;
  parts.push_back(element("path", cls("ax"), attr("d", fmt::format("M{} {}V{}", num(lane_left), num(lane_top), num(foot)))));
  parts.push_back(element("path", cls("ax"), attr("d", fmt::format("M{} {}V{}", num(lane_right), num(lane_top), num(foot)))));
  for (std::size_t i = 0; i < l.lanes.size(); ++i) {
    double y = lane_top + lane_height * static_cast<double>(i);
    parts.push_back(element("text", attr("x", "0"), attr("y", num(y + 19)), l.lanes[i].label));
    for (const auto& [from, to] : l.lanes[i].open) {
      double x = x_of(from), w = std::max(6.0, x_of(to) - x);
      parts.push_back(element("rect", cls("lane"), attr("x", num(std::min(x, lane_right - w))), attr("y", num(y + 7)), attr("width", num(w)),
                              attr("height", "16"), attr("rx", "4")));
    }
  }
  double text_y = foot + 18;
  parts.push_back(element("text", attr("x", num(lane_left)), attr("y", num(text_y)), l.from_text));
  parts.push_back(element("text", attr("x", num(lane_right)), attr("y", num(text_y)), attr("text-anchor", "end"), l.to_text));
  std::vector<Html> said;
  for (const auto& m : l.marks) {
    auto x = num(x_of(m.at));
    parts.push_back(element("path", cls("mark"), attr("d", fmt::format("M{} {}V{}", x, num(lane_top), num(foot)))));
    text_y += 16;
    parts.push_back(element("text", attr("x", x), attr("y", num(text_y)), attr("text-anchor", x_of(m.at) > (lane_left + lane_right) / 2 ? "end" : "start"),
                            m.label));
  }
  auto drawing = e::svg(attr("viewBox", fmt::format("0 0 {} {}", num(width), num(text_y + 10))), attr("role", "img"), cls("chart"),
                        attr("aria-labelledby", l.id + "-t"), element("title", http::id(l.id + "-t"), l.title), parts);
  return e::div(cls("scroll"), attr("tabindex", "0"), attr("role", "group"), attr("aria-label", l.title), drawing);
}

}  // namespace nora::desk
