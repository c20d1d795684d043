// Findings and their cases. "Fixed" needs positive evidence from a second segment: the port was seen closed, or the same probe got an answer that
// no longer proves the issue. Silence is neither (workflow.md invariant 5).
#include <fmt/format.h>

#include <algorithm>

#include "flow/pipeline_parts.h"

namespace nora::flow {

using cases::State;

namespace {

bool counts_for_people(const registry::StoredFinding& f) { return f.finding.severity != registry::Severity::info; }

// While the ISP blocks a line, a closed port says nothing about the device.
bool isolated(State s) { return s == State::S9A_APPROVED || s == State::S9I_ISOLATED; }

}  // namespace

Status Pipeline::Parts::to_case(registry::StoredFinding& f, const std::optional<cases::Route>& route) {
  if (!counts_for_people(f)) return {};
  NORA_TRY(const auto before, registry.db().one("SELECT coalesce(max(id), 0) FROM cases"));
  NORA_TRY(f.case_id, book.attach(f, route, why(fmt::format("finding {}, observation {}, segment {}", f.finding.id, f.observation, f.segment)), env.clock.now()));
  if (f.case_id > before.integer()) ++counts.cases_new;
  touched_cases.insert(f.case_id);
  return {};
}

Status Pipeline::Parts::mark_fixed(registry::StoredFinding& f, Instant at, std::string_view detail, std::string_view segment) {
  f.finding.state = "fixed";
  NORA_CHECK(registry.put_finding(f));
  NORA_CHECK(registry.add_finding_event({0, f.finding.id, at, "fixed", "flow", rules_version(), std::string(detail), std::string(segment)}));
  ++counts.findings_fixed;
  if (f.case_id) touched_cases.insert(f.case_id);
  return {};
}

// Malware closes the door through which it came, so that no rival follows. While a device has an open infection, a closed port of that list proves
// nothing. Which family it is, the newest confirmed sighting says; when it names none, every family's list counts.
Result<std::set<Service>> Pipeline::Parts::closed_by_infection(Ip ip, Id device, const std::vector<registry::StoredFinding>& findings) {
  // An infection that is known of the line only may be this device's.
  NORA_TRY(const auto of_line, registry.findings_at(ip));
  const registry::StoredFinding* open = nullptr;
  for (const auto* list : {&findings, &of_line})
    for (const auto& f : *list)
      if (f.finding.rule == registry::sighting_rule && f.finding.state == "open" && (f.finding.device == device || f.finding.device == 0)) open = &f;
  if (open == nullptr) return std::set<Service>{};
  NORA_TRY(const auto seen, registry.sightings_of(open->finding.where.ip));
  const registry::Sighting* newest = nullptr;
  for (const auto& s : seen)
    if (s.verdict == "confirmed" && (newest == nullptr || s.last > newest->last)) newest = &s;
  return knowledge->malware.closed_by(newest == nullptr ? nullptr : knowledge->malware.named(newest->kind));
}

Status Pipeline::Parts::expose(const AddressView& v, const std::vector<PlacedDevice>& devices) {
  for (const auto& placed : devices) {
    expose::Subject subject;
    subject.identity = placed.device.identity;
    const bool social = options.is_social && options.is_social(v.ip);
    for (const auto& c : placed.current)
      if (c.living)
        subject.seen.push_back({c.seen.where, c.reply->protocol, c.reply->keys, c.seen.request_bytes, c.seen.reply_bytes, c.seen.probe, social});
    const auto hits = expose::evaluate(knowledge->exposures, subject);
    const bool ended = knowledge->products.support_ended(placed.device.identity, env.clock.now());

    std::set<Service> services;
    int device_looks = 0;
    for (const auto& c : placed.current) services.insert({c.seen.where.port, c.seen.where.proto});
    for (const auto& o : v.all)
      if (services.contains({o.where.port, o.where.proto})) device_looks += o.where.proto == Proto::tcp ? 2 : 1;
    const bool suspect = services.size() > max_device_services;

    NORA_TRY(auto known_findings, registry.findings_of_device(placed.device.id));
    NORA_TRY(const auto shut_by_malware, closed_by_infection(v.ip, placed.device.id, known_findings));
    std::set<Id> hit_ids;
    for (const auto& hit : hits) {
      registry::StoredFinding s;
      auto& f = s.finding;
      f.device = placed.device.id;
      f.rule = hit.rule->id;
      f.where = hit.where;
      const auto key = registry::finding_key(s);
      auto old = std::find_if(known_findings.begin(), known_findings.end(), [&](const auto& k) { return registry::finding_key(k) == key; });
      const bool fresh = old == known_findings.end();
      if (!fresh) s = *old;
      const bool newer = fresh || hit.where.at > f.last_seen;
      const auto was = f.state;
      const auto old_segment = s.segment;
      const auto old_ip = f.where.ip;
      f.pattern = hit.rule->pattern;
      f.severity = hit.rule->severity;
      f.rsit = hit.rule->rsit;
      s.finding_class = hit.rule->id;
      s.social = hit.social;
      s.advice = knowledge->products.resolve_advice({placed.device.identity, hit.rule->id, hit.rule->advice, expose::Persistence::unknown, ended});
      if (newer) {
        f.where = hit.where;
        f.last_seen = hit.where.at;
        f.evidence = hit.evidence;
        f.amplification = hit.amplification;
        for (const auto& c : placed.current)
          if (c.seen.where == hit.where) s.segment = c.seen.segment, s.observation = c.seen.id, s.at_error = c.seen.at_error;
      }
      std::string event;
      if (fresh) {
        f.first_seen = hit.where.at;
        f.state = "open";
        event = "found";
        ++counts.findings_new;
      } else if (was == "fixed" && newer) {
        f.state = "open";
        event = "reopened";
        ++counts.findings_reopened;
      } else if (was == "gone") {
        f.state = "open";
        event = "rules_changed";
      } else if (newer) {
        event = old_ip == f.where.ip ? "seen_again" : "moved";
        ++counts.findings_seen;
      }
      if (!fresh && newer && s.segment != old_segment) ++s.seen_segments;
      NORA_TRY(f.id, registry.put_finding(s));
      hit_ids.insert(f.id);
      if (!event.empty())
        NORA_CHECK(registry.add_finding_event({0, f.id, f.last_seen, event, "flow", rules_version(), hit.evidence.empty() ? "" : hit.evidence[0], s.segment}));
      if (!suspect) {
        NORA_CHECK(to_case(s, v.route));
        if (s.case_id) looks[s.case_id] = std::max(looks[s.case_id], device_looks);
      }
    }

    for (auto& s : known_findings) {
      const auto& f = s.finding;
      if (hit_ids.contains(f.id) || f.state != "open" || f.rule == registry::sighting_rule || f.where.ip != v.ip) continue;
      if (s.case_id) {
        NORA_TRY(const auto c, book.get(s.case_id));
        if (c && isolated(c->state)) continue;
      }
      const Service service{f.where.port, f.where.proto};
      // Seen closed, in another segment, while the address was still the same line's: within the life of an address after the issue was last
      // seen, or around another sign of life of the device itself.
      const auto still_here = [&](Instant at) {
        if (at - f.last_seen <= v.window) return true;
        return std::any_of(placed.current.begin(), placed.current.end(), [&](const Current& c) {
          return c.living && c.reply != nullptr && (at < c.seen.where.at ? c.seen.where.at - at : at - c.seen.where.at) <= v.window && c.seen.where.at > f.last_seen;
        });
      };
      const auto closed = v.closed.find(service);
      if (closed != v.closed.end() && shut_by_malware.contains(service)) continue;  // its rivals' door, not a repair
      if (closed != v.closed.end() && closed->second.at > f.last_seen && closed->second.segment != s.segment && still_here(closed->second.at)) {
        NORA_CHECK(mark_fixed(s, closed->second.at, fmt::format("{}/{} seen closed", f.where.port.value, name(f.where.proto)), closed->second.segment));
        continue;
      }
      // The same probe got another answer from the same device.
      NORA_TRY(const auto proof, registry.db().query("SELECT probe, reply_hash FROM observation WHERE id = ?", {s.observation}));
      const registry::Observation* newer = nullptr;
      for (const auto& o : v.all)
        if (!proof.empty() && Service{o.where.port, o.where.proto} == service && o.probe == proof[0][0].str() && o.where.at > f.last_seen && o.segment != s.segment) {
          newer = &o;
          break;
        }
      const bool same_bytes = newer && newer->reply_hash == proof[0][1].hash();
      if (newer && !same_bytes) {
        NORA_CHECK(mark_fixed(s, newer->where.at, fmt::format("{}/{} answers, but no longer shows the issue", f.where.port.value, name(f.where.proto)), newer->segment));
        continue;
      }
      // The very evidence means something else now: other rules, or the device was identified meanwhile.
      const bool judged_again = std::any_of(placed.current.begin(), placed.current.end(), [&](const Current& c) {
        return c.living && (c.seen.id == s.observation || (!proof.empty() && c.seen.reply_hash == proof[0][1].hash() && Service{c.seen.where.port, c.seen.where.proto} == service));
      });
      if (judged_again) {
        s.finding.state = "gone";
        NORA_CHECK(registry.put_finding(s));
        NORA_CHECK(registry.add_finding_event({0, f.id, env.clock.now(), "rules_changed", "flow", rules_version(), "the evidence no longer means this", s.segment}));
        ++counts.findings_withdrawn;
        if (s.case_id) touched_cases.insert(s.case_id);
      }
    }
  }
  return {};
}

bool Pipeline::Parts::validated(const std::vector<registry::StoredFinding>& findings, Id case_id) const {
  if (const auto it = looks.find(case_id); it != looks.end() && it->second >= options.min_looks) return true;
  return std::any_of(findings.begin(), findings.end(), [&](const auto& s) {
    return s.finding.state == "open" && (s.seen_segments >= options.min_looks || s.finding.rule == registry::sighting_rule);
  });
}

Status Pipeline::Parts::open_onsite(Id case_id) {
  if (!options.onsite) return {};
  NORA_TRY(const auto c, book.get(case_id));
  NORA_TRY(const auto findings, registry.findings_of_case(case_id));
  if (!c) return {};
  std::vector<std::pair<registry::Observation, registry::Reply>> replies;
  std::string rdns;
  std::set<std::string> rules;
  std::set<Ip> addresses;
  for (const auto& s : findings) {
    addresses.insert(s.finding.where.ip);
    if (s.finding.state == "open") rules.insert(s.finding.rule);
  }
  for (Ip ip : addresses) {
    NORA_TRY(const auto rows, registry::observation_rows(registry, ip, 50));
    for (const auto& r : rows) replies.emplace_back(r.seen, r.reply);
    if (options.reverse_name && rdns.empty()) rdns = options.reverse_name(ip);
  }
  std::string what;
  for (const auto& rule : rules) what += (what.empty() ? "" : ", ") + rule;
  if (c->device) {
    NORA_TRY(const auto device, registry.device(c->device));
    if (device && !device->identity.display().empty()) what = device->identity.display() + ": " + what;
  }
  return options.onsite->open_case(c->id, what, cases::find_clues(replies, rdns), env.clock.now());
}

// The case follows its findings.
Status Pipeline::Parts::sync_case(Id case_id) {
  using enum State;
  const auto now = env.clock.now();
  NORA_TRY(auto c, book.get(case_id));
  if (!c || c->merged_into) return {};
  NORA_TRY(auto all, registry.findings_of_case(case_id));
  std::erase_if(all, [](const auto& f) { return !counts_for_people(f); });
  const auto has = [&](std::string_view state) { return std::any_of(all.begin(), all.end(), [&](const auto& f) { return f.finding.state == state; }); };
  std::string ids;
  Instant last_seen{};
  for (const auto& f : all) {
    ids += (ids.empty() ? "finding " : ", ") + std::to_string(f.finding.id);
    if (f.finding.state == "open") last_seen = std::max(last_seen, f.finding.last_seen);
  }
  const auto w = why(ids);
  const auto go = [&](State to) -> Status {
    NORA_CHECK(book.move(case_id, to, w, now));
    c->state = to;
    return {};
  };
  if (has("open")) {
    if (std::any_of(all.begin(), all.end(), [](const auto& f) { return f.finding.rule == registry::sighting_rule && f.finding.state == "open"; }))
      NORA_CHECK(book.set_attacked(case_id));
    if (c->state == X_FP) {
      // Withdrawn by rules, and rules brought it back. What a person called a false alarm stays one (invariant 2).
      NORA_TRY(const auto events, book.events(case_id));
      if (events.empty() || events.back().who != w.who) return {};
      auto by_rules = w;
      by_rules.actor = cases::Actor::rule_change;
      NORA_CHECK(book.move(case_id, S1_VALIDATED, by_rules, now));
      c->state = S1_VALIDATED;
    }
    if (c->state == S7_FIXED) NORA_CHECK(go(S7R_REGRESSED));
    if (c->state == CLOSED || c->state == S7G_GONE || (c->state == S7R_REGRESSED && c->track == "list")) NORA_CHECK(go(S1_VALIDATED));
    if (c->state == S7R_REGRESSED && c->track == "on-site") NORA_CHECK(go(S10_ON_SITE));
    if (c->state == S6_VERIFYING && last_seen > c->state_at) {
      // The check found it still there: back to where the case was.
      NORA_TRY(const auto events, book.events(case_id));
      for (auto e = events.rbegin(); e != events.rend(); ++e) {
        if (e->to != name(S6_VERIFYING) || e->from == e->to) continue;
        auto back = *cases::parse_state(e->from);
        if (back == S6U_USER_SAYS_FIXED) back = S5_ENGAGED;
        if (cases::allowed(S6_VERIFYING, back, cases::Actor::sensor)) {
          if (auto done = book.move(case_id, back, w, now); !done && done.error().code != Code::refused) return done;
        }
        break;
      }
    }
    if (c->state == S0_OBSERVED && validated(all, case_id)) NORA_CHECK(go(S1_VALIDATED));
    if (c->state == S1_VALIDATED && c->track == "on-site") {
      NORA_CHECK(go(S3C_CRITICAL));
      NORA_CHECK(go(S10_ON_SITE));
    }
    if (c->state == S10_ON_SITE) onsite_due.insert(case_id);
    if (c->state == S1_VALIDATED && c->isp.empty()) NORA_CHECK(go(S2E_NO_ISP));
    return {};
  }
  if (has("fixed")) {
    if (!cases::is_active(c->state) || c->state == S7_FIXED || isolated(c->state)) return {};
    if (c->state == S0_OBSERVED) NORA_CHECK(go(S1_VALIDATED));
    if (c->state != S6_VERIFYING) NORA_CHECK(go(S6_VERIFYING));
    NORA_CHECK(go(S7_FIXED));
    ++counts.cases_fixed;
    return {};
  }
  if (!all.empty() && (c->state == S0_OBSERVED || c->state == S1_VALIDATED)) {
    auto by_rules = w;
    by_rules.actor = cases::Actor::rule_change;
    return book.move(case_id, X_FP, by_rules, now);
  }
  return {};
}

}  // namespace nora::flow
