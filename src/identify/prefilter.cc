#include "identify/prefilter.h"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/crypto.h"
#include "base/files.h"
#include "identify/check.h"
#include "identify/engines.h"
#include "identify/matcher.h"

namespace nora::identify {

namespace {

namespace fs = std::filesystem;
using Mode = Pattern::Mode;

constexpr std::string_view magic = "nora rules 1\n";
constexpr std::size_t max_kept_bytes = 512u << 20;

// What sequential matching says about one text of the self-test: which rule, and in which mode it was found.
struct Expected { std::int32_t rule = -1; Mode mode = Mode::bytes; };

struct Unit {  // one rule file, or all of them
  std::unique_ptr<ScanDatabase> bytes, utf;
  std::vector<Expected> expected;  // one per text of the self-test
};

// Reads and writes length-prefixed parts.
class Parts {
 public:
  void put(ByteView bytes) {
    for (int i = 0; i < 4; ++i) out_.push_back(static_cast<std::uint8_t>(bytes.size() >> (8 * i)));
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  const Bytes& bytes() const { return out_; }
  static bool take(ByteView& from, ByteView& part) {
    if (from.size() < 4) return false;
    std::size_t n = 0;
    for (int i = 0; i < 4; ++i) n |= static_cast<std::size_t>(from[static_cast<std::size_t>(i)]) << (8 * i);
    if (from.size() - 4 < n) return false;
    part = from.subspan(4, n);
    from = from.subspan(4 + n);
    return true;
  }

 private:
  Bytes out_;
};

Bytes pack(const std::vector<Expected>& list) {
  Bytes out;
  for (const auto& e : list) {
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(static_cast<std::uint32_t>(e.rule) >> (8 * i)));
    out.push_back(static_cast<std::uint8_t>(e.mode));
  }
  return out;
}
std::vector<Expected> unpack(ByteView bytes) {
  std::vector<Expected> out;
  for (; bytes.size() >= 5; bytes = bytes.subspan(5)) {
    std::uint32_t rule = 0;
    for (int i = 0; i < 4; ++i) rule |= static_cast<std::uint32_t>(bytes[static_cast<std::size_t>(i)]) << (8 * i);
    out.push_back({static_cast<std::int32_t>(rule), bytes[4] == 1 ? Mode::utf : Mode::bytes});
  }
  return out;
}

// Only our own file is believed: the engine takes the bytes as they are.
std::optional<Unit> read_kept(const ScanEngine& engine, const fs::path& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0 || info.st_uid != geteuid() || (info.st_mode & 022) != 0) return std::nullopt;
  const auto text = read_file(path, max_kept_bytes);
  if (!text || !text->starts_with(magic) || text->size() < magic.size() + sizeof(Hash)) return std::nullopt;
  const auto all = as_bytes(*text).subspan(magic.size());
  auto rest = all.subspan(sizeof(Hash));
  if (const auto sum = sha256(rest); !std::equal(sum.begin(), sum.end(), all.begin())) return std::nullopt;
  ByteView bytes, utf, expected;
  if (!Parts::take(rest, bytes) || !Parts::take(rest, utf) || !Parts::take(rest, expected)) return std::nullopt;
  auto a = engine.restore(bytes), b = engine.restore(utf);
  if (!a || !b) return std::nullopt;
  return Unit{std::move(*a), std::move(*b), unpack(expected)};
}

bool folds_to_ascii(std::string_view value);

class Engines : public Prefilter {
 public:
  const RuleSet& rules;
  std::unique_ptr<ScanEngine> scan;
  std::vector<std::optional<Unit>> units;   // by file; none: searched one by one
  std::optional<Unit> all;
  std::vector<std::uint32_t> base;          // of a file, in the numbering of by_preference()
  explicit Engines(const RuleSet& r, std::unique_ptr<ScanEngine> e) : rules(r), scan(std::move(e)), units(r.files().size()), base(r.files().size()) {
    std::uint32_t at = 0;
    for (const auto f : rules.by_preference()) { base[f] = at; at += static_cast<std::uint32_t>(rules.files()[f].rules.size()); }
  }
  std::string engine() const override { return scan->name(); }

  class Scanner : public Worker {
   public:
    explicit Scanner(const Engines& of) : of_(of) {
      std::vector<const ScanDatabase*> list;
      const auto add = [&](const std::optional<Unit>& unit) { if (unit) { list.push_back(unit->bytes.get()); list.push_back(unit->utf.get()); } };
      for (const auto& unit : of.units) add(unit);
      add(of.all);
      scratch_ = of.scan->scratch_for(list);
    }
    void candidates(std::size_t file, std::string_view value, Mode mode, std::vector<std::uint32_t>& out) override {
      if (const auto& unit = of_.units[file]; unit && (mode == Mode::bytes || !folds_to_ascii(value))) return run(*unit, value, mode, out);
      const auto& list = of_.rules.files()[file].rules;
      for (std::uint32_t i = 0; i < list.size(); ++i) if (mode == Mode::bytes || list[i].pattern.utf_sensitive()) out.push_back(i);
    }
    bool candidates_of_all(std::string_view value, std::vector<std::uint32_t>& out) override {
      if (!of_.all) return false;
      run(*of_.all, value, Mode::bytes, out);
      return true;
    }

