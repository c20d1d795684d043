// `nora product list|show`: what Nora knows of products: kind, end of support with its source, and the steps it would advise.
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/messages.h"
#include "expose/knowledge.h"
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
  auto object = to_json(*p);
  json::Array advices;
  if (!run.json) std::printf("%s %s (%s)\nsupport end: %s%s\n", p->vendor.c_str(), p->product.c_str(), p->type.c_str(), support_words(*p).c_str(),
                             p->source.empty() ? "" : (", source: " + p->source).c_str());
  std::string last;
  for (const auto& rule : rules.all()) {
    if (!o.exposure.empty() && rule.id != o.exposure) continue;
    const auto id = knowledge.resolve_advice(identity, rule.id, rule.advice);
    const auto* advice = knowledge.advice_by_id(id);
    const bool specific = advice != nullptr && (!advice->vendor.empty() || !advice->product.empty() || !advice->type.empty());
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
  auto* show_command = with_json(product->add_subcommand("show", "One product with the steps for its owner"), run);
  show_command->add_option("id", options->id, "id as in nora product list")->required();
  show_command->add_option("--exposure", options->exposure, "steps for this exposure rule only");
  show_command->add_option("--lang", options->lang, "ja, easy or en")->capture_default_str();
  show_command->footer("--json fields: those of list, and advice: exposure, advice, verified, steps.");
  show_command->callback([&run, options] { run.action = [&run, options] { return show(run, *options); }; });
}

}  // namespace nora::app
