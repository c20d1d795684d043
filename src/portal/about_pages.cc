// A6: how and why the survey works, and the accessibility statement.
#include "portal/view.h"

namespace nora::portal {

namespace e = http::el;
using http::cls;
using http::join;

Html how_page(const View& view) {
  std::vector<Html> parts;
  for (const auto* part : {"what", "not", "law", "who", "keep", "self"}) {
    const auto base = "how." + std::string(part);
    parts.push_back(join(e::h2(view.t(base + ".title")), view.p(base + ".text")));
  }
  std::vector<Html> patterns;
  for (const auto* letter : {"A", "B", "C", "D"}) patterns.push_back(e::li(view.r("pattern." + std::string(letter))));
  std::vector<Html> sources;
  for (const auto& address : view.site.text.scan_addresses) sources.push_back(e::li(e::span(cls("mono"), address)));
  return page(view, view.t("how.title"), "/how",
              join(e::h1(view.r("how.title")), e::p(cls("lead"), view.r("how.lead")), parts, e::h2(view.t("how.patterns")), e::ul(patterns),
                   sources.empty() ? Html{} : join(e::h2(view.t("front.sources")), view.p("front.sources.text"), e::ul(sources)), e::h2(view.t("how.stop.title")),
                   view.p("how.stop.text"), view.site.text.contact.empty() ? Html{} : e::p(e::b(view.site.text.contact))));
}

Html access_page(const View& view) {
  return page(view, view.t("access.title"), "/access",
              join(e::h1(view.r("access.title")), view.p("access.goal"), e::h2(view.t("access.how.title")),
                   e::ul(e::li(view.r("access.how.keyboard")), e::li(view.r("access.how.script")), e::li(view.r("access.how.size")), e::li(view.r("access.how.colour")),
                         e::li(view.r("access.how.language"))),
                   e::h2(view.t("access.limits.title")), view.p("access.limits.text"), e::h2(view.t("access.tell.title")),
                   view.p("access.tell.text"), view.site.text.contact.empty() ? Html{} : e::p(e::b(view.site.text.contact)),
                   view.site.text.phone.empty() ? Html{} : e::p(e::b(view.site.text.phone))));
}

}  // namespace nora::portal
