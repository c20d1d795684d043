#include "survey/spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace nora::survey {
namespace {

constexpr std::size_t read_bytes = 4u << 20;
constexpr std::uint64_t hole_bytes = 1u << 20;

json::Object to_json(const registry::Survey& s) {
  json::Object o{{"type", "survey"},    {"id", s.id},
                 {"kind", s.kind},      {"mandate", to_hex(s.mandate_hash)},
                 {"plan", s.plan},      {"started", s.started.text()},
                 {"sent", s.sent},      {"replies", s.replies},
                 {"summary", s.summary}};
  if (s.finished) o["finished"] = s.finished->text();
  return o;
}
Result<registry::Survey> survey_from(const json::Object& o) {
  registry::Survey s;
  NORA_TRY(s.id, json::get_string(o, "id"));
  NORA_TRY(s.kind, json::get_string(o, "kind"));
  NORA_TRY(auto mandate, json::get_string(o, "mandate"));
  NORA_TRY(s.mandate_hash, hash_from_hex(mandate));
  s.plan = json::string_or(o, "plan");
  NORA_TRY(s.started, json::get_instant(o, "started"));
  if (o.contains("finished")) {
    NORA_TRY(auto finished, json::get_instant(o, "finished"));
    s.finished = finished;
  }
  s.sent = json::int_or(o, "sent", 0);
  s.replies = json::int_or(o, "replies", 0);
  s.summary = json::string_or(o, "summary");
  return s;
}
struct StoredSegment {
  registry::Segment segment;
  std::string leaf;
  Instant at;
};
Result<StoredSegment> segment_from(const json::Object& o) {
  StoredSegment out;
  auto& s = out.segment;
  NORA_TRY(s.id, json::get_string(o, "id"));
  NORA_TRY(s.survey, json::get_string(o, "survey"));
  NORA_TRY(s.number, json::get_int(o, "number"));
  NORA_TRY(auto from, json::get_int(o, "from"));
  NORA_TRY(auto to, json::get_int(o, "to"));
  s.from = static_cast<std::uint64_t>(from);
  s.to = static_cast<std::uint64_t>(to);
  NORA_TRY(auto state, json::get_int(o, "state"));
  s.state = static_cast<registry::SegmentState>(state);
  s.sent = json::int_or(o, "sent", 0);
  s.fence = json::int_or(o, "fence", 0);
  NORA_TRY(auto hash, json::get_string(o, "file_hash"));
  NORA_TRY(s.file_hash, hash_from_hex(hash));
  out.leaf = json::string_or(o, "leaf");
  NORA_TRY(out.at, json::get_instant(o, "at"));
  return out;
}

}  // namespace

