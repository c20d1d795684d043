#include "law/audit_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/crypto.h"

namespace nora::law {
namespace {

std::unexpected<Error> cannot_write(const std::string& path, int error) {
  return fail(Code::failed, fmt::format("the audit log cannot be written ({}): {}", path, errno_text(error)),
              "Nothing was done. Make room or repair the disk, then try again.");
}

void put_u64(std::uint8_t* out, std::uint64_t v) {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(v >> (56 - 8 * i));
}

// Folders from dir down to dir/path; each new one is durable in its parent.
Status make_folders(const std::filesystem::path& dir, const std::filesystem::path& path, Durable durable) {
  std::filesystem::path at = dir;
  for (const auto& part : path) {
    const auto parent = at;
    at /= part;
    if (::mkdir(at.c_str(), 0700) != 0) {
      if (errno == EEXIST) continue;
      return cannot_write(at.lexically_relative(dir).string(), errno);
    }
    if (durable == Durable::yes) {
      const Fd fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!fd || ::fsync(fd.get()) != 0) return cannot_write(parent.lexically_relative(dir).string(), errno);
    }
  }
  return {};
}

}  // namespace

std::string private_path(std::uint64_t n) { return "private/" + number_path(n); }
std::optional<std::uint64_t> parse_private_path(std::string_view path) {
  if (!path.starts_with("private/")) return std::nullopt;
  return parse_number_path(path.substr(8));
}

Hash audit_commitment(ByteView salt, ByteView data) { return sha256({salt, data}); }

std::uint64_t AuditRecord::shredded_by() const { return std::uint64_t{get_u32be(salt.data())} << 32 | get_u32be(salt.data() + 4); }

bool AuditRecord::holds() const {
  if (!shredded) return audit_commitment(salt, data) == entry;
  const auto zero = [](std::uint8_t b) { return b == 0; };
  return std::all_of(salt.begin() + 8, salt.end(), zero) && std::all_of(data.begin(), data.end(), zero);
}

void put_record(Bytes& out, const Hash& entry, ByteView salt, ByteView data) {
  put_u32be(out, static_cast<std::uint32_t>(data.size()));
  out.push_back(0);
  out.insert(out.end(), entry.begin(), entry.end());
  out.insert(out.end(), salt.begin(), salt.end());
  out.insert(out.end(), data.begin(), data.end());
}

Bytes shredded_record(const AuditRecord& r, std::uint64_t by) {
  Bytes out;
  put_u32be(out, static_cast<std::uint32_t>(r.data.size()));
  out.push_back(1);
  out.insert(out.end(), r.entry.begin(), r.entry.end());
  out.resize(record_head_bytes + r.data.size());
  put_u64(out.data() + record_head_bytes - salt_bytes, by);
  return out;
}

Result<std::vector<AuditRecord>> parse_records(ByteView file, unsigned count) {
  std::vector<AuditRecord> out;
  out.reserve(count);
  std::size_t at = 0;
  const auto bad = [&](std::string_view why) { return fail(Code::bad_input, fmt::format("record {} {}", out.size(), why)); };
  while (out.size() < count) {
    if (file.size() - at < record_head_bytes) return bad("is cut");
    const std::size_t length = get_u32be(file.data() + at);
    const std::uint8_t state = file[at + 4];
    if (length > max_record_data) return bad("is too long");
    if (state > 1) return bad("has an unknown state");
    if (file.size() - at - record_head_bytes < length) return bad("is cut");
    AuditRecord r;
    r.at = at;
    r.shredded = state == 1;
    std::memcpy(r.entry.data(), file.data() + at + 5, r.entry.size());
    r.salt = file.subspan(at + 37, salt_bytes);
    r.data = file.subspan(at + record_head_bytes, length);
    at += record_head_bytes + length;
    out.push_back(r);
  }
  return out;
}

Result<AuditLock> AuditLock::take(const std::filesystem::path& dir, bool exclusive) {
  Fd fd(::open((dir / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd && !exclusive) fd = Fd(::open((dir / "lock").c_str(), O_RDONLY | O_CLOEXEC));  // an auditor may only read
  if (!fd && !exclusive && (errno == ENOENT || errno == EROFS || errno == EACCES)) return AuditLock(Fd());  // a copy that nobody can write to
  if (!fd) return fail(Code::failed, fmt::format("the audit log {} cannot be locked: {}", dir.string(), errno_text(errno)));
  int r;
  do r = ::flock(fd.get(), exclusive ? LOCK_EX : LOCK_SH);
  while (r != 0 && errno == EINTR);
  if (r != 0) return fail(Code::failed, fmt::format("the audit log {} cannot be locked: {}", dir.string(), errno_text(errno)));
  return AuditLock(std::move(fd));
}

Status write_log_file(const std::filesystem::path& dir, const std::string& path, std::uint64_t at, ByteView bytes, Durable durable) {
  const auto file = dir / path;
  bool made = false;
  Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC, 0600));
  if (!fd) {
    NORA_CHECK(make_folders(dir, std::filesystem::path(path).parent_path(), durable));
    fd = Fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return cannot_write(path, errno);
    made = true;
  } else if (::ftruncate(fd.get(), static_cast<off_t>(at)) != 0) {  // what an append that did not end left behind
    return cannot_write(path, errno);
  }
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return cannot_write(path, n == 0 ? ENOSPC : errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
  }
  if (durable == Durable::no) return {};
  if (::fdatasync(fd.get()) != 0) return cannot_write(path, errno);
  if (!made) return {};
  const Fd folder(::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return cannot_write(path, errno);
  return {};
}

Status cut_log_file(const std::filesystem::path& file, std::uint64_t bytes) {
  if (::truncate(file.c_str(), static_cast<off_t>(bytes)) != 0)
    return fail(Code::failed, fmt::format("{} cannot be cut: {}", file.string(), errno_text(errno)));
  return {};
}

std::vector<std::string> files_below(const std::filesystem::path& dir, std::string_view folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(dir / folder, error), end; !error && at != end; at.increment(error))
    if (!at->is_directory(error)) out.push_back(at->path().lexically_relative(dir).string());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace nora::law
