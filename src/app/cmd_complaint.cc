// `nora complaint`: "was it you?" An address and a time in; out: what we sent there, byte for byte, under which mandate, with proofs, and a letter
// to reply with. survey/whodid.h does the work. The complaint is a leaf in the party's log before the answer is given.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>

#include "app/command.h"
#include "base/escape.h"
#include "base/files.h"
#include "law/audit_proof.h"
#include "registry/registry.h"
#include "survey/whodid_letter.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;
using namespace nora::survey;

constexpr std::size_t proofs_max = 2000;

struct Options {
  std::string ip, at, window = "10m", lang, store;
  std::uint16_t port = 0;
  std::vector<fs::path> dirs, mandates, opt_outs;
  fs::path audit, roots, law_dir, catalogue, key, letter, proof;
};

// What the spool's own run.json knows and was not said: so that `--dir` is enough for the party that ran the survey.
void fill_from_run(Options& o) {
  for (const auto& dir : o.dirs) {
    const auto text = read_file(dir / "run.json", 1u << 20);
    const auto run = text ? json::parse_object(*text) : pass(text.error());
    if (!run) continue;
    const auto set = [&](fs::path& to, std::string_view key) { if (to.empty()) to = json::string_or(*run, key); };
    set(o.roots, "roots");
    set(o.law_dir, "law_dir");
    set(o.catalogue, "catalogue");
    set(o.audit, "audit");
    set(o.key, "key");
    if (o.store.empty()) o.store = json::string_or(*run, "store");
    const fs::path mandate = json::string_or(*run, "mandate");
    if (!mandate.empty() && std::find(o.mandates.begin(), o.mandates.end(), mandate) == o.mandates.end()) o.mandates.push_back(mandate);
    if (const auto* lists = run->if_contains("opt_out"); lists && lists->is_array())
      for (const auto& v : lists->as_array())
        if (v.is_string()) o.opt_outs.emplace_back(std::string_view(v.as_string()));
  }
  if (o.law_dir.empty()) o.law_dir = data_dir() + "/law";
  if (o.catalogue.empty()) o.catalogue = data_dir() + "/probes/catalogue.tsv";
}

