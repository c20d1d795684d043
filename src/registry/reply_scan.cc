#include "registry/reply_scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"

namespace nora::registry {

namespace {
constexpr std::int64_t page_rows = 20'000;    // SQLite: by row number
constexpr std::size_t hashes_at_once = 500;
constexpr std::int64_t page_blocks = 500;     // PostgreSQL: 8 KiB blocks of the table, read where they lie
}  // namespace

bool PackedKeys::next(std::string_view& key, std::string_view& value) {
  if (packed_.size() < 2) return false;
  const std::size_t key_size = get_u16be(packed_.data());
  if (packed_.size() < 2 + key_size + 4) return false;
  const auto* at = reinterpret_cast<const char*>(packed_.data());
  key = {at + 2, key_size};
  const std::size_t value_size = get_u32be(packed_.data() + 2 + key_size);
  if (packed_.size() - 6 - key_size < value_size) return false;
  value = {at + 6 + key_size, value_size};
  packed_ = packed_.subspan(6 + key_size + value_size);
  return true;
}

std::vector<KeyValue> PackedKeys::rest() {
  std::vector<KeyValue> out;
  for (std::string_view key, value; next(key, value);) out.push_back({std::string(key), std::string(value)});
  return out;
}

namespace {
Status hand_over(const store::Rows& rows, const UseKeys& use) {
  for (const auto& r : rows) NORA_CHECK(use({r[0].hash(), r[1].str(), PackedKeys(r[2].blob())}));
  return {};
}
}  // namespace

Status read_replies(store::Db& db, std::span<const Hash> hashes, const UseKeys& use) {
  for (std::size_t from = 0; from < hashes.size(); from += hashes_at_once) {
    const auto some = hashes.subspan(from, std::min(hashes_at_once, hashes.size() - from));
    NORA_TRY(const auto rows, db.query("SELECT hash, protocol, match_keys FROM reply WHERE hash IN (" + store::places(some.size()) + ")", store::Params(some.begin(), some.end())));
    NORA_CHECK(hand_over(rows, use));
  }
  return {};
}

Status scan_replies(store::Db& db, int part, int parts, const UseKeys& use) {
  if (db.is_postgres()) {
    NORA_TRY(const auto blocks, db.one("SELECT pg_relation_size('reply') / current_setting('block_size')::bigint"));
    const auto from = blocks.integer() * part / parts, to = part + 1 == parts ? blocks.integer() + page_blocks : blocks.integer() * (part + 1) / parts;
    for (auto at = from; at < to; at += page_blocks) {
      NORA_TRY(const auto rows, db.query(fmt::format("SELECT hash, protocol, match_keys FROM reply WHERE ctid >= '({},0)' AND ctid < '({},0)'", at, std::min(at + page_blocks, to))));
      NORA_CHECK(hand_over(rows, use));
    }
    return {};
  }
  NORA_TRY(const auto last, db.one("SELECT coalesce(max(rowid), 0) FROM reply"));
  const auto from = last.integer() * part / parts, to = last.integer() * (part + 1) / parts;
  for (auto at = from; at < to; at += page_rows) {
    NORA_TRY(const auto rows, db.query("SELECT hash, protocol, match_keys FROM reply WHERE rowid > ? AND rowid <= ?", {at, std::min(at + page_rows, to)}));
    NORA_CHECK(hand_over(rows, use));
  }
  return {};
}

Result<std::string> rules_label(store::Db& db, std::string_view version) {
  NORA_TRY(const auto label, db.one("SELECT coalesce((SELECT label FROM rules_label WHERE version = ?), ?)", {version, version}));
  return label.str();
}

Status move_identifications(store::Db& db, std::string_view from, std::string_view to, Instant now) {
  // Another process may have made the same change already (`nora cluster name` beside `nora serve`): then the label is where it belongs.
  NORA_TRY(const auto there, db.one("SELECT label FROM rules_label WHERE version = ?", {to}));
  if (from == to || (!there.is_null() && there.str().find(superseded) == std::string::npos)) return {};
  NORA_TRY(const auto label, rules_label(db, from));
  const auto set = [&](std::string_view version, std::string_view value) {
    return db.write("INSERT INTO rules_label (version, label, at) VALUES (?, ?, ?) ON CONFLICT (version) DO UPDATE SET label = excluded.label, at = excluded.at", {version, value, now});
  };
  NORA_CHECK(set(from, fmt::format("{}{}{}", from, superseded, now.us)));  // nothing is kept under this label
  return set(to, label);
}

}  // namespace nora::registry
