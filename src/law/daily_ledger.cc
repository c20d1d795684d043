// The daily counts (law/daily_ledger.h).
#include "law/daily_ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <map>

namespace nora::law {
namespace {

constexpr std::int64_t day_us = 86'400'000'000;
constexpr std::size_t all_bytes = (std::size_t{1} << 32) * sizeof(std::uint16_t), block_bytes = 65536 * sizeof(std::uint16_t);
constexpr std::uint32_t most = 65535;
constexpr std::size_t max_text_bytes = std::size_t{1} << 30;

std::string date(std::int64_t day) { return Instant{day * day_us}.date(); }

// "2026-11-25\n2001:db8::7 12\n…"
Result<std::map<Ip, std::uint32_t>> parse(std::string_view text, std::string_view day) {
  std::map<Ip, std::uint32_t> out;
  const auto first = text.find('\n');
  if (first == text.npos || text.substr(0, first) != day) return fail(Code::bad_input, "the daily counts are of another day");
  for (auto at = first + 1; at < text.size();) {
    const auto end = text.find('\n', at);
    const auto line = text.substr(at, end == text.npos ? text.npos : end - at);
    const auto blank = line.find(' ');
    if (end == text.npos || blank == line.npos) return fail(Code::bad_input, "the daily counts are cut");
    NORA_TRY(const Ip ip, Ip::parse(line.substr(0, blank)));
    std::uint32_t n = 0;
    const auto [stop, error] = std::from_chars(line.data() + blank + 1, line.data() + line.size(), n);
    if (error != std::errc{} || stop != line.data() + line.size()) return fail(Code::bad_input, "the daily counts hold no number");
    out[ip] = n;
    at = end + 1;
  }
  return out;
}

}  // namespace

DailyLedger::DailyLedger(DailyLedger&& o) noexcept { *this = std::move(o); }
DailyLedger& DailyLedger::operator=(DailyLedger&& o) noexcept {
  std::swap(folder_, o.folder_);
  std::swap(day_, o.day_);
  std::swap(file_, o.file_);
  std::swap(counts_, o.counts_);
  std::swap(present_, o.present_);
  std::swap(six_, o.six_);
  return *this;
}
DailyLedger::~DailyLedger() {
  if (counts_) ::munmap(counts_, all_bytes);
}

Result<DailyLedger> DailyLedger::open(std::filesystem::path folder, Instant now) {
  DailyLedger out;
  out.folder_ = std::move(folder);
  if (!out.folder_.empty()) {
    std::error_code error;
    std::filesystem::create_directories(out.folder_, error);
    if (error) return fail(Code::failed, out.folder_.string() + ": " + error.message());
  }
  NORA_CHECK(out.begin_day(now.us / day_us));
  return out;
}

Status DailyLedger::begin_day(std::int64_t day) {
  if (day == day_) return {};
  if (counts_) ::munmap(std::exchange(counts_, nullptr), all_bytes);
  day_ = -1;  // until the new day's counts are there: no day has any
  file_ = Fd();
  six_.clear();
  present_.assign(65536, false);
  void* memory = nullptr;
  if (folder_.empty()) {
    memory = ::mmap(nullptr, all_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  } else {
    const auto name = "v4-" + date(day);
    // The counts of other days decide nothing any more.
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
      const auto other = entry.path().filename().string();
      if (((other.starts_with("v4-") && other < name) || (other.starts_with("v6-") && other < "v6-" + date(day) + ".txt"))) std::filesystem::remove(entry.path(), error);
    }
    const auto path = folder_ / name;
    file_ = Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const off_t size = file_ ? ::lseek(file_.get(), 0, SEEK_END) : -1;
    if (size < 0) return fail(Code::failed, path.string() + ": " + errno_text(errno));
    if (size != 0 && size != static_cast<off_t>(all_bytes))
      return fail(Code::failed, path.string() + " has not the size of a file of daily counts", "move it away if you are sure that today's cap is kept without it");
    if (size == 0 && ::ftruncate(file_.get(), static_cast<off_t>(all_bytes)) != 0) return fail(Code::failed, path.string() + ": " + errno_text(errno));
    memory = ::mmap(nullptr, all_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_.get(), 0);
  }
  if (memory == MAP_FAILED) return fail(Code::failed, "no memory for the daily counts: " + errno_text(errno));
  counts_ = static_cast<std::uint16_t*>(memory);
  day_ = day;
  return folder_.empty() ? Status{} : add_v6_of_others();
}

// A write into a hole of a full disk would end the process (SIGBUS): the disk is asked for the whole block before its first count.
bool DailyLedger::room_for(std::uint32_t v4) {
  const std::size_t block = v4 >> 16;
  if (present_[block]) return true;
  if (file_ && ::posix_fallocate(file_.get(), static_cast<off_t>(block * block_bytes), block_bytes) != 0) return false;
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
  // All its pages at once: a fault for each costs three times as much. Older kernels refuse, and fault.
  if (file_) (void)::madvise(reinterpret_cast<char*>(counts_) + block * block_bytes, block_bytes, MADV_POPULATE_WRITE);
  present_[block] = true;
  return true;
}

DailyLedger::Taken DailyLedger::take(Ip target, std::uint32_t packets, std::uint32_t cap, Instant now) {
  if (const auto day = now.us / day_us; day != day_ && !begin_day(day)) return Taken::cannot_be_kept;
  cap = std::min(cap, most);
  if (!target.is_v4()) {
    if (six_.size() >= max_v6 && !six_.contains(target)) return Taken::cannot_be_kept;
    Six& six = six_[target];
    if (six.today + packets > cap) return Taken::cap_reached;
    six.today += packets;
    return Taken::yes;
  }
  const std::uint32_t v = target.v4_value();
  if (!room_for(v)) return Taken::cannot_be_kept;
  std::atomic_ref<std::uint16_t> count(counts_[v]);
  for (std::uint16_t before = count.load(std::memory_order_relaxed);;) {
    if (before + packets > cap) return Taken::cap_reached;
    if (count.compare_exchange_weak(before, static_cast<std::uint16_t>(before + packets), std::memory_order_relaxed)) return Taken::yes;
  }
}

std::uint32_t DailyLedger::count(Ip target, Instant now) {
  if (now.us / day_us != day_) return 0;
  if (target.is_v4()) return std::atomic_ref<std::uint16_t>(counts_[target.v4_value()]).load(std::memory_order_relaxed);
  const auto six = six_.find(target);
  return six == six_.end() ? 0 : six->second.today;
}

Status DailyLedger::add_v6_of_others() {
  const auto path = folder_ / ("v6-" + date(day_) + ".txt");
  if (!std::filesystem::exists(path)) return {};
  NORA_TRY(const std::string text, read_file(path, max_text_bytes));
  const auto counts = parse(text, date(day_));
  if (!counts) return fail(Code::failed, path.string() + ": " + counts.error().what, "move the file away if you are sure that today's cap is kept without it");
  for (const auto& [ip, n] : *counts) {
    Six& six = six_[ip];
    six.today = n + (six.today - six.kept);
    six.kept = n;
  }
  return {};
}

Status DailyLedger::keep_v6() {
  const bool news = std::any_of(six_.begin(), six_.end(), [](const auto& s) { return s.second.today != s.second.kept; });
  if (!news) return {};
  const auto path = folder_ / ("v6-" + date(day_) + ".txt");
  const Fd lock(::open((folder_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) return fail(Code::failed, (folder_ / "lock").string() + ": " + errno_text(errno));
  NORA_CHECK(add_v6_of_others());
  std::string out = date(day_) + "\n";
  for (auto& [ip, six] : six_) {
    out += ip.text() + " " + std::to_string(six.today) + "\n";
    six.kept = six.today;
  }
  return replace_file(path, out, 0600);
}

Status DailyLedger::sync(Instant now) {
  if (folder_.empty() || now.us / day_us != day_) return {};
  // The pages are in the kernel's hands already; fdatasync is for a power cut.
  if (::fdatasync(file_.get()) != 0) return fail(Code::failed, "the daily counts cannot be kept: " + errno_text(errno));
  return keep_v6();
}

}  // namespace nora::law
