#include "neighbourhood/sockets.h"

#include <fmt/core.h>

#include <fstream>
#include <sstream>
#include <utility>

#include "base/files.h"

namespace nora::neighbourhood {

std::set<std::string> listening_sockets(pid_t pid) {
  std::set<std::string> out;
  for (auto [file, proto] : {std::pair{"tcp", "tcp"}, {"tcp6", "tcp"}, {"udp", "udp"}, {"udp6", "udp"}}) {
    std::ifstream in(fmt::format("/proc/{}/net/{}", pid, file));
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
      std::istringstream words(line);
      std::string slot, local, remote, state;
      words >> slot >> local >> remote >> state;
      if (std::string_view(proto) == "tcp" && state != "0A") continue;  // 0A = LISTEN
      auto colon = local.rfind(':');
      if (colon == std::string::npos) continue;
      out.insert(fmt::format("{}/{}", proto, std::stoul(local.substr(colon + 1), nullptr, 16)));
    }
  }
  return out;
}

std::string end_of_file(const std::filesystem::path& file) {
  auto text = read_file(file, 1u << 20).value_or("");
  return text.size() > 400 ? text.substr(text.size() - 400) : text;
}

}  // namespace nora::neighbourhood
