// One address, and one device: what was seen, what was said, why it is thought to be that product, what follows, and on what lawful basis.
#include <fmt/core.h>

#include <algorithm>

#include "desk/banner.h"
#include "desk/charts.h"
#include "desk/pages.h"
#include "desk/queries.h"
#include "desk/vulns.h"
#include "identify/personal.h"

namespace nora::desk {
namespace {

using http::attr;
using http::cls;
using http::href;
namespace e = http::el;

constexpr std::size_t max_banners = 20;
constexpr std::size_t max_outcomes = 30;
constexpr std::size_t max_segments = 20;

std::string service(Port port, Proto proto) { return fmt::format("{}/{}", port.value, name(proto)); }

std::string isp_of(const Context& c, const std::string& isp) {
  auto at = c.parts.isp_names.find(isp);
  return at == c.parts.isp_names.end() ? isp : at->second;
}

Html device_heading(const Context& c, const registry::Device& d) {
  auto words = d.identity.display();
  std::vector<Html> pills;
  if (!d.identity.type.value.empty()) pills.push_back(pill("k", d.identity.type.value, http::icon_for_type(d.identity.type.value)));
  pills.push_back(pill("n", words.empty() ? c.t("desk.unknown_device") : fmt::format("{} · {:.0f}%", words, 100 * d.identity.product.confidence)));
  if (!d.cluster.empty()) pills.push_back(link(c.view, "/cluster/" + to_url(d.cluster), d.cluster));
  return http::join(pills);
}

Html evidence_section(const Context& c, const std::vector<registry::Device>& devices) {
  Table t{c.t("desk.evidence.title"), {c.t("desk.col.field"), c.t("desk.col.value"), ">" + c.t("desk.col.sure"), c.t("desk.col.evidence")}, {}};
  for (const auto& d : devices) {
    auto claim = [&](std::string_view field, const registry::Claim& claim) {
      if (claim.value.empty()) return;
      std::vector<Html> lines;
      for (const auto& line : claim.evidence) lines.push_back(e::li(line));
      t.rows.push_back({http::text(c.t(fmt::format("desk.field.{}", field))), http::text(claim.value), http::text(fmt::format("{:.0f}%", 100 * claim.confidence)),
                        e::ul(cls("plain s"), lines)});
    };
    claim("vendor", d.identity.vendor);
    claim("product", d.identity.product);
    claim("firmware", d.identity.firmware);
    claim("type", d.identity.type);
    // The names by which vulnerability data is asked; components only make "possibly".
    const auto names = [&](std::string_view field, const std::vector<std::string>& list) {
      if (list.empty()) return;
      std::vector<Html> lines;
      for (const auto& cpe : list) lines.push_back(e::li(cls("mono s"), cpe));
      t.rows.push_back({http::text(c.t(fmt::format("desk.field.{}", field))), e::ul(cls("plain"), lines), http::text("–"), http::text("–")});
    };
    names("cpes", d.identity.cpes);
    names("components", d.identity.components);
  }
  return section("evidence", c.t("desk.evidence.title"), table_or(t, c.t("desk.evidence.none")));
}

Html findings_section(const Context& c, const std::vector<registry::StoredFinding>& findings) {
  Table t{c.t("desk.findings.title"),
          {c.t("desk.col.finding"), c.t("desk.col.pattern"), c.t("desk.col.severity"), c.t("desk.col.address"), c.t("desk.col.first_seen"), c.t("desk.col.last_seen"), c.t("desk.col.state"), c.t("desk.col.priority"), c.t("desk.col.evidence")},
          {}};
  const auto makers = makers_of(c.parts.knowledge);
  for (const auto& s : findings) {
    const auto& f = s.finding;
    std::vector<Html> lines;
    for (const auto& line : f.evidence) lines.push_back(e::li(identify::without_names(line, makers)));
    if (f.amplification) lines.push_back(e::li(c.t("desk.amplification", {{"factor", fmt::format("{:.1f}", *f.amplification)}})));
    t.rows.push_back({http::text(rule_title(c.view, f.rule)), http::text(pattern_words(c.view, f.pattern)), http::text(severity_word(c.view, f.severity)),
                      e::span(cls("mono"), fmt::format("{} {}", f.where.ip.text(), service(f.where.port, f.where.proto))), when(c.view, f.first_seen), when(c.view, f.last_seen),
                      finding_pill(c.view, f.state), urgency(c.view, s.priority, s.priority_why), e::ul(cls("plain s"), lines)});
  }
  return section("findings", c.t("desk.findings.title"), table_or(t, c.t("desk.no_findings")));
}

Html case_card(const Context& c, const std::vector<CaseRow>& cases) {
  std::vector<Html> cards;
  for (const auto& k : cases) {
    std::vector<Html> facts{fact(c.t("desk.col.state"), state_pill(c.view, k.state)), fact(c.t("desk.col.isp"), http::text(k.isp.empty() ? "–" : isp_of(c, k.isp))),
                            fact(c.t("desk.col.track"), http::text(c.t(fmt::format("desk.track.{}", k.track))))};
    auto step = [&](std::string_view id, Instant at) { if (at.us != 0) facts.push_back(fact(c.t(id), when(c.view, at))); };
    step("desk.stage.notified", k.notified_at);
    step("desk.stage.opened", k.opened_at);
    step("desk.stage.checked", k.checked_at);
    step("desk.stage.fixed", k.fixed_at);
    cards.push_back(e::div(cls("card"), e::h2(link(c.view, fmt::format("/case/{}", k.id), c.t("desk.case.title", {{"id", std::to_string(k.id)}}))),
                           e::dl(cls("fact"), facts)));
  }
  return cards.empty() ? e::div(cls("card"), e::h2(c.t("desk.col.case")), e::p(c.t("desk.no_case"))) : http::join(cards);
}

struct SeenSighting {
  registry::Sighting sighting;
  std::string because;
};
// A sighting with the sentence of its join, in one query.
Result<std::vector<SeenSighting>> sightings_with_joins(registry::Registry& registry, Ip ip) {
  NORA_TRY(auto rows, registry.db().query(
      "SELECT s.kind, s.verdict, s.first_at, s.last_at, s.packets, s.destinations, s.sensor, j.because FROM sighting s "
      "LEFT JOIN sighting_join j ON j.sighting = s.id WHERE s.ip = ? ORDER BY s.last_at DESC LIMIT 50", {ip}));
  std::vector<SeenSighting> out;
  for (const auto& r : rows) {
    SeenSighting s;
    s.sighting.ip = ip;
    s.sighting.kind = r[0].str();
    s.sighting.verdict = r[1].str();
    s.sighting.first = r[2].instant();
    s.sighting.last = r[3].instant();
    s.sighting.packets = r[4].integer();
    s.sighting.destinations = r[5].integer();
    s.sighting.sensor = r[6].str();
    s.because = r[7].str();
    out.push_back(std::move(s));
  }
  return out;
}

struct SegmentProof { std::string id, reserved, committed; };
std::vector<SegmentProof> segment_proofs(const std::vector<registry::ObservationRow>& seen) {
  std::vector<SegmentProof> out;
  for (const auto& o : seen) {
    const auto have = [&](const auto& p) { return p.id == o.seen.segment; };
    if (out.size() < max_segments && !o.seen.segment.empty() && std::none_of(out.begin(), out.end(), have)) out.push_back({o.seen.segment, o.reserved_leaf, o.committed_leaf});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id > b.id; });
  return out;
}

// The mandate that covers the address, and the leaves that prove the probes.
Html basis_card(const Context& c, Ip ip, const std::vector<SegmentProof>& proofs) {
  std::vector<Html> lines;
  const auto* m = c.parts.mandate;
  if (m == nullptr) {
    lines.push_back(e::p(c.t("desk.basis.none")));
  } else {
    const auto& text = m->text();
    std::string range;
    for (const auto& r : text.ranges) if (r.contains(ip)) range = r.text();
    std::string classes;
    for (auto k : text.classes) classes += fmt::format("{}{}", classes.empty() ? "" : " ", law::name(k));
    lines.push_back(e::dl(cls("fact"), fact(c.t("desk.basis.mandate"), http::join(e::span(cls("mono"), text.id), " ", c.t("desk.basis.revision", {{"n", std::to_string(text.revision)}}))),
                          fact(c.t("desk.basis.authority"), http::text(text.authority)), fact(c.t("desk.basis.law"), http::text(text.legal_basis)),
                          fact(c.t("desk.basis.range"), range.empty() ? http::text(c.t("desk.basis.outside")) : e::span(cls("mono"), range)),
                          fact(c.t("desk.basis.until"), when(c.view, text.not_after)), fact(c.t("desk.basis.methods"), http::text(classes)),
                          fact(c.t("desk.basis.hash"), e::span(cls("mono s"), to_hex(m->hash()).substr(0, 16) + "…"))));
  }
  std::vector<Html> rows;
  for (const auto& p : proofs)
    rows.push_back(e::li(link(c.view, "/run/" + to_url(p.id.substr(0, p.id.rfind('/'))), p.id), ": ", e::span(cls("mono s"), p.reserved.empty() ? "–" : p.reserved.substr(0, 16)), " → ",
                         e::span(cls("mono s"), p.committed.empty() ? "–" : p.committed.substr(0, 16))));
  if (!rows.empty()) lines.push_back(http::join(e::h3(c.t("desk.basis.leaves")), e::ul(cls("plain s"), rows)));
  lines.push_back(e::p(cls("s"), c.t("desk.basis.never")));
  return e::div(cls("card soft"), e::h2(c.t("desk.basis.title")), lines);
}

Html time_lanes(const Context& c, const std::vector<registry::DeviceEndpoint>& places, const std::vector<CaseRow>& cases, const std::vector<SeenSighting>& sightings) {
  if (places.empty()) return {};
  Lanes l;
  l.id = "days";
  l.from = places.front().from;
  l.to = c.view.now;
  for (const auto& p : places) {
    l.from = std::min(l.from, p.from);
    l.to = std::max(l.to, p.to);
    auto label = service(p.port, p.proto);
    auto at = std::find_if(l.lanes.begin(), l.lanes.end(), [&](const auto& lane) { return lane.label == label; });
    if (at == l.lanes.end()) at = l.lanes.insert(l.lanes.end(), Lane{label, {}});
    at->open.emplace_back(p.from, p.to);
  }
  std::sort(l.lanes.begin(), l.lanes.end(), [](const auto& a, const auto& b) { return std::pair(a.label.size(), a.label) < std::pair(b.label.size(), b.label); });
  if (l.lanes.size() > 20) l.lanes.resize(20);
  auto mark = [&](Instant at, std::string_view id) { if (at.us != 0 && l.marks.size() < 8) l.marks.push_back({at, fmt::format("{} {}", c.t(id), when_text(c.view, at))}); };
  for (const auto& s : sightings) mark(s.sighting.first, "desk.mark.attack");
  for (const auto& k : cases) {
    mark(k.notified_at, "desk.stage.notified");
    mark(k.checked_at, "desk.stage.checked");
    mark(k.fixed_at, "desk.stage.fixed");
  }
  l.from_text = when_text(c.view, l.from);
  l.to_text = when_text(c.view, l.to);
  l.title = c.t("desk.lanes.title", {{"count", std::to_string(l.lanes.size())}, {"from", l.from_text}, {"to", l.to_text}});
  return section("lanes", c.t("desk.lanes.heading"), lanes(l));
}

}  // namespace

