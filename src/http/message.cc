#include "http/message.h"

#include "base/escape.h"

namespace nora::http {

std::string_view Request::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers)
    if (name == lower_case_name) return value;
  return {};
}

std::string_view Request::cookie(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == "cookie")
      if (const auto found = cookie_value(value, name); !found.empty()) return found;
  return {};
}

Response Response::page(const Html& html, int status) {
  Response r;
  r.status = status;
  r.body = html.str();
  return r;
}

Response Response::text(std::string body, int status) {
  Response r;
  r.status = status;
  r.content_type = "text/plain; charset=utf-8";
  r.body = std::move(body);
  return r;
}

Response Response::json(const json::Object& object, int status) {
  Response r;
  r.status = status;
  r.content_type = "application/json";
  r.body = json::text(object) + "\n";
  return r;
}

Response Response::ndjson(std::function<void(StreamWriter&)> writer) {
  Response r;
  r.content_type = "application/x-ndjson";
  r.stream = std::move(writer);
  return r;
}

Response Response::csv(std::string body, std::string_view file_name) {
  Response r;
  r.content_type = "text/csv; charset=utf-8";
  r.body = std::move(body);
  r.with("Content-Disposition", "attachment; filename=\"" + to_url(file_name) + "\"");
  return r;
}

Response Response::see_other(std::string location) {
  // Only a local path: "//host" and "/\host" would leave the site.
  if (location.empty() || location[0] != '/' || (location.size() > 1 && (location[1] == '/' || location[1] == '\\'))) location = "/";
  Response r;
  r.status = 303;
  r.content_type = "text/plain; charset=utf-8";
  r.with("Location", std::move(location));
  return r;
}

Response Response::streamed_page(std::function<void(StreamWriter&)> writer) {
  Response r;
  r.stream = std::move(writer);
  return r;
}

}  // namespace nora::http
