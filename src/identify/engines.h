// The engines behind a Prefilter: compile many expressions, scan one text for all of them. Private to prefilter.cc, engine_*.cc and their test.
// Databases are immutable and shared; scratch space belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "identify/pattern.h"

namespace nora::identify {

struct Expression {
  std::string text;           // PCRE2's dialect, byte mode, line anchors; empty: a candidate for every text
  bool dotall = false, caseless = false;
  std::uint32_t number = 0;   // reported when it may match
};

class ScanScratch { public: virtual ~ScanScratch() = default; };

class ScanDatabase {
 public:
  virtual ~ScanDatabase() = default;
  // Appends the numbers that may match, in any order, each once. Unsupported expressions are always among them.
  virtual void scan(std::string_view text, ScanScratch* scratch, std::vector<std::uint32_t>& numbers) const = 0;
  virtual Bytes keep() const = 0;   // for the cache; empty: cannot be kept
};

class ScanEngine {
 public:
  virtual ~ScanEngine() = default;
  virtual std::string name() const = 0;     // with version and what of the CPU the compiled form depends on
  virtual bool all_in_one() const = 0;      // one database of thousands of rules is worth while
  virtual Result<std::unique_ptr<ScanDatabase>> compile(std::span<const Expression> expressions) const = 0;
  virtual Result<std::unique_ptr<ScanDatabase>> restore(ByteView kept) const = 0;
  virtual std::unique_ptr<ScanScratch> scratch_for(std::span<const ScanDatabase* const> databases) const = 0;
};

// nullptr with a sentence when the engine is not built in, the CPU lacks what it needs, or it loses matches in a short self-test.
std::unique_ptr<ScanEngine> hyperscan_engine(std::string& why);
std::unique_ptr<ScanEngine> re2_engine();

}  // namespace nora::identify
