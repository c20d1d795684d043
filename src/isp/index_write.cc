// Writing side of the lease index.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <unordered_set>

#include <fmt/format.h>

#include "base/crypto.h"
#include "base/files.h"
#include "isp/index.h"
#include "isp/index_files.h"

namespace nora::isp {

struct HashOfHash {
  std::size_t operator()(const Hash& h) const noexcept { std::size_t v; std::memcpy(&v, h.data(), sizeof v); return v; }
};

struct IndexWriter::Parts {
  std::filesystem::path dir;
  Fd lock;
  Manifest manifest;
  std::vector<LeaseRecord> records;          // old ones first
  std::size_t old_records = 0;
  // A raw record can hold several leases (one hook call): the key is its hash and what it says.
  std::unordered_map<Hash, std::size_t, HashOfHash> seen;
  std::unordered_map<std::string, std::string> lines;
  std::map<std::string, std::vector<MapeRule>> mape;
  bool lines_changed = false, mape_changed = false;
};

namespace {

// Identity of a record: its raw bytes and the lease inside them.
Hash identity(const LeaseRecord& r) {
  std::string what = r.user;
  for (const auto& p : r.prefixes) what += " " + p.text();
  return sha256({ByteView(r.hash), as_bytes(what)});
}

std::string name_of(std::string_view stem, std::string_view ending, ByteView content) { return fmt::format("{}-{}.{}", stem, to_hex(sha256(content)).substr(0, 16), ending); }

Result<std::string> store(const std::filesystem::path& dir, std::string_view stem, std::string_view ending, std::string_view content) {
  auto name = name_of(stem, ending, as_bytes(content));
  NORA_CHECK(replace_file(dir / name, content, 0600));
  return name;
}

Status read_records(const std::filesystem::path& file, std::vector<LeaseRecord>& out) {
  NORA_TRY(auto text, read_file(file, std::size_t{1} << 36));
  auto bytes = as_bytes(text);
  if (bytes.size() < 40 || std::memcmp(bytes.data(), records_magic, 8) != 0)
    return fail(Code::bad_input, fmt::format("{} is not a record file of this version", file.string()), "Delete the index directory and import the logs again");
  auto body = bytes.subspan(40);
  auto hash = sha256(body);
  if (std::memcmp(bytes.data() + 8, hash.data(), 32) != 0) return fail(Code::bad_input, fmt::format("{} is damaged", file.string()), "Delete the index directory and import the logs again");
  for (std::size_t pos = 0; pos < body.size();) {
    NORA_TRY(auto record, get_record(body, pos));
    out.push_back(std::move(record));
  }
  return {};
}

std::string lookup_bytes(const std::vector<LeaseRecord>& records, const std::vector<Interval>& intervals) {
  std::vector<std::string_view> strings;
  std::unordered_map<std::string_view, std::uint32_t> ids;
  auto id = [&](const std::string& s) {
    auto [it, fresh] = ids.emplace(s, static_cast<std::uint32_t>(strings.size()));
    if (fresh) strings.push_back(s);
    return it->second;
  };
  std::vector<LookupEntry> entries;
  entries.reserve(intervals.size());
  for (const auto& i : intervals) {
    const auto& r = records[i.record];
    LookupEntry e{};
    e.base = i.prefix.base().bytes();
    e.length = static_cast<std::uint8_t>(i.prefix.length() + (i.prefix.is_v4() ? 96 : 0));
    e.start = i.start.us; e.sure_start = i.sure_start.us; e.sure_end = i.sure_end.us; e.end = i.end.us;
    e.shared_from = i.shared_from.us; e.shared_to = i.shared_to.us;
    e.user = id(i.user);
    e.nas = id(i.nas);
    e.session = id(i.session);
    e.file = id(r.file);
    e.record_offset = r.offset;
    e.record_hash = r.hash;
    e.clock_error_ms = static_cast<std::uint32_t>(i.clock_error.us / 1000);
    e.clock_trusted = i.clock_trusted;
    e.end_kind = static_cast<std::uint8_t>(i.end_kind);
    entries.push_back(e);
  }
  std::ranges::sort(entries, [](const LookupEntry& a, const LookupEntry& b) {
    return std::tie(a.length, a.base, a.start, a.record_hash, a.user) < std::tie(b.length, b.base, b.start, b.record_hash, b.user);
  });
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].max_end = entries[i].end;
    if (i > 0 && entries[i - 1].length == entries[i].length && entries[i - 1].base == entries[i].base) entries[i].max_end = std::max(entries[i].end, entries[i - 1].max_end);
  }
  std::string text;
  for (auto s : strings) {
    auto n = static_cast<std::uint32_t>(s.size());
    text.append(reinterpret_cast<const char*>(&n), sizeof n);
    text += s;
  }
  LookupHeader header{};
  std::memcpy(header.magic, lookup_magic, sizeof header.magic);
  header.entries = entries.size();
  header.strings = strings.size();
  header.string_bytes = text.size();
  std::string out(reinterpret_cast<const char*>(&header), sizeof header);
  out.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(LookupEntry));
  return out + text;
}

}  // namespace

