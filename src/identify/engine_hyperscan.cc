// Hyperscan as prefilter engine. Hyperscan and Vectorscan share header and library name, so the library is judged by what it does:
// a short self-test with the patterns that Vectorscan 5.4.9 loses on AVX-512 (VectorCamp/vectorscan pull request 378).
#include "identify/engines.h"

#include <fmt/format.h>

#ifdef NORA_HAVE_HYPERSCAN
#include <hs.h>
#endif

namespace nora::identify {

#ifndef NORA_HAVE_HYPERSCAN
std::unique_ptr<ScanEngine> hyperscan_engine(std::string& why) {
  why = "this build has no Hyperscan";
  return nullptr;
}
#else
namespace {

struct FreeDatabase { void operator()(hs_database_t* p) const { hs_free_database(p); } };
using Raw = std::unique_ptr<hs_database_t, FreeDatabase>;

class Scratch : public ScanScratch {
 public:
  hs_scratch_t* raw = nullptr;
  ~Scratch() override { hs_free_scratch(raw); }
};

int on_match(unsigned id, unsigned long long, unsigned long long, unsigned, void* out) {
  static_cast<std::vector<std::uint32_t>*>(out)->push_back(id);
  return 0;
}

class Database : public ScanDatabase {
 public:
  Raw raw;
  std::vector<std::uint32_t> always, all;
  void scan(std::string_view text, ScanScratch* scratch, std::vector<std::uint32_t>& out) const override {
    const auto before = out.size();
    out.insert(out.end(), always.begin(), always.end());
    if (!raw) return;
    const char* data = text.data() == nullptr ? "" : text.data();
    if (hs_scan(raw.get(), data, static_cast<unsigned>(text.size()), 0, static_cast<Scratch*>(scratch)->raw, on_match, &out) == HS_SUCCESS) return;
    out.resize(before);  // cannot happen with our own scratch; slow is better than lost
    out.insert(out.end(), all.begin(), all.end());
  }
  // u32 count, the always list; u32 count, all; the library's own form.
  Bytes keep() const override {
    Bytes out;
    for (const auto* list : {&always, &all}) {
      put_u32be(out, static_cast<std::uint32_t>(list->size()));
      for (const auto n : *list) put_u32be(out, n);
    }
    if (!raw) return out;
    char* bytes = nullptr;
    std::size_t length = 0;
    if (hs_serialize_database(raw.get(), &bytes, &length) != HS_SUCCESS) return {};
    out.insert(out.end(), bytes, bytes + length);
    std::free(bytes);
    return out;
  }
};

unsigned flags_of(const Expression& e) {
  return HS_FLAG_MULTILINE | HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY | (e.dotall ? HS_FLAG_DOTALL : 0U) | (e.caseless ? HS_FLAG_CASELESS : 0U);
}

// "^^" and "$$" say what "^" and "$" say, and the library refuses them ("Embedded start anchors").
std::string collapsed(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) { out += text[i]; out += text[++i]; continue; }
    if (i + 1 < text.size() && (text[i] == '^' || text[i] == '$') && text[i + 1] == text[i]) continue;
    out += text[i];
  }
  return out;
}

