// Unknown devices: the queue of clusters, one cluster with what its members share and examples, and its naming by two people.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "cases/metrics.h"
#include "desk/banner.h"
#include "desk/charts.h"
#include "desk/pages.h"
#include "desk/queries.h"
#include "identify/personal.h"

namespace nora::desk {
namespace {

using http::attr;
using http::cls;
using http::href;
namespace e = http::el;

constexpr std::size_t examples = 6;
constexpr std::size_t compared = 50;         // members whose replies are compared for "what they share"
constexpr std::size_t max_value_shown = 120;

struct Feature {
  std::string value;
  std::size_t count = 0;
};
// Match key -> its commonest value and how many of the members show it. Sorted by count, then key.
std::vector<std::pair<std::string, Feature>> shared_features(const std::vector<registry::PlacedReply>& replies) {
  std::map<std::string, std::map<std::string, std::vector<registry::Id>>> seen;
  for (const auto& r : replies)
    for (const auto& kv : r.reply.keys) {
      auto& who = seen[kv.key][kv.value];
      if (who.empty() || who.back() != r.device) who.push_back(r.device);
    }
  std::vector<std::pair<std::string, Feature>> out;
  for (const auto& [key, values] : seen) {
    Feature best;
    for (const auto& [value, who] : values) if (who.size() > best.count) best = {value, who.size()};
    out.emplace_back(key, best);
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.second.count > b.second.count; });
  if (out.size() > 20) out.resize(20);
  return out;
}

// The device types that a person can choose, in the words that the rules use.
constexpr std::string_view types[] = {"Broadband Router", "IP Camera", "DVR", "NAS", "Printer", "Gateway", "Sensor", "Building Automation", "Industrial Controller", "Digital Signage"};

identify::Naming naming_from(const Context& c, std::string_view cluster) {
  identify::Naming n;
  n.cluster = cluster;
  n.vendor = to_clean_utf8(c.form("vendor"));
  n.product = to_clean_utf8(c.form("product"));
  n.type = to_clean_utf8(c.form("type"));
  n.proposed_by = c.user();
  n.at = c.view.now;
  return n;
}

Html naming_card(const Context& c, std::string_view key, const std::vector<ClusterName>& names) {
  std::vector<Html> parts{e::h2(c.t("desk.naming.title"))};
  const ClusterName* open = nullptr;
  const ClusterName* live = nullptr;
  for (const auto& n : names) {
    if (n.undone_at.us != 0) continue;
    if (n.accepted_at.us == 0 && open == nullptr) open = &n;
    if (n.accepted_at.us != 0 && live == nullptr) live = &n;
  }
  auto words = [](const ClusterName& n) { return fmt::format("{}{}{}", n.vendor, n.vendor.empty() ? "" : " ", n.product); };
  if (live != nullptr) {
    parts.push_back(e::p(pill("ok", words(*live), "check"), " ", c.t("desk.naming.accepted", {{"by", live->proposed_by}, {"second", live->accepted_by}, {"at", when_text(c.view, live->accepted_at)}})));
    if (c.view.may("analyst") && c.parts.naming) parts.push_back(post_form(c.view, fmt::format("/cluster/{}/undo", to_url(key)), button(c.t("desk.naming.undo"), "d sm")));
  }
  if (open != nullptr) {
    parts.push_back(e::p(pill("warn", words(*open), "info"), " ", c.t("desk.naming.proposed", {{"by", open->proposed_by}, {"at", when_text(c.view, open->proposed_at)}})));
    if (open->proposed_by == c.user()) parts.push_back(e::p(cls("s m"), c.t("desk.naming.second_needed")));
    else if (c.view.may("analyst,approver") && c.parts.naming)
      parts.push_back(post_form(c.view, fmt::format("/cluster/{}/accept", to_url(key)),
                                http::join(e::input(attr("type", "hidden"), attr("name", "proposal"), attr("value", open->id)), button(c.t("desk.naming.accept"), "full"))));
  }
  if (live == nullptr && c.view.may("analyst") && c.parts.naming) {
    std::vector<std::pair<std::string, std::string>> options;
    for (auto t : types) options.emplace_back(std::string(t), std::string(t));
    parts.push_back(post_form(c.view, fmt::format("/cluster/{}/propose", to_url(key)),
                              http::join(field("vendor", c.t("desk.field.vendor"), text_input("vendor", c.form("vendor"), true, 80)),
                                         field("product", c.t("desk.field.product"), text_input("product", c.form("product"), true, 80)),
                                         field("type", c.t("desk.field.type"), choice("type", options, c.form("type"))),
                                         e::p(cls("s m"), c.t("desk.naming.rule")), button(c.t("desk.naming.propose"), "full"))));
  }
  return e::div(cls("card"), parts);
}

Result<std::string> cluster_param(const Context& c) {
  std::string key(c.request.param("key"));
  bool good = !key.empty() && key.size() <= 64;
  for (char ch : key) good = good && ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-');
  if (!good) return fail(Code::not_found, "there is no such cluster");
  return key;
}

}  // namespace

