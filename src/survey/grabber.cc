#include "survey/grabber.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <vector>

namespace nora::survey {
namespace {

constexpr Span tick = Span::ms(16);
constexpr std::size_t wheel_ticks = 1024;  // 16 s: beyond every deadline
constexpr std::size_t read_bytes = 16 * 1024;

using SslCtx = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;

// Old devices speak old TLS: Nora reads their certificate, it does not trust it. No client certificate, no session, no name. ALPN offers
// HTTP/1.1 alone (RFC 7301): whether the device takes it tells its age.
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
  static constexpr unsigned char http11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(ctx.get(), http11, sizeof http11);
  return ctx;
}

// How many conversations the limit of open files allows, after raising it to what the system grants this process.
std::size_t room_for_conversations() {
  rlimit limit{};
  constexpr rlim_t enough = max_fast_conversations + max_slow_conversations + descriptors_kept_free;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return max_fast_conversations;
  if (limit.rlim_cur < enough) {
    rlimit wanted = limit;
    wanted.rlim_cur = std::min<rlim_t>(enough, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) limit = wanted;
  }
  const auto open = static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, enough));
  return open > 2 * descriptors_kept_free ? open - descriptors_kept_free : open / 2;
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
  std::uint32_t serial;
  Span deadline, quiet_since;
  bool connected = false, shaken = false;  // shaken: TLS is up (or not wanted)
  bool slow = false;
  Bytes out;
  std::vector<Bytes> parts{1};
  std::size_t heard = 0;
  std::int64_t said = 0;
  Instant first_at;
  Ssl ssl{nullptr, SSL_free};
  Bytes certificate;
  std::string tls_version, alpn;
  Conversation(Fd f, ScriptSpec spec, std::uint64_t t, std::uint32_t n, Span now)
      : fd(std::move(f)), script(std::move(spec)), tag(t), serial(n), deadline(now + conversation_deadline), quiet_since(now) {}
  Span due() const {
    if (!connected || !shaken) return deadline;
    return std::min(deadline, quiet_since + script.quiet_after(!parts.back().empty()));
  }
};

struct Grabber::Parts {
  struct Place {  // of a conversation; the serial tells it from a later one with the same descriptor
    int fd;
    std::uint32_t serial;
  };
  Env env;
  Fd epoll;
  SslCtx tls = make_context();
  std::vector<std::unique_ptr<Conversation>> by_fd;
  std::size_t running = 0, slow = 0, room = room_for_conversations(), buffered = 0;
  std::uint32_t next_serial = 1;
  std::deque<std::pair<Span, Place>> fast;  // in the order of their start
  std::array<std::vector<Place>, wheel_ticks> wheel;
  std::int64_t turned = 0;  // the last tick that was served
  const std::function<void(Grabbed&&)>* done = nullptr;
  Span now{};  // of this round of serve()

  explicit Parts(Env e) : env(e), epoll(epoll_create1(EPOLL_CLOEXEC)) {
    now = env.clock.monotonic();
    turned = now.us / tick.us;
  }

  Conversation* at(Place p) {
    auto* c = p.fd >= 0 && static_cast<std::size_t>(p.fd) < by_fd.size() ? by_fd[static_cast<std::size_t>(p.fd)].get() : nullptr;
    return c != nullptr && c->serial == p.serial ? c : nullptr;
  }
  void watch_clock(const Conversation& c) {
    const auto slot = std::max(c.due().us / tick.us + 1, turned + 1);
    wheel[static_cast<std::size_t>(slot) % wheel_ticks].push_back({c.fd.get(), c.serial});
  }

  void finish(Conversation& c, Ended ended) {
    Grabbed g;
    g.tag = c.tag;
    g.spec = c.script.spec();
    g.ended = ended == Ended::silent && (c.heard > 0 || !c.certificate.empty()) ? Ended::answered : ended;
    g.at = c.heard > 0 || !c.certificate.empty() ? c.first_at : env.clock.now();
    g.sent_bytes = c.said;
    g.received_bytes = static_cast<std::int64_t>(c.heard);
    if (c.script.tls()) {
      g.parts = {std::move(c.certificate), std::move(c.parts[0]), to_bytes(c.tls_version), to_bytes(c.alpn)};
      for (std::size_t i = 1; i < c.parts.size(); ++i) g.parts.push_back(std::move(c.parts[i]));
    } else {
      g.parts = std::move(c.parts);
    }
    c.ssl.reset();
    buffered -= c.heard;
    --running;
    if (c.slow) --slow;
    const auto owned = std::move(by_fd[static_cast<std::size_t>(c.fd.get())]);
    law::close_hard(std::move(owned->fd));  // closing also ends the watch of epoll
    (*done)(std::move(g));
  }

