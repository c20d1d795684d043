// The public overview's numbers, read once per page, and what of them the reader may see. Used by the overview page, its CSV and its JSON.
// Small counts are not shown to the public (screens.md section 9): a cell below the bound becomes "not shown", and when only one cell of a
// breakdown would be hidden, the next smallest is hidden too, because the total would give it away. Staff see every number.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "desk/context.h"
#include "desk/queries.h"

namespace nora::desk {

struct Cell {
  std::string label, rows;            // rows: path of the rows behind it ("/findings?pattern=A&state=open")
  std::int64_t value = 0;
  bool shown = true;
};

struct Overview {
  bool exact = false;                 // reader is staff
  std::int64_t bound = 0;             // counts from 1 to bound-1 are hidden when not exact
  Instant as_of;                      // end of the last survey; 0 = none yet
  registry::Totals totals;
  Cell open, fixed, sources, known;   // the four numbers
  std::int64_t devices = 0;
  std::vector<Cell> patterns;         // A..D
  std::vector<Cell> isps;             // cases
  std::vector<IspRow> isp_rows;       // the same order
  std::vector<Cell> product_cells;    // open devices per product
  std::vector<ProductRow> products;   // the same order
  std::vector<Cell> funnel;           // steps in order
  std::vector<TrendPoint> trend;
  CoverageRow coverage;
};

// The numbers before any reader: what the store says, read at most once in keep_factor times the time that reading took (0.1 s for a small
// store, some seconds for a national one), so that many readers cost as much as one. A store that is read in no time is always read anew.
class OverviewCache {
 public:
  static constexpr std::int64_t keep_factor = 20;
  static constexpr Span keep_max = Span::seconds(60);
  struct Numbers {
    registry::Totals totals;
    std::vector<registry::Count> patterns;
    std::vector<ProductRow> products;
    std::vector<IspRow> isps;
    std::vector<registry::Count> funnel;
    std::vector<TrendPoint> trend;
    CoverageRow coverage;
    std::int64_t sources = 0;
  };
  // While one reader reads anew, the others get the old numbers.
  Result<std::shared_ptr<const Numbers>> get(const Context& c);

 private:
  struct State {
    std::shared_ptr<const Numbers> numbers;
    Span made{}, cost{};
    bool reading = false;
  };
  Guarded<State> state_;
};

// Hides small cells of one breakdown (see above). bound <= 1 hides nothing.
void hide_small(std::vector<Cell>& cells, std::int64_t bound);
Result<Overview> read_overview(Context& c);

// The sentence at the top, made from the numbers that the reader may see: what fell or rose most between the first and the last survey.
std::string headline(const Context& c, const Overview& o);

}  // namespace nora::desk
