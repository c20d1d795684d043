// Spool: everything a survey yields, one JSON line each, in order, on the node's own disk. Delivery: hands the lines to a ReplySink from a kept
// offset. So the center may be away for a day and nothing is lost or doubled. Used by the engine (writes) and its courier (delivers); one
// thread each, one process (the run holds the directory's lock). Files in the spool directory: results.ndjson, delivered (the offset).
// What was delivered stays in the file until the disk is wanted; then it becomes a hole (zeros), never what was not delivered.
#pragma once

#include <filesystem>
#include <string>

#include "base/files.h"
#include "survey/sink.h"

namespace nora::survey {

inline constexpr std::uint64_t default_spool_bytes = std::uint64_t{64} << 30;  // a day of 700 KiB/s (10,000 probes/s, 4 % replies of 1.8 KB)
inline constexpr std::uint64_t spool_disk_reserve = std::uint64_t{128} << 20;  // sending stops while the disk has less

class Spool {
 public:
  static Result<Spool> open(const std::filesystem::path& dir);
  // fence: token of the segment's lease; 0: there is one node only.
  void add(const registry::ReplyRecord& record, std::int64_t fence = 0);
  void add(const registry::Outcome& outcome, std::int64_t fence = 0);
  void add(const registry::Survey& survey);
  void add(const registry::Segment& segment, std::string_view leaf, Instant at);
  Status flush(bool sync);  // sync: on the disk when it returns. Errors: interrupted (disk full); what was not written stays here
  std::uint64_t size() const { return size_; }  // written; what is buffered not

 private:
  Spool() = default;
  Fd file_;
  std::string buffer_;
  std::uint64_t size_ = 0;
};

class Delivery {
 public:
  static Result<Delivery> open(const std::filesystem::path& dir);
  // Hands at most max_lines of what lies before `end` to the sink; moves the offset when the sink took them. Returns how many bytes are left.
  Result<std::uint64_t> deliver(ReplySink& sink, std::uint64_t end, std::size_t max_lines = 2000);
  std::uint64_t delivered() const { return delivered_; }
  void give_back_disk();

 private:
  Delivery() = default;
  Status keep_offset();
  Fd file_, offset_;
  std::uint64_t delivered_ = 0, holed_ = 0;
};

}  // namespace nora::survey
