// The first layout of an audit log: read, checked and moved (law/audit_parts.h). entries: u16 32 and the entry, 34 bytes each; salts: 32
// bytes each; data: u32 length and the text each; the checkpoint counted the bytes of data in a fourth line.
#include <fmt/format.h>

#include <charconv>

#include "law/audit_parts.h"

namespace nora::law {
namespace {

constexpr std::size_t old_entry_bytes = 2 + 32, max_old_bytes = std::size_t{4} << 30;
constexpr std::string_view old_line = "data ";

}  // namespace

bool is_old_layout(const Checkpoint& c) { return c.extensions.size() == 1 && c.extensions[0].starts_with(old_line); }

Status read_old_log(const std::filesystem::path& dir, const Checkpoint& c, bool exact, const std::function<Status(const Hash&, ByteView, ByteView)>& visit) {
  std::uint64_t data_bytes = 0;
  const std::string_view count = std::string_view(c.extensions.at(0)).substr(old_line.size());
  if (const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), data_bytes); error != std::errc{} || end != count.data() + count.size())
    return fail(Code::failed, "checkpoint: its text cannot be read");
  NORA_TRY(const std::string entries, read_file(dir / "entries", max_old_bytes));
  NORA_TRY(const std::string salts, read_file(dir / "salts", max_old_bytes));
  NORA_TRY(const std::string data, read_file(dir / "data", max_old_bytes));
  MerkleEdge edge;
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < c.size; ++i) {
    const auto bad = [&](std::string_view why) { return fail(Code::failed, fmt::format("leaf {}: {}", i, why)); };
    if (entries.size() < (i + 1) * old_entry_bytes) return bad("the entries file is too short");
    if (salts.size() < (i + 1) * salt_bytes) return bad("the salts file is too short");
    if (data.size() < at + 4) return bad("the data file is too short");
    const auto* head = as_bytes(entries).data() + i * old_entry_bytes;
    if (get_u16be(head) != 32) return bad("its length is wrong");
    Hash entry;
    std::copy_n(head + 2, entry.size(), entry.begin());
    const std::size_t length = get_u32be(as_bytes(data).data() + at);
    if (length > max_record_data || data.size() - at - 4 < length) return bad("the data file is too short");
    const ByteView salt = as_bytes(salts).subspan(i * salt_bytes, salt_bytes), content = as_bytes(data).subspan(at + 4, length);
    if (audit_commitment(salt, content) != entry) return bad("its data or salt was changed");
    NORA_CHECK(visit(entry, salt, content));
    edge.add(merkle_leaf(entry));
    at += 4 + length;
  }
  if (at != data_bytes || edge.root() != c.root) return fail(Code::failed, "its entries do not fit its checkpoint");
  if (exact && (entries.size() != c.size * old_entry_bytes || salts.size() != c.size * salt_bytes || data.size() != data_bytes))
    return fail(Code::failed, fmt::format("leaf {}: there are bytes that the checkpoint does not count", c.size));
  return {};
}

Status migrate_old_log(const std::filesystem::path& dir, const Checkpoint& c, const SigningKey& key) {
  AuditGrowth growth({});
  NORA_CHECK(read_old_log(dir, c, false, [&](const Hash& entry, ByteView salt, ByteView data) -> Status {
    growth.add(entry, salt, data);
    return {};
  }));
  // What an earlier attempt left behind would otherwise stand beside what is written now.
  std::error_code error;
  std::filesystem::remove_all(dir / "tile", error);
  std::filesystem::remove_all(dir / "private", error);
  NORA_CHECK(growth.write(dir));
  const Checkpoint next{c.origin, c.size, growth.tail().edge.root(), {}};
  return replace_file(dir / "checkpoint", sign_note(next.text(), key), 0600);
}

void remove_old_files(const std::filesystem::path& dir) {
  std::error_code error;
  for (const char* f : {"entries", "salts", "data"}) std::filesystem::remove(dir / f, error);
}

}  // namespace nora::law
