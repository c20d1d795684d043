// The audit log of a party (law/audit.h).
#include "law/audit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <mutex>

#include "base/files.h"

namespace nora::law {
namespace {

constexpr std::size_t salt_bytes = 32, commitment_bytes = 32, entry_bytes = 2 + commitment_bytes, max_log_bytes = std::size_t{4} << 30;
constexpr std::size_t max_party_bytes = 64, max_kind_bytes = 40;

// The files of a log, as offsets: entries and salts have fixed steps, data has lengths.
struct Sizes {
  std::uint64_t leaves = 0, data_bytes = 0;
};

std::string origin(std::string_view party) { return fmt::format("nora-audit/{}", party); }

struct Checkpoint {
  std::string party;
  std::uint64_t size = 0, data_bytes = 0;
  Hash root{};
};

// origin, size, base64 root as in C2SP tlog-checkpoint; one extension line with the length of the data file.
std::string checkpoint_text(std::string_view party, const AuditState& s, std::uint64_t data_bytes) {
  return fmt::format("{}\n{}\n{}\ndata {}\n", origin(party), s.size, to_base64(s.root), data_bytes);
}

Result<Checkpoint> read_checkpoint(std::string_view note, const PublicKey& key) {
  const auto bad = [](std::string_view why) { return fail(Code::failed, fmt::format("checkpoint: {}", why)); };
  const auto opened = open_note(note, {key});
  if (!opened) return bad(opened.error().what);
  if (opened->signers.size() != 1) return bad("not signed by this party's key");
  Checkpoint out;
  std::string_view rest = opened->text;
  std::vector<std::string_view> lines;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    lines.push_back(rest.substr(0, end));
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  }
  const std::string_view head = "nora-audit/";
  const auto number = [](std::string_view s, std::uint64_t& v) {
    const auto [at, error] = std::from_chars(s.data(), s.data() + s.size(), v);
    return error == std::errc{} && at == s.data() + s.size();
  };
  if (lines.size() != 4 || !lines[0].starts_with(head) || !lines[3].starts_with("data ") || !number(lines[1], out.size) ||
      !number(lines[3].substr(5), out.data_bytes))
    return bad("its text cannot be read");
  out.party = lines[0].substr(head.size());
  const auto root = from_base64(lines[2]);
  if (!root || root->size() != out.root.size()) return bad("its root cannot be read");
  std::copy(root->begin(), root->end(), out.root.begin());
  // One text per state: bytes outside what is signed (a further line, unused bits of a base64 digit) count as changed too.
  const std::string text = checkpoint_text(out.party, {out.size, out.root}, out.data_bytes);
  const std::string_view signature = note.substr(std::min(note.size(), text.size() + 1));
  const auto blank = signature.rfind(' ');
  const auto bytes = from_base64(signature.substr(blank == signature.npos ? 0 : blank + 1));
  if (opened->text != text || !bytes || signature != fmt::format("\u2014 {} {}\n", key.name, to_base64(*bytes))) return bad("its text is not canonical");
  return out;
}

Hash commitment(ByteView salt, ByteView data) { return sha256({salt, data}); }

// Checks leaves [from, to) against data and salts and adds them to the edge. `entries`, `salts`: whole files; `data_at`: offset of leaf `from`.
Status check_leaves(ByteView entries, ByteView salts, ByteView data, std::uint64_t from, std::uint64_t to, std::uint64_t& data_at,
                    MerkleEdge& edge, const std::function<Status(std::uint64_t, ByteView)>& visit = {}) {
  for (std::uint64_t i = from; i < to; ++i) {
    const auto bad = [&](std::string_view why) { return fail(Code::failed, fmt::format("leaf {}: {}", i, why)); };
    const std::size_t at = i * entry_bytes;
    if (entries.size() < at + entry_bytes) return bad("the entries file is too short");
    if (get_u16be(entries.data() + at) != commitment_bytes) return bad("its length is wrong");
    const ByteView entry = entries.subspan(at + 2, commitment_bytes);
    if (salts.size() < (i + 1) * salt_bytes) return bad("the salts file is too short");
    if (data.size() < data_at + 4) return bad("the data file is too short");
    const std::size_t length = get_u32be(data.data() + data_at);
    if (length > Audit::max_entry_bytes || data.size() - data_at - 4 < length) return bad("the data file is too short");
    const ByteView content = data.subspan(data_at + 4, length);
    if (const Hash h = commitment(salts.subspan(i * salt_bytes, salt_bytes), content); !std::equal(h.begin(), h.end(), entry.begin()))
      return bad("its data or salt was changed");
    if (visit) NORA_CHECK(visit(i, content));
    data_at += 4 + length;
    edge.add(merkle_leaf(entry));
  }
  return {};
}

struct Whole {
  std::string note, entries, salts, data;
};
Result<Whole> read_whole(const std::filesystem::path& dir) {
  Whole w;
  NORA_TRY(w.note, read_file(dir / "checkpoint", 4096));
  NORA_TRY(w.entries, read_file(dir / "entries", max_log_bytes));
  NORA_TRY(w.salts, read_file(dir / "salts", max_log_bytes));
  NORA_TRY(w.data, read_file(dir / "data", max_log_bytes));
  return w;
}

// Holds the lock of the directory for its life.
class Locked {
 public:
  static Result<Locked> take(const std::filesystem::path& dir, int how) {
    Fd fd(::open((dir / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd && how == LOCK_SH) fd = Fd(::open((dir / "lock").c_str(), O_RDONLY | O_CLOEXEC));  // an auditor may only read
    if (!fd) return fail(Code::failed, fmt::format("the audit log {} cannot be locked: {}", dir.string(), errno_text(errno)));
    int r;
    do r = ::flock(fd.get(), how);
    while (r != 0 && errno == EINTR);
    if (r != 0) return fail(Code::failed, fmt::format("the audit log {} cannot be locked: {}", dir.string(), errno_text(errno)));
    return Locked(std::move(fd));
  }

 private:
  explicit Locked(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

Result<Fd> open_file(const std::filesystem::path& file) {
  Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(Code::failed, fmt::format("the audit log {} cannot be opened: {}", file.string(), errno_text(errno)));
  return fd;
}

Status put(int fd, std::uint64_t at, ByteView bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Code::failed, fmt::format("the audit log cannot be written ({}): {}", what, errno_text(errno)), "Nothing was done. Make room or repair the disk, then try again.");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
  }
  if (::fdatasync(fd) != 0) return fail(Code::failed, fmt::format("the audit log cannot be written ({}): {}", what, errno_text(errno)), "Nothing was done. Make room or repair the disk, then try again.");
  return {};
}

Result<Bytes> get(int fd, std::uint64_t at, std::uint64_t length, std::string_view what) {
  Bytes out(length);
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Code::failed, fmt::format("the {} file is too short", what));
    done += static_cast<std::size_t>(n);
  }
  return out;
}

}  // namespace

