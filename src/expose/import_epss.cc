// FIRST EPSS scores as CSV (https://www.first.org/epss/data_stats): a comment line with model and date, a header, "cve,epss,percentile".
#include <fmt/format.h>

#include <charconv>
#include <set>

#include "base/text.h"
#include "expose/vuln_import.h"

namespace nora::expose {
namespace {

bool probability(std::string_view text, double& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out >= 0 && out <= 1;
}

}  // namespace

Result<EpssTable> parse_epss(std::string_view csv) {
  if (csv.starts_with("\x1f\x8b")) return fail(Code::bad_input, "the EPSS file is still compressed", "gunzip it first");
  EpssTable out;
  std::size_t number = 0;
  bool header = false;
  const auto bad = [&](std::string_view what) { return fail(Code::bad_input, fmt::format("line {}: {}", number, what)); };
  while (!csv.empty()) {
    auto line = csv.substr(0, csv.find('\n'));
    csv.remove_prefix(std::min(csv.size(), line.size() + 1));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (line.starts_with('#')) {
      for (const auto piece : split(line.substr(1), ',')) {
        if (piece.starts_with("model_version:")) out.model = piece.substr(14);
        if (piece.starts_with("score_date:")) {
          auto when = normal_time(piece.substr(11));
          if (!when) return bad("score_date is not a time");
          out.date = *when;
        }
      }
      continue;
    }
    if (!header) {
      if (line != "cve,epss,percentile") return bad("the header is not \"cve,epss,percentile\"");
      header = true;
      continue;
    }
    const auto cells = split(line, ',');
    EpssTable::Row row;
    if (cells.size() != 3) return bad("not three cells");
    row.cve = cells[0];
    if (!is_cve_id(row.cve)) return bad("the first cell is no CVE id");
    if (!probability(cells[1], row.score) || !probability(cells[2], row.percentile)) return bad(row.cve + ": epss and percentile must be numbers from 0 to 1");
    if (out.rows.size() >= max_import_records) return bad("more rows than one import takes");
    out.rows.push_back(std::move(row));
  }
  if (!header) return fail(Code::bad_input, "not an EPSS file: the header \"cve,epss,percentile\" is missing");
  if (out.date.empty()) return fail(Code::bad_input, "the EPSS file does not say of which day it is (\"#model_version:…,score_date:…\")");
  return out;
}

}  // namespace nora::expose
