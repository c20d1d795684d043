// `nora retention`: deletes what the law profile lets the center keep no longer (registry/retention.h). The leaf comes before the act. Run daily.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "app/command.h"
#include "base/crypto.h"
#include "base/json.h"
#include "cases/state.h"
#include "law/audit.h"
#include "law/profile.h"
#include "registry/registry.h"
#include "registry/retention.h"

namespace nora::app {
namespace {

struct Options {
  std::string store, audit, key, profile = "jp", law_dir;
  bool dry_run = false;
};

json::Object counts_of(const registry::Forgotten& f) {
  return {{"reply_bytes", f.reply_bytes}, {"outcomes", f.outcomes},   {"findings", f.findings},  {"observations", f.observations},
          {"endpoints", f.endpoints},     {"replies", f.replies},     {"sightings", f.sightings}};
}

Result<int> apply(Run& run, Options& o) {
  if (o.law_dir.empty()) o.law_dir = data_dir() + "/law";
  NORA_TRY(const auto profile, law::LawProfile::load(o.law_dir, o.profile));
  const auto& keep = profile.retention;
  const auto now = run.env.clock.now();
  registry::RetentionLimits limits{now - Span::days(keep.replies), now - Span::days(keep.findings), now - Span::days(keep.sightings), {}};
  for (const auto state : cases::all_states())
    if (cases::is_end(state)) limits.ended.emplace_back(cases::name(state));
  NORA_TRY(auto store, registry::Registry::open(o.store));
  NORA_TRY(auto forgotten, registry::forget(store.db(), limits, true));
  if (!o.dry_run && forgotten.total() > 0) {
    if (o.audit.empty() || o.key.empty()) return fail(Code::usage, "deleting is written into the audit log first", "--audit DIR --key FILE, or --dry-run");
    NORA_TRY(const auto key, SigningKey::load(o.key));
    NORA_TRY(auto audit, law::Audit::open(o.audit, key.public_key().name, key, run.env));
    auto leaf = counts_of(forgotten);
    leaf["profile"] = profile.name;
    leaf["replies_before"] = limits.replies.text();
    leaf["findings_before"] = limits.findings.text();
    leaf["sightings_before"] = limits.sightings.text();
    NORA_CHECK(audit.append("retention", leaf));
    NORA_TRY(forgotten, registry::forget(store.db(), limits, false));
  }
  if (run.json) {
    auto line = counts_of(forgotten);
    line["deleted"] = !o.dry_run;
    std::printf("%s\n", json::text(line).c_str());
    return 0;
  }
  const auto row = [&](const char* what, std::int64_t n, const Instant& before) {
    std::printf("%10lld  %-44s before %s\n", static_cast<long long>(n), what, before.text().c_str());
  };
  std::printf("%s\n", o.dry_run ? "would be deleted:" : "deleted:");
  row("raw replies (their bytes)", forgotten.reply_bytes, limits.replies);
  row("outcomes of probes without an answer", forgotten.outcomes, limits.replies);
  row("findings without a case, or whose case ended", forgotten.findings, limits.findings);
  row("observations", forgotten.observations, limits.findings);
  row("addresses of devices", forgotten.endpoints, limits.findings);
  row("replies that nothing refers to", forgotten.replies, limits.findings);
  row("sightings of attacks", forgotten.sightings, limits.sightings);
  return 0;
}

}  // namespace

void add_retention(CLI::App& root, Run& run) {
  auto o = std::make_shared<Options>();
  auto* c = with_json(root.add_subcommand("retention", "Delete what the law profile lets the center keep no longer"), run);
  c->add_option("--store", o->store, "the center's store: sqlite:PATH or postgres://…")->required();
  c->add_option("--profile", o->profile, "law profile: data/law/<name>.toml")->capture_default_str();
  c->add_option("--law-dir", o->law_dir, "law profiles (default: data/law)");
  c->add_option("--audit", o->audit, "folder of the party's audit log");
  c->add_option("--key", o->key, "the party's signing key");
  c->add_flag("--dry-run", o->dry_run, "count only");
  c->footer(
      "Example: nora retention --store sqlite:center.db --audit audit --key center.key\n"
      "Raw bytes of replies go first; what led to findings goes when their case is over. Cases and their history hold no address and stay.");
  c->callback([&run, o] { run.action = [&run, o] { return apply(run, *o); }; });
}

}  // namespace nora::app
