#include "survey/answered.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace nora::survey {
namespace {

constexpr std::size_t entry_bytes = 8;
constexpr std::uint64_t forgotten = std::uint64_t{1} << 63;
constexpr std::size_t read_bytes = entry_bytes << 17;

}  // namespace

bool IndexSet::insert(std::uint64_t i) {
  auto& c = chunks_[i >> 16];
  auto low = static_cast<std::uint16_t>(i);
  if (c.bitmap) {
    auto& word = (*c.bitmap)[low >> 6];
    auto bit = std::uint64_t{1} << (low & 63);
    if (word & bit) return false;
    word |= bit;
  } else {
    auto at = std::lower_bound(c.list.begin(), c.list.end(), low);
    if (at != c.list.end() && *at == low) return false;
    if (c.list.size() >= list_max) {
      c.bitmap = std::make_unique<std::array<std::uint64_t, 1024>>();
      c.bitmap->fill(0);
      for (auto x : c.list) (*c.bitmap)[x >> 6] |= std::uint64_t{1} << (x & 63);
      (*c.bitmap)[low >> 6] |= std::uint64_t{1} << (low & 63);
      std::vector<std::uint16_t>().swap(c.list);  // its memory too
    } else {
      c.list.insert(at, low);
    }
  }
  ++size_;
  return true;
}

bool IndexSet::erase(std::uint64_t i) {
  auto found = chunks_.find(i >> 16);
  if (found == chunks_.end() || !contains(i)) return false;
  auto& c = found->second;
  auto low = static_cast<std::uint16_t>(i);
  if (c.bitmap) (*c.bitmap)[low >> 6] &= ~(std::uint64_t{1} << (low & 63));
  else c.list.erase(std::lower_bound(c.list.begin(), c.list.end(), low));
  --size_;
  return true;
}

bool IndexSet::contains(std::uint64_t i) const {
  auto found = chunks_.find(i >> 16);
  if (found == chunks_.end()) return false;
  const auto& c = found->second;
  auto low = static_cast<std::uint16_t>(i);
  if (c.bitmap) return (*c.bitmap)[low >> 6] >> (low & 63) & 1;
  return std::binary_search(c.list.begin(), c.list.end(), low);
}

std::size_t IndexSet::bytes() const {
  std::size_t n = 0;
  for (const auto& [high, c] : chunks_) n += sizeof c + c.list.capacity() * 2 + (c.bitmap ? sizeof *c.bitmap : 0);
  return n;
}

// answered.bin: 8 bytes, big endian, per index, in the order in which they were kept; with the highest bit set: it was forgotten.
Result<Answered> Answered::open(const std::filesystem::path& dir) {
  Answered out;
  auto path = dir / "answered.bin";
  out.file_ = Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!out.file_) return fail(Code::failed, path.string() + ": " + errno_text(errno));
  Bytes chunk(read_bytes);
  for (;;) {
    auto n = pread(out.file_.get(), chunk.data(), chunk.size(), static_cast<off_t>(out.size_on_disk_));
    if (n < 0) return fail(Code::failed, path.string() + ": " + errno_text(errno));
    auto whole = static_cast<std::size_t>(n) / entry_bytes * entry_bytes;
    for (std::size_t at = 0; at < whole; at += entry_bytes) {
      auto entry = std::uint64_t{get_u32be(&chunk[at])} << 32 | get_u32be(&chunk[at + 4]);
      if (entry & forgotten) out.set_.erase(entry & ~forgotten);
      else out.set_.insert(entry);
    }
    out.size_on_disk_ += whole;
    if (whole < chunk.size()) break;
  }
  // An entry that a crash cut short says nothing: its probe is asked again.
  if (ftruncate(out.file_.get(), static_cast<off_t>(out.size_on_disk_)) != 0) return fail(Code::failed, path.string() + ": " + errno_text(errno));
  return out;
}

void Answered::keep(std::uint64_t index) {
  put_u32be(buffer_, static_cast<std::uint32_t>(index >> 32));
  put_u32be(buffer_, static_cast<std::uint32_t>(index));
}

void Answered::forget_for_good(std::uint64_t index) {
  if (set_.erase(index)) keep(index | forgotten);
}

Status Answered::flush(bool sync) {
  if (!buffer_.empty()) {
    if (auto written = write_all(file_.get(), buffer_); !written) {
      (void)ftruncate(file_.get(), static_cast<off_t>(size_on_disk_));  // a part of it would shift all that follows
      return written;
    }
    size_on_disk_ += buffer_.size();
    buffer_.clear();
  }
  if (sync && fsync(file_.get()) != 0) return fail(Code::failed, "the list of answered probes cannot be synced: " + errno_text(errno));
  return {};
}

}  // namespace nora::survey
