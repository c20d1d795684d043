// Shredding: a leaf says which data go, then they go; their entries stay, and with them every proof (law/audit.h).
// Order: the file `shredding` (which leaves of the log will order it), the ordering leaves, the overwriting, the removal of the file. After
// a crash the next open reads the file: ordered and not yet overwritten data are overwritten then.
// Overwriting is in place: on copy-on-write or flash storage the old bytes may live on below the file system (docs/audit.md).
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "law/audit_parts.h"
#include "law/audit_reader.h"

namespace nora::law {
namespace {

constexpr std::size_t max_ranges_per_leaf = 1000;

struct Named {
  std::vector<std::uint64_t> leaves;
  json::Object data;
};

// Cut into leaves that are not too long, as inclusive ranges.
std::vector<Named> name_them(const std::vector<std::uint64_t>& leaves, std::string_view reason) {
  std::vector<Named> out;
  json::Array ranges;
  Named now;
  const auto close = [&] {
    if (ranges.empty()) return;
    now.data = {{"leaves", std::move(ranges)}, {"reason", reason}};
    out.push_back(std::move(now));
    now = {};
    ranges = {};
  };
  for (std::size_t i = 0; i < leaves.size();) {
    std::size_t j = i;
    while (j + 1 < leaves.size() && leaves[j + 1] == leaves[j] + 1) ++j;
    ranges.push_back(json::Array{leaves[i], leaves[j]});
    now.leaves.insert(now.leaves.end(), leaves.begin() + static_cast<std::ptrdiff_t>(i), leaves.begin() + static_cast<std::ptrdiff_t>(j) + 1);
    if (ranges.size() == max_ranges_per_leaf) close();
    i = j + 1;
  }
  close();
  return out;
}

Status overwrite_file(const std::filesystem::path& file, const std::vector<std::pair<std::size_t, Bytes>>& parts) {
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  const auto bad = [&] { return fail(Code::failed, fmt::format("{} cannot be overwritten: {}", file.string(), errno_text(errno)), "The next command that opens the log tries again."); };
  if (!fd) return bad();
  for (const auto& [at, bytes] : parts)
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t n = ::pwrite(fd.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(at + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return bad();
      done += static_cast<std::size_t>(n);
    }
  if (::fdatasync(fd.get()) != 0) return bad();
  return {};
}

}  // namespace

Result<std::vector<std::uint64_t>> shredded_leaves(const json::Object& data) {
  std::vector<std::uint64_t> out;
  NORA_TRY(const json::Array ranges, json::get_array(data, "leaves"));
  constexpr std::size_t max_leaves = 100'000'000;
  for (const auto& r : ranges) {
    const auto* pair = r.if_array();
    if (!pair || pair->size() != 2 || !(*pair)[0].is_int64() || !(*pair)[1].is_int64()) return fail(Code::bad_input, "a leaf of shredding names no ranges");
    const std::int64_t from = (*pair)[0].as_int64(), to = (*pair)[1].as_int64();
    if (from < 0 || to < from || static_cast<std::uint64_t>(to - from) >= max_leaves - out.size()) return fail(Code::bad_input, "a leaf of shredding names no ranges");
    for (std::int64_t i = from; i <= to; ++i) out.push_back(static_cast<std::uint64_t>(i));
  }
  return out;
}

Status Audit::Parts::overwrite(const std::vector<std::uint64_t>& leaves, std::uint64_t by) const {
  for (std::size_t i = 0; i < leaves.size();) {
    const std::uint64_t n = leaves[i] / tile_width;
    NORA_TRY(const std::string text, read_file(dir / private_path(n), max_private_bytes + (1u << 20)));
    std::size_t end = i;
    while (end < leaves.size() && leaves[end] / tile_width == n) ++end;
    NORA_TRY(const auto records, parse_records(as_bytes(text), static_cast<unsigned>(leaves[end - 1] % tile_width + 1)));
    std::vector<std::pair<std::size_t, Bytes>> parts;
    for (; i < end; ++i) {
      const AuditRecord& r = records[leaves[i] % tile_width];
      if (Bytes gone = shredded_record(r, by); !std::ranges::equal(gone, as_bytes(text).subspan(r.at, gone.size()))) parts.emplace_back(r.at, std::move(gone));
    }
    if (!parts.empty()) NORA_CHECK(overwrite_file(dir / private_path(n), parts));
  }
  return {};
}

Status Audit::Parts::finish_shredding(std::uint64_t size) const {
  const auto file = dir / "shredding";
  const auto text = read_file(file, 64);
  if (!text) return {};  // nothing was going on
  std::uint64_t first = 0, count = 0;
  const char* end = text->data() + text->size();
  const auto a = std::from_chars(text->data(), end, first);
  if (a.ec == std::errc{} && a.ptr != end && std::from_chars(a.ptr + 1, end, count).ec == std::errc{} && first < size && count <= size - first) {
    AuditReader reader(dir, size);
    for (std::uint64_t i = first; i < first + count; ++i) {
      NORA_TRY(const AuditLeaf leaf, reader.record(i));
      NORA_TRY(const AuditEntry e, audit_entry(i, leaf.data));
      if (e.kind != shred_kind) break;  // the order was never given
      NORA_TRY(const auto leaves, shredded_leaves(e.data));
      NORA_CHECK(overwrite(leaves, i));
    }
  }
  if (::unlink(file.c_str()) != 0) return fail(Code::failed, fmt::format("{} cannot be removed: {}", file.string(), errno_text(errno)));
  return {};
}

Result<std::vector<std::uint64_t>> Audit::shred(const ShredWish& wish) {
  if (wish.leaves.empty() && !(wish.before && !wish.kind.empty())) return fail(Code::usage, "say which leaves to shred, or a kind and an instant");
  if (wish.kind == shred_kind) return fail(Code::usage, "a leaf of shredding stays: it is the only trace of what it shredded");
  Parts& p = *parts_;
  const std::lock_guard guard(p.mutex);
  NORA_TRY(const AuditLock lock, AuditLock::take(p.dir, true));
  NORA_CHECK(p.catch_up());
  const std::uint64_t size = p.tail.size();
  std::vector<std::uint64_t> chosen = wish.leaves;
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  if (!chosen.empty() && chosen.back() >= size) return fail(Code::usage, fmt::format("there is no leaf {} in a log of {}", chosen.back(), size));
  std::vector<std::uint64_t> going;
  AuditReader reader(p.dir, size);
  const auto look = [&](const AuditLeaf& leaf) -> Status {
    if (leaf.shredded) return {};
    NORA_TRY(const AuditEntry e, audit_entry(leaf.index, leaf.data));
    if (e.kind == shred_kind) {
      if (wish.before) return {};
      return fail(Code::usage, fmt::format("leaf {} is a leaf of shredding: it stays", e.index));
    }
    if (!wish.before || (e.at < *wish.before && e.kind == wish.kind)) going.push_back(e.index);
    return {};
  };
  if (wish.before && !wish.kind.empty()) {
    NORA_CHECK(reader.each(0, size, look));
  } else {
    for (const std::uint64_t i : chosen) NORA_CHECK(reader.each(i, i + 1, look));
  }
  if (going.empty()) return going;
  const auto named = name_them(going, wish.reason);
  NORA_CHECK(replace_file(p.dir / "shredding", fmt::format("{} {}\n", size, named.size()), 0600));
  std::vector<json::Object> acts;
  for (const auto& n : named) acts.push_back(n.data);
  const auto ordered = p.append(shred_kind, acts);
  if (!ordered) {
    ::unlink((p.dir / "shredding").c_str());
    return pass(ordered.error());
  }
  NORA_CHECK(p.finish_shredding(p.tail.size()));
  return going;
}

}  // namespace nora::law
