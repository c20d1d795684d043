#include "survey/grabber.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace nora::survey {
namespace {

constexpr Span look_every = Span::ms(10);  // deadlines are seconds

using SslCtx = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;

// Old devices speak old TLS: Nora reads their certificate, it does not trust it. No client certificate, no session, no name.
SslCtx make_context() {
  SslCtx ctx(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  NORA_ASSERT(ctx, "OpenSSL has a client method");
  SSL_CTX_set_security_level(ctx.get(), 0);
  SSL_CTX_set_min_proto_version(ctx.get(), TLS1_VERSION);
  SSL_CTX_set_cipher_list(ctx.get(), "ALL:!aNULL:!eNULL:@SECLEVEL=0");
  SSL_CTX_set_options(ctx.get(), SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return ctx;
}

}  // namespace

std::string_view name(Ended ended) {
  switch (ended) {
    case Ended::answered:
      return "answered";
    case Ended::silent:
      return "silent";
    case Ended::refused:
      return "closed";
    case Ended::unreachable:
      return "unreachable";
  }
  return "?";
}

struct Grabber::Conversation {
  Fd fd;
  Script script;
  std::uint64_t tag;
  Span deadline, quiet_since;
  bool connected = false, shaken = false;  // shaken: TLS is up (or not wanted)
  Bytes out;
  std::vector<Bytes> parts{1};
  std::size_t heard = 0;
  std::int64_t said = 0;
  Instant first_at;
  Ssl ssl{nullptr, SSL_free};
  Bytes certificate;
  std::string tls_version;
  bool want_write = true;
  Conversation(Fd f, ScriptSpec spec, std::uint64_t t, Span now)
      : fd(std::move(f)), script(std::move(spec)), tag(t), deadline(now + conversation_deadline), quiet_since(now) {}
};

struct Grabber::Parts {
  Env env;
  Fd epoll;
  SslCtx tls = make_context();
  std::unordered_map<int, std::unique_ptr<Conversation>> running;
  const std::function<void(Grabbed&&)>* done = nullptr;
  Span looked{};  // when deadlines were last looked at

  explicit Parts(Env e) : env(e), epoll(epoll_create1(EPOLL_CLOEXEC)) {}

  void watch(Conversation& c, int op) {
    epoll_event e{};
    e.events = EPOLLIN | (c.want_write || !c.out.empty() ? static_cast<std::uint32_t>(EPOLLOUT) : 0);
    e.data.fd = c.fd.get();
    epoll_ctl(epoll.get(), op, c.fd.get(), &e);
  }

  void finish(Conversation& c, Ended ended) {
    Grabbed g;
    g.tag = c.tag;
    g.spec = c.script.spec();
    g.ended = ended == Ended::silent && (c.heard > 0 || !c.certificate.empty()) ? Ended::answered : ended;
    g.at = c.heard > 0 || !c.certificate.empty() ? c.first_at : env.clock.now();
    g.sent_bytes = c.said;
    g.received_bytes = static_cast<std::int64_t>(c.heard);
    if (c.script.tls()) g.parts = {std::move(c.certificate), std::move(c.parts[0]), to_bytes(c.tls_version)};
    else g.parts = std::move(c.parts);
    c.ssl.reset();
    int fd = c.fd.get();
    epoll_ctl(epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
    law::close_hard(std::move(c.fd));
    running.erase(fd);
    (*done)(std::move(g));
  }

  void react(Conversation& c, Reaction r) {
    if (r.next_part) c.parts.emplace_back();
    c.out.insert(c.out.end(), r.send.begin(), r.send.end());
    if (!r.send.empty()) c.quiet_since = env.clock.monotonic();
  }

  // false: the conversation is over and finish() was called.
  bool write_some(Conversation& c) {
    while (!c.out.empty()) {
      ssize_t n;
      if (c.ssl) {
        n = SSL_write(c.ssl.get(), c.out.data(), static_cast<int>(c.out.size()));
        if (n <= 0) {
          int why = SSL_get_error(c.ssl.get(), static_cast<int>(n));
          if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return true;
          finish(c, Ended::silent);
          return false;
        }
      } else {
        n = ::send(c.fd.get(), c.out.data(), c.out.size(), MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
        if (n <= 0) {
          finish(c, Ended::silent);
          return false;
        }
      }
      c.said += n;
      c.out.erase(c.out.begin(), c.out.begin() + n);
    }
    return true;
  }

  bool shake(Conversation& c) {
    int n = SSL_connect(c.ssl.get());
    if (n == 1) {
      c.shaken = true;
      c.tls_version = SSL_get_version(c.ssl.get());
      if (X509* cert = SSL_get1_peer_certificate(c.ssl.get())) {
        unsigned char* der = nullptr;
        int length = i2d_X509(cert, &der);
        if (length > 0 && static_cast<std::size_t>(length) <= max_conversation_bytes / 2) c.certificate.assign(der, der + length);
        OPENSSL_free(der);
        X509_free(cert);
      }
      c.first_at = env.clock.now();
      c.quiet_since = env.clock.monotonic();
      react(c, c.script.connected());
      return write_some(c);
    }
    int why = SSL_get_error(c.ssl.get(), n);
    ERR_clear_error();
    c.want_write = why == SSL_ERROR_WANT_WRITE;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return true;
    finish(c, Ended::silent);
    return false;
  }

  void read_some(Conversation& c) {
    for (int round = 0; round < 16; ++round) {
      std::uint8_t buffer[16384];
      auto room = std::min(sizeof buffer, max_conversation_bytes - std::min(max_conversation_bytes, c.heard + c.certificate.size()));
      if (room == 0) return finish(c, Ended::answered);
      ssize_t n;
      bool over = false;
      if (c.ssl) {
        n = SSL_read(c.ssl.get(), buffer, static_cast<int>(room));
        if (n <= 0) {
          int why = SSL_get_error(c.ssl.get(), static_cast<int>(n));
          ERR_clear_error();
          if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return;
          over = true;
        }
      } else {
        n = ::recv(c.fd.get(), buffer, room, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        over = n <= 0;
      }
      if (over) return finish(c, Ended::silent);
      if (c.heard == 0 && c.certificate.empty()) c.first_at = env.clock.now();
      c.heard += static_cast<std::size_t>(n);
      c.quiet_since = env.clock.monotonic();
      auto& part = c.parts.back();
      part.insert(part.end(), buffer, buffer + n);
      auto r = c.script.received(part);
      bool over_now = r.done;
      react(c, std::move(r));
      if (!write_some(c)) return;
      if (over_now) return finish(c, Ended::answered);
    }
  }

  void event(Conversation& c, std::uint32_t events) {
    if (!c.connected) {
      int error = 0;
      socklen_t n = sizeof error;
      getsockopt(c.fd.get(), SOL_SOCKET, SO_ERROR, &error, &n);
      if (error == ECONNREFUSED) return finish(c, Ended::refused);
      if (error != 0) return finish(c, error == ETIMEDOUT ? Ended::silent : Ended::unreachable);
      if (!(events & EPOLLOUT)) return;
      c.connected = true;
      c.want_write = false;
      c.quiet_since = env.clock.monotonic();
      if (c.script.tls()) {
        c.ssl = Ssl(SSL_new(tls.get()), SSL_free);
        SSL_set_fd(c.ssl.get(), c.fd.get());
      } else {
        c.shaken = true;
        react(c, c.script.connected());
      }
    }
    if (!c.shaken) {
      if (!shake(c)) return;
    } else if (!write_some(c)) {
      return;
    }
    int fd = c.fd.get();
    if (c.shaken && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) read_some(c);
    if (auto at = running.find(fd); at != running.end()) watch(*at->second, EPOLL_CTL_MOD);
  }
};

Grabber::Grabber(Env env) : parts_(std::make_unique<Parts>(env)) {}
Grabber::~Grabber() { abandon_all(); }
int Grabber::fd() const { return parts_->epoll.get(); }
std::size_t Grabber::running() const { return parts_->running.size(); }

Status Grabber::start(const law::Permit& permit, ScriptSpec spec, std::uint64_t tag) {
  NORA_ASSERT(permit.dest() == spec.ip && permit.port().value == spec.port, "a conversation goes where its permit points");
  NORA_TRY(auto fd, law::connect(permit, parts_->env.clock.now()));
  int key = fd.get();
  auto c = std::make_unique<Conversation>(std::move(fd), std::move(spec), tag, parts_->env.clock.monotonic());
  parts_->watch(*c, EPOLL_CTL_ADD);
  parts_->running.emplace(key, std::move(c));
  return {};
}

void Grabber::serve(const std::function<void(Grabbed&&)>& done) {
  auto& p = *parts_;
  p.done = &done;
  epoll_event events[256];
  int n = epoll_wait(p.epoll.get(), events, 256, 0);
  for (int i = 0; i < n; ++i)
    if (auto at = p.running.find(events[i].data.fd); at != p.running.end()) p.event(*at->second, events[i].events);
  auto now = p.env.clock.monotonic();
  if (now - p.looked < look_every) {
    p.done = nullptr;
    return;
  }
  p.looked = now;
  std::vector<int> due;
  for (const auto& [fd, c] : p.running) {
    bool quiet = c->connected && c->shaken && now - c->quiet_since >= c->script.quiet_after(!c->parts.back().empty());
    if (now >= c->deadline || quiet) due.push_back(fd);
  }
  for (int fd : due) {
    auto at = p.running.find(fd);
    if (at == p.running.end()) continue;
    auto& c = *at->second;
    if (now < c.deadline) {
      auto r = c.script.quiet(c.parts.back());
      bool over = r.done;
      p.react(c, std::move(r));
      if (!over) {
        p.write_some(c);
        continue;
      }
    }
    p.finish(c, Ended::silent);
  }
  p.done = nullptr;
}

Span Grabber::next_due() const { return parts_->running.empty() ? Span::ms(100) : Span::ms(20); }

void Grabber::abandon_all() {
  for (auto& [fd, c] : parts_->running) {
    c->ssl.reset();
    law::close_hard(std::move(c->fd));
  }
  parts_->running.clear();
}

}  // namespace nora::survey
