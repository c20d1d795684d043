#include "desk/store_pool.h"

namespace nora::desk {

Result<StorePool::Lease> StorePool::lease() {
  auto db = idle_.with([](auto& idle) -> std::unique_ptr<store::Db> {
    if (idle.empty()) return nullptr;
    auto last = std::move(idle.back());
    idle.pop_back();
    return last;
  });
  if (!db) {
    NORA_TRY(db, opener_());
  }
  return Lease(*this, std::move(db));
}

void StorePool::give_back(std::unique_ptr<store::Db> db) {
  idle_.with([&](auto& idle) {
    if (idle.size() < max_idle) idle.push_back(std::move(db));
  });
}

}  // namespace nora::desk