Result<Spool> Spool::open(const std::filesystem::path& dir) {
  Spool s;
  s.file_ = Fd(::open((dir / "results.ndjson").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!s.file_) return fail(Code::failed, "the spool in " + dir.string() + " cannot be opened: " + errno_text(errno));
  struct stat st{};
  fstat(s.file_.get(), &st);
  s.size_ = static_cast<std::uint64_t>(st.st_size);
  // A line that a crash cut short is not part of the spool: what it said is found again from the journal.
  while (s.size_ > 0) {
    char last;
    if (pread(s.file_.get(), &last, 1, static_cast<off_t>(s.size_ - 1)) == 1 && last == '\n') break;
    --s.size_;
  }
  if (ftruncate(s.file_.get(), static_cast<off_t>(s.size_)) != 0)
    return fail(Code::failed, "the spool cannot be cut: " + errno_text(errno));
  return s;
}

void Spool::add(const registry::ReplyRecord& r, std::int64_t fence) {
  auto line = survey::to_json(r);
  if (fence != 0) line["fence"] = fence;
  buffer_ += json::text(line) + "\n";
}
void Spool::add(const registry::Outcome& o, std::int64_t fence) {
  auto line = survey::to_json(o);
  if (fence != 0) line["fence"] = fence;
  buffer_ += json::text(line) + "\n";
}
void Spool::add(const registry::Survey& s) { buffer_ += json::text(to_json(s)) + "\n"; }
void Spool::add(const registry::Segment& s, std::string_view leaf, Instant at) {
  buffer_ += json::text(json::Object{{"type", "segment"},
                                     {"id", s.id},
                                     {"survey", s.survey},
                                     {"number", s.number},
                                     {"from", s.from},
                                     {"to", s.to},
                                     {"state", static_cast<int>(s.state)},
                                     {"sent", s.sent},
                                     {"fence", s.fence},
                                     {"file_hash", to_hex(s.file_hash)},
                                     {"leaf", leaf},
                                     {"at", at.text()}}) +
             "\n";
}

Status Spool::flush(bool sync) {
  if (!buffer_.empty()) {
    if (auto written = write_all(file_.get(), as_bytes(buffer_)); !written) {
      (void)ftruncate(file_.get(), static_cast<off_t>(size_));  // half a line in the middle would be damage; the whole of it waits here
      return fail(Code::interrupted, "the spool cannot be written: " + written.error().what, "free disk space, then `nora scan resume`");
    }
    size_ += buffer_.size();
    buffer_.clear();
  }
  if (sync && fsync(file_.get()) != 0)
    return fail(Code::interrupted, "the spool cannot be synced: " + errno_text(errno), "free disk space, then `nora scan resume`");
  return {};
}

Result<Delivery> Delivery::open(const std::filesystem::path& dir) {
  Delivery d;
  d.file_ = Fd(::open((dir / "results.ndjson").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  d.offset_ = Fd(::open((dir / "delivered").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct stat st{};
  if (!d.file_ || !d.offset_ || fstat(d.file_.get(), &st) != 0)
    return fail(Code::failed, "the spool in " + dir.string() + " cannot be opened: " + errno_text(errno));
  std::uint64_t kept = 0;
  if (pread(d.offset_.get(), &kept, sizeof kept, 0) == sizeof kept && kept <= static_cast<std::uint64_t>(st.st_size)) d.delivered_ = kept;
  return d;
}

Status Delivery::keep_offset() {
  if (pwrite(offset_.get(), &delivered_, sizeof delivered_, 0) != sizeof delivered_)
    return fail(Code::failed, "the spool's offset cannot be written: " + errno_text(errno));
  return {};
}

// What the store has need not stay here when the disk is wanted: holes keep every offset as it is.
void Delivery::give_back_disk() {
  auto whole = delivered_ / hole_bytes * hole_bytes;
  if (whole <= holed_) return;
  if (fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(holed_), static_cast<off_t>(whole - holed_)) == 0)
    holed_ = whole;
}

Result<std::uint64_t> Delivery::deliver(ReplySink& sink, std::uint64_t end, std::size_t max_lines) {
  Batch batch;
  std::uint64_t taken = 0;
  std::size_t lines = 0;
  auto put = [&]() -> Status {
    if (!batch.empty()) NORA_CHECK(sink.put(batch));
    batch = {};
    if (taken == 0) return {};
    delivered_ += taken;
    taken = 0;
    return keep_offset();
  };
  // A batch names one token per segment: lines from before and after a takeover go separately.
  auto one_token = [&](const std::string& segment, std::int64_t fence) -> Status {
    if (auto at = batch.fences.find(segment); at != batch.fences.end() && at->second != fence) NORA_CHECK(put());
    batch.fences[segment] = fence;
    return {};
  };
  while (lines < max_lines && delivered_ + taken < end) {
    std::string chunk(std::min<std::uint64_t>(read_bytes, end - delivered_ - taken), '\0');
    auto n = pread(file_.get(), chunk.data(), chunk.size(), static_cast<off_t>(delivered_ + taken));
    if (n <= 0) return fail(Code::failed, "the spool cannot be read: " + errno_text(errno));
    chunk.resize(static_cast<std::size_t>(n));
    auto before = delivered_ + taken;
    std::size_t at = 0;
    for (auto stop = chunk.find('\n'); stop != std::string::npos && lines < max_lines; at = stop + 1, stop = chunk.find('\n', at)) {
      auto line = std::string_view(chunk).substr(at, stop - at);
      ++lines;
      NORA_TRY(auto o, json::parse_object(line));
      auto type = json::string_or(o, "type");
      auto fence = json::int_or(o, "fence", 0);
      if (type == "reply") {
        NORA_TRY(auto r, reply_from_json(o));
        NORA_CHECK(one_token(r.seen.segment, fence));
        batch.replies.push_back(std::move(r));
      } else if (type == "outcome") {
        NORA_TRY(auto r, outcome_from_json(o));
        NORA_CHECK(one_token(r.segment, fence));
        batch.outcomes.push_back(std::move(r));
      } else {
        NORA_CHECK(put());  // order is kept: a survey and its segments stand before their replies
        if (type == "survey") {
          NORA_TRY(auto s, survey_from(o));
          NORA_CHECK(sink.put_survey(s));
        } else if (type == "segment") {
          NORA_TRY(auto s, segment_from(o));
          NORA_CHECK(sink.put_segment(s.segment, s.leaf, s.at));
        }
        taken = line.size() + 1;
        NORA_CHECK(put());
        continue;
      }
      taken += line.size() + 1;
    }
    if (delivered_ + taken == before)
      return fail(Code::bad_input, "a line of the spool is longer than " + std::to_string(read_bytes) + " bytes");
  }
  NORA_CHECK(put());
  return end - delivered_;
}

}  // namespace nora::survey
