// `nora case list|show|move|causes|fixers`: what people work on. cases/case_book and flow/root_causes do the work.
#include <fmt/format.h>

#include <memory>

#include "app/center.h"
#include "base/escape.h"
#include "base/messages.h"
#include "flow/root_causes.h"

namespace nora::app {
namespace {

struct Options {
  CenterOptions center;
  cases::CaseFilter filter;
  std::int64_t id = 0;
  std::string to, by, reason, lang = "ja";
  flow::CauseOptions causes;
  bool request = false;
};

void print(const json::Object& o) { fmt::print("{}\n", json::text(o)); }

json::Object case_json(const cases::Case& c) {
  const auto at = [](const std::optional<Instant>& t) { return t ? json::Value(t->text()) : json::Value(nullptr); };
  return {{"case", c.id}, {"state", std::string(cases::name(c.state))}, {"state_at", c.state_at.text()}, {"isp", c.isp}, {"track", c.track}, {"line", c.line_key},
          {"device", c.device}, {"first_seen", c.first_seen.text()}, {"reopened_at", at(c.reopened_at)}, {"attacked", c.attacked}, {"root_cause", c.root_cause},
          {"notified_at", at(c.notified_at)}, {"opened_at", at(c.opened_at)}, {"checked_at", at(c.checked_at)}, {"fixed_at", at(c.fixed_at)}};
}

Result<int> list(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* book, center.book());
  NORA_TRY(const auto found, book->find(o.filter));
  for (const auto& c : found) {
    if (run.json) print(case_json(c));
    else fmt::print("{:>5}  {:<20} {:<10} {:<8} {}{}\n", c.id, cases::name(c.state), c.isp, c.track, to_terminal(c.root_cause), c.attacked ? "  (attacks)" : "");
  }
  return 0;
}

Result<int> show(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* book, center.book());
  NORA_TRY(auto* registry, center.registry());
  NORA_TRY(const auto c, book->get(o.id));
  if (!c) return fail(Code::not_found, fmt::format("there is no case {}", o.id));
  NORA_TRY(const auto findings, registry->findings_of_case(o.id));
  NORA_TRY(const auto events, book->events(o.id));
  NORA_CHECK(book->verify_chain(o.id));
  if (run.json) {
    auto all = case_json(*c);
    json::Array fs, es;
    for (const auto& s : findings) {
      json::Array evidence;
      for (const auto& e : s.finding.evidence) evidence.emplace_back(to_clean_utf8(e));
      fs.push_back(json::Object{{"finding", s.finding.id}, {"rule", s.finding.rule}, {"pattern", std::string(1, static_cast<char>(s.finding.pattern))},
                                {"severity", std::string(registry::name(s.finding.severity))}, {"ip", s.finding.where.ip.text()}, {"port", std::int64_t{s.finding.where.port.value}},
                                {"proto", std::string(name(s.finding.where.proto))}, {"state", s.finding.state}, {"first_seen", s.finding.first_seen.text()},
                                {"last_seen", s.finding.last_seen.text()}, {"segment", s.segment}, {"evidence", evidence}});
    }
    for (const auto& e : events)
      es.push_back(json::Object{{"at", e.at.text()}, {"from", e.from}, {"to", e.to}, {"who", e.who}, {"evidence", to_clean_utf8(e.evidence)}, {"basis", to_clean_utf8(e.basis)}});
    all["findings"] = fs;
    all["events"] = es;
    print(all);
    return 0;
  }
  fmt::print("case {}  {}  {}  {}  {}\n", c->id, cases::name(c->state), c->isp.empty() ? "no ISP" : c->isp, c->track, c->line_key);
  for (const auto& s : findings)
    fmt::print("  {} {}  {}  {}:{}/{}  {}  last seen {}\n", static_cast<char>(s.finding.pattern), s.finding.rule, registry::name(s.finding.severity), s.finding.where.ip.text(),
               s.finding.where.port.value, name(s.finding.where.proto), s.finding.state, s.finding.last_seen.text());
  for (const auto& e : events)
    fmt::print("  {}  {:<20} {}  {}\n", e.at.text(), e.from == e.to ? "note" : e.to, to_terminal(e.who), to_terminal(e.evidence));
  return 0;
}

Result<int> move(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* book, center.book());
  NORA_TRY(const auto to, cases::parse_state(o.to));
  NORA_CHECK(book->move(o.id, to, {cases::Actor::person, o.by, "", o.reason, "a person's decision"}, run.env.clock.now()));
  if (run.json) print({{"case", o.id}, {"state", o.to}});
  else fmt::print("case {} is {}\n", o.id, o.to);
  return 0;
}

Result<int> causes(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* registry, center.registry());
  NORA_TRY(const auto groups, cases::root_causes(*registry));
  for (const auto& g : groups) {
    if (run.json) print({{"root_cause", g.key}, {"cases", g.cases}});
    else fmt::print("{:>6}  {}\n", g.cases, to_terminal(g.key));
  }
  return 0;
}

