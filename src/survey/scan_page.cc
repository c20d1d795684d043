#include "survey/scan_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/crypto.h"
#include "base/escape.h"

namespace nora::survey {
namespace {

// What one visitor leaves out: an address, or by IPv6 the /64 of one line.
Prefix own_part(Ip peer) { return Prefix::of(peer, peer.is_v4() ? 32 : 64); }
std::string text_of(const Prefix& p) { return p.length() == 32 && p.is_v4() ? p.base().text() : p.text(); }

constexpr Span token_slot = Span::minutes(10);  // a token is good for one slot and the next
constexpr std::string_view style =
    "body{font:1rem/1.6 sans-serif;max-width:42rem;margin:0 auto;padding:1rem;color:#1a1a1e;background:#fff}dt{font-weight:bold;margin-top:.6rem}"
    "dd{margin:0}button{font:inherit;padding:.6rem 1.2rem;border:2px solid #1a1a1e;background:#fff;border-radius:.4rem}nav a{margin-right:1rem}"
    ".done{border-left:.4rem solid #1b6e3c;padding-left:1rem}";

std::string value_of(std::string_view form, std::string_view name) {
  for (std::size_t at = 0; at < form.size();) {
    auto end = std::min(form.find('&', at), form.size());
    auto pair = form.substr(at, end - at);
    at = end + 1;
    if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=') return std::string(pair.substr(name.size() + 1));
  }
  return {};
}

}  // namespace

ScanPage::ScanPage(const law::MandateText& mandate, const ScanPageParts& parts, Env env) : mandate_(mandate), parts_(parts), env_(env) {
  Bytes key(32);
  env_.random.fill(key);
  key_ = Secret(std::move(key));
  ranges_ = net::AddressSet::make(mandate_.ranges);
}

std::string ScanPage::token(Ip peer, std::int64_t slot) const {
  return to_hex(keyed_hash(key_, as_bytes(fmt::format("opt-out {} {}", peer.text(), slot)))).substr(0, 32);
}

bool ScanPage::good(std::string_view given, Ip peer) const {
  auto slot = env_.clock.now().us / token_slot.us;
  return given.size() == 32 && (equal_constant_time(as_bytes(given), as_bytes(token(peer, slot))) || equal_constant_time(as_bytes(given), as_bytes(token(peer, slot - 1))));
}

// RFC 9511 section 4: the file that explains probes, at the source of the probes.
std::string ScanPage::probing_txt() const {
  return fmt::format("Contact: {}\nExpires: {}\nPreferred-Languages: ja, en\nDescription: {}: {}. Legal basis: {}. The survey never logs in and changes nothing.\n",
                     to_log(mandate_.contact), mandate_.not_after.text(), to_log(mandate_.authority), to_log(mandate_.purpose), to_log(mandate_.legal_basis));
}

std::string ScanPage::page(Lang lang, Ip peer, std::string_view state) const {
  const auto text = [&](std::string_view id, const std::vector<std::pair<std::string_view, std::string>>& args = {}) {
    return to_html(parts_.messages ? parts_.messages->get(lang, id, args) : std::string(id));
  };
  std::string out = fmt::format(
      "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{}</title><style>{}</style></head><body><main>",
      html_lang(lang), text("scan.title"), style);
  out += "<nav><a href=\"/?lang=ja\" lang=\"ja\">日本語</a><a href=\"/?lang=easy\" lang=\"ja\">やさしい日本語</a><a href=\"/?lang=en\" lang=\"en\">English</a></nav>";
  out += fmt::format("<h1>{}</h1>", text("scan.title"));
  if (!state.empty()) out += fmt::format("<p class=\"done\" role=\"status\">{}</p>", text(state, {{"ip", text_of(own_part(peer))}}));
  out += fmt::format("<p>{}</p><dl>", text("scan.intro"));
  const auto row = [&](std::string_view id, std::string_view value) { out += fmt::format("<dt>{}</dt><dd>{}</dd>", text(id), to_html(value)); };
  row("scan.who", mandate_.authority);
  row("scan.why", mandate_.purpose);
  row("scan.basis", mandate_.legal_basis);
  row("scan.contact", mandate_.contact);
  row("scan.until", mandate_.not_after.text());
  std::string sources;
  for (const auto& s : mandate_.sources) sources += (sources.empty() ? "" : ", ") + s.text();
  row("scan.sources", sources);
  out += fmt::format("</dl><p>{}</p><p>{}</p>", text("scan.sends"), text("scan.never"));
  if (!ranges_.contains(peer)) {
    out += fmt::format("<p>{}</p>", text("scan.not_surveyed", {{"ip", peer.text()}}));
  } else if (parts_.opt_out && parts_.audit && state != "scan.left_out") {
    out += fmt::format(
        "<h2>{}</h2><p>{}</p><form method=\"post\" action=\"/opt-out?lang={}\"><input type=\"hidden\" name=\"token\" value=\"{}\"><button>{}</button></form>",
        text("scan.optout"), text("scan.optout.what", {{"ip", text_of(own_part(peer))}}), code(lang), token(peer, env_.clock.now().us / token_slot.us), text("scan.optout.button"));
  }
  return out + "</main></body></html>\n";
}

ScanPage::Response ScanPage::answer(std::string_view method, std::string_view path, std::string_view body, Ip peer) {
  auto query = std::min(path.find('?'), path.size());
  auto lang = parse_lang(value_of(path.substr(std::min(query + 1, path.size())), "lang")).value_or(mandate_.law_profile == "jp" ? Lang::ja : Lang::en);
  auto where = path.substr(0, query);
  constexpr std::string_view html = "text/html; charset=utf-8";
  if (where == "/.well-known/probing.txt") return {200, "text/plain; charset=utf-8", probing_txt()};
  if (where != "/opt-out" || method != "POST") return {where == "/" || where == "/opt-out" ? 200 : 404, std::string(html), page(lang, peer, "")};
  if (!parts_.opt_out || !parts_.audit || !good(value_of(body, "token"), peer)) return {403, std::string(html), page(lang, peer, "scan.again")};
  if (!ranges_.contains(peer)) return {403, std::string(html), page(lang, peer, "")};
  auto prefix = own_part(peer);
  auto& from_network = entries_[Prefix::of(peer, peer.is_v4() ? 24 : 48)];
  if (from_network >= max_from_network || entries_in_all_ >= max_entries) {
    env_.log.warn("the opt-out page takes no more entries from the network of " + peer.text());
    return {429, std::string(html), page(lang, peer, "scan.many")};
  }
  // The leaf first: an act that is not written down is not done.
  auto leaf = parts_.audit->append("opt_out", {{"prefix", prefix.text()}, {"by", "self-service"}});
  auto added = leaf ? parts_.opt_out->add(prefix, "self-service", "page on the source address", env_.clock.now()) : std::unexpected(leaf.error());
  if (!added) {
    env_.log.error("an opt-out could not be kept: " + added.error().text());
    return {500, std::string(html), page(lang, peer, "scan.failed")};
  }
  from_network += *added;
  entries_in_all_ += *added;
  env_.log.info("an address opted out by the page");
  return {200, std::string(html), page(lang, peer, "scan.left_out")};
}

}  // namespace nora::survey
