// Journal: what a run has done, so that a run killed at any moment goes on: segments reserved, sent, committed; ports found open; ports
// visited. Append-only lines in the spool directory (journal.ndjson); reserve and commit are on the disk before the next step. Used by the
// engine, `nora scan status`. One process at a time: the directory is locked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/instant.h"
#include "base/ip.h"
#include "base/json.h"
#include "survey/permutation.h"

namespace nora::survey {

struct JournalState {
  struct Segment {
    std::uint64_t from = 0, to = 0;
    std::int64_t fence = 0;  // token of its lease; 0: there is one node only
    bool sent = false, committed = false;
    bool lost = false;       // it went to another node, or was given up
    int times = 0;           // how often it was reserved: above 1 = it was in doubt, and what was in doubt was sent again
    std::int64_t frames = 0, refused = 0;
  };
  std::map<std::int64_t, Segment> segments;
  struct Open {
    Ip ip;
    std::uint16_t port = 0;
    std::int64_t segment = 0;
    std::string path;  // of a UPnP description; empty for a port found by SYN
    auto operator<=>(const Open&) const = default;
  };
  std::set<Open> to_visit;
  std::map<std::int64_t, std::int64_t> visits;  // how many of them came of which segment; none: not in it
  bool waits(Ip ip, std::uint16_t port) const;  // is a port that was found by SYN still to be visited?
  std::int64_t received = 0, unique = 0, duplicates = 0, replies = 0, conversations = 0;  // counts of earlier runs
  Span earlier{};                                                                         // time that earlier runs took
  std::map<std::string, std::int64_t> refused_by;
  std::int64_t again = 0, again_at_most = 0, unheard = 0;  // probes sent twice (known, at most), and answers that may be lost
  bool finished = false;
  int runs = 0;
  struct RunKey {
    Instant at;  // from then on
    Key key{};
  };
  std::vector<RunKey> keys;       // of the runs' random bytes: with them every probe can be shown to the byte (whodid.h)
  std::string boot;               // of the last run: another one = the machine went down in between
  Instant heard, heard_on_disk;   // all answers up to then are in the files; in the files and synced
  Instant heard_until(std::string_view boot_now) const { return boot_now == boot ? heard : heard_on_disk; }
};

std::string boot_id();  // of the running kernel

class Journal {
 public:
  // Locks the directory, reads what is there. Errors: failed (another run holds it; the disk).
  static Result<Journal> open(const std::filesystem::path& dir);
  // Reads only, without the lock, for `nora scan status`.
  static Result<JournalState> read(const std::filesystem::path& dir);
  // Is a run at work in this directory?
  static bool held(const std::filesystem::path& dir);
  const JournalState& state() const { return state_; }
  void add(json::Object line);  // buffered; applied to state() at once
  // Errors: interrupted (disk full); what was not written stays here.
  Status flush_visits();  // the "open" and "visited" lines alone: an answer may be on the disk only when the visit that it leads to is
  Status flush(bool sync);

 private:
  Journal() = default;
  static void apply(JournalState& state, const json::Object& line);
  static Result<JournalState> replay(int fd, std::uint64_t& whole);
  Fd file_, lock_;
  Status write(std::string& lines);
  std::string visits_, buffer_;  // "open" and "visited"; everything else
  std::uint64_t size_ = 0;
  JournalState state_;
};

}  // namespace nora::survey