// Who can fix many at once, with the request to each and what came of it.
Result<int> fixers(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* registry, center.registry());
  NORA_TRY(const auto* routes, center.routes());
  NORA_TRY(const auto knowledge, flow::Knowledge::load(center.knowledge_dirs()));
  NORA_TRY(const Lang lang, parse_lang(o.lang));
  NORA_TRY(const auto messages, Messages::load(data_dir() + "/messages"));
  NORA_TRY(const auto found, flow::root_causes(*registry, *routes, *knowledge, o.causes));
  for (const auto& c : found.causes) {
    const auto before = c.before();
    const auto request = flow::request_text(c, messages, lang);
    if (run.json) {
      json::Array isps, ids, days;
      for (const auto& i : c.isps) isps.emplace_back(i);
      for (const auto id : c.findings) ids.emplace_back(id);
      for (const auto& d : c.days) days.push_back(json::Object{{"date", d.date}, {"open", d.open}});
      print({{"key", c.key}, {"fixer", std::string(name(c.fixer))}, {"who", to_clean_utf8(c.who)}, {"rule", c.rule}, {"vendor", to_clean_utf8(c.vendor)},
             {"product", to_clean_utf8(c.product)}, {"firmware", to_clean_utf8(c.firmware)}, {"why", c.why}, {"sites", c.sites}, {"open", c.open}, {"fixed", c.fixed},
             {"before", before.open}, {"before_date", before.date}, {"isps", isps}, {"findings", ids}, {"days", days}, {"request", request}});
      continue;
    }
    fmt::print("{:<9} {:<24} {:<20} {} at {} sites: {} open, {} fixed (at most {}, {})\n", name(c.fixer), to_terminal(c.who.empty() ? "?" : c.who), c.rule,
               to_terminal(!c.product.empty() ? c.product : c.fixer == flow::Fixer::maker ? "a product without a name" : "several products"), c.sites, c.open, c.fixed, before.open, before.date);
    fmt::print("          {}\n", to_terminal(c.why));
    if (o.request) fmt::print("          {}\n", to_terminal(request));
  }
  if (!found.complete) fmt::print(stderr, "more findings than {}: the groups are not complete\n", flow::max_cause_findings);
  return 0;
}

}  // namespace

void add_case(CLI::App& root, Run& run) {
  auto* noun = root.add_subcommand("case", "Cases: all findings of one line, and how far they are");
  noun->require_subcommand(1);
  auto o = std::make_shared<Options>();
  const auto verb = [&](const char* name, const char* help, Result<int> (*work)(const Options&, Run&)) {
    auto* c = with_json(noun->add_subcommand(name, help), run);
    o->center.add_to(c);
    c->callback([&run, o, work] { run.action = [&run, o, work] { return work(*o, run); }; });
    return c;
  };
  auto* l = verb("list", "cases, with filters", list);
  l->add_option("--isp", o->filter.isp, "ISP id");
  l->add_option("--state", o->filter.state, "for example S4_NOTIFIED");
  l->add_option("--track", o->filter.track, "list or on-site");
  l->add_option("--root-cause", o->filter.root_cause, "as `nora case causes` shows it");
  l->add_flag("--active", o->filter.active_only, "only cases that are not closed");
  l->add_option("--after", o->filter.after, "only ids above");
  l->add_option("--limit", o->filter.limit, "at most so many")->capture_default_str();
  l->footer("--json: {case, state, state_at, isp, track, line, device, first_seen, reopened_at, attacked, root_cause, notified_at, opened_at, checked_at, fixed_at}");
  auto* s = verb("show", "one case with findings and history; the history's hash chain is verified", show);
  s->add_option("id", o->id, "case number")->required();
  s->footer("--json: as list, with findings[] and events[]");
  auto* m = verb("move", "a person's decision: false positive, unresolved, risk accepted, escalated, reopened …", move);
  m->add_option("id", o->id, "case number")->required();
  m->add_option("--to", o->to, "state, for example X_FP")->required();
  m->add_option("--by", o->by, "who decides")->required();
  m->add_option("--reason", o->reason, "why; stands in the history")->required();
  auto* c = verb("causes", "active cases by root cause, largest first", causes);
  c->footer("--json: {root_cause, cases}");
  auto* x = verb("fixers", "one fix, thousands of homes: who can fix many findings at once (maker, provider, installer), and the effect by days", fixers);
  x->add_option("--min-sites", o->causes.min_sites, "fewer addresses are not a group")->capture_default_str()->check(CLI::Range(2, 1'000'000));
  x->add_flag("--request", o->request, "print the request to each; it names no address");
  x->add_option("--lang", o->lang, "of the request: ja, easy or en")->capture_default_str();
  x->footer("--json: {key, fixer, who, rule, vendor, product, firmware, why, sites, open, fixed, before, before_date, isps[], findings[], days[] of {date, open}, request}");
}

}  // namespace nora::app
