// Typed HTML writer. `Html` is markup that is safe by construction; every string that goes in is text and gets escaped (base/escape.h).
// There is no function that turns a string into markup, so raw text cannot reach a page by accident. Used by portal, desk, isp. Pure, any thread.
//
//   using namespace nora::http;                       // and namespace e = nora::http::el;
//   Html row = e::tr(e::td(cls("num"), 42), e::td(banner /* Untrusted or string: escaped */), e::td(e::a(href("/host/7"), "open")));
//
// Parts of an element: Attr (must come before content by habit, order does not matter), Html, text (string, string_view, const char*, Untrusted),
// numbers, std::vector<Html>, std::optional<Html>. Element and attribute names are literals checked at compile time: no <script> or <style>
// element, no on…= handler, no style= attribute compiles. URL attributes drop schemes other than http, https, mailto, tel and local paths.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/escape.h"
#include "base/messages.h"

namespace nora::http {

class Html {
 public:
  Html() = default;
  const std::string& str() const { return markup_; }
  bool empty() const { return markup_.empty(); }
  Html& operator+=(const Html& more) { markup_ += more.markup_; return *this; }
  friend Html operator+(Html a, const Html& b) { a += b; return a; }
  bool operator==(const Html&) const = default;

 private:
  friend struct HtmlMaker;
  std::string markup_;
};

// One attribute, already escaped. An empty Attr adds nothing.
class Attr {
 public:
  Attr() = default;

 private:
  friend struct HtmlMaker;
  std::string markup_;
};

// Names known at compile time.
struct ElementName {
  std::string_view name;
  consteval ElementName(const char* n) : name(n) {
    if (name.empty()) throw "empty element name";
    for (char c : name)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-')) throw "bad element name";
    if (name == "script" || name == "style" || name == "iframe" || name == "object" || name == "embed" || name == "base")
      throw "this element is not allowed in Nora's pages";
  }
};
struct AttrName {
  std::string_view name;
  consteval AttrName(const char* n) : name(n) {
    if (name.empty()) throw "empty attribute name";
    for (char c : name)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == ':')) throw "bad attribute name";
    if (name == "style" || name == "srcdoc" || name == "srcset") throw "this attribute is not allowed in Nora's pages";
    if (name.size() > 2 && (name[0] == 'o' || name[0] == 'O') && (name[1] == 'n' || name[1] == 'N')) throw "event handlers are not allowed in Nora's pages";
  }
};

template <class... P>
Html element(ElementName name, const P&... parts);
template <class... P>
Html join(const P&... parts);
std::pair<Html, Html> split_at_hole(const Html& page);

// The only code that may turn bytes into markup; everything that does so is private to the functions named here.
struct HtmlMaker {
  static Html text(std::string_view raw);
  static Attr attr(std::string_view name, std::string_view value);  // URL attributes are checked here
  static Attr flag(std::string_view name, bool on);
  static Html hole();
  static Html doctype(const Html& html);
  static Html script_file(std::string_view path);
  static void part(std::string&, std::string& content, const Html& h) { content += h.markup_; }
  static void part(std::string& attrs, std::string&, const Attr& a) { attrs += a.markup_; }
  static void part(std::string&, std::string& content, std::string_view s) { content += to_html(s); }
  static void part(std::string&, std::string& content, const std::string& s) { content += to_html(s); }
  static void part(std::string&, std::string& content, const char* s) { content += to_html(s); }
  static void part(std::string&, std::string& content, const Untrusted& u) { content += to_html(u.raw()); }
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  static void part(std::string&, std::string& content, T n) { content += std::to_string(n); }
  static void part(std::string&, std::string& content, const std::vector<Html>& list) { for (const auto& h : list) content += h.markup_; }
  static void part(std::string&, std::string& content, const std::optional<Html>& h) { if (h) content += h->markup_; }

 private:
  static Html make(std::string markup) { Html h; h.markup_ = std::move(markup); return h; }
  static Html wrap(std::string_view name, const std::string& attrs, const std::string& content);
  template <class... P>
  friend Html element(ElementName name, const P&... parts);
  template <class... P>
  friend Html join(const P&... parts);
  friend std::pair<Html, Html> split_at_hole(const Html& page);
};

inline Html text(std::string_view raw) { return HtmlMaker::text(raw); }
inline Html text(const Untrusted& raw) { return HtmlMaker::text(raw.raw()); }
inline Attr attr(AttrName name, std::string_view value) { return HtmlMaker::attr(name.name, value); }
inline Attr attr(AttrName name, std::integral auto value) { return HtmlMaker::attr(name.name, std::to_string(value)); }
inline Attr flag(AttrName name, bool on = true) { return HtmlMaker::flag(name.name, on); }  // checked, disabled, required, open …
inline Attr cls(std::string_view value) { return HtmlMaker::attr("class", value); }
inline Attr id(std::string_view value) { return HtmlMaker::attr("id", value); }
inline Attr href(std::string_view value) { return HtmlMaker::attr("href", value); }

