// The only file with Asio and Beast's HTTP parser (27 s to compile, stack.md). One io thread runs all sockets; handlers run on the pool.
// Everything in Connection and ServerImpl without a lock belongs to the io thread; workers reach it only through asio::post.
#include "http/server.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <deque>
#include <future>
#include <list>
#include <map>
#include <mutex>
#include <thread>

#include "base/escape.h"
#include "base/files.h"
#include "http/gzip.h"

namespace nora::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using asio::awaitable;
using std::chrono::microseconds;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);
constexpr int requests_per_connection_max = 1000;

std::chrono::steady_clock::time_point after(Span span) { return std::chrono::steady_clock::now() + microseconds(span.us); }

Ip ip_of(const asio::ip::address& a) {
  if (a.is_v4()) return Ip::v4(a.to_v4().to_uint());
  return Ip::v6(a.to_v6().to_bytes());  // a v4-mapped peer has the same bytes as the IPv4 address
}

// Fixed set of threads with a bounded queue.
class Pool {
 public:
  Pool(int threads, std::size_t waiting_max) : waiting_max_(waiting_max) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
  }
  ~Pool() { join(); }
  bool post(std::function<void()> job) {
    {
      std::lock_guard lock(mutex_);
      if (stopping_ || (jobs_.size() >= waiting_max_)) return false;
      jobs_.push_back(std::move(job));
    }
    ready_.notify_one();
    return true;
  }
  void join() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    ready_.notify_all();
    for (auto& t : threads_)
      if (t.joinable()) t.join();
  }

 private:
  void run() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
    }
  }
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  std::size_t waiting_max_;
  bool stopping_ = false;
};

// What a handler's thread sends to the connection's coroutine, in order.
struct Event {
  enum class Kind { head, chunk, done } kind;
  Response response;                             // head
  std::string bytes;                             // chunk
  std::shared_ptr<std::promise<bool>> accepted;  // chunk: did the kernel take it
};

struct Exchange {
  explicit Exchange(asio::io_context& io) : io(io), wake(io) {}
  asio::io_context& io;
  asio::steady_timer wake;
  std::deque<Event> events;
  static void push(const std::shared_ptr<Exchange>& self, Event event) {
    asio::post(self->io, [self, event = std::move(event)]() mutable {
      self->events.push_back(std::move(event));
      self->wake.cancel();
    });
  }
};

class ExchangeWriter : public StreamWriter {
 public:
  explicit ExchangeWriter(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  bool write(std::string_view bytes) override {
    if (gone_) return false;
    if (bytes.empty()) return true;
    auto accepted = std::make_shared<std::promise<bool>>();
    auto answer = accepted->get_future();
    Exchange::push(exchange_, {Event::Kind::chunk, {}, std::string(bytes), std::move(accepted)});
    gone_ = !answer.get();
    return !gone_;
  }

 private:
  std::shared_ptr<Exchange> exchange_;
  bool gone_ = false;
};

void add_header(std::string& out, std::string_view name, std::string_view value) {
  const auto clean = [&](std::string_view s) {
    for (const char c : s)
      if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) out += c;  // no CR, LF, NUL: a value cannot start a new header
  };
  clean(name);
  out += ": ";
  clean(value);
  out += "\r\n";
}

bool compressible(std::string_view type) {
  return type.starts_with("text/") || type.starts_with("application/json") || type.starts_with("image/svg") || type.starts_with("application/x-ndjson");
}

using RequestParser = bhttp::request_parser<bhttp::string_body>;

void set_limits(RequestParser& parser, const ServerOptions& options) {
  parser.header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
  parser.body_limit(options.body_bytes_max);
}

// Looks at a complete header: the method, or what to answer instead.
struct Refusal {
  int status;
  std::string_view text;
};
std::expected<Method, Refusal> judge(const bhttp::request<bhttp::string_body>& head) {
  Method method;
  switch (head.method()) {
    case bhttp::verb::get: method = Method::get; break;
    case bhttp::verb::head: method = Method::head; break;
    case bhttp::verb::post: method = Method::post; break;
    default: return std::unexpected(Refusal{405, "405 method not allowed\n"});
  }
  const bool old = head.version() < 11;
  const auto hosts = head.count(bhttp::field::host);
  if ((!old && hosts != 1) || hosts > 1) return std::unexpected(Refusal{400, "400 one Host header is needed\n"});
  // No browser sends a form in chunks. Refusing them (RFC 9110 section 15.5.12) shuts out request smuggling by two lengths (RFC 9112 section 6.1) and
  // Beast 1.81's chunk parser, which fails an assertion when the last chunk comes in two pieces ("0 CRLF", then one byte; found by fuzz_http).
  if (head.count(bhttp::field::transfer_encoding)) return std::unexpected(Refusal{411, "411 a Content-Length is needed\n"});
  return method;
}

