#include "flow/vulns.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/crypto.h"
#include "base/escape.h"
#include "base/files.h"
#include "expose/csaf.h"

namespace nora::flow {
namespace {

constexpr std::size_t devices_per_round = 5000;
constexpr std::size_t max_cached_records = 50'000;      // CVEs whose records are kept parsed
constexpr std::size_t max_cached_identities = 50'000;
constexpr std::size_t max_warnings = 20;                // per file

using expose::Verdict;
using expose::Vulnerability;

Instant newest(const std::vector<Vulnerability>& records) {
  Instant out{};
  for (const auto& r : records)
    if (const auto t = Instant::parse(r.modified)) out = std::max(out, *t);
  return out;
}

// Records of the sources grouped by their own id. `modified`: of the record, or of the whole file where records carry none.
std::vector<registry::VulnRecord> grouped(const std::vector<Vulnerability>& list, Instant of_file) {
  std::map<std::string, registry::VulnRecord> by_record;
  for (const auto& v : list) {
    const auto id = to_clean_utf8(v.record);
    auto& r = by_record[id];
    r.record = id;
    const auto modified = Instant::parse(v.modified).value_or(of_file);
    if (!r.items.empty() && modified < r.modified) continue;  // the same record twice in one file: the newer one
    if (modified > r.modified) {
      if (!r.items.empty() && r.modified != Instant{}) r.items.clear();
      r.modified = modified;
    }
    auto copy = v;
    copy.id = to_clean_utf8(v.id);
    copy.record = id;
    r.items.push_back({copy.id, json::text(to_json(copy)), index_keys(copy)});
  }
  std::vector<registry::VulnRecord> out;
  for (auto& [id, r] : by_record) out.push_back(std::move(r));
  return out;
}

void add(registry::VulnCounts& to, const registry::VulnCounts& c) {
  to.records += c.records;
  to.added += c.added;
  to.changed += c.changed;
  to.same += c.same;
  to.older += c.older;
  to.removed += c.removed;
}

registry::Identity identity_of(std::string_view vendor, std::string_view product) {
  registry::Identity out;
  out.vendor = {std::string(vendor), 1, {}};
  out.product = {std::string(product), 1, {}};
  return out;
}

}  // namespace

// What was judged of one identity. Rows and urgency also depend on what is exposed; they are kept per set of exposures.
struct Vulnerabilities::Judged {
  struct Row {
    std::string cve, source, reason;
    expose::PriorityInput input;                          // without exposures
  };
  std::vector<Row> rows;                                  // what concerns it
  SupportEnd support;
  std::map<std::string, std::vector<registry::DeviceVulnRow>> by_exposures;
  std::map<std::string, registry::Urgency> by_exposure;   // of a finding
};

// One round of reassess(): what is to be stored of devices [from, to].
struct Vulnerabilities::Round {
  std::map<registry::Id, std::vector<registry::DeviceVulnRow>> rows;
  std::map<registry::Id, std::int64_t> devices;           // their priority, where it changed
  std::map<registry::Id, registry::Urgency> findings;     // likewise
  std::map<std::int64_t, std::string> texts;
  std::set<std::int64_t>& texts_put;                      // of all rounds
  std::set<std::string> &identities, &cves;
  std::int64_t text(const std::string& words) {
    const auto key = registry::Vulns::text_key(words);
    if (texts_put.insert(key).second) texts.emplace(key, words);
    return key;
  }
};

Vulnerabilities::Vulnerabilities(Env env, registry::Registry& registry, const expose::CpeNames& names, const expose::Knowledge& products)
    : env_(env), registry_(registry), vulns_(registry.db()), names_(names), products_(products) {}

Result<VulnImport> Vulnerabilities::import(std::string_view source, const std::filesystem::path& file) {
  const auto in_file = [&](const Error& e) { return fail(e.code, fmt::format("{}: {}", file.filename().string(), e.what), e.fix); };
  VulnImport out{std::string(source), file.filename().string(), {}, {}, false, {}};
  NORA_TRY(const auto text, read_file(file, expose::max_import_bytes));
  if (text.starts_with("\x1f\x8b")) return fail(Code::bad_input, out.file + " is still compressed", "gunzip it first");
  std::vector<registry::VulnRecord> records;
  std::vector<registry::EpssRow> scores;
  std::vector<expose::SupportCycle> cycles;
  std::set<std::string> whole_catalogue;
  if (source == "kev") {
    const auto kev = expose::parse_kev(text);
    if (!kev) return in_file(kev.error());
    NORA_TRY(out.data_at, Instant::parse(kev->released));
    records = grouped(kev->records, out.data_at);
    for (const auto& r : records) whole_catalogue.insert(r.record);
  } else if (source == "nvd" || source == "jvn") {
    const auto list = source == "nvd" ? expose::parse_nvd(text) : expose::parse_jvn(text);
    if (!list) return in_file(list.error());
    out.data_at = newest(*list);
    records = grouped(*list, out.data_at);
  } else if (source == "csaf") {
    const auto document = expose::parse_csaf(text, out.file);
    if (!document) return in_file(document.error());
    NORA_TRY(out.data_at, Instant::parse(document->released));
    records = grouped(document->records, out.data_at);
    // Another publisher may use the same tracking id.
    for (auto& r : records) r.record = to_clean_utf8(document->publisher) + " " + r.record;
    for (const auto& w : document->warnings) {
      if (out.warnings.size() < max_warnings) out.warnings.push_back(w.text());
      else if (out.warnings.size() == max_warnings) out.warnings.push_back(fmt::format("and {} more", document->warnings.size() - max_warnings));
    }
  } else if (source == "epss") {
    const auto table = expose::parse_epss(text);
    if (!table) return in_file(table.error());
    NORA_TRY(out.data_at, Instant::parse(table->date));
    for (const auto& r : table->rows) scores.push_back({r.cve, r.score, r.percentile, out.data_at});
  } else if (source == "eol") {
    auto list = expose::parse_eol(text, file.stem().string());
    if (!list) return in_file(list.error());
    cycles = std::move(*list);
    out.data_at = env_.clock.now();  // the data carries no day
  } else {
    return fail(Code::usage, fmt::format("no source \"{}\"", source), "kev, nvd, epss, jvn, csaf or eol");
  }
  // A source that publishes everything at once: an older file must not take back what a newer one said.
  if (source == "kev" || source == "epss") {
    NORA_TRY(const auto stored, vulns_.data_at(source));
    if (stored && *stored > out.data_at) {
      out.outdated = true;
      return out;
    }
  }
  NORA_CHECK(registry_.db().transaction([&]() -> Status {
    if (source == "epss") { NORA_TRY(out.counts, vulns_.put_epss(scores)); }
    else if (source == "eol") {
      std::map<std::string, std::vector<registry::SupportRow>> by_product;
      for (const auto& c : cycles) by_product[c.product].push_back({c.product, c.cycle, c.eol, c.support, c.latest});
      for (const auto& [product, rows] : by_product) {
        NORA_TRY(const auto counts, vulns_.put_support(product, rows));
        add(out.counts, counts);
      }
    } else {
      NORA_TRY(out.counts, vulns_.put(source, records));
      if (source == "kev") { NORA_TRY(out.counts.removed, vulns_.remove_others(source, whole_catalogue)); }
    }
    const auto changed = out.counts.added + out.counts.changed + out.counts.removed;
    return vulns_.note_import({0, out.source, out.file, sha256(as_bytes(text)), out.data_at, out.counts.records, changed, env_.clock.now()});
  }));
  records_.clear();
  epss_.clear();
  identities_.clear();
  return out;
}

Result<std::vector<std::string>> Vulnerabilities::candidates(std::span<const expose::DeviceFact> facts) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const auto& f : facts) names.emplace_back(f.vendor, f.product);
  NORA_TRY(const auto cves, vulns_.cves_of(names));
  std::set<std::string> missing;
  if (records_.size() > max_cached_records) {
    records_.clear();
    epss_.clear();
  }
  for (const auto& cve : cves) if (!records_.contains(cve)) missing.insert(cve);
  NORA_TRY(const auto docs, vulns_.docs_of(missing));
  for (const auto& [cve, list] : docs) {
    auto& records = records_[cve];
    for (const auto& doc : list) {
      NORA_TRY(const auto object, json::parse_object(doc));
      auto v = expose::vulnerability_from(object);
      if (!v) return fail(v.error().code, fmt::format("the stored record of {} cannot be read: {}", cve, v.error().what));
      records.push_back(std::move(*v));
    }
  }
  NORA_TRY(const auto scores, vulns_.epss_of(missing));
  for (const auto& [cve, row] : scores) epss_[cve] = {row.score, row.percentile, row.day.date()};
  return std::vector<std::string>(cves.begin(), cves.end());
}

