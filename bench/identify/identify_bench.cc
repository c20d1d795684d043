// Speed of identification in one process, one core, CPU time: load, Hyperscan and RE2 prefilter against sequential matching, known and unknown
// keys, pages. Usage: identify_bench RULES_DIR… ; inputs are the rules' own examples, each matched by its key, fields made.
// Figures: median of 5 passes. The reference programs are run by bench/identify/run.sh in the same minute.
#include <fmt/format.h>

#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "base/files.h"
#include "identify/check.h"
#include "identify/matcher.h"

using namespace nora;
using namespace nora::identify;

namespace {

double cpu_s(clockid_t clock = CLOCK_PROCESS_CPUTIME_ID) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
double wall_s() { return cpu_s(CLOCK_MONOTONIC); }
long max_rss_mib() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return u.ru_maxrss / 1024;
}

struct Input { const RuleFile* file; std::string_view text; };

template <class F>
void measure(std::string_view name, std::size_t n, int passes, F&& once) {
  once();  // warm: machine code is made on first use
  std::vector<double> times;
  std::size_t matched = 0;
  for (int k = 0; k < 5; ++k) {
    const double from = cpu_s();
    for (int p = 0; p < passes; ++p) matched = once();
    times.push_back((cpu_s() - from) / passes);
  }
  std::sort(times.begin(), times.end());
  fmt::print("{:<44} {:>9.0f} /s  {:>8.2f} ms a pass (min {:.2f}, max {:.2f}), matched {}\n", name, static_cast<double>(n) / times[2], times[2] * 1e3, times[0] * 1e3, times[4] * 1e3, matched);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) { fmt::print(stderr, "usage: identify_bench RULES_DIR…\n"); return 2; }
  std::vector<std::filesystem::path> dirs(argv + 1, argv + argc);
  const auto cache = std::filesystem::temp_directory_path() / fmt::format("identify-bench-{}", ::getpid());
  std::vector<std::string> messages;
  PrefilterOptions options;
  options.cache = cache;
  options.unknown_keys = true;

  double at = wall_s(), used = cpu_s();
  auto loaded = RuleSet::load(dirs);
  if (!loaded) { fmt::print(stderr, "{}\n", loaded.error().text()); return 1; }
  const auto& rules = *loaded;
  fmt::print("load {} rules of {} files: {:.3f} s ({:.3f} s CPU)\n", rules.rule_count(), rules.files().size(), wall_s() - at, cpu_s() - used);
  auto known = options;
  known.unknown_keys = false;
  at = wall_s(), used = cpu_s();
  auto prefilter = make_prefilter(rules, known, messages);
  if (!prefilter) { fmt::print(stderr, "{}\n", prefilter.error().text()); return 1; }
  fmt::print("cold start, by key ({}): {:.2f} s ({:.2f} s CPU)\n", (*prefilter)->engine(), wall_s() - at, cpu_s() - used);
  at = wall_s(), used = cpu_s();
  prefilter = make_prefilter(rules, options, messages);
  if (!prefilter) { fmt::print(stderr, "{}\n", prefilter.error().text()); return 1; }
  fmt::print("cold start, all rules in one on top: {:.2f} s ({:.2f} s CPU)\n", wall_s() - at, cpu_s() - used);
  at = wall_s(), used = cpu_s();
  auto again = RuleSet::load(dirs);
  const double loaded_s = wall_s() - at;
  auto warm = make_prefilter(*again, known, messages);
  const double compiled_s = wall_s() - at - loaded_s;
  const auto makers = MacMakers::load(debian_mac_registry);
  fmt::print("start from cache, by key: {:.3f} s: rules {:.3f}, compiled {:.3f}, registry of {} MAC addresses {:.3f} ({:.3f} s CPU)\n", wall_s() - at, loaded_s, compiled_s,
             makers ? makers->size() : 0, wall_s() - at - loaded_s - compiled_s, cpu_s() - used);
  at = wall_s(), used = cpu_s();
  warm = make_prefilter(*again, options, messages);
  fmt::print("all rules in one from cache on top: {:.3f} s ({:.3f} s CPU)\n", wall_s() - at, cpu_s() - used);
  again = RuleSet{};
  warm = std::unique_ptr<const Prefilter>{};
  for (const auto& m : messages) fmt::print("note: {}\n", m);

  std::vector<Input> inputs;
  std::size_t bytes = 0;
  for (const auto& file : rules.files())
    for (const auto& rule : file.rules)
      for (const auto& example : rule.examples) { inputs.push_back({&file, example.text}); bytes += example.text.size(); }
  fmt::print("{} banners, {} bytes\n", inputs.size(), bytes);
  std::size_t sink = 0;
  const auto by_key = [&](Matcher& m) {
    std::size_t hits = 0;
    for (const auto& in : inputs)
      if (m.find_in(*in.file, in.text) != nullptr) { ++hits; for (const auto& f : m.fields()) sink += f.value.size(); }
    return hits;
  };
  {
    Matcher m(rules, prefilter->get());
    measure("known key, prefilter, captures, fields", inputs.size(), 10, [&] { return by_key(m); });
    measure("unknown key, prefilter, captures, fields", inputs.size(), 5, [&] {
      std::size_t hits = 0;
      for (const auto& in : inputs) if (m.find("", in.text) != nullptr) { ++hits; for (const auto& f : m.fields()) sink += f.value.size(); }
      return hits;
    });
    std::string page = "<html><head><title>Items</title></head><body>\n";
    for (int i = 0; page.size() < 2950; ++i) page += fmt::format("<div class=\"item\"><a href=\"/page/{}\">Lorem ipsum dolor sit amet</a></div>\n", i);
    page.resize(2950);
    measure("page of 2950 bytes, all rules", 2000, 5, [&] {
      std::size_t hits = 0;
      for (int i = 0; i < 2000; ++i) hits += m.find("", page) != nullptr ? 1 : 0;
      return hits;
    });
    fmt::print("memory at most so far: {} MiB\n", max_rss_mib());
  }
  {
    Matcher m(rules);
    measure("known key, one by one", inputs.size(), 1, [&] { return by_key(m); });
  }
  PrefilterOptions re2;
  re2.engine = "re2";
  at = wall_s();
  if (auto other = make_prefilter(rules, re2, messages)) {
    fmt::print("RE2::Set start: {:.2f} s\n", wall_s() - at);
    Matcher m(rules, other->get());
    measure("known key, RE2::Set, captures, fields", inputs.size(), 2, [&] { return by_key(m); });
  }
  fmt::print("({})\n", sink % 10);
  std::filesystem::remove_all(cache);
  return 0;
}
