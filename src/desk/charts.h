// Charts that the server writes: a line chart over time and horizontal bars, as SVG elements themed by the style sheet (no script, no inline
// style, no colour in the markup), each with <title>, <desc> and the same numbers as a table. Used by the overview and the host page.
// Text never stands on a coloured shape, so its contrast is that of the page (charts_test.cc computes it from web/nora.css).
// Pure functions, any thread. Limits: max_series lines, max_points points each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "http/html.h"

namespace nora::desk {

inline constexpr std::size_t max_series = 4;     // one dash pattern and one colour each (classes l1…l4)
inline constexpr std::size_t max_points = 400;   // more are thinned to this many, first and last kept

std::string group_digits(std::int64_t n);        // 12,345
std::string percent(std::int64_t part, std::int64_t whole);  // "88%", "88.4%" from 1,000 up, "–" when whole is 0

struct Series {
  std::string label;                // direct label at the end of the line, and the column of the table
  std::vector<std::int64_t> values; // one per point of LineChart::at
};

struct LineChart {
  std::string id;                   // unique in the page: ids of <title> and <desc> are made from it
  std::string title;                // one sentence: what is drawn
  std::string summary;              // word on the table's <summary>
  std::string time_heading;         // first column of the table
  std::vector<Instant> at;          // ascending
  std::vector<std::string> at_text; // how each point is written
  std::vector<Series> series;
};
// A figure: the drawing inside a region that can scroll, and the table in a <details>. Empty Html when there is nothing to draw.
http::Html line_chart(const LineChart& chart);

struct Bar {
  std::string label;
  std::string value;                // what stands at the right: "6,559 · 88%"
  std::int64_t amount = 0;
  std::string href;                 // the rows behind the number; may be empty
};
// A list; the longest bar is the whole width. The bar itself is decoration, the number is text.
http::Html bars(const std::vector<Bar>& list);

// One lane per port: when it was seen open. Marks are instants of events.
struct Lane {
  std::string label;
  std::vector<std::pair<Instant, Instant>> open;
};
struct Mark {
  Instant at;
  std::string label;
};
struct Lanes {
  std::string id, title;
  Instant from, to;
  std::string from_text, to_text;
  std::vector<Lane> lanes;
  std::vector<Mark> marks;
};
http::Html lanes(const Lanes& lanes);

}  // namespace nora::desk