struct Audit::Parts {
  std::filesystem::path dir;
  std::string party;
  const SigningKey* key = nullptr;
  Env env;
  Fd entries, salts, data;
  mutable std::mutex mutex;  // guards everything below
  std::string note;
  MerkleEdge edge;
  std::uint64_t data_bytes = 0;

  Status write_checkpoint(const MerkleEdge& next, std::uint64_t next_data) {
    std::string text = sign_note(checkpoint_text(party, {next.size(), next.root()}, next_data), *key);
    NORA_CHECK(replace_file(dir / "checkpoint", text, 0600));
    note = std::move(text);
    edge = next;
    data_bytes = next_data;
    return {};
  }

  // Takes in what another process of this party has appended since our last look. The lock is held.
  Status catch_up() {
    NORA_TRY(const std::string now, read_file(dir / "checkpoint", 4096));
    if (now == note) return {};
    NORA_TRY(const Checkpoint c, read_checkpoint(now, key->public_key()));
    const auto altered = [&](std::string_view why) { return fail(Code::failed, fmt::format("the audit log {} was altered: {}", dir.string(), why)); };
    if (c.party != party || c.size < edge.size() || c.data_bytes < data_bytes) return altered("its checkpoint went back");
    const std::uint64_t n = c.size - edge.size(), more = c.data_bytes - data_bytes;
    NORA_TRY(const Bytes e, get(entries.get(), edge.size() * entry_bytes, n * entry_bytes, "entries"));
    NORA_TRY(const Bytes s, get(salts.get(), edge.size() * salt_bytes, n * salt_bytes, "salts"));
    NORA_TRY(const Bytes d, get(data.get(), data_bytes, more, "data"));
    MerkleEdge next = edge;
    std::uint64_t at = 0;
    NORA_CHECK(check_leaves(e, s, d, 0, n, at, next));
    if (at != more || next.root() != c.root) return altered("its entries do not fit its checkpoint");
    note = now;
    edge = next;
    data_bytes = c.data_bytes;
    return {};
  }
};