// Plans of surveys whose spools are gone (checks are deleted when their results are in the store), and conversations.
Status ask_store(const Options& o, const Question& q, const std::vector<Sending>& sendings, std::vector<SurveyFiles>& surveys, std::vector<Talk>& talks, Ip own) {
  if (o.store.empty()) return {};
  NORA_TRY(auto registry, registry::Registry::open(o.store));
  std::set<std::string> known;
  for (const auto& s : surveys) known.insert(s.plan.survey);
  for (const auto& s : sendings) {
    const bool near = s.begun.front().at <= q.to() && q.from() <= (s.committed ? s.committed->at : s.begun.back().at + near_by);
    if (!near || !known.insert(s.survey).second) continue;
    NORA_TRY(const auto row, registry.survey(s.survey));
    auto plan = row ? Plan::parse(row->plan) : fail(Code::not_found, "");
    if (plan) surveys.push_back({{}, std::move(*plan), {}});
  }
  NORA_TRY(const auto seen, registry.observations_of(q.ip, 10'000));
  for (const auto& x : seen) {
    if (x.where.proto != Proto::tcp || x.where.at < q.from() || x.where.at > q.to()) continue;
    talks.push_back({x.where.at, x.probe, x.probe, x.where.port.value, x.segment, first_words(x.probe, q.ip, x.where.port.value, own), x.request_bytes});
  }
  return {};
}

// The leaves that the answer rests on, each with its path to the signed root.
Result<std::string> proofs_of(const Options& o, law::AuditReader& log, const WhoDid& a) {
  std::string out;
  std::size_t n = 0;
  for (const auto& e : a.segments) {
    if (n >= proofs_max) break;
    std::vector<std::uint64_t> leaves;
    for (const auto& leaf : e.sending.begun) leaves.push_back(leaf.index);
    if (e.sending.committed) leaves.push_back(e.sending.committed->index);
    for (const std::uint64_t leaf : leaves) {
      NORA_TRY(const auto proof, law::prove_leaf(o.audit, log, leaf, true));
      out += law::write_proof(proof);
      ++n;
    }
  }
  return out;
}

void print_answer(const WhoDid& a, double seconds) {
  const auto line = [](const SentProbe& p) {
    fmt::print("  {}  {} {:<5} {:<16} {} ({})\n", p.at.text(), nora::name(p.proto), p.port, to_terminal(p.probe), to_terminal(p.segment), survey::name(p.state));
    if (!p.bytes.packet.empty()) fmt::print("    {}{}\n", p.bytes.packet, p.bytes.exact ? "" : "   (.. = random)");
  };
  const char* words[] = {"YES, it was us", "no, it was not us", "it cannot be said for certain"};
  fmt::print("{} at {}: {}\n", a.question.ip.text(), a.question.at.text(), words[static_cast<int>(a.verdict)]);
  for (const auto& p : a.probes) line(p);
  if (!a.others.empty()) fmt::print("to other ports at that time:\n");
  for (const auto& p : a.others) line(p);
  for (const auto& t : a.talks)
    fmt::print("  {}  conversation on tcp {} {}, {} bytes said\n", t.at ? t.at->text() : "(time not kept)", t.port, to_terminal(t.probe), t.request_bytes);
  if (!a.near.empty() && a.verdict != Verdict::sent) {
    fmt::print("nearest outside that time:\n");
    for (const auto& p : a.near) line(p);
    if (a.hours_off != 0) fmt::print("the nearest is {} whole hours away: is the time that was given in UTC?\n", a.hours_off);
  }
  std::size_t then = 0, proven = 0;
  std::uint64_t records = 0;
  for (const auto& e : a.segments) {
    if (!e.at_that_time) continue;
    ++then;
    proven += e.state == FileState::proven;
    records += e.records;
  }
  fmt::print("{} segments were being sent at that time, {} records, {} of the segments proven by their leaves", then, records, proven);
  fmt::print("{}; looked up in {:.1f} s\n", a.in_range ? "" : "; the address is outside the mandate", seconds);
}

Result<int> answer(Options o, Run& run) {
  const auto started = std::chrono::steady_clock::now();
  for (auto* list : {&o.dirs, &o.mandates, &o.opt_outs})
    for (auto& path : *list) path = fs::absolute(path);
  Question q;
  NORA_TRY(q.ip, Ip::parse(o.ip));
  NORA_TRY(q.at, Instant::parse(o.at));
  NORA_TRY(q.window, Span::parse(o.window));
  if (o.port != 0) q.port = o.port;
  fill_from_run(o);
  if (o.mandates.empty() || o.roots.empty()) return fail(Code::usage, "the mandate of the survey is needed", "--mandate FILE --roots FILE");
  if (o.audit.empty() || o.key.empty()) return fail(Code::usage, "the party's audit log and its key are needed", "--audit DIR --key FILE");
  NORA_TRY(auto surveys, find_surveys(o.dirs));
  std::vector<law::Mandate> mandates;
  for (const auto& file : o.mandates) {
    NORA_TRY(auto m, law::Mandate::load({file, o.roots, o.law_dir, o.catalogue, o.opt_outs}));
    mandates.push_back(std::move(m));
  }
  std::vector<const law::Mandate*> pointers;
  for (const auto& m : mandates) pointers.push_back(&m);
  NORA_TRY(const std::string tsv, read_file(o.catalogue));
  NORA_TRY(const auto catalogue, Catalogue::parse(tsv));

  // The question is on record before anything is answered.
  NORA_TRY(const SigningKey key, SigningKey::load(o.key));
  NORA_TRY(const std::string party, law::audit_party(o.audit));
  std::uint64_t leaf = 0;
  {
    NORA_TRY(auto log, law::Audit::open(o.audit, party, key, run.env));
    json::Object what{{"ip", q.ip.text()}, {"at", q.at.text()}, {"window_s", q.window.us / 1'000'000}};
    if (q.port) what["port"] = *q.port;
    NORA_TRY(const auto id, log.append("complaint", what));
    leaf = id.index;
  }
  const PublicKey pub = key.public_key();
  NORA_TRY(auto log, law::AuditReader::open(o.audit, &pub));
  NORA_TRY(const auto sendings, read_sendings(log));
  WhoDidInput input{sendings, surveys, pointers, catalogue, {}};
  NORA_CHECK(ask_store(o, q, sendings, surveys, input.more_talks, mandates.front().source_for(q.ip).value_or(Ip{})));
  NORA_TRY(const WhoDid a, who_did(q, input));
  NORA_TRY(const std::string proofs, proofs_of(o, log, a));
  if (!o.proof.empty()) NORA_CHECK(replace_file(o.proof, proofs));

  // The mandate that is quoted: that of the survey which sent, otherwise the first that covers the address.
  const law::Mandate* quoted = &mandates.front();
  for (const auto& m : mandates)
    if (m.in_range(q.ip)) {
      quoted = &m;
      break;
    }
  for (const auto& p : a.probes)
    for (const auto& s : surveys)
      for (const auto& m : mandates)
        if (s.plan.survey == p.survey && s.plan.mandate == m.hash()) quoted = &m;
  if (!o.letter.empty()) {
    NORA_TRY(const auto messages, Messages::load(data_dir() + "/messages"));
    const LetterParts parts{*quoted, log.checkpoint().origin, log.size(), log.checkpoint().root, pub.text(), o.proof.empty() ? "" : o.proof.filename().string(), run.env.clock.now()};
    std::string text;
    for (const Lang lang : {Lang::ja, Lang::en}) {
      if (!o.lang.empty() && o.lang != code(lang)) continue;
      if (!text.empty()) text += "\n" + std::string(72, '-') + "\n\n";
      text += complaint_letter(a, parts, messages, lang);
    }
    NORA_CHECK(replace_file(o.letter, text));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  if (!run.json) {
    print_answer(a, seconds);
    if (!o.letter.empty()) fmt::print("letter: {}\n", to_terminal(o.letter.string()));
    if (!o.proof.empty()) fmt::print("proofs: {}\n", to_terminal(o.proof.string()));
    return 0;
  }
  auto line = survey::to_json(a);
  const auto& m = quoted->text();
  line["mandate"] = nora::json::Object{{"id", to_clean_utf8(m.id)}, {"revision", m.revision}, {"hash", to_hex(quoted->hash())}, {"authority", to_clean_utf8(m.authority)},
                                       {"legal_basis", to_clean_utf8(m.legal_basis)}, {"purpose", to_clean_utf8(m.purpose)}, {"contact", to_clean_utf8(m.contact)},
                                       {"not_before", m.not_before.text()}, {"not_after", m.not_after.text()}};
  line["log"] = nora::json::Object{{"origin", to_clean_utf8(log.checkpoint().origin)}, {"size", log.size()}, {"root", to_hex(log.checkpoint().root)}, {"complaint_leaf", leaf}};
  if (o.proof.empty()) line["proofs"] = proofs;
  else line["proof_file"] = o.proof.string();
  if (!o.letter.empty()) line["letter"] = o.letter.string();
  line["seconds"] = seconds;
  fmt::print("{}\n", nora::json::text(line));
  return 0;
}

}  // namespace

void add_complaint(CLI::App& root, Run& run) {
  auto* c = with_json(root.add_subcommand("complaint", "\"Was it you?\": what we sent to an address at a time, with proofs and a letter"), run);
  auto o = std::make_shared<Options>();
  c->add_option("--ip", o->ip, "the address that complains")->required();
  c->add_option("--port", o->port, "its port; without it, every port")->check(CLI::Range(1, 65535));
  c->add_option("--at", o->at, "when, with its zone: 2026-11-25T12:12:00+09:00")->required();
  c->add_option("--window", o->window, "how far clocks may differ, each way")->capture_default_str();
  c->add_option("--dir", o->dirs, "spool directory of a survey, or a folder of them; may be repeated")->required();
  c->add_option("--audit", o->audit, "folder of the party's audit log (default: as the survey had it)");
  c->add_option("--key", o->key, "the party's key file: the complaint is a leaf (default: as the survey had it)");
  c->add_option("--mandate", o->mandates, "signed mandate of the survey; may be repeated (default: as the survey had it)");
  c->add_option("--roots", o->roots, "root file (default: as the survey had it)");
  c->add_option("--law-dir", o->law_dir, "law profiles");
  c->add_option("--catalogue", o->catalogue, "probe catalogue");
  c->add_option("--opt-out", o->opt_outs, "opt-out list; may be repeated");
  c->add_option("--store", o->store, "the center's store: conversations, and plans of surveys whose spools are gone");
  c->add_option("--lang", o->lang, "language of the letter: ja or en (default: both)")->check(CLI::IsMember({"ja", "en"}));
  c->add_option("--letter", o->letter, "write the reply here");
  c->add_option("--proof", o->proof, "write the proofs here (C2SP tlog-proof), to enclose");
  c->footer("--json fields: ip, port, at, window_s, verdict (sent|not_sent|uncertain), in_range, in_plan, probes[], other_ports[], near[], nearest_off_s,\n"
            "hours_off, conversations[], segments[], mandate, log, proofs or proof_file, letter, seconds.\n"
            "Example: nora complaint --ip 203.0.113.7 --at 2026-11-25T12:12:00+09:00 --dir spool --letter reply.txt --proof reply.tlog-proof");
  c->callback([&run, o] { run.action = [&run, o] { return answer(*o, run); }; });
}

}  // namespace nora::app
