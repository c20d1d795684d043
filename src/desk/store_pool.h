// StorePool: connections for handler threads, one per page at a time, because a Db belongs to one thread. Used by every desk page and UserStore.
// Any thread. Limits: max_idle connections are kept; more are opened when needed (the server's handler threads bound their number) and closed.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/guarded.h"
#include "registry/registry.h"

namespace nora::desk {

class StorePool {
 public:
  static constexpr std::size_t max_idle = 16;
  using Opener = std::function<Result<std::unique_ptr<store::Db>>()>;
  explicit StorePool(Opener opener) : opener_(std::move(opener)) {}

  // Holds a connection for the length of one page and gives it back.
  class Lease {
   public:
    Lease(StorePool& pool, std::unique_ptr<store::Db> db) : pool_(&pool), db_(std::move(db)), registry_(*db_) {}
    Lease(Lease&& other) noexcept : pool_(other.pool_), db_(std::move(other.db_)), registry_(std::move(other.registry_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() { if (db_) pool_->give_back(std::move(db_)); }
    store::Db& db() { return *db_; }
    registry::Registry& registry() { return registry_; }

   private:
    StorePool* pool_;
    std::unique_ptr<store::Db> db_;
    registry::Registry registry_;
  };
  // Errors: what opening gave (environment, failed).
  Result<Lease> lease();

 private:
  void give_back(std::unique_ptr<store::Db> db);
  Opener opener_;
  Guarded<std::vector<std::unique_ptr<store::Db>>> idle_;
};

}  // namespace nora::desk
