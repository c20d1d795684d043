// DailyCounts: how many probes each target had today, kept in a file, so that the mandate's daily cap outlives a process and is shared by
// all surveys and checks of a party. Used by the sender (probes) and the engine (conversations), a file each. Counts are added under a lock
// (flock), never overwritten. One owner per object; any number of processes per file.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/ip.h"
#include "law/budget.h"

namespace nora::survey {

class DailyCounts {
 public:
  // file empty: nothing is kept. The folder is made. Errors: failed (the file cannot be read or is not what it should be).
  static Result<DailyCounts> open(std::filesystem::path file, law::Budget& budget, Instant now);
  // Adds what the budget counted since the last call. Errors: failed (disk): the caller stops, because a cap that is not kept is no cap.
  Status keep(const law::Budget& budget, Instant now);

 private:
  using Counts = std::map<Ip, std::uint32_t>;
  static Result<Counts> parse(std::string_view text, std::string_view day);
  std::filesystem::path file_;
  std::string day_;
  Counts kept_;  // what of our own counts, with what we began with, the file already has
};

}  // namespace nora::survey
