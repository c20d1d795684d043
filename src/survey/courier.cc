#include "survey/courier.h"

#include <algorithm>
#include <cmath>

#include "survey/engine.h"

namespace nora::survey {
namespace {

constexpr Span look_every = Span::seconds(1), tick = Span::ms(100), pause_when_down = Span::seconds(2), complain_every = Span::seconds(30);
// A lease is given up locally before the store may give it to another.
Span safe(Span lease) { return lease - std::max(Span::seconds(1), Span{lease.us / 10}); }
constexpr std::int64_t max_ahead = 4096;

}  // namespace

Status Courier::share(Shared shared) {
  NORA_TRY(auto registry, registry::Registry::open(shared.options.store));
  registry_.emplace(std::move(registry));
  registry::Nodes nodes(registry_->db());
  NORA_TRY(auto now, nodes.now());
  NORA_TRY(slot_, nodes.join(shared.survey, shared.options.node, now, shared.options.autonomy));
  shared_.emplace(std::move(shared));
  return {};
}

Status Courier::start() {
  NORA_TRY(auto delivery, Delivery::open(dir_));
  delivery_.emplace(std::move(delivery));
  delivered_ = delivery_->delivered();
  if (shared_) {
    // Segments that this node held before a restart are still its own: their tokens are the same.
    registry::Nodes nodes(registry_->db());
    NORA_TRY(auto now, nodes.now());
    NORA_TRY(auto own, registry_->segments_of(shared_->survey, shared_->options.node, now, shared_->segments));
    for (const auto& x : own) held_[x.number] = {{x.number, x.fence, {}}, false, false, 0};
    NORA_CHECK(look_after(*registry_));
  }
  thread_ = std::thread([this] { run(); });
  return {};
}

std::uint64_t Courier::waiting_bytes() const {
  if (sink_ == nullptr) return 0;
  auto size = spool_size_.load(), done = delivered_.load();
  return size > done ? size - done : 0;
}

void Courier::run() {
  for (;;) {
    {
      std::unique_lock hold(lock_);
      if (ending_) return;
      wake_.wait_for(hold, std::chrono::microseconds(tick.us), [&] { return ending_; });
      if (ending_) return;
    }
    deliver();
    if (shared_ && env_.clock.monotonic() - last_look_ >= look_every) look_after();
  }
}

void Courier::deliver() {
  if (holes_wanted_.exchange(false)) delivery_->give_back_disk();
  auto t = env_.clock.monotonic();
  if (sink_ == nullptr || t < next_delivery_) return;
  while (delivery_->delivered() < spool_size_) {
    auto left = delivery_->deliver(*sink_, spool_size_);
    delivered_ = delivery_->delivered();
    if (sink_->late() > late_) {
      env_.log.warn(std::to_string(sink_->late() - late_) + " late results were refused: their segment went to another node");
      late_ = sink_->late();
    }
    if (!left) {
      if (!down_) env_.log.warn("the store does not take results (" + left.error().text() + "); they wait in the spool");
      down_ = true;
      next_delivery_ = env_.clock.monotonic() + pause_when_down;
      return;
    }
    std::unique_lock hold(lock_);
    if (ending_) return;
  }
  if (down_.exchange(false)) env_.log.info("the store takes results again");
}

void Courier::look_after() {
  last_look_ = env_.clock.monotonic();
  Status done;
  if (!registry_) {
    auto opened = open_again(shared_->options.store);
    if (opened) registry_.emplace(std::move(*opened));
    else done = std::unexpected(opened.error());
  }
  if (registry_) done = look_after(*registry_);
  if (done) return;
  registry_.reset();
  if (last_complaint_.us == 0 || last_look_ - last_complaint_ >= complain_every) {
    last_complaint_ = last_look_;
    env_.log.warn("the center cannot be reached (" + done.error().text() + "); this node goes on with the segments and the rate that it holds");
  }
}

// One round: membership, share, leases held, leases ahead.
Status Courier::look_after(registry::Registry& registry) {
  registry::Nodes nodes(registry.db());
  const auto& s = *shared_;
  auto asked = env_.clock.monotonic();  // leases end by this clock, counted from before the store was asked
  auto until = asked + safe(s.options.autonomy);
  NORA_TRY(auto now, nodes.now());
  NORA_CHECK(nodes.renew(s.survey, s.options.node, now + s.options.autonomy));

  registry::Rates in_force;
  {
    std::unique_lock hold(lock_);
    if (share_.until <= asked) in_force_ = {};  // it ended: nothing is used any more
    in_force = in_force_;
  }
  NORA_TRY(auto share, nodes.share(s.mandate, s.survey + "/" + s.options.node, s.cap, in_force, now, s.options.autonomy));
  registry::Fences held;
  {
    std::unique_lock hold(lock_);
    share_ = {{std::min(share.granted.pps, share.fair.pps), std::min(share.granted.per_24_pps, share.fair.per_24_pps)}, until, share.holders};
    for (auto at = held_.begin(); at != held_.end();) {
      if (at->second.until_delivered != 0 && delivered_ >= at->second.until_delivered) {
        at = held_.erase(at);
        continue;
      }
      if (!at->second.lost) held[segment_id(s.survey, at->first)] = at->second.lease.fence;
      ++at;
    }
  }
  NORA_TRY(auto lost, registry.renew_segments(held, now + s.options.autonomy));
  std::int64_t ready = 0;
  {
    std::unique_lock hold(lock_);
    for (auto& [n, h] : held_) {
      if (std::find(lost.begin(), lost.end(), segment_id(s.survey, n)) != lost.end()) h.lost = h.until_delivered == 0;
      else if (!h.lost) h.lease.until = until;
      ready += !h.taken && !h.lost;
    }
    std::erase_if(held_, [](const auto& h) { return h.second.lost && !h.second.taken; });
  }
  NORA_TRY(auto left, registry.segments_left(s.survey, now, s.segments));
  all_committed_ = left.first == 0;
  // Ahead: what this node sends within its autonomy, but never more than its part of half of what is left, so that nobody idles at the end.
  double mine = s.segments_per_second * static_cast<double>(share.fair.pps) / static_cast<double>(std::max<std::int64_t>(1, s.cap.pps));
  auto ahead = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(mine * s.options.autonomy.as_seconds())), 1, max_ahead);
  ahead = std::min(ahead, std::max<std::int64_t>(1, left.second / (2 * share.holders)));
  if (left.second > 0 && ready < ahead) {
    NORA_TRY(auto leased, registry.lease_segments(s.survey, s.options.node, now, s.options.autonomy, s.segments, static_cast<std::size_t>(ahead - ready)));
    std::unique_lock hold(lock_);
    for (const auto& x : leased) held_[x.number] = {{x.number, x.fence, until}, false, false, 0};
  }
  return {};
}

