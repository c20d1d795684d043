// A1: the front. A field for the code of the letter, the self-check, how to know that a notice is genuine, where the survey comes from.
#include "portal/view.h"

namespace nora::portal {

namespace e = http::el;
using http::cls;
using http::join;

Html front_page(const View& view, std::string_view code_error_id) {
  std::vector<Html> sources;
  for (const auto& address : view.site.text.scan_addresses) sources.push_back(e::li(e::span(cls("mono"), address)));
  return page(view, code_error_id.empty() ? "" : view.t("code.title"), "/",
              join(e::h1(view.r("front.title")), e::p(cls("lead"), view.r("front.lead")), code_form(view, code_error_id), check_form(view, ""), genuine_box(view, nullptr),
                   sources.empty() ? Html{} : join(e::h2(http::id("sources"), view.t("front.sources")), view.p("front.sources.text"), e::ul(sources)),
                   help_part(view, "")));
}

}  // namespace nora::portal
