#include "flow/portal_answers.h"

#include <fmt/format.h>

#include "base/escape.h"
#include "exchange/notice_code.h"
#include "expose/priority.h"
#include "flow/vulns.h"
#include "registry/jobs.h"
#include "registry/vulns.h"

namespace nora::flow {
namespace {

using cases::Actor;
using cases::State;
using exchange::CheckLine;

constexpr Span poll_events = Span::ms(100);

// A code of a case that a person withdrew (false alarm, out of scope, …) leads nowhere, like a code that never was.
bool shows(const cases::Case& c) { return c.track == "list" && (cases::is_active(c.state) || c.state == State::CLOSED || c.state == State::X_DISPUTED); }

CheckLine line(std::string_view step, std::string_view verdict = {}) {
  CheckLine l;
  l.step = step;
  l.verdict = verdict;
  l.done = !verdict.empty();
  return l;
}

bool for_people(const registry::StoredFinding& f) { return f.finding.severity != registry::Severity::info && (f.finding.state == "open" || f.finding.state == "fixed"); }

}  // namespace

Status PortalAnswers::open() {
  if (registry_) return {};
  NORA_TRY(auto opened, registry::Registry::open(options_.store));
  registry_.emplace(std::move(opened));
  book_.emplace(*registry_, parts_.codes);
  return {};
}

Status PortalAnswers::answer(const json::Object& request, const Send& send) {
  NORA_TRY(const auto op, json::get_string(request, "op"));
  if (op == "product") return product(request, send);
  NORA_CHECK(open());
  if (op == "notice") return notice(request, send);
  if (op == "tell") return tell(request, send);
  if (op == "check") return check(request, send);
  return fail(Code::bad_input, "there is no question \"" + to_log(op.substr(0, 40)) + "\"");
}

Result<cases::Case> PortalAnswers::case_of_code(std::string_view typed) {
  const auto unknown = [] { return fail(Code::not_found, "no notice has this code"); };
  const auto code = exchange::parse_notice_code(typed);
  if (!code) return unknown();
  NORA_TRY(const auto found, book_->by_code(*code));
  if (!found) return unknown();
  auto c = *found;
  if (c.merged_into) {
    NORA_TRY(const auto into, book_->get(c.merged_into));
    if (!into) return unknown();
    c = *into;
  }
  const auto since = c.notified_at.value_or(c.first_seen);
  if (!shows(c) || parts_.env.clock.now() - since > options_.code_life) return unknown();
  return c;
}

Result<exchange::FindingView> PortalAnswers::view(const registry::StoredFinding& s) {
  const auto& f = s.finding;
  exchange::FindingView v;
  v.rule = f.rule;
  v.pattern = static_cast<char>(f.pattern);
  v.severity = registry::name(f.severity);
  v.port = f.rule == registry::sighting_rule ? 0 : f.where.port.value;
  v.proto = name(f.where.proto);
  v.seen = f.last_seen;
  v.state = f.state;
  v.advice = s.advice;
  if (f.device) {
    NORA_TRY(const auto device, registry_->device(f.device));
    if (device) {
      v.vendor = to_clean_utf8(device->identity.vendor.value);
      v.type = to_clean_utf8(device->identity.type.value);
      v.confidence = device->identity.product.confidence;
      if (device->identity.product_known()) {
        v.product = to_clean_utf8(device->identity.product.value);
        NORA_CHECK(add_flaw(*device, v));
      }
    }
  }
  return v;
}

// The owner is told of what attackers use (KEV), and of the end of support; the rest of the vulnerability data is for the desk.
Status PortalAnswers::add_flaw(const registry::Device& device, exchange::FindingView& v) {
  registry::Vulns vulns(registry_->db());
  NORA_TRY(const auto exploited, vulns.exploited(device.id, exchange::max_flaw_ids));
  // The surest first: what is said is true of it, and its ids alone are given.
  for (const auto& r : exploited) {
    std::string_view word = "by_version";
    if (static_cast<expose::Verdict>(r.verdict) != expose::Verdict::affected_by_version) {
      const auto why = expose::priority_input_from(r.why);
      word = why && why->doubt == expose::Doubt::version ? "version_unknown" : "possible";
    }
    if (v.flaw.empty()) v.flaw = word;
    if (v.flaw == word) v.flaw_ids.push_back(to_clean_utf8(r.cve));
  }
  const auto knowledge = parts_.knowledge();
  const auto& i = device.identity;
  NORA_TRY(const auto support, Vulnerabilities(parts_.env, *registry_, knowledge->cpe_names, knowledge->products).support_end(i.vendor.value, i.product.value, i.firmware.value));
  v.support_ended = support.ended.value_or(false);
  if (v.support_ended && support.end != "ended") v.support_end = support.end;
  return {};
}

Status PortalAnswers::notice(const json::Object& request, const Send& send) {
  NORA_TRY(const auto typed, json::get_string(request, "code"));
  NORA_TRY(auto c, case_of_code(typed));
  NORA_CHECK(parts_.audit.append("portal_notice", json::Object{{"case", c.id}}));
  const auto now = parts_.env.clock.now();
  NORA_CHECK(book_->mark_opened(c.id, now));
  if (c.state == State::S4_NOTIFIED) {
    NORA_CHECK(book_->move(c.id, State::S5_ENGAGED, {Actor::owner, "owner", "", "code used at the portal", "notice code"}, now));
    c.state = State::S5_ENGAGED;
  }
  exchange::NoticeView v;
  v.case_state = cases::name(c.state);
  const auto* isp = parts_.routes.isp(c.isp);
  v.isp_name = isp ? isp->name : "";
  v.word1 = c.word1;
  v.word2 = c.word2;
  v.noticed = c.notified_at.value_or(c.state_at);
  v.sighting = c.attacked;
  NORA_TRY(const auto findings, registry_->findings_of_case(c.id));
  for (const auto& f : findings) {
    if (!for_people(f) || v.findings.size() >= 16) continue;
    NORA_TRY(auto one, view(f));
    v.findings.push_back(std::move(one));
  }
  send(exchange::to_json(v));
  return {};
}

Status PortalAnswers::tell(const json::Object& request, const Send& send) {
  NORA_TRY(const auto typed, json::get_string(request, "code"));
  NORA_TRY(const auto what, json::get_string(request, "what"));
  if (what != "did_it" && what != "unplugged" && what != "not_mine" && what != "stuck") return fail(Code::bad_input, "an owner cannot tell \"" + to_log(what.substr(0, 40)) + "\"");
  NORA_TRY(auto c, case_of_code(typed));
  NORA_CHECK(parts_.audit.append("portal_tell", json::Object{{"case", c.id}, {"what", what}}));
  const auto now = parts_.env.clock.now();
  const cases::Why why{Actor::owner, "owner", "", "the owner says: " + what, "notice code"};
  NORA_CHECK(book_->mark_opened(c.id, now));
  if (c.state == State::S4_NOTIFIED) {
    NORA_CHECK(book_->move(c.id, State::S5_ENGAGED, why, now));
    c.state = State::S5_ENGAGED;
  }
  std::optional<State> to;
  if (what == "did_it" || what == "unplugged") to = State::S6U_USER_SAYS_FIXED;
  if (what == "not_mine") to = State::X_DISPUTED;
  if (to && cases::allowed(c.state, *to, Actor::owner)) NORA_CHECK(book_->move(c.id, *to, why, now));
  else NORA_CHECK(book_->note(c.id, why, now));  // kept, whatever the state: an owner's word is never lost
  send({{"ok", true}});
  return {};
}

Status PortalAnswers::product(const json::Object& request, const Send& send) {
  NORA_TRY(const auto id, json::get_string(request, "id"));
  const auto knowledge = parts_.knowledge();
  const auto* p = knowledge->products.product_by_id(id);
  if (!p) return fail(Code::not_found, "no such product");
  registry::Identity identity;
  identity.vendor = {p->vendor, 1, {}};
  identity.product = {p->product, 1, {}};
  identity.type = {p->type, 1, {}};
  send({{"vendor", p->vendor}, {"product", p->product}, {"type", p->type}, {"support_end", p->support_end}, {"verified", p->verified},
        {"advice", knowledge->products.resolve_advice({identity, "", "", expose::Persistence::unknown, knowledge->products.support_ended(identity, parts_.env.clock.now())})}});
  return {};
}

// Passes the node's lines on as they come. True: the node finished its work.
Result<bool> PortalAnswers::run_job(registry::Id job, Span deadline, const Send& send) {
  registry::Jobs jobs(registry_->db());
  auto& clock = parts_.env.clock;
  const auto end = clock.monotonic() + deadline;
  registry::Id last = 0;
  bool listening = true;
  for (;;) {
    NORA_TRY(const auto state, jobs.job(job));
    NORA_TRY(const auto events, jobs.events_after(job, last));
    for (const auto& e : events) {
      last = e.id;
      const auto o = json::parse_object(e.line);
      if (!o) continue;
      auto l = exchange::check_line(*o);
      if (!l || (l->step != "started" && l->step != "probe")) continue;
      l->done = false;
      l->verdict.clear();
      if (listening) listening = send(exchange::to_json(*l));  // the visitor may leave; the check goes on
    }
    if (state && (state->state == "done" || state->state == "failed") && events.empty()) return state->state == "done";
    if (clock.monotonic() >= end || stop_) return false;
    clock.sleep(poll_events);
  }
}

Status PortalAnswers::check(const json::Object& request, const Send& send) {
  NORA_TRY(const auto ip, json::get_ip(request, "ip"));
  NORA_TRY(const auto consent, json::get_object(request, "consent"));
  NORA_TRY(const auto consent_at, json::get_instant(consent, "at"));
  const auto text_id = json::string_or(consent, "text");
  if (!json::bool_or(consent, "responsible", false) || text_id.empty() || text_id.size() > 64)
    return fail(Code::refused, "there is no consent of the person responsible for this line");
  const auto now = parts_.env.clock.now();
  if (consent_at > now + Span::minutes(5) || now - consent_at > Span::minutes(15)) return fail(Code::refused, "the consent is not of now");
  std::optional<cases::Case> own;
  if (const auto code = json::string_or(request, "code"); !code.empty()) {
    auto c = case_of_code(code);
    if (!c && c.error().code != Code::not_found) return pass(c.error());
    if (c) own = *c;
  }
  const auto refuse = [&](std::string_view what, std::string_view verdict) -> Status {
    auto l = line("refused", verdict);
    l.what = what;
    send(exchange::to_json(l));
    return {};
  };
  const auto route = parts_.routes.route(ip, now);
  if (route && route->shared) return refuse("shared_address", "unknown");  // behind it are other people's lines too
  if (auto may = parts_.may_check(ip); !may) return refuse("not_in_mandate", "not_ours");
  registry::Jobs jobs(registry_->db());
  NORA_TRY(const auto recent, jobs.count_since("check", ip, now - Span::hours(1), "portal"));
  if (recent >= options_.checks_per_hour) return refuse("checks_per_hour", "busy");
  NORA_CHECK(parts_.audit.append("portal_check", json::Object{{"ip", ip.text()}, {"consent", text_id}, {"consent_at", consent_at.text()}, {"case", own ? own->id : 0}}));
  // Counted and queued in one transaction, so that two requests at once do not both take the last place.
  registry::Id job = 0;
  NORA_CHECK(registry_->db().transaction([&]() -> Status {
    if (registry_->db().is_postgres()) NORA_CHECK(registry_->db().write("LOCK TABLE job IN SHARE ROW EXCLUSIVE MODE"));
    NORA_TRY(const auto taken, jobs.count_since("check", ip, now - Span::hours(1), "portal"));
    if (taken >= options_.checks_per_hour) return {};
    NORA_TRY(job, jobs.enqueue("check", json::text(json::Object{{"ip", ip.text()}, {"why", "self-check"}}), ip, "portal", now));
    return {};
  }));
  if (job == 0) return refuse("checks_per_hour", "busy");

  // Does the code belong to this very line? A code may be typed anywhere; only its own line's check moves its case.
  bool own_line = false;
  if (own) {
    NORA_TRY(const auto findings, registry_->findings_of_case(own->id));
    for (const auto& f : findings) own_line = own_line || cases::line_key(f.finding.where.ip, {}, false) == cases::line_key(ip, {}, false);
  }
  if (!own_line) own.reset();
  if (own) {
    const cases::Why why{Actor::owner, "owner", "", "self-check from the own line", "consent " + text_id};
    NORA_CHECK(book_->mark_opened(own->id, now));
    if (own->state == State::S4_NOTIFIED) NORA_CHECK(book_->move(own->id, State::S5_ENGAGED, why, now));
    NORA_TRY(const auto c, book_->get(own->id));
    if (c && cases::allowed(c->state, State::S6_VERIFYING, Actor::owner)) NORA_CHECK(book_->move(own->id, State::S6_VERIFYING, why, now));
  }
  NORA_TRY(const auto done, run_job(job, options_.check_deadline, send));
  return verdict(ip, now, own, done, send);
}

Status PortalAnswers::verdict(Ip ip, Instant begun, const std::optional<cases::Case>& own, bool done, const Send& send) {
  std::optional<cases::OnSite> onsite;
  auto options = parts_.pipeline;
  options.onsite = nullptr;
  if (!options_.onsite_store.empty()) {
    NORA_TRY(auto store, cases::OnSite::open(options_.onsite_store));
    onsite.emplace(std::move(store));
    options.onsite = &*onsite;
  }
  Pipeline pipeline(parts_.env, *registry_, *book_, parts_.routes, parts_.knowledge(), options);
  NORA_CHECK(pipeline.reassess(ip));
  const auto now = parts_.env.clock.now();
  NORA_TRY(auto findings, registry_->findings_at(ip));
  std::erase_if(findings, [](const auto& f) { return !for_people(f); });
  CheckLine last = line("verdict", "green");
  bool open = false, unproven = false;
  for (const auto& s : findings) {
    NORA_TRY(auto v, view(s));
    // Seen again just now, or an infection that a sensor saw lately (no probe can take that back).
    const bool infected = s.finding.rule == registry::sighting_rule;
    const bool still = s.finding.state == "open" && (infected ? now - s.finding.last_seen < infection_silence : s.finding.last_seen >= begun);
    open = open || still;
    unproven = unproven || (s.finding.state == "open" && !still);
    CheckLine l = line("finding");
    l.what = s.finding.rule;
    l.port = v.port;
    l.proto = v.proto;
    l.result = still ? "still_open" : s.finding.state == "fixed" ? "fixed" : "silent";
    send(exchange::to_json(l));
    last.findings.push_back(std::move(v));
  }
  if (!open && !unproven) send(exchange::to_json(line("clear")));
  if (open) last.verdict = "red";
  else if (unproven || !done) last.verdict = "unknown";  // not seen is not fixed
  if (own) {
    NORA_CHECK(book_->mark_checked(own->id, now));
    NORA_TRY(const auto c, book_->get(own->id));
    if (c && c->state == State::S6_VERIFYING && last.verdict != "green") {
      // No proof either way: back to where the owner was.
      auto back = book_->move(own->id, State::S5_ENGAGED, {Actor::sensor, "portal gate", "", "the check gave no proof: " + last.verdict, "consent"}, now);
      if (!back && back.error().code != Code::refused) return back;
    }
  }
  send(exchange::to_json(last));
  return {};
}

}  // namespace nora::flow