Audit::Audit(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Audit::Audit(Audit&&) noexcept = default;
Audit& Audit::operator=(Audit&&) noexcept = default;
Audit::~Audit() = default;

Result<Audit> Audit::open(const std::filesystem::path& dir, std::string_view party, const SigningKey& key, Env env) {
  const bool fine = !party.empty() && party.size() <= max_party_bytes &&
                    std::all_of(party.begin(), party.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; });
  if (!fine) return fail(Code::usage, fmt::format("\"{}\" is not a party name (a-z 0-9 - .)", party));
  std::error_code error;
  if (!std::filesystem::exists(dir, error)) {
    std::filesystem::create_directories(dir.parent_path().empty() ? "." : dir.parent_path(), error);
    if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST)
      return fail(Code::failed, fmt::format("the audit log {} cannot be made: {}", dir.string(), errno_text(errno)));
  }
  NORA_TRY(const Locked lock, Locked::take(dir, LOCK_EX));
  auto parts = std::unique_ptr<Parts>(new Parts{.dir = dir, .party = std::string(party), .key = &key, .env = env, .entries = {}, .salts = {},
                                                .data = {}, .mutex = {}, .note = {}, .edge = {}, .data_bytes = 0});
  NORA_TRY(parts->entries, open_file(dir / "entries"));
  NORA_TRY(parts->salts, open_file(dir / "salts"));
  NORA_TRY(parts->data, open_file(dir / "data"));
  if (!std::filesystem::exists(dir / "checkpoint", error)) {
    struct stat s {};
    if (::fstat(parts->entries.get(), &s) == 0 && s.st_size > 0)
      return fail(Code::failed, fmt::format("the audit log {} has entries but no checkpoint", dir.string()), "It was altered, or its first write was cut off; look at it before it is moved away.");
    NORA_CHECK(parts->write_checkpoint({}, 0));
    return Audit(std::move(parts));
  }
  NORA_TRY(const Whole w, read_whole(dir));
  NORA_TRY(const Checkpoint c, read_checkpoint(w.note, key.public_key()));
  if (c.party != party) return fail(Code::failed, fmt::format("the audit log {} belongs to \"{}\"", dir.string(), c.party));
  MerkleEdge edge;
  std::uint64_t at = 0;
  if (const Status s = check_leaves(as_bytes(w.entries), as_bytes(w.salts), as_bytes(w.data), 0, c.size, at, edge); !s)
    return fail(Code::failed, fmt::format("the audit log {} was altered: {}", dir.string(), s.error().what));
  if (edge.root() != c.root || at != c.data_bytes)
    return fail(Code::failed, fmt::format("the audit log {} was altered: its entries do not fit its checkpoint", dir.string()));
  const std::pair<int, std::uint64_t> ends[] = {{parts->entries.get(), c.size * entry_bytes}, {parts->salts.get(), c.size * salt_bytes}, {parts->data.get(), c.data_bytes}};
  for (const auto& [fd, end] : ends)
    if (::ftruncate(fd, static_cast<off_t>(end)) != 0) return fail(Code::failed, fmt::format("the audit log {} cannot be written: {}", dir.string(), errno_text(errno)));
  parts->note = w.note;
  parts->edge = edge;
  parts->data_bytes = c.data_bytes;
  return Audit(std::move(parts));
}

Result<LeafId> Audit::append(std::string_view kind, const json::Object& data) {
  NORA_TRY(const auto ids, append_all(kind, {data}));
  return ids[0];
}

