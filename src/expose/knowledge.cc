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

// Stands beside the products and is another table: the bridge to CPE names (cpe_names.h).
constexpr std::string_view alias_file = "cpe_aliases.toml";

Result<std::vector<fs::path>> toml_files(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".toml" && it->path().filename() != alias_file) paths.push_back(it->path());
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
  NORA_CHECK(t.only({"id", "vendor", "product", "type", "exposure", "steps", "source", "verified"}));
  Advice a;
  NORA_TRY(a.id, t.text("id"));
  NORA_TRY(a.vendor, t.text_or("vendor", ""));
  NORA_TRY(a.product, t.text_or("product", ""));
  NORA_TRY(a.type, t.text_or("type", ""));
  NORA_TRY(a.exposures, t.list("exposure"));
  NORA_TRY(a.source, t.text("source"));
  NORA_TRY(a.verified, t.flag_or("verified", false));
  const auto steps = t.raw()["steps"].value<std::int64_t>();
  if (!steps || *steps < 1 || *steps > 3) return t.bad("steps must be 1, 2 or 3: one first step and at most two more");
  a.steps = static_cast<int>(*steps);
  return a;
}

}  // namespace

Result<Knowledge> Knowledge::load(const fs::path& products, const fs::path& advice) {
  Knowledge k;
  std::set<std::string> ids;
  const auto read = [&](const fs::path& directory, std::string_view name, auto reader, auto& out) -> Status {
    NORA_TRY(const auto paths, toml_files(directory));
    for (const auto& path : paths) {
      NORA_TRY(const auto text, read_file(path, max_data_file_bytes));
      const std::string file = path.filename().string();
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

std::string Knowledge::resolve_advice(const registry::Identity& identity, std::string_view rule, std::string_view rule_default) const {
  const Advice* best = nullptr;
  // product words, vendor, type, exposure: compared in this order, the id last so that the answer never depends on file order.
  using Rank = std::tuple<std::size_t, int, int, int>;
  Rank best_rank{};
  for (const auto& a : advice_) {
    const bool exposure = std::find(a.exposures.begin(), a.exposures.end(), rule) != a.exposures.end();
    if (!a.exposures.empty() && !exposure) continue;
    if (!a.product.empty() && (!identity.product_known() || !identify::covers(identity.product.value, a.product))) continue;
    if (!a.vendor.empty() && (identity.vendor.confidence < 0.6 || !identify::covers(identity.vendor.value, a.vendor))) continue;
    if (!a.type.empty() && (identity.type.value.empty() || !identify::covers(identity.type.value, a.type))) continue;
    if (a.product.empty() && a.vendor.empty() && a.type.empty() && a.exposures.empty()) continue;  // "general" is the last resort
    const Rank rank{a.product.empty() ? 0 : identify::words_of(a.product).size(), !a.vendor.empty(), !a.type.empty(), exposure};
    if (best == nullptr || rank > best_rank || (rank == best_rank && a.id < best->id)) { best = &a; best_rank = rank; }
  }
  // An entry that knows neither product, vendor nor type is no better than what the rule itself names.
  const bool specific = best != nullptr && (!best->product.empty() || !best->vendor.empty() || !best->type.empty());
  if (!specific && !rule_default.empty() && advice_by_id(rule_default) != nullptr) return std::string(rule_default);
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
