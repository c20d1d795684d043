#include "isp/worklist.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/escape.h"

namespace nora::isp {
namespace {

constexpr std::string_view row_columns =
    "row_id, list_id, finding_class, pattern, severity, rsit, ip, port, has_port, proto, at, at_error, vendor, product, type, confidence, advice, evidence, notice_code, "
    "word1, word2, attacked, not_after, state, state_at, reason, line";
constexpr int max_page = 1000;

Row row_of(const store::Row& r) {
  Row out;
  auto& i = out.item;
  i.row_id = r[0].str();
  out.list_id = r[1].str();
  i.finding_class = r[2].str();
  i.pattern = r[3].str().empty() ? 'D' : r[3].str()[0];
  i.severity = r[4].str();
  i.rsit = r[5].str();
  i.where.ip = r[6].ip();
  i.where.port = {static_cast<std::uint16_t>(r[7].integer())};
  i.has_port = r[8].boolean();
  i.where.proto = r[9].str() == "udp" ? Proto::udp : Proto::tcp;
  i.where.at = r[10].instant();
  i.at_error = {r[11].integer()};
  i.vendor = r[12].str();
  i.product = r[13].str();
  i.type = r[14].str();
  i.confidence = r[15].real();
  i.advice = r[16].str();
  i.evidence = r[17].str();
  i.notice_code = r[18].str();
  i.word1 = r[19].str();
  i.word2 = r[20].str();
  i.attacked = r[21].boolean();
  out.not_after = r[22].instant();
  out.state = r[23].str();
  out.state_at = r[24].instant();
  out.reason = r[25].str();
  out.line = LineId(r[26].str());
  return out;
}

constexpr std::string_view waiting_states[] = {"new", "no_ground", "none", "ambiguous", "shared_no_port", "near_boundary"};
bool waits(std::string_view state) { return std::ranges::find(waiting_states, state) != std::end(waiting_states); }

Status put_row(Party& party, const exchange::ListHeader& header, const exchange::ListRow& i, Instant now, std::int64_t& fresh) {
  auto& db = *party.db;
  NORA_TRY(auto known, db.query("select state from list_row where row_id = ?", {i.row_id}));
  if (known.empty()) {
    ++fresh;
    NORA_TRY(auto n, db.exec(fmt::format("insert into list_row ({}) values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", row_columns),
                             {i.row_id, header.list_id, i.finding_class, std::string(1, i.pattern), i.severity, i.rsit, i.where.ip, i.where.port.value, i.has_port,
                              name(i.where.proto), i.where.at, i.at_error.us, i.vendor, i.product, i.type, i.confidence, i.advice, i.evidence, i.notice_code, i.word1, i.word2,
                              i.attacked, header.not_after, "new", now, "", ""}));
    (void)n;
    return {};
  }
  // The same case again: newer sight of it. What was told stays told; what could not be matched gets another chance.
  auto state = known[0][0].str();
  NORA_TRY(auto n, db.exec("update list_row set list_id = ?, ip = ?, port = ?, has_port = ?, proto = ?, at = ?, at_error = ?, vendor = ?, product = ?, type = ?, confidence = ?, "
                           "advice = ?, evidence = ?, attacked = ?, severity = ?, not_after = ? where row_id = ?",
                           {header.list_id, i.where.ip, i.where.port.value, i.has_port, name(i.where.proto), i.where.at, i.at_error.us, i.vendor, i.product, i.type, i.confidence,
                            i.advice, i.evidence, i.attacked, i.severity, header.not_after, i.row_id}));
  (void)n;
  if (waits(state) || state == "expired") NORA_CHECK(set_state(db, i.row_id, "new", "", now));
  return {};
}

}  // namespace

const std::vector<std::pair<std::string_view, std::vector<std::string_view>>>& state_groups() {
  static const std::vector<std::pair<std::string_view, std::vector<std::string_view>>> groups = {
      {"to_match", {"new", "no_ground"}},
      {"ready", {"matched"}},
      {"sent", {"queued", "notified"}},
      {"bounced", {"bounced"}},
      {"unclear", {"ambiguous", "near_boundary", "shared_no_port", "none"}},
      {"held", {"no_contact", "opted_out", "delegated", "expired"}},
      {"isolated", {"isolated"}},
      {"released", {"released"}},
  };
  return groups;
}

Status set_state(store::Db& db, std::string_view row_id, std::string_view state, std::string_view reason, Instant now, std::string_view event_detail) {
  return db.transaction([&]() -> Status {
    NORA_TRY(auto known, db.query("select state, reason from list_row where row_id = ?", {row_id}));
    if (known.empty()) return fail(Code::not_found, fmt::format("there is no row \"{}\"", to_terminal(row_id)));
    if (known[0][0].str() == state && known[0][1].str() == reason && event_detail.empty()) return {};
    NORA_TRY(auto changed, db.exec("update list_row set state = ?, reason = ?, state_at = ? where row_id = ?", {state, reason, now, row_id}));
    (void)changed;
    if (state == "new") return {};
    NORA_TRY(auto added, db.exec("insert into row_event (row_id, at, state, detail, returned) values (?,?,?,?,0)", {row_id, now, state, event_detail.empty() ? reason : event_detail}));
    (void)added;
    return {};
  });
}

Result<OpenedList> open_list(Party& party, ByteView sealed) {
  auto& db = *party.db;
  const auto now = party.env.clock.now();
  NORA_TRY(auto last, db.one("select max(sequence) from list_in where center = ?", {party.center.name}));
  NORA_TRY(auto list, exchange::read_list(sealed, *party.key, party.settings.isp, party.center, last.integer(), now));
  NORA_TRY(auto leaf, party.audit->append("list_in", {{"list", list.header.list_id}, {"sequence", list.header.sequence}, {"rows", list.rows.size()}, {"sha256", to_hex(sha256(sealed))}}));
  (void)leaf;
  OpenedList out{list.header.list_id, list.header.sequence, static_cast<std::int64_t>(list.rows.size()), 0};
  NORA_CHECK(db.transaction([&]() -> Status {
    NORA_TRY(auto n, db.exec("insert into list_in (list_id, center, sequence, created, not_after, received, row_count) values (?,?,?,?,?,?,?)",
                             {list.header.list_id, party.center.name, list.header.sequence, list.header.created, list.header.not_after, now, out.rows}));
    (void)n;
    for (const auto& item : list.rows) NORA_CHECK(put_row(party, list.header, item, now, out.fresh));
    return {};
  }));
  return out;
}

Result<Looked> look_up(Party& party, const LeaseReader& index, const law::Grounds& grounds, const Row& row, std::string_view purpose) {
  const auto& i = row.item;
  const auto now = party.env.clock.now();
  NORA_TRY(auto ground, ground_for(grounds, i.finding_class, i.rsit, now));
  if (now > row.not_after) return fail(Code::refused, "the list of this row has expired", "Ask the center for a new list");
  // The leaf comes before the lookup: the lookup itself is the act that the secrecy of communications protects.
  NORA_TRY(auto leaf, party.audit->append("lookup", {{"row", i.row_id}, {"list", row.list_id}, {"class", i.finding_class}, {"purpose", purpose}, {"ground", law::name(ground.kind)},
                                                     {"reference", ground.reference}, {"version", ground.version}}));
  Matcher matcher(index, party.settings.match);
  auto answer = matcher.match({i.where, i.has_port, i.at_error});
  NORA_TRY(auto n, party.db->exec("insert into match_done (row_id, at, status, line, margin_us, uncertainty_us, record, reason, candidates, ground, leaf) values (?,?,?,?,?,?,?,?,?,?,?)",
                                  {i.row_id, now, name(answer.status), answer.unique ? answer.unique->line().reveal() : "",
                                   answer.margin ? store::Value(answer.margin->us) : store::Value(nullptr), answer.uncertainty.us,
                                   answer.records.empty() ? "" : answer.records.front(), answer.reason, answer.candidates, law::name(ground.kind),
                                   static_cast<std::int64_t>(leaf.index)}));
  (void)n;
  return Looked{std::move(answer), std::move(ground), leaf.index};
}

Result<MatchCounts> match_rows(Party& party) {
  auto& db = *party.db;
  NORA_TRY(auto grounds, party.grounds());
  NORA_TRY(auto index, LeaseReader::open(party.index_dir()));
  NORA_TRY(auto waiting, db.query(fmt::format("select {} from list_row where state in ('new','no_ground','none','ambiguous','shared_no_port','near_boundary') order by row_id", row_columns)));
  MatchCounts counts;
  for (const auto& r : waiting) {
    auto row = row_of(r);
    const auto now = party.env.clock.now();
    std::string state, reason;
    if (now > row.not_after) {
      state = "expired";
    } else if (auto ground = ground_for(grounds, row.item.finding_class, row.item.rsit, now); !ground) {
      state = "no_ground";
      reason = ground.error().what;
    } else {
      NORA_TRY(auto looked, look_up(party, index, grounds, row, "match"));
      ++counts.looked_up;
      state = looked.answer.unique ? "matched" : std::string(name(looked.answer.status));
      reason = looked.answer.reason;
      if (looked.answer.unique) {
        NORA_TRY(auto n, db.exec("update list_row set line = ? where row_id = ?", {looked.answer.unique->line().reveal(), row.item.row_id}));
        (void)n;
      }
    }
    NORA_CHECK(set_state(db, row.item.row_id, state, reason, now));
    ++counts.by_state[state];
  }
  return counts;
}

Result<Row> row(Party& party, std::string_view row_id) {
  NORA_TRY(auto found, party.db->query(fmt::format("select {} from list_row where row_id = ?", row_columns), {row_id}));
  if (found.empty()) return fail(Code::not_found, fmt::format("there is no row \"{}\"", to_terminal(row_id)));
  return row_of(found[0]);
}

Result<std::vector<Row>> rows(Party& party, const RowFilter& f) {
  std::string sql = fmt::format("select {} from list_row where row_id > ?", row_columns);
  store::Params params{f.after};
  if (!f.state.empty()) {
    std::string places;
    auto group = std::ranges::find(state_groups(), std::string_view(f.state), [](const auto& g) { return g.first; });
    std::vector<std::string_view> states = group == state_groups().end() ? std::vector<std::string_view>{f.state} : group->second;
    for (auto s : states) {
      places += places.empty() ? "?" : ",?";
      params.emplace_back(s);
    }
    sql += fmt::format(" and state in ({})", places);
  }
  if (!f.text.empty()) {
    auto like = "%" + to_sql_like(f.text) + "%";
    sql += R"( and (line like ? escape '\' or product like ? escape '\' or vendor like ? escape '\' or row_id like ? escape '\' or notice_code like ? escape '\')";
    for (int i = 0; i < 5; ++i) params.emplace_back(like);
    if (auto ip = Ip::parse(f.text)) { sql += " or ip = ?"; params.emplace_back(*ip); }
    sql += ")";
  }
  sql += fmt::format(" order by row_id limit {}", std::clamp(f.limit, 1, max_page));
  NORA_TRY(auto found, party.db->query(sql, params));
  std::vector<Row> out;
  for (const auto& r : found) out.push_back(row_of(r));
  return out;
}

Result<std::map<std::string, std::int64_t>> count_by_state(Party& party) {
  NORA_TRY(auto found, party.db->query("select state, count(*) from list_row group by state"));
  std::map<std::string, std::int64_t> out;
  for (const auto& r : found) out[r[0].str()] = r[1].integer();
  return out;
}

Result<std::vector<MatchRecord>> match_history(Party& party, std::string_view row_id) {
  NORA_TRY(auto found, party.db->query("select at, status, line, margin_us, uncertainty_us, record, reason, candidates, ground, leaf from match_done where row_id = ? order by id desc limit 50", {row_id}));
  std::vector<MatchRecord> out;
  for (const auto& r : found) {
    MatchRecord m{r[0].instant(), r[1].str(), r[2].str(), r[5].str(), r[6].str(), r[8].str(), std::nullopt, {r[4].integer()}, r[7].integer(), r[9].integer()};
    if (!r[3].is_null()) m.margin = Span{r[3].integer()};
    out.push_back(std::move(m));
  }
  return out;
}

Status put_customers(store::Db& db, const std::vector<Customer>& customers) {
  store::Rows rows;
  for (const auto& c : customers)
    rows.push_back({c.subscriber.line.reveal(), c.subscriber.name, c.subscriber.mail, code(c.subscriber.language), name(c.subscriber.kind), c.subscriber.opted_out});
  return db.transaction([&]() -> Status {
    NORA_TRY(auto n, db.exec("delete from line"));
    (void)n;
    return db.insert_many("line", {"line", "name", "mail", "language", "kind", "opted_out"}, rows);
  });
}

Result<std::optional<Subscriber>> subscriber(store::Db& db, const LineId& line) {
  NORA_TRY(auto found, db.query("select name, mail, language, kind, opted_out from line where line = ?", {line.reveal()}));
  if (found.empty()) return std::nullopt;
  Subscriber s;
  s.line = line;
  s.name = found[0][0].str();
  s.mail = found[0][1].str();
  NORA_TRY(s.language, parse_lang(found[0][2].str()));
  NORA_TRY(s.kind, parse_line_kind(found[0][3].str()));
  s.opted_out = found[0][4].boolean();
  return s;
}

}  // namespace nora::isp