   private:
    void run(const Unit& unit, std::string_view value, Mode mode, std::vector<std::uint32_t>& out) {
      (mode == Mode::bytes ? unit.bytes : unit.utf)->scan(value, scratch_.get(), out);
      if (out.size() > 1) std::sort(out.begin(), out.end());
    }
    const Engines& of_;
    std::unique_ptr<ScanScratch> scratch_;
  };
  std::unique_ptr<Worker> worker() const override { return std::make_unique<Scanner>(*this); }

  Result<Unit> compile(std::span<const std::size_t> files, bool numbered_through) const {
    std::vector<Expression> bytes, utf;
    for (const auto f : files) {
      const auto& list = rules.files()[f].rules;
      for (std::uint32_t i = 0; i < list.size(); ++i) {
        const auto& p = list[i].pattern;
        const auto number = numbered_through ? base[f] + i : i;
        bytes.push_back({p.text(), p.dotall(), p.caseless(), number});
        // UTF mode is answered by a wider pattern in byte mode: the library's own UTF-8 form of [^ ]{1,512} takes minutes to compile.
        if (!numbered_through && p.utf_sensitive()) utf.push_back({p.widened().value_or(""), p.dotall(), p.caseless(), number});
      }
    }
    Unit unit;
    NORA_TRY(unit.bytes, scan->compile(bytes));
    NORA_TRY(unit.utf, scan->compile(utf));
    return unit;
  }
};

// In UTF mode, and only there, two characters beyond ASCII fold to k and s.
bool folds_to_ascii(std::string_view value) { return value.find("\xe2\x84\xaa") != std::string_view::npos || value.find("\xc5\xbf") != std::string_view::npos; }

std::vector<Expected> sequential(const RuleSet& rules, std::size_t f) {
  const auto& file = rules.files()[f];
  Matcher matcher(rules);
  std::vector<Expected> out;
  for_each_test_text(file, [&](const std::string& text, int) {
    const auto* found = matcher.find_in(file, text);
    out.push_back(found == nullptr ? Expected{} : Expected{static_cast<std::int32_t>(found->rule - file.rules.data()), found->mode});
  });
  return out;
}

// Empty: every rule that decides a text of the self-test is among the candidates, in the mode in which it decides.
std::string first_loss(const RuleSet& rules, std::size_t f, const std::vector<Expected>& expected, std::uint32_t base, bool utf_too,
                       const std::function<void(std::string_view, Mode, std::vector<std::uint32_t>&)>& candidates) {
  const auto& file = rules.files()[f];
  std::vector<std::uint32_t> got;
  std::string loss;
  std::size_t i = 0;
  for_each_test_text(file, [&](const std::string& text, int line) {
    const Expected e = i < expected.size() ? expected[i] : Expected{};
    ++i;
    if (e.rule < 0 || !loss.empty() || (e.mode == Mode::utf && !utf_too)) return;
    got.clear();
    candidates(text, e.mode, got);
    if (!std::binary_search(got.begin(), got.end(), base + static_cast<std::uint32_t>(e.rule)))
      loss = fmt::format("{}.xml:{}: the example is matched one by one, but not by the engine", file.stem, line);
  });
  if (loss.empty() && i != expected.size()) loss = fmt::format("{}.xml: the kept self-test has {} texts, not {}", file.stem, expected.size(), i);
  return loss;
}

// One engine, complete and tested; or the sentence why not.
Result<std::unique_ptr<const Prefilter>> with_engine(const RuleSet& rules, const PrefilterOptions& options, std::unique_ptr<ScanEngine> engine, std::vector<std::string>& messages) {
  auto out = std::make_unique<Engines>(rules, std::move(engine));
  const std::string stamp = fmt::format("{}|{}|pcre2 {}.{}|", out->scan->name(), engine_version, PCRE2_MAJOR, PCRE2_MINOR);
  const auto name = [&](std::string_view what) { return options.cache / (to_hex(sha256(as_bytes(stamp + std::string(what)))).substr(0, 32) + ".rules"); };
  if (!options.cache.empty()) {
    std::error_code error;
    fs::create_directories(options.cache, error);
    fs::permissions(options.cache, fs::perms::owner_all, error);
  }
  std::vector<std::size_t> work;  // file numbers; files().size() stands for all in one
  const std::size_t all = rules.files().size();
  if (options.unknown_keys && out->scan->all_in_one()) work.push_back(all);
  for (std::size_t f = 0; f < all; ++f) if (rules.files()[f].rules.size() >= min_prefiltered_rules) work.push_back(f);
  // The long ones first, so that the threads end together.
  std::stable_sort(work.begin(), work.end(), [&](std::size_t a, std::size_t b) {
    const auto size = [&](std::size_t f) { return f == all ? max_rules : rules.files()[f].rules.size(); };
    return size(a) > size(b);
  });
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> failed;
  const auto stop_with = [&](Error e) {
    std::lock_guard lock(mutex);
    if (!failed) failed = std::move(e);
    next = work.size();
  };
  const auto one = [&](std::size_t f) -> Status {
    const auto& files = rules.files();
    std::vector<std::size_t> members = f == all ? rules.by_preference() : std::vector<std::size_t>{f};
    const auto path = options.cache.empty() ? fs::path() : name(f == all ? "all|" + rules.version() : files[f].stem + "|" + to_hex(files[f].content));
    std::optional<Unit> unit;
    if (!path.empty()) unit = read_kept(*out->scan, path);
    if (!unit) {
      if (options.only_cached) return fail(Code::not_found, "no compiled rules are kept for " + (f == all ? std::string("all files") : files[f].stem));
      if (options.stop.stop_requested()) return fail(Code::failed, "stopped");
      NORA_TRY(unit.emplace(), out->compile(members, f == all));
      for (const auto m : members) {
        const auto more = sequential(rules, m);
        unit->expected.insert(unit->expected.end(), more.begin(), more.end());
      }
      if (!path.empty()) {
        Parts parts;
        parts.put(unit->bytes->keep());
        parts.put(unit->utf->keep());
        parts.put(pack(unit->expected));
        const auto sum = sha256(parts.bytes());
        std::string text(magic);
        text.append(sum.begin(), sum.end());
        text.append(parts.bytes().begin(), parts.bytes().end());
        if (unit->bytes->keep().empty()) {}  // RE2: compiled anew each time
        else if (auto kept = replace_file(path, text); !kept) {
          std::lock_guard lock(mutex);
          messages.push_back("compiled rules are not kept: " + kept.error().text());
        }
      }
    }
    // The self-test, at every load: on this CPU, with this library, of the database as it will be used.
    const ScanDatabase* list[] = {unit->bytes.get(), unit->utf.get()};
    const auto scratch = out->scan->scratch_for(list);
    const auto candidates = [&](std::string_view text, Mode mode, std::vector<std::uint32_t>& got) {
      list[mode == Mode::utf ? 1 : 0]->scan(text, scratch.get(), got);
      std::sort(got.begin(), got.end());
    };
    std::size_t at = 0;
    for (const auto m : members) {
      std::size_t texts = 0;
      for_each_test_text(files[m], [&](const std::string&, int) { ++texts; });
      if (at + texts > unit->expected.size()) return fail(Code::refused, "the kept self-test is too short");
      const std::vector<Expected> part(unit->expected.begin() + static_cast<std::ptrdiff_t>(at), unit->expected.begin() + static_cast<std::ptrdiff_t>(at + texts));
      if (const auto loss = first_loss(rules, m, part, f == all ? out->base[m] : 0, f != all, candidates); !loss.empty()) return fail(Code::refused, loss);
      at += texts;
    }
    unit->expected = {};
    (f == all ? out->all : out->units[f]) = std::move(unit);
    return {};
  };
  const auto loop = [&] {
    for (std::size_t i; (i = next++) < work.size();)
      if (auto done = one(work[i]); !done) stop_with(done.error());
  };
  {
    std::vector<std::jthread> others;
    if (work.size() > 1)
      for (unsigned i = 1; i < std::min(8u, std::thread::hardware_concurrency()); ++i) others.emplace_back(loop);
    loop();
  }
  if (failed) return std::unexpected(*failed);
  return std::unique_ptr<const Prefilter>(std::move(out));
}

}  // namespace

Result<std::unique_ptr<const Prefilter>> make_prefilter(const RuleSet& rules, const PrefilterOptions& options, std::vector<std::string>& messages) {
  std::string why = "not asked for";
  std::vector<std::unique_ptr<ScanEngine>> engines;
  if (options.engine == "auto" || options.engine == "hyperscan") {
    if (auto e = hyperscan_engine(why)) engines.push_back(std::move(e));
    else messages.push_back("rules are not matched by Hyperscan: " + why);
  }
  if (options.engine == "auto" || options.engine == "re2") engines.push_back(re2_engine());
  if (engines.empty()) return fail(Code::failed, "no engine \"" + options.engine + "\": " + why);
  Error last{Code::failed, "no engine", {}};
  for (auto& engine : engines) {
    const auto name = engine->name();
    auto made = with_engine(rules, options, std::move(engine), messages);
    if (made) return made;
    if (made.error().code != Code::refused) return made;
    messages.push_back(fmt::format("{} is refused as prefilter: {}", name, made.error().what));
    last = made.error();
  }
  return std::unexpected(last);
}

}  // namespace nora::identify