std::optional<Courier::Lease> Courier::take() {
  std::unique_lock hold(lock_);
  for (auto& [n, h] : held_) {
    if (h.taken || h.lost || h.lease.until <= env_.clock.monotonic()) continue;
    h.taken = true;
    return h.lease;
  }
  return std::nullopt;
}

std::optional<Courier::Lease> Courier::lease(std::int64_t n) {
  std::unique_lock hold(lock_);
  auto at = held_.find(n);
  if (at == held_.end() || at->second.lost) return std::nullopt;
  return at->second.lease;
}

void Courier::returned(std::int64_t n) {
  std::unique_lock hold(lock_);
  auto at = held_.find(n);
  if (at == held_.end()) return;
  if (at->second.lost) held_.erase(at);
  else at->second.until_delivered = std::max<std::uint64_t>(1, spool_size_);
}

Courier::Share Courier::share_now() {
  std::unique_lock hold(lock_);
  return share_;
}

void Courier::in_force(registry::Rates rates) {
  std::unique_lock hold(lock_);
  if (in_force_ == rates) return;
  in_force_ = rates;
}

void Courier::stop() {
  {
    std::unique_lock hold(lock_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Courier::finish(Span patience, const std::string& summary) {
  stop();
  ending_ = false;
  auto until = env_.clock.monotonic() + patience;
  while (waiting_bytes() > 0) {
    next_delivery_ = {};
    deliver();
    if (!down_ || env_.clock.monotonic() >= until) break;
    env_.clock.sleep(Span::ms(500));
  }
  if (!shared_) return;
  // Its share goes to the others at once; its segments when their leases end.
  if (!registry_)
    if (auto opened = open_again(shared_->options.store)) registry_.emplace(std::move(*opened));
  if (!registry_) return;
  if (auto left = leave(*registry_, summary); !left) env_.log.warn("the shared survey could not be left: " + left.error().text());
}

// Segments that were leased ahead and not begun are free at once; the last one out closes the survey.
Status Courier::leave(registry::Registry& registry, const std::string& summary) {
  registry::Nodes nodes(registry.db());
  const auto& s = *shared_;
  registry::Fences untouched;
  for (const auto& [n, h] : held_)
    if (!h.taken && !h.lost) untouched[segment_id(s.survey, n)] = h.lease.fence;
  NORA_CHECK(registry.release_segments(untouched));
  NORA_CHECK(nodes.give_back(s.mandate, s.survey + "/" + s.options.node));
  NORA_TRY(auto now, nodes.now());
  NORA_CHECK(nodes.leave(s.survey, s.options.node, now, summary));
  NORA_TRY(auto left, registry.segments_left(s.survey, now, s.segments));
  NORA_TRY(auto members, nodes.members(s.survey, now));
  if (left.first > 0 || std::any_of(members.begin(), members.end(), [](const auto& m) { return m.alive; })) return {};
  NORA_TRY(auto survey, registry.survey(s.survey));
  if (!survey) return {};
  survey->finished = now;
  survey->sent = survey->replies = 0;
  json::Array all;
  for (const auto& m : members) {
    auto o = json::parse_object(m.summary.empty() ? "{}" : m.summary);
    if (!o) continue;
    survey->sent += json::int_or(*o, "sent", 0);
    survey->replies += json::int_or(*o, "replies", 0);
    (*o)["node"] = m.node;
    all.push_back(std::move(*o));
  }
  survey->summary = json::text(json::Object{{"type", "summary"}, {"survey", s.survey}, {"complete", true}, {"sent", survey->sent}, {"replies", survey->replies}, {"nodes", std::move(all)}});
  return registry.put_survey(*survey);
}

}  // namespace nora::survey
