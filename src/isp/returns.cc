#include "isp/returns.h"

#include <algorithm>
#include <fmt/format.h>

#include "http/session.h"

namespace nora::isp {
namespace {

constexpr std::int64_t max_events = 1'000'000;
// Words of the exchange format (exchange/isp_list.h); "" = stays inside.
std::string_view outside_word(std::string_view state) {
  if (state == "queued" || state == "no_contact" || state == "opted_out" || state == "expired") return "";
  return state;
}

}  // namespace

Result<WrittenReturn> write_return(Party& party) {
  auto& db = *party.db;
  const auto now = party.env.clock.now();
  NORA_TRY(auto last, db.one("select max(sequence) from return_out"));
  NORA_TRY(auto list, db.one("select list_id from list_in order by sequence desc limit 1"));
  NORA_TRY(auto events, db.query("select e.id, e.row_id, e.at, e.state, e.detail, r.line from row_event e join list_row r on r.row_id = e.row_id where e.returned = 0 order by e.id limit ?",
                                 {max_events}));
  exchange::Return ret;
  ret.list_id = list.str();
  ret.isp = party.settings.isp;
  ret.sequence = last.integer() + 1;
  ret.created = now;
  std::optional<Secret> campaign;
  if (party.settings.blind_handles) { NORA_TRY(auto key, http::load_or_make_key(party.dir / "campaign.key", party.env.random)); campaign = std::move(key); }
  for (const auto& e : events) {
    auto word = outside_word(e[3].str());
    if (word.empty()) continue;
    // The detail of a failed mail or a refused lookup may hold addresses; only short words of our own leave.
    const auto& detail = e[4].str();
    const bool plain = detail.size() <= 40 && std::ranges::all_of(detail, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == ':'; });
    exchange::ReturnRow row{e[1].str(), std::string(word), e[2].instant(), {}, plain ? detail : ""};
    if (campaign && !e[5].str().empty()) row.handle = to_hex(keyed_hash(*campaign, as_bytes(e[5].str()))).substr(0, 32);
    ret.rows.push_back(std::move(row));
  }
  NORA_TRY(auto sealed, exchange::write_return(ret, *party.key, party.center));
  NORA_TRY(auto leaf, party.audit->append("return_out", {{"sequence", ret.sequence}, {"rows", ret.rows.size()}, {"sha256", to_hex(sha256(sealed))}}));
  (void)leaf;
  return WrittenReturn{ret.sequence, static_cast<std::int64_t>(ret.rows.size()), events.empty() ? 0 : events.back()[0].integer(), std::move(sealed)};
}

Status commit_return(Party& party, const WrittenReturn& w) {
  auto& db = *party.db;
  return db.transaction([&]() -> Status {
    NORA_CHECK(db.write("update row_event set returned = ? where returned = 0 and id <= ?", {w.sequence, w.last_event}));
    return db.write("insert into return_out (sequence, created, row_count, file_hash) values (?,?,?,?)", {w.sequence, party.env.clock.now(), w.rows, sha256(w.sealed)});
  });
}

}  // namespace nora::isp
