// Request and Response: what a page handler gets and gives. Used by portal, desk and isp. Plain values; a Request belongs to one handler call.
// The peer is the address of the TCP connection as the socket sees it. No header (X-Forwarded-For, Forwarded, X-Real-IP, PROXY protocol) can
// change it (trust.md T10); there is no trusted proxy in this build.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/instant.h"
#include "base/ip.h"
#include "base/json.h"
#include "http/form.h"
#include "http/html.h"

namespace nora::http {

enum class Method { get, head, post };

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  Method method = Method::get;
  std::string path;              // percent-decoded, starts with "/", no "..", no NUL, valid UTF-8
  Fields query;                  // after "?"
  Fields form;                   // body, if it is application/x-www-form-urlencoded
  std::string body;              // any other body
  Headers headers;               // names in lower case, in order
  Ip peer;                       // the TCP peer
  std::uint16_t peer_port = 0;
  Ip local;                      // our own end of the connection
  Instant at;                    // when the header was complete
  Fields params;                 // filled by the router from {name} places

  std::string_view header(std::string_view lower_case_name) const;   // first value or ""
  std::string_view cookie(std::string_view name) const;              // first value or ""
  std::string_view param(std::string_view name) const { return params.get(name); }
};

// A streamed response writes here. Each write is one flushed chunk.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  // Blocks until the kernel took the bytes, at most ServerOptions::write_timeout. False: the client is gone or the server stops; stop writing.
  virtual bool write(std::string_view bytes) = 0;
  bool write(const Html& html) { return write(std::string_view(html.str())); }
};

struct Response {
  int status = 200;
  std::string content_type = "text/html; charset=utf-8";
  std::string body;
  Headers headers;               // extra ones; the server adds the security headers and never lets a header carry CR or LF
  bool personal = true;          // Cache-Control: no-store (default); false for static files that set their own
  std::function<void(StreamWriter&)> stream;  // if set: the body is what this writes, chunked; runs on the handler's thread after the header went out

  static Response page(const Html& html, int status = 200);
  static Response text(std::string body, int status = 200);
  static Response json(const json::Object& object, int status = 200);
  static Response ndjson(std::function<void(StreamWriter&)> writer);
  static Response csv(std::string body, std::string_view file_name);
  static Response see_other(std::string location);           // 303; a location that is not a local path becomes "/"
  static Response streamed_page(std::function<void(StreamWriter&)> writer);
  Response& with(std::string name, std::string value) { headers.emplace_back(std::move(name), std::move(value)); return *this; }
};

using Handler = std::function<Response(Request&)>;

}  // namespace nora::http
