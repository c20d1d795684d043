#include "survey/space.h"

#include <algorithm>
#include <set>

namespace nora::survey {
namespace {

using Interval = std::pair<std::uint64_t, std::uint64_t>;  // inclusive
using Intervals = std::vector<Interval>;

Intervals normal(Intervals in) {
  std::sort(in.begin(), in.end());
  Intervals out;
  for (auto [a, b] : in) {
    if (!out.empty() && a <= out.back().second + 1) out.back().second = std::max(out.back().second, b);
    else out.emplace_back(a, b);
  }
  return out;
}
Intervals of(const std::vector<Prefix>& prefixes) {
  Intervals out;
  for (const auto& p : prefixes)
    if (p.is_v4()) out.emplace_back(p.base().v4_value(), p.last().v4_value());
  return normal(std::move(out));
}
Intervals minus(const Intervals& a, const Intervals& b) {
  Intervals out;
  std::size_t k = 0;
  for (auto [from, to] : a) {
    auto at = from;
    while (k < b.size() && b[k].second < from) ++k;
    for (auto j = k; j < b.size() && b[j].first <= to; ++j) {
      if (b[j].first > at) out.emplace_back(at, b[j].first - 1);
      at = std::max(at, b[j].second + 1);
    }
    if (at <= to) out.emplace_back(at, to);
  }
  return out;
}
Intervals both(const Intervals& a, const Intervals& b) { return minus(a, minus(a, b)); }

}  // namespace

Ip Space::Group::ip(std::uint64_t i) const {
  if (i >= v4) return six[i - v4];
  auto run = runs.begin() + hint[i >> hint_shift];
  while (run + 1 != runs.end() && run[1].before <= i) ++run;
  return Ip::v4(run->first + static_cast<std::uint32_t>(i - run->before));
}

std::optional<std::uint64_t> Space::Group::find(Ip ip) const {
  if (!ip.is_v4()) {
    auto at = std::lower_bound(six.begin(), six.end(), ip);
    if (at == six.end() || *at != ip) return std::nullopt;
    return v4 + static_cast<std::uint64_t>(at - six.begin());
  }
  auto value = ip.v4_value();
  auto run = std::upper_bound(runs.begin(), runs.end(), value, [](std::uint32_t x, const Run& r) { return x < r.first; });
  if (run == runs.begin() || (--run)->last < value) return std::nullopt;
  return run->before + (value - run->first);
}

void Space::Group::finish() {
  v4 = 0;
  for (auto& run : runs) {
    run.before = v4;
    v4 += std::uint64_t{run.last} - run.first + 1;
  }
  // About as many hints as runs, so that one or two steps find the run.
  hint_shift = 0;
  while ((v4 >> hint_shift) > 2 * runs.size() + 64) ++hint_shift;
  hint.clear();
  std::uint32_t at = 0;
  for (std::uint64_t i = 0; i < v4; i += std::uint64_t{1} << hint_shift) {
    while (at + 1 < runs.size() && runs[at + 1].before <= i) ++at;
    hint.push_back(at);
  }
}

Result<Space> Space::make(const law::Mandate& mandate, const Catalogue& catalogue, const std::vector<Ip>& targets6, const Limits& limits) {
  Space out;
  const auto& text = mandate.text();
  Intervals open = minus(of(text.ranges), of(mandate.closed()));
  if (!limits.only.empty()) {
    Intervals only;
    for (auto ip : limits.only)
      if (ip.is_v4()) only.emplace_back(ip.v4_value(), ip.v4_value());
    open = both(open, normal(std::move(only)));
  }
  auto social = of(text.social_impact);
  Intervals parts[2] = {minus(open, social), both(open, social)};
  std::set<Ip> six;
  for (auto ip : limits.only.empty() ? targets6 : limits.only)
    if (!ip.is_v4() && mandate.in_range(ip)) six.insert(ip);
  if (six.size() > max_targets6)
    return fail(Code::usage, "more than " + std::to_string(max_targets6) + " IPv6 targets", "survey them in parts");
  for (auto ip : six) out.groups_[mandate.is_social(ip) ? 1 : 0].six.push_back(ip);
  for (int g = 0; g < 2; ++g) {
    for (auto [a, b] : parts[g]) out.groups_[g].runs.push_back({static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b), 0});
    out.groups_[g].finish();
  }

