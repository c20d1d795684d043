#include "survey/daily.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <charconv>

#include "base/files.h"

namespace nora::survey {
namespace {

constexpr std::size_t max_file_bytes = std::size_t{1} << 30;

}  // namespace

// "2026-11-25\n198.51.100.7 12\n…" as law::Budget writes it. Counts of another day are none.
Result<DailyCounts::Counts> DailyCounts::parse(std::string_view text, std::string_view day) {
  Counts out;
  auto first = text.find('\n');
  if (first == std::string_view::npos) return fail(Code::bad_input, "the daily counts cannot be read");
  if (text.substr(0, first) != day) return out;
  for (auto at = first + 1; at < text.size();) {
    auto end = text.find('\n', at);
    auto line = text.substr(at, end == std::string_view::npos ? std::string_view::npos : end - at);
    auto blank = line.find(' ');
    if (end == std::string_view::npos || blank == std::string_view::npos) return fail(Code::bad_input, "the daily counts are cut");
    NORA_TRY(auto ip, Ip::parse(line.substr(0, blank)));
    std::uint32_t n = 0;
    auto [stop, error] = std::from_chars(line.data() + blank + 1, line.data() + line.size(), n);
    if (error != std::errc{} || stop != line.data() + line.size()) return fail(Code::bad_input, "the daily counts hold no number");
    out[ip] = n;
    at = end + 1;
  }
  return out;
}

Result<DailyCounts> DailyCounts::open(std::filesystem::path file, law::Budget& budget, Instant now) {
  DailyCounts out;
  out.file_ = std::move(file);
  out.day_ = now.date();
  if (out.file_.empty()) return out;
  std::error_code error;
  std::filesystem::create_directories(out.file_.parent_path(), error);
  if (!std::filesystem::exists(out.file_)) return out;
  auto text = read_file(out.file_, max_file_bytes);
  if (!text) return std::unexpected(text.error());
  auto counts = parse(*text, out.day_);
  if (!counts)
    return fail(Code::failed, out.file_.string() + ": " + counts.error().what,
                "move the file away if you are sure that today's cap is kept without it");
  out.kept_ = std::move(*counts);
  if (!out.kept_.empty()) NORA_CHECK(budget.restore(*text));
  return out;
}

Status DailyCounts::keep(const law::Budget& budget, Instant now) {
  if (file_.empty()) return {};
  auto text = budget.save();
  auto day = now.date();
  if (!text.starts_with(day)) return {};  // nothing was counted today
  if (day != day_) {
    day_ = day;
    kept_.clear();
  }
  NORA_TRY(auto ours, parse(text, day));
  Fd lock(::open((file_.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || flock(lock.get(), LOCK_EX) != 0) return fail(Code::failed, file_.string() + ".lock: " + errno_text(errno));
  Counts all;
  if (std::filesystem::exists(file_)) {
    NORA_TRY(auto before, read_file(file_, max_file_bytes));
    NORA_TRY(all, parse(before, day));
  }
  for (const auto& [ip, n] : ours) {
    auto& known = kept_[ip];
    if (n > known) all[ip] += n - known;
    known = n;
  }
  std::string out = day + "\n";
  for (const auto& [ip, n] : all) out += ip.text() + " " + std::to_string(n) + "\n";
  return replace_file(file_, out, 0600);
}

}  // namespace nora::survey
