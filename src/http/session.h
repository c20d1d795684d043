// Who is asking: CSRF tokens for everybody, sessions and roles for staff. Used by portal (CSRF only), desk and isp.
// No cookie exists before login. Staff log in by a one-time link (`nora user add` prints it); there is no password.
// UserStore is the interface to the owner's own tables; desk and isp implement it over store/db.h. Its calls may come from several
// handler threads at once: the implementation opens a Db per thread or guards one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"
#include "base/env.h"
#include "base/secret.h"
#include "http/message.h"
#include "http/router.h"

namespace nora::http {

inline constexpr Span csrf_life = Span::hours(4);
inline constexpr Span login_link_life = Span::hours(24);
inline constexpr Span session_life = Span::hours(12);

// Token = nonce || time || HMAC(key, nonce, time, peer, session): a page of another site cannot know it, another peer cannot use it, and no cookie
// is needed. The nonce makes it differ in each page, so compression leaks nothing about it (BREACH).
class Csrf {
 public:
  Csrf(Secret key, Env env) : key_(std::move(key)), env_(env) {}
  Html field(const Request& request) const;               // <input type="hidden" name="csrf" value=…>
  std::string token(const Request& request) const;
  // A POST is ours: token valid for this peer and session, not older than csrf_life, and neither Origin nor Sec-Fetch-Site says another site.
  bool ok(const Request& request) const;

 private:
  Secret key_;
  Env env_;
};

struct User {
  std::string id;                 // "ops1"
  std::string name;               // shown on pages
  std::vector<std::string> roles; // analyst operator approver auditor isp …
  bool has_role(std::string_view role) const;
};

struct SessionRow {
  Hash token_hash{};
  std::string user;
  Instant not_after;
};

class UserStore {
 public:
  virtual ~UserStore() = default;
  virtual Result<User> user(std::string_view id) = 0;                                        // not_found: unknown or disabled
  virtual Status put_link(std::string_view user, const Hash& token_hash, Instant not_after) = 0;
  virtual Result<std::string> take_link(const Hash& token_hash, Instant now) = 0;            // user id, exactly once and before its end; else not_found
  virtual Status put_session(const SessionRow& row) = 0;
  virtual Result<SessionRow> session(const Hash& token_hash) = 0;                            // not_found
  virtual Status drop_session(const Hash& token_hash) = 0;
};

// Makes a one-time login token for a user, stores its hash, and returns the path "/login/<token>" to print. Used by `nora user add`.
Result<std::string> make_login_link(UserStore& store, std::string_view user, Env env);

class Sessions {
 public:
  // secure: the cookie is "__Host-nora" with Secure (TLS or a proxy with TLS in front); false: plain "nora", for loopback and the demo.
  Sessions(UserStore& store, Csrf& csrf, Env env, bool secure) : store_(store), csrf_(csrf), env_(env), secure_(secure) {}
  std::optional<User> user(const Request& request) const;    // nobody: no cookie, ended, unknown
  // Wraps a handler: without a session 401 page, without one of the roles (comma separated; "" = any user) 403; POST also needs a good CSRF token.
  Handler require(std::string_view roles, std::function<Response(Request&, const User&)> handler) const;
  // GET /login/{token} (a page with one button, so that a link preview cannot use the link up), POST /login, POST /logout.
  void add_routes(Router& router, std::string stylesheet, std::string after_login = "/") const;

 private:
  Response login(Request& request, const std::string& after) const;
  Response logout(Request& request) const;
  UserStore& store_;
  Csrf& csrf_;
  Env env_;
  bool secure_;
};

// Reads a 32-byte key file (0600) or makes it. For Csrf keys and code hashes.
Result<Secret> load_or_make_key(const std::filesystem::path& file, Random& random);

}  // namespace nora::http
