#include "desk/overview.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "cases/metrics.h"
#include "desk/charts.h"

namespace nora::desk {
namespace {

constexpr std::int64_t headline_min = 4;  // a fall from 2 to 1 is no news

bool small(std::int64_t value, std::int64_t bound) { return value > 0 && value < bound; }

// "to a quarter", "to half", "by 21 %": the words for last/first.
std::string share_words(const Context& c, std::int64_t first, std::int64_t last) {
  double ratio = static_cast<double>(last) / static_cast<double>(first);
  for (auto [value, id] : {std::pair(0.25, "quarter"), {1.0 / 3, "third"}, {0.5, "half"}})
    if (std::abs(ratio - value) <= 0.03) return c.t(fmt::format("desk.headline.to_{}", id));
  return c.t("desk.headline.by", {{"percent", fmt::format("{:.0f}", std::abs(1 - ratio) * 100)}});
}

}  // namespace

Result<std::shared_ptr<const OverviewCache::Numbers>> OverviewCache::get(const Context& c) {
  const auto begin = c.parts.env.clock.monotonic();
  auto kept = state_.with([&](State& s) -> std::shared_ptr<const Numbers> {
    const auto keep = std::min(Span{s.cost.us * keep_factor}, keep_max);
    if (s.numbers && (s.reading || begin - s.made < keep)) return s.numbers;
    s.reading = true;
    return nullptr;
  });
  if (kept) return kept;
  auto read = [&]() -> Result<std::shared_ptr<const Numbers>> {
    auto n = std::make_shared<Numbers>();
    NORA_TRY(n->totals, registry::totals(c.registry));
    NORA_TRY(n->patterns, registry::count_by_pattern(c.registry));
    NORA_TRY(n->products, products(c.registry));
    NORA_TRY(n->isps, isps(c.registry));
    NORA_TRY(auto steps, cases::funnel(c.registry));
    for (const auto& s : steps) n->funnel.push_back({s.name, s.count});
    NORA_TRY(n->trend, trend(c.registry));
    NORA_TRY(n->coverage, coverage(c.registry));
    NORA_TRY(n->sources, sighting_sources(c.registry, c.view.now - Span::days(7)));
    return n;
  };
  auto made = read();
  state_.with([&](State& s) {
    s.reading = false;
    if (!made) return;
    s.numbers = *made;
    s.made = c.parts.env.clock.monotonic();
    s.cost = s.made - begin;
  });
  return made;
}

void hide_small(std::vector<Cell>& cells, std::int64_t bound) {
  if (bound <= 1) return;
  std::size_t hidden = 0;
  Cell* next = nullptr;  // the smallest one that is still shown and not 0
  for (auto& cell : cells) {
    if (small(cell.value, bound)) {
      cell.shown = false;
      ++hidden;
    } else if (cell.value > 0 && (next == nullptr || cell.value < next->value)) {
      next = &cell;
    }
  }
  if (hidden == 1 && next != nullptr) next->shown = false;
}

Result<Overview> read_overview(Context& c) {
  Overview o;
  o.exact = c.view.may("analyst,operator,approver,auditor");
  o.bound = o.exact ? 0 : c.parts.suppress_below;
  NORA_TRY(const auto n, c.parts.overview->get(c));
  o.totals = n->totals;
  o.products = n->products;
  o.isp_rows = n->isps;
  o.trend = n->trend;
  o.coverage = n->coverage;
  const auto sources = n->sources;
  o.as_of = o.coverage.last_finished;
  o.devices = o.totals.devices;

  auto one = [&](std::string_view label, std::string_view rows, std::int64_t value) {
    return Cell{std::string(label), std::string(rows), value, !small(value, o.bound)};
  };
  o.open = one("open", "/findings?state=open", o.totals.findings_open);
  o.fixed = one("fixed", "/findings?state=fixed", o.totals.findings_fixed);
  o.sources = one("sources", "/sightings", sources);
  o.known = one("known", "/devices", o.totals.devices_known);
  // The share of the known gives the number of the unknown away.
  o.known.shown = o.known.shown && !small(o.devices - o.known.value, o.bound);
  for (const auto& p : n->patterns) o.patterns.push_back(one(p.label, fmt::format("/findings?pattern={}&state=open", p.label), p.count));
  hide_small(o.patterns, o.bound);
  for (const auto& p : o.products)
    o.product_cells.push_back(one(p.product, p.product.empty() ? "/devices?unknown=1" : fmt::format("/devices?vendor={}&product={}", to_url(p.vendor), to_url(p.product)), p.open));
  hide_small(o.product_cells, o.bound);
  for (const auto& i : o.isp_rows) o.isps.push_back(one(i.isp, "/cases?isp=" + to_url(i.isp), i.cases));
  hide_small(o.isps, o.bound);
  for (const auto& s : n->funnel) o.funnel.push_back(one(s.label, "/cases?stage=" + to_url(s.label), s.count));
  return o;
}

std::string headline(const Context& c, const Overview& o) {
  if (o.coverage.surveys == 0) return c.t("desk.headline.none");
  auto visible = [&](std::int64_t v) { return !small(v, o.bound); };
  if (o.trend.size() >= 2) {
    const auto& first = o.trend.front();
    const auto& last = o.trend.back();
    // The pattern that moved most, relative to where it stood.
    int best = -1;
    double most = 0;
    for (int i = 0; i < 4; ++i) {
      if (first.seen[i] < headline_min || !visible(first.seen[i]) || !visible(last.seen[i])) continue;
      double moved = std::abs(1 - static_cast<double>(last.seen[i]) / static_cast<double>(first.seen[i]));
      if (moved > most + 1e-9) best = i, most = moved;
    }
    if (best >= 0 && most >= 0.1) {
      bool fell = last.seen[best] < first.seen[best];
      auto letter = static_cast<char>('A' + best);
      return c.t(fell ? "desk.headline.fell" : "desk.headline.rose",
                 {{"what", c.t(fmt::format("desk.pattern.{}.what", letter))}, {"share", share_words(c, first.seen[best], last.seen[best])}, {"first", group_digits(first.seen[best])}, {"last", group_digits(last.seen[best])}});
    }
  }
  if (!o.open.shown) return c.t("desk.headline.few", {{"bound", std::to_string(o.bound)}});
  return c.t("desk.headline.now", {{"open", group_digits(o.open.value)}, {"devices", group_digits(o.devices)}, {"known", o.known.shown ? percent(o.known.value, o.devices) : "–"}});
}

}  // namespace nora::desk