Result<IndexWriter> IndexWriter::open(const std::filesystem::path& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return fail(Code::failed, fmt::format("cannot make {}: {}", dir.string(), error.message()));
  ::chmod(dir.c_str(), 0700);  // log keys are personal data
  auto p = std::make_unique<Parts>();
  p->dir = dir;
  p->lock = Fd(::open((dir / "LOCK").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!p->lock) return fail(Code::failed, fmt::format("cannot open {}: {}", (dir / "LOCK").string(), errno_text(errno)));
  if (::flock(p->lock.get(), LOCK_EX | LOCK_NB) != 0) return fail(Code::failed, "another import into this index is running", "Wait until it has finished");
  auto manifest = read_manifest(dir);
  if (!manifest) {
    if (manifest.error().code != Code::not_found) return pass(manifest.error());
    return IndexWriter(std::move(p));
  }
  p->manifest = std::move(*manifest);
  for (const auto& name : p->manifest.records) NORA_CHECK(read_records(dir / name, p->records));
  p->old_records = p->records.size();
  for (std::size_t i = 0; i < p->records.size(); ++i) p->seen.emplace(identity(p->records[i]), i);
  NORA_TRY(p->lines, load_lines(dir, p->manifest));
  NORA_TRY(p->mape, load_mape(dir, p->manifest));
  return IndexWriter(std::move(p));
}

IndexWriter::IndexWriter(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
IndexWriter::IndexWriter(IndexWriter&&) noexcept = default;
IndexWriter::~IndexWriter() = default;

bool IndexWriter::add(LeaseRecord&& record) {
  auto [it, fresh] = parts_->seen.emplace(identity(record), parts_->records.size());
  if (fresh) { parts_->records.push_back(std::move(record)); return true; }
  // The same bytes at another place: the first place in order stands as evidence, whatever the order of import within one run.
  auto& known = parts_->records[it->second];
  if (it->second >= parts_->old_records && std::tie(record.file, record.offset) < std::tie(known.file, known.offset)) {
    known.file = std::move(record.file);
    known.offset = record.offset;
  }
  return false;
}

void IndexWriter::set_mape(std::string_view file, std::vector<MapeRule> rules) {
  auto& slot = parts_->mape[std::string(file)];
  if (slot == rules) return;
  slot = std::move(rules);
  parts_->mape_changed = true;
}

void IndexWriter::set_lines(const std::vector<Customer>& customers) {
  std::unordered_map<std::string, std::string> lines;
  for (const auto& c : customers)
    for (const auto& key : c.keys) lines.emplace(key, c.subscriber.line.reveal());
  if (lines == parts_->lines) return;
  parts_->lines = std::move(lines);
  parts_->lines_changed = true;
}

Result<IndexState> IndexWriter::commit(Instant now) {
  auto& p = *parts_;
  auto next = p.manifest;
  if (p.records.size() > max_index_records) return fail(Code::failed, "too many records for one index", "Use one index per year");
  const bool fresh = p.records.size() > p.old_records;
  if (fresh) {
    Bytes body;
    for (std::size_t i = p.old_records; i < p.records.size(); ++i) put_record(body, p.records[i]);
    auto hash = sha256(body);
    std::string content(records_magic, sizeof records_magic);
    content += as_text(hash);
    content += as_text(body);
    NORA_TRY(auto name, store(p.dir, "records", "seg", content));
    next.records.push_back(name);
    next.clocks = estimate_clocks(p.records);
    auto intervals = build_intervals(p.records, next.clocks);
    NORA_TRY(next.lookup, store(p.dir, "lookup", "seg", lookup_bytes(p.records, intervals)));
    next.interval_count = static_cast<std::int64_t>(intervals.size());
    next.record_count = static_cast<std::int64_t>(p.records.size());
  }
  if (p.lines_changed) { NORA_TRY(next.lines, store(p.dir, "lines", "txt", lines_text(p.lines))); }
  if (p.mape_changed) { NORA_TRY(next.mape, store(p.dir, "mape", "json", mape_text(p.mape))); }
  // Logs that were read now hold everything up to now; records from a clock ahead of ours push it further.
  next.covered_until = std::max(next.covered_until, now);
  for (std::size_t i = p.old_records; i < p.records.size(); ++i) next.covered_until = std::max(next.covered_until, p.records[i].at);
  NORA_CHECK(replace_file(p.dir / "CURRENT", manifest_text(next), 0600));
  // From here the new index is published; files that only the old one named are rubbish (also those of a crash).
  std::set<std::string> keep(next.records.begin(), next.records.end());
  keep.insert({next.lookup, next.lines, next.mape, "CURRENT", "LOCK"});
  std::error_code error;
  for (const auto& f : std::filesystem::directory_iterator(p.dir, error)) {
    auto name = f.path().filename().string();
    const bool ours = name.starts_with("records-") || name.starts_with("lookup-") || name.starts_with("lines-") || name.starts_with("mape-");
    if (ours && !keep.contains(name)) std::filesystem::remove(f.path(), error);
  }
  p.manifest = next;
  p.old_records = p.records.size();
  p.lines_changed = p.mape_changed = false;
  IndexState state{next.record_count, next.interval_count, static_cast<std::int64_t>(p.lines.size()), 0, next.clocks};
  for (const auto& [file, rules] : p.mape) state.mape_rules += static_cast<std::int64_t>(rules.size());
  return state;
}

}  // namespace nora::isp
