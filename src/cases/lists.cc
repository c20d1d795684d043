#include "cases/lists.h"

#include <fmt/format.h>

#include "base/escape.h"
#include "base/files.h"

namespace nora::cases {
namespace {

constexpr std::size_t max_evidence_text = 300;

struct Candidate {
  Case c;
  exchange::ListRow row;
  Id finding = 0;
};

struct Listed {
  Instant at;         // instant of the evidence that was listed
  Instant not_after;  // of that list
};

Result<std::optional<Listed>> last_listed(registry::Registry& registry, Id case_id) {
  NORA_TRY(auto rows, registry.db().query("SELECT r.at, l.not_after FROM list_row r JOIN list l ON l.id = r.list_id WHERE r.case_id = ? AND l.state <> 'made' "
                                          "ORDER BY l.created DESC, l.sequence DESC LIMIT 1", {case_id}));
  if (rows.empty()) return std::optional<Listed>{};
  return std::optional<Listed>({rows[0][0].instant(), rows[0][1].instant()});
}

std::string evidence_line(const std::vector<registry::StoredFinding>& findings) {
  std::string out;
  for (const auto& s : findings) {
    std::string part = fmt::format("{} on {}/{}", s.finding.rule, s.finding.where.port.value, name(s.finding.where.proto));
    if (!s.finding.evidence.empty()) part += ": " + s.finding.evidence[0];
    if (!out.empty()) out += "; ";
    out += part;
    if (out.size() > max_evidence_text) break;
  }
  return to_clean_utf8(out.substr(0, max_evidence_text));
}

// The row of one case: its worst open finding speaks; the others stand in the evidence line.
Result<std::optional<Candidate>> candidate(ListMaker& m, const Case& c) {
  NORA_TRY(auto all, m.registry.findings_of_case(c.id));
  std::erase_if(all, [](const registry::StoredFinding& s) { return s.finding.state != "open" || s.social || s.finding.severity == registry::Severity::info; });
  if (all.empty()) return std::optional<Candidate>{};
  const auto* main = &all[0];
  for (const auto& s : all)
    if (s.finding_class == "infected") main = &s;  // what attacks others comes first
  const auto& f = main->finding;
  // Only evidence inside this ISP's own prefix at that instant may leave for this ISP.
  const auto route = m.routes.route(f.where.ip, f.where.at);
  if (!route || route->isp->id != c.isp) return std::optional<Candidate>{};
  Candidate out;
  out.c = c;
  out.finding = f.id;
  auto& r = out.row;
  r.row_id = fmt::format("{}-case-{}", m.center, c.id);
  r.finding_class = main->finding_class;
  r.pattern = static_cast<char>(f.pattern);
  r.severity = registry::name(f.severity);
  r.rsit = f.rsit;
  r.where = f.where;
  r.has_port = f.where.port.value != 0;
  r.at_error = main->at_error;
  r.advice = main->advice;
  r.evidence = evidence_line(all);
  r.attacked = c.attacked;
  const Id device_id = f.device ? f.device : c.device;
  if (device_id != 0) {
    NORA_TRY(auto device, m.registry.device(device_id));
    if (device) {
      r.vendor = to_clean_utf8(device->identity.vendor.value);
      r.type = to_clean_utf8(device->identity.type.value);
      if (device->identity.product_known()) r.product = to_clean_utf8(device->identity.product.value);
      r.confidence = device->identity.product.confidence;
    }
  }
  const auto code = m.book.codes().of_case(c.id);
  r.notice_code = code.code;
  r.word1 = code.word1;
  r.word2 = code.word2;
  return std::optional<Candidate>(std::move(out));
}

Result<std::vector<Candidate>> candidates(ListMaker& m, const Isp& isp) {
  if (isp.on_site) return fail(Code::refused, isp.name + " is on the on-site track: its owners are visited, no list is made");
  std::vector<Candidate> out;
  CaseFilter filter;
  filter.isp = isp.id;
  filter.track = "list";
  filter.active_only = true;
  filter.limit = 10'000;
  const auto now = m.env.clock.now();
  for (;;) {
    NORA_TRY(auto page, m.book.find(filter));
    for (const auto& c : page) {
      filter.after = c.id;
      // New cases, and cases that the ISP could not place: again when there is newer evidence, or when the last list ran out.
      const bool fresh = c.state == State::S1_VALIDATED;
      const bool open = c.state == State::S2_ROUTED || c.state == State::S3A_AMBIGUOUS || c.state == State::S3N_NO_LOG;
      if (!fresh && !open) continue;
      NORA_TRY(auto row, candidate(m, c));
      if (!row) continue;
      if (open) {
        NORA_TRY(auto listed, last_listed(m.registry, c.id));
        if (listed && row->row.where.at <= listed->at && now < listed->not_after) continue;
      }
      out.push_back(std::move(*row));
    }
    if (page.size() < filter.limit) break;
  }
  return out;
}

Result<std::vector<ListRecord>> read_records(registry::Registry& registry, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, registry.db().query("SELECT id, isp, sequence, created, not_after, row_count, file_name, state, returned_at FROM list " + std::string(tail), params));
  std::vector<ListRecord> out;
  for (const auto& r : rows) {
    ListRecord l{r[0].str(), r[1].str(), r[2].integer(), r[3].instant(), r[4].instant(), r[5].integer(), r[6].str(), r[7].str(), std::nullopt};
    if (!r[8].is_null()) l.returned_at = r[8].instant();
    out.push_back(std::move(l));
  }
  return out;
}

}  // namespace

