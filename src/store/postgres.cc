// PostgreSQL 15 by raw libpq: text parameters except bytes (binary), binary COPY for bulk (stack.md: 33-49 times faster than INSERT).
#include <fmt/format.h>
#include <libpq-fe.h>

#include <bit>
#include <charconv>
#include <cstring>

#include "store/backends.h"

namespace nora::store {
namespace {

// Type oids of the columns that Nora uses (pg_type.dat; fixed for ever).
enum Oid_ : Oid { oid_bool = 16, oid_bytea = 17, oid_int8 = 20, oid_int2 = 21, oid_int4 = 23, oid_text = 25, oid_float4 = 700, oid_float8 = 701, oid_numeric = 1700 };

struct Clear {
  void operator()(PGresult* r) const { PQclear(r); }
};
using Answer = std::unique_ptr<PGresult, Clear>;

// "?" -> $1, $2, … outside of quotes.
std::string numbered(std::string_view sql) {
  std::string out;
  int n = 0;
  bool quoted = false;
  for (char c : sql) {
    if (c == '\'') quoted = !quoted;
    if (c == '?' && !quoted) out += fmt::format("${}", ++n);
    else out += c;
  }
  return out;
}

class Postgres final : public Db {
 public:
  explicit Postgres(PGconn* connection) : connection_(connection) {}
  ~Postgres() override { PQfinish(connection_); }
  bool is_postgres() const override { return true; }

  Result<Rows> query(std::string_view sql, const Params& params) override {
    NORA_TRY(Answer answer, run(sql, params));
    Rows rows;
    const int count = PQntuples(answer.get()), columns = PQnfields(answer.get());
    rows.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      Row row;
      for (int j = 0; j < columns; ++j) row.push_back(column(answer.get(), i, j));
      rows.push_back(std::move(row));
    }
    return rows;
  }
  Result<std::int64_t> exec(std::string_view sql, const Params& params) override {
    NORA_TRY(Answer answer, run(sql, params));
    const char* touched = PQcmdTuples(answer.get());
    std::int64_t n = 0;
    std::from_chars(touched, touched + std::strlen(touched), n);
    return n;
  }
  Status insert_many(std::string_view table, const std::vector<std::string>& columns, const Rows& rows, bool ignore) override {
    if (rows.empty()) return {};
    return transaction([&]() -> Status {
      std::string names;
      for (const auto& column : columns) names += (names.empty() ? "" : ", ") + column;
      if (!ignore) return copy_in(std::string(table), names, columns, rows);
      NORA_CHECK(exec(fmt::format("CREATE TEMP TABLE nora_staging ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA", names, table), {}));
      NORA_CHECK(copy_in("nora_staging", names, columns, rows));
      NORA_CHECK(exec(fmt::format("INSERT INTO {} ({}) SELECT {} FROM nora_staging ON CONFLICT DO NOTHING", table, names, names), {}));
      NORA_CHECK(exec("DROP TABLE nora_staging", {}));
      return {};
    });
  }

 protected:
  Status begin() override { return simple("BEGIN"); }
  Status commit() override { return simple("COMMIT"); }
  void rollback() override { (void)simple("ROLLBACK"); }

 private:
  Status simple(const char* sql) {
    Answer answer(PQexec(connection_, sql));
    if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK) return broken(sql);
    return {};
  }
  std::unexpected<Error> broken(std::string_view sql) {
    std::string why = PQerrorMessage(connection_);
    while (!why.empty() && why.back() == '\n') why.pop_back();
    return fail(PQstatus(connection_) == CONNECTION_OK ? Code::failed : Code::environment, fmt::format("postgres: {} in \"{}\"", why, std::string(sql.substr(0, 80))));
  }

