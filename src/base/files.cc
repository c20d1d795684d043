#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace nora {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}
Fd::~Fd() { if (fd_ >= 0) ::close(fd_); }

std::string errno_text(int error) { return fmt::format("{} ({})", std::strerror(error), error); }

Result<std::string> read_file(const std::filesystem::path& file, std::size_t max_bytes) {
  Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno == ENOENT ? Code::not_found : Code::failed, fmt::format("cannot open {}: {}", file.string(), errno_text(errno)));
  std::string out;
  char buffer[65536];
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Code::failed, fmt::format("cannot read {}: {}", file.string(), errno_text(errno)));
    if (n == 0) return out;
    if (out.size() + static_cast<std::size_t>(n) > max_bytes) return fail(Code::bad_input, fmt::format("{} is larger than {} bytes", file.string(), max_bytes));
    out.append(buffer, static_cast<std::size_t>(n));
  }
}

Status write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Code::failed, fmt::format("cannot write: {}", errno_text(errno)));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status append_durably(int fd, ByteView bytes) {
  NORA_CHECK(write_all(fd, bytes));
  if (::fsync(fd) != 0 && errno != EINVAL) return fail(Code::failed, fmt::format("cannot sync: {}", errno_text(errno)));
  return {};
}

Status replace_file(const std::filesystem::path& file, std::string_view content, int mode) {
  std::filesystem::path temporary = file;
  temporary += fmt::format(".new.{}", ::getpid());
  const auto named = [&](Error e) { e.what = fmt::format("{}: {}", file.string(), e.what); ::unlink(temporary.c_str()); return pass(std::move(e)); };
  {
    Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!fd) return fail(Code::failed, fmt::format("cannot create {}: {}", temporary.string(), errno_text(errno)));
    if (auto s = append_durably(fd.get(), as_bytes(content)); !s) return named(s.error());
  }
  if (::rename(temporary.c_str(), file.c_str()) != 0) return named(Error{Code::failed, "cannot rename: " + errno_text(errno), {}});
  const auto parent = file.parent_path().empty() ? std::filesystem::path(".") : file.parent_path();
  Fd dir(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir) ::fsync(dir.get());
  return {};
}

}  // namespace nora
