// Answered: which probes (indexes of the Space) have had their answer, exactly, in memory and in the spool directory (answered.bin), so that
// a late repeat is a duplicate whatever happened in between, and a resumed survey asks nothing again that was answered. Used by the engine.
// One thread. Memory: 2 bytes per answer where answers are few, at most 8 KiB per 65,536 probes (420 MiB when all of 3.4e9 probes answer).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"

namespace nora::survey {

// A set of numbers: sorted 16-bit lists per 65,536 numbers, bitmaps where a list would be longer.
class IndexSet {
 public:
  bool insert(std::uint64_t i);  // false: it was there
  bool erase(std::uint64_t i);   // false: it was not
  bool contains(std::uint64_t i) const;
  std::uint64_t size() const { return size_; }
  std::size_t bytes() const;  // memory of the lists and bitmaps

 private:
  static constexpr std::size_t list_max = 4096;  // 16-bit numbers in the size of a bitmap
  struct Chunk {
    std::vector<std::uint16_t> list;
    std::unique_ptr<std::array<std::uint64_t, 1024>> bitmap;
  };
  std::unordered_map<std::uint64_t, Chunk> chunks_;
  std::uint64_t size_ = 0;
};

class Answered {
 public:
  static Result<Answered> open(const std::filesystem::path& dir);
  bool insert(std::uint64_t index) { return set_.insert(index); }  // in memory: a repeat is told apart at once
  void forget(std::uint64_t index) { set_.erase(index); }
  void forget_for_good(std::uint64_t index);  // also what was kept
  void keep(std::uint64_t index);  // what it said is in the spool: for good from the next flush on
  bool contains(std::uint64_t index) const { return set_.contains(index); }
  std::uint64_t size() const { return set_.size(); }
  Status flush(bool sync);  // Errors: failed (disk full)

 private:
  IndexSet set_;
  Fd file_;
  std::uint64_t size_on_disk_ = 0;
  Bytes buffer_;
};

}  // namespace nora::survey
