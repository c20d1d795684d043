#include "survey/operators.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/text.h"

namespace nora::survey {
namespace {

constexpr double burst_seconds = 0.01;  // as much as the steady rate is lowered by, so that no second holds more than the cap

}  // namespace

Result<Operators> Operators::parse(std::string_view text, std::uint32_t default_pps) {
  Operators out;
  std::map<std::string, std::uint32_t, std::less<>> numbers;
  std::vector<net::AddressMap::Entry> entries;
  std::size_t number = 0;
  auto wrong = [&](std::string_view what) {
    return fail(Code::bad_input, "the operators' file, line " + std::to_string(number) + ": " + std::string(what),
                "lines are \"PREFIX OPERATOR\" or \"cap OPERATOR PPS\"");
  };
  auto place = [&](std::string_view name) -> std::uint32_t {
    if (auto at = numbers.find(name); at != numbers.end()) return at->second;
    auto n = static_cast<std::uint32_t>(out.operators_.size());
    numbers.emplace(name, n);
    out.operators_.push_back({std::string(name), default_pps});
    return n;
  };
  for (auto line : split(text, '\n')) {
    ++number;
    line = line.substr(0, line.find('#'));
    std::vector<std::string_view> words;
    for (auto word : split(line, ' '))
      for (auto part : split(word, '\t'))
        if (!part.empty() && part != "\r") words.push_back(part.ends_with('\r') ? part.substr(0, part.size() - 1) : part);
    if (words.empty()) continue;
    if (words[0] == "cap") {
      std::uint32_t pps = 0;
      if (words.size() != 3) return wrong("a cap has an operator and a number");
      auto [end, error] = std::from_chars(words[2].data(), words[2].data() + words[2].size(), pps);
      if (error != std::errc{} || end != words[2].data() + words[2].size() || pps == 0) return wrong("the cap is not a number above 0");
      out.operators_[place(words[1])].pps = pps;
    } else {
      if (words.size() != 2) return wrong("a prefix has one operator");
      auto prefix = Prefix::parse(words[0]);
      if (!prefix) return wrong(prefix.error().what);
      entries.push_back({*prefix, place(words[1])});
    }
    if (out.operators_.size() > max_operators || entries.size() > max_operator_prefixes) return wrong("too many operators or prefixes");
  }
  out.map_ = net::AddressMap::make(std::move(entries));
  out.buckets_.resize(out.operators_.size());
  out.share(100);
  return out;
}

// GCRA as in law::Budget: at most burst + rate * 1 s packets lie in a window of one second, and that is the cap.
void Operators::share(double percent) {
  for (std::size_t i = 0; i < operators_.size(); ++i) {
    auto& b = buckets_[i];
    if (operators_[i].pps == 0) continue;
    double pps = std::max(operators_[i].pps * percent / 100, 1e-6);  // no share at all: one packet in eleven days
    double burst = std::max(1.0, pps * burst_seconds);
    b.interval_us = 1e6 / std::max(pps - burst + 1, std::min(pps, 1.0));
    b.burst_us = b.interval_us * (burst - 1);
  }
}

Span Operators::wait(Ip ip, Span now) const {
  if (operators_.empty()) return {};
  auto found = map_.find(ip);
  if (!found || operators_[found->value].pps == 0) return {};
  const auto& b = buckets_[found->value];
  double wait = b.next_us - static_cast<double>(now.us) - b.burst_us;
  return wait > 0 ? Span{static_cast<std::int64_t>(wait) + 1} : Span{};
}

Span Operators::take(Ip ip, Span now, std::uint32_t packets) {
  if (auto w = wait(ip, now); w.us > 0 || operators_.empty()) return w;
  auto found = map_.find(ip);
  if (!found || operators_[found->value].pps == 0) return {};
  auto& b = buckets_[found->value];
  b.next_us = std::max(b.next_us, static_cast<double>(now.us)) + b.interval_us * packets;
  return {};
}

const Operators::Operator* Operators::find(Ip ip) const {
  if (operators_.empty()) return nullptr;
  auto found = map_.find(ip);
  return found ? &operators_[found->value] : nullptr;
}

}  // namespace nora::survey