Result<SupportEnd> Vulnerabilities::support_end(std::string_view vendor, std::string_view product, std::string_view firmware) {
  SupportEnd out;
  const auto today = env_.clock.now().date();
  const auto say = [&](const std::string& end) {
    if (end.empty()) return;
    const bool ended = end == "ended" || (end != "supported" && end <= today);
    if (out.ended.value_or(false) && !ended) return;  // the worse of two sources
    out.ended = ended;
    out.end = end == "supported" ? "" : end;
  };
  if (const auto* p = products_.product_of(identity_of(vendor, product))) say(p->support_end);
  if (const auto* alias = names_.support_alias(vendor, product)) {
    NORA_TRY(const auto rows, vulns_.support_of(alias->id));
    std::vector<expose::SupportCycle> cycles;
    for (const auto& r : rows) cycles.push_back({r.product, r.cycle, r.eol, r.support, r.latest});
    if (const auto* cycle = expose::cycle_of(cycles, firmware)) say(cycle->eol);
  }
  return out;
}

Result<std::vector<VulnAnswer>> Vulnerabilities::about(const VulnSubject& subject, const std::vector<expose::OpenExposure>& exposures, bool everything) {
  const auto facts = names_.facts(subject.vendor, subject.product, subject.firmware, subject.cpes, subject.components);
  NORA_TRY(const auto cves, candidates(facts));
  NORA_TRY(const auto support, support_end(subject.vendor, subject.product, subject.firmware));
  std::vector<VulnAnswer> out;
  for (const auto& cve : cves) {
    const auto& records = records_[cve];
    VulnAnswer a;
    a.judgement = expose::judge(records, facts);
    if (a.judgement.verdict == Verdict::not_affected && !everything) continue;
    a.cve = cve;
    a.title_en = expose::title_of(records, false);
    a.title_ja = expose::title_of(records, true);
    if (const auto* c = expose::cvss_of(records)) a.cvss = *c;
    if (const auto* k = expose::kev_of(records)) a.kev = *k;
    if (const auto it = epss_.find(cve); it != epss_.end()) a.epss = it->second;
    for (const auto& r : records) {
      if (std::find(a.sources.begin(), a.sources.end(), r.source) == a.sources.end()) a.sources.push_back(r.source);
      for (const auto& url : r.references) if (std::find(a.references.begin(), a.references.end(), url) == a.references.end()) a.references.push_back(url);
      for (const auto& text : r.remedies) if (std::find(a.remedies.begin(), a.remedies.end(), text) == a.remedies.end()) a.remedies.push_back(text);
    }
    a.priority = expose::priority_of({a.judgement.verdict, exposures, a.kev.has_value(), a.kev && a.kev->ransomware, a.kev ? a.kev->date_added : std::string(), a.epss, support.ended, support.end,
                                      a.judgement.doubt, cve});
    out.push_back(std::move(a));
  }
  std::stable_sort(out.begin(), out.end(), [](const VulnAnswer& a, const VulnAnswer& b) { return a.priority.score != b.priority.score ? a.priority.score > b.priority.score : a.cve < b.cve; });
  return out;
}

