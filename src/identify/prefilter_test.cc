// The prefilter may only ever leave out what cannot match: both engines against sequential matching, over the project's own rules (and
// recog's, where NORA_RECOG_DIR names them), on examples, mutated examples and random bytes; its cache; and that a lossy engine is refused.
#include "identify/prefilter.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <map>

#include "base/crypto.h"
#include "base/files.h"
#include "identify/check.h"
#include "identify/engines.h"

namespace nora::identify {
namespace {

namespace fs = std::filesystem;

const RuleSet& all_rules() {
  static const RuleSet rules = [] {
    std::vector<fs::path> dirs = {fs::path(NORA_SOURCE_DIR) / "data/fingerprints"};
    if (const char* dir = std::getenv("NORA_RECOG_DIR")) dirs.emplace_back(dir);
    return *RuleSet::load(dirs);
  }();
  return rules;
}

std::unique_ptr<const Prefilter> made(const std::string& engine, bool unknown_keys = false, const fs::path& cache = {}) {
  std::vector<std::string> messages;
  PrefilterOptions options;
  options.engine = engine;
  options.unknown_keys = unknown_keys;
  options.cache = cache;
  auto out = make_prefilter(all_rules(), options, messages);
  EXPECT_TRUE(out) << (out ? "" : out.error().text());
  for (const auto& m : messages) ADD_FAILURE() << m;
  return out ? std::move(*out) : nullptr;
}

struct Engine : testing::TestWithParam<const char*> {
  static const Prefilter* of(const std::string& name) {  // compiled once
    static std::map<std::string, std::unique_ptr<const Prefilter>> kept;
    std::string why;
    if (name == "hyperscan" && !hyperscan_engine(why)) return nullptr;  // this machine has none: RE2 does the work
    auto& slot = kept[name];
    if (!slot) slot = made(name, true);
    return slot.get();
  }
};

void expect_same(Matcher& slow, Matcher& fast, const RuleFile& file, std::string_view text) {
  const auto* a = slow.find_in(file, text);
  const auto* b = fast.find_in(file, text);
  ASSERT_EQ(a == nullptr, b == nullptr) << file.stem << ": " << text;
  if (a == nullptr) return;
  ASSERT_EQ(a->rule, b->rule) << file.stem << ": " << text;
  ASSERT_EQ(a->slices.size(), b->slices.size());
  ASSERT_EQ(a->mode, b->mode);
}

TEST_P(Engine, AgreesWithSequentialMatching) {
  const auto* prefilter = of(GetParam());
  if (!prefilter) return;
  EXPECT_TRUE(check_prefilter(all_rules(), *prefilter).empty());
  Matcher slow(all_rules()), fast(all_rules(), prefilter);
  // Mutants: a byte changed, a piece cut out, doubled, broken UTF-8, a line put before. And every value in a file of another key.
  std::uint64_t seed = 7;
  const auto random = [&](std::size_t n) { seed = seed * 6364136223846793005ULL + 1442695040888963407ULL; return static_cast<std::size_t>(seed >> 33) % n; };
  for (std::size_t f = 0; f < all_rules().files().size(); ++f) {
    const auto& file = all_rules().files()[f];
    for (const auto& rule : file.rules) {
      for (const auto& example : rule.examples) {
        if (example.text.empty()) continue;
        for (int kind = 0; kind < 6; ++kind) {
          std::string text = example.text;
          const auto at = random(text.size());
          if (kind == 0) text[at] = static_cast<char>(random(256));
          else if (kind == 1) text.erase(at, 1 + random(5));
          else if (kind == 2) text.insert(at, text.substr(0, 1 + random(200)));
          else if (kind == 3) text.insert(at, "\xe3\x83\xab");
          else if (kind == 4) text = "first line\n" + text + "\r\n";
          const auto& where = kind == 5 ? all_rules().files()[random(all_rules().files().size())] : file;
          expect_same(slow, fast, where, text);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(Engine, ValueWithoutAKeyGetsTheSameAnswer) {
  const auto* prefilter = of(GetParam());
  if (!prefilter) return;
  Matcher slow(all_rules()), fast(all_rules(), prefilter);
  std::size_t n = 0;
  for (const auto& file : all_rules().files()) {
    for (const auto& rule : file.rules) {
      for (const auto& example : rule.examples) {
        if (++n % 7 != 0 && all_rules().rule_count() > 2000) continue;
        const auto* a = slow.find("", example.text);
        const auto* b = fast.find("", example.text);
        ASSERT_TRUE(a != nullptr && b != nullptr) << example.text;
        ASSERT_EQ(a->rule->id, b->rule->id) << example.text;
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(All, Engine, testing::Values("hyperscan", "re2"));

RC_GTEST_PROP(Prefilter, RandomBytesGetTheSameAnswer, (const std::string& text, std::size_t which)) {
  const auto& file = all_rules().files()[which % all_rules().files().size()];
  Matcher slow(all_rules()), a(all_rules(), Engine::of("hyperscan")), b(all_rules(), Engine::of("re2"));
  const auto rule = [&](Matcher& m) { const auto* found = m.find_in(file, text); return found == nullptr ? nullptr : found->rule; };
  RC_ASSERT(rule(slow) == rule(a));
  RC_ASSERT(rule(slow) == rule(b));
}

// The views of the fast form are what the step-by-step form makes; every example of every rule.
TEST(Fields, FastFormEqualsTheReferenceForm) {
  RuleSet tricky;
  tricky.add_file("t", R"x(<fingerprints matches="t"><fingerprint pattern="^(a)?(.*)$"><description>d</description><param pos="1" name="service.protocol"/>
    <param pos="2" name="x"/><param pos="0" name="y" value="{x}-{x} {nothing}"/><param pos="0" name="z" value="{x}{x}{ x}{}"/><param pos="0" name="w.cpe23" value="cpe:/{q.version}:{x}"/>
    <param pos="0" name="u" value="{z}"/></fingerprint></fingerprints>)x");
  Matcher matcher(tricky);
  for (const char* text : {"ab", "b", "", "a{x}", "{matched}"}) {
    const auto fast = matcher.identify("t", text);
    ASSERT_TRUE(fast);
    EXPECT_FALSE(fast->fields.contains("y"));
    EXPECT_EQ(fast->fields.at("service.protocol"), *text == 'a' ? "a" : "");
  }
  const auto fields = matcher.identify("t", "ab")->fields;
  EXPECT_EQ(fields.at("z"), "bb{ x}{}");
  EXPECT_EQ(fields.at("u"), "bb{ x}{}");
  EXPECT_EQ(fields.at("w.cpe23"), "cpe:/-:b");
}

struct Cache : testing::Test {
  const RuleSet rules = *RuleSet::load({fs::path(NORA_SOURCE_DIR) / "data/fingerprints"});
  fs::path dir = fs::temp_directory_path() / ("nora-rules-cache-" + std::to_string(::getpid()));
  void SetUp() override { fs::remove_all(dir); }
  void TearDown() override { fs::remove_all(dir); }
};

TEST_F(Cache, KeepsWhatWasCompiledAndBelievesOnlyWhatIsWhole) {
  std::string why;
  if (!hyperscan_engine(why)) return;  // RE2 keeps nothing
  std::vector<std::string> messages;
  PrefilterOptions cold;
  cold.cache = dir;
  cold.engine = "hyperscan";
  auto only_cached = cold;
  only_cached.only_cached = true;
  EXPECT_FALSE(make_prefilter(rules, only_cached, messages)) << "nothing is kept yet";
  ASSERT_TRUE(make_prefilter(rules, cold, messages));
  auto warm = make_prefilter(rules, only_cached, messages);
  ASSERT_TRUE(warm) << warm.error().text();
  EXPECT_TRUE(check_prefilter(rules, **warm).empty());
  // One flipped byte anywhere: compiled anew, never believed.
  fs::path one;
  for (const auto& entry : fs::directory_iterator(dir)) one = entry.path();
  auto text = *read_file(one, 64u << 20);
  text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
  ASSERT_TRUE(replace_file(one, text));
  EXPECT_FALSE(make_prefilter(rules, only_cached, messages));
  ASSERT_TRUE(make_prefilter(rules, cold, messages));
  EXPECT_TRUE(make_prefilter(rules, only_cached, messages));
  // Nor what others may write to.
  fs::permissions(one, fs::perms::group_write, fs::perm_options::add);
  EXPECT_FALSE(make_prefilter(rules, only_cached, messages));
  EXPECT_TRUE(messages.empty()) << messages[0];
}

// The self-test of the load itself: a whole file whose database does not have the rule that decides a text is refused, and said.
TEST_F(Cache, ADatabaseThatLosesARuleIsRefusedAtLoad) {
  std::string why;
  if (!hyperscan_engine(why)) return;
  std::vector<std::string> messages;
  PrefilterOptions options;
  options.cache = dir;
  options.engine = "hyperscan";
  ASSERT_TRUE(make_prefilter(rules, options, messages));
  for (const auto& entry : fs::directory_iterator(dir)) {
    auto text = *read_file(entry.path(), 64u << 20);
    const auto head = text.find('\n') + 1 + sizeof(Hash);
    // An example and its long form stand last, 5 bytes each: now a rule 64 places away decides them.
    for (const std::size_t back : {2, 7}) text[text.size() - back] = static_cast<char>(text[text.size() - back] ^ 0x40);
    const auto sum = sha256(as_bytes(text).subspan(head));
    std::copy(sum.begin(), sum.end(), text.begin() + static_cast<std::ptrdiff_t>(head - sizeof(Hash)));
    ASSERT_TRUE(replace_file(entry.path(), text));
  }
  const auto refused = make_prefilter(rules, options, messages);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_NE(messages[0].find("refused as prefilter"), std::string::npos) << messages[0];
  options.engine = "auto";
  const auto other = make_prefilter(rules, options, messages);
  ASSERT_TRUE(other) << "RE2 takes its place";
  EXPECT_EQ((*other)->engine(), "RE2::Set");
}

TEST(Prefilter, OneThatLosesAMatchIsFound) {
  RuleSet rules;
  rules.add_file("own", R"x(<fingerprints matches="k"><fingerprint pattern="^X \(([^)]+)\)$"><example>X (abc)</example></fingerprint>
    <fingerprint pattern="1"/><fingerprint pattern="2"/><fingerprint pattern="3"/><fingerprint pattern="4"/><fingerprint pattern="5"/></fingerprints>)x");
  struct Fake : Prefilter {
    std::size_t loses_from;
    explicit Fake(std::size_t n) : loses_from(n) {}
    struct Work : Worker {
      std::size_t n;
      explicit Work(std::size_t from) : n(from) {}
      void candidates(std::size_t, std::string_view value, Pattern::Mode, std::vector<std::uint32_t>& out) override { if (value.size() < n) out.push_back(0); }
      bool candidates_of_all(std::string_view, std::vector<std::uint32_t>&) override { return false; }
    };
    std::unique_ptr<Worker> worker() const override { return std::make_unique<Work>(loses_from); }
    std::string engine() const override { return "fake"; }
  };
  EXPECT_TRUE(check_prefilter(rules, Fake(1000)).empty());
  EXPECT_FALSE(check_prefilter(rules, Fake(100)).empty()) << "like the known bug: long values are lost";
}

}  // namespace
}  // namespace nora::identify
