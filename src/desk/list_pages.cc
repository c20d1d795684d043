// Lists to ISPs: what was handed over, when, and what came back. Opening the rows of a list is a disclosure with a leaf of its own.
#include <fmt/core.h>

#include "desk/charts.h"
#include "desk/pages.h"
#include "desk/queries.h"

namespace nora::desk {
namespace {

using http::cls;
using http::href;
namespace e = http::el;

std::string isp_words(const Context& c, const std::string& isp) { return c.parts.isp_names.contains(isp) ? c.parts.isp_names.at(isp) : isp; }

Html list_state(const Context& c, const ListInfo& l) {
  if (l.state == "returned") return pill("ok", c.t("desk.list.returned"), "check");
  if (l.not_after <= c.view.now) return pill("n", c.t("desk.list.expired"));
  return pill("k", c.t("desk.list." + l.state));
}

}  // namespace

Answer lists_page(Context& c) {
  NORA_TRY(auto all, lists(c.registry));
  Table t{c.t("desk.lists.title"),
          {c.t("desk.col.list"), c.t("desk.col.isp"), ">" + c.t("desk.col.sequence"), c.t("desk.col.made"), c.t("desk.col.not_after"), ">" + c.t("desk.col.rows"), ">" + c.t("desk.col.returned"), c.t("desk.col.state")},
          {}};
  for (const auto& l : all)
    t.rows.push_back({link(c.view, "/list/" + to_url(l.id), l.id), http::text(isp_words(c, l.isp)), http::text(std::to_string(l.sequence)), when(c.view, l.created), when(c.view, l.not_after),
                      http::text(group_digits(l.rows)), http::text(fmt::format("{} · {}", group_digits(l.returned), percent(l.returned, l.rows))), list_state(c, l)});
  return http::Response::page(page(c.view, c.t("desk.lists.title"), "lists",
      http::join(e::h1(c.t("desk.lists.title")), e::p(c.t("desk.lists.lead")), table_or(t, c.t("desk.lists.none")))));
}

Answer list_page(Context& c) {
  std::string id(c.request.param("id"));
  NORA_TRY(auto list, list_by_id(c.registry, id));
  if (!list) return fail(Code::not_found, "there is no such list");
  // The leaf names the list and the reader; it is on disk before a row is read.
  NORA_CHECK(c.disclose("list", {{"list", list->id}, {"isp", list->isp}, {"rows", list->rows}}));
  constexpr std::size_t page_rows = 200;
  NORA_TRY(auto lines, list_lines(c.registry, id, c.query("after"), page_rows + 1));
  const bool more = lines.size() > page_rows;
  if (more) lines.pop_back();
  Table t{c.t("desk.list.rows"), {c.t("desk.col.row"), c.t("desk.col.class"), c.t("desk.col.address"), c.t("desk.col.at"), c.t("desk.col.case"), c.t("desk.col.return"), c.t("desk.col.detail")}, {}};
  for (const auto& l : lines)
    t.rows.push_back({e::span(cls("mono s"), l.row_id), http::text(rule_title(c.view, l.finding_class)),
                      e::a(cls("mono"), href(c.view.url(host_path(l.ip))), fmt::format("{}:{}/{}", l.ip.text(), l.port, name(static_cast<Proto>(l.proto)))), when(c.view, l.at),
                      l.case_id == 0 ? http::text("–") : link(c.view, fmt::format("/case/{}", l.case_id), fmt::format("#{}", l.case_id)),
                      l.return_state.empty() ? http::text("–") : http::text(c.t("desk.return." + l.return_state)), http::text(l.return_detail)});
  auto title = fmt::format("{} – {}", isp_words(c, list->isp), list->id);
  auto main = http::join(
      e::p(cls("crumb"), link(c.view, "/lists", c.t("desk.lists.title")), " › ", list->id), e::h1(title),
      e::dl(cls("fact"), fact(c.t("desk.col.sequence"), http::text(std::to_string(list->sequence))), fact(c.t("desk.col.made"), when(c.view, list->created)),
            fact(c.t("desk.col.not_after"), when(c.view, list->not_after)), fact(c.t("desk.col.state"), list_state(c, *list)), fact(c.t("desk.list.returned_at"), when(c.view, list->returned_at)),
            fact(c.t("desk.list.file"), http::join(e::span(cls("mono s"), list->file_name), " ", e::span(cls("mono s"), list->file_hash.substr(0, 16))))),
      e::p(cls("s m"), c.t("desk.list.logged")), table_or(t, c.t("desk.no_rows")),
      more ? e::p(e::a(cls("btn q sm"), href(c.view.url("/list/" + to_url(id)) + "?after=" + to_url(lines.back().row_id)), c.t("desk.next_page"))) : Html{});
  return http::Response::page(page(c.view, title, "lists", main));
}

}  // namespace nora::desk
