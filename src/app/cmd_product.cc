// `nora product list|show|table`: what Nora knows of products: kind, end of support with its source, the marks of the framework's table with their
// reasons, and the steps it would advise.
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/messages.h"
#include "expose/knowledge.h"
#include "expose/malware.h"
#include "expose/marks.h"
#include "expose/rules.h"

namespace nora::app {
namespace {

struct Options { std::string id, exposure, lang = "ja"; };

Result<expose::Knowledge> load() { return expose::Knowledge::load(data_dir() + "/products", data_dir() + "/advice"); }

std::string support_words(const expose::Product& p) {
  if (p.support_end.empty()) return "not known";
  return (p.support_end == "ended" ? std::string("ended") : p.support_end) + (p.verified ? "" : p.demo ? " (invented for the demo)" : " (unverified)");
}

json::Object to_json(const expose::Product& p) {
  return {{"id", p.id}, {"vendor", p.vendor}, {"product", p.product}, {"type", p.type}, {"support_end", p.support_end.empty() ? json::Value(nullptr) : json::Value(p.support_end)},
          {"source", p.source}, {"verified", p.verified}, {"demo", p.demo}};
}

// What the product's own line does not say may stand in support_end.toml.
const expose::SupportEnd* other_end(const expose::Knowledge& knowledge, const expose::Product& p) {
  registry::Identity identity;
  identity.vendor = {p.vendor, 1, {}};
  identity.product = {p.product, 1, {}};
  return p.support_end.empty() ? knowledge.support_end_of(identity) : nullptr;
}

json::Object marks_json(const expose::ProductMarks& marks) {
  json::Object out{{"row", std::string(name(marks.row))}};
  for (const auto column : expose::table_columns) {
    const auto& cell = marks.at(column);
    json::Array reasons, sources;
    for (const auto& r : cell.reasons) reasons.emplace_back(r);
    for (const auto& s : cell.sources) sources.emplace_back(s);
    out[std::string(name(column))] = json::Object{{"mark", std::string(name(cell.mark))}, {"sign", std::string(sign(cell.mark))}, {"reasons", reasons}, {"sources", sources},
                                                  {"date", cell.date.empty() ? json::Value(nullptr) : json::Value(cell.date)}, {"verified", cell.verified}};
  }
  return out;
}

Result<int> table(Run& run, const Options&) {
  NORA_TRY(const auto knowledge, load());
  NORA_TRY(const auto malware, expose::Malware::load(data_dir() + "/malware"));
  NORA_TRY(const auto marks, expose::Marks::load(data_dir() + "/products", knowledge));
  const auto cells = marks.table(knowledge, malware, run.env.clock.now());
  if (!run.json) std::printf("%-8s %-10s %-5s %-6s %s\n", "row", "column", "now", "2015", "products: ○ / △ / × / not known");
  for (std::size_t r = 0; r < cells.size(); ++r)
    for (std::size_t c = 0; c < cells[r].size(); ++c) {
      const auto& cell = cells[r][c];
      const std::string row(name(expose::table_rows[r])), column(name(expose::table_columns[c])), before(sign(cell.before.mark));
      if (run.json) {
        std::printf("%s\n", json::text(json::Object{{"row", row}, {"column", column}, {"mark", std::string(name(cell.mark))}, {"sign", std::string(sign(cell.mark))},
                                                    {"good", cell.good}, {"fair", cell.fair}, {"bad", cell.bad}, {"unknown", cell.unknown}, {"mark_2015", std::string(name(cell.before.mark))},
                                                    {"source_2015", cell.before.source}, {"verified_2015", cell.before.verified}}).c_str());
      } else {
        std::printf("%-8s %-10s %s     %s%s     %lld / %lld / %lld / %lld\n", row.c_str(), column.c_str(), std::string(sign(cell.mark)).c_str(), before.c_str(),
                    cell.before.verified ? " " : "*", static_cast<long long>(cell.good), static_cast<long long>(cell.fair), static_cast<long long>(cell.bad),
                    static_cast<long long>(cell.unknown));
      }
    }
  if (!run.json) std::printf("* the mark of 2015 is not verified. A mark for now stands only where half of the products have one. Demo products are left out.\n");
  return 0;
}

Result<int> list(Run& run, const Options&) {
  NORA_TRY(const auto knowledge, load());
  for (const auto& p : knowledge.products()) {
    if (run.json) std::printf("%s\n", json::text(to_json(p)).c_str());
    else std::printf("%-28s %-20s %-22s %-20s support end: %s\n", p.id.c_str(), p.vendor.c_str(), p.product.c_str(), p.type.c_str(), support_words(p).c_str());
  }
  return 0;
}

Result<int> show(Run& run, const Options& o) {
  NORA_TRY(const auto knowledge, load());
  const auto* p = knowledge.product_by_id(o.id);
  if (p == nullptr) return fail(Code::not_found, "no product \"" + o.id + "\" is known", "see nora product list");
  NORA_TRY(const Lang lang, parse_lang(o.lang));
  NORA_TRY(const auto rules, expose::Rules::load(data_dir() + "/exposures"));
  NORA_TRY(const auto messages, Messages::load(data_dir() + "/messages"));
  if (!o.exposure.empty() && rules.find(o.exposure) == nullptr) return fail(Code::not_found, "no exposure rule \"" + o.exposure + "\"");
  registry::Identity identity;
  identity.vendor = {p->vendor, 1, {}};
  identity.product = {p->product, 1, {}};
  identity.type = {p->type, 1, {}};
  NORA_TRY(const auto malware, expose::Malware::load(data_dir() + "/malware"));
  NORA_TRY(const auto all_marks, expose::Marks::load(data_dir() + "/products", knowledge));
  const auto now = run.env.clock.now();
  const auto marks = all_marks.marks_of(*p, knowledge, malware, now);
  const bool ended = knowledge.support_ended(identity, now);
  const auto* other = other_end(knowledge, *p);
  auto object = to_json(*p);
  object["support_ended"] = ended;
  if (other != nullptr) object["support_line"] = json::Object{{"end_of_support", other->end_of_support}, {"source", other->source}, {"read", other->read}, {"verified", other->verified}};
  object["marks"] = marks_json(marks);
  json::Array advices;
  if (!run.json) std::printf("%s %s (%s)\nsupport end: %s%s\n", p->vendor.c_str(), p->product.c_str(), p->type.c_str(), support_words(*p).c_str(),
                             p->source.empty() ? "" : (", source: " + p->source).c_str());
  if (!run.json && other != nullptr)
    std::printf("support end by another source: %s, read %s%s: %s\n", other->end_of_support.c_str(), other->read.c_str(), other->verified ? "" : " (unverified)", other->source.c_str());
  if (!run.json)
    for (const auto column : expose::table_columns) {
      const auto& cell = marks.at(column);
      std::printf("%-9s %s%s\n", std::string(name(column)).c_str(), std::string(sign(cell.mark)).c_str(), cell.date.empty() ? "" : ("  facts read " + cell.date).c_str());
      for (std::size_t n = 0; n < cell.reasons.size(); ++n)
        std::printf("            %s%s\n", cell.reasons[n].c_str(), n < cell.sources.size() ? (" [" + cell.sources[n] + "]").c_str() : "");
    }
  std::string last;
  for (const auto& rule : rules.all()) {
    if (!o.exposure.empty() && rule.id != o.exposure) continue;
    const auto id = knowledge.resolve_advice({identity, rule.id, rule.advice, expose::Persistence::unknown, ended});
    const auto* advice = knowledge.advice_by_id(id);
    const bool specific = advice != nullptr && (!advice->vendor.empty() || !advice->product.empty() || !advice->types.empty() || advice->support_ended);
    if (o.exposure.empty() && !specific) continue;  // without an exposure only what is said of this product or kind
    json::Array steps;
    for (int n = 1; advice != nullptr && n <= advice->steps; ++n) steps.push_back(json::Value(messages.get(lang, expose::Knowledge::step_id(id, n))));
    if (run.json) { advices.push_back(json::Object{{"exposure", rule.id}, {"advice", id}, {"verified", advice != nullptr && advice->verified}, {"steps", steps}}); continue; }
    std::printf("%s: %s%s\n", rule.id.c_str(), id.c_str(), advice != nullptr && advice->verified ? "" : " [unverified]");
    if (id == last) continue;
    last = id;
    for (std::size_t n = 0; n < steps.size(); ++n) std::printf("  %zu. %s\n", n + 1, to_terminal(std::string_view(steps[n].as_string())).c_str());
  }
  if (run.json) {
    object["advice"] = std::move(advices);
    std::printf("%s\n", json::text(object).c_str());
  }
  return 0;
}

}  // namespace

void add_product(CLI::App& root, Run& run) {
  auto* product = root.add_subcommand("product", "What is known of a product: kind, end of support, advised steps");
  product->require_subcommand(1);
  auto options = std::make_shared<Options>();
  auto* list_command = with_json(product->add_subcommand("list", "All products"), run);
  list_command->footer("--json fields: id, vendor, product, type, support_end (null = not known), source, verified, demo.");
  list_command->callback([&run, options] { run.action = [&run, options] { return list(run, *options); }; });
  auto* table_command = with_json(product->add_subcommand("table", "The framework's table: PC, routers, IoT by four columns, beside the marks of 2015"), run);
  table_command->footer("--json fields: row, column, mark, sign, good, fair, bad, unknown (numbers of products), mark_2015, source_2015, verified_2015.");
  table_command->callback([&run, options] { run.action = [&run, options] { return table(run, *options); }; });
  auto* show_command = with_json(product->add_subcommand("show", "One product with the steps for its owner"), run);
  show_command->add_option("id", options->id, "id as in nora product list")->required();
  show_command->add_option("--exposure", options->exposure, "steps for this exposure rule only");
  show_command->add_option("--lang", options->lang, "ja, easy or en")->capture_default_str();
  show_command->footer("--json fields: those of list, support_ended, support_line, marks (row; per column mark, sign, reasons, sources, date, verified), and advice: exposure, advice, verified, steps.");
  show_command->callback([&run, options] { run.action = [&run, options] { return show(run, *options); }; });
}

}  // namespace nora::app
