// Outbox: notices from "matched" to the mail server, durably. Used by cmd_isp, pages and the ticker of `nora isp serve`.
// A message is queued in the same transaction that marks its rows; the row id is the idempotency key, so a second run sends nothing.
// States: queued -> sending -> sent | failed. A process that dies while sending leaves "sending"; after sending_timeout it is tried again with the
// same bytes and Message-ID (the one case that may repeat: the server took it and nobody heard the answer).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "isp/notice.h"
#include "isp/smtp.h"

namespace nora::isp {

inline constexpr int max_attempts = 10;
inline constexpr Span sending_timeout = Span::minutes(5);
inline constexpr Span first_retry = Span::minutes(1);   // doubles up to
inline constexpr Span longest_retry = Span::hours(6);

struct Draft {
  LineId line;
  std::vector<std::string> row_ids;
  std::optional<Notice> notice;    // nothing: why says what holds it back
  std::string why;                 // gap (told within 7 days), no_contact, opted_out, delegated, not_unique
};
// The mails that would go out now. Looks every row up again (a late record may have changed the answer), so each costs a leaf.
// only_row: the draft of the line of this row alone. purpose goes into the leaf.
Result<std::vector<Draft>> draft_notices(Party& party, const Messages& messages, std::string_view purpose, std::string_view only_row = {});

struct OutboxCounts { std::int64_t queued = 0, held = 0, sent = 0, retried = 0, failed = 0; };
// Leaf, then rows + message in one transaction.
Result<OutboxCounts> queue_notices(Party& party, const Messages& messages);
Result<OutboxCounts> deliver(Party& party, Mailer& mailer);
// queue + deliver.
Result<OutboxCounts> send_notices(Party& party, const Messages& messages, Mailer& mailer);

struct OutboxRow { std::int64_t notice = 0; std::string line, message_id, state, last_error; std::int64_t attempts = 0; Instant updated, next_try; };
Result<std::vector<OutboxRow>> outbox_rows(Party& party, int limit = 1000);

}  // namespace nora::isp
