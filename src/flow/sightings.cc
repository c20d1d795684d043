// A sensor saw an address attack: which device was that? The join is bounded by the measured life of an address, and it can say no
// (observation.md section 10). The words stay honest: a device on this line attacked; likely this one, because …
#include <fmt/format.h>

#include <algorithm>

#include "base/escape.h"
#include "flow/pipeline_parts.h"

namespace nora::flow {
namespace {

constexpr std::size_t max_sightings_per_round = 1000;

std::string length_text(Span s) {
  const auto seconds = s.us / 1'000'000;
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} h", seconds / 3600);
}

std::string_view after_restart(expose::Persistence p) {
  switch (p) {
    case expose::Persistence::memory: return "gone, and back within minutes while the hole is open";
    case expose::Persistence::disk: return "still there, a reset and an update are needed";
    case expose::Persistence::firmware: return "still there, in the device's own software";
    case expose::Persistence::unknown: break;
  }
  return "not known";
}

Span distance(Instant from, Instant to, Instant t) {
  if (t < from) return from - t;
  if (t > to) return t - to;
  return {};
}

}  // namespace

Status Pipeline::Parts::join(const registry::Sighting& s) {
  const auto now = env.clock.now();
  registry::SightingJoin j;
  j.sighting = s.id;
  j.result = "none";
  j.at = now;
  const auto route = routes.route(s.ip, s.last);
  NORA_TRY(const auto earlier, registry.findings_at(s.ip));
  Id device = 0;
  if (!route || !route->lease) {
    j.because = "no measured life of an address is known for this prefix, so the attack is joined to no device";
  } else {
    j.window_s = route->lease->us / 1'000'000;
    NORA_TRY(const auto ends, registry.endpoints_at(s.ip));
    std::map<Id, std::pair<Span, registry::DeviceEndpoint>> near;  // nearest observation of each device
    for (const auto& e : ends) {
      // Distance between the attack's interval and the device's.
      const auto gap = e.to < s.first ? s.first - e.to : e.from > s.last ? e.from - s.last : Span{};
      if (gap > *route->lease) continue;
      auto [it, fresh] = near.try_emplace(e.device, gap, e);
      if (!fresh && gap < it->second.first) it->second = {gap, e};
    }
    // Behind a shared address any of many lines may have attacked; the source port, not the device's port, would tell.
    if (route->shared) {
      j.result = near.empty() ? "none" : "ambiguous";
      j.because = "the address is shared by several lines; only the source port and the ISP can tell which one attacked";
    } else if (near.size() > 1) {
      j.result = "ambiguous";
      j.because = fmt::format("{} devices were seen at this address within {}; which of them attacked is not known", near.size(), length_text(*route->lease));
    } else if (near.size() == 1) {
      device = near.begin()->first;
      const auto& [gap, e] = near.begin()->second;
      NORA_TRY(const auto d, registry.device(device));
      j.result = "joined";
      j.device = device;
      // Full at once, half at the end of the window; never more than the sensor's own rule allows.
      j.confidence = (1.0 - 0.5 * static_cast<double>(gap.us) / static_cast<double>(route->lease->us)) * (s.verdict == "confirmed" ? 0.9 : 0.5);
      const auto what = d && !d->identity.display().empty() ? d->identity.display() : "device of unknown type";
      j.because = fmt::format("a device on this line sent {} packets to {} addresses ({} fingerprint) from {} to {}; likely this {}, because it answered on {}/{} of the same "
                              "address {} and no other device was seen there; a router may hide others",
                              s.packets, s.destinations, s.kind, s.first.text(), s.last.text(), what, e.port.value, name(e.proto),
                              gap.us == 0 ? std::string("at that time") : length_text(gap) + (e.to < s.first ? " before" : " after"));
    } else {
      j.because = fmt::format("no device was seen at this address within {} of the attack", length_text(*route->lease));
    }
  }
  j.because = to_clean_utf8(j.because);
  NORA_CHECK(registry.put_sighting_join(j));
  if (j.result == "joined") ++counts.sightings_joined;
  if (s.verdict != "confirmed" || !route) return {};  // suspected: kept and shown, never told to a subscriber

  const auto* rule = knowledge->exposures.find(registry::sighting_rule);
  if (!rule) return fail(Code::failed, "data/exposures has no rule \"infected\"");
  registry::StoredFinding f;
  f.finding.device = device;
  f.finding.rule = rule->id;
  f.finding.where = {s.ip, {}, Proto::tcp, s.last};
  // The last sample carries source port and microsecond: what an ISP needs on a shared address.
  if (!s.samples.empty()) f.finding.where.at = s.samples.back().at, f.finding.where.port.value = s.samples.back().source_port;
  NORA_TRY(const auto old, registry.finding_by_key(registry::finding_key(f)));
  const auto where = f.finding.where;
  if (old) f = *old;
  const bool fresh = !old, newer = fresh || s.last > f.finding.last_seen;
  const bool was_fixed = !fresh && f.finding.state == "fixed";
  f.finding.pattern = rule->pattern;
  f.finding.severity = rule->severity;
  f.finding.rsit = rule->rsit;
  f.finding_class = rule->id;
  f.segment = fmt::format("sighting/{}", s.id);
  registry::Identity identity;
  if (device) {
    NORA_TRY(const auto d, registry.device(device));
    if (d) identity = d->identity;
  }
  // What was seen last decides: an older sighting that is joined again must not bring back the steps for another family.
  if (newer || s.last == f.finding.last_seen) {
    const auto* family = knowledge->malware.named(s.kind);
    f.advice = knowledge->products.resolve_advice(
        {identity, rule->id, rule->advice, expose::Malware::relied_on(family), knowledge->products.support_ended(identity, now)});
    f.finding.evidence = {j.because};
    if (family != nullptr)
      f.finding.evidence.push_back(fmt::format("family by what it sent: {} or one that grew from it; after a restart: {}{}", family->name, after_restart(family->persistence),
                                               family->persistence_verified ? "" : " (not verified)"));
  }
  if (fresh) f.finding.first_seen = s.first;
  if (newer) f.finding.where = where, f.finding.last_seen = s.last, f.finding.state = "open";
  NORA_TRY(f.finding.id, registry.put_finding(f));
  if (newer)
    NORA_CHECK(registry.add_finding_event({0, f.finding.id, s.last, fresh ? "found" : was_fixed ? "reopened" : "seen_again", "flow", rules_version(), j.because, f.segment}));
  if (newer) fresh ? ++counts.findings_new : ++counts.findings_seen;
  // The line-level finding of an earlier, unjoined look becomes the device's.
  for (auto e : earlier) {
    if (e.finding.rule != registry::sighting_rule || e.finding.device != 0 || device == 0 || e.finding.state != "open") continue;
    e.finding.state = "gone";
    NORA_CHECK(registry.put_finding(e));
    if (e.case_id && f.case_id == 0) {
      f.case_id = e.case_id;
      NORA_CHECK(registry.set_finding_case(f.finding.id, e.case_id));
    }
  }
  return to_case(f, route);
}

