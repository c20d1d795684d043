// The center's folders contain no other way onto the wire than law::FrameSender and law::connect: read off the source itself.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "base/files.h"

namespace {
namespace fs = std::filesystem;

// Calls and families with which a packet could be made to leave. law:: is the right way; net/ holds the sockets that only law can open.
const std::regex& ways() {
  static const std::regex r(R"re((AF_PACKET|AF_XDP|SOCK_RAW|IPPROTO_RAW|(^|[^\w:.>])(::)?(connect|sendto|sendmsg|sendmmsg)\s*\(|curl_easy|BIO_new_connect|getaddrinfo))re");
  return r;
}

std::multiset<std::string> found(const std::string& text) {
  std::multiset<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(' ') != line.npos && line.substr(line.find_first_not_of(' ')).starts_with("//")) continue;
    for (std::sregex_iterator it(line.begin(), line.end(), ways()), end; it != end; ++it) {
      std::string word = (*it)[1];
      word.erase(std::remove_if(word.begin(), word.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)) && c != '_'; }), word.end());
      out.insert(word);
    }
  }
  return out;
}

TEST(OnlyWayOut, NoFolderOfTheCenterSendsByItself) {
  // Each exception with its reason; anything else fails.
  const std::map<std::string, std::set<std::string>> allowed = {
      {"survey/next_hop.cc", {"AF_PACKET", "SOCK_RAW", "sendto"}},  // netlink, and ARP for the gateway: no IP packet
      {"survey/channel.cc", {"sendmsg"}},                          // socketpair between nora scan and nora-sender
      {"flow/portal_gate.cc", {"connect"}},                        // Unix socket
  };
  int files = 0;
  for (const char* folder : {"survey", "sense", "flow", "cases", "desk", "registry", "identify", "expose", "exchange"}) {
    const fs::path root = fs::path(NORA_SOURCE_DIR) / "src" / folder;
    if (!fs::exists(root)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      const std::string name = entry.path().filename();
      if ((!name.ends_with(".cc") && !name.ends_with(".h")) || name.ends_with("_test.cc") || entry.path().string().find("/testing/") != std::string::npos) continue;
      ++files;
      const auto relative = entry.path().lexically_relative(fs::path(NORA_SOURCE_DIR) / "src").string();
      const auto exception = allowed.find(relative);
      for (const auto& word : found(nora::read_file(entry.path()).value_or("")))
        EXPECT_TRUE(exception != allowed.end() && exception->second.contains(word)) << relative << ": " << word << " is a way out that takes no permit";
    }
  }
  EXPECT_GT(files, 5);
}

TEST(OnlyWayOut, TheCheckSeesAPlantedWay) {
  EXPECT_EQ(found("  Fd fd(::socket(AF_PACKET, SOCK_RAW, 0));").size(), 2u);
  EXPECT_EQ(found("if (::connect(fd, a, n) != 0)").count("connect"), 1u);
  EXPECT_EQ(found("auto r = connect(fd, a, n);").count("connect"), 1u);
  EXPECT_TRUE(found("NORA_TRY(auto fd, law::connect(permit, now));").empty());
  EXPECT_TRUE(found("// a comment about AF_PACKET").empty());
  EXPECT_TRUE(found("db.connect(url); reconnect(x);").empty());
}

}  // namespace