  auto wanted = [&](std::uint16_t port) {
    return limits.ports.empty() || std::find(limits.ports.begin(), limits.ports.end(), port) != limits.ports.end();
  };
  auto allowed = [&](const law::ProbeInfo& p) {
    auto granted = std::find(text.classes.begin(), text.classes.end(), p.probe_class) != text.classes.end();
    return granted && mandate.profile().classes[static_cast<std::size_t>(p.probe_class)] && !p.credential;
  };
  const auto* syn = mandate.probes().find("syn");
  const auto* syn_control = mandate.probes().find("syn-control");
  if (syn == nullptr || syn_control == nullptr) return fail(Code::bad_input, "the probe catalogue lacks syn or syn-control");
  for (const auto& grant : text.ports) {
    if (!wanted(grant.port.value)) continue;
    if (grant.proto == Proto::tcp) {
      bool control = std::find(syn_control->ports.begin(), syn_control->ports.end(), grant.port.value) != syn_control->ports.end();
      const auto* probe = control ? syn_control : syn;
      if (!allowed(*probe) || (control && !mandate.profile().social_probes)) continue;
      Slot slot{probe->id, Proto::tcp, grant.port.value};
      if (!control) out.groups_[0].slots.push_back(slot);
      out.groups_[1].slots.push_back(slot);
      continue;
    }
    for (const auto& probe : mandate.probes().all()) {
      const auto* request = catalogue.find(probe.id);
      if (probe.proto != Proto::udp || request == nullptr || !request->raw || !allowed(probe)) continue;
      if (std::find(probe.ports.begin(), probe.ports.end(), grant.port.value) == probe.ports.end()) continue;
      Slot slot{probe.id, Proto::udp, grant.port.value};
      if (!probe.social) out.groups_[0].slots.push_back(slot);
      out.groups_[1].slots.push_back(slot);
    }
  }
  if (out.size() == 0)
    return fail(Code::refused,
                limits.only.empty() ? "the mandate leaves nothing to survey" : "the mandate does not cover " + limits.only.front().text(),
                "see `nora mandate show`");
  return out;
}

json::Object Space::to_json() const {
  json::Array groups;
  for (const auto& g : groups_) {
    json::Array runs, six, slots;
    for (const auto& r : g.runs) runs.push_back(json::Value(Ip::v4(r.first).text() + "-" + Ip::v4(r.last).text()));
    for (auto ip : g.six) six.push_back(json::Value(ip.text()));
    for (const auto& s : g.slots) slots.push_back(json::Object{{"probe", s.probe}, {"proto", name(s.proto)}, {"port", s.port}});
    groups.push_back(json::Object{{"v4", std::move(runs)}, {"v6", std::move(six)}, {"probes", std::move(slots)}});
  }
  return {{"groups", std::move(groups)}};
}

Result<Space> Space::from_json(const json::Object& o) {
  Space out;
  NORA_TRY(auto groups, json::get_array(o, "groups"));
  if (groups.size() != 2) return fail(Code::bad_input, "the plan has not two groups");
  for (std::size_t g = 0; g < 2; ++g) {
    const auto* group = groups[g].if_object();
    if (!group) return fail(Code::bad_input, "a group of the plan is not an object");
    NORA_TRY(auto runs, json::get_array(*group, "v4"));
    NORA_TRY(auto six, json::get_array(*group, "v6"));
    NORA_TRY(auto slots, json::get_array(*group, "probes"));
    auto& to = out.groups_[g];
    for (const auto& v : runs) {
      const auto* s = v.if_string();
      auto text = s ? std::string_view(*s) : std::string_view();
      auto dash = text.find('-');
      if (dash == std::string_view::npos) return fail(Code::bad_input, "a run of the plan is not first-last");
      NORA_TRY(auto first, Ip::parse(text.substr(0, dash)));
      NORA_TRY(auto last, Ip::parse(text.substr(dash + 1)));
      if (!first.is_v4() || !last.is_v4() || last < first || (!to.runs.empty() && first.v4_value() <= to.runs.back().last))
        return fail(Code::bad_input, "the runs of the plan are not in order");
      to.runs.push_back({first.v4_value(), last.v4_value(), 0});
    }
    for (const auto& v : six) {
      const auto* s = v.if_string();
      NORA_TRY(auto ip, Ip::parse(s ? std::string_view(*s) : std::string_view()));
      if (ip.is_v4() || (!to.six.empty() && ip <= to.six.back()))
        return fail(Code::bad_input, "the IPv6 targets of the plan are not in order");
      to.six.push_back(ip);
    }
    for (const auto& v : slots) {
      const auto* slot = v.if_object();
      if (!slot) return fail(Code::bad_input, "a probe of the plan is not an object");
      NORA_TRY(auto probe, json::get_string(*slot, "probe"));
      NORA_TRY(auto proto_text, json::get_string(*slot, "proto"));
      NORA_TRY(auto proto, parse_proto(proto_text));
      NORA_TRY(auto port, json::get_int(*slot, "port"));
      if (port < 1 || port > 65535) return fail(Code::bad_input, "a port of the plan is out of range");
      to.slots.push_back({probe, proto, static_cast<std::uint16_t>(port)});
    }
    to.finish();
  }
  if (out.size() == 0) return fail(Code::bad_input, "the plan is empty");
  return out;
}

