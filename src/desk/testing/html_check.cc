#include "desk/testing/html_check.h"

#include <algorithm>
#include <set>
#include <vector>

namespace nora::desk::testing {
namespace {

const std::set<std::string_view> elements = {
    "html", "head", "meta", "title", "link", "body", "a", "header", "div", "span", "nav", "main", "footer", "p", "h1", "h2", "h3", "b", "i", "em", "strong", "small", "ul", "ol", "li", "dl", "dt", "dd", "table", "thead",
    "tbody", "tr", "th", "td", "section", "aside", "figure", "form", "input", "button", "label", "select", "option", "textarea", "fieldset", "legend", "details", "summary", "pre", "mark", "time", "progress", "hr", "br",
    "svg", "path", "text", "circle", "rect", "line", "polyline", "desc", "g"};
const std::set<std::string_view> empty_elements = {"meta", "link", "input", "hr", "br"};
const std::set<std::string_view> attributes = {
    "lang", "charset", "name", "content", "rel", "href", "type", "class", "id", "hreflang", "aria-current", "aria-label", "aria-labelledby", "aria-hidden", "role", "tabindex", "method", "action", "value", "scope", "viewBox",
    "d", "x", "y", "cx", "cy", "r", "rx", "width", "height", "text-anchor", "preserveAspectRatio", "for", "maxlength", "autocomplete", "required", "selected", "checked", "open", "datetime", "max", "fill", "stroke",
    "stroke-width", "stroke-linecap", "stroke-linejoin", "focusable", "xmlns", "rows", "x1", "x2", "y1", "y2", "points", "transform"};

bool name_char(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'; }

}  // namespace

std::string html_problem(std::string_view page) {
  std::vector<std::string> open;
  for (std::size_t i = 0; i < page.size(); ++i) {
    auto byte = static_cast<unsigned char>(page[i]);
    if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) return "control byte at " + std::to_string(i);
  }
  std::size_t at = 0;
  if (std::string_view doctype = "<!doctype html>"; page.substr(0, doctype.size()) == doctype) at = doctype.size();
  while (at < page.size()) {
    if (page[at] == '>') return "a bare > in text near " + std::string(page.substr(at > 30 ? at - 30 : 0, 60));
    if (page[at] == '"' || page[at] == '\'') {
      // Quotes in text are harmless; the writer escapes the double one.
      if (page[at] == '"') return "a bare quote in text near " + std::string(page.substr(at > 30 ? at - 30 : 0, 60));
    }
    if (page[at] != '<') {
      ++at;
      continue;
    }
    auto begin = at++;
    bool closing = at < page.size() && page[at] == '/';
    if (closing) ++at;
    auto from = at;
    while (at < page.size() && name_char(page[at])) ++at;
    std::string name(page.substr(from, at - from));
    if (!elements.contains(name)) return "unknown element <" + name + "> near " + std::string(page.substr(begin, 60));
    while (at < page.size() && page[at] == ' ') {
      ++at;
      from = at;
      while (at < page.size() && name_char(page[at])) ++at;
      std::string attribute(page.substr(from, at - from));
      if (!attributes.contains(attribute)) return "unknown attribute " + attribute + " in <" + name + ">";
      if (at < page.size() && page[at] == '=') {
        if (page.substr(at, 2) != "=\"") return "attribute " + attribute + " without double quotes";
        at += 2;
        auto end = page.find('"', at);
        if (end == page.npos) return "attribute " + attribute + " does not end";
        auto value = page.substr(at, end - at);
        if (value.find('<') != value.npos || value.find('>') != value.npos) return "< or > inside attribute " + attribute;
        if ((attribute == "href" || attribute == "action") && !value.empty() && value[0] != '/' && value[0] != '#') return attribute + " leaves the site: " + std::string(value);
        if ((attribute == "href" || attribute == "action") && value.starts_with("//")) return attribute + " leaves the site: " + std::string(value);
        at = end + 1;
      }
    }
    if (at >= page.size() || page[at] != '>') return "element <" + name + "> does not end near " + std::string(page.substr(begin, 80));
    ++at;
    if (closing) {
      if (open.empty() || open.back() != name) return "</" + name + "> closes <" + (open.empty() ? "nothing" : open.back()) + ">";
      open.pop_back();
    } else if (!empty_elements.contains(name)) {
      open.push_back(name);
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

}  // namespace nora::desk::testing