Answer host_page(Context& c) {
  auto ip = Ip::parse(c.request.param("ip"));
  if (!ip) return fail(Code::not_found, "this is not an address");
  NORA_CHECK(c.disclose("host", {{"ip", ip->text()}}));
  NORA_TRY(auto seen, registry::observation_rows(c.registry, *ip));
  NORA_TRY(auto devices, c.registry.devices_at(*ip));
  NORA_TRY(auto places, c.registry.endpoints_at(*ip));
  NORA_TRY(auto findings, c.registry.findings_at(*ip));
  NORA_TRY(auto cases, cases_at(c.registry, *ip));
  NORA_TRY(auto outcomes, registry::outcomes_at(c.registry, *ip, max_outcomes));
  NORA_TRY(auto sightings, sightings_with_joins(c.registry, *ip));
  const auto proofs = segment_proofs(seen);
  NORA_TRY(auto vulns, vulns_of(c, devices));

  std::vector<Html> heads;
  for (const auto& d : devices) heads.push_back(e::p(cls("row"), device_heading(c, d), link(c.view, fmt::format("/device/{}", d.id), c.t("desk.device.number", {{"id", std::to_string(d.id)}}))));

  Table services{c.t("desk.services.title"), {c.t("desk.col.port"), c.t("desk.col.service"), c.t("desk.col.first_seen"), c.t("desk.col.last_seen"), c.t("desk.col.finding")}, {}};
  for (const auto& p : places) {
    std::string protocol = "–";
    for (const auto& o : seen) if (o.seen.reply_hash == p.reply_hash) protocol = o.reply.protocol;
    std::vector<Html> what;
    for (const auto& f : findings)
      if (f.finding.where.port == p.port && f.finding.where.proto == p.proto)
        what.push_back(http::join(what.empty() ? "" : " ", finding_pill(c.view, f.finding.state), " ", rule_title(c.view, f.finding.rule)));
    services.rows.push_back({e::span(cls("mono"), service(p.port, p.proto)), http::text(protocol), when(c.view, p.from), when(c.view, p.to),
                             what.empty() ? http::text(c.t("desk.no_findings")) : http::join(what)});
  }

  auto rules = c.parts.rules ? c.parts.rules() : nullptr;
  std::optional<identify::Matcher> matcher;
  if (rules) matcher.emplace(*rules);
  const auto makers = makers_of(c.parts.knowledge);
  std::vector<Html> banners;
  std::vector<std::pair<std::string, Hash>> shown;  // one banner per port and reply, the newest
  for (const auto& o : seen) {
    auto place = service(o.seen.where.port, o.seen.where.proto);
    if (banners.size() >= max_banners) break;
    if (std::find(shown.begin(), shown.end(), std::pair(place, o.seen.reply_hash)) != shown.end()) continue;
    shown.emplace_back(place, o.seen.reply_hash);
    auto marks = matcher ? matched_parts(*matcher, o.reply) : std::vector<ByteRange>{};
    auto title = fmt::format("{} {} · {}", place, o.reply.protocol, when_text(c.view, o.seen.where.at));
    banners.push_back(e::details(http::flag("open", banners.empty()), e::summary(title),
                                 e::div(banner(title, o.reply, marks, makers),
                                        e::p(cls("s m"), c.t("desk.banner.about", {{"probe", o.seen.probe}, {"segment", o.seen.segment}, {"bytes", group_digits(o.seen.reply_bytes)},
                                                                                   {"hash", to_hex(o.seen.reply_hash).substr(0, 16)}})))));
  }

  Table met{c.t("desk.outcomes.title"), {c.t("desk.col.port"), c.t("desk.col.probe"), c.t("desk.col.outcome"), c.t("desk.col.at")}, {}};
  for (const auto& o : outcomes)
    met.rows.push_back({e::span(cls("mono"), service(o.port, o.proto)), http::text(o.probe), http::text(c.t(fmt::format("desk.outcome.{}", o.outcome))), when(c.view, o.at)});

  std::vector<Html> attacks;
  for (const auto& s : sightings)
    attacks.push_back(e::li(pill("bad", s.sighting.kind, "warn"), " ", when(c.view, s.sighting.first), " – ", when(c.view, s.sighting.last), " · ",
                            c.t("desk.sighting.counts", {{"packets", group_digits(s.sighting.packets)}, {"destinations", group_digits(s.sighting.destinations)}, {"sensor", s.sighting.sensor}}),
                            s.because.empty() ? Html{} : e::p(s.because)));

  auto left = http::join(time_lanes(c, places, cases, sightings), section("services", c.t("desk.services.title"), table_or(services, c.t("desk.no_rows"))),
                         attacks.empty() ? Html{} : section("attacks", c.t("desk.sightings.title"), e::ul(attacks)),
                         section("banners", c.t("desk.banners.title"), banners.empty() ? e::p(c.t("desk.no_rows")) : http::join(banners)), evidence_section(c, devices),
                         findings_section(c, findings), vulns_section(c, devices, vulns), section("outcomes", c.t("desk.outcomes.title"), table_or(met, c.t("desk.no_rows"))));
  auto main = http::join(e::p(cls("crumb"), link(c.view, "/devices", c.t("desk.nav.devices")), " › ", ip->text()), e::h1(cls("mono"), ip->text()), heads,
                         e::div(cls("side"), e::div(left), e::aside(attr("aria-label", c.t("desk.col.case")), case_card(c, cases), basis_card(c, *ip, proofs))));
  return http::Response::page(page(c.view, ip->text(), "devices", main));
}

