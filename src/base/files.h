// Files and descriptors: read with a limit, replace atomically, append durably. Used by every folder that keeps files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace nora {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

Result<std::string> read_file(const std::filesystem::path& file, std::size_t max_bytes = 64u << 20);
// Writes a temporary file beside it, fsyncs, renames, fsyncs the directory: afterwards there is the old or the new file.
Status replace_file(const std::filesystem::path& file, std::string_view content, int mode = 0644);
// Appends all bytes and fsyncs. Errors: failed (disk full names the file).
Status append_durably(int fd, ByteView bytes);
Status write_all(int fd, ByteView bytes);
std::string errno_text(int error);  // "No space left on device (28)"

}  // namespace nora