  Result<Answer> run(std::string_view sql, const Params& params) {
    std::vector<std::string> texts(params.size());
    std::vector<const char*> values(params.size());
    std::vector<int> lengths(params.size()), formats(params.size());
    std::vector<Oid> types(params.size());
    for (std::size_t i = 0; i < params.size(); ++i) {
      std::visit([&]<class T>(const T& x) {
        if constexpr (std::is_same_v<T, std::monostate>) return;
        else if constexpr (std::is_same_v<T, std::int64_t>) texts[i] = std::to_string(x), types[i] = 0;
        else if constexpr (std::is_same_v<T, double>) texts[i] = fmt::format("{:.17g}", x), types[i] = oid_float8;
        else if constexpr (std::is_same_v<T, std::string>) texts[i] = x;
        else {
          values[i] = x.empty() ? "" : reinterpret_cast<const char*>(x.data());
          lengths[i] = static_cast<int>(x.size());
          formats[i] = 1;
          types[i] = oid_bytea;
        }
      }, params[i].v());
      if (!params[i].is_null() && formats[i] == 0) {
        // PostgreSQL text cannot hold NUL; callers store raw bytes as blobs, so this is a bug and not input.
        if (texts[i].find('\0') != std::string::npos) return fail(Code::bad_input, "a text value holds a NUL byte", "store raw bytes in a blob column");
        values[i] = texts[i].c_str();
        lengths[i] = static_cast<int>(texts[i].size());
      }
    }
    const std::string text = numbered(sql);
    Answer answer(PQexecParams(connection_, text.c_str(), static_cast<int>(params.size()), types.data(), values.data(), lengths.data(), formats.data(), 1));
    const auto status = PQresultStatus(answer.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) return broken(sql);
    return answer;
  }

