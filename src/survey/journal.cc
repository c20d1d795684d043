#include "survey/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace nora::survey {
namespace {

constexpr std::size_t max_journal_bytes = std::size_t{4} << 30;

}  // namespace

// Lines: {"ev":"run"}, {"ev":"reserved","n","from","to","leaf"}, {"ev":"sent","n","sent","refused","reasons"},
// {"ev":"committed","n","leaf"},
// {"ev":"open","ip","port","n","path"}, {"ev":"visited","ip","port","path"}, {"ev":"counts",…}, {"ev":"finished"}.
void Journal::apply(JournalState& state, const json::Object& line) {
  auto ev = json::string_or(line, "ev");
  auto n = json::int_or(line, "n", -1);
  if (ev == "run") {
    ++state.runs;
  } else if (ev == "reserved") {
    auto& s = state.segments[n];
    s.from = static_cast<std::uint64_t>(json::int_or(line, "from", 0));
    s.to = static_cast<std::uint64_t>(json::int_or(line, "to", 0));
    s.sent = false;
    ++s.times;
  } else if (ev == "sent") {
    auto& s = state.segments[n];
    s.sent = true;
    s.frames += json::int_or(line, "sent", 0);
    s.refused = json::int_or(line, "refused", 0);
    if (const auto* reasons = line.if_contains("reasons"); reasons && reasons->is_object())
      for (const auto& [why, count] : reasons->as_object()) state.refused_by[std::string(why)] += count.is_int64() ? count.as_int64() : 0;
  } else if (ev == "committed") {
    state.segments[n].committed = true;
  } else if (ev == "open" || ev == "visited") {
    auto ip = Ip::parse(json::string_or(line, "ip"));
    if (!ip) return;
    JournalState::Open open{*ip, static_cast<std::uint16_t>(json::int_or(line, "port", 0)), 0, json::string_or(line, "path")};
    if (ev == "open") {
      open.segment = n;
      state.to_visit.insert(open);
    } else {
      for (auto at = state.to_visit.lower_bound(open); at != state.to_visit.end() && at->ip == open.ip && at->port == open.port;)
        at = at->path == open.path ? state.to_visit.erase(at) : std::next(at);
    }
  } else if (ev == "counts") {
    state.received = json::int_or(line, "received", 0);
    state.unique = json::int_or(line, "unique", 0);
    state.duplicates = json::int_or(line, "duplicates", 0);
    state.replies = json::int_or(line, "replies", 0);
    state.conversations = json::int_or(line, "conversations", 0);
    state.earlier = Span::ms(json::int_or(line, "ms", 0));
  } else if (ev == "finished") {
    state.finished = true;
  }
}

Result<JournalState> Journal::replay(std::string_view text, std::size_t& whole) {
  JournalState state;
  whole = 0;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', whole)) {
    auto line = json::parse_object(text.substr(whole, end - whole));
    if (!line)
      return fail(Code::bad_input, "the journal is damaged at byte " + std::to_string(whole) + ": " + line.error().what,
                  "start a new survey in another directory");
    apply(state, *line);
    whole = end + 1;
  }
  return state;
}

Result<Journal> Journal::open(const std::filesystem::path& dir) {
  Journal j;
  j.lock_ = Fd(::open((dir / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!j.lock_) return fail(Code::failed, dir.string() + ": " + errno_text(errno));
  if (flock(j.lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Code::failed, "another survey runs in " + dir.string(), "wait for it, or use another --dir");
  auto path = dir / "journal.ndjson";
  j.file_ = Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!j.file_) return fail(Code::failed, path.string() + ": " + errno_text(errno));
  NORA_TRY(auto text, read_file(path, max_journal_bytes));
  std::size_t whole = 0;
  NORA_TRY(j.state_, replay(text, whole));
  // A crash can cut the last line; whatever it said had not been synced, so it was not acted upon.
  if (whole < text.size() && ftruncate(j.file_.get(), static_cast<off_t>(whole)) != 0)
    return fail(Code::failed, path.string() + ": " + errno_text(errno));
  return j;
}

Result<JournalState> Journal::read(const std::filesystem::path& dir) {
  NORA_TRY(auto text, read_file(dir / "journal.ndjson", max_journal_bytes));
  std::size_t whole = 0;
  return replay(text, whole);
}

void Journal::add(json::Object line) {
  apply(state_, line);
  buffer_ += json::text(line) + "\n";
}

Status Journal::flush(bool sync) {
  if (!buffer_.empty()) {
    NORA_CHECK(write_all(file_.get(), as_bytes(buffer_)));
    buffer_.clear();
  }
  if (sync && fsync(file_.get()) != 0)
    return fail(Code::failed, "the journal cannot be synced: " + errno_text(errno), "free disk space, then `nora scan resume`");
  return {};
}

}  // namespace nora::survey
