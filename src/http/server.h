// Server: HTTP/1.1 over Asio coroutines on one thread; handlers run on a small pool and may block. Used by portal, desk, isp (and demo pages).
// Boost stays inside server.cc. Slow clients cost one coroutine and nothing else. stop() ends open connections and joins all threads; a handler
// that still runs is waited for, its writes fail at once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/result.h"
#include "http/message.h"

namespace nora::http {

struct ServerOptions {
  std::vector<std::string> listen;           // "127.0.0.1:8080", "[::1]:0", "0.0.0.0:80", "fd:3" (an inherited listening TCP socket); port 0 = any
  std::size_t header_bytes_max = 16 * 1024;
  std::size_t body_bytes_max = 64 * 1024;
  std::size_t connections_max = 512;         // more: closed at once
  std::size_t connections_per_peer_max = 64;
  std::size_t waiting_requests_max = 256;    // requests waiting for a handler thread; more: 503
  int handler_threads = 8;
  Span header_timeout = Span::seconds(10);   // from the first byte (or the accept) to the end of the header, absolute
  Span body_timeout = Span::seconds(20);     // absolute
  Span idle_timeout = Span::seconds(30);     // between two requests of one connection
  Span write_timeout = Span::seconds(30);    // for one response or one chunk
  bool behind_tls = false;                   // adds Strict-Transport-Security
  bool scripts = false;                      // adds script-src 'self' to the policy (desk); otherwise no script runs at all
};

class Server {
 public:
  // Binds, starts the threads and serves until stop(). Errors: usage (bad address), environment (port taken, not allowed).
  static Result<std::unique_ptr<Server>> start(Env env, ServerOptions options, Handler handler);
  virtual ~Server() = default;
  virtual std::vector<std::string> addresses() const = 0;  // what was really bound: "127.0.0.1:40213"
  virtual void stop() = 0;                                 // idempotent, any thread but a handler's
};

// Blocks until SIGINT or SIGTERM (both are blocked in all threads from the moment this object is made; make it before any thread).
class StopSignal {
 public:
  StopSignal();
  void wait();
};

// One whole request from bytes, judged as the server judges it, without a socket: for fuzzing and tests. The peer is left empty.
// Errors: bad_input, with the status that the server would answer first in `what` ("400 …", "405 …", "411 …", "413 …", "431 …").
Result<Request> read_request(std::string_view bytes, const ServerOptions& options);

// The security headers of every response (trust.md section 10), for tests.
Headers security_headers(const ServerOptions& options);

}  // namespace nora::http
