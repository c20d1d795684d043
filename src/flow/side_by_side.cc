#include "flow/side_by_side.h"

#include <thread>
#include <vector>

namespace nora::flow {

Status side_by_side(store::Db& own, const std::string& url, const std::function<Status(store::Db& db, int part)>& work) {
  std::vector<Status> done(static_cast<std::size_t>(parts_of(url)));
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < done.size(); ++i) {
      others.emplace_back([&, i] {
        done[i] = [&]() -> Status {
          NORA_TRY(auto db, store::Db::open(url));
          return work(*db, static_cast<int>(i));
        }();
      });
    }
    done[0] = work(own, 0);
  }
  for (auto& status : done) NORA_CHECK(status);
  return {};
}

}  // namespace nora::flow
