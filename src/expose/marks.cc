#include "expose/marks.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/files.h"
#include "expose/toml_read.h"
#include "identify/words.h"

namespace nora::expose {

namespace {

constexpr std::string_view row_names[] = {"pc", "router", "iot"};
constexpr std::string_view column_names[] = {"shipping", "update", "malware", "research"};
constexpr std::string_view mark_signs[] = {"?", "×", "△", "○"};
constexpr std::string_view mark_names[] = {"unknown", "bad", "fair", "good"};

// What a fact may say. The rules below know these words only.
const std::map<std::string_view, std::set<std::string_view>>& vocabulary() {
  static const std::map<std::string_view, std::set<std::string_view>> words = {
      {"initial_password", {"unique", "must_be_set", "common", "none"}},  // as delivered
      {"label", {"yes", "no"}},                                           // a security label that needs the above (JC-STAR, EN 303 645)
      {"auto_update", {"on", "optional", "notice", "manual", "none"}},
      {"signed_firmware", {"yes", "no"}},
      {"antivirus", {"yes", "no"}},
      {"targeted_by", {}},                                                // id of a family in data/malware/
      {"advisories", {"yes", "no"}},                                      // the maker publishes advisories that machines or people find
      {"researched", {"yes", "no"}}};                                     // others have published on this product
  return words;
}

void settle(Cell& cell, const Fact& fact, std::string reason) {
  cell.reasons.push_back(std::move(reason) + (fact.verified ? "" : fact.demo ? " (invented for the demo)" : " (unverified)"));
  cell.sources.push_back(fact.source);
  cell.verified = (cell.reasons.size() == 1 || cell.verified) && fact.verified;
  if (cell.date.empty() || fact.read < cell.date) cell.date = fact.read;
}

template <typename Enum, std::size_t N>
std::optional<Enum> parse_name(const std::string_view (&names)[N], std::string_view text) {
  const auto it = std::find(std::begin(names), std::end(names), text);
  if (it == std::end(names)) return std::nullopt;
  return static_cast<Enum>(it - std::begin(names));
}

bool is_date(const std::string& text) { return Instant::parse(text + "T00:00:00Z").has_value(); }

}  // namespace

std::string_view name(TableRow row) { return row_names[static_cast<std::size_t>(row)]; }
std::string_view name(TableColumn column) { return column_names[static_cast<std::size_t>(column)]; }
std::string_view sign(Mark mark) { return mark_signs[static_cast<std::size_t>(mark)]; }
std::string_view name(Mark mark) { return mark_names[static_cast<std::size_t>(mark)]; }

TableRow row_of(std::string_view type) {
  const auto is = [&](std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(), [&](auto w) { return identify::covers(type, w); });
  };
  if (is({"Router", "WAP", "Firewall", "Home Gateway"})) return TableRow::router;
  if (is({"PC", "Desktop", "Laptop", "Workstation", "General"})) return TableRow::pc;
  return TableRow::iot;
}

