#include "portal/words.h"

#include <array>
#include <cstdio>

namespace nora::portal {
namespace {

using http::Html;

struct Local { int year, month, day, hour, minute; };

Local in_japan(Instant at) {
  Local l{};
  std::sscanf(at.local(jst_minutes).c_str(), "%d-%d-%d %d:%d", &l.year, &l.month, &l.day, &l.hour, &l.minute);
  return l;
}

constexpr std::array<std::string_view, 12> months{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"};

std::string number(int n) { return std::to_string(n); }
std::string two(int n) { return (n < 10 ? "0" : "") + std::to_string(n); }

// The start of the run of kanji that ends the text (U+4E00-9FFF, U+3400-4DBF and 々): 3 bytes each in UTF-8.
std::size_t kanji_run(std::string_view text) {
  std::size_t at = text.size();
  while (at >= 3) {
    const auto a = static_cast<unsigned char>(text[at - 3]), b = static_cast<unsigned char>(text[at - 2]), c = static_cast<unsigned char>(text[at - 1]);
    if ((a & 0xf0) != 0xe0) break;
    const unsigned code = (a & 0x0fu) << 12 | (b & 0x3fu) << 6 | (c & 0x3fu);
    if (!((code >= 0x3400 && code <= 0x9fff) || code == 0x3005)) break;
    at -= 3;
  }
  return at;
}

}  // namespace

Html rich(std::string_view text) {
  static constexpr std::string_view open = "《", close = "》";
  Html out, strong;
  bool in_strong = false;
  std::string plain;
  const auto flush = [&] {
    if (plain.empty()) return;
    (in_strong ? strong : out) += http::text(plain);
    plain.clear();
  };
  while (!text.empty()) {
    if (text.starts_with("**")) {
      flush();
      if (in_strong) out += http::el::b(strong);
      strong = {};
      in_strong = !in_strong;
      text.remove_prefix(2);
    } else if (text.starts_with(open) && text.find(close) != std::string_view::npos && kanji_run(plain) < plain.size()) {
      const auto end = text.find(close);
      const auto base = plain.substr(kanji_run(plain));
      plain.resize(plain.size() - base.size());
      flush();
      (in_strong ? strong : out) += http::element("ruby", base, http::element("rp", "("), http::element("rt", text.substr(open.size(), end - open.size())), http::element("rp", ")"));
      text.remove_prefix(end + close.size());
    } else {
      plain += text.front();
      text.remove_prefix(1);
    }
  }
  flush();
  if (in_strong) out += strong;  // an unclosed mark: the words stay, plain
  return out;
}

std::string unmarked(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.starts_with("**")) {
      text.remove_prefix(2);
    } else if (const auto end = text.find("》"); text.starts_with("《") && end != std::string_view::npos && kanji_run(out) < out.size()) {
      text.remove_prefix(end + std::string_view("》").size());
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string day_words(Lang lang, Instant at) {
  const auto l = in_japan(at);
  if (lang == Lang::en) return number(l.day) + " " + std::string(months[static_cast<std::size_t>((l.month + 11) % 12)]) + " " + number(l.year);
  return number(l.year) + "年" + number(l.month) + "月" + number(l.day) + "日";
}

std::string time_words(Lang lang, Instant at) {
  const auto l = in_japan(at);
  if (lang == Lang::en) return day_words(lang, at) + ", " + two(l.hour) + ":" + two(l.minute) + " JST";
  return day_words(lang, at) + " " + number(l.hour) + "時" + two(l.minute) + "分";
}

std::string utc_words(Instant at) { return at.local(0) + " UTC"; }

std::string_view sure_word(double confidence) { return confidence >= 0.85 ? "high" : confidence >= 0.6 ? "medium" : "low"; }

std::string device_words(const Messages& messages, Lang lang, const exchange::FindingView& finding) {
  std::string name = finding.vendor;
  if (!finding.product.empty()) (name += name.empty() ? "" : " ") += finding.product;
  if (!finding.product.empty()) return name;
  const auto kind = messages.get(lang, "portal.type." + std::string(http::icon_for_type(finding.type)));
  return name.empty() ? kind : messages.get(lang, "portal.found.vendor_kind", {{"vendor", name}, {"kind", kind}});
}

std::string door_words(const Messages& messages, Lang lang, int port, std::string_view proto) {
  if (port <= 0) return {};
  const auto special = "portal.port." + std::to_string(port);
  const auto what = messages.get(lang, messages.has(lang, special) ? special : "portal.port.other");
  std::string upper(proto);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return messages.get(lang, "portal.port.line", {{"port", std::to_string(port)}, {"proto", upper.empty() ? "TCP" : upper}, {"what", what}});
}

std::string rule_title(const Messages& messages, Lang lang, std::string_view rule) {
  const auto id = "exposure." + std::string(rule) + ".title";
  return messages.get(lang, messages.has(lang, id) ? id : "portal.found.some");
}

bool bad_severity(std::string_view severity) { return severity != "info" && severity != "low"; }

}  // namespace nora::portal
