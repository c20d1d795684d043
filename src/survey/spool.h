// Spool: everything a survey yields, one JSON line each, in order, on the node's own disk; delivered to a ReplySink from a kept offset. So
// the center may be away for a day and nothing is lost or doubled. Used by the engine. One thread, one process (the run holds the
// directory's lock). Files in the spool directory: results.ndjson, delivered (the offset).
#pragma once

#include <filesystem>
#include <string>

#include "base/files.h"
#include "survey/sink.h"

namespace nora::survey {

class Spool {
 public:
  static Result<Spool> open(const std::filesystem::path& dir);
  void add(const registry::ReplyRecord& record);
  void add(const registry::Outcome& outcome);
  void add(const registry::Survey& survey);
  void add(const registry::Segment& segment, std::string_view leaf, Instant at);
  Status flush(bool sync);  // sync: on the disk when it returns. Errors: failed (disk full)
  // Hands at most max_lines to the sink; moves the offset when the sink took them. Returns how many lines are left (0: all delivered).
  Result<std::uint64_t> deliver(ReplySink& sink, std::size_t max_lines = 2000);
  std::uint64_t pending_bytes() const { return size_ + buffer_.size() - delivered_; }

 private:
  Spool() = default;
  Status keep_offset();
  std::filesystem::path dir_;
  Fd file_, offset_;
  std::string buffer_;
  std::uint64_t size_ = 0, delivered_ = 0;
};

}  // namespace nora::survey
