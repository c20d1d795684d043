// The audit log of a party: open and append (law/audit.h).
#include "law/audit.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "law/audit_parts.h"

namespace nora::law {
namespace {

constexpr std::size_t max_party_bytes = 64, max_kind_bytes = 40;

bool good_party(std::string_view party) {
  return !party.empty() && party.size() <= max_party_bytes &&
         std::all_of(party.begin(), party.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; });
}
bool good_kind(std::string_view kind) {
  return !kind.empty() && kind.size() <= max_kind_bytes && std::all_of(kind.begin(), kind.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

}  // namespace

std::string audit_text(Instant at, std::string_view kind, const json::Object& data) {
  return json::text(json::Object{{"at", at.text()}, {"kind", std::string(kind)}, {"data", data}});
}

Result<AuditEntry> audit_entry(std::uint64_t index, std::string_view text) {
  NORA_TRY(const json::Object o, json::parse_object(text));
  AuditEntry e;
  e.index = index;
  NORA_TRY(e.at, json::get_instant(o, "at"));
  NORA_TRY(e.kind, json::get_string(o, "kind"));
  NORA_TRY(e.data, json::get_object(o, "data"));
  return e;
}

Status Audit::Parts::commit(const AuditGrowth& growth) {
  const AuditTail& next = growth.tail();
  const std::string text = sign_note(Checkpoint{audit_origin(party), next.size(), next.edge.root(), {}}.text(), *key);
  const auto done = [&]() -> Status {
    NORA_CHECK(growth.write(dir));
    return replace_file(dir / "checkpoint", text, 0600);
  }();
  if (!done) {
    (void)clean_beyond(dir, tail);  // best effort; the next open does it again
    Error e = done.error();
    if (e.fix.empty()) e.fix = "Nothing was done. Make room or repair the disk, then try again.";
    return pass(std::move(e));
  }
  note = text;
  tail = next;
  growth.drop_partials(dir);
  return {};
}

Status Audit::Parts::catch_up() {
  NORA_TRY(const std::string now, read_file(dir / "checkpoint", max_checkpoint_bytes));
  if (now == note) return {};
  const auto altered = [&](std::string_view why) { return fail(Code::failed, fmt::format("the audit log {} was altered: {}", dir.string(), why)); };
  const auto c = open_own_checkpoint(now, key->public_key());
  if (!c) return altered(c.error().what);
  if (c->origin != audit_origin(party) || c->size < tail.size()) return altered("its checkpoint went back");
  auto loaded = load_tail(dir, *c, env.log);
  if (!loaded) return altered(loaded.error().what);
  Tiles tiles(dir, c->size);
  const auto before = merkle_root_at(tail.size(), tiles.source());
  if (!before || *before != tail.edge.root()) return altered("it does not go on from what this process has seen");
  note = now;
  tail = std::move(*loaded);
  return {};
}

Result<std::vector<LeafId>> Audit::Parts::append(std::string_view kind, const std::vector<json::Object>& acts) {
  if (!good_kind(kind)) return fail(Code::usage, fmt::format("\"{}\" is not a kind of audit entry (a-z _)", kind));
  AuditGrowth growth(tail);
  std::vector<LeafId> ids;
  const Instant at = env.clock.now();
  for (const json::Object& act : acts) {
    const std::string content = audit_text(at, kind, act);
    if (content.size() > max_entry_bytes) return fail(Code::usage, fmt::format("an audit entry of {} bytes is too long (at most {})", content.size(), max_entry_bytes));
    std::array<std::uint8_t, salt_bytes> salt;
    env.random.fill(salt);
    const Hash leaf = growth.add(audit_commitment(salt, as_bytes(content)), salt, as_bytes(content));
    ids.push_back({growth.tail().size() - 1, leaf});
  }
  NORA_CHECK(commit(growth));
  return ids;
}

Audit::Audit(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Audit::Audit(Audit&&) noexcept = default;
Audit& Audit::operator=(Audit&&) noexcept = default;
Audit::~Audit() = default;

Result<Audit> Audit::open(const std::filesystem::path& dir, std::string_view party, const SigningKey& key, Env env) {
  if (!good_party(party)) return fail(Code::usage, fmt::format("\"{}\" is not a party name (a-z 0-9 - .)", party));
  std::error_code error;
  if (!std::filesystem::exists(dir, error)) {
    std::filesystem::create_directories(dir.parent_path().empty() ? "." : dir.parent_path(), error);
    if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST)
      return fail(Code::failed, fmt::format("the audit log {} cannot be made: {}", dir.string(), errno_text(errno)));
  }
  NORA_TRY(const AuditLock lock, AuditLock::take(dir, true));
  auto parts = std::make_unique<Parts>(dir, party, key, env);
  if (!std::filesystem::exists(dir / "checkpoint", error)) {
    for (const char* f : {"entries", "private", "tile"})
      if (std::filesystem::exists(dir / f, error) && !std::filesystem::is_empty(dir / f, error))
        return fail(Code::failed, fmt::format("the audit log {} has entries but no checkpoint", dir.string()), "It was altered, or its first write was cut off; look at it before it is moved away.");
    NORA_CHECK(parts->commit(AuditGrowth({})));
    return Audit(std::move(parts));
  }
  const auto altered = [&](std::string_view why) { return fail(Code::failed, fmt::format("the audit log {} was altered: {}", dir.string(), why)); };
  const auto read = [&]() -> Result<Checkpoint> {
    NORA_TRY(parts->note, read_file(dir / "checkpoint", max_checkpoint_bytes));
    return open_own_checkpoint(parts->note, key.public_key());
  };
  auto c = read();
  if (!c) return altered(c.error().what);
  if (c->origin != audit_origin(party)) return fail(Code::failed, fmt::format("the audit log {} belongs to \"{}\"", dir.string(), c->origin));
  if (is_old_layout(*c)) {
    if (const auto moved = migrate_old_log(dir, *c, key); !moved) return fail(moved.error().code, fmt::format("the audit log {}: {}", dir.string(), moved.error().what), moved.error().fix);
    env.log.info(fmt::format("audit log {}: {} leaves moved to the layout of C2SP tlog-tiles", dir.string(), c->size));
    c = read();
    if (!c) return altered(c.error().what);
  }
  remove_old_files(dir);
  NORA_CHECK(parts->finish_shredding(c->size));
  auto tail = load_tail(dir, *c, env.log);
  if (!tail) return altered(tail.error().what);
  parts->tail = std::move(*tail);
  NORA_CHECK(clean_beyond(dir, parts->tail));
  return Audit(std::move(parts));
}

Result<LeafId> Audit::append(std::string_view kind, const json::Object& data) {
  NORA_TRY(const auto ids, append_all(kind, {data}));
  return ids[0];
}

Result<std::vector<LeafId>> Audit::append_all(std::string_view kind, const std::vector<json::Object>& acts) {
  if (acts.empty()) return std::vector<LeafId>{};
  Parts& p = *parts_;
  const std::lock_guard guard(p.mutex);
  NORA_TRY(const AuditLock lock, AuditLock::take(p.dir, true));
  NORA_CHECK(p.catch_up());
  return p.append(kind, acts);
}

AuditState Audit::state() const {
  const std::lock_guard guard(parts_->mutex);
  return {parts_->tail.size(), parts_->tail.edge.root()};
}

}  // namespace nora::law