Result<std::vector<exchange::ListRow>> preview_list(ListMaker& m, const Isp& isp) {
  NORA_TRY(auto found, candidates(m, isp));
  std::vector<exchange::ListRow> out;
  for (auto& c : found) {
    c.row.notice_code.clear();  // a preview shows no code
    out.push_back(std::move(c.row));
  }
  return out;
}

Result<std::optional<ListRecord>> make_list(ListMaker& m, const Isp& isp) {
  NORA_TRY(auto found, candidates(m, isp));
  if (found.empty()) return std::optional<ListRecord>{};
  if (!isp.key) return fail(Code::refused, "no public key of " + isp.name + " is known", "Put its key into routes.toml");
  auto& db = m.registry.db();
  const auto now = m.env.clock.now();
  exchange::List list;
  ListRecord record;
  Bytes file;
  // 1. The rows and the sequence number in the store: state "made" means "not a file yet", and such a list counts for nothing.
  NORA_CHECK(db.transaction([&]() -> Status {
    NORA_TRY(auto last, db.one("SELECT coalesce(max(sequence), 0) FROM list WHERE isp = ?", {isp.id}));
    record.sequence = last.integer() + 1;
    record.id = fmt::format("{}-{}-{}", m.center, isp.id, record.sequence);
    record.isp = isp.id;
    record.created = now;
    record.not_after = now + list_life;
    record.rows = static_cast<std::int64_t>(found.size());
    record.file = fmt::format("{}-{}.nora-list", isp.id, record.sequence);
    list.header = {record.id, isp.id, m.center, record.sequence, record.created, record.not_after};
    for (const auto& c : found) list.rows.push_back(c.row);
    NORA_TRY(file, exchange::write_list(list, m.key, *isp.key));
    NORA_CHECK(db.exec("INSERT INTO list (id, isp, sequence, created, not_after, row_count, file_name, file_hash, state) VALUES (?,?,?,?,?,?,?,?,'made')",
                       {record.id, isp.id, record.sequence, record.created, record.not_after, record.rows, record.file, sha256(file)}));
    store::Rows rows;
    for (const auto& c : found)
      rows.push_back({record.id, c.row.row_id, c.c.id, c.finding, c.row.finding_class, c.row.where.ip, c.row.where.port.value,
                      static_cast<int>(c.row.where.proto), c.row.where.at});
    return db.insert_many("list_row", {"list_id", "row_id", "case_id", "finding", "finding_class", "ip", "port", "proto", "at"}, rows);
  }));
  // 2. Log, then act: without the leaf there is no file.
  NORA_TRY(auto leaf, m.audit.append("list", json::Object{{"list_id", record.id}, {"isp", isp.id}, {"sequence", record.sequence}, {"rows", record.rows},
                                                          {"sha256", to_hex(sha256(file))}}));
  // 3. The file, then the cases. A crash in between leaves the cases where they were: the next list repeats them with the same row ids and codes.
  std::error_code error;
  std::filesystem::create_directories(m.dir, error);
  NORA_CHECK(replace_file(m.dir / record.file, as_text(file), 0600));
  NORA_CHECK(db.transaction([&]() -> Status {
    NORA_CHECK(db.exec("UPDATE list SET state = 'written' WHERE id = ?", {record.id}));
    for (const auto& c : found) {
      Why why{Actor::sensor, "list", "", fmt::format("list {}, audit leaf {}", record.id, leaf.index), fmt::format("finding {}", c.finding)};
      NORA_CHECK(m.book.move(c.c.id, State::S2_ROUTED, why, now));
    }
    return {};
  }));
  record.state = "written";
  return std::optional<ListRecord>(record);
}

