// `nora find`: devices and findings by address, product, pattern, ISP. registry/views does the work.
#include <fmt/format.h>

#include <memory>

#include "app/center.h"
#include "base/escape.h"
#include "registry/views.h"

namespace nora::app {
namespace {

struct Options {
  CenterOptions center;
  registry::Filter filter;
  std::string where, pattern, severity;
  bool findings = false, exit_empty = false;
};

void print(const json::Object& o) { fmt::print("{}\n", json::text(o)); }

Result<int> find(Options o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* registry, center.registry());
  if (!o.where.empty()) { NORA_TRY(o.filter.prefix, Prefix::parse(o.where)); }
  if (!o.pattern.empty()) {
    if (o.pattern.size() != 1 || o.pattern[0] < 'A' || o.pattern[0] > 'D') return fail(Code::usage, "a pattern is A, B, C or D");
    o.filter.pattern = static_cast<registry::Pattern>(o.pattern[0]);
  }
  if (!o.severity.empty()) { NORA_TRY(o.filter.min_severity, registry::parse_severity(o.severity)); }
  std::size_t shown = 0;
  if (o.findings) {
    NORA_TRY(const auto rows, registry::find_findings(*registry, o.filter));
    for (const auto& r : rows) {
      const auto& f = r.stored.finding;
      ++shown;
      if (run.json)
        print({{"finding", f.id}, {"ip", f.where.ip.text()}, {"port", std::int64_t{f.where.port.value}}, {"proto", std::string(name(f.where.proto))}, {"rule", f.rule},
               {"pattern", std::string(1, static_cast<char>(f.pattern))}, {"severity", std::string(registry::name(f.severity))}, {"state", f.state},
               {"device", f.device}, {"product", to_clean_utf8(r.identity.display())}, {"isp", r.isp}, {"case", r.stored.case_id}, {"case_state", r.case_state},
               {"first_seen", f.first_seen.text()}, {"last_seen", f.last_seen.text()}});
      else
        fmt::print("{:<40} {} {:<20} {:<9} {:<6} {}\n", fmt::format("{}:{}/{}", f.where.ip.text(), f.where.port.value, name(f.where.proto)), static_cast<char>(f.pattern), f.rule,
                   registry::name(f.severity), f.state, to_terminal(r.identity.display()));
    }
  } else {
    NORA_TRY(const auto rows, registry::find_devices(*registry, o.filter));
    for (const auto& r : rows) {
      ++shown;
      json::Array ends;
      std::string places;
      for (const auto& e : r.endpoints) {
        const auto place = e.ip.is_v4() ? fmt::format("{}:{}/{}", e.ip.text(), e.port.value, name(e.proto)) : fmt::format("[{}]:{}/{}", e.ip.text(), e.port.value, name(e.proto));
        ends.emplace_back(place);
        places += (places.empty() ? "" : " ") + place;
      }
      const auto& i = r.device.identity;
      if (run.json)
        print({{"device", r.device.id}, {"vendor", to_clean_utf8(i.vendor.value)}, {"product", to_clean_utf8(i.product.value)}, {"firmware", to_clean_utf8(i.firmware.value)},
               {"type", to_clean_utf8(i.type.value)}, {"confidence", i.product.confidence}, {"cluster", r.device.cluster}, {"endpoints", ends},
               {"open_findings", r.open_findings}, {"isp", r.isp}, {"first_seen", r.device.first_seen.text()}, {"last_seen", r.device.last_seen.text()}});
      else
        fmt::print("{:>5}  {:<32} {:<20} {}\n", r.device.id, i.display().empty() ? "? " + r.device.cluster : to_terminal(i.display()), to_terminal(i.type.value), places);
    }
  }
  return shown == 0 && o.exit_empty ? 3 : 0;  // 3: nothing found, only when asked for
}

}  // namespace

void add_find(CLI::App& root, Run& run) {
  auto* c = with_json(root.add_subcommand("find", "Devices (or --findings) by address, product, pattern, ISP"), run);
  auto o = std::make_shared<Options>();
  o->center.add_to(c);
  c->add_option("where", o->where, "address or prefix");
  c->add_option("--vendor", o->filter.vendor, "maker, exactly");
  c->add_option("--product", o->filter.product, "product, exactly");
  c->add_option("--type", o->filter.type, "device type, exactly");
  c->add_option("--text", o->filter.text, "anywhere in maker, product, firmware, type");
  c->add_option("--rule", o->filter.rule, "exposure rule, for example open-resolver");
  c->add_option("--pattern", o->pattern, "A reflection, B stepping stone, C mischief, D botnet base");
  c->add_option("--severity", o->severity, "at least this (findings)");
  c->add_option("--state", o->filter.finding_state, "open, fixed or gone (findings)");
  c->add_option("--isp", o->filter.isp, "ISP id");
  c->add_option("--cluster", o->filter.cluster, "cluster key");
  c->add_flag("--unknown", o->filter.unknown_only, "only devices without a product");
  c->add_flag("--findings", o->findings, "list findings instead of devices");
  c->add_flag("--exit-empty", o->exit_empty, "exit 3 when nothing is found");
  c->add_option("--after", o->filter.after, "only ids above");
  c->add_option("--limit", o->filter.limit, "at most so many (1000)")->capture_default_str();
  c->footer("--json, devices: {device, vendor, product, firmware, type, confidence, cluster, endpoints[], open_findings, isp, first_seen, last_seen}\n"
            "--json, findings: {finding, ip, port, proto, rule, pattern, severity, state, device, product, isp, case, case_state, first_seen, last_seen}\n"
            "Examples: nora find 203.0.113.0/25    nora find --findings --pattern A");
  c->callback([&run, o] { run.action = [&run, o] { return find(*o, run); }; });
}

}  // namespace nora::app
