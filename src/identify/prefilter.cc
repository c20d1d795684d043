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

constexpr std::string_view magic = "nora rules 2\n";
constexpr std::size_t max_kept_bytes = 512u << 20;

// What sequential matching says about one text of the self-test: which rule, and in which mode it was found.
struct Expected { std::int32_t rule = -1; Mode mode = Mode::bytes; };

struct Unit {  // one rule file, or all of them
  std::unique_ptr<ScanDatabase> bytes, utf;
  std::vector<Expected> expected;  // one per text of the self-test
};

// A kept file: magic, sum of the rest, then three length-prefixed parts: the two databases and what the self-test expects.
void put_part(Bytes& out, ByteView part) {
  put_u32be(out, static_cast<std::uint32_t>(part.size()));
  out.insert(out.end(), part.begin(), part.end());
}
bool take_part(ByteView& from, ByteView& part) {
  if (from.size() < 4 || from.size() - 4 < get_u32be(from.data())) return false;
  part = from.subspan(4, get_u32be(from.data()));
  from = from.subspan(4 + part.size());
  return true;
}

Bytes pack(const std::vector<Expected>& list) {
  Bytes out;
  for (const auto& e : list) {
    put_u32be(out, static_cast<std::uint32_t>(e.rule));
    out.push_back(static_cast<std::uint8_t>(e.mode));
  }
  return out;
}
std::vector<Expected> unpack(ByteView bytes) {
  std::vector<Expected> out;
  for (; bytes.size() >= 5; bytes = bytes.subspan(5)) out.push_back({static_cast<std::int32_t>(get_u32be(bytes.data())), bytes[4] == 1 ? Mode::utf : Mode::bytes});
  return out;
}

Status write_kept(const fs::path& path, const Unit& unit) {
  const auto bytes = unit.bytes->keep();
  if (bytes.empty()) return {};  // RE2: compiled anew each time
  Bytes parts;
  put_part(parts, bytes);
  put_part(parts, unit.utf->keep());
  put_part(parts, pack(unit.expected));
  const auto sum = sha256(parts);
  std::string text(magic);
  text.append(sum.begin(), sum.end());
  text.append(parts.begin(), parts.end());
  return replace_file(path, text);
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
  if (!take_part(rest, bytes) || !take_part(rest, utf) || !take_part(rest, expected)) return std::nullopt;
  auto a = engine.restore(bytes), b = engine.restore(utf);
  if (!a || !b) return std::nullopt;
  return Unit{std::move(*a), std::move(*b), unpack(expected)};
}

// In UTF mode, and only there, two characters beyond ASCII fold to k and s.
bool folds_to_ascii(std::string_view value) { return value.find("\xe2\x84\xaa") != std::string_view::npos || value.find("\xc5\xbf") != std::string_view::npos; }

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

// What matching one by one says of every test text of these files.
std::vector<Expected> sequential(const RuleSet& rules, std::span<const std::size_t> files) {
  Matcher matcher(rules);
  std::vector<Expected> out;
  for (const auto f : files) {
    const auto& file = rules.files()[f];
    for_each_test_text(file, [&](const std::string& text, int) {
      const auto* found = matcher.find_in(file, text);
      out.push_back(found == nullptr ? Expected{} : Expected{static_cast<std::int32_t>(found->rule - file.rules.data()), found->mode});
    });
  }
  return out;
}

// Empty: every rule that decides a text of the self-test is among the candidates, in the mode in which it decides. `base`: number of the first rule
// of a file in the unit; a unit of all files answers byte mode only.
std::string first_loss(const Engines& engines, std::span<const std::size_t> files, const Unit& unit, const std::function<std::uint32_t(std::size_t)>& base, bool utf_too) {
  const ScanDatabase* databases[] = {unit.bytes.get(), unit.utf.get()};
  const auto scratch = engines.scan->scratch_for(databases);
  std::vector<std::uint32_t> got;
  std::string loss;
  std::size_t i = 0;
  for (const auto f : files) {
    const auto& file = engines.rules.files()[f];
    for_each_test_text(file, [&](const std::string& text, int line) {
      const Expected e = i < unit.expected.size() ? unit.expected[i] : Expected{};
      ++i;
      if (e.rule < 0 || !loss.empty() || (e.mode == Mode::utf && !utf_too)) return;
      got.clear();
      databases[e.mode == Mode::utf ? 1 : 0]->scan(text, scratch.get(), got);
      if (std::find(got.begin(), got.end(), base(f) + static_cast<std::uint32_t>(e.rule)) == got.end())
        loss = fmt::format("{}.xml:{}: the example is matched one by one, but not by the engine", file.stem, line);
    });
  }
  if (loss.empty() && i != unit.expected.size()) loss = fmt::format("the kept self-test has {} texts, not {}", unit.expected.size(), i);
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
    const auto path = options.cache.empty() ? fs::path() : name(f == all ? "all|" + rules.files_version() : files[f].stem + "|" + to_hex(files[f].content));
    std::optional<Unit> unit;
    if (!path.empty()) unit = read_kept(*out->scan, path);
    if (!unit) {
      if (options.only_cached) return fail(Code::not_found, "no compiled rules are kept for " + (f == all ? std::string("all files") : files[f].stem));
      if (options.stop.stop_requested()) return fail(Code::failed, "stopped");
      NORA_TRY(unit.emplace(), out->compile(members, f == all));
      unit->expected = sequential(rules, members);
      if (auto kept = path.empty() ? Status{} : write_kept(path, *unit); !kept) {
        std::lock_guard lock(mutex);
        messages.push_back("compiled rules are not kept: " + kept.error().text());
      }
    }
    // The self-test, at every load: on this CPU, with this library, of the database as it will be used.
    const auto base = [&](std::size_t file) { return f == all ? out->base[file] : 0; };
    if (const auto loss = first_loss(*out, members, *unit, base, f != all); !loss.empty()) return fail(Code::refused, loss);
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