Result<std::vector<ListRecord>> list_records(registry::Registry& registry, std::string_view isp) {
  if (isp.empty()) return read_records(registry, "ORDER BY created DESC, id", {});
  return read_records(registry, "WHERE isp = ? ORDER BY sequence DESC", {isp});
}

Result<std::vector<exchange::ListRow>> view_list(ListMaker& m, std::string_view list_id, std::string_view user) {
  NORA_TRY(auto records, read_records(m.registry, "WHERE id = ?", {list_id}));
  if (records.empty()) return fail(Code::not_found, "there is no list " + std::string(list_id.substr(0, 80)));
  NORA_CHECK(m.audit.append("list_view", json::Object{{"list_id", std::string(list_id)}, {"user", to_clean_utf8(user)}}));
  NORA_TRY(auto rows, m.registry.db().query("SELECT row_id, finding_class, ip, port, proto, at FROM list_row WHERE list_id = ? ORDER BY row_id", {list_id}));
  std::vector<exchange::ListRow> out;
  for (const auto& r : rows) {
    exchange::ListRow row;
    row.row_id = r[0].str();
    row.finding_class = r[1].str();
    row.where = {r[2].ip(), {static_cast<std::uint16_t>(r[3].integer())}, static_cast<Proto>(r[4].integer()), r[5].instant()};
    row.has_port = row.where.port.value != 0;
    out.push_back(std::move(row));
  }
  return out;
}

namespace {

// What a state in the return means for the case. Nothing: a note only.
std::vector<State> way_of(std::string_view state) {
  using enum State;
  if (state == "matched") return {S2_ROUTED, S3_ATTRIBUTED};
  if (state == "none") return {S2_ROUTED, S3N_NO_LOG};
  if (state == "ambiguous" || state == "shared_no_port" || state == "near_boundary") return {S2_ROUTED, S3A_AMBIGUOUS};
  if (state == "delegated") return {S2_ROUTED, S3D_DELEGATED};
  if (state == "critical") return {S2_ROUTED, S3C_CRITICAL};
  if (state == "notified") return {S2_ROUTED, S3_ATTRIBUTED, S4_NOTIFIED};
  if (state == "isolated") return {S4_NOTIFIED, S9I_ISOLATED};
  if (state == "released") return {S9I_ISOLATED, S9R_RELEASED};
  return {};
}
bool known_state(std::string_view state) { return !way_of(state).empty() || state == "no_ground" || state == "bounced"; }

// How far along the main line a state is: a late or repeated row never moves a case back.
int rank(State s) {
  using enum State;
  switch (s) {
    case S0_OBSERVED: case S1_VALIDATED: return 0;
    case S2_ROUTED: case S2E_NO_ISP: case S2R_RESELLER: return 1;
    case S3A_AMBIGUOUS: case S3N_NO_LOG: return 2;
    case S3_ATTRIBUTED: case S3D_DELEGATED: case S3C_CRITICAL: return 3;
    case S4_NOTIFIED: return 4;
    default: return 5;
  }
}

}  // namespace

