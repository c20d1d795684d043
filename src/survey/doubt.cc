#include "survey/doubt.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/files.h"
#include "survey/record.h"

namespace nora::survey {
namespace {

constexpr std::size_t max_segment_bytes = std::size_t{4} * max_segment * record_bytes;  // a segment sent up to four times over

}  // namespace

std::deque<Order> orders_of(const std::vector<std::uint64_t>& places) {
  std::deque<Order> out;
  Order list;
  auto put_list = [&] {
    if (!list.places.empty()) out.push_back(std::move(list));
    list = {};
  };
  for (std::size_t i = 0; i < places.size();) {
    auto end = i + 1;
    while (end < places.size() && places[end] == places[end - 1] + 1) ++end;
    if (end - i > max_order_places) {
      put_list();
      out.push_back({places[i], places[end - 1] + 1, {}, false});
    } else {
      for (auto k = i; k < end; ++k) {
        list.places.push_back(places[k]);
        if (list.places.size() == max_order_places) put_list();
      }
    }
    i = end;
  }
  put_list();
  return out;
}

std::optional<std::uint64_t> index_of(const Record& r, const Plan& plan, const std::vector<std::string>& probe_ids) {
  auto ip = plan.space.from_record_address(r.dest);
  if (!ip || r.probe >= probe_ids.size()) return std::nullopt;
  for (auto proto : {Proto::tcp, Proto::udp})
    if (auto index = plan.space.find(*ip, probe_ids[r.probe], proto, r.port)) return index;
  return std::nullopt;
}

Result<Doubt> doubt(const Plan& plan, const Permutation& permutation, const std::vector<std::string>& probe_ids, const std::filesystem::path& file,
                    const DoubtQuestion& q, const Answered& answered) {
  Doubt out;
  auto size = static_cast<std::size_t>(q.to - q.from);
  std::vector<std::uint8_t> state(size, 0);  // 0: no record; 1: settled; 2: in doubt
  if (std::filesystem::exists(file)) {
    NORA_TRY(auto text, read_file(file, max_segment_bytes));
    if (auto cut = text.size() % record_bytes; cut != 0) {
      text.resize(text.size() - cut);
      if (truncate(file.c_str(), static_cast<off_t>(text.size())) != 0) return fail(Code::failed, file.string() + ": " + errno_text(errno));
    }
    NORA_TRY(auto records, read_records(as_bytes(text)));
    out.recorded = records.size();
    auto window = Span::ms(plan.answer_window_ms);
    for (const auto& r : records) {
      auto index = index_of(r, plan, probe_ids);
      if (!index) return fail(Code::failed, file.string() + " holds a probe that is not of this plan");
      auto place = permutation.place(*index);
      if (place < q.from || place >= q.to) continue;
      state[place - q.from] = answered.contains(*index) || r.at + window <= q.heard_until ? 1 : 2;
    }
  }
  std::vector<std::uint64_t> again;
  for (std::size_t i = 0; i < size; ++i) {
    if (state[i] == 0 && !q.all_sent) out.places.push_back(q.from + i);
    if (state[i] == 2) again.push_back(q.from + i);
  }
  if (again.size() > q.at_most_again) {
    out.unheard = again.size() - q.at_most_again;
    again.erase(again.begin(), again.end() - static_cast<std::ptrdiff_t>(q.at_most_again));
  }
  out.again = again.size();
  out.places.insert(out.places.end(), again.begin(), again.end());
  std::sort(out.places.begin(), out.places.end());
  return out;
}

}  // namespace nora::survey
