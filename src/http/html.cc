#include "http/html.h"

#include <algorithm>
#include <array>

namespace nora::http {
namespace {

// NUL cannot occur in escaped text (to_html turns it into U+FFFD), so it can mark the hole.
constexpr std::string_view hole_mark{"\0", 1};

constexpr std::array<std::string_view, 8> void_elements{"br", "hr", "img", "input", "link", "meta", "col", "wbr"};
constexpr std::array<std::string_view, 6> url_attributes{"href", "src", "action", "formaction", "cite", "xlink:href"};

// Only schemes that cannot run code, or a local reference. Anything else points nowhere.
bool is_safe_url(std::string_view url) {
  if (url.empty() || url[0] == '/' || url[0] == '#' || url[0] == '?') return true;
  const auto starts = [&](std::string_view scheme) {
    return url.size() > scheme.size() && std::equal(scheme.begin(), scheme.end(), url.begin(), [](char a, char b) {
             return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b + 32) : b);
           });
  };
  return starts("https://") || starts("http://") || starts("mailto:") || starts("tel:");
}

}  // namespace

Html HtmlMaker::text(std::string_view raw) { return make(to_html(raw)); }

Attr HtmlMaker::attr(std::string_view name, std::string_view value) {
  if (std::find(url_attributes.begin(), url_attributes.end(), name) != url_attributes.end() && !is_safe_url(value)) value = "#";
  Attr a;
  a.markup_.reserve(name.size() + value.size() + 4);
  a.markup_ += ' ';
  a.markup_ += name;
  a.markup_ += "=\"";
  a.markup_ += to_html(value);
  a.markup_ += '"';
  return a;
}

Attr HtmlMaker::flag(std::string_view name, bool on) {
  Attr a;
  if (on) (a.markup_ += ' ') += name;
  return a;
}

Html HtmlMaker::wrap(std::string_view name, const std::string& attrs, const std::string& content) {
  std::string out;
  out.reserve(attrs.size() + content.size() + 2 * name.size() + 5);
  out += '<';
  out += name;
  out += attrs;
  out += '>';
  if (std::find(void_elements.begin(), void_elements.end(), name) == void_elements.end()) {
    out += content;
    out += "</";
    out += name;
    out += '>';
  }
  return make(std::move(out));
}

Html HtmlMaker::hole() { return make(std::string(hole_mark)); }

Html HtmlMaker::doctype(const Html& html) { return make("<!doctype html>\n" + html.markup_ + "\n"); }

Html HtmlMaker::script_file(std::string_view path) {
  return make("<script defer" + attr("src", path).markup_ + "></script>");
}

std::pair<Html, Html> split_at_hole(const Html& page) {
  const auto at = page.str().find(hole_mark);
  if (at == std::string::npos) return {page, Html{}};
  return {HtmlMaker::make(page.str().substr(0, at)), HtmlMaker::make(page.str().substr(at + hole_mark.size()))};
}

Html document(const Head& head, const Html& body) {
  return HtmlMaker::doctype(element(
      "html", attr("lang", html_lang(head.lang)),
      element("head", element("meta", attr("charset", "utf-8")),
              element("meta", attr("name", "viewport"), attr("content", "width=device-width,initial-scale=1")), element("title", head.title),
              head.description.empty() ? Html{} : element("meta", attr("name", "description"), attr("content", head.description)),
              head.noindex ? element("meta", attr("name", "robots"), attr("content", "noindex")) : Html{},
              element("meta", attr("name", "referrer"), attr("content", "no-referrer")),
              element("link", attr("rel", "icon"), attr("href", "/static/icon.svg")),
              element("link", attr("rel", "stylesheet"), attr("href", head.stylesheet)),
              head.script.empty() ? Html{} : HtmlMaker::script_file(head.script)),
      element("body", body)));
}

}  // namespace nora::http
