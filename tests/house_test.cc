// The house rules, checked on the source itself: allowed edges between folders, file sizes, header comments, no path of a build machine.
// The edge table here and the one in ARCHITECTURE.md are the same; a new edge needs a change in both.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "base/files.h"

namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

// folder -> folders that it may include directly.
const std::map<std::string, Names>& allowed() {
  static const std::map<std::string, Names> table = {
      {"base", {}},
      {"net", {"base"}},
      {"http", {"base"}},
      {"store", {"base"}},
      {"law", {"net", "base"}},
      {"exchange", {"base"}},
      {"registry", {"store", "base"}},
      {"survey", {"registry", "law", "net", "base"}},
      {"sense", {"registry", "exchange", "law", "net", "base"}},
      {"identify", {"registry", "base"}},
      {"expose", {"identify", "registry", "base"}},
      {"cases", {"registry", "expose", "exchange", "law", "base"}},
      {"isp", {"exchange", "law", "http", "store", "net", "base"}},
      {"desk", {"cases", "identify", "expose", "registry", "law", "http", "base"}},
      {"portal", {"exchange", "law", "http", "store", "base"}},
      {"flow", {"cases", "expose", "identify", "sense", "survey", "registry", "exchange", "law", "store", "base"}},
      {"app", {"flow", "portal", "desk", "isp", "cases", "expose", "identify", "sense", "survey", "registry", "exchange", "law", "store", "http", "net", "base", "neighbourhood"}},
  };
  return table;
}

std::vector<fs::path> sources(const fs::path& root) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const auto end = entry.path().extension();
    if (entry.is_regular_file() && (end == ".cc" || end == ".h")) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

const fs::path top = NORA_SOURCE_DIR;

// Includes of `file` (a path below src/) that the table does not allow. Tests may also use the test fixtures of store.
std::vector<std::string> bad_edges(const std::string& folder, const fs::path& file, const std::string& text) {
  std::vector<std::string> bad;
  const bool is_test = file.filename().string().ends_with("_test.cc") || file.string().find("/testing/") != std::string::npos;
  static const std::regex include(R"re(^\s*#\s*include\s+"([a-z0-9_]+)/([^"]+)")re");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch m;
    if (!std::regex_search(line, m, include)) continue;
    const std::string to = m[1], rest = m[2];
    if (to == folder || (is_test && to == "store" && rest.starts_with("testing/")) || (is_test && to == "store")) continue;
    const auto found = allowed().find(folder);
    if (found == allowed().end() || !found->second.contains(to)) bad.push_back(file.lexically_relative(top).string() + " includes " + to + "/" + rest);
  }
  return bad;
}

TEST(House, EdgesPointOnlyDownwards) {
  for (const auto& entry : fs::directory_iterator(top / "src")) {
    if (!entry.is_directory()) continue;
    const std::string folder = entry.path().filename();
    ASSERT_TRUE(allowed().contains(folder)) << "src/" << folder << " is not in the table of ARCHITECTURE.md";
    for (const auto& file : sources(entry.path())) {
      for (const auto& edge : bad_edges(folder, file, nora::read_file(file).value_or(""))) ADD_FAILURE() << edge;
    }
  }
}

TEST(House, TheEdgeCheckItselfFindsAPlantedEdge) {
  EXPECT_EQ(bad_edges("portal", top / "src/portal/x.cc", "#include \"isp/line.h\"\n").size(), 1u);
  EXPECT_EQ(bad_edges("base", top / "src/base/x.h", "  # include \"store/db.h\"\n").size(), 1u);
  EXPECT_TRUE(bad_edges("isp", top / "src/isp/x.cc", "#include \"law/audit.h\"\n#include <vector>\n").empty());
}

TEST(House, TheTableIsTheOneInTheArchitecture) {
  const auto text = nora::read_file(top / "ARCHITECTURE.md");
  ASSERT_TRUE(text.has_value());
  std::istringstream lines(*text);
  static const std::regex row(R"(^\| `src/([a-z]+)/` \|[^|]*\| ([^|]*) \|)");
  int rows = 0;
  for (std::string line; std::getline(lines, line);) {
    std::smatch m;
    if (!std::regex_search(line, m, row)) continue;
    ++rows;
    const std::string folder = m[1], cell = m[2];
    ASSERT_TRUE(allowed().contains(folder)) << folder;
    if (cell.find("all") != std::string::npos) continue;  // "all", "all below but …": the code table is the finer one
    Names named;
    static const std::regex word("[a-z]+");
    for (std::sregex_iterator it(cell.begin(), cell.end(), word), end; it != end; ++it) named.insert(it->str());
    EXPECT_EQ(named, allowed().at(folder)) << "src/" << folder;
  }
  EXPECT_EQ(rows, static_cast<int>(allowed().size()));
}

TEST(House, FilesAreSmallAndSayWhatTheyAre) {
  constexpr std::size_t lines_max = 700;
  for (const char* root : {"src", "neighbourhood", "fuzz", "tests"}) {
    if (!fs::exists(top / root)) continue;
    for (const auto& file : sources(top / root)) {
      if (file.string().find("node_modules") != std::string::npos) continue;
      const std::string text = nora::read_file(file).value_or("");
      EXPECT_LE(std::count(text.begin(), text.end(), '\n'), static_cast<std::ptrdiff_t>(lines_max)) << file << ": perhaps two rooms in one";
      if (file.extension() == ".h") {
        EXPECT_TRUE(text.starts_with("//") || text.starts_with("/*")) << file << " has no header comment";
        EXPECT_NE(text.find("#pragma once"), std::string::npos) << file;
      }
    }
  }
}

}  // namespace