Answer device_page(Context& c) {
  NORA_TRY(auto id, id_param(c.request, "id"));
  NORA_CHECK(c.disclose("device", {{"device", id}}));
  NORA_TRY(auto device, c.registry.device(id));
  if (!device) return fail(Code::not_found, "there is no such device");
  NORA_TRY(auto places, c.registry.endpoints(id));
  NORA_TRY(auto findings, c.registry.findings_of_device(id));
  NORA_TRY(auto joins, c.registry.sighting_joins_of(id));
  NORA_TRY(auto vulns, vulns_of(c, {*device}));
  auto words = device->identity.display();
  auto title = words.empty() ? c.t("desk.unknown_device") : words;
  Table t{c.t("desk.places.title"), {c.t("desk.col.address"), c.t("desk.col.port"), c.t("desk.col.first_seen"), c.t("desk.col.last_seen")}, {}};
  for (const auto& p : places)
    t.rows.push_back({e::a(cls("mono"), href(c.view.url(host_path(p.ip))), p.ip.text()), e::span(cls("mono"), service(p.port, p.proto)), when(c.view, p.from), when(c.view, p.to)});
  std::vector<Html> likely;
  for (const auto& j : joins) likely.push_back(e::li(j.because));
  const expose::Product* product = c.parts.knowledge ? c.parts.knowledge->product_of(device->identity) : nullptr;
  Html support;
  const expose::SupportEnd* line = c.parts.knowledge && (product == nullptr || product->support_end.empty()) ? c.parts.knowledge->support_end_of(device->identity) : nullptr;
  if (line != nullptr && !line->end_of_support.empty())
    support = e::p(c.t("desk.support_end"), ": ", line->end_of_support == "ended" ? c.t("desk.support_ended") : line->end_of_support,
                   line->verified ? Html{} : http::join(" ", pill("n", c.t("desk.not_verified"))));
  else if (product != nullptr)
    support = e::p(c.t("desk.support_end"), ": ", product->support_end.empty() ? c.t("desk.unknown") : product->support_end == "ended" ? c.t("desk.support_ended") : product->support_end,
                   product->verified ? Html{} : http::join(" ", pill("n", c.t("desk.not_verified"))));
  auto main = http::join(e::p(cls("crumb"), link(c.view, "/devices", c.t("desk.nav.devices")), " › ", c.t("desk.device.number", {{"id", std::to_string(id)}})), e::h1(title),
                         e::p(cls("row"), device_heading(c, *device)), support, section("places", c.t("desk.places.title"), table_or(t, c.t("desk.no_rows"))),
                         likely.empty() ? Html{} : section("attacks", c.t("desk.sightings.title"), e::ul(likely)), evidence_section(c, {*device}), findings_section(c, findings),
                         vulns_section(c, {*device}, vulns));
  return http::Response::page(page(c.view, title, "devices", main));
}

}  // namespace nora::desk
