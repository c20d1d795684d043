// OptOutFile: the list of those who want to be left alone, as it grows while surveys run: the sender and the wall read it each second
// (law/mandate.h, nora-wall --opt-out). Used by the page on the scan source address and by `nora optout`. Each entry is written whole
// (rename) and synced before add() returns; any number of processes (flock). The audit leaf is the caller's, before add().
// Lines: "203.0.113.7/32 # 2026-11-25T03:12:00Z self-service: words". Limit: law::max_opt_out_bytes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/ip.h"

namespace nora::law {

struct OptOutEntry {
  Prefix prefix;
  std::string remark;  // when, who and why, as it stands in the file
};

class OptOutFile {
 public:
  static constexpr std::size_t max_remark_bytes = 200;
  // Makes the file when there is none. Errors: failed (the file cannot be read or made), bad_input (its line).
  static Result<OptOutFile> open(std::filesystem::path file);
  // `who` and `reason`: one line each. False: the prefix is covered already and nothing was written.
  Result<bool> add(const Prefix& prefix, std::string_view who, std::string_view reason, Instant at);
  // Takes an entry out again; only the very prefix. False: it is not there.
  Result<bool> remove(const Prefix& prefix);
  Result<std::vector<OptOutEntry>> list() const;
  const std::filesystem::path& path() const { return file_; }

 private:
  explicit OptOutFile(std::filesystem::path file) : file_(std::move(file)) {}
  std::filesystem::path file_;
};

}  // namespace nora::law
