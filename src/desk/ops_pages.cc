// Runs, ranges & law, audit log, staff: what an operator and an auditor look at.
#include <fmt/core.h>

#include <algorithm>

#include "desk/charts.h"
#include "desk/pages.h"
#include "desk/queries.h"
#include "law/audit.h"
#include "registry/jobs.h"

namespace nora::desk {
namespace {

using http::attr;
using http::cls;
using http::href;
namespace e = http::el;

constexpr std::uint64_t audit_rows = 100;

std::string short_leaf(const std::string& leaf) { return leaf.empty() ? "–" : leaf.substr(0, 20); }

std::string listed(const auto& values) {
  std::string text;
  for (const auto& v : values) text += (text.empty() ? "" : ", ") + std::string(v);
  return text;
}

}  // namespace

Answer runs_page(Context& c) {
  NORA_TRY(auto surveys, c.registry.surveys(100));
  registry::Jobs jobs(c.registry.db());
  NORA_TRY(auto recent, jobs.recent(50));
  Table t{c.t("desk.runs.title"), {c.t("desk.col.survey"), c.t("desk.col.kind"), c.t("desk.col.started"), c.t("desk.col.finished"), ">" + c.t("desk.col.sent"), ">" + c.t("desk.col.replies"), ">" + c.t("desk.col.hit_rate")}, {}};
  for (const auto& s : surveys)
    t.rows.push_back({link(c.view, "/run/" + to_url(s.id), s.id), http::text(c.t("desk.kind." + s.kind)), when(c.view, s.started),
                      s.finished ? when(c.view, *s.finished) : pill("k", c.t("desk.running")), http::text(group_digits(s.sent)), http::text(group_digits(s.replies)),
                      http::text(s.sent == 0 ? "–" : fmt::format("{:.1f}%", 100.0 * static_cast<double>(s.replies) / static_cast<double>(s.sent)))});
  Table j{c.t("desk.jobs.title"), {c.t("desk.col.job"), c.t("desk.col.kind"), c.t("desk.col.at"), c.t("desk.col.who"), c.t("desk.col.state"), ">" + c.t("desk.col.attempts")}, {}};
  for (const auto& job : recent)
    j.rows.push_back({http::text(fmt::format("#{}", job.id)), http::text(c.t("desk.kind." + job.kind)), when(c.view, job.created), http::text(job.created_by), http::text(c.t("desk.job." + job.state)),
                      http::text(std::to_string(job.attempts))});
  return http::Response::page(page(c.view, c.t("desk.runs.title"), "runs",
      http::join(e::h1(c.t("desk.runs.title")), table_or(t, c.t("desk.runs.none")), e::h2(c.t("desk.jobs.title")), table_or(j, c.t("desk.no_rows")))));
}

Answer run_page(Context& c) {
  std::string id(c.request.param("id"));
  NORA_TRY(auto survey, c.registry.survey(id));
  if (!survey) return fail(Code::not_found, "there is no such survey");
  NORA_TRY(auto rows, c.registry.db().query("SELECT number, index_from, index_to, state, sent, file_hash, reserved_leaf, committed_leaf FROM segment WHERE survey = ? ORDER BY number LIMIT 1000", {id}));
  Table t{c.t("desk.segments.title"), {c.t("desk.col.segment"), c.t("desk.col.index"), c.t("desk.col.state"), ">" + c.t("desk.col.sent"), c.t("desk.col.file"), c.t("desk.col.leaf_before"), c.t("desk.col.leaf_after")}, {}};
  std::int64_t committed = 0;
  for (const auto& r : rows) {
    auto state = r[3].integer();
    committed += state == static_cast<int>(registry::SegmentState::committed);
    t.rows.push_back({http::text(std::to_string(r[0].integer())), http::text(fmt::format("{} – {}", group_digits(r[1].integer()), group_digits(r[2].integer()))),
                      http::text(c.t(fmt::format("desk.segment.{}", state))), http::text(group_digits(r[4].integer())), e::span(cls("mono s"), r[5].is_null() ? "–" : to_hex(r[5].blob()).substr(0, 16)),
                      e::span(cls("mono s"), short_leaf(r[6].str())), e::span(cls("mono s"), short_leaf(r[7].str()))});
  }
  auto total = static_cast<std::int64_t>(rows.size());
  auto main = http::join(
      e::p(cls("crumb"), link(c.view, "/runs", c.t("desk.runs.title")), " › ", id), e::h1(c.t("desk.run.title", {{"id", id}})),
      e::dl(cls("fact"), fact(c.t("desk.col.kind"), http::text(c.t("desk.kind." + survey->kind))), fact(c.t("desk.col.started"), when(c.view, survey->started)),
            fact(c.t("desk.col.finished"), survey->finished ? when(c.view, *survey->finished) : http::text("–")), fact(c.t("desk.col.sent"), http::text(group_digits(survey->sent))),
            fact(c.t("desk.col.replies"), http::text(group_digits(survey->replies))), fact(c.t("desk.basis.hash"), e::span(cls("mono s"), to_hex(survey->mandate_hash).substr(0, 32))),
            fact(c.t("desk.segments.done"), http::text(fmt::format("{} / {}", committed, total)))),
      e::p(e::progress(attr("max", total == 0 ? 1 : total), attr("value", committed), attr("aria-label", c.t("desk.segments.done")))), e::p(cls("s m"), c.t("desk.segments.lead")),
      table_or(t, c.t("desk.no_rows")));
  return http::Response::page(page(c.view, c.t("desk.run.title", {{"id", id}}), "runs", main));
}

Answer law_page(Context& c) {
  std::vector<Html> parts{e::h1(c.t("desk.law.title"))};
  if (c.parts.mandate == nullptr) {
    parts.push_back(e::p(c.t("desk.basis.none")));
  } else {
    const auto& m = c.parts.mandate->text();
    auto now = c.view.now;
    Html state = now < m.not_before ? pill("warn", c.t("desk.law.not_yet"), "info") : now >= m.not_after ? pill("bad", c.t("desk.law.expired"), "warn") : pill("ok", c.t("desk.law.valid"), "check");
    std::vector<std::string> ranges, excludes, social, ports, classes, sources;
    for (const auto& p : m.ranges) ranges.push_back(p.text());
    for (const auto& p : m.excludes) excludes.push_back(p.text());
    for (const auto& p : m.social_impact) social.push_back(p.text());
    for (const auto& p : m.ports) ports.push_back(fmt::format("{} {}", name(p.proto), p.port.value));
    for (auto k : m.classes) classes.emplace_back(law::name(k));
    for (auto s : m.sources) sources.push_back(s.text());
    auto code = [&](const std::vector<std::string>& values) { return values.empty() ? http::text("–") : e::span(cls("mono"), listed(values)); };
    parts.push_back(e::p(state));
    parts.push_back(e::dl(cls("fact"), fact(c.t("desk.basis.mandate"), http::join(e::span(cls("mono"), m.id), " ", c.t("desk.basis.revision", {{"n", std::to_string(m.revision)}}))),
                          fact(c.t("desk.basis.authority"), http::text(m.authority)), fact(c.t("desk.basis.law"), http::text(m.legal_basis)), fact(c.t("desk.law.purpose"), http::text(m.purpose)),
                          fact(c.t("desk.law.contact"), http::text(m.contact)), fact(c.t("desk.law.signers"), http::text(listed(c.parts.mandate->signers()))),
                          fact(c.t("desk.law.from"), when(c.view, m.not_before)), fact(c.t("desk.basis.until"), when(c.view, m.not_after)), fact(c.t("desk.law.ranges"), code(ranges)),
                          fact(c.t("desk.law.excludes"), code(excludes)), fact(c.t("desk.law.social"), code(social)), fact(c.t("desk.law.ports"), code(ports)), fact(c.t("desk.basis.methods"), code(classes)),
                          fact(c.t("desk.law.sources"), code(sources)),
                          fact(c.t("desk.law.rates"), http::text(c.t("desk.law.rates.words", {{"total", group_digits(m.rate_total_pps)}, {"net", group_digits(m.rate_per_24_pps)}, {"target", group_digits(m.rate_per_target_pps)}}))),
                          fact(c.t("desk.basis.hash"), e::span(cls("mono s"), to_hex(c.parts.mandate->hash())))));
    parts.push_back(e::p(c.t("desk.basis.never")));
  }
  return http::Response::page(page(c.view, c.t("desk.law.title"), "law", http::join(parts)));
}

Answer audit_page(Context& c) {
  auto verified = law::audit_verify(c.parts.audit_dir, c.parts.audit_key);
  std::vector<Html> parts{e::h1(c.t("desk.audit.title")), e::p(c.t("desk.audit.lead"))};
  if (!verified) {
    parts.push_back(e::div(cls("status bad"), http::icon("warn"), e::h2(c.t("desk.audit.broken")), e::p(verified.error().text())));
    return http::Response::page(page(c.view, c.t("desk.audit.title"), "audit", http::join(parts)), 200);
  }
  parts.push_back(e::div(cls("status ok"), http::icon("check"), e::h2(c.t("desk.audit.whole")),
                         e::p(c.t("desk.audit.state", {{"size", group_digits(static_cast<std::int64_t>(verified->size))}}), " ", e::span(cls("mono s"), to_hex(verified->root)))));
  std::uint64_t end = verified->size;
  if (auto before = c.query("before"); !before.empty()) {
    http::Request fake;
    fake.params.add("before", std::string(before));
    NORA_TRY(auto wanted, id_param(fake, "before"));
    end = std::min<std::uint64_t>(end, static_cast<std::uint64_t>(wanted));
  }
  auto begin = end > audit_rows ? end - audit_rows : 0;
  NORA_TRY(auto entries, law::audit_read(c.parts.audit_dir, begin, end));
  Table t{c.t("desk.audit.title"), {">" + c.t("desk.col.leaf"), c.t("desk.col.at"), c.t("desk.col.kind"), c.t("desk.col.detail")}, {}};
  for (auto at = entries.rbegin(); at != entries.rend(); ++at)
    t.rows.push_back({http::text(std::to_string(at->index)), when(c.view, at->at), e::span(cls("mono"), at->kind), e::span(cls("mono s"), json::text(at->data))});
  parts.push_back(table_or(t, c.t("desk.no_rows")));
  if (begin > 0) parts.push_back(e::p(e::a(cls("btn q sm"), href(c.view.url(fmt::format("/audit?before={}", begin))), c.t("desk.audit.older"))));
  return http::Response::page(page(c.view, c.t("desk.audit.title"), "audit", http::join(parts)));
}

Answer users_page(Context& c) {
  NORA_TRY(auto all, c.parts.users.all());
  Table t{c.t("desk.users.title"), {c.t("desk.col.user"), c.t("desk.col.name"), c.t("desk.col.roles"), c.t("desk.col.added"), c.t("desk.col.state")}, {}};
  for (const auto& u : all) {
    std::vector<std::string> roles;
    for (const auto& r : u.user.roles) roles.push_back(c.t("desk.role." + r));
    t.rows.push_back({e::span(cls("mono"), u.user.id), http::text(u.user.name), http::text(listed(roles)), when(c.view, u.added), u.disabled ? pill("n", c.t("desk.user.disabled")) : pill("ok", c.t("desk.user.active"), "check")});
  }
  return http::Response::page(page(c.view, c.t("desk.users.title"), "users",
      http::join(e::h1(c.t("desk.users.title")), e::p(c.t("desk.users.lead")), table_or(t, c.t("desk.no_rows")))));
}

}  // namespace nora::desk
