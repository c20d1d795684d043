#include "portal/records.h"

#include "base/crypto.h"

namespace nora::portal {
namespace {

const std::vector<store::Migration> migrations{
    {1, "consents, checks, what owners told",
     "CREATE TABLE consent (id {serial}, at BIGINT NOT NULL, ip {blob}, text_id TEXT NOT NULL, lang TEXT NOT NULL, code_hash {blob});\n"
     "CREATE TABLE check_run (id {serial}, consent BIGINT NOT NULL REFERENCES consent(id) ON DELETE CASCADE, ended BIGINT NOT NULL, verdict TEXT NOT NULL, "
     "lines BIGINT NOT NULL);\n"
     "CREATE TABLE told (id {serial}, at BIGINT NOT NULL, code_hash {blob} NOT NULL, what TEXT NOT NULL);\n"
     "CREATE INDEX consent_at ON consent(at);\n"
     "CREATE INDEX told_at ON told(at)"},
};

}  // namespace

Result<std::unique_ptr<Records>> Records::open(std::string_view url, Secret code_key, Env env) {
  NORA_TRY(auto db, store::Db::open(url));
  NORA_CHECK(db->migrate("portal", migrations));
  auto records = std::make_unique<Records>(std::move(db), std::move(code_key), env);
  NORA_CHECK(records->forget());
  return records;
}

Hash Records::code_hash(std::string_view code) const { return keyed_hash(key_, as_bytes("code:" + std::string(code))); }

Hash Records::peer_hash(Ip peer) const { return keyed_hash(key_, as_bytes("peer:" + peer.text())); }

Result<std::int64_t> Records::consented(Ip own_address, std::string_view text_id, std::string_view lang, std::string_view code) {
  NORA_CHECK(forget());
  return db_.with([&](std::unique_ptr<store::Db>& db) -> Result<std::int64_t> {
    NORA_TRY(const auto rows, db->query("INSERT INTO consent (at, ip, text_id, lang, code_hash) VALUES (?, ?, ?, ?, ?) RETURNING id",
                                        {env_.clock.now(), own_address, text_id, lang, code.empty() ? store::Value() : store::Value(code_hash(code))}));
    if (rows.empty()) return fail(Code::failed, "the store gave no row id");
    return rows[0][0].integer();
  });
}

Status Records::checked(std::int64_t consent, std::string_view verdict, int lines) {
  return db_.with([&](std::unique_ptr<store::Db>& db) -> Status {
    NORA_CHECK(db->exec("INSERT INTO check_run (consent, ended, verdict, lines) VALUES (?, ?, ?, ?)", {consent, env_.clock.now(), verdict, lines}));
    return {};
  });
}

Status Records::told(std::string_view code, std::string_view what) {
  return db_.with([&](std::unique_ptr<store::Db>& db) -> Status {
    NORA_CHECK(db->exec("INSERT INTO told (at, code_hash, what) VALUES (?, ?, ?)", {env_.clock.now(), code_hash(code), what}));
    return {};
  });
}

Status Records::forget() {
  return db_.with([&](std::unique_ptr<store::Db>& db) -> Status {
    const auto now = env_.clock.now();
    NORA_CHECK(db->exec("UPDATE consent SET ip = NULL WHERE ip IS NOT NULL AND at < ?", {now - address_kept}));
    NORA_CHECK(db->exec("DELETE FROM check_run WHERE consent IN (SELECT id FROM consent WHERE at < ?)", {now - rows_kept}));
    NORA_CHECK(db->exec("DELETE FROM consent WHERE at < ?", {now - rows_kept}));
    NORA_CHECK(db->exec("DELETE FROM told WHERE at < ?", {now - rows_kept}));
    return {};
  });
}

}  // namespace nora::portal
