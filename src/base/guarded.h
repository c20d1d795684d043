// Guarded<T>: data reachable only through the held lock. Used wherever threads share state.
// with([](T&){…}) holds the lock for the length of the call; never call out to unknown code inside it.
#pragma once

#include <mutex>
#include <utility>

namespace nora {

template <class T>
class Guarded {
 public:
  template <class... A>
  explicit Guarded(A&&... args) : value_(std::forward<A>(args)...) {}
  template <class F>
  decltype(auto) with(F&& f) {
    std::lock_guard lock(mutex_);
    return std::forward<F>(f)(value_);
  }
  template <class F>
  decltype(auto) with(F&& f) const {
    std::lock_guard lock(mutex_);
    return std::forward<F>(f)(value_);
  }

 private:
  mutable std::mutex mutex_;
  T value_;
};

}  // namespace nora
