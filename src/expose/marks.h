// The framework's table: rows PC, routers, IoT; columns security at shipping, ease of update, malware countermeasure, research; marks ○ △ ×.
// Each mark of a product is computed by rules from facts that have a source and a day (data/products/marks.toml, support_end.toml, data/malware/);
// nobody types a mark in. A fact that is missing makes "?", never a mark. Used by `nora product`. Immutable after load, any thread.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "expose/knowledge.h"
#include "expose/malware.h"

namespace nora::expose {

enum class TableRow { pc, router, iot };
enum class TableColumn { shipping, update, malware, research };
enum class Mark { unknown, bad, fair, good };
inline constexpr std::array table_rows = {TableRow::pc, TableRow::router, TableRow::iot};
inline constexpr std::array table_columns = {TableColumn::shipping, TableColumn::update, TableColumn::malware, TableColumn::research};
std::string_view name(TableRow row);
std::string_view name(TableColumn column);
std::string_view sign(Mark mark);  // "○" "△" "×" "?"
std::string_view name(Mark mark);  // good fair bad unknown
// "Broadband Router" → router, "Desktop" → pc, anything else → iot.
TableRow row_of(std::string_view type);

// One fact about a product, by its id in products.toml.
struct Fact {
  std::string product, about, value;  // about and value: the words of marks.cc
  std::string source, read;
  bool verified = false, demo = false;
};
// A mark that the framework gave in 2015. mark unknown: not known here, to be filled in from the framework's own paper.
struct Mark2015 {
  TableRow row{};
  TableColumn column{};
  Mark mark = Mark::unknown;
  std::string source;
  bool verified = false;
};

struct Cell {
  Mark mark = Mark::unknown;
  std::vector<std::string> reasons;  // English, one a fact that counted
  std::vector<std::string> sources;
  std::string date;                  // of the oldest fact that counted; empty: none
  bool verified = false;             // every fact that counted is verified
};
struct ProductMarks {
  const Product* product = nullptr;
  TableRow row{};
  std::array<Cell, 4> cells;
  const Cell& at(TableColumn c) const { return cells[static_cast<std::size_t>(c)]; }
};

// The roll-up: how many products of a row have which mark.
struct TableCell {
  std::int64_t good = 0, fair = 0, bad = 0, unknown = 0;
  Mark mark = Mark::unknown;   // unknown while fewer than min_known_share of the products have a mark
  Mark2015 before;
};
inline constexpr double min_known_share = 0.5;

class Marks {
 public:
  static Result<Marks> load(const std::filesystem::path& products, const Knowledge& knowledge);  // marks.toml there
  static Result<Marks> parse(std::string_view toml, std::string_view file_name, const Knowledge& knowledge);
  const std::vector<Fact>& facts() const { return facts_; }
  ProductMarks marks_of(const Product& product, const Knowledge& knowledge, const Malware& malware, Instant now) const;
  // By row and column. Demo products are left out.
  std::array<std::array<TableCell, 4>, 3> table(const Knowledge& knowledge, const Malware& malware, Instant now) const;

 private:
  Status add(std::string_view toml, std::string_view file_name, const Knowledge& knowledge);
  std::vector<Fact> facts_;
  std::vector<Mark2015> before_;
};

}  // namespace nora::expose
