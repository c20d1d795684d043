// Limiter: at most N events a window per address (IPv6: per /64, one line) and M in all. Used by portal (codes, checks), desk and isp (logins).
// Any thread. Memory is bounded: max_tracked addresses, the oldest windows go first; when full of live windows, new addresses are refused.
#pragma once

#include <map>

#include "base/env.h"
#include "base/guarded.h"
#include "base/ip.h"

namespace nora::http {

class Limiter {
 public:
  static constexpr std::size_t max_tracked = 100'000;
  struct Rule { int per_peer; int in_all; Span window; };
  Limiter(Rule rule, Clock& clock) : rule_(rule), clock_(clock) {}
  bool allow(Ip peer);       // counts the event if it is allowed
  void give_back(Ip peer);   // uncounts one allowed event, for limits on failures only: count first, give back on success
  static Ip key(Ip peer);    // v4 as is, v6 cut to /64

 private:
  struct Count { Instant start; int events = 0; };
  struct State { std::map<Ip, Count> peers; Count all; };
  Rule rule_;
  Clock& clock_;
  Guarded<State> state_;
};

}  // namespace nora::http
