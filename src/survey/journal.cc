#include "survey/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace nora::survey {
namespace {

constexpr std::size_t read_bytes = std::size_t{4} << 20;

}  // namespace

std::string boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id", 64);
  return text ? text->substr(0, text->find('\n')) : "";
}

// Lines: {"ev":"run","at","boot","key"}, {"ev":"alive","heard"}, {"ev":"reserved","n","from","to","fence","leaf","at","heard"},
// {"ev":"again","n","places","again","at_most","unheard"}, {"ev":"sent","n","sent","refused","reasons","heard"},
// {"ev":"committed","n","leaf","heard"}, {"ev":"lost","n"}, {"ev":"open","ip","port","n","path"}, {"ev":"visited","ip","port","path"},
// {"ev":"counts",…}, {"ev":"finished"}.
void Journal::apply(JournalState& state, const json::Object& line) {
  auto ev = json::string_or(line, "ev");
  auto n = json::int_or(line, "n", -1);
  if (line.contains("heard"))
    if (auto heard = json::get_instant(line, "heard"); heard && *heard > state.heard) {
      state.heard = *heard;
      if (ev != "alive") state.heard_on_disk = *heard;  // every other line with this field is synced before the engine goes on
    }
  if (ev == "run") {
    ++state.runs;
    state.boot = json::string_or(line, "boot");
    if (auto key = from_hex(json::string_or(line, "key")); key && key->size() == sizeof(Key))
      if (auto at = json::get_instant(line, "at")) {
        state.keys.push_back({*at, {}});
        std::copy(key->begin(), key->end(), state.keys.back().key.begin());
      }
  } else if (ev == "reserved") {
    auto& s = state.segments[n];
    s.from = static_cast<std::uint64_t>(json::int_or(line, "from", 0));
    s.to = static_cast<std::uint64_t>(json::int_or(line, "to", 0));
    auto fence = json::int_or(line, "fence", 0);
    if (fence != s.fence || s.lost) s.times = 0, s.frames = s.refused = 0;  // another lease: it begins anew
    s.fence = fence;
    s.sent = s.lost = false;
    ++s.times;
  } else if (ev == "again") {
    state.again += json::int_or(line, "again", 0);
    state.again_at_most += json::int_or(line, "at_most", 0);
    state.unheard += json::int_or(line, "unheard", 0);
  } else if (ev == "lost") {
    state.segments[n].lost = true;
    std::erase_if(state.to_visit, [&](const auto& open) { return open.segment == n; });
    state.visits.erase(n);
  } else if (ev == "sent") {
    auto& s = state.segments[n];
    s.sent = true;
    s.frames = json::int_or(line, "sent", 0);  // of the whole record file
    s.refused += json::int_or(line, "refused", 0);
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
      if (state.to_visit.insert(open).second) ++state.visits[n];
    } else {
      for (auto at = state.to_visit.lower_bound(open); at != state.to_visit.end() && at->ip == open.ip && at->port == open.port;)
        if (at->path == open.path) {
          if (auto of = state.visits.find(at->segment); of != state.visits.end() && --of->second <= 0) state.visits.erase(of);
          at = state.to_visit.erase(at);
        } else {
          ++at;
        }
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

Result<JournalState> Journal::replay(int fd, std::uint64_t& whole) {
  JournalState state;
  whole = 0;
  std::string chunk;
  for (std::uint64_t at = 0;;) {
    auto kept = chunk.size();
    chunk.resize(kept + read_bytes);
    auto n = pread(fd, chunk.data() + kept, read_bytes, static_cast<off_t>(at));
    if (n < 0) return fail(Code::failed, "the journal cannot be read: " + errno_text(errno));
    chunk.resize(kept + static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
    std::size_t from = 0;
    for (auto end = chunk.find('\n'); end != std::string::npos; end = chunk.find('\n', from)) {
      auto line = json::parse_object(std::string_view(chunk).substr(from, end - from));
      if (!line)
        return fail(Code::bad_input, "the journal is damaged at byte " + std::to_string(whole) + ": " + line.error().what,
                    "start a new survey in another directory");
      apply(state, *line);
      whole += end + 1 - from;
      from = end + 1;
    }
    chunk.erase(0, from);
    if (n == 0) return state;
  }
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
  NORA_TRY(j.state_, replay(j.file_.get(), j.size_));
  // A crash can cut the last line; whatever it said had not been synced, so it was not acted upon.
  if (ftruncate(j.file_.get(), static_cast<off_t>(j.size_)) != 0) return fail(Code::failed, path.string() + ": " + errno_text(errno));
  return j;
}

Result<JournalState> Journal::read(const std::filesystem::path& dir) {
  auto path = dir / "journal.ndjson";
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(Code::failed, path.string() + ": " + errno_text(errno));
  std::uint64_t whole = 0;
  return replay(fd.get(), whole);
}

bool JournalState::waits(Ip ip, std::uint16_t port) const {
  auto same = [&](const Open& o) { return o.ip == ip && o.port == port; };
  for (auto at = to_visit.lower_bound({ip, port, 0, ""}); at != to_visit.end() && same(*at); ++at)
    if (at->path.empty()) return true;
  return false;
}

bool Journal::held(const std::filesystem::path& dir) {
  Fd fd(::open((dir / "lock").c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return false;
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return false;
  return errno == EWOULDBLOCK;
}

void Journal::add(json::Object line) {
  apply(state_, line);
  auto ev = json::string_or(line, "ev");
  (ev == "open" || ev == "visited" ? visits_ : buffer_) += json::text(line) + "\n";
}

Status Journal::write(std::string& lines) {
  if (lines.empty()) return {};
  if (auto written = write_all(file_.get(), as_bytes(lines)); !written) {
    (void)ftruncate(file_.get(), static_cast<off_t>(size_));  // half a line in the middle would be damage
    return fail(Code::interrupted, "the journal cannot be written: " + written.error().what, "free disk space, then `nora scan resume`");
  }
  size_ += lines.size();
  lines.clear();
  return {};
}

Status Journal::flush_visits() { return write(visits_); }

Status Journal::flush(bool sync) {
  NORA_CHECK(write(visits_));
  NORA_CHECK(write(buffer_));
  if (sync && fsync(file_.get()) != 0)
    return fail(Code::interrupted, "the journal cannot be synced: " + errno_text(errno), "free disk space, then `nora scan resume`");
  return {};
}

}  // namespace nora::survey
