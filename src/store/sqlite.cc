// SQLite 3.40, WAL, one connection. Prepared statements are cached by text (max_cached), since the same few run again and again.
#include <fmt/format.h>
#include <sqlite3.h>

#include <unordered_map>

#include "store/backends.h"

namespace nora::store {
namespace {

// Per connection; the library's own 2 MB reads a registry of gigabytes over and over.
constexpr const char* cache_pages = "PRAGMA cache_size=-32768";  // KiB
constexpr std::size_t max_cached = 200;

struct Finalize {
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

class Sqlite final : public Db {
 public:
  explicit Sqlite(sqlite3* db) : db_(db) {}
  ~Sqlite() override {
    cache_.clear();
    sqlite3_close(db_);
  }
  bool is_postgres() const override { return false; }

  Result<Rows> query(std::string_view sql, const Params& params) override {
    Rows rows;
    NORA_CHECK(run(sql, params, &rows));
    return rows;
  }
  Result<std::int64_t> exec(std::string_view sql, const Params& params) override {
    NORA_CHECK(run(sql, params, nullptr));
    return sqlite3_changes64(db_);
  }
  Status insert_many(std::string_view table, const std::vector<std::string>& columns, const Rows& rows, bool ignore) override {
    std::string names, places;
    for (const auto& column : columns) {
      names += (names.empty() ? "" : ", ") + column;
      places += places.empty() ? "?" : ", ?";
    }
    const std::string sql = fmt::format("INSERT INTO {} ({}) VALUES ({}){}", table, names, places, ignore ? " ON CONFLICT DO NOTHING" : "");
    return transaction([&]() -> Status {
      for (const auto& row : rows) NORA_CHECK(run(sql, row, nullptr));
      return {};
    });
  }

 protected:
  // IMMEDIATE: take the write lock at once, so that two processes cannot both read and then deadlock on the upgrade.
  Status begin() override { return run("BEGIN IMMEDIATE", {}, nullptr); }
  Status commit() override { return run("COMMIT", {}, nullptr); }
  void rollback() override { (void)run("ROLLBACK", {}, nullptr); }

 private:
  std::unexpected<Error> broken(std::string_view sql) {
    return fail(Code::failed, fmt::format("sqlite: {} in \"{}\"", sqlite3_errmsg(db_), std::string(sql.substr(0, 80))));
  }
  Result<sqlite3_stmt*> prepared(std::string_view sql) {
    const std::string key(sql);
    if (auto found = cache_.find(key); found != cache_.end()) return found->second.get();
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &raw, nullptr) != SQLITE_OK) return broken(sql);
    if (cache_.size() >= max_cached) cache_.clear();
    cache_.emplace(key, Statement(raw));
    return raw;
  }
  static int bind(sqlite3_stmt* s, int i, const Value& value) {
    return std::visit([&]<class T>(const T& x) {
      if constexpr (std::is_same_v<T, std::monostate>) return sqlite3_bind_null(s, i);
      else if constexpr (std::is_same_v<T, std::int64_t>) return sqlite3_bind_int64(s, i, x);
      else if constexpr (std::is_same_v<T, double>) return sqlite3_bind_double(s, i, x);
      else if constexpr (std::is_same_v<T, std::string>) return sqlite3_bind_text64(s, i, x.data(), x.size(), SQLITE_STATIC, SQLITE_UTF8);
      else return x.empty() ? sqlite3_bind_zeroblob(s, i, 0) : sqlite3_bind_blob64(s, i, x.data(), x.size(), SQLITE_STATIC);
    }, value.v());
  }
  static Value column(sqlite3_stmt* s, int i) {
    switch (sqlite3_column_type(s, i)) {
      case SQLITE_INTEGER: return Value(static_cast<std::int64_t>(sqlite3_column_int64(s, i)));
      case SQLITE_FLOAT: return Value(sqlite3_column_double(s, i));
      case SQLITE_TEXT: return Value(std::string(reinterpret_cast<const char*>(sqlite3_column_text(s, i)), static_cast<std::size_t>(sqlite3_column_bytes(s, i))));
      case SQLITE_BLOB: {
        const auto* p = static_cast<const std::uint8_t*>(sqlite3_column_blob(s, i));
        return Value(Bytes(p, p + sqlite3_column_bytes(s, i)));
      }
      default: return {};
    }
  }
  Status run(std::string_view sql, const Params& params, Rows* rows) {
    NORA_TRY(sqlite3_stmt* s, prepared(sql));
    struct Reset {
      sqlite3_stmt* s;
      ~Reset() {
        sqlite3_reset(s);
        sqlite3_clear_bindings(s);
      }
    } reset{s};
    if (sqlite3_bind_parameter_count(s) != static_cast<int>(params.size())) return fail(Code::failed, fmt::format("wrong number of values for \"{}\"", std::string(sql.substr(0, 80))));
    for (std::size_t i = 0; i < params.size(); ++i) if (bind(s, static_cast<int>(i + 1), params[i]) != SQLITE_OK) return broken(sql);
    while (true) {
      const int rc = sqlite3_step(s);
      if (rc == SQLITE_DONE) return {};
      if (rc != SQLITE_ROW) return broken(sql);
      if (rows == nullptr) continue;
      Row row;
      const int n = sqlite3_column_count(s);
      row.reserve(static_cast<std::size_t>(n));
      for (int i = 0; i < n; ++i) row.push_back(column(s, i));
      rows->push_back(std::move(row));
    }
  }

  sqlite3* db_;
  std::unordered_map<std::string, Statement> cache_;
};

}  // namespace

Result<std::unique_ptr<Db>> open_sqlite(std::string_view path) {
  sqlite3* raw = nullptr;
  const std::string file(path);
  if (sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK) {
    const std::string why = raw != nullptr ? sqlite3_errmsg(raw) : "out of memory";
    sqlite3_close(raw);
    return fail(Code::environment, fmt::format("cannot open store {}: {}", file, why), "check that the folder exists and can be written");
  }
  auto db = std::make_unique<Sqlite>(raw);
  sqlite3_busy_timeout(raw, busy_timeout_ms);
  // FULL: an acknowledged row survives a power cut (trust.md section 8).
  for (const char* pragma : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON", cache_pages}) NORA_CHECK(db->query(pragma, {}));
  return db;
}

}  // namespace nora::store
