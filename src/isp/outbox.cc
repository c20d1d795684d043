#include "isp/outbox.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "isp/mail.h"

namespace nora::isp {
namespace {

// Settles what a draft found out: rows that cannot be told get their state.
Status settle(Party& party, const Draft& d) {
  if (d.notice || d.why == "gap" || d.why == "not_unique") return {};  // not_unique was settled at the lookup
  for (const auto& id : d.row_ids) NORA_CHECK(set_state(*party.db, id, d.why, d.why, party.env.clock.now()));
  return {};
}

Status write(store::Db& db, std::string_view sql, const store::Params& params) {
  NORA_TRY([[maybe_unused]] auto n, db.exec(sql, params));
  return {};
}

}  // namespace

Result<std::vector<Draft>> draft_notices(Party& party, const Messages& messages, std::string_view purpose, std::string_view only_row) {
  NORA_TRY(auto grounds, party.grounds());
  NORA_TRY(auto index, LeaseReader::open(party.index_dir()));
  std::map<LineId, std::vector<Row>> by_line;
  std::string after;
  LineId only_line;
  if (!only_row.empty()) {
    NORA_TRY(auto wanted, row(party, only_row));
    only_line = wanted.line;
  }
  while (true) {
    NORA_TRY(auto page, rows(party, {.state = "matched", .text = {}, .after = after, .limit = 1000}));
    for (auto& r : page)
      if (only_row.empty() || r.line == only_line) by_line[r.line].push_back(r);
    if (page.size() < 1000) break;
    after = page.back().item.row_id;
  }
  std::vector<Draft> drafts;
  const auto now = party.env.clock.now();
  for (auto& [line, list] : by_line) {
    Draft d;
    d.line = line;
    for (const auto& r : list) d.row_ids.push_back(r.item.row_id);
    NORA_TRY(auto last, party.db->one("select max(created) from notice where line = ?", {line.reveal()}));
    NORA_TRY(auto who, subscriber(*party.db, line));
    if (!last.is_null() && now - last.instant() < notice_gap) d.why = "gap";
    else if (!who) d.why = "no_contact";
    else if (who->kind == LineKind::rental || who->kind == LineKind::m2m) d.why = "delegated";
    else if (who->opted_out) d.why = "opted_out";
    else if (who->mail.empty()) d.why = "no_contact";
    if (!d.why.empty()) { drafts.push_back(std::move(d)); continue; }
    std::vector<Tied> tied;
    d.row_ids.clear();
    for (auto& r : list) {
      auto looked = look_up(party, index, grounds, r, purpose);
      if (!looked && looked.error().code != Code::refused) return pass(looked.error());
      if (looked && looked->answer.unique && looked->answer.unique->line() == line) {
        d.row_ids.push_back(r.item.row_id);
        tied.push_back({std::move(r), *looked->answer.unique});
        continue;
      }
      // The logs say something else now: the row goes back to the start.
      std::string state = looked ? (looked->answer.unique ? "new" : std::string(name(looked->answer.status))) : now > r.not_after ? "expired" : "no_ground";
      NORA_CHECK(set_state(*party.db, r.item.row_id, state, looked ? looked->answer.reason : looked.error().what, now));
    }
    if (tied.empty()) { d.why = "not_unique"; drafts.push_back(std::move(d)); continue; }
    NORA_TRY(auto notice, Notice::make(std::move(tied), *who, party.settings, messages));
    d.row_ids = notice.row_ids();
    d.notice = std::move(notice);
    drafts.push_back(std::move(d));
  }
  return drafts;
}

Result<OutboxCounts> queue_notices(Party& party, const Messages& messages) {
  OutboxCounts counts;
  NORA_TRY(auto drafts, draft_notices(party, messages, "verify before notice"));
  auto& db = *party.db;
  for (const auto& d : drafts) {
    if (!d.notice) {
      ++counts.held;
      NORA_CHECK(settle(party, d));
      continue;
    }
    const auto& n = *d.notice;
    for (const auto& check : check_notice(n))
      if (!check.good) return fail(Code::failed, fmt::format("the notice for row {} fails the check \"{}\"", n.row_ids().front(), check.name), "Look at it with `nora isp notice preview`");
    const auto now = party.env.clock.now();
    NORA_TRY(auto mime, to_mime(n, now));
    json::Array row_ids;
    for (const auto& id : n.row_ids()) row_ids.emplace_back(id);
    NORA_TRY(auto leaf, party.audit->append("notice", {{"rows", row_ids}, {"channel", "mail"}, {"message_id", n.message_id()}, {"sha256", to_hex(sha256(mime))}}));
    NORA_CHECK(db.transaction([&]() -> Status {
      NORA_TRY(auto inserted, db.query("insert into notice (line, channel, created, message_id, subject, leaf) values (?,?,?,?,?,?) returning id",
                                       {n.line().reveal(), "mail", now, n.message_id(), n.subject(), static_cast<std::int64_t>(leaf.index)}));
      const auto id = inserted.at(0).at(0).integer();
      // The primary key refuses a row that was told before, whatever happened since it was read.
      for (const auto& row_id : n.row_ids()) {
        NORA_CHECK(write(db, "insert into notice_row (row_id, notice) values (?,?)", {row_id, id}));
        NORA_CHECK(set_state(db, row_id, "queued", "", now));
      }
      return write(db, "insert into outbox (notice, sender, recipient, message, state, attempts, next_try, last_error, updated) values (?,?,?,?,'queued',0,?,'',?)",
                   {id, n.from(), n.to(), mime, now, now});
    }));
    ++counts.queued;
  }
  return counts;
}

Result<OutboxCounts> deliver(Party& party, Mailer& mailer) {
  OutboxCounts counts;
  auto& db = *party.db;
  std::set<std::int64_t> done;  // each message once per call
  while (true) {
    auto now = party.env.clock.now();
    NORA_TRY(auto found, db.query("select notice, sender, recipient, message, state, attempts, updated from outbox "
                                  "where (state = 'queued' and next_try <= ?) or (state = 'sending' and updated <= ?) order by notice limit 100",
                                  {now, now - sending_timeout}));
    bool any = false;
    for (const auto& r : found) {
      const auto id = r[0].integer();
      if (!done.insert(id).second) continue;
      any = true;
      now = party.env.clock.now();
      // Claimed by whoever changes the row first; another process then sees a new `updated`.
      NORA_TRY(auto claimed, db.exec("update outbox set state = 'sending', attempts = attempts + 1, updated = ? where notice = ? and state = ? and updated = ?",
                                     {Instant{std::max(now.us, r[6].integer() + 1)}, id, r[4].str(), r[6].integer()}));
      if (claimed == 0) continue;
      const auto attempts = r[5].integer() + 1;
      auto result = mailer.send(r[1].str(), r[2].str(), r[3].blob());
      now = party.env.clock.now();
      const bool give_up = result.how == Sending::permanent || (result.how == Sending::temporary && attempts >= max_attempts);
      NORA_CHECK(db.transaction([&]() -> Status {
        NORA_TRY(auto told, db.query("select row_id from notice_row where notice = ?", {id}));
        if (result.how == Sending::accepted) {
          NORA_CHECK(write(db, "update outbox set state = 'sent', updated = ?, last_error = '' where notice = ?", {now, id}));
          for (const auto& row : told) NORA_CHECK(set_state(db, row[0].str(), "notified", "", now, "mail"));
        } else if (give_up) {
          NORA_CHECK(write(db, "update outbox set state = 'failed', updated = ?, last_error = ? where notice = ?", {now, result.text, id}));
          for (const auto& row : told) NORA_CHECK(set_state(db, row[0].str(), "bounced", result.text, now, "mail"));
        } else {
          Span wait = first_retry;
          for (int i = 1; i < attempts && wait < longest_retry; ++i) wait = {wait.us * 2};
          NORA_CHECK(write(db, "update outbox set state = 'queued', next_try = ?, updated = ?, last_error = ? where notice = ?",
                           {now + std::min(wait, longest_retry), now, result.text, id}));
        }
        return {};
      }));
      ++(result.how == Sending::accepted ? counts.sent : give_up ? counts.failed : counts.retried);
    }
    if (!any) return counts;
  }
}

Result<OutboxCounts> send_notices(Party& party, const Messages& messages, Mailer& mailer) {
  NORA_TRY(auto queued, queue_notices(party, messages));
  NORA_TRY(auto counts, deliver(party, mailer));
  counts.queued = queued.queued;
  counts.held = queued.held;
  return counts;
}

Result<std::vector<OutboxRow>> outbox_rows(Party& party, int limit) {
  NORA_TRY(auto found, party.db->query("select o.notice, n.line, n.message_id, o.state, o.last_error, o.attempts, o.updated, o.next_try from outbox o "
                                       "join notice n on n.id = o.notice order by o.notice desc limit ?", {limit}));
  std::vector<OutboxRow> out;
  for (const auto& r : found)
    out.push_back({r[0].integer(), r[1].str(), r[2].str(), r[3].str(), r[4].str(), r[5].integer(), r[6].instant(), r[7].instant()});
  return out;
}

}  // namespace nora::isp
