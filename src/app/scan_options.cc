#include "app/scan_options.h"

#include "app/command.h"
#include "app/version.h"
#include "base/files.h"
#include "survey/targets6.h"

namespace nora::app {

using namespace nora::survey;

json::Object ScanOptions::to_json() const {
  auto list = [](const std::vector<std::string>& all) {
    json::Array out;
    for (const auto& x : all) out.push_back(json::Value(x));
    return out;
  };
  return {{"mandate", mandate},
          {"roots", roots},
          {"law_dir", law_dir},
          {"catalogue", catalogue},
          {"iface", iface},
          {"store", store},
          {"audit", audit},
          {"key", key},
          {"party", party},
          {"wall_status", wall_status},
          {"send", send},
          {"opt_out_page", opt_out_page},
          {"opt_out", list(opt_out)},
          {"canaries", list(canaries)},
          {"operators", operators},
          {"operator_pps", operator_pps},
          {"metrics", metrics},
          {"spool_max_mb", spool_max_mb},
          {"nodes", nodes},
          {"autonomy_s", autonomy_s},
          {"name", name},
          {"no_calibration", no_calibration}};
}

Status ScanOptions::read_json(const json::Object& o) {
  auto list = [&](std::string_view key, std::vector<std::string>& out) -> Status {
    if (!o.contains(key)) return {};
    NORA_TRY(auto all, json::get_array(o, key));
    out.clear();
    for (const auto& v : all)
      if (v.is_string()) out.emplace_back(v.as_string());
    return {};
  };
  mandate = json::string_or(o, "mandate");
  roots = json::string_or(o, "roots");
  law_dir = json::string_or(o, "law_dir");
  catalogue = json::string_or(o, "catalogue");
  iface = json::string_or(o, "iface");
  store = json::string_or(o, "store");
  audit = json::string_or(o, "audit");
  key = json::string_or(o, "key");
  party = json::string_or(o, "party");
  wall_status = json::string_or(o, "wall_status");
  send = json::string_or(o, "send", "auto");
  opt_out_page = json::string_or(o, "opt_out_page");
  operators = json::string_or(o, "operators");
  operator_pps = static_cast<std::uint32_t>(json::int_or(o, "operator_pps", 0));
  metrics = json::string_or(o, "metrics");
  spool_max_mb = static_cast<std::uint64_t>(json::int_or(o, "spool_max_mb", static_cast<std::int64_t>(default_spool_bytes >> 20)));
  nodes = json::int_or(o, "nodes", 0);
  autonomy_s = json::int_or(o, "autonomy_s", 600);
  name = json::string_or(o, "name");
  no_calibration = json::bool_or(o, "no_calibration", false);
  NORA_CHECK(list("opt_out", opt_out));
  return list("canaries", canaries);
}

std::string absolute(const std::string& path) { return path.empty() ? path : std::filesystem::absolute(path).string(); }

void mandate_flags(CLI::App* c, const ScanOptionsPtr& o) {
  c->add_option("--mandate", o->mandate, "signed mandate")->required();
  c->add_option("--roots", o->roots, "root file: threshold and signers")->required();
  c->add_option("--law-dir", o->law_dir, "law profiles (default: data/law)");
  c->add_option("--catalogue", o->catalogue, "probe catalogue (default: data/probes/catalogue.tsv)");
  c->add_option("--opt-out", o->opt_out, "opt-out list; may be repeated");
  c->add_option("--opt-out-page", o->opt_out_page,
                "opt-out list to which visitors of the page on the source address add their own; made if missing; give it to nora-wall too");
}

void plan_flags(CLI::App* c, const ScanOptionsPtr& o) {
  c->add_option("--targets6", o->targets6, "IPv6 targets, one a line: an address, or \"2001:db8:1000::/40 delegated 56\" for the router of each delegated prefix");
  c->add_option("--ports", o->ports, "only these ports of the mandate")->delimiter(',');
  c->add_option("--only", o->only, "only these addresses")->delimiter(',');
  c->add_option("--kind", o->kind, "full, remeasure or check")->check(CLI::IsMember({"full", "remeasure", "check"}))->capture_default_str();
  c->add_option("--answer-window-ms", o->answer_window_ms, "how long an answer may take")
      ->check(CLI::Range(50, 60'000))
      ->capture_default_str();
  c->add_option("--segment-size", o->segment_size, "probes per segment (default: by the mandate's rates)");
}

void run_flags(CLI::App* c, const ScanOptionsPtr& o) {
  c->add_option("--iface", o->iface, "interface of the scan namespace")->required();
  c->add_option("--store", o->store, "the center's store: sqlite:PATH or postgres://…; without it results stay in the spool");
  c->add_option("--audit", o->audit, "folder of the party's audit log (default: in --dir)");
  c->add_option("--key", o->key, "the party's signing key (default: one is made in --dir)");
  c->add_option("--party", o->party, "name for a key that is made here; a given key has its own");
  c->add_option("--wall-status", o->wall_status, "status file of nora-wall; a blocked frame stops the survey");
  c->add_option("--send", o->send, "how frames leave: xdp (AF_XDP), packet (packet socket), auto: xdp where it can be had, or live (XDP live frames; only with a "
                "wall that counts)")
      ->check(CLI::IsMember({"auto", "packet", "xdp", "live"}))
      ->capture_default_str();
  c->add_flag("--no-calibration", o->no_calibration, "do not measure the loss by asking again");
  c->add_option("--canary", o->canaries, "ADDRESS:PORT of an own host in the mandate's range that must answer: asked all along, never stored; may be repeated");
  c->add_option("--operators", o->operators, "file of network operators: \"PREFIX OPERATOR\" and \"cap OPERATOR PPS\" lines");
  c->add_option("--operator-pps", o->operator_pps, "cap of an operator without a cap line");
  c->add_option("--metrics", o->metrics, "write the state here each second, for Prometheus' textfile collector");
  c->add_option("--spool-max-mb", o->spool_max_mb, "how much may wait for the store; then sending stops, nothing is dropped")->capture_default_str();
}

void output_flags(CLI::App* c, const ScanOptionsPtr& o) {
  c->add_flag("-q,--quiet", o->quiet, "no progress line");
  c->add_option("--progress", o->progress, "json: progress as NDJSON on stderr")->check(CLI::IsMember({"json"}));
}

Result<std::vector<Ip>> read_targets6(const std::string& file) {
  if (file.empty()) return std::vector<Ip>{};
  NORA_TRY(auto text, read_file(file));
  auto out = parse_targets6(text);
  if (!out) return fail(out.error().code, file + " " + out.error().what, out.error().fix);
  return out;
}

Result<std::unique_ptr<ScanOpen>> open_mandate(ScanOptions& o, Env env, bool any_time) {
  auto out = std::make_unique<ScanOpen>();
  if (o.law_dir.empty()) o.law_dir = data_dir() + "/law";
  if (o.catalogue.empty()) o.catalogue = data_dir() + "/probes/catalogue.tsv";
  for (auto* path : {&o.mandate, &o.roots, &o.law_dir, &o.catalogue}) *path = absolute(*path);
  out->files.mandate = o.mandate;
  out->files.roots = o.roots;
  out->files.law_dir = o.law_dir;
  out->files.catalogue = o.catalogue;
  for (auto& f : o.opt_out) out->files.opt_outs.emplace_back(f = absolute(f));
  if (!o.opt_out_page.empty()) {
    o.opt_out_page = absolute(o.opt_out_page);
    NORA_CHECK(law::OptOutFile::open(o.opt_out_page));
    out->files.opt_outs.emplace_back(o.opt_out_page);
  }
  NORA_TRY(auto mandate, law::Mandate::load(out->files));
  out->mandate.emplace(std::move(mandate));
  auto usable = out->mandate->usable(env.clock.now());
  const auto& m = out->mandate->text();
  if (!usable && !(any_time && env.clock.now() < m.not_after)) return std::unexpected(usable.error());
  NORA_TRY(auto text, read_file(out->files.catalogue));
  NORA_TRY(auto catalogue, Catalogue::parse(text));
  out->catalogue.emplace(std::move(catalogue));
  return out;
}

Status open_for_sending(ScanOpen& open, ScanOptions& o, Env env) {
  std::error_code error;
  std::filesystem::create_directories(o.dir, error);
  std::filesystem::permissions(o.dir, std::filesystem::perms::owner_all, error);
  if (o.key.empty()) {
    o.key = o.dir + "/audit.key";
    if (!std::filesystem::exists(o.key)) {
      auto made = SigningKey::make(o.party.empty() ? "survey" : o.party, env.random);
      NORA_CHECK(made.save(o.key));
      NORA_CHECK(replace_file(o.key + ".pub", made.public_key().text() + "\n"));  // for whoever checks the log
    }
  }
  if (o.audit.empty()) o.audit = o.dir + "/audit";
  for (auto* path : {&o.key, &o.audit, &o.wall_status, &o.operators, &o.metrics}) *path = absolute(*path);
  NORA_TRY(auto key, SigningKey::load(o.key));
  o.party = key.public_key().name;  // the log of a party carries the name of its key, as `nora serve` has it
  open.key.emplace(std::move(key));
  NORA_TRY(auto audit, law::Audit::open(o.audit, o.party, *open.key, env));
  open.audit.emplace(std::move(audit));
  // Who follows a probe back finds a page there, and can leave the survey.
  if (!open.mandate->text().listeners.empty()) {
    if (!o.opt_out_page.empty()) {
      NORA_TRY(auto list, law::OptOutFile::open(o.opt_out_page));
      open.opt_out.emplace(std::move(list));
    }
    NORA_TRY(auto messages, Messages::load(data_dir() + "/messages"));
    open.messages.emplace(std::move(messages));
    ScanPageParts page{&*open.messages, open.opt_out ? &*open.opt_out : nullptr, &*open.audit};
    open.relay = std::make_unique<RelayListener>(open.mandate->text(), *open.key, page, env);
    NORA_CHECK(open.relay->start());
  }
  open.shared = std::make_unique<EngineShared>(EngineShared{*open.mandate, *open.catalogue, *open.audit, open.relay.get()});
  return {};
}

Result<EngineOptions> engine_options(const ScanOpen& open, const ScanOptions& o) {
  EngineOptions e;
  e.files = open.files;
  e.dir = o.dir;
  e.iface = o.iface;
  e.programs = program_dir();
  e.wall_status = o.wall_status;
  e.daily = std::filesystem::path(o.audit).parent_path() / "daily";
  e.calibrate = !o.no_calibration;
  NORA_TRY(e.send, law::parse_send_path(o.send));
  for (const auto& text : o.canaries) {
    NORA_TRY(auto canary, parse_canary(text));
    e.canaries.push_back(canary);
  }
  e.operators = o.operators;
  e.operator_pps = o.operator_pps;
  e.metrics = o.metrics;
  e.spool_bytes = o.spool_max_mb << 20;
  e.program = {{"name", "nora"}, {"version", std::string(version())}, {"commit", std::string(commit())}};
  e.described = o.to_json();
  e.described["key"] = "";  // where the key lies is nobody's business
  return e;
}

Result<Plan> plan_from(const ScanOpen& open, const ScanOptions& o, Env env) {
  PlanOptions p;
  p.kind = o.kind;
  p.limits.ports = o.ports;
  p.answer_window_ms = o.answer_window_ms;
  p.segment_size = o.segment_size;
  for (const auto& text : o.only) {
    NORA_TRY(auto ip, Ip::parse(text));
    p.limits.only.push_back(ip);
  }
  NORA_TRY(p.targets6, read_targets6(o.targets6));
  return make_plan(*open.mandate, *open.catalogue, p, env);
}

}  // namespace nora::app
