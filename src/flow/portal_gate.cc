#include "flow/portal_gate.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <condition_variable>
#include <mutex>

#include "base/escape.h"
#include "base/files.h"
#include "exchange/notice_code.h"
#include "exchange/portal_wire.h"
#include "flow/portal_answers.h"

namespace nora::flow {
namespace {

constexpr int request_timeout_ms = 5000;

// Reads the one request line. Errors: bad_input.
Result<std::string> read_line(int fd) {
  std::string buffer;
  for (;;) {
    if (const auto end = buffer.find('\n'); end != std::string::npos) return buffer.substr(0, end);
    if (buffer.size() > exchange::max_line_bytes) return fail(Code::bad_input, "the request is too long");
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, request_timeout_ms) <= 0) return fail(Code::bad_input, "the request did not come");
    char bytes[4096];
    const auto n = ::recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0) return fail(Code::bad_input, "the request was cut short");
    buffer.append(bytes, static_cast<std::size_t>(n));
  }
}

std::string_view word(Code code) {
  switch (code) {
    case Code::not_found: return "not_found";
    case Code::refused: return "refused";
    case Code::bad_input: case Code::usage: return "bad_input";
    default: return "failed";
  }
}

}  // namespace

struct PortalGate::State {
  GateParts parts;
  GateOptions options;
  Fd listen;
  std::thread acceptor;
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable idle;
  int active = 0;

  State(GateParts p, GateOptions o, Fd fd) : parts(std::move(p)), options(std::move(o)), listen(std::move(fd)) {}

  // False: the portal hung up.
  static bool send(int fd, const json::Object& line) {
    const auto text = json::text(line) + "\n";
    return text.size() <= exchange::max_line_bytes && write_all(fd, as_bytes(text)).has_value();
  }

  void serve(int fd) {
    const auto request = [&]() -> Result<json::Object> {
      NORA_TRY(const auto line, read_line(fd));
      return json::parse_object(line);
    }();
    if (!request) {
      send(fd, {{"error", {{"code", "bad_input"}, {"what", to_log(request.error().what)}, {"fix", ""}}}});
      return;
    }
    PortalAnswers answers(parts, options, stop);
    if (auto done = answers.answer(*request, [&](const json::Object& line) { return send(fd, line); }); !done) {
      if (done.error().code == Code::failed || done.error().code == Code::environment) parts.env.log.error("portal gate: " + done.error().text());
      send(fd, {{"error", {{"code", std::string(word(done.error().code))}, {"what", to_clean_utf8(done.error().what)}, {"fix", to_clean_utf8(done.error().fix)}}}});
    }
  }

  void accept_all() {
    while (!stop) {
      pollfd p{listen.get(), POLLIN, 0};
      if (::poll(&p, 1, 200) <= 0) continue;
      Fd client(::accept4(listen.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) continue;
      {
        std::lock_guard lock(mutex);
        if (active >= options.max_connections) {
          send(client.get(), {{"error", {{"code", "failed"}, {"what", "the center is busy"}, {"fix", "Try again in a minute"}}}});
          continue;
        }
        ++active;
      }
      std::thread([this, client = std::move(client)]() mutable {
        serve(client.get());
        client = Fd();
        std::lock_guard lock(mutex);
        --active;
        idle.notify_all();
      }).detach();
    }
  }
};

Result<std::unique_ptr<PortalGate>> PortalGate::start(GateParts parts, GateOptions options) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = options.socket.string();
  if (path.size() >= sizeof address.sun_path) return fail(Code::usage, "the portal socket's path is longer than 107 bytes", "Choose a shorter directory");
  path.copy(address.sun_path, path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(Code::environment, "no Unix socket: " + errno_text(errno));
  // A socket that nobody listens on is left over from a crash.
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
    return fail(Code::environment, "another process answers on " + path, "Stop it first");
  ::unlink(path.c_str());
  fd = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return fail(Code::environment, "cannot bind " + path + ": " + errno_text(errno));
  ::chmod(path.c_str(), 0660);
  if (::listen(fd.get(), 64) != 0) return fail(Code::environment, "cannot listen on " + path + ": " + errno_text(errno));
  std::unique_ptr<PortalGate> gate(new PortalGate(std::make_unique<State>(std::move(parts), std::move(options), std::move(fd))));
  gate->state_->acceptor = std::thread([s = gate->state_.get()] { s->accept_all(); });
  return gate;
}

PortalGate::PortalGate(std::unique_ptr<State> state) : state_(std::move(state)) {}

PortalGate::~PortalGate() {
  state_->stop = true;
  state_->acceptor.join();
  std::unique_lock lock(state_->mutex);
  state_->idle.wait(lock, [&] { return state_->active == 0; });
  ::unlink(state_->options.socket.c_str());
}

}  // namespace nora::flow
