// `nora isp …`: the provider's side on the command line. Thin: src/isp does the work.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <thread>

#include "app/command.h"
#include "base/escape.h"
#include "base/files.h"
#include "isp/import.h"
#include "isp/isolation.h"
#include "isp/match.h"
#include "http/server.h"
#include "isp/outbox.h"
#include "isp/pages/site.h"
#include "isp/returns.h"
#include "isp/users.h"
#include "isp/worklist.h"
#include "law/profile.h"

namespace nora::app {
namespace {

using namespace nora::isp;

constexpr std::size_t max_list_bytes = 1u << 30;

struct Options {
  std::string dir, index, in, file, out, store;
  std::vector<std::string> files;
  std::string isp, center, name_ja, name_en, phone, page, portal, mail_from, smtp;
  std::vector<std::string> nas;
  std::int64_t guard_ms = 5000, log_error_ms = 0;
  std::string finding_class, ground, reference, version, by, until, law_profile = "jp", law_dir;
  std::string row, reason, scope = "block-in", user, name, base_url;
  std::vector<std::string> roles;
  std::int64_t hours = 24, id = 0;
  bool blind_handles = false, behind_tls = false;
  std::vector<std::string> listen;
  std::string web;
};

void print(const json::Object& o) { fmt::print("{}\n", json::text(o)); }

Result<int> import_files(const Options& o, const Run& run) {
  std::optional<Party> party;
  if (!o.dir.empty()) { NORA_TRY(auto opened, open_party(o.dir, run.env)); party.emplace(std::move(opened)); }
  std::filesystem::path index = !o.index.empty() ? std::filesystem::path(o.index) : party ? party->index_dir() : std::filesystem::path{};
  if (index.empty()) return fail(Code::usage, "no index is named", "nora isp import --index DIR FILE… or --dir DIR");
  NORA_TRY(auto writer, IndexWriter::open(index));
  std::optional<std::vector<Customer>> customers;
  std::vector<FileReport> reports;
  for (const auto& file : o.files) {
    std::vector<Customer> found;
    NORA_TRY(auto report, import_file(file, writer, found));
    if (report.format == "customers") customers = std::move(found);
    reports.push_back(std::move(report));
  }
  NORA_TRY(auto state, writer.commit(run.env.clock.now()));
  if (customers && party) NORA_CHECK(put_customers(*party->db, *customers));
  if (customers && !party) run.env.log.warn("customers: log keys went into the index; mail addresses are kept only with --dir");
  for (const auto& r : reports) {
    for (const auto& complaint : r.counts.complaints) run.env.log.warn(complaint);
    if (run.json)
      print({{"file", to_clean_utf8(r.file)}, {"format", r.format}, {"records", r.counts.records}, {"fresh", r.counts.fresh}, {"ignored", r.counts.ignored},
             {"refused", r.counts.refused}, {"incomplete", r.counts.incomplete}});
    else
      fmt::print("{}: {}, {} records ({} new), {} ignored, {} refused, {} incomplete\n", to_terminal(r.file), r.format, r.counts.records, r.counts.fresh, r.counts.ignored,
                 r.counts.refused, r.counts.incomplete);
  }
  json::Object clocks;
  for (const auto& [nas, c] : state.clocks)
    clocks[to_clean_utf8(nas)] = json::Object{{"skew_s", c.skew.as_seconds()}, {"error_s", c.error.as_seconds()}, {"trusted", c.trusted}, {"samples", c.samples}};
  if (run.json) print({{"records", state.records}, {"intervals", state.intervals}, {"line_keys", state.lines}, {"mape_rules", state.mape_rules}, {"clocks", clocks}});
  else fmt::print("index: {} records, {} intervals, {} line keys, {} MAP-E rules\n", state.records, state.intervals, state.lines, state.mape_rules);
  for (const auto& [nas, c] : state.clocks)
    if (!c.trusted) run.env.log.warn(fmt::format("NAS {}: its clock is off by more than {} s; nothing of it is matched until it is set", nas, max_skew.us / 1'000'000));
  return 0;
}

Result<int> match_findings(const Options& o, const Run& run) {
  if (o.in.empty()) {  // the rows of the opened lists
    if (o.dir.empty()) return fail(Code::usage, "nothing to match", "nora isp match --index DIR --in FINDINGS.ndjson, or --dir DIR for the rows of the opened lists");
    NORA_TRY(auto party, open_party(o.dir, run.env));
    NORA_TRY(auto counts, match_rows(party));
    json::Object by_state;
    for (const auto& [state, n] : counts.by_state) by_state[state] = n;
    if (run.json) print({{"looked_up", counts.looked_up}, {"by_state", by_state}});
    else {
      fmt::print("{} lookups\n", counts.looked_up);
      for (const auto& [state, n] : counts.by_state) fmt::print("  {:16} {}\n", state, n);
    }
    return 0;
  }
  std::optional<Party> party;
  if (!o.dir.empty()) { NORA_TRY(auto opened, open_party(o.dir, run.env)); party.emplace(std::move(opened)); }
  std::filesystem::path dir = !o.index.empty() ? std::filesystem::path(o.index) : party ? party->index_dir() : std::filesystem::path{};
  if (dir.empty()) return fail(Code::usage, "no index is named", "nora isp match --index DIR --in FINDINGS.ndjson");
  NORA_TRY(auto index, LeaseReader::open(dir));
  MatchOptions options = party ? party->settings.match : MatchOptions{};
  if (!party) { options.guard = Span::ms(o.guard_ms); options.log_error = Span::ms(o.log_error_ms); }
  Matcher matcher(index, options);
  std::ifstream file;
  if (o.in != "-") {
    file.open(o.in, std::ios::binary);
    if (!file) return fail(Code::failed, fmt::format("cannot open {}", o.in));
  }
  std::istream& in = o.in == "-" ? std::cin : file;
  std::string line, out;
  for (std::int64_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    auto question = parse_question(line);
    if (!question) return fail(Code::bad_input, fmt::format("{}:{}: {}", o.in, number, question.error().what), "Each line is {\"ip\",\"port\",\"proto\",\"at\",\"at_error_ms\"}");
    auto answer = to_json(matcher.match(*question));
    // Input order is kept; the caller may join by it.
    out += json::text(answer) + "\n";
    if (out.size() > 1 << 16) { fmt::print("{}", out); out.clear(); }
  }
  fmt::print("{}", out);
  return 0;
}

Result<int> init(const Options& o, const Run& run) {
  auto text = o.center;
  if (auto file = read_file(o.center, 4096)) text = *file;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  NORA_TRY(auto center, PublicKey::parse(text));
  Settings s;
  s.isp = o.isp;
  s.name_ja = o.name_ja; s.name_en = o.name_en; s.phone = o.phone; s.page = o.page; s.portal = o.portal; s.mail_from = o.mail_from; s.smtp = o.smtp; s.store = o.store;
  s.match.guard = Span::ms(o.guard_ms);
  s.match.log_error = Span::ms(o.log_error_ms);
  s.blind_handles = o.blind_handles;
  for (const auto& n : o.nas) {  // NAS=COA-ADDRESS:PORT=SECRET-FILE
    auto first = n.find('='), second = n.find('=', first + 1);
    if (first == n.npos || second == n.npos) return fail(Code::usage, "--nas is NAS=ADDRESS:PORT=SECRETFILE");
    s.nas[n.substr(0, first)] = {n.substr(first + 1, second - first - 1), n.substr(second + 1)};
  }
  NORA_TRY(auto vkey, init_party(o.dir, s, center, run.env));
  if (run.json) print({{"isp", s.isp}, {"key", vkey}});
  else fmt::print("{}\nGive this key to the center.\n", vkey);
  return 0;
}

Result<int> list_open(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  NORA_TRY(auto sealed, read_file(o.file, max_list_bytes));
  NORA_TRY(auto list, open_list(party, as_bytes(sealed)));
  if (run.json) print({{"list", list.list_id}, {"sequence", list.sequence}, {"rows", list.rows}, {"fresh", list.fresh}});
  else fmt::print("list {}: sequence {}, {} rows, {} new\n", to_terminal(list.list_id), list.sequence, list.rows, list.fresh);
  return 0;
}

Result<int> ground_approve(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  law::Ground g;
  g.finding_class = o.finding_class;
  NORA_TRY(g.kind, law::parse_ground_kind(o.ground));
  NORA_TRY(const auto profile, law::LawProfile::load(o.law_dir.empty() ? data_dir() + "/law" : o.law_dir, o.law_profile));
  if (!profile.allows(g.kind))
    return fail(Code::refused, fmt::format("the law profile \"{}\" knows no ground of the kind \"{}\"", profile.name, law::name(g.kind)), "lookup_grounds in the profile names those that there are");
  g.reference = o.reference;
  g.version = o.version;
  g.approved_by = o.by;
  g.approved_at = run.env.clock.now();
  g.valid_until = g.approved_at + Span::days(365);
  if (!o.until.empty()) { NORA_TRY(g.valid_until, Instant::parse(o.until)); }
  NORA_CHECK(approve_ground(party, g));
  if (run.json) print({{"class", g.finding_class}, {"ground", law::name(g.kind)}, {"until", g.valid_until.text()}});
  else fmt::print("class {}: {} until {}\n", g.finding_class, law::name(g.kind), g.valid_until.text());
  return 0;
}

Result<int> ground_list(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  NORA_TRY(auto grounds, party.grounds());
  for (const auto& g : grounds.all())
    print({{"class", g.finding_class}, {"ground", law::name(g.kind)}, {"reference", g.reference}, {"version", g.version}, {"by", g.approved_by}, {"until", g.valid_until.text()}});
  return 0;
}

Result<int> row_list(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  std::string after;
  for (int page = 0; page < 10'000; ++page) {
    NORA_TRY(auto list, rows(party, {.state = o.finding_class, .text = {}, .after = after, .limit = 1000}));
    if (list.empty()) break;
    for (const auto& r : list)
      print({{"row", r.item.row_id}, {"list", r.list_id}, {"class", r.item.finding_class}, {"ip", r.item.where.ip.text()}, {"port", r.item.where.port.value},
             {"at", r.item.where.at.text()}, {"product", r.item.product}, {"line", r.line.reveal()}, {"state", r.state}, {"reason", r.reason}, {"code", r.item.notice_code}});
    after = list.back().item.row_id;
  }
  return 0;
}

Result<int> notice_preview(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  NORA_TRY(auto messages, Messages::load(std::filesystem::path(data_dir()) / "messages"));
  NORA_TRY(auto drafts, draft_notices(party, messages, "preview", o.row));
  for (const auto& d : drafts) {
    if (run.json) {
      json::Array ids;
      for (const auto& id : d.row_ids) ids.emplace_back(id);
      json::Object out{{"line", d.line.reveal()}, {"rows", ids}, {"ready", d.notice.has_value()}, {"why", d.why}};
      if (d.notice) {
        out["to"] = d.notice->to();
        out["subject"] = d.notice->subject();
        out["body"] = d.notice->body();
        out["message_id"] = d.notice->message_id();
      }
      print(out);
    } else if (d.notice) {
      fmt::print("To: {}\nSubject: {}\n\n{}\n", d.notice->to(), d.notice->subject(), d.notice->body());
      for (const auto& check : check_notice(*d.notice)) fmt::print("[{}] {}\n", check.good ? "ok" : "NO", check.name);
      fmt::print("\n");
    } else {
      fmt::print("line {}: held back ({})\n\n", d.line.reveal(), d.why);
    }
  }
  return 0;
}

Result<int> notice_send(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  if (party.settings.smtp.empty()) return fail(Code::usage, "isp.toml has no \"smtp\"", "Add smtp = \"smtp://HOST:PORT\"");
  NORA_TRY(auto messages, Messages::load(std::filesystem::path(data_dir()) / "messages"));
  CurlMailer mailer(party.settings.smtp);
  NORA_TRY(auto c, send_notices(party, messages, mailer));
  if (run.json) print({{"queued", c.queued}, {"sent", c.sent}, {"held", c.held}, {"retried", c.retried}, {"failed", c.failed}});
  else fmt::print("{} queued, {} sent, {} held back, {} to be tried again, {} failed\n", c.queued, c.sent, c.held, c.retried, c.failed);
  return 0;
}

Result<int> notice_status(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  NORA_TRY(auto list, outbox_rows(party));
  for (const auto& r : list) {
    if (run.json) print({{"notice", r.notice}, {"line", r.line}, {"message_id", r.message_id}, {"state", r.state}, {"attempts", r.attempts}, {"updated", r.updated.text()}, {"error", r.last_error}});
    else fmt::print("{:6} {:8} {} {} {}\n", r.notice, r.state, r.line, r.updated.text(), r.last_error);
  }
  return 0;
}

void show(const Run& run, const Isolation& i) {
  auto when = [](Instant t) { return t.us == 0 ? std::string() : t.text(); };
  if (run.json)
    print({{"id", i.id}, {"row", i.row_id}, {"line", i.line.reveal()}, {"ip", i.address.text()}, {"scope", i.scope}, {"state", i.state}, {"reason", i.reason},
           {"requested_by", i.requested_by}, {"approved_by", i.approved_by}, {"applied", when(i.applied_at)}, {"expires", when(i.expires)}, {"released", when(i.released_at)},
           {"release_reason", i.release_reason}, {"error", i.last_error}});
  else
    fmt::print("{:4} {:10} {:16} line {} ({}), asked by {}, approved by {}, ends {} {}\n", i.id, i.state, i.scope, i.line.reveal(), i.address.text(), i.requested_by,
               i.approved_by.empty() ? "-" : i.approved_by, when(i.expires).empty() ? "-" : when(i.expires), i.last_error);
}

Result<int> isolate_request(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  IsolationRequest request{o.row, o.by, o.reason, Scope::block_in, o.hours};
  NORA_TRY(request.scope, parse_scope(o.scope));
  NORA_TRY(auto i, request_isolation(party, request));
  show(run, i);
  return 0;
}
Result<int> isolate_approve(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  NORA_TRY(auto i, approve_isolation(party, o.id, o.by));
  show(run, i);
  return 0;
}
Result<int> isolate_apply(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  UdpCoa actor(run.env);
  NORA_TRY(auto i, apply_isolation(party, actor, o.id, o.by));
  show(run, i);
  return 0;
}
Result<int> isolate_release(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  UdpCoa actor(run.env);
  if (o.id == 0) {
    NORA_TRY(auto n, expire_isolations(party, actor));
    if (run.json) print({{"released", n}});
    else fmt::print("{} released\n", n);
    return 0;
  }
  NORA_TRY(auto i, release_isolation(party, actor, o.id, o.by, o.reason));
  show(run, i);
  return 0;
}
Result<int> isolate_list(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  NORA_TRY(auto list, isolations(party, o.row));
  for (const auto& i : list) show(run, i);
  return 0;
}

// Delivers mails and ends isolations while the pages run. Its own Party: a slow mail server or NAS blocks no page.
constexpr Span tick = Span::seconds(2);
void run_ticker(const std::stop_token& stop, Party party, Env env) {
  UdpCoa nas(env);
  while (!stop.stop_requested()) {
    if (!party.settings.smtp.empty()) {
      CurlMailer mailer(party.settings.smtp);
      if (auto sent = deliver(party, mailer); !sent) env.log.warn("outbox: " + sent.error().text());
    }
    if (auto ended = expire_isolations(party, nas); !ended) env.log.warn("isolations: " + ended.error().text());
    for (int i = 0; i < 20 && !stop.stop_requested(); ++i) env.clock.sleep(Span{tick.us / 20});
  }
}

Result<int> serve(const Options& o, const Run& run) {
  http::StopSignal signal;  // before any thread
  const std::filesystem::path data = data_dir();
  auto web = !o.web.empty() ? std::filesystem::path(o.web) : std::filesystem::is_directory(data / "web") ? data / "web" : data.parent_path() / "web";
  NORA_TRY(auto messages, Messages::load(data / "messages"));
  NORA_TRY(auto files, http::StaticFiles::load(web));
  NORA_TRY(auto party, open_party(o.dir, run.env));
  NORA_TRY(auto background, open_party(o.dir, run.env));
  NORA_TRY(auto csrf_key, http::load_or_make_key(party.dir / "csrf.key", run.env.random));
  http::Csrf csrf(std::move(csrf_key), run.env);
  IspUsers users(party.settings.store);
  http::Sessions sessions(users, csrf, run.env, o.behind_tls);
  UdpCoa nas(run.env);
  Guarded<std::unique_ptr<Party>> shared(std::make_unique<Party>(std::move(party)));
  Site site({run.env, shared, messages, files, sessions, csrf, nas});
  http::Router router;
  site.add_routes(router);
  files.add_routes(router);
  sessions.add_routes(router, files.href("nora.css"), "/ja/worklist");
  http::ServerOptions options;
  options.listen = o.listen;
  options.behind_tls = o.behind_tls;
  NORA_TRY(auto server, http::Server::start(run.env, options, [&router](http::Request& request) { return router(request); }));
  for (const auto& address : server->addresses()) {
    if (run.json) print({{"event", "ready"}, {"url", fmt::format("http://{}/", address)}});
    else fmt::print("isp http://{}/\n", address);
  }
  std::fflush(stdout);
  std::jthread ticker([&](std::stop_token stop) { run_ticker(stop, std::move(background), run.env); });
  signal.wait();
  server->stop();
  return 0;
}

Result<int> return_out(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  NORA_TRY(auto written, isp::write_return(party));
  NORA_CHECK(replace_file(o.out, as_text(written.sealed), 0600));
  NORA_CHECK(commit_return(party, written));
  if (run.json) print({{"sequence", written.sequence}, {"rows", written.rows}, {"file", o.out}});
  else fmt::print("return {}: {} rows in {}\n", written.sequence, written.rows, to_terminal(o.out));
  return 0;
}

Result<int> user_add(const Options& o, const Run& run) {
  NORA_TRY(auto party, open_party(o.dir, run.env));
  NORA_CHECK(IspUsers::add(*party.db, o.user, o.name.empty() ? o.user : o.name, o.roles, run.env.clock.now()));
  IspUsers users(party.settings.store);
  NORA_TRY(auto link, http::make_login_link(users, o.user, run.env));
  if (run.json) print({{"user", o.user}, {"link", o.base_url + link}});
  else fmt::print("{}{}\nGood once, for {} hours.\n", o.base_url, link, http::login_link_life.us / 3'600'000'000);
  return 0;
}

}  // namespace

void add_isp(CLI::App& root, Run& run) {
  auto o = std::make_shared<Options>();
  auto* isp = root.add_subcommand("isp", "The provider's side: lease index, matching, notices, isolation");
  isp->require_subcommand(1);
  auto verb = [&](CLI::App* under, const char* verb_name, const char* text, Result<int> (*work)(const Options&, const Run&)) {
    auto* c = with_json(under->add_subcommand(verb_name, text), run);
    c->callback([&run, o, work] { run.action = [&run, o, work] { return work(*o, run); }; });
    return c;
  };
  auto dir = [&](CLI::App* c) { return c->add_option("--dir", o->dir, "directory of the provider (nora isp init)"); };

  auto* c = verb(isp, "init", "Make the provider's directory: settings, key, store", init);
  dir(c)->required();
  c->add_option("--isp", o->isp, "id of the provider, as in the center's routes")->required();
  c->add_option("--center", o->center, "the center's public key (text or file)")->required();
  c->add_option("--name-ja", o->name_ja, "name in Japanese, for mails and pages");
  c->add_option("--name-en", o->name_en, "name in English");
  c->add_option("--phone", o->phone, "the number that also stands on the bill");
  c->add_option("--page", o->page, "the provider's own page that announces such notices");
  c->add_option("--portal", o->portal, "where customers type the notice code");
  c->add_option("--mail-from", o->mail_from, "sender address of notices");
  c->add_option("--smtp", o->smtp, "smtp://HOST:PORT of the outgoing mail server");
  c->add_option("--store", o->store, "store URL (default sqlite:DIR/isp.db)");
  c->add_option("--nas", o->nas, "NAS=ADDRESS:PORT=SECRETFILE for RFC 5176; NAS * is the default");

  c->add_option("--guard-ms", o->guard_ms, "guard interval around every border of a lease")->check(CLI::Range(1000, 3'600'000));
  c->add_option("--log-error-ms", o->log_error_ms, "clock error of the logs, by the provider's own statement")->check(CLI::Range(0, 3'600'000));
  c->add_flag("--blind-handles", o->blind_handles, "put HMAC(campaign key, line) into returns, where the law allows it");

  c = verb(isp, "import", "Read logs, MAP-E rules and customers into the lease index", import_files);
  c->add_option("--index", o->index, "index directory");
  dir(c);
  c->add_option("files", o->files, "files; the format is recognised")->required();

  c = verb(isp, "match", "Who had the address? NDJSON in, NDJSON out; with --dir alone: the rows of the opened lists", match_findings);
  c->add_option("--index", o->index, "index directory");
  dir(c);
  c->add_option("--in", o->in, "findings, one JSON object a line: ip, port, proto, at, at_error_ms (- = stdin)");
  c->add_option("--guard-ms", o->guard_ms, "guard interval around every border")->check(CLI::Range(0, 3'600'000));
  c->add_option("--log-error-ms", o->log_error_ms, "clock error of the logs beyond what the index knows")->check(CLI::Range(0, 3'600'000));

  auto* list = isp->add_subcommand("list", "Lists from the center");
  list->require_subcommand(1);
  c = verb(list, "open", "Open a sealed list", list_open);
  dir(c)->required();
  c->add_option("file", o->file, "the list")->required();

  auto* ground = isp->add_subcommand("ground", "Legal grounds of lookups, per finding class");
  ground->require_subcommand(1);
  c = verb(ground, "approve", "Record the ground for a class", ground_approve);
  dir(c)->required();
  c->add_option("--class", o->finding_class, "finding class, RSIT class, or a prefix that ends in /*")->required();
  c->add_option("--ground", o->ground, "consent, contract-terms, legitimate-business, necessity, statute")->required();
  c->add_option("--reference", o->reference, "the clause, memo or article")->required();
  c->add_option("--version", o->version, "version of the terms");
  c->add_option("--by", o->by, "who approves it")->required();
  c->add_option("--until", o->until, "end (RFC 3339; default one year)");
  c->add_option("--law-profile", o->law_profile, "the country's law: data/law/<name>.toml; a ground that it does not know is refused")->capture_default_str();
  c->add_option("--law-dir", o->law_dir, "law profiles (default: data/law)");
  c = verb(ground, "list", "Show the grounds", ground_list);
  dir(c)->required();

  auto* notice = isp->add_subcommand("notice", "The warning by mail");
  notice->require_subcommand(1);
  c = verb(notice, "preview", "Show the mails that would go out now", notice_preview);
  dir(c)->required();
  c->add_option("--row", o->row, "only the mail of this row's line");
  c = verb(notice, "send", "Queue and send; a second run sends nothing", notice_send);
  dir(c)->required();
  c = verb(notice, "status", "The outbox", notice_status);
  dir(c)->required();

  auto* isolate = isp->add_subcommand("isolate", "The last resort: ask, approve (another person), apply, release");
  isolate->require_subcommand(1);
  c = verb(isolate, "request", "Ask for an isolation; the narrowest first", isolate_request);
  dir(c)->required();
  c->add_option("--row", o->row, "row id")->required();
  c->add_option("--scope", o->scope, "block-in (the finding's port, inbound) or walled-garden");
  c->add_option("--reason", o->reason, "why")->required();
  c->add_option("--hours", o->hours, "ends by itself after (1-72)");
  c->add_option("--by", o->by, "user id, role operator")->required();
  c = verb(isolate, "approve", "Approve as a second person", isolate_approve);
  dir(c)->required();
  c->add_option("--id", o->id, "isolation")->required();
  c->add_option("--by", o->by, "user id, role approver, not the one who asked")->required();
  c = verb(isolate, "apply", "Tell the NAS (RFC 5176)", isolate_apply);
  dir(c)->required();
  c->add_option("--id", o->id, "isolation")->required();
  c->add_option("--by", o->by, "user id")->required();
  c = verb(isolate, "release", "Release one, or with no --id all that are over", isolate_release);
  dir(c)->required();
  c->add_option("--id", o->id, "isolation");
  c->add_option("--by", o->by, "user id");
  c->add_option("--reason", o->reason, "why");
  c = verb(isolate, "list", "All isolations", isolate_list);
  dir(c)->required();
  c->add_option("--row", o->row, "of this row");

  c = verb(isp, "return", "Write what became of the rows, for the center: states, no name", return_out);
  dir(c)->required();
  c->add_option("--out", o->out, "file")->required();

  auto* user = isp->add_subcommand("user", "Users of the provider's pages");
  user->require_subcommand(1);
  c = verb(user, "add", "Add or change a user; prints a one-time link", user_add);
  dir(c)->required();
  c->add_option("id", o->user, "user id")->required();
  c->add_option("--role", o->roles, "operator, approver, auditor")->required();
  c->add_option("--name", o->name, "shown on pages");
  c->add_option("--url", o->base_url, "address of the pages, printed before the link");

  c = verb(isp, "serve", "The staff's pages; also delivers mails and ends isolations", serve);
  dir(c)->required();
  c->add_option("--listen", o->listen, "ADDRESS:PORT or fd:N; may be repeated")->required();
  c->add_option("--web", o->web, "folder of style sheets");
  c->add_flag("--behind-tls", o->behind_tls, "a proxy with TLS stands in front");

  c = verb(isp, "rows", "The worklist as NDJSON", row_list);
  dir(c)->required();
  c->add_option("--state", o->finding_class, "a state or a tab: to_match ready sent bounced unclear held isolated released");
}

}  // namespace nora::app