  void react(Conversation& c, Reaction r) {
    if (r.next_part) c.parts.emplace_back();
    if (r.send.empty()) return;
    if (c.out.empty()) c.out = std::move(r.send);
    else c.out.insert(c.out.end(), r.send.begin(), r.send.end());
    c.quiet_since = now;
  }

  // false: the conversation is over and finish() was called.
  bool write_some(Conversation& c) {
    while (!c.out.empty()) {
      ssize_t n;
      if (c.ssl) {
        n = SSL_write(c.ssl.get(), c.out.data(), static_cast<int>(c.out.size()));
        if (n <= 0) {
          int why = SSL_get_error(c.ssl.get(), static_cast<int>(n));
          ERR_clear_error();
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
      if (static_cast<std::size_t>(n) == c.out.size()) c.out.clear();
      else c.out.erase(c.out.begin(), c.out.begin() + n);
    }
    return true;
  }

  bool shake(Conversation& c) {
    int n = SSL_connect(c.ssl.get());
    if (n == 1) {
      c.shaken = true;
      c.tls_version = SSL_get_version(c.ssl.get());
      const unsigned char* chosen = nullptr;
      unsigned int chosen_bytes = 0;
      SSL_get0_alpn_selected(c.ssl.get(), &chosen, &chosen_bytes);
      if (chosen_bytes > 0) c.alpn.assign(reinterpret_cast<const char*>(chosen), chosen_bytes);
      if (X509* cert = SSL_get1_peer_certificate(c.ssl.get())) {
        unsigned char* der = nullptr;
        int length = i2d_X509(cert, &der);
        if (length > 0 && static_cast<std::size_t>(length) <= max_conversation_bytes / 2) c.certificate.assign(der, der + length);
        OPENSSL_free(der);
        X509_free(cert);
      }
      c.first_at = env.clock.now();
      c.quiet_since = now;
      react(c, c.script.connected());
      return write_some(c);
    }
    int why = SSL_get_error(c.ssl.get(), n);
    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return true;
    finish(c, Ended::silent);
    return false;
  }

  // Reads until there is no more, as the watch is edge-triggered; max_conversation_bytes bounds it.
  void read_some(Conversation& c) {
    for (;;) {
      std::uint8_t buffer[read_bytes];
      auto room_here = std::min(sizeof buffer, max_conversation_bytes - std::min(max_conversation_bytes, c.heard + c.certificate.size()));
      if (room_here == 0 || buffered > max_buffered_bytes) return finish(c, Ended::answered);
      ssize_t n;
      bool over = false;
      if (c.ssl) {
        n = SSL_read(c.ssl.get(), buffer, static_cast<int>(room_here));
        if (n <= 0) {
          int why = SSL_get_error(c.ssl.get(), static_cast<int>(n));
          ERR_clear_error();
          if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return;
          over = true;
        }
      } else {
        n = ::recv(c.fd.get(), buffer, room_here, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        over = n <= 0;
      }
      if (over) return finish(c, Ended::silent);
      if (c.heard == 0 && c.certificate.empty()) c.first_at = env.clock.now();
      c.heard += static_cast<std::size_t>(n);
      buffered += static_cast<std::size_t>(n);
      c.quiet_since = now;
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
      if (events & (EPOLLERR | EPOLLHUP)) {
        int error = 0;
        socklen_t n = sizeof error;
        getsockopt(c.fd.get(), SOL_SOCKET, SO_ERROR, &error, &n);
        if (error == ECONNREFUSED) return finish(c, Ended::refused);
        if (error != 0) return finish(c, error == ETIMEDOUT ? Ended::silent : Ended::unreachable);
      }
      if (!(events & EPOLLOUT)) return;
      c.connected = true;
      c.quiet_since = now;
      if (c.script.tls()) {
        c.ssl = Ssl(SSL_new(tls.get()), SSL_free);
        SSL_set_fd(c.ssl.get(), c.fd.get());
      } else {
        c.shaken = true;
        react(c, c.script.connected());
      }
      watch_clock(c);
    }
    if (!c.shaken) {
      if (!shake(c) || !c.shaken) return;
      watch_clock(c);
    } else if (!write_some(c)) {
      return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) read_some(c);
  }

  void look_at_clock() {
    while (!fast.empty() && now - fast.front().first >= slow_after) {
      if (auto* c = at(fast.front().second)) {
        c->slow = true;
        ++slow;
      }
      fast.pop_front();
    }
    const auto today = now.us / tick.us;
    for (int turns = 0; turned < today && turns < static_cast<int>(wheel_ticks); ++turns) {
      ++turned;
      auto due = std::move(wheel[static_cast<std::size_t>(turned) % wheel_ticks]);
      wheel[static_cast<std::size_t>(turned) % wheel_ticks].clear();
      for (auto place : due) {
        auto* c = at(place);
        if (c == nullptr) continue;
        if (c->due() > now) {
          watch_clock(*c);
          continue;
        }
        if (now < c->deadline) {
          auto r = c->script.quiet(c->parts.back());
          const bool over = r.done;
          react(*c, std::move(r));
          if (!over) {
            if (write_some(*c)) watch_clock(*c);
            continue;
          }
        }
        finish(*c, Ended::silent);
      }
    }
    turned = std::max(turned, today - static_cast<std::int64_t>(wheel_ticks));
  }
};

Grabber::Grabber(Env env) : parts_(std::make_unique<Parts>(env)) {}
Grabber::~Grabber() { abandon_all(); }
int Grabber::fd() const { return parts_->epoll.get(); }
std::size_t Grabber::running() const { return parts_->running; }
std::size_t Grabber::slow() const { return parts_->slow; }
bool Grabber::has_room() const {
  const auto& p = *parts_;
  return p.running - p.slow < max_fast_conversations && p.running < p.room;
}

Status Grabber::start(const law::Permit& permit, ScriptSpec spec, std::uint64_t tag) {
  NORA_ASSERT(permit.dest() == spec.ip && permit.port().value == spec.port, "a conversation goes where its permit points");
  auto& p = *parts_;
  NORA_TRY(auto fd, law::connect(permit, p.env.clock.now()));
  if (spec.token.empty()) {
    std::array<std::uint8_t, token_digits / 2> token;
    p.env.random.fill(token);
    spec.token = to_hex(token);
  }
  const auto key = static_cast<std::size_t>(fd.get());
  const auto now = p.env.clock.monotonic();
  if (p.by_fd.size() <= key) p.by_fd.resize(key + 1);
  auto c = std::make_unique<Conversation>(std::move(fd), std::move(spec), tag, p.next_serial++, now);
  epoll_event e{};
  e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  e.data.u64 = std::uint64_t{c->serial} << 32 | key;
  if (epoll_ctl(p.epoll.get(), EPOLL_CTL_ADD, c->fd.get(), &e) != 0) {
    law::close_hard(std::move(c->fd));
    return fail(Code::environment, "epoll: " + errno_text(errno));
  }
  p.watch_clock(*c);
  p.fast.push_back({now, {c->fd.get(), c->serial}});
  p.by_fd[key] = std::move(c);
  ++p.running;
  return {};
}

void Grabber::serve(const std::function<void(Grabbed&&)>& done) {
  auto& p = *parts_;
  p.done = &done;
  epoll_event events[256];
  p.now = p.env.clock.monotonic();
  int n = epoll_wait(p.epoll.get(), events, 256, 0);
  for (int i = 0; i < n; ++i) {
    const Parts::Place place{static_cast<int>(events[i].data.u64 & 0xffffffffu), static_cast<std::uint32_t>(events[i].data.u64 >> 32)};
    if (auto* c = p.at(place)) p.event(*c, events[i].events);
  }
  p.look_at_clock();
  p.done = nullptr;
}

Span Grabber::next_due() const { return parts_->running == 0 ? Span::ms(100) : Span::ms(20); }

void Grabber::abandon_all() {
  auto& p = *parts_;
  for (auto& c : p.by_fd) {
    if (!c) continue;
    c->ssl.reset();
    law::close_hard(std::move(c->fd));
    c.reset();
  }
  p.running = p.slow = p.buffered = 0;
  p.fast.clear();
}

}  // namespace nora::survey