template <class... P>
Html element(ElementName name, const P&... parts) {
  std::string attrs, content;
  (HtmlMaker::part(attrs, content, parts), ...);
  return HtmlMaker::wrap(name.name, attrs, content);
}
// Many parts without an element around them.
template <class... P>
Html join(const P&... parts) {
  std::string attrs, content;
  (HtmlMaker::part(attrs, content, parts), ...);
  return HtmlMaker::make(std::move(content));
}

// A place in a whole page where a stream goes in. The page is built as one well-formed tree and then cut.
inline Html hole() { return HtmlMaker::hole(); }
// split_at_hole(page) -> what stands before and after it; without a hole: (page, nothing).

// The whole document: doctype, head with charset, viewport, title, one style sheet, no-referrer, body. `body` parts come from the caller.
struct Head {
  Lang lang = Lang::ja;
  std::string title = {};
  std::string stylesheet = "/static/nora.css";  // StaticFiles::href("nora.css")
  std::string description = {};
  bool noindex = true;
  std::string script = {};        // path of an own script file, or empty (script-src 'self')
};
Html document(const Head& head, const Html& body);

// Line icons as <svg> elements (aria-hidden; the word stands beside them). Names: shield, warn, ok, info, camera, recorder, router, nas, printer,
// phone, controller, server, screen, unknown, print, check, close, minus, search. An unknown name gives "unknown".
Html icon(std::string_view name);
std::string_view icon_for_type(std::string_view device_type);  // "IP camera" -> "camera"

// Elements as functions: e::p("text"), e::a(href("/x"), "text").
namespace el {
#define NORA_ELEMENT(fn, tag) \
  template <class... P>       \
  Html fn(const P&... parts) { return element(tag, parts...); }
NORA_ELEMENT(a, "a") NORA_ELEMENT(abbr, "abbr") NORA_ELEMENT(article, "article") NORA_ELEMENT(aside, "aside") NORA_ELEMENT(b, "b")
NORA_ELEMENT(body, "body") NORA_ELEMENT(br, "br") NORA_ELEMENT(button, "button") NORA_ELEMENT(caption, "caption") NORA_ELEMENT(code, "code")
NORA_ELEMENT(dd, "dd") NORA_ELEMENT(details, "details") NORA_ELEMENT(div, "div") NORA_ELEMENT(dl, "dl") NORA_ELEMENT(dt, "dt")
NORA_ELEMENT(em, "em") NORA_ELEMENT(fieldset, "fieldset") NORA_ELEMENT(figure, "figure") NORA_ELEMENT(figcaption, "figcaption")
NORA_ELEMENT(footer, "footer") NORA_ELEMENT(form, "form") NORA_ELEMENT(h1, "h1") NORA_ELEMENT(h2, "h2") NORA_ELEMENT(h3, "h3")
NORA_ELEMENT(header, "header") NORA_ELEMENT(hr, "hr") NORA_ELEMENT(i, "i") NORA_ELEMENT(img, "img") NORA_ELEMENT(input, "input")
NORA_ELEMENT(label, "label") NORA_ELEMENT(legend, "legend") NORA_ELEMENT(li, "li") NORA_ELEMENT(main_, "main") NORA_ELEMENT(mark, "mark")
NORA_ELEMENT(nav, "nav") NORA_ELEMENT(ol, "ol") NORA_ELEMENT(option, "option") NORA_ELEMENT(p, "p") NORA_ELEMENT(pre, "pre")
NORA_ELEMENT(progress, "progress") NORA_ELEMENT(section, "section") NORA_ELEMENT(select, "select") NORA_ELEMENT(small, "small")
NORA_ELEMENT(span, "span") NORA_ELEMENT(strong, "strong") NORA_ELEMENT(summary, "summary") NORA_ELEMENT(table, "table")
NORA_ELEMENT(tbody, "tbody") NORA_ELEMENT(td, "td") NORA_ELEMENT(textarea, "textarea") NORA_ELEMENT(tfoot, "tfoot") NORA_ELEMENT(th, "th")
NORA_ELEMENT(thead, "thead") NORA_ELEMENT(time, "time") NORA_ELEMENT(tr, "tr") NORA_ELEMENT(ul, "ul") NORA_ELEMENT(svg, "svg")
#undef NORA_ELEMENT
}  // namespace el

}  // namespace nora::http
