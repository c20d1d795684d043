// What the pages of this folder share: one request's language, user and words, and small pieces of markup.
#pragma once

#include <fmt/format.h>

#include "isp/pages/site.h"

namespace nora::isp {

namespace e = http::el;
using http::attr;
using http::cls;
using http::Html;
using http::href;

inline constexpr int jst_minutes = 540;

struct Site::View {
  http::Request& request;
  const http::User& user;
  Lang lang;
  const Messages& messages;
  Html csrf;
  std::string isp;  // the provider's name in this language

  std::string t(std::string_view id, const std::vector<std::pair<std::string_view, std::string>>& args = {}) const { return messages.get(lang, id, args); }
  // A word that may not be in the catalogue (a state from the store) stands for itself.
  std::string word(std::string_view family, std::string_view key) const {
    auto id = fmt::format("{}.{}", family, key);
    return messages.has(lang, id) ? messages.get(lang, id) : std::string(key);
  }
  std::string url(std::string_view path) const { return fmt::format("/{}{}", code(lang), path); }
  std::string when(Instant t) const { return t.us == 0 ? "–" : t.local(jst_minutes); }
};

inline Html fact(std::string_view name, const Html& value) { return http::join(e::dt(name), e::dd(value)); }
inline Html fact(std::string_view name, std::string_view value) { return fact(name, http::text(value)); }

// Colour never stands alone: the word is in the pill, the ones that matter have an icon.
inline Html state_pill(std::string_view state, std::string_view word) {
  auto make = [&](std::string_view kind, std::string_view icon) { return e::span(cls(fmt::format("pill {}", kind)), icon.empty() ? Html{} : http::icon(icon), word); };
  if (state == "bounced" || state == "isolated" || state == "failed" || state == "applied") return make("bad", "warn");
  if (state == "ambiguous" || state == "near_boundary" || state == "shared_no_port" || state == "none" || state == "no_ground" || state == "requested") return make("warn", "info");
  if (state == "released") return make("ok", "check");
  if (state == "matched" || state == "notified" || state == "queued" || state == "new" || state == "approved") return make("k", "");
  return make("n", "");
}

inline std::string address_text(const exchange::ListRow& i) {
  if (!i.has_port) return i.where.ip.text();
  return i.where.ip.is_v4() ? fmt::format("{}:{}", i.where.ip.text(), i.where.port.value) : fmt::format("[{}]:{}", i.where.ip.text(), i.where.port.value);
}
inline std::string product_text(const exchange::ListRow& i) { return i.vendor.empty() || i.product.starts_with(i.vendor) ? i.product : i.vendor + " " + i.product; }

inline Html button(std::string_view text, std::string_view kind = "") { return e::button(cls(kind.empty() ? "btn" : fmt::format("btn {}", kind)), attr("type", "submit"), text); }

}  // namespace nora::isp
