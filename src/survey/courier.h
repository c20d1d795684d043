// Courier: the engine's dealings with the center, on a thread of its own, so that a slow or absent store never keeps the engine from receiving.
// It delivers the spool; and where several nodes share a survey it joins it, leases segments ahead, renews them, and holds this node's share
// of the mandate's rates. Used by the engine; every function may be called from the engine's thread.
// A center that is away: the spool waits; leases and share are used until they end (the node's autonomy), not longer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/env.h"
#include "registry/nodes.h"
#include "survey/plan.h"
#include "survey/spool.h"

namespace nora::survey {

// Several nodes on one survey.
struct SharedOptions {
  std::string store;                   // URL
  std::string node;                    // name of this node; the same after a restart
  std::int64_t nodes_max = 1;          // how many may work on the survey at once
  Span autonomy = Span::minutes(10);   // how long leases and share last when the center is away, and how long a dead node blocks its segments
};

class Courier {
 public:
  struct Lease {
    std::int64_t n = 0, fence = 0;
    Span until{};  // monotonic; nothing of it may be sent after this
  };
  struct Share {
    registry::Rates rates;  // what may be used now
    Span until{};           // monotonic
    std::int64_t holders = 1;
    bool operator==(const Share&) const = default;
  };
  // sink: none = nothing is delivered. It is used on the courier's thread only.
  Courier(std::filesystem::path dir, ReplySink* sink, Env env) : dir_(std::move(dir)), sink_(sink), env_(env) {}
  ~Courier() { stop(); }
  Courier(const Courier&) = delete;

  // Before start(). cap: the mandate's. segments: of the plan; per_second: how many of them a node sends at the whole rate.
  struct Shared {
    SharedOptions options;
    std::string survey;
    Hash mandate{};
    registry::Rates cap;
    std::int64_t segments = 0;
    double segments_per_second = 1;
  };
  // Joins the survey at once. Errors: as Nodes::join, environment (the store cannot be reached).
  Status share(Shared shared);
  Status start();
  // Ends the thread. Delivers before that for at most `patience`, and leaves a shared survey with this summary.
  void finish(Span patience, const std::string& summary);

  void grew(std::uint64_t spool_size) { spool_size_ = spool_size; }
  std::uint64_t waiting_bytes() const;  // in the spool, not yet taken by the store; 0 without a sink
  bool down() const { return down_; }
  std::int64_t late() const { return late_; }
  void give_back_disk() { holes_wanted_ = true; }

  bool shared() const { return shared_.has_value(); }
  std::int64_t slot() const { return slot_; }
  std::optional<Lease> take();                  // the next leased segment, if there is one
  std::optional<Lease> lease(std::int64_t n);   // as it stands now; nothing: it was lost
  void returned(std::int64_t n);                // committed (its commit is in the spool before spool_size), or given up
  bool all_committed() const { return all_committed_; }  // every segment of the plan, by whatever node
  Share share_now();
  void in_force(registry::Rates rates);         // the most that this node uses from now on

 private:
  void run();
  void stop();
  void deliver();
  void look_after();
  Status look_after(registry::Registry& registry);
  Status leave(registry::Registry& registry, const std::string& summary);
  struct Held {
    Lease lease;
    bool taken = false, lost = false;
    std::uint64_t until_delivered = 0;  // returned: forget it once the spool is delivered up to here
  };

  std::filesystem::path dir_;
  ReplySink* sink_;
  Env env_;
  std::optional<Delivery> delivery_;
  std::optional<registry::Registry> registry_;  // for leases; the sink has its own
  std::optional<Shared> shared_;
  std::int64_t slot_ = 0;
  std::atomic<std::uint64_t> spool_size_ = 0, delivered_ = 0;
  std::atomic<std::int64_t> late_ = 0;
  std::atomic<bool> down_ = false, all_committed_ = false, holes_wanted_ = false;
  mutable std::mutex lock_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::map<std::int64_t, Held> held_;
  Share share_;
  registry::Rates in_force_;
  Span last_look_{}, next_delivery_{}, last_complaint_{};
  std::thread thread_;
};

}  // namespace nora::survey
