// What is asked twice to know what was missed: canaries all along, and a second look at the end (loss.h).
#include <algorithm>

#include "survey/engine_run.h"
#include "survey/record.h"

namespace nora::survey {
namespace {

constexpr Span canary_every = Span::seconds(60);
constexpr std::size_t answered_again = 200;                              // answering probes that are asked once more
constexpr std::uint64_t sample_min = 1000, sample_max = 50'000;          // of all probes: 1 %, between these, at most a fifth of them

}  // namespace

// A canary is one of our own hosts inside the mandate's range: its probe is part of the permutation like any other.
Status EngineRun::prepare_canaries() {
  if (o_.canaries.size() > max_canaries) return fail(Code::usage, "more than " + std::to_string(max_canaries) + " canaries");
  for (const auto& c : o_.canaries) {
    auto index = mandate_.in_range(c.ip) ? plan_.space.find(c.ip, {}, Proto::tcp, c.port) : std::nullopt;
    if (!index)
      return fail(Code::refused, "the canary " + c.ip.text() + " port " + std::to_string(c.port) + " is not in this survey",
                  "name one of your own hosts inside the mandate's ranges, and a TCP port of the mandate");
    CanaryState state;
    state.index = *index;
    canaries_[c.ip].push_back(state);
  }
  return {};
}

// Between the probes of a segment, at most each minute and within half of what the mandate grants for a day.
void EngineRun::ask_canaries(Open& segment) {
  if (canaries_.empty()) return;
  auto every = std::max(canary_every, Span{Span::days(1).us / std::max<std::int64_t>(1, mandate_.text().probes_per_target_per_day / 4)});
  Order order;
  order.canary = true;
  for (auto& [ip, list] : canaries_)
    for (auto& c : list) {
      if (c.waiting || now() < c.next || order.places.size() >= max_order_places) continue;
      c.next = now() + every;
      order.places.push_back(permutation_.place(c.index));
    }
  if (order.places.empty()) return;
  std::sort(order.places.begin(), order.places.end());
  segment.orders.push_back(std::move(order));
}

// Only what has a record was asked: a cap may have refused some.
Status EngineRun::canaries_asked(const Open& segment) {
  NORA_TRY(auto asked, recorded_since(segment.n, segment.bytes_before));
  for (auto& [ip, list] : canaries_)
    for (auto& c : list)
      if (std::find(asked.begin(), asked.end(), c.index) != asked.end()) {
        c.asked = env_.clock.now();
        c.waiting = true;
      }
  return {};
}

void EngineRun::judge_canaries() {
  auto t = env_.clock.now();
  for (auto& [ip, list] : canaries_)
    for (auto& c : list) {
      if (!c.waiting || t - c.asked < Span::ms(plan_.answer_window_ms)) continue;
      c.waiting = false;
      ++summary_.loss.canary.asked;
      // "asked" is when the order was done; the order takes less than a window.
      if (c.heard >= c.asked - Span::ms(plan_.answer_window_ms)) continue;
      ++summary_.loss.canary.missed;
      env_.log.warn("the canary " + ip.text() + " was not heard");
    }
}

// Some answering probes once more, and a random sample of all that this run's segments hold, silent ones included.
Status EngineRun::begin_look() {
  look_begun_ = true;
  looked_.clear();
  if (!o_.calibrate) return {};
  const auto& segments = journal_.state().segments;
  auto total = static_cast<std::int64_t>(plan_.segments());
  std::vector<std::int64_t> own;
  std::int64_t slot = courier_.slot(), number = total + slot * extra_numbers;
  for (const auto& [n, s] : segments) {
    if (n < total) {
      if (s.committed && !s.lost) own.push_back(n);
    } else if (n >= total + slot * extra_numbers && n < total + (slot + 1) * extra_numbers) {
      if (s.committed) return {};  // it was done by an earlier run
      number = n + 1;
    }
  }
  if (own.empty()) return {};
  flush_gathers(true);
  std::vector<std::uint64_t> places;
  auto slots = plan_.space.slots();
  bool any_tcp = std::any_of(slots.begin(), slots.end(), [](const Slot* s) { return s->proto == Proto::tcp; });
  auto add = [&](std::uint64_t index, bool sample) {
    auto point = plan_.space.at(index);
    // "Closed" by UDP is an ICMP error, and those are rate-limited: they would count as losses.
    if (sample && any_tcp && point.slot->proto == Proto::udp) return;
    if (point.social || canaries_.contains(point.ip) || holds_.wait(point.ip, now()).us > 0 || middleboxes_.convicted(point.ip)) return;
    auto [at, fresh] = looked_.try_emplace(index);
    at->second.sample = at->second.sample || sample;
    if (!fresh) return;
    at->second.first = answered_.contains(index);
    places.push_back(permutation_.place(index));
  };
  for (std::size_t i = 0; i < answered_again && !candidates_.empty(); ++i) {
    auto k = env_.random.below(candidates_.size());
    add(candidates_[k], false);
    candidates_[k] = candidates_.back();
    candidates_.pop_back();
  }
  auto probes = static_cast<std::uint64_t>(own.size()) * plan_.segment_size;
  probes = std::min(probes, plan_.space.size());
  auto sample = std::min({std::max(probes / 100, sample_min), probes / 5, sample_max});
  for (std::uint64_t i = 0; i < sample; ++i) {
    auto from = static_cast<std::uint64_t>(own[env_.random.below(own.size())]) * plan_.segment_size;
    auto to = std::min(from + plan_.segment_size, plan_.space.size());
    add(permutation_.at(from + env_.random.below(to - from)), true);
  }
  if (places.empty()) return {};
  std::sort(places.begin(), places.end());
  Bytes list;
  for (auto place : places) {
    put_u32be(list, static_cast<std::uint32_t>(place >> 32));
    put_u32be(list, static_cast<std::uint32_t>(place));
  }
  Open o;
  o.n = number;
  o.look = true;
  o.orders = orders_of(places);
  json::Object leaf{{"mandate", to_hex(plan_.mandate)}, {"second_look", places.size()}, {"places_sha256", to_hex(sha256(list))}};
  return reserve(std::move(o), "segment_reserved", std::move(leaf));
}

void EngineRun::look_over(const std::vector<std::uint64_t>& asked) {
  auto& l = summary_.loss;
  std::unordered_set<std::uint64_t> counted;
  for (auto index : asked) {
    auto at = looked_.find(index);
    if (at == looked_.end() || !counted.insert(index).second) continue;
    const auto& x = at->second;
    if (x.first && !x.sample) {
      ++l.again.asked;
      l.again.missed += !x.again;
    }
    if (!x.sample) continue;
    ++l.recapture.sample;
    l.recapture.first += x.first;
    l.recapture.second += x.again;
    l.recapture.both += x.first && x.again;
  }
}

}  // namespace nora::survey
