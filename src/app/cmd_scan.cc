// `nora scan plan|run|resume|node|status|audit`: surveys under a mandate. Thin: the engine does the work (src/survey/engine.h).
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>

#include "app/command.h"
#include "app/scan_output.h"
#include "base/escape.h"
#include "base/files.h"
#include "base/messages.h"
#include "law/opt_out_file.h"
#include "survey/engine.h"
#include "survey/journal.h"
#include "survey/node.h"
#include "survey/wire_audit.h"

namespace nora::app {
namespace {

using namespace nora::survey;

std::atomic<bool> stop_requested = false;

void on_signal(int) {
  if (stop_requested.exchange(true)) _exit(130);
}
void watch_signals() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

struct ScanOptions {
  std::string mandate, roots, law_dir, catalogue, dir, iface, store, audit, key, party, wall_status, targets6, opt_out_page, kind = "full", name,
                                                                                                               progress, send = "auto", pcap;
  std::vector<std::string> opt_out;
  std::vector<std::uint16_t> ports;
  std::vector<std::string> only;
  int answer_window_ms = 1000;
  std::uint64_t segment_size = 0;
  bool no_calibration = false, quiet = false, dry_run = false;

  json::Object to_json() const {
    json::Array outs;
    for (const auto& f : opt_out) outs.push_back(json::Value(f));
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
            {"opt_out", std::move(outs)},
            {"no_calibration", no_calibration}};
  }
  Status read_json(const json::Object& o) {
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
    no_calibration = json::bool_or(o, "no_calibration", false);
    NORA_TRY(auto outs, json::get_array(o, "opt_out"));
    for (const auto& v : outs)
      if (v.is_string()) opt_out.emplace_back(v.as_string());
    return {};
  }
};
using Options = std::shared_ptr<ScanOptions>;

std::string absolute(const std::string& path) { return path.empty() ? path : std::filesystem::absolute(path).string(); }

void mandate_flags(CLI::App* c, const Options& o) {
  c->add_option("--mandate", o->mandate, "signed mandate")->required();
  c->add_option("--roots", o->roots, "root file: threshold and signers")->required();
  c->add_option("--law-dir", o->law_dir, "law profiles (default: data/law)");
  c->add_option("--catalogue", o->catalogue, "probe catalogue (default: data/probes/catalogue.tsv)");
  c->add_option("--opt-out", o->opt_out, "opt-out list; may be repeated");
  c->add_option("--opt-out-page", o->opt_out_page,
                "opt-out list to which visitors of the page on the source address add their own; made if missing; give it to nora-wall too");
}
void plan_flags(CLI::App* c, const Options& o) {
  c->add_option("--targets6", o->targets6, "file with IPv6 addresses, one a line (an IPv6 range cannot be walked)");
  c->add_option("--ports", o->ports, "only these ports of the mandate")->delimiter(',');
  c->add_option("--only", o->only, "only these addresses")->delimiter(',');
  c->add_option("--kind", o->kind, "full, remeasure or check")->check(CLI::IsMember({"full", "remeasure", "check"}))->capture_default_str();
  c->add_option("--answer-window-ms", o->answer_window_ms, "how long an answer may take")
      ->check(CLI::Range(50, 60'000))
      ->capture_default_str();
  c->add_option("--segment-size", o->segment_size, "probes per segment (default: by the mandate's rates)");
}
void run_flags(CLI::App* c, const Options& o) {
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
}
void output_flags(CLI::App* c, const Options& o) {
  c->add_flag("-q,--quiet", o->quiet, "no progress line");
  c->add_option("--progress", o->progress, "json: progress as NDJSON on stderr")->check(CLI::IsMember({"json"}));
}

Result<std::vector<Ip>> read_targets6(const std::string& file) {
  std::vector<Ip> out;
  if (file.empty()) return out;
  NORA_TRY(auto text, read_file(file));
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('\n', at), text.size());
    auto line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    line = line.substr(0, line.find('#'));
    line.erase(0, std::min(line.size(), line.find_first_not_of(" \t")));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (line.empty()) continue;
    auto ip = Ip::parse(line);
    if (!ip) return fail(Code::bad_input, file + " line " + std::to_string(number) + ": " + ip.error().what);
    out.push_back(*ip);
  }
  return out;
}

// Everything that a run needs open: mandate, catalogue, audit log, listener.
struct Open {
  law::MandateFiles files;
  std::optional<law::Mandate> mandate;
  std::optional<Catalogue> catalogue;
  std::optional<SigningKey> key;
  std::optional<law::Audit> audit;
  std::optional<law::OptOutFile> opt_out;
  std::optional<Messages> messages;
  std::unique_ptr<RelayListener> relay;
  std::unique_ptr<EngineShared> shared;
};

Result<std::unique_ptr<Open>> open_mandate(ScanOptions& o, Env env) {
  auto out = std::make_unique<Open>();
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
  NORA_CHECK(out->mandate->usable(env.clock.now()));
  NORA_TRY(auto text, read_file(out->files.catalogue));
  NORA_TRY(auto catalogue, Catalogue::parse(text));
  out->catalogue.emplace(std::move(catalogue));
  return out;
}

Status open_for_sending(Open& open, ScanOptions& o, Env env) {
  std::error_code error;
  std::filesystem::create_directories(o.dir, error);
  std::filesystem::permissions(o.dir, std::filesystem::perms::owner_all, error);
  if (o.key.empty()) {
    o.key = o.dir + "/audit.key";
    if (!std::filesystem::exists(o.key)) NORA_CHECK(SigningKey::make(o.party.empty() ? "survey" : o.party, env.random).save(o.key));
  }
  if (o.audit.empty()) o.audit = o.dir + "/audit";
  for (auto* path : {&o.key, &o.audit, &o.wall_status}) *path = absolute(*path);
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

Result<Plan> plan_from(const Open& open, const ScanOptions& o, Env env) {
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

Result<int> run_plan_file(Run& run, ScanOptions& o, Open& open) {
  std::unique_ptr<RegistrySink> sink;
  if (!o.store.empty()) {
    NORA_TRY(sink, RegistrySink::open(o.store, o.name.empty() ? "scan:" + o.dir : o.name));
  }
  EngineOptions e;
  e.files = open.files;
  e.dir = o.dir;
  e.iface = o.iface;
  e.programs = program_dir();
  e.wall_status = o.wall_status;
  e.daily = std::filesystem::path(o.audit).parent_path() / "daily";
  e.calibrate = !o.no_calibration;
  NORA_TRY(e.send, law::parse_send_path(o.send));
  ProgressLine line(o.progress == "json", o.quiet, run.env);
  EngineEvents events;
  events.progress = [&](const auto& p) { line.show(p); };
  if (run.json)
    events.reply = [](const registry::ReplyRecord& r) {
      auto record = survey::to_json(r);
      record.erase("exact_keys");
      std::printf("%s\n", nora::json::text(record).c_str());
    };
  watch_signals();
  NORA_TRY(auto summary, run_engine(e, *open.shared, sink.get(), events, stop_requested, run.env));
  line.end();
  if (run.json) std::printf("%s\n", nora::json::text(summary.to_json()).c_str());
  else print_summary(summary);
  std::fflush(stdout);
  if (summary.complete) return summary.undelivered_bytes > 0 ? 7 : 0;
  if (summary.code == Code::interrupted) {
    std::fprintf(stderr, "%s; to go on: nora scan resume --dir %s\n", to_terminal(summary.why).c_str(), o.dir.c_str());
    return exit_code(Code::interrupted);
  }
  return fail(summary.code, summary.why, summary.code == Code::refused ? "" : "then: nora scan resume --dir " + o.dir);
}

Result<int> do_run(Run& run, ScanOptions& o) {
  NORA_TRY(auto open, open_mandate(o, run.env));
  o.dir = absolute(o.dir);
  if (std::filesystem::exists(o.dir + "/journal.ndjson"))
    return fail(Code::usage, "there is a survey in " + o.dir + " already",
                "go on with it: nora scan resume --dir " + o.dir + ", or use another --dir");
  NORA_TRY(auto plan, plan_from(*open, o, run.env));
  NORA_CHECK(open_for_sending(*open, o, run.env));
  NORA_CHECK(plan.save(o.dir));
  NORA_CHECK(replace_file(o.dir + "/run.json", nora::json::text(o.to_json()) + "\n", 0600));
  return run_plan_file(run, o, *open);
}

Result<int> do_resume(Run& run, ScanOptions& o) {
  o.dir = absolute(o.dir);
  NORA_TRY(auto text, read_file(o.dir + "/run.json"));
  NORA_TRY(auto saved, nora::json::parse_object(text));
  auto store = o.store;
  NORA_CHECK(o.read_json(saved));
  if (!store.empty()) o.store = store;
  NORA_TRY(auto open, open_mandate(o, run.env));
  NORA_CHECK(open_for_sending(*open, o, run.env));
  return run_plan_file(run, o, *open);
}

Result<int> do_plan(Run& run, ScanOptions& o) {
  NORA_TRY(auto open, open_mandate(o, run.env));
  NORA_TRY(auto plan, plan_from(*open, o, run.env));
  auto e = estimate(plan, open->mandate->text());
  const auto& m = open->mandate->text();
  if (!o.dir.empty()) {
    std::error_code error;
    std::filesystem::create_directories(o.dir, error);
    NORA_CHECK(plan.save(o.dir));
  }
  if (run.json) {
    nora::json::Array ranges, excludes, probes;
    for (const auto& p : m.ranges) ranges.push_back(nora::json::Value(p.text()));
    for (const auto& p : open->mandate->closed()) excludes.push_back(nora::json::Value(p.text()));
    for (const auto* s : plan.space.slots())
      probes.push_back(nora::json::Object{{"probe", s->probe}, {"proto", name(s->proto)}, {"port", s->port}});
    std::printf("%s\n", nora::json::text(nora::json::Object{{"survey", plan.survey},
                                                            {"mandate", m.id},
                                                            {"legal_basis", m.legal_basis},
                                                            {"ranges", std::move(ranges)},
                                                            {"left_out", std::move(excludes)},
                                                            {"probes_per_target", std::move(probes)},
                                                            {"targets", e.targets},
                                                            {"probes", e.probes},
                                                            {"segments", e.segments},
                                                            {"segment_size", plan.segment_size},
                                                            {"pps", e.pps},
                                                            {"seconds", e.seconds},
                                                            {"megabytes", e.megabytes}})
                            .c_str());
    return 0;
  }
  std::printf("mandate     %s of %s\nlawful basis %s\n", to_terminal(m.id).c_str(), to_terminal(m.authority).c_str(),
              to_terminal(m.legal_basis).c_str());
  for (const auto& p : m.ranges) std::printf("range       %s\n", p.text().c_str());
  for (const auto& p : open->mandate->closed()) std::printf("left out    %s\n", p.text().c_str());
  std::printf("probes      %llu to %llu addresses, in %llu segments of %llu\n", static_cast<unsigned long long>(e.probes),
              static_cast<unsigned long long>(e.targets), static_cast<unsigned long long>(e.segments),
              static_cast<unsigned long long>(plan.segment_size));
  std::printf("duration    about %.0f s at %s, %.1f MB, and the conversations with open ports\n", e.seconds, rate(e.pps).c_str(),
              e.megabytes);
  if (!o.dir.empty()) std::printf("plan        %s/plan.json\n", o.dir.c_str());
  return 0;
}

Result<int> do_status(Run& run, const ScanOptions& o) {
  NORA_TRY(auto plan, Plan::load(o.dir));
  JournalState s;
  if (std::filesystem::exists(o.dir + "/journal.ndjson")) {
    NORA_TRY(s, Journal::read(o.dir));
  }
  std::int64_t committed = 0, sent = 0, in_doubt = 0;
  for (const auto& [n, segment] : s.segments) {
    sent += segment.frames;
    if (n >= static_cast<std::int64_t>(plan.segments())) continue;  // the one that measures the loss
    committed += segment.committed;
    in_doubt += !segment.committed;
  }
  const char* state = s.finished ? "finished" : s.runs == 0 ? "planned" : "begun";
  if (run.json) {
    std::printf("%s\n", nora::json::text(nora::json::Object{{"survey", plan.survey},
                                                            {"kind", plan.kind},
                                                            {"state", state},
                                                            {"segments", plan.segments()},
                                                            {"committed", committed},
                                                            {"in_doubt", in_doubt},
                                                            {"sent", sent},
                                                            {"probes", plan.space.size()},
                                                            {"to_visit", s.to_visit.size()},
                                                            {"runs", s.runs}})
                            .c_str());
  } else {
    std::printf("%s (%s): %s, %lld of %llu segments committed, %lld in doubt, %lld probes sent, %zu open ports to visit, %d run(s)\n",
                plan.survey.c_str(), plan.kind.c_str(), state, static_cast<long long>(committed),
                static_cast<unsigned long long>(plan.segments()), static_cast<long long>(in_doubt), static_cast<long long>(sent),
                s.to_visit.size(), s.runs);
  }
  return 0;
}

Result<int> do_node(Run& run, ScanOptions& o) {
  if (o.store.empty()) return fail(Code::usage, "a node needs --store");
  NORA_TRY(auto open, open_mandate(o, run.env));
  o.dir = absolute(o.dir);
  NORA_CHECK(open_for_sending(*open, o, run.env));
  NodeOptions n;
  n.engine.files = open->files;
  n.engine.dir = o.dir;
  n.engine.iface = o.iface;
  n.engine.programs = program_dir();
  n.engine.wall_status = o.wall_status;
  n.engine.daily = std::filesystem::path(o.audit).parent_path() / "daily";
  n.engine.calibrate = !o.no_calibration;
  NORA_TRY(n.engine.send, law::parse_send_path(o.send));
  n.store = o.store;
  n.survey_window_ms = o.answer_window_ms;
  char host[256] = "node";
  gethostname(host, sizeof host - 1);
  n.name = o.name.empty() ? std::string(host) + ":" + std::to_string(getpid()) : o.name;
  NORA_TRY(n.targets6, read_targets6(o.targets6));
  watch_signals();
  NORA_CHECK(run_node(n, *open->shared, stop_requested, run.env));
  return 0;
}

// What a capture of a run holds, judged by a reading of the mandate's text that is not law's own. The mandate may have expired since.
Result<int> do_audit(Run& run, ScanOptions& o) {
  if (o.law_dir.empty()) o.law_dir = data_dir() + "/law";
  if (o.catalogue.empty()) o.catalogue = data_dir() + "/probes/catalogue.tsv";
  law::MandateFiles files;
  files.mandate = o.mandate;
  files.roots = o.roots;
  files.law_dir = o.law_dir;
  files.catalogue = o.catalogue;
  for (const auto& f : o.opt_out) files.opt_outs.emplace_back(f);
  NORA_TRY([[maybe_unused]] auto verified, law::Mandate::load(files));  // signatures, catalogue hash
  NORA_TRY(auto text, read_file(o.mandate));
  NORA_TRY(auto mandate, MandateReading::read(text));
  NORA_TRY(auto tsv, read_file(o.catalogue));
  NORA_TRY(auto catalogue, Catalogue::parse(tsv));
  NORA_TRY(auto counts, audit_capture(o.pcap, mandate, catalogue));
  const bool clean = counts.outside == 0 && counts.datagrams_outside_catalogue == 0 && counts.credential_bytes == 0;
  if (run.json) {
    std::printf("%s\n", survey::to_json(counts).c_str());
  } else {
    std::printf("%llu frames of the survey: %llu outside the mandate, %llu of %llu datagrams outside the catalogue, %llu credential bytes\n",
                static_cast<unsigned long long>(counts.frames), static_cast<unsigned long long>(counts.outside),
                static_cast<unsigned long long>(counts.datagrams_outside_catalogue), static_cast<unsigned long long>(counts.datagrams),
                static_cast<unsigned long long>(counts.credential_bytes));
    for (const auto& [target, n] : counts.outside_targets)
      std::printf("outside: %s, %llu frame(s)\n", to_terminal(target).c_str(), static_cast<unsigned long long>(n));
  }
  return clean ? 0 : 1;
}

}  // namespace

void add_scan(CLI::App& root, Run& run) {
  auto* scan = root.add_subcommand("scan", "Survey address ranges under a mandate");
  scan->require_subcommand(1);
  auto verb = [&](const char* name, const char* help, auto action) {
    auto o = std::make_shared<ScanOptions>();
    auto* c = with_json(scan->add_subcommand(name, help), run);
    c->callback([&run, o, action] { run.action = [&run, o, action] { return action(run, *o); }; });
    return std::pair{c, o};
  };
  {
    auto [c, o] = verb("plan", "What a survey would do: ranges, probes, duration; sends nothing", do_plan);
    mandate_flags(c, o);
    plan_flags(c, o);
    c->add_option("--dir", o->dir, "write plan.json here");
    c->footer("Example: nora scan plan --mandate mandate.txt --roots roots.txt");
  }
  {
    auto [c, o] = verb("run", "Survey now; SIGKILL at any time, then `nora scan resume`", do_run);
    mandate_flags(c, o);
    plan_flags(c, o);
    run_flags(c, o);
    output_flags(c, o);
    c->add_option("--dir", o->dir, "spool directory of this survey")->required();
    c->footer(
        "Example: nora scan run --mandate mandate.txt --roots roots.txt --dir spool --iface eth0 --store sqlite:center.db --wall-status "
        "wall.json\n"
        "--json: one record per reply (type reply: ip, port, proto, at, at_error_ms, probe, protocol, hash, keys, bytes, segment, "
        "request_bytes, reply_bytes),\n"
        "then type summary: sent, received, unique, duplicates, refused, refused_by, loss {asked, missed, ratio, low, high}, replies, "
        "repeated_segments, complete, …\n"
        "Exit: 0 done, 4 refused by the mandate or stopped by the wall, 5 interrupted and resumable, 6 environment, 7 done but the store "
        "took not all.");
  }
  {
    auto [c, o] = verb("resume", "Go on with a survey that was interrupted", do_resume);
    c->add_option("--dir", o->dir, "spool directory of the survey")->required();
    c->add_option("--store", o->store, "another store than at the start");
    output_flags(c, o);
    c->footer("Example: nora scan resume --dir spool");
  }
  {
    auto [c, o] = verb("node", "Serve survey and check jobs of the center's store until stopped", do_node);
    mandate_flags(c, o);
    run_flags(c, o);
    c->add_option("--targets6", o->targets6, "file with IPv6 addresses for surveys");
    c->add_option("--answer-window-ms", o->answer_window_ms, "how long an answer may take in a survey")
        ->check(CLI::Range(50, 60'000))
        ->capture_default_str();
    c->add_option("--dir", o->dir, "folder for the spools of the jobs")->required();
    c->add_option("--name", o->name, "name of this node in leases");
    c->footer(
        "Example: nora scan node --mandate mandate.txt --roots roots.txt --dir /var/lib/nora/node --iface eth0 --store sqlite:center.db");
  }
  {
    auto [c, o] = verb("audit", "Judge a capture of a survey: frames outside the mandate, bytes outside the catalogue, credentials", do_audit);
    mandate_flags(c, o);
    c->add_option("--pcap", o->pcap, "capture at the far end of the scan interface's cable, whole frames (tcpdump -s 0)")->required();
    c->footer(
        "Example: nora scan audit --mandate mandate.txt --roots roots.txt --pcap run.pcap\n"
        "--json: frames, inside, outside, arp, nd, icmp, reset, listener, other, credential_bytes, datagrams, datagrams_outside_catalogue, "
        "bytes_outside_catalogue, outside_targets.\nConversations over TCP are judged by place and for credentials; their words are not compared.\n"
        "A tap on the scan interface itself sees no probe: such a capture is refused.\nExit: 0 clean, 1 something is outside, or the capture proves nothing.");
  }
  {
    auto [c, o] = verb("status", "How far a survey is", [](Run& r, ScanOptions& s) { return do_status(r, s); });
    c->add_option("--dir", o->dir, "spool directory of the survey")->required();
    c->footer("Example: nora scan status --dir spool");
  }
}

}  // namespace nora::app