// Fills path, query, headers, form or body from a complete message.
Status fill(Request& request, bhttp::request<bhttp::string_body>& message) {
  const std::string_view target(message.target().data(), message.target().size());
  const auto question = target.find('?');
  NORA_TRY(request.path, parse_path(target.substr(0, question)));
  if (question != std::string_view::npos) {
    NORA_TRY(request.query, parse_form(target.substr(question + 1)));
  }
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    request.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  request.body = std::move(message.body());
  if (std::string_view(request.header("content-type")).starts_with("application/x-www-form-urlencoded")) {
    NORA_TRY(request.form, parse_form(request.body));
    request.body.clear();
  }
  return {};
}

Refusal refusal_of(beast::error_code error) {
  if (error == bhttp::error::header_limit) return {431, "431 header too large\n"};
  if (error == bhttp::error::body_limit) return {413, "413 too large\n"};
  return {400, "400 bad request\n"};
}

class ServerImpl : public Server {
 public:
  ServerImpl(Env env, ServerOptions options, Handler handler)
      : env_(env), options_(std::move(options)), handler_(std::move(handler)), pool_(options_.handler_threads, options_.waiting_requests_max),
        security_(security_headers(options_)) {}
  ~ServerImpl() override { stop(); }

  Status bind_all() {
    for (const auto& text : options_.listen) {
      auto acceptor = bind_one(text);
      if (!acceptor) return pass(acceptor.error());
      acceptors_.push_back(std::move(*acceptor));
    }
    if (acceptors_.empty()) return fail(Code::usage, "no address to listen on", "Give --listen ADDRESS:PORT.");
    return {};
  }

  void run() {
    for (auto& acceptor : acceptors_) asio::co_spawn(io_, accept_loop(acceptor), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }

  std::vector<std::string> addresses() const override { return bound_; }

  void stop() override {
    std::call_once(stopped_, [this] {
      asio::post(io_, [this] {
        stopping_ = true;
        beast::error_code ignored;
        for (auto& acceptor : acceptors_) acceptor.close(ignored);
        for (auto* stream : open_) stream->close();
      });
      if (thread_.joinable()) thread_.join();
      pool_.join();
    });
  }

 private:
  Result<tcp::acceptor> bind_one(const std::string& text) {
    tcp::acceptor acceptor(io_);
    beast::error_code error;
    if (text.starts_with("fd:")) {
      const int fd = std::atoi(text.c_str() + 3);
      sockaddr_storage address{};
      socklen_t length = sizeof address;
      int listening = 0;
      socklen_t listening_length = sizeof listening;
      if (fd < 3 || ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
          ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_length) != 0 || !listening ||
          (address.ss_family != AF_INET && address.ss_family != AF_INET6))
        return fail(Code::usage, text + " is not an inherited listening TCP socket");
      acceptor.assign(address.ss_family == AF_INET ? tcp::v4() : tcp::v6(), fd, error);
    } else {
      const auto colon = text.rfind(':');
      if (colon == std::string::npos) return fail(Code::usage, "\"" + text + "\" is not ADDRESS:PORT");
      auto host = text.substr(0, colon);
      if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
      NORA_TRY(const auto ip, Ip::parse(host));
      std::uint16_t port = 0;
      if (text.substr(colon + 1) != "0") {
        NORA_TRY(const auto parsed, parse_port(text.substr(colon + 1)));
        port = parsed.value;
      }
      const tcp::endpoint endpoint = ip.is_v4() ? tcp::endpoint(asio::ip::address_v4(ip.v4_value()), port)
                                                : tcp::endpoint(asio::ip::address_v6(asio::ip::address_v6::bytes_type(ip.bytes())), port);
      acceptor.open(endpoint.protocol(), error);
      if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
      if (!error && !ip.is_v4()) acceptor.set_option(asio::ip::v6_only(true), error);
      if (!error) acceptor.bind(endpoint, error);
      if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
      if (error) return fail(Code::environment, "cannot listen on " + text + ": " + error.message(), "Choose another port, or free this one.");
    }
    if (error) return fail(Code::environment, "cannot use " + text + ": " + error.message());
    const auto local = acceptor.local_endpoint(error);
    const auto ip = ip_of(local.address());
    bound_.push_back((ip.is_v4() ? ip.text() : "[" + ip.text() + "]") + ":" + std::to_string(local.port()));
    return acceptor;
  }

