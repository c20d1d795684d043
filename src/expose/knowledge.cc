#include "expose/knowledge.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <tuple>

#include "base/files.h"
#include "expose/toml_read.h"
#include "identify/words.h"

namespace nora::expose {

namespace fs = std::filesystem;

namespace {

// Files of data/products that hold no [[product]].
constexpr std::string_view support_file = "support_end.toml";
constexpr std::string_view marks_file = "marks.toml";
constexpr std::string_view infected_advice = "infected";  // lists every rule that speaks of an infection
constexpr std::string_view alias_file = "cpe_aliases.toml";  // the bridge to CPE names (cpe_names.h)

Result<std::vector<fs::path>> toml_files(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".toml") paths.push_back(it->path());
  if (error) return fail(Code::not_found, fmt::format("cannot read {}: {}", directory.string(), error.message()));
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool is_support_end(std::string_view text) {
  if (text.empty() || text == "ended") return true;
  return Instant::parse(std::string(text) + "T00:00:00Z").has_value();
}

Result<Product> read_product(const TomlTable& t) {
  NORA_CHECK(t.only({"id", "vendor", "product", "type", "aliases", "support_end", "source", "verified", "demo"}));
  Product p;
  NORA_TRY(p.id, t.text("id"));
  NORA_TRY(p.vendor, t.text("vendor"));
  NORA_TRY(p.product, t.text("product"));
  NORA_TRY(p.type, t.text("type"));
  NORA_TRY(p.aliases, t.list("aliases"));
  NORA_TRY(p.support_end, t.text_or("support_end", ""));
  NORA_TRY(p.source, t.text_or("source", ""));
  NORA_TRY(p.verified, t.flag_or("verified", false));
  NORA_TRY(p.demo, t.flag_or("demo", false));
  if (!is_support_end(p.support_end)) return t.bad("support_end must be YYYY-MM-DD or \"ended\"");
  if ((p.verified || !p.support_end.empty()) && p.source.empty()) return t.bad("a fact needs its source");
  return p;
}

Result<Advice> read_advice(const TomlTable& t) {
  NORA_CHECK(t.only({"id", "vendor", "product", "type", "exposure", "persistence", "support_ended", "also_infected", "first", "steps", "source", "verified"}));
  Advice a;
  NORA_TRY(a.id, t.text("id"));
  NORA_TRY(a.vendor, t.text_or("vendor", ""));
  NORA_TRY(a.product, t.text_or("product", ""));
  NORA_TRY(a.types, t.list("type"));
  NORA_TRY(a.exposures, t.list("exposure"));
  NORA_TRY(a.persistence, t.text_or("persistence", ""));
  if (!a.persistence.empty() && (!parse_persistence(a.persistence) || a.persistence == name(Persistence::unknown)))
    return t.bad("persistence must be memory, disk or firmware");
  NORA_TRY(a.support_ended, t.flag_or("support_ended", false));
  NORA_TRY(a.also_infected, t.flag_or("also_infected", false));
  NORA_TRY(a.first, t.flag_or("first", false));
  NORA_TRY(a.source, t.text("source"));
  NORA_TRY(a.verified, t.flag_or("verified", false));
  const auto steps = t.raw()["steps"].value<std::int64_t>();
  if (!steps || *steps < 1 || *steps > 3) return t.bad("steps must be 1, 2 or 3: one first step and at most two more");
  a.steps = static_cast<int>(*steps);
  return a;
}

Result<SupportEnd> read_support_end(const TomlTable& t) {
  NORA_CHECK(t.only({"vendor", "product", "revision", "last_firmware", "end_of_sale", "end_of_support", "source", "read", "verified"}));
  SupportEnd s;
  NORA_TRY(s.vendor, t.text("vendor"));
  NORA_TRY(s.product, t.text("product"));
  NORA_TRY(s.revision, t.text_or("revision", ""));
  NORA_TRY(s.last_firmware, t.text_or("last_firmware", ""));
  NORA_TRY(s.end_of_sale, t.text_or("end_of_sale", ""));
  NORA_TRY(s.end_of_support, t.text_or("end_of_support", ""));
  NORA_TRY(s.source, t.text("source"));
  NORA_TRY(s.read, t.text("read"));
  NORA_TRY(s.verified, t.flag_or("verified", false));
  if (identify::words_of(s.product).empty()) return t.bad("a line without a product would cover every product of its maker");
  if (!is_support_end(s.end_of_sale) || !is_support_end(s.end_of_support)) return t.bad("a date must be YYYY-MM-DD or \"ended\"");
  if (s.end_of_sale.empty() && s.end_of_support.empty()) return t.bad("end_of_sale or end_of_support is missing: an unknown end needs no line");
  if (s.read.empty() || s.read == "ended" || !is_support_end(s.read)) return t.bad("\"read\" must be the day on which the source was read");
  return s;
}

bool is_past(std::string_view end, Instant now) {
  if (end.empty()) return false;
  if (end == "ended") return true;
  const auto last_day = Instant::parse(std::string(end) + "T00:00:00Z");
  return last_day && *last_day + Span::hours(24) <= now;  // the last day itself still counts as supported
}

}  // namespace

Result<Knowledge> Knowledge::load(const fs::path& products, const fs::path& advice) {
  Knowledge k;
  std::set<std::string> ids;
  const auto read = [&](const fs::path& directory, std::string_view name, auto reader, auto& out) -> Status {
    NORA_TRY(const auto paths, toml_files(directory));
    for (const auto& path : paths) {
      const std::string file = path.filename().string();
      if (file == support_file || file == marks_file || file == alias_file) continue;
      NORA_TRY(const auto text, read_file(path, max_data_file_bytes));
      NORA_TRY(const toml::table document, parse_toml(text, file));
      const TomlTable root(document, file);
      NORA_CHECK(root.only({name}));
      NORA_TRY(const auto tables, root.tables(name));
      for (const auto& table : tables) {
        NORA_TRY(auto item, reader(table));
        if (!ids.insert(std::string(name) + ":" + item.id).second) return table.bad("id \"" + item.id + "\" exists twice");
        out.push_back(std::move(item));
      }
    }
    return {};
  };
  NORA_CHECK(read(products, "product", read_product, k.products_));
  NORA_CHECK(read(advice, "advice", read_advice, k.advice_));
  if (fs::exists(products / support_file)) {
    NORA_TRY(const auto text, read_file(products / support_file, max_data_file_bytes));
    NORA_TRY(const toml::table document, parse_toml(text, support_file));
    const TomlTable root(document, support_file);
    NORA_CHECK(root.only({"support"}));
    NORA_TRY(const auto tables, root.tables("support"));
    for (const auto& table : tables) {
      NORA_TRY(auto line, read_support_end(table));
      k.support_ends_.push_back(std::move(line));
    }
  }
  if (k.advice_by_id("general") == nullptr) return fail(Code::bad_input, "advice \"general\" is missing", "it is the last resort of resolve_advice");
  return k;
}

const Product* Knowledge::product_by_id(std::string_view id) const {
  const auto it = std::find_if(products_.begin(), products_.end(), [&](const Product& p) { return p.id == id; });
  return it == products_.end() ? nullptr : &*it;
}

const Product* Knowledge::product_of(const registry::Identity& identity) const {
  if (!identity.product_known()) return nullptr;
  const Product* best = nullptr;
  std::size_t best_words = 0;
  for (const auto& p : products_) {
    if (!identify::compatible(p.vendor, identity.vendor.value)) continue;
    std::vector<std::string> names = p.aliases;
    names.push_back(p.product);
    for (const auto& name : names) {
      const auto words = identify::words_of(name).size();
      if (identify::covers(identity.product.value, name) && words > best_words) { best = &p; best_words = words; }
    }
  }
  return best;
}

const Advice* Knowledge::advice_by_id(std::string_view id) const {
  const auto it = std::find_if(advice_.begin(), advice_.end(), [&](const Advice& a) { return a.id == id; });
  return it == advice_.end() ? nullptr : &*it;
}

const SupportEnd* Knowledge::support_end_of(const registry::Identity& identity) const {
  if (!identity.product_known()) return nullptr;
  const SupportEnd* best = nullptr;
  std::pair<std::size_t, bool> best_rank{};
  for (const auto& s : support_ends_) {
    if (!s.revision.empty() || !identify::compatible(s.vendor, identity.vendor.value) || identity.vendor.value.empty()) continue;
    if (!identify::covers(identity.product.value, s.product)) continue;
    const std::pair<std::size_t, bool> rank{identify::words_of(s.product).size(), s.verified};
    if (best == nullptr || rank > best_rank) { best = &s; best_rank = rank; }
  }
  return best;
}

bool Knowledge::support_ended(const registry::Identity& identity, Instant now) const {
  if (const auto* p = product_of(identity); p != nullptr && (p->verified || p->demo) && is_past(p->support_end, now)) return true;
  const auto* s = support_end_of(identity);
  return s != nullptr && s->verified && is_past(s->end_of_support, now);
}

std::string Knowledge::resolve_advice(const Situation& s) const {
  const auto& identity = s.identity;
  const Advice* best = nullptr;
  // Ended support, lasting infection, product words, vendor, type, exposure: compared in this order, the id last so that the answer never depends
  // on file order. What a restart clears is no reason to pass over the steps of the product itself, so "memory" counts last.
  using Rank = std::tuple<bool, bool, bool, std::size_t, int, int, int, bool>;
  Rank best_rank{};
  const auto* plain = advice_by_id(infected_advice);
  const bool infection = plain != nullptr && std::find(plain->exposures.begin(), plain->exposures.end(), s.rule) != plain->exposures.end();
  for (const auto& a : advice_) {
    const bool exposure = std::find(a.exposures.begin(), a.exposures.end(), s.rule) != a.exposures.end();
    if (!a.exposures.empty() && !exposure) continue;
    if (a.support_ended && !s.support_ended) continue;
    if (!a.persistence.empty() && a.persistence != name(s.persistence)) continue;
    if (!a.product.empty() && (!identity.product_known() || !identify::covers(identity.product.value, a.product))) continue;
    if (!a.vendor.empty() && (identity.vendor.confidence < 0.6 || !identify::covers(identity.vendor.value, a.vendor))) continue;
    if (!a.types.empty() && (identity.type.value.empty() ||
                             std::none_of(a.types.begin(), a.types.end(), [&](const auto& type) { return identify::covers(identity.type.value, type); }))) continue;
    if (infection && a.exposures.empty() && !a.also_infected && !a.support_ended) continue;
    if (a.product.empty() && a.vendor.empty() && a.types.empty() && a.exposures.empty() && !a.support_ended) continue;  // "general" is the last resort
    const bool memory = a.persistence == name(Persistence::memory);
    const Rank rank{a.first, a.support_ended, !a.persistence.empty() && !memory, a.product.empty() ? 0 : identify::words_of(a.product).size(), !a.vendor.empty(),
                    !a.types.empty(), exposure, memory};
    if (best == nullptr || rank > best_rank || (rank == best_rank && a.id < best->id)) { best = &a; best_rank = rank; }
  }
  // An entry that knows neither product, vendor nor type is no better than what the rule itself names.
  const bool specific = best != nullptr && (!best->product.empty() || !best->vendor.empty() || !best->types.empty() || !best->persistence.empty() || best->support_ended);
  if (!specific && !s.rule_default.empty() && advice_by_id(s.rule_default) != nullptr) return std::string(s.rule_default);
  return best != nullptr ? best->id : "general";
}

std::string Knowledge::step_id(std::string_view advice, int step) { return fmt::format("advice.{}.step{}", advice, step); }

std::string type_slug(std::string_view type) {
  std::string out;
  for (const char c : type) {
    if (std::isalnum(static_cast<unsigned char>(c))) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!out.empty() && out.back() != '-') out += '-';
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "device" : out;
}

}  // namespace nora::expose
