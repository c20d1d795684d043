// `nora audit verify|show`: the log of a party, recomputed and read.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "base/crypto.h"
#include "base/escape.h"
#include "base/files.h"
#include "base/json.h"
#include "law/audit.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;

// A key file of the party or, for auditors who do not hold it, its FILE.pub.
Result<PublicKey> public_key(const fs::path& file) {
  NORA_TRY(std::string text, read_file(file, 4096));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (auto key = PublicKey::parse(text)) return *key;
  NORA_TRY(const SigningKey key, SigningKey::load(file));
  return key.public_key();
}

struct Options {
  fs::path dir, key;
  std::uint64_t from = 0, to = ~std::uint64_t{0};
  std::string kind;
};

Result<int> verify(const Options& o, Run& run) {
  NORA_TRY(const PublicKey key, public_key(o.key));
  const auto state = law::audit_verify(o.dir, key);
  if (!state) {
    if (run.json) std::printf("%s\n", json::text(json::Object{{"ok", false}, {"dir", o.dir.string()}, {"why", to_clean_utf8(state.error().what)}}).c_str());
    return fail(Code::failed, fmt::format("the audit log {} does not hold: {}", o.dir.string(), state.error().what));
  }
  if (run.json) std::printf("%s\n", json::text(json::Object{{"ok", true}, {"dir", o.dir.string()}, {"size", state->size}, {"root", to_hex(state->root)}}).c_str());
  else std::printf("%s: %llu leaves, root %s, signed by %s\n", o.dir.c_str(), static_cast<unsigned long long>(state->size), to_hex(state->root).c_str(), to_terminal(key.name).c_str());
  return 0;
}

Result<int> show(const Options& o, Run& run) {
  NORA_TRY(const auto entries, law::audit_read(o.dir, o.from, o.to));
  for (const auto& e : entries) {
    if (!o.kind.empty() && e.kind != o.kind) continue;
    if (run.json) std::printf("%s\n", json::text(json::Object{{"index", e.index}, {"at", e.at.text()}, {"kind", e.kind}, {"data", e.data}}).c_str());
    else std::printf("%6llu  %s  %-20s %s\n", static_cast<unsigned long long>(e.index), e.at.text().c_str(), to_terminal(e.kind).c_str(), to_terminal(json::text(e.data)).c_str());
  }
  return 0;
}

}  // namespace

void add_audit(CLI::App& root, Run& run) {
  auto* audit = root.add_subcommand("audit", "The append-only log of a party: verify, show");
  audit->require_subcommand(1);
  auto o = std::make_shared<Options>();
  auto* verifying = with_json(audit->add_subcommand("verify", "Recompute every leaf and the root; exit 1 when a byte was changed"), run);
  verifying->add_option("dir", o->dir, "folder of the log")->required();
  verifying->add_option("--key", o->key, "the party's FILE.pub (or its key file)")->required();
  verifying->footer("--json fields: ok, dir, size, root; or ok, dir, why.");
  verifying->callback([=, &run] { run.action = [=, &run] { return verify(*o, run); }; });
  auto* showing = with_json(audit->add_subcommand("show", "Print the entries"), run);
  showing->add_option("dir", o->dir, "folder of the log")->required();
  showing->add_option("--from", o->from, "first index")->capture_default_str();
  showing->add_option("--to", o->to, "index after the last");
  showing->add_option("--kind", o->kind, "only this kind");
  showing->footer("--json fields: index, at, kind, data; one record an entry.");
  showing->callback([=, &run] { run.action = [=, &run] { return show(*o, run); }; });
}

}  // namespace nora::app