  awaitable<void> accept_loop(tcp::acceptor& acceptor) {
    while (!stopping_) {
      auto [error, socket] = co_await acceptor.async_accept(use_tuple);
      if (stopping_) co_return;
      if (error) {  // out of descriptors, or a client that left again: wait a little instead of spinning
        asio::steady_timer pause(io_, std::chrono::milliseconds(20));
        co_await pause.async_wait(use_tuple);
        continue;
      }
      beast::error_code ec;
      const auto remote = socket.remote_endpoint(ec);
      if (ec) continue;
      const auto peer = ip_of(remote.address());
      if (connections_ >= options_.connections_max || per_peer_[peer] >= options_.connections_per_peer_max) {
        if (per_peer_[peer] == 0) per_peer_.erase(peer);
        socket.close(ec);
        continue;
      }
      ++connections_;
      ++per_peer_[peer];
      asio::co_spawn(io_, connection(std::move(socket), peer, remote.port()), [this, peer](std::exception_ptr problem) {
        --connections_;
        if (--per_peer_[peer] == 0) per_peer_.erase(peer);
        if (problem) {
          try {
            std::rethrow_exception(problem);
          } catch (const std::exception& e) {
            env_.log.error("http: a connection ended with " + to_log(e.what()));
          }
        }
      });
    }
  }

  awaitable<void> connection(tcp::socket socket, Ip peer, std::uint16_t port) {
    beast::tcp_stream stream(std::move(socket));
    beast::error_code ec;
    stream.socket().set_option(tcp::no_delay(true), ec);
    const auto local = stream.socket().local_endpoint(ec);
    const auto own = ec ? Ip{} : ip_of(local.address());
    const auto where = open_.insert(open_.end(), &stream);
    struct Leave {
      std::list<beast::tcp_stream*>& open;
      std::list<beast::tcp_stream*>::iterator at;
      ~Leave() { open.erase(at); }
    } leave{open_, where};
    beast::flat_buffer buffer(options_.header_bytes_max + options_.body_bytes_max + 4096);
    for (int served = 0; served < requests_per_connection_max && !stopping_; ++served) {
      if (buffer.size() == 0 && served > 0) {  // idle: any length of silence up to idle_timeout, then the header clock starts
        stream.expires_at(after(options_.idle_timeout));
        auto [error, n] = co_await stream.async_read_some(buffer.prepare(4096), use_tuple);
        if (error) break;
        buffer.commit(n);
      }
      const bool keep = co_await one_request(stream, buffer, peer, port, own);
      if (!keep) break;
    }
    // A clean end, so that an error page is not cut off by a reset: FIN, then read what the peer still sends, briefly and within a bound.
    stream.socket().shutdown(tcp::socket::shutdown_send, ec);
    stream.expires_at(after(Span::seconds(1)));
    char rest[4096];
    for (int i = 0; i < 16 && !stopping_; ++i) {
      auto [error, n] = co_await stream.async_read_some(asio::buffer(rest), use_tuple);
      if (error) break;
    }
  }

  // Reads one request, lets the handler answer it. False: close the connection.
  awaitable<bool> one_request(beast::tcp_stream& stream, beast::flat_buffer& buffer, Ip peer, std::uint16_t port, Ip local) {
    RequestParser parser;
    set_limits(parser, options_);
    stream.expires_at(after(options_.header_timeout));
    {
      auto [error, n] = co_await bhttp::async_read_header(stream, buffer, parser, use_tuple);
      if (error) co_return co_await refuse(stream, error);
    }
    Request request;
    request.at = env_.clock.now();
    request.peer = peer;
    request.peer_port = port;
    request.local = local;
    const auto method = judge(parser.get());
    if (!method) co_return co_await deny(stream, method.error().status, method.error().text);
    request.method = *method;
    if (!parser.is_done()) {
      if (beast::iequals(parser.get()[bhttp::field::expect], "100-continue")) {
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        co_await asio::async_write(stream, asio::buffer(go_on), use_tuple);
      }
      stream.expires_at(after(options_.body_timeout));
      auto [error, n] = co_await bhttp::async_read(stream, buffer, parser, use_tuple);
      if (error) co_return co_await refuse(stream, error);
    }
    const bool old = parser.get().version() < 11;
    const bool keep = parser.get().keep_alive() && !old;
    if (const auto filled = fill(request, parser.get()); !filled) co_return co_await deny(stream, 400, "400 the address or the form is not valid\n");
    co_return co_await answer(stream, std::move(request), keep, old);
  }

