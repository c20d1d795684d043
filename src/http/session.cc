#include "http/session.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/escape.h"
#include "base/files.h"

namespace nora::http {
namespace {

constexpr std::size_t nonce_bytes = 8, time_bytes = 8, mac_bytes = 16;

// URL-safe base64 without padding (RFC 4648 section 5).
std::string to_token(ByteView bytes) {
  auto s = to_base64(bytes);
  std::replace(s.begin(), s.end(), '+', '-');
  std::replace(s.begin(), s.end(), '/', '_');
  while (!s.empty() && s.back() == '=') s.pop_back();
  return s;
}

Result<Bytes> from_token(std::string_view text) {
  if (text.size() > 128) return fail(Code::bad_input, "token too long");
  std::string s(text);
  std::replace(s.begin(), s.end(), '-', '+');
  std::replace(s.begin(), s.end(), '_', '/');
  while (s.size() % 4 != 0) s += '=';
  return from_base64(s);
}

std::string_view session_cookie(const Request& request) {
  if (const auto strict = request.cookie("__Host-nora"); !strict.empty()) return strict;
  return request.cookie("nora");
}

Hash mac(const Secret& key, ByteView nonce_and_time, const Request& request) {
  Bytes input(nonce_and_time.begin(), nonce_and_time.end());
  input.insert(input.end(), request.peer.bytes().begin(), request.peer.bytes().end());
  const auto session = session_cookie(request);
  input.insert(input.end(), session.begin(), session.end());
  return keyed_hash(key, input);
}

// The host of an Origin header equals the Host header. "null" is what a browser sends under our own Referrer-Policy: no-referrer
// (Fetch standard, "append a request Origin header"), so it proves nothing either way; the token decides then.
bool origin_fits(const Request& request) {
  if (const auto site = request.header("sec-fetch-site"); !site.empty() && site != "same-origin" && site != "none") return false;
  const auto origin = request.header("origin");
  if (origin.empty() || origin == "null") return true;
  const auto slashes = origin.find("://");
  return slashes != std::string_view::npos && origin.substr(slashes + 3) == request.header("host");
}

Html small_page(const std::string& stylesheet, std::string_view title, const Html& content) {
  return document({.lang = Lang::ja, .title = std::string(title), .stylesheet = stylesheet},
                  el::main_(id("main"), cls("wrap"), el::h1(title), content));
}

Response plain_error(int status, std::string_view ja, std::string_view en) {
  return Response::page(small_page("/static/nora.css", ja, join(el::p(ja), el::p(attr("lang", "en"), en))), status);
}

}  // namespace

std::string Csrf::token(const Request& request) const {
  Bytes out(nonce_bytes);
  env_.random.fill(out);
  put_u32be(out, static_cast<std::uint32_t>(static_cast<std::uint64_t>(env_.clock.now().us) >> 32));
  put_u32be(out, static_cast<std::uint32_t>(env_.clock.now().us));
  const auto sum = mac(key_, out, request);
  out.insert(out.end(), sum.begin(), sum.begin() + mac_bytes);
  return to_token(out);
}

Html Csrf::field(const Request& request) const {
  return el::input(attr("type", "hidden"), attr("name", "csrf"), attr("value", token(request)));
}

bool Csrf::ok(const Request& request) const {
  if (!origin_fits(request)) return false;
  const auto bytes = from_token(request.form.get("csrf"));
  if (!bytes || bytes->size() != nonce_bytes + time_bytes + mac_bytes) return false;
  const ByteView all(*bytes);
  const auto made = Instant{static_cast<std::int64_t>(std::uint64_t{get_u32be(&(*bytes)[nonce_bytes])} << 32 | get_u32be(&(*bytes)[nonce_bytes + 4]))};
  const auto sum = mac(key_, all.first(nonce_bytes + time_bytes), request);
  if (!equal_constant_time(all.last(mac_bytes), ByteView(sum).first(mac_bytes))) return false;
  const auto now = env_.clock.now();
  return made <= now + Span::minutes(5) && now - made <= csrf_life;
}

bool User::has_role(std::string_view role) const { return std::find(roles.begin(), roles.end(), role) != roles.end(); }

Result<std::string> make_login_link(UserStore& store, std::string_view user, Env env) {
  NORA_CHECK(store.user(user));
  Bytes secret(32);
  env.random.fill(secret);
  NORA_CHECK(store.put_link(user, sha256(secret), env.clock.now() + login_link_life));
  return "/login/" + to_token(secret);
}

std::optional<User> Sessions::user(const Request& request) const {
  const auto cookie = request.cookie(secure_ ? "__Host-nora" : "nora");
  if (cookie.empty()) return std::nullopt;
  const auto token = from_token(cookie);
  if (!token || token->size() != 32) return std::nullopt;
  const auto row = store_.session(sha256(*token));
  if (!row || row->not_after <= env_.clock.now()) return std::nullopt;
  auto found = store_.user(row->user);
  if (!found) return std::nullopt;
  return std::move(*found);
}

Handler Sessions::require(std::string_view roles, std::function<Response(Request&, const User&)> handler) const {
  std::vector<std::string> wanted;
  for (std::size_t from = 0; from < roles.size();) {
    const auto end = std::min(roles.find(',', from), roles.size());
    if (end > from) wanted.emplace_back(roles.substr(from, end - from));
    from = end + 1;
  }
  return [this, wanted = std::move(wanted), handler = std::move(handler)](Request& request) {
    const auto who = user(request);
    if (!who)
      return plain_error(401, "ログインが必要です。管理者から受け取った一度だけのリンクを開いてください。",
                         "Please log in: open the one-time link that your administrator gave you (nora user add prints it).");
    if (!wanted.empty() && std::none_of(wanted.begin(), wanted.end(), [&](const auto& r) { return who->has_role(r); }))
      return plain_error(403, "この画面を見る役割がありません。", "Your roles do not include this page.");
    if (request.method == Method::post && !csrf_.ok(request))
      return plain_error(403, "画面が古くなりました。前の画面を開き直して、もう一度送ってください。",
                         "This form is too old or came from another site. Open the page again and send it once more.");
    return handler(request, *who);
  };
}

void Sessions::add_routes(Router& router, std::string stylesheet, std::string after_login) const {
  router.get("/login/{token}", [this, stylesheet](Request& request) {
    const auto title = "ログイン / Log in";
    return Response::page(small_page(
        stylesheet, title,
        el::form(attr("method", "post"), attr("action", "/login"), csrf_.field(request),
                 el::input(attr("type", "hidden"), attr("name", "token"), attr("value", request.param("token"))),
                 el::p("このリンクは一度だけ使えます。", el::span(attr("lang", "en"), " This link works once.")),
                 el::p(el::button(cls("btn"), "ログインする / Log in")))));
  });
  router.post("/login", [this, after_login](Request& request) { return login(request, after_login); });
  router.post("/logout", [this](Request& request) { return logout(request); });
}

Response Sessions::login(Request& request, const std::string& after) const {
  const auto denied = [] {
    return plain_error(403, "このリンクは使えません。使用済みか、期限が切れています。",
                       "This link does not work: it was used before or has expired. Ask for a new one (nora user link).");
  };
  if (!csrf_.ok(request)) return denied();
  const auto token = from_token(request.form.get("token"));
  if (!token || token->size() != 32) return denied();
  const auto now = env_.clock.now();
  const auto who = store_.take_link(sha256(*token), now);
  if (!who) return denied();
  Bytes secret(32);
  env_.random.fill(secret);
  if (!store_.put_session({sha256(secret), *who, now + session_life})) return plain_error(500, "ログインできませんでした。", "The session could not be stored.");
  auto response = Response::see_other(after);
  response.with("Set-Cookie", std::string(secure_ ? "__Host-nora=" : "nora=") + to_token(secret) + "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" +
                                  std::to_string(session_life.us / 1'000'000) + (secure_ ? "; Secure" : ""));
  return response;
}

Response Sessions::logout(Request& request) const {
  if (!csrf_.ok(request)) return plain_error(403, "画面が古くなりました。", "This form is too old or came from another site.");
  const std::string_view name = secure_ ? "__Host-nora" : "nora";
  if (const auto token = from_token(request.cookie(name)); token) (void)store_.drop_session(sha256(*token));
  auto response = Response::see_other("/");
  response.with("Set-Cookie", std::string(name) + "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0" + (secure_ ? "; Secure" : ""));
  response.with("Clear-Site-Data", "\"cookies\", \"cache\"");
  return response;
}

Result<Secret> load_or_make_key(const std::filesystem::path& file, Random& random) {
  struct ::stat info {};
  if (::stat(file.c_str(), &info) == 0) {
    if (info.st_mode & 077) return fail(Code::environment, file.string() + " can be read by others", "chmod 600 " + file.string());
    NORA_TRY(auto text, read_file(file, 4096));
    NORA_TRY(auto bytes, from_hex(text.substr(0, text.find('\n'))));
    if (bytes.size() != 32) return fail(Code::environment, file.string() + " is not a key of 32 bytes in hex");
    return Secret(std::move(bytes));
  }
  Bytes bytes(32);
  random.fill(bytes);
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  NORA_CHECK(replace_file(file, to_hex(bytes) + "\n", 0600));
  return Secret(std::move(bytes));
}

}  // namespace nora::http