  // Results come in binary form.
  static Value column(PGresult* r, int i, int j) {
    if (PQgetisnull(r, i, j)) return {};
    const auto* p = reinterpret_cast<const std::uint8_t*>(PQgetvalue(r, i, j));
    const auto n = static_cast<std::size_t>(PQgetlength(r, i, j));
    const auto big = [&] {
      std::uint64_t v = 0;
      for (std::size_t k = 0; k < n; ++k) v = v << 8 | p[k];
      return v;
    };
    switch (PQftype(r, j)) {
      case oid_int8: return Value(static_cast<std::int64_t>(big()));
      case oid_int4: return Value(std::int64_t{static_cast<std::int32_t>(big())});
      case oid_int2: return Value(std::int64_t{static_cast<std::int16_t>(big())});
      case oid_bool: return Value(std::int64_t{p[0]});
      case oid_float8: return Value(std::bit_cast<double>(big()));
      case oid_float4: return Value(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(big()))));
      case oid_numeric: return numeric(p, n);
      case oid_bytea: return Value(Bytes(p, p + n));
      default: return Value(std::string(reinterpret_cast<const char*>(p), n));
    }
  }
  // sum(bigint) is numeric: base-10000 digits (PostgreSQL src/backend/utils/adt/numeric.c); whole values become integers.
  static Value numeric(const std::uint8_t* p, std::size_t n) {
    if (n < 8) return {};
    const int digits = get_u16be(p), sign = get_u16be(p + 4);
    const int weight = static_cast<std::int16_t>(get_u16be(p + 2));
    double value = 0;
    std::int64_t whole = 0;
    double scale = 1;
    for (int i = 0; i < weight; ++i) scale *= 10000;
    for (int i = weight; i < 0; ++i) scale /= 10000;
    bool fraction = false;
    for (int i = 0; i < digits && 8 + 2 * static_cast<std::size_t>(i) + 1 < n; ++i) {
      const int digit = get_u16be(p + 8 + 2 * i);
      value += digit * scale;
      scale /= 10000;
      if (i <= weight) whole = whole * 10000 + digit;
      else if (digit != 0) fraction = true;
    }
    for (int i = digits; i <= weight; ++i) whole *= 10000;
    if (fraction) return Value(sign == 0x4000 ? -value : value);
    return Value(sign == 0x4000 ? -whole : whole);
  }

  Status copy_in(const std::string& table, const std::string& names, const std::vector<std::string>& columns, const Rows& rows) {
    // The binary form needs the column's own type: ask the catalogue once per call.
    const std::string probe = fmt::format("SELECT {} FROM {} LIMIT 0", names, table);
    NORA_TRY(Answer shape, run(probe, {}));
    std::vector<Oid> types;
    for (std::size_t j = 0; j < columns.size(); ++j) types.push_back(PQftype(shape.get(), static_cast<int>(j)));
    const std::string sql = fmt::format("COPY {} ({}) FROM STDIN (FORMAT binary)", table, names);
    Answer start(PQexec(connection_, sql.c_str()));
    if (PQresultStatus(start.get()) != PGRES_COPY_IN) return broken(sql);
    Bytes out = to_bytes(std::string_view("PGCOPY\n\377\r\n\0", 11));
    put_u32be(out, 0);
    put_u32be(out, 0);
    const auto flush = [&](bool force) -> Status {
      if (out.size() < 256 * 1024 && !force) return {};
      if (PQputCopyData(connection_, reinterpret_cast<const char*>(out.data()), static_cast<int>(out.size())) != 1) return broken(sql);
      out.clear();
      return {};
    };
    for (const auto& row : rows) {
      NORA_ASSERT(row.size() == columns.size(), "a row has one value per column");
      put_u16be(out, static_cast<std::uint16_t>(row.size()));
      for (std::size_t j = 0; j < row.size(); ++j) NORA_CHECK(put_field(out, row[j], types[j], columns[j]));
      NORA_CHECK(flush(false));
    }
    put_u16be(out, 0xffff);
    NORA_CHECK(flush(true));
    if (PQputCopyEnd(connection_, nullptr) != 1) return broken(sql);
    Answer end(PQgetResult(connection_));
    const bool ok = PQresultStatus(end.get()) == PGRES_COMMAND_OK;
    Status result;
    if (!ok) result = broken(sql);
    while (Answer(PQgetResult(connection_))) {
    }
    return result;
  }
  static Status put_field(Bytes& out, const Value& value, Oid type, const std::string& column) {
    const auto integer = [&](std::uint64_t v, int bytes) {
      put_u32be(out, static_cast<std::uint32_t>(bytes));
      for (int k = bytes - 1; k >= 0; --k) out.push_back(static_cast<std::uint8_t>(v >> (8 * k)));
    };
    const auto raw = [&](ByteView v) {
      put_u32be(out, static_cast<std::uint32_t>(v.size()));
      out.insert(out.end(), v.begin(), v.end());
    };
    if (value.is_null()) {
      put_u32be(out, 0xffffffff);
      return {};
    }
    const auto& v = value.v();
    if (const auto* i = std::get_if<std::int64_t>(&v)) {
      if (type == oid_int8) integer(static_cast<std::uint64_t>(*i), 8);
      else if (type == oid_int4) integer(static_cast<std::uint64_t>(*i), 4);
      else if (type == oid_int2) integer(static_cast<std::uint64_t>(*i), 2);
      else if (type == oid_bool) integer(*i != 0, 1);
      else if (type == oid_float8) integer(std::bit_cast<std::uint64_t>(static_cast<double>(*i)), 8);
      else return fail(Code::failed, fmt::format("column {} does not take integers", column));
    } else if (const auto* d = std::get_if<double>(&v); d != nullptr && type == oid_float8) {
      integer(std::bit_cast<std::uint64_t>(*d), 8);
    } else if (const auto* s = std::get_if<std::string>(&v); s != nullptr && type == oid_text) {
      if (s->find('\0') != std::string::npos) return fail(Code::bad_input, fmt::format("column {}: a text value holds a NUL byte", column), "store raw bytes in a blob column");
      raw(as_bytes(*s));
    } else if (const auto* b = std::get_if<Bytes>(&v); b != nullptr && type == oid_bytea) {
      raw(*b);
    } else {
      return fail(Code::failed, fmt::format("column {} does not take this type", column));
    }
    return {};
  }

  PGconn* connection_;
};

}  // namespace

Result<std::unique_ptr<Db>> open_postgres(std::string_view url) {
  const std::string text(url);
  PGconn* connection = PQconnectdb(text.c_str());
  if (PQstatus(connection) != CONNECTION_OK) {
    std::string why = PQerrorMessage(connection);
    while (!why.empty() && why.back() == '\n') why.pop_back();
    PQfinish(connection);
    return fail(Code::environment, fmt::format("cannot reach the store: {}", why), "check the URL and that PostgreSQL runs");
  }
  PQsetNoticeProcessor(connection, [](void*, const char*) {}, nullptr);
  auto db = std::make_unique<Postgres>(connection);
  NORA_CHECK(db->query("SET client_encoding = 'UTF8'", {}));
  return db;
}

}  // namespace nora::store