  awaitable<bool> answer(beast::tcp_stream& stream, Request request, bool keep, bool old) {
    auto exchange = std::make_shared<Exchange>(io_);
    const bool head_only = request.method == Method::head;
    const bool gzip_ok = accepts_gzip(request.header("accept-encoding"));
    const bool queued = pool_.post([this, exchange, request = std::make_shared<Request>(std::move(request)), head_only] {
      run_handler(exchange, *request, head_only);
    });
    if (!queued) co_return co_await deny(stream, 503, "503 busy, please try again in a minute\n");
    bool gone = false, streamed = false;
    for (;;) {
      while (exchange->events.empty()) {
        exchange->wake.expires_at(std::chrono::steady_clock::time_point::max());
        co_await exchange->wake.async_wait(use_tuple);
      }
      auto event = std::move(exchange->events.front());
      exchange->events.pop_front();
      if (event.kind == Event::Kind::done) {
        if (!event.bytes.empty()) gone = true;  // the stream broke: no end mark, so the client sees that the page is not whole
        if (streamed && !old && !gone && !head_only) {
          std::string end("0\r\n\r\n");
          gone = !co_await write(stream, std::move(end));
        }
        break;
      }
      if (event.kind == Event::Kind::head) {
        streamed = static_cast<bool>(event.response.stream);
        auto bytes = render(event.response, keep, head_only, gzip_ok, streamed && !old);
        if (!gone) gone = !co_await write(stream, std::move(bytes));
      } else {
        auto bytes = old ? std::move(event.bytes) : chunk(event.bytes);
        if (!gone) gone = !co_await write(stream, std::move(bytes));
        event.accepted->set_value(!gone);
      }
    }
    co_return keep && !gone && !stopping_ && !(streamed && old);
  }

  void run_handler(const std::shared_ptr<Exchange>& exchange, Request& request, bool head_only) {
    Response response;
    try {
      response = handler_(request);
    } catch (const std::exception& e) {
      env_.log.error("http: a handler failed on " + to_log(request.path) + ": " + to_log(e.what()));
      response = Response::text("500 something went wrong here; it is not your fault\n", 500);
    }
    auto stream = response.stream;
    std::string broken;
    Exchange::push(exchange, {Event::Kind::head, std::move(response), {}, {}});
    if (stream && !head_only) {
      ExchangeWriter writer(exchange);
      try {
        stream(writer);
      } catch (const std::exception& e) {
        env_.log.error("http: a stream failed on " + to_log(request.path) + ": " + to_log(e.what()));
        broken = "broken";
      }
    }
    Exchange::push(exchange, {Event::Kind::done, {}, std::move(broken), {}});
  }

  awaitable<bool> write(beast::tcp_stream& stream, std::string bytes) {
    if (stopping_) co_return false;
    stream.expires_at(after(options_.write_timeout));
    auto [error, n] = co_await asio::async_write(stream, asio::buffer(bytes), use_tuple);
    co_return !error;
  }

