// LeaseIndex: the directory behind a lookup. Used by `nora isp import` (writer) and match (reader).
// Files: CURRENT (JSON, names the others; replaced by rename, so a crash leaves the old or the new index), records-<hash>.seg (one per import:
// the new lease records), lookup-<hash>.seg (intervals sorted by prefix and start, mapped), lines-<hash>.txt, mape-<hash>.json. All but CURRENT are
// immutable. Every format carries a version; another version is refused with the fix (import again).
// Threads: a Reader is immutable and may be shared. Processes: one writer at a time (flock on LOCK), any number of readers.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/env.h"
#include "isp/customers.h"
#include "isp/lease_record.h"
#include "isp/mape.h"
#include "isp/sessions.h"

namespace nora::isp {

inline constexpr int index_version = 1;
inline constexpr std::size_t max_index_records = 200'000'000;

// One interval as stored. 136 bytes, little endian, sorted by (prefix length, base, start).
struct LookupEntry {
  std::array<std::uint8_t, 16> base;
  std::int64_t start, sure_start, sure_end, end, max_end;  // max_end: latest end of this prefix up to here, bounds the walk backwards
  std::int64_t shared_from, shared_to;
  std::uint64_t record_offset;
  std::uint32_t user, file, nas, session;  // string ids
  std::uint32_t clock_error_ms;
  std::uint8_t length, end_kind, clock_trusted, pad;
  std::array<std::uint8_t, 32> record_hash;
};
static_assert(sizeof(LookupEntry) == 136);

// An interval that touches the asked time.
struct Candidate {
  Instant start, sure_start, sure_end, end, shared_from, shared_to;
  EndKind end_kind;
  std::string_view user;         // log key; lives as long as the Reader
  std::string_view nas, session; // to name the session at the NAS
  std::string_view file;
  std::uint64_t offset;
  Hash hash;
  Span clock_error;
  bool clock_trusted;
};

class LeaseReader {
 public:
  // Errors: not_found (no index there), bad_input (damaged, other version).
  static Result<LeaseReader> open(const std::filesystem::path& dir);
  LeaseReader(LeaseReader&&) noexcept;
  LeaseReader& operator=(LeaseReader&&) noexcept;
  ~LeaseReader();

  // All intervals of prefixes that hold `ip` and overlap [from, to], whoever they belong to. At most max_candidates.
  static constexpr std::size_t max_candidates = 256;
  void find(Ip ip, Instant from, Instant to, std::vector<Candidate>& out) const;
  // The same for a whole prefix (a MAP-E user prefix): intervals of prefixes that hold all of it.
  void find(const Prefix& prefix, Instant from, Instant to, std::vector<Candidate>& out) const;
  const std::vector<MapeRule>& mape() const;
  // The line that owns a log key; the key itself where no customer file names it.
  LineId line_of(std::string_view log_key) const;
  bool has_customers() const;
  Instant covered_until() const;  // a later instant is not in the logs yet
  std::size_t size() const;

 private:
  struct Parts;
  explicit LeaseReader(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

struct IndexState {
  std::int64_t records = 0, intervals = 0, lines = 0, mape_rules = 0;
  std::map<std::string, NasClock> clocks;
};

class IndexWriter {
 public:
  // Makes the directory (0700) where needed and takes the lock. Errors: failed (another import runs), bad_input (damaged index).
  static Result<IndexWriter> open(const std::filesystem::path& dir);
  IndexWriter(IndexWriter&&) noexcept;
  ~IndexWriter();

  // True when the record was not known yet.
  bool add(LeaseRecord&& record);
  // A rule file or a customer file replaces the former one of the same name.
  void set_mape(std::string_view file, std::vector<MapeRule> rules);
  void set_lines(const std::vector<Customer>& customers);
  // Writes what is new, rebuilds the lookup and publishes it. Without news nothing but the time of coverage changes.
  Result<IndexState> commit(Instant now);

 private:
  struct Parts;
  explicit IndexWriter(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// The record codec of records-*.seg, shown for its round-trip test.
void put_record(Bytes& out, const LeaseRecord& record);
Result<LeaseRecord> get_record(ByteView bytes, std::size_t& pos);

}  // namespace nora::isp
