#include "store/db.h"

#include <fmt/format.h>

#include "base/crypto.h"
#include "store/backends.h"

namespace nora::store {

std::int64_t Value::integer() const {
  if (is_null()) return 0;
  NORA_ASSERT(std::holds_alternative<std::int64_t>(v_), "the column is not an integer");
  return std::get<std::int64_t>(v_);
}
double Value::real() const {
  if (const auto* i = std::get_if<std::int64_t>(&v_)) return static_cast<double>(*i);
  if (is_null()) return 0;
  NORA_ASSERT(std::holds_alternative<double>(v_), "the column is not a number");
  return std::get<double>(v_);
}
const std::string& Value::str() const {
  static const std::string empty;
  if (is_null()) return empty;
  NORA_ASSERT(std::holds_alternative<std::string>(v_), "the column is not a text");
  return std::get<std::string>(v_);
}
const Bytes& Value::blob() const {
  static const Bytes empty;
  if (is_null()) return empty;
  NORA_ASSERT(std::holds_alternative<Bytes>(v_), "the column is not a blob");
  return std::get<Bytes>(v_);
}
Ip Value::ip() const {
  auto ip = Ip::from_bytes(blob());
  NORA_ASSERT(ip.has_value() && blob().size() == 16, "the column is not an address");
  return *ip;
}
Hash Value::hash() const {
  NORA_ASSERT(blob().size() == 32, "the column is not a hash");
  Hash hash;
  std::copy(blob().begin(), blob().end(), hash.begin());
  return hash;
}

Result<std::unique_ptr<Db>> Db::open(std::string_view url) {
  if (url.starts_with("sqlite:")) return open_sqlite(url.substr(7));
  if (url.starts_with("postgres://") || url.starts_with("postgresql://")) return open_postgres(url);
  return fail(Code::usage, fmt::format("\"{}\" is not a store URL", std::string(url.substr(0, 60))), "use sqlite:PATH or postgres://…");
}

Status Db::transaction(const std::function<Status()>& work) {
  if (depth_ > 0) return work();
  NORA_CHECK(begin());
  ++depth_;
  Status done;
  try {
    done = work();
  } catch (...) {
    --depth_;
    rollback();
    throw;
  }
  --depth_;
  if (!done) {
    rollback();
    return done;
  }
  if (auto s = commit(); !s) {
    rollback();
    return s;
  }
  return {};
}

Status Db::write(std::string_view sql, const Params& params) {
  NORA_TRY([[maybe_unused]] const std::int64_t touched, exec(sql, params));
  return {};
}

std::string places(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += i ? ",?" : "?";
  return out;
}

Result<Value> Db::one(std::string_view sql, const Params& params) {
  NORA_TRY(Rows rows, query(sql, params));
  if (rows.empty() || rows[0].empty()) return Value{};
  return std::move(rows[0][0]);
}

std::string in_dialect(std::string_view sql, bool postgres) {
  struct Word { std::string_view from, sqlite, pg; };
  static constexpr Word words[] = {
      {"{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT", "BIGSERIAL PRIMARY KEY"},
      {"{blob}", "BLOB", "BYTEA"},
      {"{bigint}", "INTEGER", "BIGINT"},
      {"{real}", "REAL", "DOUBLE PRECISION"},
      {"{now_us}", "(CAST(unixepoch('subsec') * 1000000 AS INTEGER))", "((extract(epoch from clock_timestamp()) * 1000000)::bigint)"},
  };
  std::string out(sql);
  for (const auto& word : words) {
    const std::string_view to = postgres ? word.pg : word.sqlite;
    for (std::size_t at = 0; (at = out.find(word.from, at)) != std::string::npos; at += to.size()) out.replace(at, word.from.size(), to);
  }
  return out;
}

namespace {
std::vector<std::string> split_statements(std::string_view sql) {
  std::vector<std::string> out;
  while (!sql.empty()) {
    const auto end = sql.find(";\n");
    const auto statement = sql.substr(0, end);
    if (statement.find_first_not_of(" \n\t;") != std::string_view::npos) out.emplace_back(statement);
    if (end == std::string_view::npos) break;
    sql.remove_prefix(end + 2);
  }
  return out;
}

Status bring_up_to_date(Db& db, std::string_view family, const std::vector<Migration>& migrations) {
  NORA_CHECK(db.exec(in_dialect("CREATE TABLE IF NOT EXISTS schema_version (family TEXT NOT NULL, number {bigint} NOT NULL, name TEXT NOT NULL, "
                             "checksum TEXT NOT NULL, PRIMARY KEY (family, number))", db.is_postgres())));
  int expected = 1;
  for (const auto& migration : migrations) {
    NORA_ASSERT(migration.number == expected++, "migrations are numbered 1, 2, … without gaps");
    const std::string checksum = to_hex(ByteView(sha256(as_bytes(migration.sql))).first(8));
    NORA_CHECK(db.transaction([&]() -> Status {
      NORA_TRY(const Rows rows, db.query("SELECT checksum FROM schema_version WHERE family = ? AND number = ?", {family, migration.number}));
      if (!rows.empty()) {
        if (rows[0][0].str() == checksum) return {};
        return fail(Code::environment, fmt::format("migration {} {} of {} was changed after it ran", migration.number, migration.name, family),
                    "put the change into a new migration");
      }
      for (const auto& statement : split_statements(migration.sql)) NORA_CHECK(db.exec(in_dialect(statement, db.is_postgres())));
      NORA_CHECK(db.exec("INSERT INTO schema_version (family, number, name, checksum) VALUES (?, ?, ?, ?)", {family, migration.number, migration.name, checksum}));
      return {};
    }));
  }
  return {};
}
}  // namespace

Status Db::migrate(std::string_view family, const std::vector<Migration>& migrations) {
  if (!is_postgres()) return bring_up_to_date(*this, family, migrations);
  // Programs that start together make the schema one after the other: two CREATE TABLE IF NOT EXISTS at once fail in PostgreSQL.
  NORA_CHECK(query("SELECT pg_advisory_lock(5643714)"));
  auto done = bring_up_to_date(*this, family, migrations);
  auto free = query("SELECT pg_advisory_unlock(5643714)");  // the end of the connection frees it too
  if (done && !free) return std::unexpected(free.error());
  return done;
}

}  // namespace nora::store