  static std::string chunk(const std::string& bytes) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    return size + bytes + "\r\n";
  }

  std::string render(Response& r, bool keep, bool head_only, bool gzip_ok, bool chunked) const {
    const bool bodyless = r.status == 304 || r.status == 204;
    std::string out = "HTTP/1.1 " + std::to_string(r.status) + " ";
    const auto reason = bhttp::obsolete_reason(static_cast<bhttp::status>(r.status));
    out.append(reason.data(), reason.size());
    out += "\r\n";
    for (const auto& [name, value] : security_) add_header(out, name, value);
    if (r.personal) add_header(out, "Cache-Control", "no-store");
    for (const auto& [name, value] : r.headers) add_header(out, name, value);
    if (!bodyless) add_header(out, "Content-Type", r.content_type);
    if (r.stream) {
      add_header(out, "X-Accel-Buffering", "no");
      if (chunked) add_header(out, "Transfer-Encoding", "chunked");
    } else if (!bodyless) {
      if (compressible(r.content_type)) {
        add_header(out, "Vary", "Accept-Encoding");
        if (gzip_ok && r.body.size() >= gzip_from_bytes) {
          r.body = gzip(r.body);
          add_header(out, "Content-Encoding", "gzip");
        }
      }
      add_header(out, "Content-Length", std::to_string(r.body.size()));
    }
    add_header(out, "Connection", keep && (chunked || !r.stream) ? "keep-alive" : "close");
    out += "\r\n";
    if (!head_only && !bodyless && !r.stream) out += r.body;
    return out;
  }

  // Only literals as arguments: g++ 12 destroys some class temporaries of a co_await expression twice (GCC bug 99576).
  awaitable<bool> deny(beast::tcp_stream& stream, int status, std::string_view text) {
    auto response = Response::text(std::string(text), status);
    if (status == 405) response.with("Allow", "GET, HEAD, POST");
    if (status == 503) response.with("Retry-After", "60");
    auto bytes = render(response, false, false, false, false);
    co_await write(stream, std::move(bytes));
    co_return false;
  }

  awaitable<bool> refuse(beast::tcp_stream& stream, beast::error_code error) {
    if (error == bhttp::error::end_of_stream || error == beast::error::timeout || error.category() != bhttp::make_error_code(bhttp::error::end_of_stream).category())
      co_return false;  // gone or too slow: there is nobody to tell
    const auto refusal = refusal_of(error);
    co_return co_await deny(stream, refusal.status, refusal.text);
  }

  Env env_;
  ServerOptions options_;
  Handler handler_;
  asio::io_context io_{1};
  Pool pool_;
  Headers security_;
  std::list<tcp::acceptor> acceptors_;
  std::vector<std::string> bound_;
  std::list<beast::tcp_stream*> open_;
  std::map<Ip, std::size_t> per_peer_;
  std::size_t connections_ = 0;
  bool stopping_ = false;
  std::thread thread_;
  std::once_flag stopped_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(Env env, ServerOptions options, Handler handler) {
  auto server = std::make_unique<ServerImpl>(env, std::move(options), std::move(handler));
  try {
    if (auto bound = server->bind_all(); !bound) return pass(bound.error());
    server->run();
  } catch (const std::exception& e) {
    return fail(Code::environment, std::string("cannot start the web server: ") + e.what());
  }
  return server;
}

Result<Request> read_request(std::string_view bytes, const ServerOptions& options) {
  const auto refused = [](Refusal r) { return fail(Code::bad_input, std::string(r.text.substr(0, r.text.find('\n')))); };
  RequestParser parser;
  set_limits(parser, options);
  const auto feed = [&](auto&& enough) -> std::optional<Refusal> {
    beast::error_code error;
    for (int i = 0; i < 1000 && !enough() && !bytes.empty(); ++i) {
      const auto used = parser.put(asio::buffer(bytes.data(), bytes.size()), error);
      if (error && error != bhttp::error::need_more) return refusal_of(error);
      if (used == 0) break;
      bytes.remove_prefix(used);
    }
    if (!enough()) return Refusal{400, "400 not a whole request\n"};
    return {};
  };
  // Header first and the body only after the verdict on it, as over a socket.
  if (const auto bad = feed([&] { return parser.is_header_done(); })) return refused(*bad);
  Request request;
  const auto method = judge(parser.get());
  if (!method) return refused(method.error());
  request.method = *method;
  parser.eager(true);
  if (const auto bad = feed([&] { return parser.is_done(); })) return refused(*bad);
  NORA_CHECK(fill(request, parser.get()));
  return request;
}

StopSignal::StopSignal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void StopSignal::wait() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  int which = 0;
  sigwait(&set, &which);
}

Headers security_headers(const ServerOptions& options) {
  std::string policy = "default-src 'none'; ";
  if (options.scripts) policy += "script-src 'self'; connect-src 'self'; ";
  policy += "style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'";
  Headers out{
      {"Content-Security-Policy", std::move(policy)},
      {"Referrer-Policy", "no-referrer"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), bluetooth=(), display-capture=(), fullscreen=()"},
  };
  if (options.behind_tls) out.emplace_back("Strict-Transport-Security", "max-age=63072000; includeSubDomains");
  return out;
}

}  // namespace nora::http