Result<Vulnerabilities::Judged*> Vulnerabilities::judged(const registry::DeviceName& d) {
  // A product that is not strong evidence is not used: a wrong "affected" is worse than none.
  const bool named = d.product_known && !d.vendor.empty();
  const std::string key = named ? d.vendor + "\x1f" + d.product + "\x1f" + d.firmware + "\x1f" + d.cpes : std::string();
  if (const auto it = identities_.find(key); it != identities_.end()) return it->second.get();
  if (identities_.size() >= max_cached_identities) identities_.clear();
  Judged j;
  if (named) {
    std::vector<std::string> cpes, components;
    NORA_CHECK(registry::Vulns::names_in(d, cpes, components));
    const auto facts = names_.facts(d.vendor, d.product, d.firmware, cpes, components);
    NORA_TRY(const auto cves, candidates(facts));
    NORA_TRY(j.support, support_end(d.vendor, d.product, d.firmware));
    std::vector<std::pair<int, Judged::Row>> of_components;
    for (const auto& cve : cves) {
      const auto& records = records_[cve];
      auto judgement = expose::judge(records, facts);
      if (judgement.verdict == Verdict::not_affected) continue;
      Judged::Row row{cve, judgement.source, std::move(judgement.reason), {}};
      auto& in = row.input;
      in.verdict = judgement.verdict;
      in.doubt = judgement.doubt;
      in.support_ended = j.support.ended;
      in.support_end = j.support.end;
      if (const auto* k = expose::kev_of(records)) {
        in.kev = true;
        in.ransomware = k->ransomware;
        in.kev_since = k->date_added;
      }
      if (const auto it = epss_.find(cve); it != epss_.end()) in.epss = it->second;
      if (judgement.doubt == expose::Doubt::component) of_components.emplace_back(expose::priority_of(in).score, std::move(row));
      else j.rows.push_back(std::move(row));
    }
    // An old web server has a hundred of them, none of them sure.
    std::stable_sort(of_components.begin(), of_components.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    if (of_components.size() > max_component_rows) of_components.resize(max_component_rows);
    for (auto& [score, row] : of_components) j.rows.push_back(std::move(row));
  }
  return identities_.emplace(key, std::make_shared<Judged>(std::move(j))).first->second.get();
}

Status Vulnerabilities::judge_device(const registry::DeviceName& d, const std::vector<registry::DeviceExposure>& open, Round& round, VulnReassessed& out) {
  NORA_TRY(auto* found, judged(d));
  if (d.product_known && !d.vendor.empty()) {
    ++out.named;
    round.identities.insert(d.vendor + "\x1f" + d.product + "\x1f" + d.firmware + "\x1f" + d.cpes);
  }
  std::vector<expose::OpenExposure> exposures;
  std::string key;
  for (const auto& e : open) {
    const auto part = fmt::format("{}{};", e.pattern, e.rule);
    if (!exposures.empty() && key.ends_with(part)) continue;  // the same on another port
    exposures.push_back({static_cast<registry::Pattern>(e.pattern), e.rule});
    key += part;
  }
  std::int64_t most = 0;
  if (!found->rows.empty()) {
    auto& rows = found->by_exposures[key];
    if (rows.empty()) {
      for (const auto& r : found->rows) {
        auto in = r.input;
        in.exposures = exposures;
        rows.push_back({r.cve, static_cast<int>(*in.verdict), r.source, round.text(r.reason), round.text(json::text(to_json(in))), expose::priority_of(in).score});
        round.cves.insert(r.cve);
      }
    }
    for (const auto& r : rows) {
      ++(static_cast<Verdict>(r.verdict) == Verdict::affected_by_version ? out.affected : out.possibly);
      most = std::max(most, r.priority);
    }
    round.rows[d.id] = rows;
  }
  for (const auto& e : open) {
    auto [it, fresh] = found->by_exposure.try_emplace(fmt::format("{}{}", e.pattern, e.rule));
    if (fresh) {
      expose::PriorityInput worst;  // nothing known: the exposure alone
      worst.verdict = std::nullopt;
      worst.support_ended = found->support.ended;
      worst.support_end = found->support.end;
      worst.exposures = {{static_cast<registry::Pattern>(e.pattern), e.rule}};
      auto priority = expose::priority_of(worst).score;
      for (const auto& r : found->rows) {
        auto in = r.input;
        in.exposures = worst.exposures;
        in.cve = r.cve;
        const auto score = expose::priority_of(in).score;
        if (score < priority || (score == priority && worst.verdict)) continue;
        priority = score;
        worst = std::move(in);
      }
      it->second = {priority, round.text(json::text(to_json(worst)))};
    }
    if (it->second.priority != e.priority || it->second.why != e.why) round.findings[e.finding] = it->second;
    most = std::max(most, it->second.priority);
  }
  if (most != d.priority) round.devices[d.id] = most;
  return {};
}

Result<VulnReassessed> Vulnerabilities::reassess() {
  VulnReassessed out;
  identities_.clear();
  std::set<std::int64_t> texts_put;
  std::set<std::string> identities_seen, cves_seen;
  const auto now = env_.clock.now();
  registry::Id after = 0;
  for (bool more = true; more;) {
    NORA_TRY(const auto devices, vulns_.devices(after, devices_per_round));
    more = devices.size() == devices_per_round;
    // The last round also covers what lies behind the last device: rows of devices that are gone.
    const registry::Id to = more ? devices.back().id : std::numeric_limits<registry::Id>::max();
    NORA_TRY(const auto open, vulns_.exposures(after + 1, to));
    std::map<registry::Id, std::vector<registry::DeviceExposure>> exposed;
    for (const auto& e : open) exposed[e.device].push_back(e);
    Round round{{}, {}, {}, {}, texts_put, identities_seen, cves_seen};
    const std::vector<registry::DeviceExposure> nothing;
    for (const auto& d : devices) {
      ++out.devices;
      const auto it = exposed.find(d.id);
      NORA_CHECK(judge_device(d, it == exposed.end() ? nothing : it->second, round, out));
    }
    registry::DeviceVulnCounts counts;
    NORA_CHECK(registry_.db().transaction([&]() -> Status {
      NORA_CHECK(vulns_.put_texts(round.texts));
      NORA_TRY(counts, vulns_.put_device_vulns(after + 1, to, round.rows, now));
      return vulns_.put_urgency(after + 1, to, round.devices, round.findings);
    }));
    out.devices_changed += counts.devices_changed;
    out.rows_added += counts.rows_added;
    out.rows_removed += counts.rows_removed;
    after = to;
  }
  out.identities = static_cast<std::int64_t>(identities_seen.size());
  out.cves = static_cast<std::int64_t>(cves_seen.size());
  return out;
}

}  // namespace nora::flow