Status Marks::add(std::string_view text, std::string_view file_name, const Knowledge& knowledge) {
  NORA_TRY(const toml::table document, parse_toml(text, file_name));
  const TomlTable root(document, file_name);
  NORA_CHECK(root.only({"fact", "mark_2015"}));
  NORA_TRY(const auto facts, root.tables("fact"));
  for (const auto& t : facts) {
    NORA_CHECK(t.only({"product", "about", "value", "source", "read", "verified", "demo"}));
    Fact f;
    NORA_TRY(f.product, t.text("product"));
    NORA_TRY(f.about, t.text("about"));
    NORA_TRY(f.value, t.text("value"));
    NORA_TRY(f.source, t.text("source"));
    NORA_TRY(f.read, t.text("read"));
    NORA_TRY(f.verified, t.flag_or("verified", false));
    NORA_TRY(f.demo, t.flag_or("demo", false));
    if (knowledge.product_by_id(f.product) == nullptr) return t.bad("no product \"" + f.product + "\" in products.toml");
    const auto known = vocabulary().find(f.about);
    if (known == vocabulary().end()) return t.bad("no rule knows a fact about \"" + f.about + "\"");
    if (!known->second.empty() && !known->second.contains(f.value)) return t.bad(fmt::format("\"{}\" cannot be \"{}\"", f.about, f.value));
    if (!is_date(f.read)) return t.bad("\"read\" must be the day on which the source was read");
    if (f.verified && f.demo) return t.bad("what is invented cannot be verified");
    facts_.push_back(std::move(f));
  }
  NORA_TRY(const auto befores, root.tables("mark_2015"));
  for (const auto& t : befores) {
    NORA_CHECK(t.only({"row", "column", "mark", "source", "verified"}));
    Mark2015 m;
    NORA_TRY(const auto row, t.text("row"));
    NORA_TRY(const auto column, t.text("column"));
    NORA_TRY(const auto mark, t.text("mark"));
    NORA_TRY(m.source, t.text("source"));
    NORA_TRY(m.verified, t.flag_or("verified", false));
    const auto r = parse_name<TableRow>(row_names, row);
    const auto c = parse_name<TableColumn>(column_names, column);
    const auto k = parse_name<Mark>(mark_signs, mark);
    if (!r || !c || !k) return t.bad("row is pc, router or iot; column shipping, update, malware or research; mark ○, △, × or ?");
    if (m.verified && *k == Mark::unknown) return t.bad("an unknown mark cannot be verified");
    m.row = *r, m.column = *c, m.mark = *k;
    for (const auto& other : before_) if (other.row == m.row && other.column == m.column) return t.bad("this cell of 2015 exists twice");
    before_.push_back(std::move(m));
  }
  return {};
}

Result<Marks> Marks::load(const std::filesystem::path& products, const Knowledge& knowledge) {
  NORA_TRY(const auto text, read_file(products / "marks.toml", max_data_file_bytes));
  return parse(text, "marks.toml", knowledge);
}

Result<Marks> Marks::parse(std::string_view toml, std::string_view file_name, const Knowledge& knowledge) {
  Marks m;
  NORA_CHECK(m.add(toml, file_name, knowledge));
  return m;
}

