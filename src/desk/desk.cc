// Binds the pages to paths: language, session, connection, error pages.
#include "desk/desk.h"

#include <fmt/core.h>

#include "desk/overview.h"
#include "desk/pages.h"

namespace nora::desk {
namespace {

using Page = Answer (*)(Context&);

constexpr std::string_view staff = "analyst,operator,approver";

int status_of(Code code) {
  switch (code) {
    case Code::not_found: return 404;
    case Code::bad_input:
    case Code::usage: return 400;
    case Code::refused: return 403;
    default: return 500;
  }
}

// The reader's wish among the languages that there are; Japanese when nothing fits.
std::string_view wished_language(const http::Request& request) {
  auto header = request.header("accept-language");
  auto en = header.find("en"), ja = header.find("ja");
  return en != header.npos && (ja == header.npos || en < ja) ? "en" : "ja";
}

View view_for(const DeskParts& parts, const http::Request& request, Lang lang, std::string_view path, std::optional<http::User> user) {
  View view{parts.messages, lang, parts.stylesheet, std::string(path), std::move(user), {}, 540, "JST", {}};
  view.now = parts.env.clock.now();
  // The language switch keeps the query, so that a filter survives it.
  if (!request.query.empty()) view.path += "?" + http::encode_form(request.query);
  if (view.user) view.csrf = parts.csrf.field(request);
  return view;
}

http::Response error_response(const View& view, const Error& error, bool api) {
  auto status = status_of(error.code);
  if (api) return http::Response::json({{"error", to_clean_utf8(error.what)}, {"fix", to_clean_utf8(error.fix)}}, status);
  return http::Response::page(note_page(view, view.t(fmt::format("desk.error.{}", status)), error.text()), status);
}

http::Response answer(const DeskParts& parts, http::Request& request, std::optional<http::User> user, Page page, bool api) {
  auto lang = Lang::en;
  std::string_view path = request.path;
  if (!api) {
    auto parsed = parse_lang(request.param("lang"));
    if (!parsed) return http::Response::text("404 not found\n", 404);
    lang = *parsed;
    path.remove_prefix(1 + code(lang).size());
  }
  auto view = view_for(parts, request, lang, path.empty() ? "/" : path, std::move(user));
  auto lease = parts.store.lease();
  if (!lease) return error_response(view, lease.error(), api);
  Context context{parts, request, std::move(view), lease->registry()};
  auto made = page(context);
  if (!made) {
    if (status_of(made.error().code) == 500) parts.env.log.error(fmt::format("desk {}: {}", request.path, made.error().text()));
    return error_response(context.view, made.error(), api);
  }
  return std::move(*made);
}

}  // namespace

Desk::Desk(DeskParts parts) : parts_(std::move(parts)) { parts_.overview = std::make_shared<OverviewCache>(); }

void Desk::add_routes(http::Router& router) const {
  auto open = [&](std::string_view pattern, Page page, bool api = false) {
    router.get(pattern, [this, page, api](http::Request& request) { return answer(parts_, request, parts_.sessions.user(request), page, api); });
  };
  auto get = [&](std::string_view pattern, std::string_view roles, Page page, bool api = false) {
    router.get(pattern, parts_.sessions.require(roles, [this, page, api](http::Request& request, const http::User& user) { return answer(parts_, request, user, page, api); }));
  };
  auto post = [&](std::string_view pattern, std::string_view roles, Page page) {
    router.post(pattern, parts_.sessions.require(roles, [this, page](http::Request& request, const http::User& user) { return answer(parts_, request, user, page, false); }));
  };

  router.get("/", [](http::Request& request) {
    return http::Response::see_other(fmt::format("/{}/", wished_language(request))).with("Vary", "Accept-Language");
  });
  router.get("/{lang}", [](http::Request& request) { return http::Response::see_other(fmt::format("/{}/", request.param("lang"))); });
  open("/{lang}/", overview_page);
  open("/{lang}/overview.csv", overview_csv);
  open("/{lang}/definitions", definitions_page);
  open("/api/overview", overview_json, true);

  get("/{lang}/findings", staff, findings_page);
  get("/{lang}/devices", staff, devices_page);
  get("/{lang}/cases", staff, cases_page);
  get("/{lang}/sightings", staff, sightings_page);
  get("/{lang}/host/{ip}", staff, host_page);
  get("/{lang}/device/{id}", staff, device_page);
  get("/{lang}/case/{id}", staff, case_page);
  get("/{lang}/clusters", staff, clusters_page);
  get("/{lang}/cluster/{key}", staff, cluster_page);
  post("/{lang}/cluster/{key}/propose", "analyst", cluster_propose);
  post("/{lang}/cluster/{key}/accept", "analyst,approver", cluster_accept);
  post("/{lang}/cluster/{key}/undo", "analyst", cluster_undo);
  get("/{lang}/onsite", staff, onsite_queue_page);
  get("/{lang}/onsite/{id}", staff, onsite_page);
  get("/{lang}/onsite/{id}/form", staff, onsite_form_page);
  post("/{lang}/onsite/{id}/party", "analyst,operator", onsite_party);
  post("/{lang}/onsite/{id}/confirm", staff, onsite_confirm);
  post("/{lang}/onsite/{id}/visit", "analyst,operator", onsite_visit);
  get("/{lang}/lists", "operator,approver", lists_page);
  get("/{lang}/list/{id}", "operator,approver", list_page);
  get("/{lang}/runs", "analyst,operator,approver,auditor", runs_page);
  get("/{lang}/run/{id}", "analyst,operator,approver,auditor", run_page);
  get("/{lang}/law", "analyst,operator,approver,auditor", law_page);
  get("/{lang}/audit", "operator,approver,auditor", audit_page);
  get("/{lang}/users", "operator,auditor", users_page);

  get("/api/findings", staff, api_findings, true);
  get("/api/devices", staff, api_devices, true);
  get("/api/cases", staff, api_cases, true);
  get("/api/sightings", staff, api_sightings, true);
  get("/api/clusters", staff, api_clusters, true);
  get("/api/vulns", staff, api_vulns, true);
}

}  // namespace nora::desk
