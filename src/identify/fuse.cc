#include "identify/fuse.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "identify/words.h"

namespace nora::identify {

namespace {

constexpr double ceiling = 0.99;       // evidence read from a distance is never certainty
constexpr double conflict_weight = 0.5;  // a contradiction of confidence c lowers the winner by half of c

struct Placed {
  Service where;
  const Statement* s = nullptr;
};
bool before(const Placed& a, const Placed& b) {
  const auto rank = [](const Placed& p) {
    return std::tie(p.where, p.s->key, p.s->rule, p.s->vendor, p.s->product, p.s->firmware, p.s->type, p.s->software, p.s->certainty);
  };
  return rank(a) < rank(b);
}

std::string evidence_text(const Placed& p) { return fmt::format("{} on {}/{}: rule {}", p.s->key, p.where.port.value, name(p.where.proto), p.s->rule); }

// Combined certainty: 1 - prod(1 - c). One rule on one key counts once, however many ports repeat it (http and https show the same page).
class Votes {
 public:
  void add(const Placed& p, const std::string& value) {
    auto& slot = best_[{p.s->key, p.s->rule}];
    slot = std::max(slot, p.s->certainty);
    evidence_.insert(evidence_text(p));
    ++spellings_[value];
  }
  double confidence() const {
    double miss = 1;
    for (const auto& [rule, certainty] : best_) miss *= 1 - std::min(certainty, ceiling);
    return std::min(1 - miss, ceiling);
  }
  std::vector<std::string> evidence() const { return {evidence_.begin(), evidence_.end()}; }
  std::string spelling() const {  // the most frequent one, the first in order among equals
    std::string best;
    int count = 0;
    for (const auto& [text, n] : spellings_) if (n > count) { best = text; count = n; }
    return best;
  }

