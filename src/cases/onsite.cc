#include "cases/onsite.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/escape.h"
#include "base/json.h"

namespace nora::cases {
namespace {

constexpr std::size_t max_clue_bytes = 200;
constexpr std::size_t max_clues_per_case = 100;
constexpr std::size_t max_field_bytes = 2000;

// The contacts of the visited parties: purpose visit and support, retention 1 year after the case (workflow.md section 6).
const std::vector<store::Migration>& migrations() {
  static const std::vector<store::Migration> all = {{1, "parties, clues, visits", R"(
CREATE TABLE onsite_case (case_id bigint PRIMARY KEY, what text NOT NULL, opened bigint NOT NULL);
CREATE TABLE onsite_clue (
  id {serial}, case_id bigint NOT NULL, kind text NOT NULL, role text NOT NULL, clue text NOT NULL, contact text NOT NULL, source text NOT NULL, at bigint NOT NULL);
CREATE UNIQUE INDEX onsite_clue_once ON onsite_clue (case_id, kind, clue);
CREATE TABLE onsite_party (
  id {serial}, case_id bigint NOT NULL, role text NOT NULL, name text NOT NULL, contact text NOT NULL, clues text NOT NULL,
  proposed_by text NOT NULL, proposed_at bigint NOT NULL, confirmed_by text NOT NULL DEFAULT '', confirmed_at bigint);
CREATE INDEX onsite_party_by_case ON onsite_party (case_id);
CREATE TABLE onsite_visit (
  case_id bigint PRIMARY KEY, planned_for text NOT NULL, visitor text NOT NULL, action text NOT NULL, deadline text NOT NULL, notes text NOT NULL,
  exposure_confirmed bigint NOT NULL, free_told bigint NOT NULL, done bigint NOT NULL, recorded_by text NOT NULL, recorded_at bigint NOT NULL))"}};
  return all;
}

// Text between tags, cut at line breaks; entities stay as they are. Total on any bytes.
std::vector<std::string> text_pieces(std::string_view html) {
  std::vector<std::string> out;
  std::string piece;
  bool tag = false;
  const auto flush = [&] {
    const auto from = piece.find_first_not_of(" \t\r");
    if (from != std::string::npos) out.push_back(piece.substr(from, piece.find_last_not_of(" \t\r") - from + 1));
    piece.clear();
  };
  for (char c : html) {
    if (c == '<') { tag = true; flush(); }
    else if (c == '>' && tag) tag = false;
    else if (c == '\n') flush();
    else if (!tag && piece.size() < 4 * max_clue_bytes) piece += c;
  }
  flush();
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return c < 128 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c); });
  return out;
}

std::string role_of(std::string_view text) {
  struct Word { std::string_view word, role; };
  // Maintainer first: 保守管理 names the one who maintains.
  static constexpr Word words[] = {{"保守", "maintainer"}, {"メンテナンス", "maintainer"}, {"施工", "maintainer"}, {"maintenance", "maintainer"}, {"maintained by", "maintainer"},
                                   {"管理", "operator"}, {"運用", "operator"}, {"operator", "operator"}, {"operated by", "operator"}, {"administrator", "operator"},
                                   {"設置", "site"}, {"所在", "site"}, {"location", "site"}, {"installed at", "site"}};
  const auto low = lower(text);
  for (const auto& w : words)
    if (low.find(w.word) != std::string::npos) return std::string(w.role);
  return "";
}

std::string contact_in(std::string_view text) {
  const auto word_char = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == '+'; };
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    std::size_t from = at, to = at + 1;
    while (from > 0 && word_char(text[from - 1])) --from;
    while (to < text.size() && word_char(text[to])) ++to;
    if (from < at && text.substr(at + 1, to - at - 1).find('.') != std::string_view::npos) return std::string(text.substr(from, to - from));
  }
  // A telephone number: at least 9 digits with blanks, hyphens, brackets or a leading plus.
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '+' && (text[i] < '0' || text[i] > '9')) continue;
    std::size_t k = i, digits = 0;
    while (k < text.size() && (std::string_view("+-() ").find(text[k]) != std::string_view::npos || (text[k] >= '0' && text[k] <= '9'))) digits += text[k] >= '0' && text[k] <= '9', ++k;
    if (digits >= 9 && digits <= 15) {
      auto found = std::string(text.substr(i, k - i));
      while (!found.empty() && found.back() == ' ') found.pop_back();
      return found;
    }
    i = k;
  }
  return "";
}

