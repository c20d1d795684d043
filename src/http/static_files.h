// Static files: style sheets, icons and the little script there is, read once at start, served from memory with an ETag. Used by portal, desk, isp.
// Only regular files directly in the directory with a known ending (css svg js png ico txt); limit per file max_static_bytes.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/router.h"

namespace nora::http {

inline constexpr std::size_t max_static_bytes = 512 * 1024;

class StaticFiles {
 public:
  static Result<StaticFiles> load(const std::filesystem::path& dir);
  std::string href(std::string_view name) const;  // "/static/nora.css?v=1a2b3c4d": changes with the content, so it may be cached for long
  void add_routes(Router& router) const;          // GET /static/{name}; 304 on If-None-Match; keeps its own copy of the files

 private:
  struct File { std::string content, type, etag; };
  std::map<std::string, File, std::less<>> files_;
};

}  // namespace nora::http