Point Space::at(std::uint64_t index) const {
  NORA_ASSERT(index < size(), "an index of the survey");
  bool social = index >= groups_[0].size();
  const auto& g = groups_[social ? 1 : 0];
  auto i = social ? index - groups_[0].size() : index;
  const auto target = i / g.slots.size(), slot = i % g.slots.size();
  return {g.ip(target), &g.slots[slot], social, static_cast<std::uint32_t>(slot + (social ? groups_[0].slots.size() : 0))};
}

std::optional<std::uint64_t> Space::find(Ip ip, std::string_view probe, Proto proto, std::uint16_t port) const {
  std::uint64_t before = 0;
  for (const auto& g : groups_) {
    if (auto target = g.find(ip))
      for (std::size_t s = 0; s < g.slots.size(); ++s)
        if (g.slots[s].proto == proto && g.slots[s].port == port && (probe.empty() || g.slots[s].probe == probe))
          return before + *target * g.slots.size() + s;
    before += g.size();
  }
  return std::nullopt;
}

std::uint64_t Space::targets_in(const Prefix& p) const {
  std::uint64_t n = 0;
  for (const auto& g : groups_) {
    if (!p.is_v4()) {
      n += static_cast<std::uint64_t>(std::upper_bound(g.six.begin(), g.six.end(), p.last()) - std::lower_bound(g.six.begin(), g.six.end(), p.base()));
      continue;
    }
    auto first = p.base().v4_value(), last = p.last().v4_value();
    auto run = std::lower_bound(g.runs.begin(), g.runs.end(), first, [](const Run& r, std::uint32_t x) { return r.last < x; });
    for (; run != g.runs.end() && run->first <= last; ++run) n += std::uint64_t{std::min(run->last, last)} - std::max(run->first, first) + 1;
  }
  return n;
}

std::uint64_t Space::largest24() const {
  std::uint64_t most = 0;
  for (const auto& g : groups_) {
    for (const auto& r : g.runs) {  // the fullest /24 begins, ends, or lies in a run
      if ((r.last >> 8) - (r.first >> 8) >= 2) return 256;
      for (auto at : {r.first, r.last}) most = std::max(most, targets_in(Prefix::of(Ip::v4(at), 24)));
      if (most == 256) return most;
    }
    for (auto ip : g.six) most = std::max(most, targets_in(Prefix::of(ip, 48)));
  }
  return most;
}

std::optional<Ip> Space::any(bool v4) const {
  for (const auto& g : groups_) {
    if (g.slots.empty()) continue;
    if (v4 && g.v4 > 0) return g.ip(0);
    if (!v4 && !g.six.empty()) return g.six.front();
  }
  return std::nullopt;
}

bool Space::has_target(Ip ip) const { return groups_[0].find(ip) || groups_[1].find(ip); }

std::vector<const Slot*> Space::slots() const {
  std::vector<const Slot*> out;
  for (const auto& g : groups_)
    for (const auto& s : g.slots)
      if (g.count() > 0 && std::none_of(out.begin(), out.end(), [&](const Slot* o) { return *o == s; })) out.push_back(&s);
  return out;
}

std::vector<const Slot*> Space::slots_in_order() const {
  std::vector<const Slot*> out;
  for (const auto& g : groups_)
    for (const auto& s : g.slots) out.push_back(&s);
  return out;
}

std::uint64_t Space::record_address(Ip ip) const {
  if (ip.is_v4()) return ip.v4_value();
  auto first = groups_[0].find(ip);
  if (first) return std::uint64_t{1} << 63 | (*first - groups_[0].v4);
  auto second = groups_[1].find(ip);
  NORA_ASSERT(second, "only targets of the plan are recorded");
  return std::uint64_t{1} << 63 | (groups_[0].six.size() + *second - groups_[1].v4);
}

std::optional<Ip> Space::from_record_address(std::uint64_t value) const {
  if (!(value >> 63)) {
    if (value >> 32) return std::nullopt;
    return Ip::v4(static_cast<std::uint32_t>(value));
  }
  value &= ~(std::uint64_t{1} << 63);
  if (value < groups_[0].six.size()) return groups_[0].six[value];
  value -= groups_[0].six.size();
  if (value < groups_[1].six.size()) return groups_[1].six[value];
  return std::nullopt;
}

std::uint64_t Space::networks24() const {
  std::uint64_t n = 0;
  std::set<Prefix> six;
  for (const auto& g : groups_) {
    for (const auto& r : g.runs) n += (r.last >> 8) - (r.first >> 8) + 1;
    for (auto ip : g.six) six.insert(Prefix::of(ip, 48));
  }
  return n + six.size();
}

}  // namespace nora::survey