class Engine : public ScanEngine {
 public:
  std::string name() const override {
    hs_platform_info_t platform{};
    hs_populate_platform(&platform);
    return fmt::format("Hyperscan {} tune {} features {:x}", hs_version(), platform.tune, platform.cpu_features);
  }
  bool all_in_one() const override { return true; }
  Result<std::unique_ptr<ScanDatabase>> compile(std::span<const Expression> expressions) const override {
    auto out = std::make_unique<Database>();
    std::vector<std::string> texts;
    std::vector<unsigned> flags, ids;
    for (const auto& e : expressions) {
      out->all.push_back(e.number);
      if (e.text.empty()) { out->always.push_back(e.number); continue; }
      auto text = collapsed(e.text);
      auto flag = flags_of(e);
      hs_expr_info_t* info = nullptr;
      hs_compile_error_t* error = nullptr;
      bool fits = hs_expression_info(text.c_str(), flag, &info, &error) == HS_SUCCESS;
      hs_free_compile_error(error);
      std::free(info);
      if (!fits) {  // look-around and the like: the library's own over-approximation
        flag |= HS_FLAG_PREFILTER;
        info = nullptr;
        error = nullptr;
        fits = hs_expression_info(text.c_str(), flag, &info, &error) == HS_SUCCESS;
        hs_free_compile_error(error);
        std::free(info);
      }
      if (!fits) { out->always.push_back(e.number); continue; }
      texts.push_back(std::move(text));
      flags.push_back(flag);
      ids.push_back(e.number);
    }
    // An expression may still fail when it is compiled; it is then named, and becomes a candidate for every text.
    while (!texts.empty()) {
      std::vector<const char*> raw;
      for (const auto& text : texts) raw.push_back(text.c_str());
      hs_database_t* database = nullptr;
      hs_compile_error_t* error = nullptr;
      if (hs_compile_multi(raw.data(), flags.data(), ids.data(), static_cast<unsigned>(raw.size()), HS_MODE_BLOCK, nullptr, &database, &error) == HS_SUCCESS) {
        out->raw.reset(database);
        break;
      }
      const int at = error->expression;
      const std::string what = error->message == nullptr ? "" : error->message;
      hs_free_compile_error(error);
      if (at < 0 || static_cast<std::size_t>(at) >= texts.size()) return fail(Code::failed, "Hyperscan: " + what);
      out->always.push_back(ids[static_cast<std::size_t>(at)]);
      texts.erase(texts.begin() + at);
      flags.erase(flags.begin() + at);
      ids.erase(ids.begin() + at);
    }
    return std::unique_ptr<ScanDatabase>(std::move(out));
  }
  Result<std::unique_ptr<ScanDatabase>> restore(ByteView kept) const override {
    auto out = std::make_unique<Database>();
    std::size_t at = 0;
    const auto list = [&](std::vector<std::uint32_t>& into) {
      if (kept.size() - at < 4) return false;
      const auto count = get_u32be(kept.data() + at);
      at += 4;
      if ((kept.size() - at) / 4 < count) return false;
      for (std::uint32_t i = 0; i < count; ++i, at += 4) into.push_back(get_u32be(kept.data() + at));
      return true;
    };
    if (!list(out->always) || !list(out->all)) return fail(Code::bad_input, "kept database is cut short");
    if (at == kept.size()) return std::unique_ptr<ScanDatabase>(std::move(out));
    hs_database_t* database = nullptr;
    if (hs_deserialize_database(reinterpret_cast<const char*>(kept.data() + at), kept.size() - at, &database) != HS_SUCCESS) return fail(Code::bad_input, "kept database does not fit this library");
    out->raw.reset(database);
    return std::unique_ptr<ScanDatabase>(std::move(out));
  }
  std::unique_ptr<ScanScratch> scratch_for(std::span<const ScanDatabase* const> databases) const override {
    auto out = std::make_unique<Scratch>();
    for (const auto* d : databases)
      if (const auto* own = static_cast<const Database*>(d); own->raw) hs_alloc_scratch(own->raw.get(), &out->raw);
    return out;
  }
};

bool loses_matches(const ScanEngine& engine) {
  for (const char* text : {"\\([^)]+\\)", "\\([^)]*\\)", "^Title \\(product [^)]+\\)$"}) {
    const Expression one{text, false, false, 0};
    auto database = engine.compile({&one, 1});
    if (!database) return true;
    const ScanDatabase* list[] = {database->get()};
    const auto scratch = engine.scratch_for(list);
    for (std::size_t length = 1; length < 200; ++length) {
      std::vector<std::uint32_t> hits;
      (*database)->scan("Title (product " + std::string(length, 'x') + ")", scratch.get(), hits);
      if (hits.empty()) return true;
    }
  }
  return false;
}

}  // namespace

std::unique_ptr<ScanEngine> hyperscan_engine(std::string& why) {
  if (hs_valid_platform() != HS_SUCCESS) { why = "the CPU lacks what Hyperscan needs (SSSE3)"; return nullptr; }
  auto engine = std::make_unique<Engine>();
  if (loses_matches(*engine)) {
    why = fmt::format("the installed library {} loses matches on this CPU", hs_version());
    return nullptr;
  }
  return engine;
}
#endif

}  // namespace nora::identify
