// The wall's opt-out lists: read again each second, old or new, and the signed list whatever happens to its file. Used by nora-wall and its tests.
// One owner, one thread. Limits: 64 MiB a file.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "law/wall.h"

namespace nora::law::wall {

inline constexpr std::int64_t fresh_opt_out_s = 60;  // the sender reads its lists at least this often

class OptOutBook {
 public:
  // `signed_hex`: what the mandate says, "none" or 64 digits.
  OptOutBook(std::vector<std::filesystem::path> files, std::string signed_hex) : files_(std::move(files)), signed_hex_(std::move(signed_hex)) {}
  // What is opted out at the start. Errors: refused when the list that the mandate names is not among the files; bad_input, failed.
  Result<OptOuts> first();
  // The same now, if it is not what was last returned. An unreadable list is an error: the wall closes.
  Result<std::optional<OptOuts>> next(std::int64_t now_s);

 private:
  Result<OptOuts> read(bool first, std::int64_t now_s, std::map<std::string, std::int64_t>& seen);
  std::vector<std::filesystem::path> files_;
  std::string signed_hex_;
  std::vector<Net> signed_;
  std::map<std::string, std::int64_t> seen_;  // prefix -> second at which it was first read; 0 = at the start
  std::size_t fresh_ = 0;
};

}  // namespace nora::law::wall
