// The growing opt-out list (law/opt_out_file.h).
#include "law/opt_out_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>

#include "base/escape.h"
#include "base/files.h"
#include "base/text.h"
#include "law/mandate_text.h"

namespace nora::law {
namespace {

constexpr std::string_view head = "# Addresses that are left alone by every survey. One prefix a line; the remark says when, who and why.\n";

Result<Fd> lock(const std::filesystem::path& file) {
  const std::string name = file.string() + ".lock";
  Fd fd(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd || ::flock(fd.get(), LOCK_EX) != 0) return fail(Code::failed, name + ": " + errno_text(errno));
  return fd;
}

// One line, nothing that could end it or begin another.
std::string one_line(std::string_view words) {
  std::string out = to_clean_utf8(words).substr(0, OptOutFile::max_remark_bytes);
  for (char& c : out)
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  return out;
}

}  // namespace

Result<OptOutFile> OptOutFile::open(std::filesystem::path file) {
  OptOutFile out(std::move(file));
  NORA_TRY(const Fd held, lock(out.file_));
  std::error_code error;
  // Read by the wall, which is another user.
  if (!std::filesystem::exists(out.file_, error)) NORA_CHECK(replace_file(out.file_, head, 0644));
  NORA_CHECK(out.list());
  return out;
}

Result<std::vector<OptOutEntry>> OptOutFile::list() const {
  NORA_TRY(const std::string text, read_file(file_, max_opt_out_bytes));
  // The reader that the sender uses judges the file; here only the remarks are added.
  if (const auto whole = parse_opt_out(text); !whole) return fail(Code::bad_input, fmt::format("{}: {}", file_.string(), whole.error().what));
  std::vector<OptOutEntry> out;
  for (const std::string_view line : split(text, '\n')) {
    const auto hash = std::min(line.find('#'), line.size());
    auto prefix = line.substr(0, hash);
    while (!prefix.empty() && prefix.back() == ' ') prefix.remove_suffix(1);
    while (!prefix.empty() && prefix.front() == ' ') prefix.remove_prefix(1);
    if (prefix.empty()) continue;
    NORA_TRY(const Prefix p, Prefix::parse(prefix));
    const auto remark = line.substr(std::min(hash + 2, line.size()));
    out.push_back({p, std::string(remark)});
  }
  return out;
}

Result<bool> OptOutFile::add(const Prefix& prefix, std::string_view who, std::string_view reason, Instant at) {
  NORA_TRY(const Fd held, lock(file_));
  NORA_TRY(const auto entries, list());
  if (std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return e.prefix.contains(prefix); })) return false;
  NORA_TRY(std::string text, read_file(file_, max_opt_out_bytes));
  if (!text.empty() && text.back() != '\n') text += '\n';
  text += fmt::format("{} # {} {}: {}\n", prefix.text(), at.text(), one_line(who), one_line(reason));
  if (text.size() > max_opt_out_bytes) return fail(Code::failed, fmt::format("{} is full", file_.string()), "Sum its addresses up into prefixes.");
  NORA_CHECK(replace_file(file_, text, 0644));
  return true;
}

Result<bool> OptOutFile::remove(const Prefix& prefix) {
  NORA_TRY(const Fd held, lock(file_));
  NORA_TRY(const std::string text, read_file(file_, max_opt_out_bytes));
  std::string kept;
  bool found = false;
  for (const std::string_view line : split(text, '\n')) {
    auto before = line.substr(0, line.find('#'));
    while (!before.empty() && before.back() == ' ') before.remove_suffix(1);
    const auto p = Prefix::parse(before);
    if (p && *p == prefix) {
      found = true;
      continue;
    }
    if (!line.empty()) kept += std::string(line) + "\n";
  }
  if (found) NORA_CHECK(replace_file(file_, kept, 0644));
  return found;
}

}  // namespace nora::law
