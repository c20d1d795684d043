// Worklist: the rows of the lists that the center sent, from "new" to "released". Used by cmd_isp, pages, notices, isolation.
// Row states: new no_ground matched none ambiguous shared_no_port near_boundary expired | queued notified bounced | no_contact opted_out delegated | isolated released.
// Every change writes one row_event, which the next return carries to the center. Not thread safe: one Party per thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "exchange/isp_list.h"
#include "isp/line.h"
#include "isp/party.h"

namespace nora::isp {

struct Row {
  exchange::ListRow item;
  std::string list_id;
  Instant not_after;
  std::string state;
  Instant state_at;
  std::string reason;     // of a match that is not unique, of a failed mail
  LineId line;            // of a unique match
};

struct OpenedList { std::string list_id; std::int64_t sequence = 0; std::int64_t rows = 0, fresh = 0; };
// Opens a sealed list: leaf first, then the rows. Errors: refused (foreign, altered, unknown signer, expired, replayed).
Result<OpenedList> open_list(Party& party, ByteView sealed);

// Looks up every row that waits for it: no ground for its class -> no_ground, without any lookup; else leaf, lookup, state.
struct MatchCounts { std::map<std::string, std::int64_t> by_state; std::int64_t looked_up = 0; };
Result<MatchCounts> match_rows(Party& party);
// One lookup with its leaf. purpose: "match", "verify before notice", "isolation". Errors: refused (no ground), failed (log unwritable).
struct Looked { MatchAnswer answer; law::Ground ground; std::uint64_t leaf = 0; };
Result<Looked> look_up(Party& party, const LeaseReader& index, const law::Grounds& grounds, const Row& row, std::string_view purpose);

struct RowFilter {
  std::string state;       // empty: all; "waiting", "unclear", … see state_group()
  std::string text;        // part of line, address, product, row id
  std::string after;       // keyset: row id of the last row of the page before
  int limit = 100;
};
Result<std::vector<Row>> rows(Party& party, const RowFilter& filter);
Result<Row> row(Party& party, std::string_view row_id);
Result<std::map<std::string, std::int64_t>> count_by_state(Party& party);
// Tabs of the worklist: to_match ready sent bounced unclear held isolated done; the states behind a tab.
const std::vector<std::pair<std::string_view, std::vector<std::string_view>>>& state_groups();

// Changes the state and writes the event; nothing when both are as before.
Status set_state(store::Db& db, std::string_view row_id, std::string_view state, std::string_view reason, Instant now, std::string_view event_detail = {});

struct MatchRecord { Instant at; std::string status, line, record, reason, ground; std::optional<Span> margin; Span uncertainty; std::int64_t candidates = 0, leaf = 0; };
Result<std::vector<MatchRecord>> match_history(Party& party, std::string_view row_id);

// Customers into the table `line`; a line that the new file lacks is removed (subscriber moved or cancelled: no mail).
Status put_customers(store::Db& db, const std::vector<Customer>& customers);
Result<std::optional<Subscriber>> subscriber(store::Db& db, const LineId& line);

}  // namespace nora::isp
