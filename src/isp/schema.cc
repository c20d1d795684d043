#include "isp/schema.h"

namespace nora::isp {

const std::vector<store::Migration>& migrations() {
  static const std::vector<store::Migration> all = {
      {1, "lists, matches, notices, isolations, users", R"(
create table list_in (list_id text primary key, center text not null, sequence bigint not null, created bigint not null, not_after bigint not null,
  received bigint not null, row_count bigint not null);
create table list_row (row_id text primary key, list_id text not null, finding_class text not null, pattern text not null, severity text not null, rsit text not null,
  ip {blob} not null, port bigint not null, has_port bigint not null, proto text not null, at bigint not null, at_error bigint not null,
  vendor text not null, product text not null, type text not null, confidence double precision not null, advice text not null, evidence text not null,
  notice_code text not null, word1 text not null, word2 text not null, attacked bigint not null, not_after bigint not null,
  state text not null, state_at bigint not null, reason text not null, line text not null);
create index list_row_state on list_row (state);
create index list_row_line on list_row (line);
create table row_event (id {serial}, row_id text not null, at bigint not null, state text not null, detail text not null, returned bigint not null);
create index row_event_returned on row_event (returned);
create table match_done (id {serial}, row_id text not null, at bigint not null, status text not null, line text not null, margin_us bigint, uncertainty_us bigint not null,
  record text not null, reason text not null, candidates bigint not null, ground text not null, leaf bigint not null);
create index match_row on match_done (row_id);
create table line (line text primary key, name text not null, mail text not null, language text not null, kind text not null, opted_out bigint not null);
create table notice (id {serial}, line text not null, channel text not null, created bigint not null, message_id text not null unique, subject text not null, leaf bigint not null);
create index notice_line on notice (line, created);
create table notice_row (row_id text primary key, notice bigint not null);
create table outbox (notice bigint primary key, sender text not null, recipient text not null, message {blob} not null, state text not null, attempts bigint not null,
  next_try bigint not null, last_error text not null, updated bigint not null);
create index outbox_state on outbox (state, next_try);
create table isolation (id {serial}, row_id text not null, line text not null, ip {blob} not null, scope text not null, reason text not null, hours bigint not null,
  requested_by text not null, requested_at bigint not null, approved_by text not null, approved_at bigint not null, applied_at bigint not null, expires bigint not null,
  released_at bigint not null, released_by text not null, release_reason text not null, state text not null, last_error text not null,
  nas text not null, session text not null);
create index isolation_state on isolation (state);
create table return_out (sequence bigint primary key, created bigint not null, row_count bigint not null, file_hash {blob} not null);
create table isp_user (id text primary key, name text not null, roles text not null, added bigint not null, disabled bigint not null);
create table login_link (token_hash {blob} primary key, user_id text not null, not_after bigint not null);
create table web_session (token_hash {blob} primary key, user_id text not null, not_after bigint not null)
)"},
  };
  return all;
}

}  // namespace nora::isp
