#include "survey/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "survey/rates.h"

namespace nora::survey {

PlanEstimate estimate(const Plan& plan, const law::MandateText& m, const EstimateInput& input) {
  PlanEstimate e;
  e.targets = plan.space.targets();
  e.probes = plan.space.size();
  e.segments = plan.segments();
  e.megabytes = static_cast<double>(e.probes) * 70 / 1e6;  // a SYN with MSS is 58 bytes on the wire, UDP requests are 44 to 143
  double probes = static_cast<double>(e.probes), cap = m.rate_total_pps, window = plan.answer_window_ms / 1000.0;
  double slots = std::max(1.0, probes / static_cast<double>(e.targets));
  auto add = [&](std::string what, double seconds, std::string why) {
    e.costs.push_back({std::move(what), seconds, std::move(why)});
    e.seconds += seconds;
  };
  double base = probes / cap;
  add("total", base, fmt::format("{} probes at {:.0f}/s", e.probes, cap));
  add("pacing", base / delivered_share - base, fmt::format("no second may hold more than the cap: {:.3g} % of it is used", delivered_share * 100));
  double open = plan.kind == "check" ? 0 : probes * input.open_share;
  e.conversations = open * conversations_per_port;
  add("conversations", e.conversations * frames_per_conversation / (cap * delivered_share),
      fmt::format("{:.0f} with {:.2g} % of the ports, {} packets each within the same cap", e.conversations, input.open_share * 100, frames_per_conversation));
  add("segments", static_cast<double>(e.segments) * turn_around_seconds, fmt::format("{} reservations on the disk and in the log", e.segments));
  double look = std::min({std::max(probes / 100, 1000.0), probes / 5, 50'000.0});
  add("second look", plan.kind == "check" ? 0 : look / (cap * delivered_share) + window, fmt::format("{:.0f} probes asked again: the loss, measured", look));
  bool overlaps = static_cast<double>(plan.segment_size) / cap >= 2 * window;  // engine.cc, may_reserve()
  add("answer windows", overlaps ? window : window * static_cast<double>(e.segments),
      overlaps ? "one at the end; the others pass while the next segment is sent" : "one after each segment: they are short, and wait for each other");

  // What a cap adds beyond that: the slowest network, the slowest target.
  double so_far = e.seconds;
  auto share = probe_rates(m);
  double largest = static_cast<double>(plan.space.largest24());
  double net = largest * slots / (share.rate_per_24_pps * delivered_share);
  add("per /24", std::max(0.0, net - so_far), fmt::format("the largest holds {:.0f} targets: {:.0f} probes at {}/s take {:.0f} s", largest, largest * slots, share.rate_per_24_pps, net));
  so_far = std::max(so_far, net);
  double target = slots / share.rate_per_target_pps;
  add("per target", std::max(0.0, target - so_far), fmt::format("{:.0f} probes at {}/s take {:.1f} s", slots, share.rate_per_target_pps, target));
  double days = std::ceil(slots / std::max<std::uint32_t>(1, share.probes_per_target_per_day));
  so_far = e.seconds;
  add("per target and day", std::max(0.0, (days - 1) * 86'400 - so_far), fmt::format("{:.0f} probes, {} a day", slots, share.probes_per_target_per_day));
  double hours = (m.window_to_min - m.window_from_min) / 60.0;
  so_far = e.seconds;
  double full_days = std::floor(so_far / (hours * 3600));
  add("hours", full_days * (24 - hours) * 3600, fmt::format("{:02}:{:02} to {:02}:{:02} UTC", m.window_from_min / 60, m.window_from_min % 60, m.window_to_min / 60, m.window_to_min % 60));
  e.pps = probes / std::max(1e-9, so_far);
  return e;
}

}  // namespace nora::survey