 private:
  std::map<std::pair<std::string, std::string>, double> best_;
  std::set<std::string> evidence_;
  std::map<std::string, int> spellings_;
};

// The value with the highest combined confidence. A general value ("Aterm") supports a specific one ("Aterm WG1200HS"), not the reverse.
// Values that contradict the winner lower it and are reported.
registry::Claim decide(const std::vector<Placed>& all, std::string Statement::* member, std::string_view what, std::vector<std::string>& conflicts) {
  std::set<std::string> values;
  for (const auto& p : all) if (!(p.s->*member).empty()) values.insert(p.s->*member);
  struct Candidate { std::string value; Votes votes; std::size_t words; };
  std::vector<Candidate> candidates;
  for (const auto& value : values) {
    Candidate c{value, {}, words_of(value).size()};
    for (const auto& p : all) {
      const std::string& said = p.s->*member;
      if (!said.empty() && covers(value, said)) c.votes.add(p, normal(said) == normal(value) ? said : value);
    }
    candidates.push_back(std::move(c));
  }
  const Candidate* best = nullptr;
  for (const auto& c : candidates) {
    if (best == nullptr || std::tuple(c.votes.confidence(), c.words) > std::tuple(best->votes.confidence(), best->words)) best = &c;
  }
  if (best == nullptr) return {};
  registry::Claim claim{best->votes.spelling(), best->votes.confidence(), best->votes.evidence()};
  double against = 0;
  for (const auto& c : candidates) {
    if (compatible(c.value, best->value)) continue;
    against = std::max(against, c.votes.confidence());
    conflicts.push_back(fmt::format("{}: \"{}\" against \"{}\" ({})", what, claim.value, c.value, fmt::join(c.votes.evidence(), "; ")));
  }
  claim.confidence *= 1 - conflict_weight * against;
  return claim;
}

struct Seed {
  Service where;
  std::string vendor, product;
  double confidence = 0;
};

// What one service alone proves strongly enough to stand for a device of its own.
std::optional<Seed> seed_of(const Evidence& e) {
  std::vector<Placed> placed;
  for (const auto& s : e.statements) placed.push_back({e.where, &s});
  std::sort(placed.begin(), placed.end(), before);
  std::vector<std::string> ignored;
  const auto product = decide(placed, &Statement::product, "product", ignored);
  const auto vendor = decide(placed, &Statement::vendor, "vendor", ignored);
  Seed seed{e.where, {}, {}, 0};
  if (vendor.confidence >= strong) { seed.vendor = vendor.value; seed.confidence = vendor.confidence; }
  if (product.confidence >= strong) { seed.product = product.value; seed.confidence = std::max(seed.confidence, product.confidence); }
  if (seed.vendor.empty() && seed.product.empty()) return std::nullopt;
  return seed;
}

bool same_device(const Seed& a, const Seed& b) { return compatible(a.vendor, b.vendor) && compatible(a.product, b.product); }

// CPE names of the device only from statements that name it and agree with the firmware that was decided: "affected" rests on them.
void collect_cpes(const std::vector<Placed>& agreeing, registry::Identity& identity) {
  std::set<std::string> own, components;
  for (const auto& p : agreeing) {
    const auto& s = *p.s;
    components.insert(s.components.begin(), s.components.end());
    const bool names_it = !s.product.empty() || !s.vendor.empty();
    if (names_it && (s.firmware.empty() || normal(s.firmware) == normal(identity.firmware.value))) own.insert(s.cpes.begin(), s.cpes.end());
  }
  const auto put = [](const std::set<std::string>& from, std::vector<std::string>& to) {
    for (const auto& cpe : from) if (to.size() < max_cpes) to.push_back(cpe);
  };
  put(own, identity.cpes);
  put(components, identity.components);
}

FusedDevice join(std::vector<Evidence> parts) {
  FusedDevice device;
  std::vector<Placed> all;
  std::set<std::string> software;
  for (const auto& e : parts) {
    device.services.push_back(e.where);
    for (const auto& s : e.statements) {
      all.push_back({e.where, &s});
      if (!s.software.empty()) software.insert(s.software);
    }
  }
  std::sort(device.services.begin(), device.services.end());
  device.services.erase(std::unique(device.services.begin(), device.services.end()), device.services.end());
  device.software.assign(software.begin(), software.end());
  std::sort(all.begin(), all.end(), before);
  auto& identity = device.identity;
  identity.vendor = decide(all, &Statement::vendor, "vendor", device.conflicts);
  // Product, firmware and type only from statements that do not contradict the vendor, then the product: no mixture of two devices.
  std::erase_if(all, [&](const Placed& p) { return !compatible(p.s->vendor, identity.vendor.value); });
  identity.product = decide(all, &Statement::product, "product", device.conflicts);
  std::erase_if(all, [&](const Placed& p) { return !compatible(p.s->product, identity.product.value); });
  identity.firmware = decide(all, &Statement::firmware, "firmware", device.conflicts);
  identity.type = decide(all, &Statement::type, "type", device.conflicts);
  collect_cpes(all, identity);
  return device;
}

}  // namespace

std::vector<FusedDevice> fuse(std::vector<Evidence> evidence) {
  // One entry per service, statements in one order: the result must not depend on how the replies came in.
  std::map<Service, std::vector<Statement>> merged;
  std::size_t count = 0;
  for (auto& e : evidence) {
    auto& list = merged[e.where];
    for (auto& s : e.statements) if (count < max_statements) { list.push_back(std::move(s)); ++count; }
  }
  std::vector<Evidence> services;
  for (auto& [where, list] : merged) services.push_back({where, std::move(list)});
  if (services.empty()) return {};

  std::vector<Seed> seeds;
  for (const auto& e : services) if (auto seed = seed_of(e)) seeds.push_back(std::move(*seed));
  // The most specific first, so that "Aterm" joins "Aterm WG1200HS" and never glues two models together.
  std::sort(seeds.begin(), seeds.end(), [](const Seed& a, const Seed& b) {
    const auto rank = [](const Seed& s) { return std::tuple(-static_cast<int>(words_of(s.product).size()), normal(s.product), normal(s.vendor), s.where); };
    return rank(a) < rank(b);
  });
  struct Group { Seed head; std::vector<Evidence> parts; };
  std::vector<Group> groups;
  std::map<Service, std::size_t> group_of;
  for (const auto& seed : seeds) {
    std::size_t g = 0;
    while (g < groups.size() && !same_device(groups[g].head, seed)) ++g;
    if (g == groups.size()) groups.push_back({seed, {}});
    auto& head = groups[g].head;
    if (head.vendor.empty()) head.vendor = seed.vendor;
    head.confidence = std::max(head.confidence, seed.confidence);
    head.where = std::min(head.where, seed.where);
    group_of[seed.where] = g;
  }
  if (groups.empty()) return {join(std::move(services))};
  // A service without strong evidence goes to the device that it does not contradict, the best known one first.
  std::vector<std::size_t> order(groups.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple(-groups[a].head.confidence, groups[a].head.where) < std::tuple(-groups[b].head.confidence, groups[b].head.where);
  });
  for (auto& e : services) {
    auto at = group_of.find(e.where);
    std::size_t g = order.front();
    if (at != group_of.end()) {
      g = at->second;
    } else {
      for (const auto candidate : order) {
        const auto& head = groups[candidate].head;
        if (std::all_of(e.statements.begin(), e.statements.end(), [&](const Statement& s) { return compatible(s.vendor, head.vendor) && compatible(s.product, head.product); })) {
          g = candidate;
          break;
        }
      }
    }
    groups[g].parts.push_back(std::move(e));
  }
  std::vector<FusedDevice> devices;
  for (auto& group : groups) devices.push_back(join(std::move(group.parts)));
  std::sort(devices.begin(), devices.end(), [](const FusedDevice& a, const FusedDevice& b) { return a.services < b.services; });
  return devices;
}

}  // namespace nora::identify