Result<ReturnCounts> import_return(ListMaker& m, const Isp& isp, ByteView sealed) {
  if (!isp.key) return fail(Code::refused, "no public key of " + isp.name + " is known", "Put its key into routes.toml");
  auto& db = m.registry.db();
  const auto now = m.env.clock.now();
  NORA_TRY(auto last, db.one("SELECT coalesce(max(sequence), 0) FROM return_in WHERE isp = ?", {isp.id}));
  NORA_TRY(auto ret, exchange::read_return(sealed, m.key, *isp.key, isp.id, last.integer()));
  ReturnCounts counts;
  NORA_CHECK(db.transaction([&]() -> Status {
    NORA_CHECK(db.exec("INSERT INTO return_in (isp, sequence, imported_at, row_count) VALUES (?,?,?,?)",
                       {isp.id, ret.sequence, now, static_cast<std::int64_t>(ret.rows.size())}));
    for (const auto& row : ret.rows) {
      ++counts.rows;
      ++counts.by_state[row.state];
      // An ISP speaks only about rows that it was given.
      NORA_TRY(auto known, db.query("SELECT r.case_id, r.list_id FROM list_row r JOIN list l ON l.id = r.list_id WHERE r.row_id = ? AND l.isp = ? "
                                    "ORDER BY l.sequence DESC LIMIT 1", {row.row_id, isp.id}));
      if (known.empty()) return fail(Code::refused, fmt::format("the return of {} speaks of row {}, which it was never given", isp.id, to_log(row.row_id)));
      const Id case_id = known[0][0].integer();
      NORA_TRY(auto fresh, db.exec("INSERT INTO list_return (list_id, isp, sequence, row_id, state, at, handle, detail) VALUES (?,?,?,?,?,?,?,?) "
                                   "ON CONFLICT (isp, row_id, state, at) DO NOTHING",
                                   {known[0][1].str(), isp.id, ret.sequence, row.row_id, row.state, row.at, row.handle, row.detail}));
      if (fresh == 0) continue;
      ++counts.news;
      Why why{Actor::isp, "isp:" + isp.id, "", fmt::format("return {}, {}{}{}", ret.sequence, row.state, row.detail.empty() ? "" : " ", row.detail), "list " + known[0][1].str()};
      if (!known_state(row.state)) ++counts.unknown_states;
      if (!row.handle.empty()) NORA_CHECK(m.book.set_handle(case_id, row.handle));
      const auto way = way_of(row.state);
      NORA_TRY(auto c, m.book.get(case_id));
      if (!c) return fail(Code::failed, "a listed case is missing");
      if (row.state == "notified") NORA_CHECK(m.book.mark_notified(case_id, row.at));
      bool moved = false;
      if (!way.empty()) {
        const bool isolation = way.back() == State::S9I_ISOLATED || way.back() == State::S9R_RELEASED;
        if (isolation ? c->state != way.back() : rank(c->state) < rank(way.back())) {
          auto done = isolation ? m.book.move(case_id, way.back(), why, now) : m.book.move_along(case_id, way, why, now);
          if (!done && done.error().code != Code::refused) return done;
          moved = done.has_value();
        }
        if (moved && way.back() == State::S9R_RELEASED) NORA_CHECK(m.book.move(case_id, State::S6_VERIFYING, why, now));
        if (moved && way.back() == State::S4_NOTIFIED && c->opened_at) {
          // The owner used the code before this return came.
          NORA_CHECK(m.book.move(case_id, State::S5_ENGAGED, {Actor::owner, "owner", "", "code used at " + c->opened_at->text(), "notice code"}, now));
        }
      }
      // Facts that do not fit the table (an owner was faster than the return) are kept as a note; nothing is lost.
      if (!moved) NORA_CHECK(m.book.note(case_id, why, now));
      if (moved) ++counts.moved;
    }
    NORA_CHECK(db.exec("UPDATE list SET state = 'returned', returned_at = coalesce(returned_at, CAST(? AS bigint)) WHERE isp = ? AND state IN ('written', 'delivered') "
                       "AND id IN (SELECT list_id FROM list_return WHERE isp = ?)", {now, isp.id, isp.id}));
    return {};
  }));
  return counts;
}

}  // namespace nora::cases
