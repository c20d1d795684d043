// `nora scan plan|run|join|resume|stop|node|status|audit`: surveys under a mandate. Thin: the engine does the work (src/survey/engine.h).
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>

#include "app/command.h"
#include "app/scan_options.h"
#include "app/scan_output.h"
#include "base/escape.h"
#include "base/files.h"
#include "survey/engine.h"
#include "survey/estimate.h"
#include "survey/journal.h"
#include "survey/node.h"
#include "survey/spool.h"
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

using Options = ScanOptionsPtr;

std::string host_name() {
  char host[256] = "node";
  gethostname(host, sizeof host - 1);
  return host;
}

void shared_flags(CLI::App* c, const Options& o) {
  c->add_option("--name", o->name, "name of this node in leases; the same after a restart (default: host and --dir)");
  c->add_option("--autonomy", o->autonomy_s, "seconds that this node goes on alone when the center is away, and that its segments stay its own if it dies")
      ->check(CLI::Range(10, 7 * 86'400))
      ->capture_default_str();
}

Result<int> run_plan_file(Run& run, ScanOptions& o, ScanOpen& open, bool again) {
  NORA_TRY(auto e, engine_options(open, o));
  auto node = o.name.empty() ? host_name() + ":" + o.dir : o.name;
  std::unique_ptr<RegistrySink> sink;
  if (!o.store.empty()) {
    NORA_TRY(sink, RegistrySink::open(o.store, o.nodes > 0 ? node : o.name.empty() ? "scan:" + o.dir : o.name, !again));
  }
  if (o.nodes > 0) e.shared = SharedOptions{o.store, node, o.nodes, Span::seconds(o.autonomy_s)};
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
  if (o.nodes > 0 && o.store.empty()) return fail(Code::usage, "several nodes meet in a store", "add --store");
  NORA_TRY(auto plan, plan_from(*open, o, run.env));
  NORA_CHECK(open_for_sending(*open, o, run.env));
  NORA_CHECK(plan.save(o.dir));
  if (o.nodes > 0) NORA_CHECK(share_plan(plan, o.store, o.nodes, run.env));
  NORA_CHECK(replace_file(o.dir + "/run.json", nora::json::text(o.to_json()) + "\n", 0600));
  return run_plan_file(run, o, *open, false);
}

// Works on a survey that another node has opened for several.
Result<int> do_join(Run& run, ScanOptions& o) {
  NORA_TRY(auto open, open_mandate(o, run.env));
  o.dir = absolute(o.dir);
  if (o.store.empty()) return fail(Code::usage, "a survey is joined through its store", "add --store");
  if (std::filesystem::exists(o.dir + "/journal.ndjson"))
    return fail(Code::usage, "there is a survey in " + o.dir + " already", "go on with it: nora scan resume --dir " + o.dir);
  NORA_TRY(auto shared, shared_plan(o.store, open->mandate->hash(), o.survey));
  o.nodes = shared.nodes;
  NORA_CHECK(open_for_sending(*open, o, run.env));
  NORA_CHECK(shared.plan.save(o.dir));
  NORA_CHECK(replace_file(o.dir + "/run.json", nora::json::text(o.to_json()) + "\n", 0600));
  return run_plan_file(run, o, *open, false);
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
  // The store of the first run may be away: results wait. One that is named now is opened now, and made if it is new.
  return run_plan_file(run, o, *open, store.empty());
}

Result<int> do_stop(Run& run, const ScanOptions& o) {
  NORA_CHECK(ask_to_stop(o.dir));
  auto until = run.env.clock.monotonic() + Span::seconds(o.wait_s);
  while (Journal::held(o.dir)) {
    if (run.env.clock.monotonic() >= until)
      return fail(Code::failed, "the survey in " + o.dir + " has not stopped within " + std::to_string(o.wait_s) + " s", "it was asked to; look at `nora scan status`");
    run.env.clock.sleep(Span::ms(100));
  }
  if (run.json) std::printf("{\"stopped\":true}\n");
  else std::printf("stopped; to go on: nora scan resume --dir %s\n", o.dir.c_str());
  return 0;
}

Result<int> do_plan(Run& run, ScanOptions& o) {
  NORA_TRY(auto open, open_mandate(o, run.env, true));
  NORA_TRY(auto plan, plan_from(*open, o, run.env));
  auto e = estimate(plan, open->mandate->text(), {o.open_share});
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
    nora::json::Array costs;
    for (const auto& c : e.costs) costs.push_back(nora::json::Object{{"what", c.what}, {"seconds", c.seconds}, {"why", c.why}});
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
                                                            {"conversations", e.conversations},
                                                            {"costs", std::move(costs)},
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
  std::printf("duration    about %s at %s, %.1f MB\n", duration(e.seconds).c_str(), rate(e.pps).c_str(), e.megabytes);
  for (const auto& c : e.costs) std::printf("  %-18s %s%s  %s\n", c.what.c_str(), c.what == "total" ? " " : "+", duration(c.seconds).c_str(), c.why.c_str());
  if (!o.dir.empty()) std::printf("plan        %s/plan.json\n", o.dir.c_str());
  return 0;
}

Result<int> do_status(Run& run, const ScanOptions& o) {
  NORA_TRY(auto plan, Plan::load(o.dir));
  JournalState s;
  if (std::filesystem::exists(o.dir + "/journal.ndjson")) {
    NORA_TRY(s, Journal::read(o.dir));
  }
  std::int64_t committed = 0, sent = 0, in_doubt = 0, lost = 0, refused = 0;
  for (const auto& [n, segment] : s.segments) {
    sent += segment.frames;
    refused += segment.refused;
    if (n >= static_cast<std::int64_t>(plan.segments())) continue;  // those that measure the loss
    committed += segment.committed;
    lost += segment.lost;
    in_doubt += !segment.committed && !segment.lost;
  }
  bool running = Journal::held(o.dir);
  const char* state = s.finished ? "finished" : running ? "running" : s.runs == 0 ? "planned" : "interrupted";
  std::uint64_t waiting = 0;
  if (auto spool = std::filesystem::path(o.dir) / "results.ndjson"; std::filesystem::exists(spool)) {
    NORA_TRY(auto delivery, Delivery::open(o.dir));
    waiting = std::filesystem::file_size(spool) - delivery.delivered();
  }
  nora::json::Object live;
  if (running)
    if (auto text = read_file(o.dir + "/live.json"))
      if (auto parsed = nora::json::parse_object(*text)) live = std::move(*parsed);
  if (run.json) {
    nora::json::Object by;
    for (const auto& [why, n] : s.refused_by) by[why] = n;
    nora::json::Object out{{"survey", plan.survey},
                           {"kind", plan.kind},
                           {"state", state},
                           {"segments", plan.segments()},
                           {"committed", committed},
                           {"in_doubt", in_doubt},
                           {"lost", lost},
                           {"sent", sent},
                           {"refused", refused},
                           {"refused_by", std::move(by)},
                           {"probes", plan.space.size()},
                           {"to_visit", s.to_visit.size()},
                           {"received", s.received},
                           {"unique", s.unique},
                           {"replies", s.replies},
                           {"repeated_probes", s.again},
                           {"repeated_probes_at_most", s.again_at_most},
                           {"answers_in_doubt", s.unheard},
                           {"spool_bytes_not_delivered", waiting},
                           {"seconds", s.earlier.as_seconds()},
                           {"runs", s.runs}};
    if (!live.empty()) out["live"] = std::move(live);
    std::printf("%s\n", nora::json::text(out).c_str());
    return 0;
  }
  std::printf("%s (%s): %s, %lld of %llu segments committed, %lld in doubt, %lld of %llu probes sent, %zu open ports to visit, %d run(s)\n", plan.survey.c_str(),
              plan.kind.c_str(), state, static_cast<long long>(committed), static_cast<unsigned long long>(plan.segments()), static_cast<long long>(in_doubt),
              static_cast<long long>(sent), static_cast<unsigned long long>(plan.space.size()), s.to_visit.size(), s.runs);
  if (!live.empty())
    std::printf("now: %s, %s, %lld answers, %lld replies, %lld conversations open, %s left, %lld anomalies, %lld networks left alone\n",
                to_terminal(nora::json::string_or(live, "phase")).c_str(), rate(nora::json::get_double(live, "pps").value_or(0)).c_str(),
                static_cast<long long>(nora::json::int_or(live, "unique", 0)), static_cast<long long>(nora::json::int_or(live, "replies", 0)),
                static_cast<long long>(nora::json::int_or(live, "talking", 0)), duration(nora::json::get_double(live, "left_seconds").value_or(0)).c_str(),
                static_cast<long long>(nora::json::int_or(live, "anomalies", 0)), static_cast<long long>(nora::json::int_or(live, "held_networks", 0)));
  if (s.again_at_most > 0)
    std::printf("after crashes: %lld probes sent twice, at most %lld; %lld answers may be lost\n", static_cast<long long>(s.again), static_cast<long long>(s.again_at_most),
                static_cast<long long>(s.unheard));
  return 0;
}

Result<int> do_node(Run& run, ScanOptions& o) {
  if (o.store.empty()) return fail(Code::usage, "a node needs --store");
  NORA_TRY(auto open, open_mandate(o, run.env));
  o.dir = absolute(o.dir);
  NORA_CHECK(open_for_sending(*open, o, run.env));
  NodeOptions n;
  NORA_TRY(n.engine, engine_options(*open, o));
  n.store = o.store;
  n.survey_window_ms = o.answer_window_ms;
  n.autonomy = Span::seconds(o.autonomy_s);
  n.name = o.name.empty() ? host_name() + ":" + o.dir : o.name;  // the same after a restart: its leases are still its own
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
    c->add_option("--open-share", o->open_share, "for the estimate: share of the probes that find an open port")->check(CLI::Range(0.0, 1.0))->capture_default_str();
    c->footer("Example: nora scan plan --mandate mandate.txt --roots roots.txt");
  }
  {
    auto [c, o] = verb("run", "Survey now; SIGKILL at any time, then `nora scan resume`", do_run);
    mandate_flags(c, o);
    plan_flags(c, o);
    run_flags(c, o);
    output_flags(c, o);
    c->add_option("--dir", o->dir, "spool directory of this survey")->required();
    c->add_option("--nodes", o->nodes, "open the survey for so many scan nodes at once; the others come by `nora scan join`")->check(CLI::Range(1, 64));
    shared_flags(c, o);
    c->footer(
        "Example: nora scan run --mandate mandate.txt --roots roots.txt --dir spool --iface eth0 --store sqlite:center.db --wall-status "
        "wall.json\n"
        "--json: one record per reply (type reply: ip, port, proto, at, at_error_ms, probe, protocol, hash, keys, bytes, segment, "
        "request_bytes, reply_bytes),\n"
        "then type summary: sent, received, unique, duplicates, refused, refused_by, loss {asked, missed, ratio, low, high, basis, again, recapture, "
        "canary}, replies, set_apart, backed_off, repeated_segments, repeated_probes, answers_in_doubt, complete, …\n"
        "Files in --dir: run-metadata.json (everything needed to repeat the run), results.ndjson, journal.ndjson, segments/, audit/.\n"
        "Exit: 0 done, 4 refused by the mandate or stopped by the wall, 5 interrupted and resumable, 6 environment, 7 done but the store "
        "took not all.");
  }
  {
    auto [c, o] = verb("join", "Work on a survey that is open for several nodes", do_join);
    mandate_flags(c, o);
    run_flags(c, o);
    output_flags(c, o);
    c->add_option("--dir", o->dir, "spool directory of this node's part")->required();
    c->add_option("--survey", o->survey, "its id (default: the oldest that is open under this mandate)");
    shared_flags(c, o);
    c->footer("Example: nora scan join --mandate mandate.txt --roots roots.txt --dir part2 --iface eth0 --store postgres://…");
  }
  {
    auto [c, o] = verb("stop", "Ask a running survey to stop: it settles what it has sent and can be resumed", [](Run& r, ScanOptions& s) { return do_stop(r, s); });
    c->add_option("--dir", o->dir, "spool directory of the survey")->required();
    c->add_option("--wait", o->wait_s, "seconds to wait until it has")->capture_default_str();
    c->footer("Example: nora scan stop --dir spool");
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
    shared_flags(c, o);
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
