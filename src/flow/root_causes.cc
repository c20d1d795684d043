#include "flow/root_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/escape.h"
#include "identify/words.h"
#include "registry/views.h"

namespace nora::flow {
namespace {

using registry::FindingRow;
using registry::Id;

// Keys that should be one unit's own. The same value at many sites was left there by somebody.
constexpr std::pair<std::string_view, std::string_view> unit_marks[] = {{"ssh.hostkey_sha256", "the same SSH host key"}, {"x509.key_sha256", "the same certificate key"}};
constexpr std::size_t replies_per_question = 2000;
constexpr std::size_t devices_per_question = 200;

struct SharedMark {
  std::string value, words;
  std::string subject;     // of the certificate, when it is one
};

// device -> its marks that others have too; also who names himself in the certificate.
Result<std::map<Id, std::vector<SharedMark>>> marks_of(registry::Registry& registry, const std::set<Id>& devices) {
  std::map<Id, std::vector<SharedMark>> out;
  const std::vector<Id> all(devices.begin(), devices.end());
  for (std::size_t i = 0; i < all.size(); i += devices_per_question) {
    const std::vector<Id> part(all.begin() + static_cast<std::ptrdiff_t>(i), all.begin() + static_cast<std::ptrdiff_t>(std::min(i + devices_per_question, all.size())));
    NORA_TRY(const auto replies, registry::replies_of(registry, part, replies_per_question));
    for (const auto& r : replies) {
      std::string subject;
      for (const auto& kv : r.reply.keys) if (kv.key == "x509.subject") subject = kv.value;
      for (const auto& kv : r.reply.keys)
        for (const auto& [key, words] : unit_marks)
          if (kv.key == key && kv.value.size() >= 8) {
            auto& mine = out[r.device];
            if (std::none_of(mine.begin(), mine.end(), [&](const auto& m) { return m.value == kv.value; }))
              mine.push_back({kv.value, std::string(words), key == "x509.key_sha256" ? subject : std::string()});
          }
    }
  }
  return out;
}

// What one event makes of a finding: +1 open, -1 no longer, 0 nothing.
int change_of(std::string_view kind, bool open) {
  if (kind == "found" || kind == "reopened") return open ? 0 : 1;
  if (kind == "fixed" || kind == "gone") return open ? -1 : 0;
  return 0;
}

std::string low(std::string_view text) { return identify::normal(text); }

}  // namespace

std::string_view name(Fixer f) {
  switch (f) {
    case Fixer::maker: return "maker";
    case Fixer::isp: return "isp";
    case Fixer::installer: return "installer";
    case Fixer::provider: return "provider";
  }
  return "";
}

CauseDay RootCause::before() const {
  CauseDay best{"", open};
  for (const auto& d : days) if (d.open >= best.open) best = d;
  return best;
}

Result<RootCauses> root_causes(registry::Registry& registry, const cases::Routes& routes, const Knowledge& knowledge, const CauseOptions& options) {
  RootCauses out;
  std::vector<FindingRow> rows;
  for (Id after = 0;;) {
    registry::Filter filter;
    filter.after = after;
    filter.limit = registry::max_page_rows;
    NORA_TRY(auto page, registry::find_findings(registry, filter));
    if (page.empty()) break;
    after = page.back().stored.finding.id;
    for (auto& r : page)
      if ((r.stored.finding.state == "open" || r.stored.finding.state == "fixed") && r.stored.finding.device != 0 && r.stored.finding.severity != registry::Severity::info)
        rows.push_back(std::move(r));
    if (rows.size() > max_cause_findings) { out.complete = false; break; }
  }
  const auto isp_of = [&](const FindingRow& r) -> std::string {
    if (!r.isp.empty()) return r.isp;
    const auto route = routes.route(r.stored.finding.where.ip, r.stored.finding.last_seen);
    return route && route->isp ? route->isp->id : "";
  };
  std::set<Id> devices;
  for (const auto& r : rows) devices.insert(r.stored.finding.device);
  NORA_TRY(const auto marks, marks_of(registry, devices));
  std::map<std::string, std::set<Ip>> mark_sites;
  std::map<std::string, std::map<std::string, std::set<Ip>>> product_sites;  // vendor|product|rule -> whose lines -> where
  std::set<std::string> all_isps;
  for (const auto& r : rows) {
    const auto& f = r.stored.finding;
    if (const auto it = marks.find(f.device); it != marks.end())
      for (const auto& m : it->second) mark_sites[m.value + "|" + f.rule].insert(f.where.ip);
    const auto isp = isp_of(r);
    if (!isp.empty()) all_isps.insert(isp);
    if (r.identity.product_known()) product_sites[low(r.identity.vendor.value) + "|" + low(r.identity.product.value) + "|" + f.rule][isp].insert(f.where.ip);
  }
  // A rental model: nearly all of one provider, and the survey covers more than one provider (else it would say so of every product).
  const auto rental_of = [&](const std::string& product) -> std::string {
    const auto it = product_sites.find(product);
    if (it == product_sites.end() || all_isps.size() < 2) return "";
    std::size_t all = 0, most = 0;
    std::string isp;
    for (const auto& [id, sites] : it->second) {
      all += sites.size();
      if (!id.empty() && sites.size() > most) most = sites.size(), isp = id;
    }
    return most >= static_cast<std::size_t>(options.min_sites) && static_cast<double>(most) >= options.rental_share * static_cast<double>(all) ? isp : "";
  };

  std::map<std::string, RootCause> groups;
  std::map<std::string, std::set<Ip>> sites;
  std::map<std::string, std::set<std::string>> firmwares, isps;
  for (const auto& r : rows) {
    const auto& f = r.stored.finding;
    const auto isp = isp_of(r);
    const auto vendor = low(r.identity.vendor.value), product = low(r.identity.product.value);
    const bool known = r.identity.product_known();
    RootCause c;
    c.rule = f.rule;
    c.vendor = known ? r.identity.vendor.value : "";
    c.product = known ? r.identity.product.value : "";
    const SharedMark* shared = nullptr;
    if (const auto it = marks.find(f.device); it != marks.end())
      for (const auto& m : it->second) {
        const auto here = mark_sites[m.value + "|" + f.rule].size();
        if (static_cast<std::int64_t>(here) >= options.min_sites && (shared == nullptr || here > mark_sites[shared->value + "|" + f.rule].size())) shared = &m;
      }
    const auto* rule = knowledge.exposures.find(f.rule);
    if (shared != nullptr) {
      // A certificate that names the maker came with the device; otherwise whoever set the devices up left it there.
      const bool makers = known && !vendor.empty() && (identify::covers(shared->subject, r.identity.vendor.value) || low(shared->subject).find(vendor) != std::string::npos);
      c.fixer = makers ? Fixer::maker : Fixer::installer;
      c.who = makers ? r.identity.vendor.value : to_clean_utf8(shared->subject);
      c.key = fmt::format("{}|{}|{}", name(c.fixer), shared->value.substr(0, 16), f.rule);
      c.why = fmt::format("{} at many sites{}", shared->words, makers ? ", and it names the maker" : ": whoever set them up left it there");
    } else if (f.rule == "cwmp-open" && !isp.empty()) {
      c.fixer = Fixer::provider;
      c.who = isp;
      c.key = fmt::format("provider|{}|{}", isp, f.rule);
      c.why = "the maintenance port belongs to the provider, who can close it in all devices at once";
    } else if (known) {
      const auto rental = rental_of(vendor + "|" + product + "|" + f.rule);
      if (!rental.empty() && rental == isp) {
        c.fixer = Fixer::isp;
        c.who = isp;
        c.key = fmt::format("isp|{}|{}|{}|{}", isp, vendor, product, f.rule);
        c.why = "nearly all of these stand in the lines of one provider: probably a model that it rents out";
      } else {
        c.fixer = Fixer::maker;
        c.who = r.identity.vendor.value;
        c.key = fmt::format("maker|{}|{}|{}", vendor, product, f.rule);
        c.why = "the same product shows the same issue in many homes: it is delivered that way, or its firmware makes it so";
      }
    } else if (!r.cluster.empty() && rule != nullptr) {
      c.fixer = Fixer::maker;
      c.key = fmt::format("cluster|{}|{}", r.cluster.substr(0, 32), f.rule);
      c.why = "devices that answer alike show the same issue; their product has no name yet";
    } else {
      continue;
    }
    auto& g = groups.try_emplace(c.key, c).first->second;
    if (g.findings.size() < max_cause_ids) g.findings.push_back(f.id);
    f.state == "open" ? ++g.open : ++g.fixed;
    sites[c.key].insert(f.where.ip);
    if (!r.identity.firmware.value.empty()) firmwares[c.key].insert(r.identity.firmware.value);
    else firmwares[c.key].insert("");
    if (!isp.empty()) isps[c.key].insert(isp);
    // An installer serves many products: the group names one only when all have it.
    if (g.product != c.product) g.product.clear(), g.vendor.clear();
  }
  for (auto& [key, g] : groups) {
    g.sites = static_cast<std::int64_t>(sites[key].size());
    if (g.sites < options.min_sites) continue;
    g.isps.assign(isps[key].begin(), isps[key].end());
    if (firmwares[key].size() == 1) g.firmware = *firmwares[key].begin();
    std::map<std::string, std::int64_t> day_change;
    for (const Id id : g.findings) {
      NORA_TRY(const auto events, registry.finding_events(id));
      bool open = false;
      for (const auto& e : events) {
        int change = change_of(e.kind, open);
        // "the evidence no longer means this" withdraws, "the rules found it again" brings back: the state tells which.
        if (e.kind == "rules_changed") change = open ? -1 : 1;
        if (change == 0) continue;
        open = change > 0;
        day_change[e.at.date()] += change;
      }
    }
    std::int64_t now_open = 0;
    for (const auto& [date, change] : day_change) {
      now_open += change;
      if (g.days.empty() || g.days.back().open != now_open) g.days.push_back({date, now_open});
    }
    out.causes.push_back(std::move(g));
  }
  std::sort(out.causes.begin(), out.causes.end(), [](const RootCause& a, const RootCause& b) { return a.open != b.open ? a.open > b.open : a.key < b.key; });
  return out;
}

std::string request_text(const RootCause& c, const Messages& messages, Lang lang) {
  const auto issue_id = "exposure." + c.rule + ".title";
  const auto issue = messages.has(lang, issue_id) ? messages.get(lang, issue_id) : c.rule;
  auto product = c.product.starts_with(c.vendor) ? c.product : c.vendor + " " + c.product;
  if (c.product.empty()) product = messages.get(lang, "causes.some_device");
  if (!c.firmware.empty()) product += " (" + c.firmware + ")";
  const auto before = c.before();
  return messages.get(lang, fmt::format("causes.request.{}", name(c.fixer)),
                      {{"product", to_mail_body(product)}, {"issue", issue}, {"sites", std::to_string(c.sites)}, {"open", std::to_string(c.open)},
                       {"before", std::to_string(before.open)}, {"since", before.date.empty() ? "-" : before.date}, {"who", to_mail_body(c.who)}});
}

}  // namespace nora::flow
