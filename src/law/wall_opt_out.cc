// The opt-out lists of the wall (law/wall_opt_out.h).
#include "law/wall_opt_out.h"

#include "base/crypto.h"
#include "base/files.h"

namespace nora::law::wall {
namespace {
constexpr std::size_t max_file_bytes = 64u << 20;
}

Result<OptOuts> OptOutBook::read(bool first, std::int64_t now_s, std::map<std::string, std::int64_t>& seen) {
  OptOuts out;
  bool found = signed_hex_ == "none";
  for (const auto& file : files_) {
    NORA_TRY(const std::string text, read_file(file, max_file_bytes));
    NORA_TRY(const auto nets, read_opt_out(text));
    const bool is_signed = to_hex(sha256(as_bytes(text))) == signed_hex_;
    if (is_signed && first) signed_ = nets;
    found = found || is_signed;
    for (const auto& n : nets) {
      const auto before = seen_.find(n.text);
      const std::int64_t since = first ? 0 : before != seen_.end() ? before->second : now_s;
      if (!seen.emplace(n.text, since).second) continue;
      (now_s - since >= fresh_opt_out_s ? out.settled : out.fresh).push_back(n);
    }
  }
  if (first && !found) return fail(Code::refused, "wall: the opt-out list that the mandate names is missing or altered");
  for (const auto& n : signed_)
    if (seen.emplace(n.text, 0).second) out.settled.push_back(n);
  return out;
}

Result<OptOuts> OptOutBook::first() {
  std::map<std::string, std::int64_t> seen;
  NORA_TRY(OptOuts now, read(true, fresh_opt_out_s, seen));
  seen_ = std::move(seen);
  fresh_ = now.fresh.size();
  return now;
}

Result<std::optional<OptOuts>> OptOutBook::next(std::int64_t now_s) {
  std::map<std::string, std::int64_t> seen;
  NORA_TRY(OptOuts now, read(false, now_s, seen));
  if (seen == seen_ && now.fresh.size() == fresh_) return std::optional<OptOuts>();
  seen_ = std::move(seen);
  fresh_ = now.fresh.size();
  return std::optional(std::move(now));
}

}  // namespace nora::law::wall
