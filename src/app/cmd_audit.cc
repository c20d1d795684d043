// `nora audit verify|show|prove|check-proof|request|witness|accept|shred|repair`: the log of a party, checked, read, proved and witnessed.
// law/ does the work (docs/audit.md).
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "base/crypto.h"
#include "base/escape.h"
#include "base/files.h"
#include "base/json.h"
#include "law/audit_proof.h"
#include "law/audit_verify.h"
#include "law/witness.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path dir, key, out, state, log, request, file, log_key;
  std::vector<fs::path> witnesses, seen, files;
  std::vector<std::uint64_t> leaves;
  std::uint64_t from = 0, to = ~std::uint64_t{0}, old_size = 0;
  int quorum = -1;
  std::string kind, segment, max_age, before, reason;
  bool public_part = false, closed = false;
};

// A key file of the party or, for auditors who do not hold it, its FILE.pub.
Result<PublicKey> public_key(const fs::path& file) {
  NORA_TRY(std::string text, read_file(file, 4096));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (auto key = PublicKey::parse(text)) return *key;
  NORA_TRY(const SigningKey key, SigningKey::load(file));
  return key.public_key();
}

Result<std::vector<PublicKey>> witness_keys(const Options& o) {
  std::vector<PublicKey> out;
  for (const auto& file : o.witnesses) {
    NORA_TRY(const std::string text, read_file(file, 4096));
    auto key = law::parse_witness_key(text);
    if (!key) return fail(Code::bad_input, fmt::format("{}: {}", file.string(), key.error().what), key.error().fix);
    out.push_back(std::move(*key));
  }
  return out;
}

// Named witnesses count: one of them is enough unless a quorum is given.
Result<unsigned> quorum(const Options& o) {
  if (o.quorum > static_cast<int>(o.witnesses.size())) return fail(Code::usage, fmt::format("a quorum of {} needs as many --witness", o.quorum));
  return static_cast<unsigned>(o.quorum >= 0 ? o.quorum : o.witnesses.empty() ? 0 : 1);
}

json::Array to_json(const std::vector<law::Cosignature>& by) {
  json::Array out;
  for (const auto& c : by) out.push_back(json::Object{{"witness", to_clean_utf8(c.witness)}, {"at", c.at.text()}});
  return out;
}
std::string names(const std::vector<law::Cosignature>& by) {
  std::string out;
  for (const auto& c : by) out += fmt::format("{}{} at {}", out.empty() ? "" : ", ", to_terminal(c.witness), c.at.text());
  return out;
}
void print(const json::Object& o) { fmt::print("{}\n", json::text(o)); }