Status Pipeline::Parts::join_sightings() {
  looks.clear();
  touched_cases.clear();
  NORA_TRY(const auto joins, registry.sighting_joins());
  std::map<Id, registry::SightingJoin> done;
  for (const auto& j : joins) done[j.sighting] = j;
  NORA_TRY(const auto all, registry.sightings(max_sightings_per_round));
  for (const auto& s : all) {
    const auto it = done.find(s.id);
    // Again when the sensor saw more, or when a device came into sight meanwhile.
    bool again = it == done.end() || s.last > it->second.at;
    if (!again && it->second.result == "none") {
      NORA_TRY(const auto ends, registry.endpoints_at(s.ip));
      again = std::any_of(ends.begin(), ends.end(), [&](const auto& e) { return distance(s.first, s.last, e.to) <= Span::seconds(it->second.window_s); });
    }
    if (again) NORA_CHECK(join(s));
  }
  const auto cases_here = touched_cases;
  for (Id id : cases_here) NORA_CHECK(sync_case(id));
  return {};
}

// Over when no sensor saw it for 14 days and the line was online after that (the device, or another of the line, answered).
Status Pipeline::Parts::end_infections(Ip ip) {
  NORA_TRY(auto findings, registry.findings_at(ip));
  for (auto& f : findings) {
    if (f.finding.rule != registry::sighting_rule || f.finding.state != "open" || f.finding.device == 0) continue;
    NORA_TRY(const auto ends, registry.endpoints(f.finding.device));
    for (const auto& e : ends)
      if (e.ip == ip && e.to - f.finding.last_seen >= infection_silence) {
        NORA_CHECK(mark_fixed(f, e.to, "no sensor saw this line for 14 days, and the device was online", "silence"));
        break;
      }
  }
  return {};
}

}  // namespace nora::flow
