// Per-source aggregation (sense/aggregator.h).
#include "sense/aggregator.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace nora::sense {
namespace {

// splitmix64 finaliser: sensors are not attacked through collisions of a count that is shown as an estimate.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}
std::uint64_t hash(Ip ip) {
  std::uint64_t a = 0, b = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    a = a << 8 | ip.bytes()[i];
    b = b << 8 | ip.bytes()[i + 8];
  }
  return mix(mix(a + 0x9e3779b97f4a7c15ULL) ^ b);
}

}  // namespace

void Distinct::add(std::uint64_t h) {
  const auto put = [&](std::uint64_t x) {
    auto& r = registers_[x & (registers - 1)];
    r = std::max(r, static_cast<std::uint8_t>(std::countl_zero(x | (registers - 1)) + 1));
  };
  if (!registers_.empty()) return put(h);
  const auto it = std::lower_bound(few_.begin(), few_.end(), h);
  if (it != few_.end() && *it == h) return;
  few_.insert(it, h);
  if (few_.size() <= exact) return;
  registers_.resize(registers);
  for (const auto x : few_) put(x);
  few_.clear();
  few_.shrink_to_fit();
}

std::uint64_t Distinct::count() const {
  if (registers_.empty()) return few_.size();
  double sum = 0;
  std::size_t zeros = 0;
  for (const auto r : registers_) {
    sum += std::ldexp(1.0, -r);
    zeros += r == 0;
  }
  constexpr double m = registers, alpha = 0.7213 / (1 + 1.079 / m);
  const double estimate = alpha * m * m / sum;
  if (estimate <= 2.5 * m && zeros > 0) return static_cast<std::uint64_t>(std::lround(m * std::log(m / static_cast<double>(zeros))));
  return static_cast<std::uint64_t>(std::llround(estimate));
}

void Aggregator::add(const net::Packet& p, Instant at) {
  if (!p.is_ip || (!options_.darknet.empty() && !options_.darknet.contains(p.dest))) {
    ++ignored_;
    return;
  }
  auto it = sources_.find(p.source);
  if (it != sources_.end() && at - it->second.first >= options_.window) {
    closed_.push_back(record(it->first, it->second));
    sources_.erase(it);
    it = sources_.end();
  }
  if (it == sources_.end()) {
    if (sources_.size() >= options_.max_sources) {
      ++overflow_;
      return;
    }
    it = sources_.emplace(p.source, State{}).first;
    it->second.first = it->second.last = at;  // stays: a record is known by (source, first) while it grows
    it->second.tally.research = options_.research.contains(p.source);
  }
  State& s = it->second;
  ++packets_;
  s.dirty = true;
  s.last = std::max(s.last, at);
  const std::uint8_t marks = marks_of(p);
  Tally& t = s.tally;
  ++t.packets;
  t.syns += (marks & mark_syn) != 0;
  t.mirai += (marks & mark_mirai) != 0;
  t.zmap += (marks & mark_zmap) != 0;
  t.masscan += (marks & mark_masscan) != 0;
  t.backscatter += (marks & mark_backscatter) != 0;
  s.destinations.add(hash(p.dest));
  if (p.has_ports) {
    const auto port = std::lower_bound(s.ports.begin(), s.ports.end(), p.dest_port);
    if ((port == s.ports.end() || *port != p.dest_port) && s.ports.size() < max_ports) s.ports.insert(port, p.dest_port);
    if (std::find(std::begin(iot_ports), std::end(iot_ports), p.dest_port) == std::end(iot_ports)) s.other_ports = true;
    if (s.samples.size() < max_samples) s.samples.push_back({at, p.source_port, p.dest_port});
  } else {
    s.other_ports = true;
  }
  if (marks & mark_mirai) {
    ++mirai_packets_;
    const auto port = std::find_if(s.bot_ports.begin(), s.bot_ports.end(), [&](const auto& b) { return b.first == p.source_port; });
    if (port != s.bot_ports.end()) port->second = static_cast<std::uint8_t>(std::min(port->second + 1, 255));
    else if (s.bot_ports.size() < max_bot_ports) s.bot_ports.emplace_back(p.source_port, 1);
  }
}

SourceRecord Aggregator::record(Ip source, const State& s) const {
  SourceRecord out;
  Tally t = s.tally;
  t.destinations = s.destinations.count();
  t.only_iot_ports = !s.other_ports;
  Judged j = judge(t);
  out.source = source;
  out.verdict = j.verdict;
  out.kind = std::move(j.kind);
  out.tool = std::move(j.tool);
  out.why = std::move(j.why);
  out.packets = t.packets;
  out.syns = t.syns;
  out.destinations = t.destinations;
  out.bots = static_cast<std::uint32_t>(std::count_if(s.bot_ports.begin(), s.bot_ports.end(), [](const auto& b) { return b.second >= 2; }));
  out.ports = s.ports;
  out.samples = s.samples;
  out.first = s.first;
  out.last = s.last;
  return out;
}

std::vector<SourceRecord> Aggregator::open() const {
  std::vector<SourceRecord> out;
  for (const auto& [source, state] : sources_) out.push_back(record(source, state));
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.source < b.source; });
  return out;
}

std::vector<SourceRecord> Aggregator::changed() {
  std::vector<SourceRecord> out;
  for (auto& [source, state] : sources_) {
    if (!std::exchange(state.dirty, false)) continue;
    out.push_back(record(source, state));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.source < b.source; });
  return out;
}

std::vector<SourceRecord> Aggregator::take_closed() { return std::exchange(closed_, {}); }

}  // namespace nora::sense