// To --out, otherwise to the terminal as it is: these are texts for files.
Status give(const Options& o, std::string_view text) {
  if (!o.out.empty()) return replace_file(o.out, text);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

Result<int> verify(const Options& o, Run& run) {
  NORA_TRY(const PublicKey key, public_key(o.key));
  law::AuditCheck wanted;
  wanted.public_part_only = o.public_part;
  NORA_TRY(wanted.witnesses, witness_keys(o));
  NORA_TRY(wanted.quorum, quorum(o));
  for (const auto& file : o.seen) {
    NORA_TRY(std::string note, read_file(file, law::max_checkpoint_bytes));
    wanted.seen.push_back(std::move(note));
  }
  if (!o.max_age.empty()) {
    NORA_TRY(const Span age, Span::parse(o.max_age));
    wanted.not_before = run.env.clock.now() - age;
  }
  const auto report = law::audit_check(o.dir, key, wanted);
  if (!report) {
    if (run.json) print({{"ok", false}, {"dir", o.dir.string()}, {"why", to_clean_utf8(report.error().what)}});
    return fail(Code::failed, fmt::format("the audit log {} does not hold: {}", o.dir.string(), report.error().what), report.error().fix);
  }
  const auto& s = report->state;
  if (run.json) {
    print({{"ok", true}, {"dir", o.dir.string()}, {"size", s.size}, {"root", to_hex(s.root)}, {"shredded", report->shredded}, {"witnesses", to_json(report->cosigned)}});
    return 0;
  }
  fmt::print("{}: {} leaves, root {}, signed by {}\n", to_terminal(o.dir.string()), s.size, to_hex(s.root), to_terminal(key.name));
  if (report->shredded > 0) fmt::print("{} of them are shredded, each by the order of a later leaf\n", report->shredded);
  if (!report->cosigned.empty()) fmt::print("seen by {}\n", names(report->cosigned));
  return 0;
}

Result<int> show(const Options& o, Run& run) {
  NORA_TRY(const auto entries, law::audit_read(o.dir, o.from, o.to));
  for (const auto& e : entries) {
    if (!o.kind.empty() && e.kind != o.kind) continue;
    const bool gone = e.kind == "shredded";
    const std::string at = gone ? "-" : e.at.text();
    if (run.json) print({{"index", e.index}, {"at", gone ? json::Value(nullptr) : json::Value(at)}, {"kind", e.kind}, {"data", e.data}});
    else fmt::print("{:>6}  {:<27} {:<20} {}\n", e.index, at, to_terminal(e.kind), to_terminal(json::text(e.data)));
  }
  return 0;
}

Result<int> prove(const Options& o, Run& run) {
  std::optional<PublicKey> key;
  if (!o.key.empty()) {
    NORA_TRY(key, public_key(o.key));
  }
  NORA_TRY(auto reader, law::AuditReader::open(o.dir, key ? &*key : nullptr));
  std::vector<std::uint64_t> leaves = o.leaves;
  if (!o.segment.empty()) {
    NORA_TRY(const auto found, law::segment_leaves(reader, o.segment));
    if (found.empty()) return fail(Code::failed, fmt::format("no leaf of {} speaks of segment {}", o.dir.string(), o.segment));
    for (const auto& e : found) leaves.push_back(e.index);
  }
  if (leaves.empty()) return fail(Code::usage, "say which: --leaf N or --segment ID");
  std::string text;
  json::Array indexes;
  for (const std::uint64_t i : leaves) {
    NORA_TRY(const auto proof, law::prove_leaf(o.dir, reader, i, !o.closed));
    text += law::write_proof(proof);
    indexes.push_back(json::Value(i));
  }
  if (run.json && o.out.empty()) {
    print({{"leaves", std::move(indexes)}, {"size", reader.size()}, {"proof", text}});
    return 0;
  }
  NORA_CHECK(give(o, text));
  if (run.json) print({{"leaves", std::move(indexes)}, {"size", reader.size()}, {"file", o.out.string()}});
  else if (!o.out.empty()) fmt::print("{}: {} proof{}\n", to_terminal(o.out.string()), leaves.size(), leaves.size() == 1 ? "" : "s");
  return 0;
}

Result<int> check(const Options& o, Run& run) {
  NORA_TRY(const PublicKey key, public_key(o.key));
  NORA_TRY(const auto witnesses, witness_keys(o));
  NORA_TRY(const unsigned needed, quorum(o));
  for (const auto& file : o.files) {
    NORA_TRY(const std::string text, read_file(file, law::max_proof_bytes * 100));
    NORA_TRY(const auto proofs, law::parse_proofs(text));
    for (const auto& p : proofs) {
      const auto proven = law::check_proof(p, key, witnesses, needed);
      if (!proven) {
        if (run.json) print({{"ok", false}, {"file", file.string()}, {"index", p.index}, {"why", to_clean_utf8(proven.error().what)}});
        return fail(Code::failed, fmt::format("{}: leaf {} is not proved: {}", file.string(), p.index, proven.error().what));
      }
      if (run.json) {
        json::Object line{{"ok", true}, {"file", file.string()}, {"log", to_clean_utf8(proven->origin)}, {"index", p.index}, {"size", proven->size}, {"root", to_hex(proven->root)}, {"witnesses", to_json(proven->cosigned)}};
        if (proven->entry) line["entry"] = json::Object{{"at", proven->entry->at.text()}, {"kind", proven->entry->kind}, {"data", proven->entry->data}};
        print(line);
        continue;
      }
      fmt::print("leaf {} of {} stands in {}, signed by {}\n", p.index, proven->size, to_terminal(proven->origin), to_terminal(key.name));
      if (!proven->cosigned.empty()) fmt::print("  seen by {}\n", names(proven->cosigned));
      if (proven->entry) fmt::print("  {}  {}  {}\n", proven->entry->at.text(), to_terminal(proven->entry->kind), to_terminal(json::text(proven->entry->data)));
      else fmt::print("  its data are not disclosed: entry {}\n", to_hex(p.entry));
    }
  }
  return 0;
}

Result<int> request(const Options& o, Run&) {
  NORA_TRY(auto reader, law::AuditReader::open(o.dir, nullptr));
  NORA_TRY(const auto r, law::make_request(reader, o.old_size));
  NORA_CHECK(give(o, law::write_request(r)));
  return 0;
}

Result<int> witness(const Options& o, Run& run) {
  if (o.log.empty() == o.request.empty()) return fail(Code::usage, "say what to look at: --log DIR or --request FILE");
  NORA_TRY(const SigningKey key, SigningKey::load(o.key));
  std::optional<PublicKey> log;
  if (!o.log_key.empty()) {
    NORA_TRY(log, public_key(o.log_key));
  }
  const law::Witness w(o.state, key, run.env);
  law::WitnessRequest r;
  if (!o.request.empty()) {
    NORA_TRY(const std::string text, read_file(o.request, law::max_request_bytes));
    NORA_TRY(r, law::parse_request(text));
  } else {
    NORA_TRY(auto reader, law::AuditReader::open(o.log, nullptr));
    NORA_TRY(const std::uint64_t last, w.last_size(reader.checkpoint().origin));
    // A log that is shorter than what was seen: the witness says so itself.
    if (last <= reader.size()) {
      NORA_TRY(r, law::make_request(reader, last));
    } else {
      r = {last, {}, reader.note()};
    }
  }
  NORA_TRY(const std::string note, w.cosign(r, log));
  NORA_CHECK(give(o, note));
  const auto vkey = key.public_key().text(PublicKey::cosigner_type);
  if (!o.out.empty()) fmt::print("{}: cosigned; the witness's key is {}\n", to_terminal(o.out.string()), vkey);
  return 0;
}

Result<int> accept(const Options& o, Run& run) {
  NORA_TRY(const PublicKey key, public_key(o.key));
  NORA_TRY(const auto witnesses, witness_keys(o));
  for (const auto& file : o.files) {
    NORA_TRY(const std::string note, read_file(file, law::max_checkpoint_bytes));
    NORA_TRY(const auto by, law::accept_cosigned(o.dir, key, note, witnesses));
    if (run.json) print({{"file", file.string()}, {"witnesses", to_json(by)}});
    else fmt::print("{}: seen by {}; kept in {}\n", to_terminal(file.string()), names(by), to_terminal((o.dir / "witness").string()));
  }
  return 0;
}

// The party's own log, for writing.
Result<int> with_log(const Options& o, Run& run, const std::function<Result<int>(law::Audit&)>& act) {
  NORA_TRY(const SigningKey key, SigningKey::load(o.key));
  NORA_TRY(const std::string party, law::audit_party(o.dir));
  NORA_TRY(auto log, law::Audit::open(o.dir, party, key, run.env));
  return act(log);
}

Result<int> shred(const Options& o, Run& run) {
  law::ShredWish wish{o.leaves, std::nullopt, o.kind, o.reason};
  if (!o.before.empty()) {
    NORA_TRY(wish.before, Instant::parse(o.before));
  }
  if (o.leaves.empty() == o.before.empty() || o.before.empty() != o.kind.empty()) return fail(Code::usage, "say which: --leaf N, or --before INSTANT with --kind KIND");
  return with_log(o, run, [&](law::Audit& log) -> Result<int> {
    NORA_TRY(const auto gone, log.shred(wish));
    if (run.json) {
      json::Array leaves;
      for (const auto i : gone) leaves.push_back(json::Value(i));
      print({{"shredded", std::move(leaves)}, {"size", log.state().size}});
    } else {
      fmt::print("{} leaves shredded\n", gone.size());
    }
    return 0;
  });
}

Result<int> repair(const Options& o, Run& run) {
  return with_log(o, run, [&](law::Audit& log) -> Result<int> {
    const auto s = log.state();
    if (run.json) print({{"size", s.size}, {"root", to_hex(s.root)}});
    else fmt::print("{}: {} leaves, root {}\n", to_terminal(o.dir.string()), s.size, to_hex(s.root));
    return 0;
  });
}

}  // namespace

