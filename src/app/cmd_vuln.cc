// `nora vuln import|for|reassess|imports`: vulnerability data of public sources, and which of it concerns a product or a stored device.
// Reads files that the operator fetched; Nora asks no network. What the words mean: docs/vulnerabilities.md.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/text.h"
#include "flow/vulns.h"

namespace nora::app {
namespace {

constexpr std::size_t max_shown_bytes = 300;

struct Options {
  std::string store = "sqlite:center/nora.db", data, source, product, vendor, firmware, cpe;
  std::vector<std::string> files;
  registry::Id device = 0;
  bool no_reassess = false, all = false;
  std::size_t limit = 20;
};

// Everything that a command works on; opened together.
struct Desk {
  expose::CpeNames names;
  expose::Knowledge products;
  registry::Registry store;
};
Result<std::unique_ptr<Desk>> open(const Options& o) {
  const std::string data = o.data.empty() ? data_dir() : o.data;
  NORA_TRY(auto names, expose::CpeNames::load(data + "/products/cpe_aliases.toml"));
  NORA_TRY(auto products, expose::Knowledge::load(data + "/products", data + "/advice"));
  NORA_TRY(auto store, registry::Registry::open(o.store));
  return std::make_unique<Desk>(Desk{std::move(names), std::move(products), std::move(store)});
}

long long n(std::int64_t v) { return static_cast<long long>(v); }

void print_reassessed(const Run& run, const flow::VulnReassessed& r) {
  if (run.json) {
    std::printf("%s\n", json::text(json::Object{{"kind", "reassessed"}, {"devices", r.devices}, {"named", r.named}, {"identities", r.identities}, {"cves", r.cves}, {"affected", r.affected},
                                                {"possibly", r.possibly}, {"devices_changed", r.devices_changed}, {"rows_added", r.rows_added}, {"rows_removed", r.rows_removed}}).c_str());
    return;
  }
  std::printf("%lld devices judged again (%lld with a known product, %lld distinct): %lld affected according to a source, %lld possibly; %lld devices changed\n", n(r.devices), n(r.named),
              n(r.identities), n(r.affected), n(r.possibly), n(r.devices_changed));
}

Result<int> import(Run& run, const Options& o) {
  NORA_TRY(auto desk, open(o));
  flow::Vulnerabilities vulns(run.env, desk->store, desk->names, desk->products);
  for (const auto& file : o.files) {
    NORA_TRY(const auto r, vulns.import(o.source, file));
    const auto& c = r.counts;
    if (run.json) {
      json::Array warnings;
      for (const auto& w : r.warnings) warnings.emplace_back(to_clean_utf8(w));
      std::printf("%s\n", json::text(json::Object{{"kind", "import"}, {"source", r.source}, {"file", to_clean_utf8(r.file)}, {"data_at", r.data_at.text()}, {"outdated", r.outdated},
                                                  {"records", c.records}, {"added", c.added}, {"changed", c.changed}, {"same", c.same}, {"older", c.older}, {"removed", c.removed},
                                                  {"warnings", std::move(warnings)}}).c_str());
      continue;
    }
    if (r.outdated) {
      std::printf("%s: of %s, older than what is stored; nothing changed\n", to_terminal(r.file).c_str(), r.data_at.date().c_str());
      continue;
    }
    std::printf("%s: %lld records of %s: %lld new, %lld changed, %lld the same, %lld older than stored, %lld removed\n", to_terminal(r.file).c_str(), n(c.records), r.data_at.date().c_str(),
                n(c.added), n(c.changed), n(c.same), n(c.older), n(c.removed));
    for (const auto& w : r.warnings) std::printf("  warning: %s\n", to_terminal(w).c_str());
  }
  if (o.no_reassess) return 0;
  NORA_TRY(const auto counts, vulns.reassess());
  print_reassessed(run, counts);
  return 0;
}

Result<int> reassess(Run& run, const Options& o) {
  NORA_TRY(auto desk, open(o));
  flow::Vulnerabilities vulns(run.env, desk->store, desk->names, desk->products);
  NORA_TRY(const auto counts, vulns.reassess());
  print_reassessed(run, counts);
  return 0;
}

// "NEC Platforms Aterm WG1200HP4": the longest vendor that the tables know, else the first word.
std::pair<std::string, std::string> split_name(const Desk& desk, const std::string& name) {
  std::size_t best = std::min(name.find(' '), name.size());
  bool known = false;
  const auto consider = [&](const std::string& vendor) {
    if (vendor.size() >= name.size() || name[vendor.size()] != ' ' || (known && vendor.size() <= best)) return;
    if (expose::cpe_normal(name.substr(0, vendor.size())) != expose::cpe_normal(vendor)) return;
    best = vendor.size();
    known = true;
  };
  for (const auto& p : desk.products.products()) consider(p.vendor);
  for (const auto& a : desk.names.all()) consider(a.vendor);
  return {name.substr(0, best), best < name.size() ? name.substr(best + 1) : std::string()};
}

json::Object to_json(const flow::VulnAnswer& a) {
  const auto list = [](const std::vector<std::string>& texts) {
    json::Array out;
    for (const auto& t : texts) out.emplace_back(to_clean_utf8(t));
    return out;
  };
  json::Object o{{"cve", to_clean_utf8(a.cve)}, {"verdict", expose::name(a.judgement.verdict)}, {"reason", to_clean_utf8(a.judgement.reason)}, {"source", a.judgement.source},
                 {"priority", a.priority.score}, {"level", a.priority.level}, {"priority_words", a.priority.words}, {"title_en", to_clean_utf8(a.title_en)},
                 {"title_ja", to_clean_utf8(a.title_ja)}, {"sources", list(a.sources)}, {"references", list(a.references)}, {"remedies", list(a.remedies)}};
  o["cvss"] = a.cvss ? json::Value(json::Object{{"version", to_clean_utf8(a.cvss->version)}, {"score", a.cvss->score}, {"vector", to_clean_utf8(a.cvss->vector)}}) : json::Value(nullptr);
  o["kev"] = a.kev ? json::Value(json::Object{{"date_added", to_clean_utf8(a.kev->date_added)}, {"due_date", to_clean_utf8(a.kev->due_date)}, {"ransomware", a.kev->ransomware}}) : json::Value(nullptr);
  o["epss"] = a.epss ? json::Value(json::Object{{"score", a.epss->score}, {"percentile", a.epss->percentile}, {"date", a.epss->date}}) : json::Value(nullptr);
  return o;
}

Result<int> answer(Run& run, const Options& o) {
  const int asked = !o.product.empty() + !o.cpe.empty() + (o.device != 0);
  if (asked != 1) return fail(Code::usage, "say what to look at", "exactly one of --product, --cpe and --device");
  NORA_TRY(auto desk, open(o));
  flow::Vulnerabilities vulns(run.env, desk->store, desk->names, desk->products);
  registry::Vulns stored(desk->store.db());
  flow::VulnSubject subject;
  auto& [vendor, product, firmware, cpes, components] = subject;
  firmware = o.firmware;
  std::vector<expose::OpenExposure> exposures;
  std::map<std::string, Instant> since;
  if (o.device != 0) {
    NORA_TRY(const auto device, desk->store.device(o.device));
    if (!device) return fail(Code::not_found, fmt::format("no device {}", o.device));
    if (!device->identity.product_known()) return fail(Code::not_found, fmt::format("the product of device {} is not known well enough to look for vulnerabilities", o.device));
    vendor = device->identity.vendor.value;
    product = device->identity.product.value;
    cpes = device->identity.cpes;
    components = device->identity.components;
    if (firmware.empty()) firmware = device->identity.firmware.value;
    NORA_TRY(const auto open_findings, stored.exposures(o.device, o.device));
    for (const auto& e : open_findings) exposures.push_back({static_cast<registry::Pattern>(e.pattern), e.rule});
    NORA_TRY(const auto rows, stored.of_device(o.device));
    for (const auto& r : rows) since[r.cve] = r.at;
  } else if (!o.cpe.empty()) {
    NORA_CHECK(expose::Cpe::parse(o.cpe));
    cpes.push_back(o.cpe);
  } else if (!o.vendor.empty()) {
    vendor = o.vendor;
    product = o.product;
  } else {
    std::tie(vendor, product) = split_name(*desk, o.product);
    if (product.empty()) return fail(Code::usage, "\"" + o.product + "\" is one word", "--product \"Vendor Product\", or --vendor V --product P");
  }
  NORA_TRY(const auto answers, vulns.about(subject, exposures, o.all));
  NORA_TRY(const auto support, vulns.support_end(vendor, product, firmware));
  NORA_TRY(const auto counts, stored.record_counts());
  if (run.json) {
    for (const auto& a : answers) {
      auto line = to_json(a);
      if (o.device != 0) line["device"] = o.device;
      if (const auto it = since.find(a.cve); it != since.end()) line["since"] = it->second.text();
      std::printf("%s\n", json::text(line).c_str());
    }
    return 0;
  }
  const std::string name = o.cpe.empty() ? vendor + " " + product : o.cpe;
  std::printf("%s%s\n", to_terminal(name).c_str(), firmware.empty() ? ", firmware not known" : (", firmware " + to_terminal(firmware)).c_str());
  std::printf("end of support: %s\n", !support.ended ? "not known" : *support.ended ? ("ended " + support.end).c_str() : support.end.empty() ? "supported" : support.end.c_str());
  if (counts.empty()) std::printf("no vulnerability data has been imported: see nora vuln import\n");
  else if (answers.empty()) std::printf("no source names this product%s; that is no proof that it is safe\n", firmware.empty() ? "" : " at this version");
  for (const auto& a : answers) {
    const auto& title = a.title_ja.empty() ? a.title_en : a.title_ja;
    std::printf("%s  priority %d (%s)%s%s\n", to_terminal(a.cve).c_str(), a.priority.score, std::string(a.priority.level).c_str(), a.cvss ? fmt::format("  CVSS {:.1f}", a.cvss->score).c_str() : "",
                a.kev ? "  KEV" : "");
    if (!title.empty()) std::printf("  %s\n", to_terminal(shortened(title, max_shown_bytes)).c_str());
    std::printf("  %s\n  %s\n", to_terminal(a.judgement.reason).c_str(), to_terminal(a.priority.words).c_str());
    for (const auto& r : a.remedies) std::printf("  what to do: %s\n", to_terminal(shortened(r, max_shown_bytes)).c_str());
  }
  return 0;
}

Result<int> imports(Run& run, const Options& o) {
  NORA_TRY(auto store, registry::Registry::open(o.store));
  NORA_TRY(const auto list, registry::Vulns(store.db()).imports(o.limit));
  for (const auto& i : list) {
    if (run.json)
      std::printf("%s\n", json::text(json::Object{{"source", i.source}, {"file", to_clean_utf8(i.file)}, {"sha256", to_hex(i.file_hash)}, {"data_at", i.data_at.text()}, {"records", i.records},
                                                  {"changed", i.changed}, {"at", i.at.text()}}).c_str());
    else
      std::printf("%s  %-5s %-40s data of %s, %lld records, %lld changed\n", i.at.text().substr(0, 19).c_str(), i.source.c_str(), to_terminal(i.file).c_str(), i.data_at.date().c_str(),
                  n(i.records), n(i.changed));
  }
  return 0;
}

}  // namespace

void add_vuln(CLI::App& root, Run& run) {
  auto* vuln = root.add_subcommand("vuln", "Vulnerabilities that public sources tell of, and which devices they concern");
  vuln->require_subcommand(1);
  auto o = std::make_shared<Options>();
  const auto common = [&](CLI::App* c) {
    with_json(c, run)->add_option("--store", o->store, "the center's store: sqlite:PATH or postgres://…")->capture_default_str();
    return c;
  };

  auto* i = common(vuln->add_subcommand("import", "Read files of one source, then judge the stored devices again"));
  i->add_option("source", o->source, "kev, nvd, epss, jvn, csaf or eol")->required()->check(CLI::IsMember({"kev", "nvd", "epss", "jvn", "csaf", "eol"}));
  i->add_option("file", o->files, "files as the source publishes them, uncompressed; eol: <product>.json")->required();
  i->add_flag("--no-reassess", o->no_reassess, "do not judge the devices again (more imports follow)");
  i->footer(
      "kev: CISA's catalogue (JSON). nvd: an answer of the NVD CVE API 2.0. epss: the CSV of FIRST. jvn: JVNRSS or VULDEF of JVN iPedia. csaf: advisories, CSAF 2.0.\n"
      "eol: endoflife.date. A file that is broken, or a CSAF document that fails a mandatory test, is refused as a whole; files before it stay imported.\n"
      "Example: nora vuln import nvd nvd-*.json --store sqlite:center/nora.db\n"
      "--json fields: kind import: source, file, data_at, outdated, records, added, changed, same, older, removed, warnings; kind reassessed: as in nora vuln reassess.");
  i->callback([&run, o] { run.action = [&run, o] { return import(run, *o); }; });

  auto* f = common(vuln->add_subcommand("for", "What concerns one product, CPE name or stored device"));
  f->add_option("--product", o->product, "\"Vendor Product\" as Nora names it, for example \"NEC Platforms Aterm WG1200HP4\"");
  f->add_option("--vendor", o->vendor, "the vendor by itself, where the split of --product is not clear");
  f->add_option("--firmware", o->firmware, "its version; without it nothing is more than \"possibly affected\"");
  f->add_option("--cpe", o->cpe, "a CPE name, 2.3 or 2.2 form; a version \"-\" means unknown, as in recog's rules");
  f->add_option("--device", o->device, "id of a stored device");
  f->add_flag("--all", o->all, "also what does not concern it, with the reason");
  f->footer(
      "affected_by_version: its own version lies in the range that a source names. possibly_affected: the version, or its order, is not known.\n"
      "Example: nora vuln for --product \"NEC Platforms Aterm WG1200HP4\" --firmware Ver.1.3.2\n"
      "--json fields: cve, verdict, reason, source, priority (0-100), level, priority_words, title_en, title_ja, sources, references, remedies, cvss, kev, epss, device, since.");
  f->callback([&run, o] { run.action = [&run, o] { return answer(run, *o); }; });

  auto* r = common(vuln->add_subcommand("reassess", "Judge all stored devices again, without a new survey"));
  r->footer("--json fields: kind, devices, named, identities, cves, affected, possibly, devices_changed, rows_added, rows_removed.");
  r->callback([&run, o] { run.action = [&run, o] { return reassess(run, *o); }; });

  auto* l = common(vuln->add_subcommand("imports", "The log of imports, newest first"));
  l->add_option("--limit", o->limit, "how many")->capture_default_str()->check(CLI::Range(1, 10'000));
  l->footer("--json fields: source, file, sha256, data_at, records, changed, at.");
  l->callback([&run, o] { run.action = [&run, o] { return imports(run, *o); }; });
}

}  // namespace nora::app