Answer clusters_page(Context& c) {
  NORA_TRY(auto counts, registry::count_clusters(c.registry));
  NORA_TRY(auto names, cluster_names(c.registry));
  NORA_TRY(const auto share, cases::unknown_share(c.registry));
  Table t{c.t("desk.clusters.title"), {c.t("desk.col.cluster"), ">" + c.t("desk.col.devices"), c.t("desk.col.proposal")}, {}};
  for (const auto& k : counts) {
    std::string proposal = "–";
    for (const auto& n : names) if (n.cluster == k.label && n.undone_at.us == 0) { proposal = n.vendor + " " + n.product; break; }
    t.rows.push_back({e::a(cls("mono"), href(c.view.url("/cluster/" + to_url(k.label))), k.label), http::text(group_digits(k.count)), http::text(proposal)});
  }
  Table named{c.t("desk.clusters.named"), {c.t("desk.col.cluster"), c.t("desk.col.device"), c.t("desk.col.proposed_by"), c.t("desk.col.accepted_by"), c.t("desk.col.at"), c.t("desk.col.state")}, {}};
  for (const auto& n : names)
    if (n.accepted_at.us != 0)
      named.rows.push_back({e::a(cls("mono"), href(c.view.url("/cluster/" + to_url(n.cluster))), n.cluster), http::text(n.vendor + " " + n.product), http::text(n.proposed_by), http::text(n.accepted_by),
                            when(c.view, n.accepted_at), n.undone_at.us != 0 ? pill("n", c.t("desk.naming.undone")) : pill("ok", c.t("desk.naming.live"), "check")});
  return http::Response::page(page(c.view, c.t("desk.clusters.title"), "clusters",
      http::join(e::h1(c.t("desk.clusters.title")),
                 e::p(c.t("desk.clusters.lead", {{"unknown", group_digits(share.unknown)}, {"all", group_digits(share.devices)}, {"share", percent(share.unknown, share.devices)}})),
                 table_or(t, c.t("desk.clusters.none")), named.rows.empty() ? Html{} : http::join(e::h2(c.t("desk.clusters.named")), table(named)))));
}

Answer cluster_page(Context& c) {
  NORA_TRY(auto key, cluster_param(c));
  NORA_CHECK(c.disclose("cluster", {{"cluster", key}}));
  registry::Filter filter;
  filter.cluster = key;
  filter.limit = compared;
  NORA_TRY(auto devices, registry::find_devices(c.registry, filter));
  NORA_TRY(auto names, cluster_names(c.registry, key));
  if (devices.empty() && names.empty()) return fail(Code::not_found, "there is no such cluster");
  NORA_TRY(auto counts, registry::count_clusters(c.registry));
  NORA_TRY(const auto share, cases::unknown_share(c.registry));
  std::vector<registry::Id> ids;
  for (const auto& d : devices) ids.push_back(d.device.id);
  NORA_TRY(auto replies, registry::replies_of(c.registry, ids, registry::max_page_rows));

  std::int64_t size = 0;
  for (const auto& k : counts) if (k.label == key) size = k.count;
  auto features = shared_features(replies);
  Table t{c.t("desk.cluster.shared"), {c.t("desk.col.feature"), c.t("desk.col.value"), ">" + c.t("desk.col.in_cluster")}, {}};
  std::vector<std::string> marks;
  const auto makers = makers_of(c.parts.knowledge);
  for (const auto& [feature, f] : features) {
    const auto named = identify::without_names(f.value, makers);
    auto value = named.size() > max_value_shown ? named.substr(0, max_value_shown) + "…" : named;
    t.rows.push_back({e::span(cls("mono"), feature), e::span(cls("mono"), value), http::text(percent(static_cast<std::int64_t>(f.count), static_cast<std::int64_t>(devices.size())))});
    if (f.count == devices.size()) marks.push_back(f.value);
  }
  std::vector<Html> cards;
  for (const auto& d : devices) {
    if (cards.size() >= examples) break;
    for (const auto& r : replies) {
      if (r.device != d.device.id || r.reply.bytes.empty()) continue;
      auto label = fmt::format("{}:{}/{} {}", r.where.ip.text(), r.where.port.value, name(r.where.proto), r.reply.protocol);
      cards.push_back(e::div(cls("card soft"), e::p(cls("s"), e::a(cls("mono"), href(c.view.url(host_path(r.where.ip))), r.where.ip.text()), " · ", fmt::format("{}/{} {}", r.where.port.value, name(r.where.proto), r.reply.protocol)),
                             banner(label, r.reply, parts_with(r.reply, marks), makers)));
      break;
    }
  }
  auto kpi = [](std::string_view value, std::string_view words) { return e::div(cls("card kpi"), e::b(value), e::span(words)); };
  auto main = http::join(
      e::p(cls("crumb"), link(c.view, "/clusters", c.t("desk.clusters.title")), " › ", key), e::h1(c.t("desk.cluster.question", {{"n", group_digits(size)}})),
      e::p(cls("m"), c.t("desk.cluster.effect", {{"now", percent(share.unknown, share.devices)}, {"then", percent(share.unknown - size, share.devices)}})),
      e::div(cls("side"),
             e::div(e::div(cls("g4"), kpi(group_digits(size), c.t("desk.col.devices")), kpi(std::to_string(features.size()), c.t("desk.cluster.features"))),
                    section("shared", c.t("desk.cluster.shared"), table_or(t, c.t("desk.no_rows"))),
                    e::h2(c.t("desk.cluster.examples")), e::div(cls("g2"), cards)),
             e::aside(attr("aria-label", c.t("desk.naming.title")), naming_card(c, key, names))));
  return http::Response::page(page(c.view, c.t("desk.cluster.title", {{"key", key}}), "clusters", main));
}