Result<std::vector<LeafId>> Audit::append_all(std::string_view kind, const std::vector<json::Object>& acts) {
  const bool fine = !kind.empty() && kind.size() <= max_kind_bytes && std::all_of(kind.begin(), kind.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  if (!fine) return fail(Code::usage, fmt::format("\"{}\" is not a kind of audit entry (a-z _)", kind));
  if (acts.empty()) return std::vector<LeafId>{};
  Parts& p = *parts_;
  const std::lock_guard guard(p.mutex);
  NORA_TRY(const Locked lock, Locked::take(p.dir, LOCK_EX));
  NORA_CHECK(p.catch_up());
  MerkleEdge next = p.edge;
  Bytes entries, salts, data;
  std::vector<LeafId> ids;
  const std::string at = p.env.clock.now().text();
  for (const json::Object& act : acts) {
    const std::string content = json::text(json::Object{{"at", at}, {"kind", std::string(kind)}, {"data", act}});
    if (content.size() > max_entry_bytes) return fail(Code::usage, fmt::format("an audit entry of {} bytes is too long (at most {})", content.size(), max_entry_bytes));
    std::array<std::uint8_t, salt_bytes> salt;
    p.env.random.fill(salt);
    const Hash entry = commitment(salt, as_bytes(content));
    put_u16be(entries, commitment_bytes);
    entries.insert(entries.end(), entry.begin(), entry.end());
    salts.insert(salts.end(), salt.begin(), salt.end());
    put_u32be(data, static_cast<std::uint32_t>(content.size()));
    data.insert(data.end(), content.begin(), content.end());
    const Hash leaf = merkle_leaf(entry);
    ids.push_back({next.size(), leaf});
    next.add(leaf);
  }
  // What the leaves commit to is on disk first, then the leaves, then the signed checkpoint that counts them.
  NORA_CHECK(put(p.data.get(), p.data_bytes, data, "data"));
  NORA_CHECK(put(p.salts.get(), p.edge.size() * salt_bytes, salts, "salts"));
  NORA_CHECK(put(p.entries.get(), p.edge.size() * entry_bytes, entries, "entries"));
  NORA_CHECK(p.write_checkpoint(next, p.data_bytes + data.size()));
  return ids;
}

AuditState Audit::state() const {
  const std::lock_guard guard(parts_->mutex);
  return {parts_->edge.size(), parts_->edge.root()};
}

Result<AuditState> audit_verify(const std::filesystem::path& dir, const PublicKey& key) {
  std::error_code error;
  if (!std::filesystem::exists(dir / "checkpoint", error)) return fail(Code::failed, fmt::format("there is no audit log in {}", dir.string()));
  NORA_TRY(const Locked lock, Locked::take(dir, LOCK_SH));
  NORA_TRY(const Whole w, read_whole(dir));
  NORA_TRY(const Checkpoint c, read_checkpoint(w.note, key));
  MerkleEdge edge;
  std::uint64_t at = 0;
  NORA_CHECK(check_leaves(as_bytes(w.entries), as_bytes(w.salts), as_bytes(w.data), 0, c.size, at, edge));
  if (w.entries.size() != c.size * entry_bytes || w.salts.size() != c.size * salt_bytes || w.data.size() != c.data_bytes || at != c.data_bytes)
    return fail(Code::failed, fmt::format("leaf {}: there are bytes that the checkpoint does not count", c.size));
  if (edge.root() != c.root) return fail(Code::failed, "the leaves do not give the root of the checkpoint");
  return AuditState{c.size, c.root};
}

Result<std::vector<AuditEntry>> audit_read(const std::filesystem::path& dir, std::uint64_t from, std::uint64_t to) {
  NORA_TRY(const Locked lock, Locked::take(dir, LOCK_SH));
  NORA_TRY(const Whole w, read_whole(dir));
  std::vector<AuditEntry> out;
  MerkleEdge edge;
  std::uint64_t at = 0;
  const std::uint64_t end = std::min<std::uint64_t>(to, w.entries.size() / entry_bytes);
  NORA_CHECK(check_leaves(as_bytes(w.entries), as_bytes(w.salts), as_bytes(w.data), 0, end, at, edge, [&](std::uint64_t i, ByteView content) -> Status {
    if (i < from) return {};
    NORA_TRY(const json::Object o, json::parse_object(as_text(content)));
    AuditEntry e;
    e.index = i;
    NORA_TRY(e.at, json::get_instant(o, "at"));
    NORA_TRY(e.kind, json::get_string(o, "kind"));
    NORA_TRY(e.data, json::get_object(o, "data"));
    out.push_back(std::move(e));
    return {};
  }));
  return out;
}

}  // namespace nora::law
