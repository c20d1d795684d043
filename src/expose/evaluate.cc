#include "expose/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>

#include "base/escape.h"
#include "identify/words.h"

namespace nora::expose {

namespace {

std::string clipped(std::string_view raw) {
  std::string text = to_clean_utf8(raw.substr(0, max_evidence_bytes));
  for (char& c : text) if (c == '\n' || c == '\t') c = ' ';
  return raw.size() > max_evidence_bytes ? text + "…" : text;
}

bool value_holds(const Test& test, const std::string& value, identify::Scratch& scratch) {
  switch (test.op) {
    case Test::Op::equals:
    case Test::Op::one_of: return std::find(test.values.begin(), test.values.end(), value) != test.values.end();
    case Test::Op::contains: return std::any_of(test.values.begin(), test.values.end(), [&](const auto& v) { return value.find(v) != std::string::npos; });
    case Test::Op::matches: {
      std::vector<identify::Slice> slices;
      return test.pattern.match(value, identify::Pattern::Mode::bytes, scratch, slices) == identify::Pattern::Outcome::match;
    }
    case Test::Op::number_below: {
      double number = 0;
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), number);
      return parsed.ec == std::errc() && parsed.ptr == value.data() + value.size() && number < test.number;
    }
    case Test::Op::present: return true;
    case Test::Op::absent: return false;
  }
  return false;
}

// Does the test hold for this reply; the deciding value goes to evidence.
bool holds(const Test& test, const Seen& seen, identify::Scratch& scratch, std::vector<std::string>& evidence) {
  std::optional<std::string> decided;
  bool shown = false;
  for (const auto& kv : seen.keys) {
    if (kv.key != test.key) continue;
    shown = true;
    // The smallest value that holds, so that the order of the keys does not matter.
    if (value_holds(test, kv.value, scratch) && (!decided || kv.value < *decided)) decided = kv.value;
  }
  if (test.op == Test::Op::absent) {
    if (!shown) evidence.push_back(test.key + " is absent");
    return !shown;
  }
  if (!decided) return false;
  evidence.push_back(clipped(test.key + " = " + *decided));
  return true;
}

bool is_kind(const When& when, const registry::Identity& identity) {
  if (when.known && *when.known != identity.product_known()) return false;
  const auto says = [](const std::vector<std::string>& names, const registry::Claim& claim) {
    return std::any_of(names.begin(), names.end(), [&](const auto& n) { return !claim.value.empty() && identify::covers(claim.value, n); });
  };
  if (!when.types.empty() && !says(when.types, identity.type)) return false;
  if (!when.not_types.empty() && says(when.not_types, identity.type)) return false;
  return when.vendors.empty() || says(when.vendors, identity.vendor);
}

}  // namespace

std::vector<Hit> evaluate(const Rules& rules, const Subject& subject) {
  identify::Scratch scratch;
  using Place = std::tuple<std::string, std::uint16_t, Proto>;  // rule, port, protocol
  std::map<Place, Hit> best;
  for (const auto& rule : rules.all()) {
    for (const auto& seen : subject.seen) {
      for (const auto& when : rule.when) {
        if (std::find(when.protocols.begin(), when.protocols.end(), seen.protocol) == when.protocols.end() || !is_kind(when, subject.identity)) continue;
        std::vector<std::string> evidence{fmt::format("{} answered on {}/{}", seen.protocol, seen.where.port.value, name(seen.where.proto))};
        if (!std::all_of(when.tests.begin(), when.tests.end(), [&](const Test& t) { return holds(t, seen, scratch, evidence); })) continue;
        Hit hit{&rule, seen.where, std::move(evidence), std::nullopt, rule.social_impact || seen.social_impact};
        if (rule.amplifies && seen.request_bytes > 0 && seen.reply_bytes > 0) {
          hit.amplification = static_cast<double>(seen.reply_bytes) / static_cast<double>(seen.request_bytes);
          hit.evidence.push_back(fmt::format("{} bytes asked, {} bytes answered: factor {:.1f}", seen.request_bytes, seen.reply_bytes, *hit.amplification));
        }
        auto& slot = best[{rule.id, seen.where.port.value, seen.where.proto}];
        // The newest proof wins; equal times: the smaller address, then the evidence text, so that input order does not matter.
        const auto rank = [](const Hit& h) { return std::tuple(-h.where.at.us, h.where.ip, h.evidence); };
        if (slot.rule == nullptr || rank(hit) < rank(slot)) {
          hit.social = hit.social || slot.social;
          slot = std::move(hit);
        } else {
          slot.social = slot.social || hit.social;
        }
        break;
      }
    }
  }
  std::set<Place> silenced;
  for (const auto& [place, hit] : best)
    for (const auto& weaker : hit.rule->replaces) silenced.insert({weaker, std::get<1>(place), std::get<2>(place)});
  std::vector<Hit> out;
  for (auto& [place, hit] : best) if (!silenced.contains(place)) out.push_back(std::move(hit));
  std::sort(out.begin(), out.end(), [](const Hit& a, const Hit& b) {
    const auto rank = [](const Hit& h) { return std::tuple(-static_cast<int>(h.rule->severity), std::string_view(h.rule->id), h.where.port, h.where.proto); };
    return rank(a) < rank(b);
  });
  return out;
}

}  // namespace nora::expose
