#include "survey/middlebox.h"

#include <algorithm>

#include "survey/holds.h"

namespace nora::survey {

std::optional<Middleboxes::Anomaly> Middleboxes::judge(Ip ip, Address& a, Network& n) {
  if (n.state == State::suspect && n.silent >= talks_network) {
    n.state = State::convicted;
    ++found_;
    return Anomaly{Holds::network(ip), "every address of it accepts every port alike, and none says anything", n.accepted, n.ttl, n.window};
  }
  // While its whole network is under suspicion, one of its addresses is no anomaly of its own: that would be told 256 times.
  if (a.state == State::suspect && a.silent >= talks_address && n.state != State::suspect && n.state != State::convicted) {
    a.state = State::convicted;
    ++found_;
    return Anomaly{Prefix::of(ip, ip.is_v4() ? 32 : 128), "it accepts every port, and says nothing", a.accepted, n.ttl, n.window};
  }
  return std::nullopt;
}

std::optional<Middleboxes::Anomaly> Middleboxes::accepted(Ip ip, std::uint8_t ttl, std::uint16_t window, double share_sent) {
  auto& a = addresses_[ip];
  if (a.accepted < 60'000) ++a.accepted;
  if (a.state == State::unknown && a.accepted >= ports_min && a.accepted >= nearly_all * per_address_ * share_sent) a.state = State::suspect;
  auto& n = networks_[Holds::network(ip)];
  if (n.accepted++ == 0) {
    n.ttl = ttl;
    n.window = window;
  }
  n.like_first += n.ttl == ttl && n.window == window;
  n.addresses.set(ip.bytes()[15]);
  if (n.state == State::unknown && n.addresses.count() >= addresses_min) {
    double asked = per_address_ * addresses_of_(Holds::network(ip)) * share_sent;
    if (n.accepted >= nearly_all * asked && n.like_first >= alike * n.accepted) n.state = State::suspect;
  }
  return judge(ip, a, n);
}

Middleboxes::May Middleboxes::may(Ip ip) const {
  auto network = networks_.find(Holds::network(ip));
  auto address = addresses_.find(ip);
  if (network == networks_.end() || address == addresses_.end()) return May::talk;  // not from a SYN of this run
  const auto& n = network->second;
  const auto& a = address->second;
  if (n.state == State::convicted || a.state == State::convicted) return May::never;
  bool enough = (n.state == State::suspect && n.begun >= talks_network) || (a.state == State::suspect && a.begun >= talks_address);
  return enough ? May::wait : May::talk;
}

void Middleboxes::begun(Ip ip) {
  auto network = networks_.find(Holds::network(ip));
  auto address = addresses_.find(ip);
  if (network == networks_.end() || address == addresses_.end()) return;
  if (network->second.begun < 255) ++network->second.begun;
  if (address->second.begun < 255) ++address->second.begun;
}

std::optional<Middleboxes::Anomaly> Middleboxes::over(Ip ip, bool data) {
  auto network = networks_.find(Holds::network(ip));
  auto address = addresses_.find(ip);
  if (network == networks_.end() || address == addresses_.end()) return std::nullopt;
  auto& n = network->second;
  auto& a = address->second;
  if (data) {
    if (n.state != State::convicted) n.state = State::clear;
    if (a.state != State::convicted) a.state = State::clear;
    return std::nullopt;
  }
  if (n.silent < 255) ++n.silent;
  if (a.silent < 255) ++a.silent;
  return judge(ip, a, n);
}

bool Middleboxes::convicted(Ip ip) const {
  if (auto n = networks_.find(Holds::network(ip)); n != networks_.end() && n->second.state == State::convicted) return true;
  auto a = addresses_.find(ip);
  return a != addresses_.end() && a->second.state == State::convicted;
}

}  // namespace nora::survey
