// Findings and their events.
#include "registry/codec.h"
#include "registry/finding_row.h"
#include "registry/registry.h"

namespace nora::registry {

const std::string& finding_columns() {
  static const std::string columns =
      "f.id, f.device, f.rule, f.pattern, f.severity, f.rsit, f.ip, f.port, f.proto, f.at, f.at_error, f.first_seen, f.last_seen, f.state, "
      "f.evidence, f.amplification, f.advice, f.finding_class, f.social, f.segment, f.observation, f.seen_segments, f.case_id, f.priority, "
      "(SELECT w.words FROM vuln_text w WHERE w.id = f.priority_why)";
  return columns;
}

Result<StoredFinding> finding_from(const store::Row& r) {
  StoredFinding s;
  s.finding.id = r[0].integer();
  s.finding.device = r[1].integer();
  s.finding.rule = r[2].str();
  s.finding.pattern = static_cast<Pattern>(r[3].str().empty() ? 'D' : r[3].str()[0]);
  s.finding.severity = static_cast<Severity>(r[4].integer());
  s.finding.rsit = r[5].str();
  s.finding.where = {r[6].ip(), {static_cast<std::uint16_t>(r[7].integer())}, static_cast<Proto>(r[8].integer()), r[9].instant()};
  s.at_error = {r[10].integer()};
  s.finding.first_seen = r[11].instant();
  s.finding.last_seen = r[12].instant();
  s.finding.state = r[13].str();
  NORA_TRY(s.finding.evidence, strings_from(r[14].str()));
  if (!r[15].is_null()) s.finding.amplification = r[15].real();
  s.advice = r[16].str();
  s.finding_class = r[17].str();
  s.social = r[18].boolean();
  s.segment = r[19].str();
  s.observation = r[20].integer();
  s.seen_segments = r[21].integer();
  s.case_id = r[22].integer();
  s.priority = r[23].integer();
  s.priority_why = r[24].str();
  return s;
}

namespace {

Result<std::vector<StoredFinding>> read_findings(store::Db& db, std::string_view tail, const store::Params& params) {
  NORA_TRY(auto rows, db.query("SELECT " + finding_columns() + " FROM finding f " + std::string(tail), params));
  std::vector<StoredFinding> out;
  for (const auto& r : rows) {
    NORA_TRY(auto f, finding_from(r));
    out.push_back(std::move(f));
  }
  return out;
}

Result<std::optional<StoredFinding>> first(Result<std::vector<StoredFinding>> found) {
  if (!found) return pass(found.error());
  if (found->empty()) return std::optional<StoredFinding>{};
  return std::optional<StoredFinding>(std::move(found->front()));
}

}  // namespace

std::string finding_key(const StoredFinding& s) {
  const auto& f = s.finding;
  std::string key = f.device ? "d" + std::to_string(f.device) : "ip" + f.where.ip.text();
  key += "|" + f.rule;
  if (f.device == 0 || f.rule == sighting_rule) return key;  // which port the attacks came from is no identity
  key += f.where.ip.is_v4() ? "|4|" : "|6|";
  return key + std::to_string(f.where.port.value) + "/" + std::string(name(f.where.proto));
}

Result<Id> Registry::put_finding(const StoredFinding& s) {
  const auto& f = s.finding;
  const std::string pattern(1, static_cast<char>(f.pattern));
  const store::Params params = {finding_key(s), f.device, f.rule, pattern, static_cast<int>(f.severity), f.rsit, f.where.ip, f.where.port.value,
                                static_cast<int>(f.where.proto), f.where.at, s.at_error.us, f.first_seen, f.last_seen, f.state,
                                strings_json(f.evidence), store::Value(f.amplification), s.advice, s.finding_class, s.social, s.segment,
                                s.observation, s.seen_segments, s.case_id};
  if (f.id == 0) {
    NORA_TRY(auto rows, db_->query("INSERT INTO finding (finding_key, device, rule, pattern, severity, rsit, ip, port, proto, at, at_error, first_seen, "
                                   "last_seen, state, evidence, amplification, advice, finding_class, social, segment, observation, seen_segments, case_id) "
                                   "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING id", params));
    return rows.at(0)[0].integer();
  }
  auto with_id = params;
  with_id.emplace_back(f.id);
  NORA_CHECK(db_->exec("UPDATE finding SET finding_key = ?, device = ?, rule = ?, pattern = ?, severity = ?, rsit = ?, ip = ?, port = ?, proto = ?, at = ?, "
                       "at_error = ?, first_seen = ?, last_seen = ?, state = ?, evidence = ?, amplification = ?, advice = ?, finding_class = ?, social = ?, "
                       "segment = ?, observation = ?, seen_segments = ?, case_id = ? WHERE id = ?", with_id));
  return f.id;
}

Result<std::optional<StoredFinding>> Registry::finding(Id id) { return first(read_findings(*db_, "WHERE f.id = ?", {id})); }
Result<std::optional<StoredFinding>> Registry::finding_by_key(std::string_view key) {
  return first(read_findings(*db_, "WHERE f.finding_key = ?", {key}));
}
Result<std::vector<StoredFinding>> Registry::findings_of_device(Id device) {
  return read_findings(*db_, "WHERE f.device = ? ORDER BY f.id", {device});
}
Result<std::vector<StoredFinding>> Registry::findings_of_case(Id case_id) {
  return read_findings(*db_, "WHERE f.case_id = ? ORDER BY f.severity DESC, f.id", {case_id});
}
Result<std::vector<StoredFinding>> Registry::findings_at(Ip ip) { return read_findings(*db_, "WHERE f.ip = ? ORDER BY f.id", {ip}); }

Status Registry::set_finding_case(Id finding, Id case_id) {
  NORA_CHECK(db_->exec("UPDATE finding SET case_id = ? WHERE id = ?", {case_id, finding}));
  return {};
}

Status Registry::add_finding_event(const FindingEvent& e) {
  NORA_CHECK(db_->exec("INSERT INTO finding_event (finding, at, kind, who, rules_version, detail, segment) VALUES (?,?,?,?,?,?,?)",
                       {e.finding, e.at, e.kind, e.who, e.rules_version, e.detail, e.segment}));
  return {};
}

Result<std::vector<FindingEvent>> Registry::finding_events(Id finding) {
  NORA_TRY(auto rows, db_->query("SELECT id, finding, at, kind, who, rules_version, detail, segment FROM finding_event WHERE finding = ? ORDER BY id", {finding}));
  std::vector<FindingEvent> out;
  for (const auto& r : rows)
    out.push_back({r[0].integer(), r[1].integer(), r[2].instant(), r[3].str(), r[4].str(), r[5].str(), r[6].str(), r[7].str()});
  return out;
}

}  // namespace nora::registry
