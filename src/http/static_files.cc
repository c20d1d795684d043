#include "http/static_files.h"

#include "base/crypto.h"
#include "base/escape.h"
#include "base/files.h"

namespace nora::http {
namespace {

std::string_view type_of(const std::string& ending) {
  if (ending == ".css") return "text/css; charset=utf-8";
  if (ending == ".svg") return "image/svg+xml";
  if (ending == ".js") return "text/javascript; charset=utf-8";
  if (ending == ".png") return "image/png";
  if (ending == ".ico") return "image/x-icon";
  if (ending == ".txt") return "text/plain; charset=utf-8";
  return {};
}

}  // namespace

Result<StaticFiles> StaticFiles::load(const std::filesystem::path& dir) {
  StaticFiles out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
    const auto type = type_of(entry.path().extension().string());
    if (type.empty() || !entry.is_regular_file(error)) continue;
    NORA_TRY(auto content, read_file(entry.path(), max_static_bytes));
    File file{std::move(content), std::string(type), {}};
    const auto hash = sha256(as_bytes(file.content));
    file.etag = to_hex(ByteView(hash).first(8));
    out.files_.emplace(entry.path().filename().string(), std::move(file));
  }
  if (error) return fail(Code::environment, "cannot read the directory of style sheets " + dir.string() + ": " + error.message(), "Give --web DIR.");
  return out;
}

std::string StaticFiles::href(std::string_view name) const {
  const auto found = files_.find(name);
  return "/static/" + to_url(name) + (found == files_.end() ? "" : "?v=" + found->second.etag.substr(0, 8));
}

void StaticFiles::add_routes(Router& router) const {
  router.get("/static/{name}", [files = files_](Request& request) {
    const auto found = files.find(request.param("name"));
    if (found == files.end()) return Response::text("404 not found\n", 404);
    const auto quoted = "W/\"" + found->second.etag + "\"";  // weak: the same file may go out compressed
    Response r;
    r.personal = false;
    r.content_type = found->second.type;
    const bool versioned = request.query.get("v") == found->second.etag.substr(0, 8);
    r.with("ETag", quoted).with("Cache-Control", versioned ? "public, max-age=31536000, immutable" : "public, no-cache");
    if (request.header("if-none-match") == quoted) r.status = 304;
    else r.body = found->second.content;
    return r;
  });
}

}  // namespace nora::http
