// DailyLedger: how many probes each target had today, so that the mandate's daily cap outlives a process and is shared by all surveys and
// checks of a party. Used by law::Budget. IPv4: two bytes per address in a sparse file that every process of the party maps (a killed process
// loses nothing; a power cut at most what was not yet synced). IPv6, whose targets are listed: a text file, added to under a lock at sync().
// Without a folder the counts live in memory. One owner per object; any number of processes per folder.
// Limits: counts stop at 65,535 a day (a higher cap acts as 65,535); disk: 128 KiB for each /16 that has a target.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "base/instant.h"
#include "base/ip.h"

namespace nora::law {

class DailyLedger {
 public:
  static constexpr std::size_t max_v6 = 4u << 20;  // IPv6 targets of one day
  DailyLedger() = default;                         // in memory
  DailyLedger(DailyLedger&&) noexcept;
  DailyLedger& operator=(DailyLedger&&) noexcept;
  ~DailyLedger();
  // folder: made if missing. Errors: failed (the folder or a file of today cannot be read or written; the file names itself).
  static Result<DailyLedger> open(std::filesystem::path folder, Instant now);

  enum class Taken { yes, cap_reached, cannot_be_kept };  // cannot_be_kept: memory or disk is full
  // Counts `packets` for the target if the day's count stays within `cap`.
  Taken take(Ip target, std::uint32_t packets, std::uint32_t cap, Instant now);
  std::uint32_t count(Ip target, Instant now);
  void prefetch(Ip target) const {
    if (!counts_ || !target.is_v4() || !present_[target.v4_value() >> 16]) return;
    // A load, not a prefetch: where a page walk is needed (always, in so large a map) prefetches are dropped; loads overlap.
    static_cast<void>(*static_cast<const volatile std::uint16_t*>(&counts_[target.v4_value()]));
  }
  // Puts the day's counts on the disk. Errors: failed (the caller stops: a cap that is not kept is no cap).
  Status sync(Instant now);

 private:
  Status begin_day(std::int64_t day);
  bool room_for(std::uint32_t v4);  // the /16 of the address has memory or disk
  Status add_v6_of_others();
  Status keep_v6();

  std::filesystem::path folder_;
  std::int64_t day_ = -1;
  Fd file_;
  std::uint16_t* counts_ = nullptr;  // 2^32 of them, mapped; touched pages alone cost anything
  std::vector<bool> present_;        // by /16
  struct Six {
    std::uint32_t today = 0, kept = 0;  // kept: what of `today` the file already has
  };
  std::unordered_map<Ip, Six> six_;
};

}  // namespace nora::law