ProductMarks Marks::marks_of(const Product& p, const Knowledge& knowledge, const Malware& malware, Instant now) const {
  ProductMarks out;
  out.product = &p;
  out.row = row_of(p.type);
  auto& shipping = out.cells[0];
  auto& update = out.cells[1];
  auto& against = out.cells[2];
  auto& research = out.cells[3];
  const auto lower_to = [](Cell& cell, Mark m) { cell.mark = cell.mark == Mark::unknown ? m : std::min(cell.mark, m); };
  const auto raise_to = [](Cell& cell, Mark m) { cell.mark = std::max(cell.mark, m); };
  bool lasting = false;
  for (const auto& f : facts_) {
    if (f.product != p.id) continue;
    if (f.about == "initial_password") {
      const bool own = f.value == "unique" || f.value == "must_be_set";
      settle(shipping, f, f.value == "unique" ? "each unit has its own password" : f.value == "must_be_set" ? "the first user must set a password"
                          : f.value == "common" ? "all units come with the same password" : "comes without a password");
      lower_to(shipping, own ? Mark::good : Mark::bad);
    } else if (f.about == "label" && f.value == "yes") {
      settle(shipping, f, "carries a security label");
      lower_to(shipping, Mark::good);
    } else if (f.about == "auto_update") {
      settle(update, f, f.value == "on" ? "updates itself as delivered" : f.value == "optional" ? "can update itself when told to" : f.value == "notice" ? "tells when there is an update"
                        : f.value == "manual" ? "is updated by hand" : "gets no updates");
      lower_to(update, f.value == "on" ? Mark::good : f.value == "none" ? Mark::bad : Mark::fair);
    } else if (f.about == "signed_firmware") {
      settle(against, f, f.value == "yes" ? "takes signed software only" : "takes software without a signature");
      lower_to(against, f.value == "yes" ? Mark::good : Mark::fair);
    } else if (f.about == "antivirus") {
      settle(against, f, f.value == "yes" ? "malware protection runs on it" : "no malware protection runs on it");
      lower_to(against, f.value == "yes" ? Mark::good : Mark::fair);
    } else if (f.about == "targeted_by") {
      const auto* family = malware.by_id(f.value);
      const auto persistence = family == nullptr ? Persistence::unknown : family->persistence;
      lasting = lasting || persistence == Persistence::disk || persistence == Persistence::firmware;
      settle(against, f, fmt::format("{} takes it over; after a restart: {}", family == nullptr ? f.value : family->name,
                                     persistence == Persistence::memory ? "gone" : persistence == Persistence::unknown ? "not known" : "still there"));
      lower_to(against, lasting ? Mark::bad : Mark::fair);
    } else if (f.about == "advisories") {
      settle(research, f, f.value == "yes" ? "the maker publishes advisories" : "the maker publishes no advisories");
      f.value == "yes" ? raise_to(research, Mark::good) : raise_to(research, Mark::bad);
    } else if (f.about == "researched" && f.value == "yes") {
      settle(research, f, "others have published on its security");
      raise_to(research, Mark::fair);
    }
  }
  registry::Identity identity;
  identity.vendor = {p.vendor, 1, {}};
  identity.product = {p.product, 1, {}};
  identity.type = {p.type, 1, {}};
  if (knowledge.support_ended(identity, now)) {
    const auto* line = knowledge.support_end_of(identity);
    const bool own = !p.support_end.empty();
    Fact f{p.id, "support", "ended", own || line == nullptr ? p.source : line->source, own || line == nullptr ? now.date() : line->read, !p.demo, p.demo};
    settle(update, f, "the maker has ended support");
    update.mark = Mark::bad;
  }
  // That malware goes for this kind of device is no mark of this product; it is told, so that nobody takes "?" for "safe".
  if (against.mark == Mark::unknown) {
    std::int64_t families = 0;
    for (const auto& f : malware.all())
      families += std::any_of(f.devices.begin(), f.devices.end(), [&](const auto& kind) { return identify::covers(p.type, kind); }) ? 1 : 0;
    if (families > 0) against.reasons.push_back(fmt::format("{} known families take over this kind of device; of this product nothing is known", families));
  }
  return out;
}

std::array<std::array<TableCell, 4>, 3> Marks::table(const Knowledge& knowledge, const Malware& malware, Instant now) const {
  std::array<std::array<TableCell, 4>, 3> out{};
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 4; ++c) {
      auto& before = out[r][c].before;
      before.row = table_rows[r], before.column = table_columns[c];
      for (const auto& m : before_) if (m.row == before.row && m.column == before.column) before = m;
    }
  for (const auto& p : knowledge.products()) {
    if (p.demo) continue;
    const auto marks = marks_of(p, knowledge, malware, now);
    for (std::size_t c = 0; c < 4; ++c) {
      auto& cell = out[static_cast<std::size_t>(marks.row)][c];
      switch (marks.cells[c].mark) {
        case Mark::good: ++cell.good; break;
        case Mark::fair: ++cell.fair; break;
        case Mark::bad: ++cell.bad; break;
        case Mark::unknown: ++cell.unknown; break;
      }
    }
  }
  for (auto& row : out)
    for (auto& cell : row) {
      const auto known = cell.good + cell.fair + cell.bad, all = known + cell.unknown;
      if (known == 0 || static_cast<double>(known) < min_known_share * static_cast<double>(all)) continue;
      // ○ when two of three are ○, × when half are ×, △ between.
      cell.mark = 3 * cell.good >= 2 * known ? Mark::good : 2 * cell.bad >= known ? Mark::bad : Mark::fair;
    }
  return out;
}

}  // namespace nora::expose