Answer cluster_propose(Context& c) {
  NORA_TRY(auto key, cluster_param(c));
  if (c.parts.naming == nullptr) return fail(Code::refused, "naming is switched off here");
  auto naming = naming_from(c, key);
  if (c.form("sure") != "1") {
    // First a look at what the name would do; the second press keeps the proposal.
    NORA_TRY(auto rules, c.parts.naming->preview(naming));
    std::vector<Html> lines;
    for (const auto& r : rules)
      lines.push_back(e::li(e::span(cls("mono"), fmt::format("{} ~ {}", r.key, r.pattern)), e::p(cls("s m"), c.t("desk.naming.also", {{"n", std::to_string(r.also.size())}}))));
    auto hidden = [&](std::string_view name, std::string_view value) { return e::input(attr("type", "hidden"), attr("name", name), attr("value", value)); };
    auto main = http::join(e::h1(c.t("desk.naming.preview", {{"name", naming.vendor + " " + naming.product}})), e::p(c.t("desk.naming.preview_lead")), e::ul(lines),
                           post_form(c.view, fmt::format("/cluster/{}/propose", to_url(key)),
                                     http::join(hidden("vendor", naming.vendor), hidden("product", naming.product), hidden("type", naming.type), hidden("sure", "1"),
                                                button(c.t("desk.naming.propose")))),
                           e::p(link(c.view, "/cluster/" + to_url(key), c.t("desk.back"))));
    return http::Response::page(page(c.view, c.t("desk.naming.title"), "clusters", main));
  }
  NORA_CHECK(c.parts.leaf("cluster_propose", {{"cluster", key}, {"vendor", naming.vendor}, {"product", naming.product}, {"who", c.user()}}));
  NORA_CHECK(c.parts.naming->propose(naming));
  return http::Response::see_other(c.view.url("/cluster/" + to_url(key)));
}

Answer cluster_accept(Context& c) {
  NORA_TRY(auto key, cluster_param(c));
  if (c.parts.naming == nullptr) return fail(Code::refused, "naming is switched off here");
  NORA_TRY(auto names, cluster_names(c.registry, key));
  auto wanted = c.form("proposal");
  for (const auto& n : names) {
    if (std::to_string(n.id) != wanted || n.accepted_at.us != 0 || n.undone_at.us != 0) continue;
    if (n.proposed_by == c.user()) return fail(Code::refused, c.t("desk.naming.second_needed"));
    NORA_CHECK(c.parts.leaf("cluster_accept", {{"cluster", key}, {"proposal", n.id}, {"who", c.user()}}));
    NORA_CHECK(c.parts.naming->accept(n.id, c.user()));
    return http::Response::see_other(c.view.url(fmt::format("/devices?vendor={}&product={}", to_url(n.vendor), to_url(n.product))));
  }
  return fail(Code::not_found, "there is no such proposal");
}

Answer cluster_undo(Context& c) {
  NORA_TRY(auto key, cluster_param(c));
  if (c.parts.naming == nullptr) return fail(Code::refused, "naming is switched off here");
  NORA_CHECK(c.parts.leaf("cluster_undo", {{"cluster", key}, {"who", c.user()}}));
  NORA_CHECK(c.parts.naming->undo(key, c.user()));
  return http::Response::see_other(c.view.url("/cluster/" + to_url(key)));
}

}  // namespace nora::desk