void add_audit(CLI::App& root, Run& run) {
  auto* audit = root.add_subcommand("audit", "The append-only log of a party: checked, read, proved, witnessed");
  audit->require_subcommand(1);
  auto o = std::make_shared<Options>();
  using Act = Result<int> (*)(const Options&, Run&);
  const auto verb = [&](const char* name, const char* what, Act act) {
    auto* c = with_json(audit->add_subcommand(name, what), run);
    c->callback([=, &run] { run.action = [=, &run] { return act(*o, run); }; });
    return c;
  };
  const auto dir = [&](CLI::App* c) { c->add_option("dir", o->dir, "folder of the log")->required(); };
  const auto pub = [&](CLI::App* c) { c->add_option("--key", o->key, "the party's FILE.pub (or its key file)")->required(); };
  const auto secret = [&](CLI::App* c) { c->add_option("--key", o->key, "the party's key file")->required(); };
  const auto seen_by = [&](CLI::App* c) {
    c->add_option("--witness", o->witnesses, "public key of a witness; may be repeated");
    c->add_option("--quorum", o->quorum, "so many of them must have cosigned (default: one, when a witness is named)")->check(CLI::NonNegativeNumber);
  };
  const auto out = [&](CLI::App* c) { c->add_option("--out", o->out, "file to write; otherwise on stdout"); };

  auto* c = verb("verify", "Recompute every leaf and the root; exit 1 when a byte was changed", verify);
  dir(c), pub(c), seen_by(c);
  c->add_option("--seen", o->seen, "a checkpoint from elsewhere (a witness's state, an earlier visit): the log must go on from it; may be repeated");
  c->add_option("--max-age", o->max_age, "cosignatures older than this do not count, for example 24h");
  c->add_flag("--public", o->public_part, "a copy without the private records: entries, tiles and root only");
  c->footer("--json fields: ok, dir, size, root, shredded, witnesses[]; or ok, dir, why.");

  c = verb("show", "Print the entries", show);
  dir(c);
  c->add_option("--from", o->from, "first index")->capture_default_str();
  c->add_option("--to", o->to, "index after the last");
  c->add_option("--kind", o->kind, "only this kind");
  c->footer("--json fields: index, at, kind, data; one record an entry. A shredded entry has kind \"shredded\" and no time.");

  c = verb("prove", "Write a proof that anybody can check without the log (C2SP tlog-proof)", prove);
  dir(c);
  c->add_option("--leaf", o->leaves, "index of a leaf; may be repeated");
  c->add_option("--segment", o->segment, "the leaves of a survey's segment, for example 2026-11-25T031200Z-4f2a/0");
  c->add_flag("--closed", o->closed, "do not disclose the data, only that the entry stands there");
  c->add_option("--key", o->key, "the party's FILE.pub: check the checkpoint before");
  out(c);
  c->footer("--json fields: leaves[], size, and proof or file.");

  c = verb("check-proof", "Check proofs; exit 1 when one does not hold", check);
  c->add_option("file", o->files, "proofs")->required();
  pub(c), seen_by(c);
  c->footer("--json fields: ok, file, log, index, size, root, witnesses[], entry (when disclosed).");

  c = verb("request", "For a witness: the present state and that it goes on from an earlier one (C2SP tlog-witness)", request);
  dir(c);
  c->add_option("--old", o->old_size, "the size that the witness saw last (0: never)")->capture_default_str();
  out(c);

  c = verb("witness", "Cosign the state of another party's log, if it goes on from what was seen before", witness);
  c->add_option("--state", o->state, "folder in which this witness remembers")->required();
  c->add_option("--key", o->key, "the witness's key file (nora mandate keygen)")->required();
  c->add_option("--log", o->log, "the log itself, or its public part");
  c->add_option("--request", o->request, "what `nora audit request` wrote");
  c->add_option("--log-key", o->log_key, "the log's FILE.pub; needed the first time, kept then");
  out(c);
  c->footer("Exit 4: not cosigned, and why: went back, forked, unknown log. The answer is a checkpoint with one line more.");

  c = verb("accept", "Keep cosigned checkpoints beside the log", accept);
  dir(c), pub(c);
  c->add_option("--witness", o->witnesses, "public key of a witness; may be repeated")->required();
  c->add_option("file", o->files, "what the witness gave back")->required();
  c->footer("--json fields: file, witnesses[].");

  c = verb("shred", "Delete the data of leaves for good; their proofs stay", shred);
  dir(c), secret(c);
  c->add_option("--leaf", o->leaves, "index of a leaf; may be repeated");
  c->add_option("--before", o->before, "all leaves of a kind from before this instant");
  c->add_option("--kind", o->kind, "the kind, with --before");
  c->add_option("--reason", o->reason, "stands in the leaf of the shredding")->required();
  c->footer("--json fields: shredded[], size. A leaf of the shredding is written first.");

  c = verb("repair", "Open the log once: finish what a crash cut off, move a log of the first layout", repair);
  dir(c), secret(c);
  c->footer("--json fields: size, root.");
}

}  // namespace nora::app
