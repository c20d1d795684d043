// Where the installed files and the sibling programs are (app/command.h).
#include <cstdlib>
#include <filesystem>

#include "app/command.h"

namespace nora::app {

std::string program_dir() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::string data_dir() {
  if (const char* set = std::getenv("NORA_DATA"); set != nullptr && *set != '\0') return set;
  std::error_code error;
  if (std::filesystem::is_directory(NORA_SOURCE_DATA, error)) return NORA_SOURCE_DATA;
  return "/usr/share/nora";
}

std::string cache_dir() {
  const auto set = [](const char* name) -> std::string { const char* v = std::getenv(name); return v == nullptr ? "" : v; };
  if (auto own = set("NORA_CACHE"); !own.empty()) return own;
  if (auto service = set("CACHE_DIRECTORY"); !service.empty()) return service;  // systemd
  if (auto xdg = set("XDG_CACHE_HOME"); !xdg.empty()) return xdg + "/nora";
  const auto home = set("HOME");
  return home.empty() ? "" : home + "/.cache/nora";
}

}  // namespace nora::app