std::string cut(std::string_view text) {
  auto clean = to_clean_utf8(text);
  if (clean.size() <= max_clue_bytes) return clean;
  return to_clean_utf8(clean.substr(0, max_clue_bytes));
}

}  // namespace

std::vector<Clue> find_clues(const std::vector<std::pair<registry::Observation, registry::Reply>>& replies, std::string_view rdns) {
  std::vector<Clue> out;
  std::set<std::string> seen;
  const auto add = [&](Clue c) {
    if (c.text.empty() || out.size() >= max_clues_per_case || !seen.insert(c.kind + c.text).second) return;
    out.push_back(std::move(c));
  };
  if (!rdns.empty()) add({0, "rdns", "site", cut(rdns), "", "reverse DNS"});
  for (const auto& [seen_at, reply] : replies) {
    const auto place = std::to_string(seen_at.where.port.value) + "/" + std::string(name(seen_at.where.proto)) + ", observation " + std::to_string(seen_at.id);
    for (const auto& kv : reply.keys)
      if (kv.key == "x509.subject") add({0, "certificate", "", cut(kv.value), contact_in(kv.value), "certificate on " + place});
    if (reply.protocol != "http" && reply.protocol != "https") continue;
    for (const auto& piece : text_pieces(as_text(reply.bytes))) {
      auto role = role_of(piece);
      auto contact = contact_in(piece);
      if (role.empty() && contact.find('@') == std::string::npos) continue;
      add({0, "page", std::move(role), cut(piece), cut(contact), "page text on " + place});
    }
  }
  return out;
}

Result<OnSite> OnSite::open(std::string_view url) {
  NORA_TRY(auto db, store::Db::open(url));
  NORA_CHECK(db->migrate("onsite", migrations()));
  return OnSite(std::move(db));
}

Status OnSite::open_case(Id case_id, std::string_view what, const std::vector<Clue>& clues, Instant now) {
  return db_->transaction([&]() -> Status {
    NORA_CHECK(db_->exec("INSERT INTO onsite_case (case_id, what, opened) VALUES (?,?,?) ON CONFLICT (case_id) DO NOTHING", {case_id, to_clean_utf8(what), now}));
    for (const auto& c : clues)
      NORA_CHECK(db_->exec("INSERT INTO onsite_clue (case_id, kind, role, clue, contact, source, at) VALUES (?,?,?,?,?,?,?) ON CONFLICT (case_id, kind, clue) DO NOTHING",
                           {case_id, c.kind, c.role, c.text, c.contact, c.source, now}));
    return {};
  });
}

Result<std::vector<OnSiteCase>> OnSite::all() {
  NORA_TRY(auto rows, db_->query("SELECT case_id, what, opened FROM onsite_case ORDER BY case_id"));
  std::vector<OnSiteCase> out;
  for (const auto& r : rows) out.push_back({r[0].integer(), r[1].str(), r[2].instant()});
  return out;
}

Result<std::vector<Clue>> OnSite::clues(Id case_id) {
  NORA_TRY(auto rows, db_->query("SELECT id, kind, role, clue, contact, source FROM onsite_clue WHERE case_id = ? ORDER BY id", {case_id}));
  std::vector<Clue> out;
  for (const auto& r : rows) out.push_back({r[0].integer(), r[1].str(), r[2].str(), r[3].str(), r[4].str(), r[5].str()});
  return out;
}

Result<Id> OnSite::propose(Id case_id, const Party& party, std::string_view user, Instant now) {
  static const std::set<std::string, std::less<>> roles = {"site", "operator", "maintainer", "vendor"};
  if (!roles.contains(party.role)) return fail(Code::usage, "a party is a site, an operator, a maintainer or a vendor");
  if (party.name.empty() || party.name.size() > max_field_bytes || party.contact.size() > max_field_bytes) return fail(Code::usage, "a party needs a name of at most 2,000 bytes");
  if (user.empty()) return fail(Code::usage, "who proposes this?");
  NORA_TRY(auto known, db_->query("SELECT 1 FROM onsite_case WHERE case_id = ?", {case_id}));
  if (known.empty()) return fail(Code::not_found, "there is no on-site case " + std::to_string(case_id));
  json::Array clues;
  for (Id id : party.clues) clues.emplace_back(id);
  NORA_TRY(auto rows, db_->query("INSERT INTO onsite_party (case_id, role, name, contact, clues, proposed_by, proposed_at) VALUES (?,?,?,?,?,?,?) RETURNING id",
                                 {case_id, party.role, to_clean_utf8(party.name), to_clean_utf8(party.contact), json::text(json::Value(clues)), user, now}));
  return rows.at(0)[0].integer();
}

