// RE2::Set as prefilter engine: portable, compiles in a second, about 1.7 times slower than Hyperscan. Nothing is kept in the cache.
#include <re2/re2.h>
#include <re2/set.h>

#include <fmt/format.h>

#include "identify/engines.h"

namespace nora::identify {
namespace {

constexpr std::int64_t max_set_bytes = 64 << 20;  // automaton states; when they run out, Match() says so and every rule is a candidate

class Database : public ScanDatabase {
 public:
  std::unique_ptr<RE2::Set> set;
  std::vector<std::uint32_t> numbers, always;
  void scan(std::string_view text, ScanScratch*, std::vector<std::uint32_t>& out) const override {
    out.insert(out.end(), always.begin(), always.end());
    if (!set) return;
    if (text.find('\v') != std::string_view::npos) {  // RE2's \s leaves out the vertical tab, PCRE2's does not
      out.insert(out.end(), numbers.begin(), numbers.end());
      return;
    }
    std::vector<int> hits;
    RE2::Set::ErrorInfo error{};
    if (!set->Match(re2::StringPiece(text.data(), text.size()), &hits, &error) && error.kind != RE2::Set::kNoError) {
      out.insert(out.end(), numbers.begin(), numbers.end());
      return;
    }
    for (const int hit : hits) out.push_back(numbers[static_cast<std::size_t>(hit)]);
  }
  Bytes keep() const override { return {}; }
};

class Engine : public ScanEngine {
 public:
  std::string name() const override { return "RE2::Set"; }
  bool all_in_one() const override { return false; }  // the automaton of 4657 rules outgrows any memory; by file it stays small
  Result<std::unique_ptr<ScanDatabase>> compile(std::span<const Expression> expressions) const override {
    auto out = std::make_unique<Database>();
    RE2::Options options(RE2::Quiet);
    options.set_encoding(RE2::Options::EncodingLatin1);
    options.set_max_mem(max_set_bytes);
    out->set = std::make_unique<RE2::Set>(options, RE2::UNANCHORED);
    for (const auto& e : expressions) {
      const auto text = fmt::format("(?m{}{}){}", e.dotall ? "s" : "", e.caseless ? "i" : "", e.text);
      std::string why;
      if (!e.text.empty() && out->set->Add(text, &why) >= 0) out->numbers.push_back(e.number);
      else out->always.push_back(e.number);
    }
    if (out->numbers.empty()) out->set.reset();
    else if (!out->set->Compile()) return fail(Code::failed, "RE2::Set ran out of memory");
    return std::unique_ptr<ScanDatabase>(std::move(out));
  }
  Result<std::unique_ptr<ScanDatabase>> restore(ByteView) const override { return fail(Code::not_found, "RE2 keeps no database"); }
  std::unique_ptr<ScanScratch> scratch_for(std::span<const ScanDatabase* const>) const override { return nullptr; }
};

}  // namespace

std::unique_ptr<ScanEngine> re2_engine() { return std::make_unique<Engine>(); }

}  // namespace nora::identify
