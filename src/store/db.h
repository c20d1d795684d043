// Db: one thin door to SQLite (embedded default) and PostgreSQL (server). Used by every folder that keeps rows.
// URLs: "sqlite:PATH" and "postgres://…" (libpq). SQL is written once with "?" places in the common subset of both; the few
// differences are bridged here: "?" becomes $1…, and the words {serial} (auto-increment primary key), {blob}, {bigint}, {real}, {now_us} in
// migrations become the dialect's own. Not thread safe: one Db per thread; SQLite runs in WAL mode with a busy timeout, so several processes may
// hold the same file. Limits: max_row_bytes per value.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/instant.h"
#include "base/ip.h"
#include "base/result.h"

namespace nora::store {

inline constexpr std::size_t max_value_bytes = 64u << 20;
inline constexpr int busy_timeout_ms = 10'000;

// A bound or read value. Instants are stored as int64 microseconds, addresses as 16-byte blobs (v4-mapped, so they order), booleans as 0/1.
class Value {
 public:
  using V = std::variant<std::monostate, std::int64_t, double, std::string, Bytes>;
  Value() = default;
  Value(std::nullptr_t) {}
  Value(std::int64_t v) : v_(v) {}
  Value(int v) : v_(std::int64_t{v}) {}
  Value(std::uint16_t v) : v_(std::int64_t{v}) {}
  Value(std::uint32_t v) : v_(std::int64_t{v}) {}
  Value(bool v) : v_(std::int64_t{v}) {}
  Value(double v) : v_(v) {}
  Value(std::string v) : v_(std::move(v)) {}
  Value(std::string_view v) : v_(std::string(v)) {}
  Value(const char* v) : v_(std::string(v)) {}
  Value(Bytes v) : v_(std::move(v)) {}
  Value(const Hash& v) : v_(Bytes(v.begin(), v.end())) {}
  Value(Instant v) : v_(v.us) {}
  Value(const Ip& v) : v_(Bytes(v.bytes().begin(), v.bytes().end())) {}
  template <class T>
  Value(const std::optional<T>& v) { if (v) *this = Value(*v); }

  bool is_null() const { return v_.index() == 0; }
  std::int64_t integer() const;         // 0 when null; asserts on another type
  double real() const;                  // integers convert
  const std::string& str() const;       // empty when null
  const Bytes& blob() const;            // empty when null
  Instant instant() const { return {integer()}; }
  Ip ip() const;                        // asserts on 16 bytes
  Hash hash() const;                    // asserts on 32 bytes
  bool boolean() const { return integer() != 0; }
  const V& v() const { return v_; }

 private:
  V v_;
};

// "?,?,?": as many places as values, for IN lists.
std::string places(std::size_t count);

using Row = std::vector<Value>;
using Rows = std::vector<Row>;
using Params = std::vector<Value>;

struct Migration {
  int number;             // 1, 2, … without gaps
  std::string_view name;
  std::string_view sql;   // one or more statements, separated by ";\n"
};

class Db {
 public:
  virtual ~Db() = default;
  // Opens (and for sqlite creates) the store. Errors: usage (bad URL), environment (server not reachable, file not writable).
  static Result<std::unique_ptr<Db>> open(std::string_view url);

  // Runs one statement; returns the rows (empty for writes). Errors: failed, with the SQL's first words and the store's own message.
  virtual Result<Rows> query(std::string_view sql, const Params& params = {}) = 0;
  // Runs one statement; returns the number of rows touched.
  virtual Result<std::int64_t> exec(std::string_view sql, const Params& params = {}) = 0;
  // Many rows into one table, fast: one transaction with a prepared statement, or binary COPY. on_conflict_ignore: rows whose key exists are skipped.
  virtual Status insert_many(std::string_view table, const std::vector<std::string>& columns, const Rows& rows, bool on_conflict_ignore = false) = 0;
  virtual bool is_postgres() const = 0;

  // exec() for callers that do not need the count.
  Status write(std::string_view sql, const Params& params = {});

  // Runs work inside one transaction: commit when it returns a value, roll back when it returns an error. Nested calls join the outer one.
  Status transaction(const std::function<Status()>& work);
  // Brings the schema up to date; each migration in its own transaction, with a checksum table (`schema_version`). A changed old migration is an error.
  Status migrate(std::string_view family, const std::vector<Migration>& migrations);
  // First value of the first row, or null.
  Result<Value> one(std::string_view sql, const Params& params = {});

 protected:
  virtual Status begin() = 0;
  virtual Status commit() = 0;
  virtual void rollback() = 0;
  int depth_ = 0;
};

}  // namespace nora::store