Status OnSite::confirm(Id party, std::string_view user, Instant now) {
  if (user.empty()) return fail(Code::usage, "who confirms this?");
  return db_->transaction([&]() -> Status {
    NORA_TRY(auto rows, db_->query("SELECT proposed_by, confirmed_by FROM onsite_party WHERE id = ?", {party}));
    if (rows.empty()) return fail(Code::not_found, "there is no party " + std::to_string(party));
    if (rows[0][0].str() == user) return fail(Code::refused, "the person who proposed a party cannot confirm it", "Ask a second person");
    if (!rows[0][1].str().empty()) return rows[0][1].str() == user ? Status{} : fail(Code::refused, "this party was confirmed by " + rows[0][1].str() + " already");
    NORA_CHECK(db_->exec("UPDATE onsite_party SET confirmed_by = ?, confirmed_at = ? WHERE id = ?", {user, now, party}));
    return {};
  });
}

Result<std::vector<Party>> OnSite::parties(Id case_id) {
  NORA_TRY(auto rows, db_->query("SELECT id, role, name, contact, clues, proposed_by, confirmed_by, confirmed_at FROM onsite_party WHERE case_id = ? ORDER BY id", {case_id}));
  std::vector<Party> out;
  for (const auto& r : rows) {
    Party p;
    p.id = r[0].integer();
    p.role = r[1].str();
    p.name = r[2].str();
    p.contact = r[3].str();
    if (auto clues = json::parse(r[4].str()); clues && clues->is_array())
      for (const auto& v : clues->as_array()) if (v.is_int64()) p.clues.push_back(v.as_int64());
    p.proposed_by = r[5].str();
    p.confirmed_by = r[6].str();
    if (!r[7].is_null()) p.confirmed_at = r[7].instant();
    out.push_back(std::move(p));
  }
  return out;
}

Status OnSite::record_visit(Id case_id, const Visit& v, std::string_view user, Instant now) {
  for (const auto* text : {&v.planned_for, &v.visitor, &v.action, &v.deadline, &v.notes})
    if (text->size() > max_field_bytes) return fail(Code::usage, "a field of the visit form is longer than 2,000 bytes");
  NORA_TRY(auto known, db_->query("SELECT 1 FROM onsite_case WHERE case_id = ?", {case_id}));
  if (known.empty()) return fail(Code::not_found, "there is no on-site case " + std::to_string(case_id));
  NORA_CHECK(db_->exec("INSERT INTO onsite_visit (case_id, planned_for, visitor, action, deadline, notes, exposure_confirmed, free_told, done, recorded_by, recorded_at) "
                       "VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (case_id) DO UPDATE SET planned_for = excluded.planned_for, visitor = excluded.visitor, "
                       "action = excluded.action, deadline = excluded.deadline, notes = excluded.notes, exposure_confirmed = excluded.exposure_confirmed, "
                       "free_told = excluded.free_told, done = excluded.done, recorded_by = excluded.recorded_by, recorded_at = excluded.recorded_at",
                       {case_id, to_clean_utf8(v.planned_for), to_clean_utf8(v.visitor), to_clean_utf8(v.action), to_clean_utf8(v.deadline), to_clean_utf8(v.notes),
                        v.exposure_confirmed, v.free_of_charge_told, v.done, user, now}));
  return {};
}

Result<std::optional<Visit>> OnSite::visit(Id case_id) {
  NORA_TRY(auto rows, db_->query("SELECT planned_for, visitor, action, deadline, notes, exposure_confirmed, free_told, done, recorded_by, recorded_at FROM onsite_visit WHERE case_id = ?", {case_id}));
  if (rows.empty()) return std::optional<Visit>{};
  const auto& r = rows[0];
  Visit v{r[0].str(), r[1].str(), r[2].str(), r[3].str(), r[4].str(), r[5].boolean(), r[6].boolean(), r[7].boolean(), r[8].str(), r[9].instant()};
  return std::optional<Visit>(v);
}

}  // namespace nora::cases
