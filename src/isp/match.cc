#include "isp/match.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace nora::isp {
namespace {

constexpr Span max_clock_error = Span::seconds(60);  // widest error of one log; the query window is that much wider than the rest
constexpr std::size_t max_records_shown = 8;

std::string evidence(std::string_view file, std::uint64_t offset, const Hash& hash) { return fmt::format("{}:{}:{}", file, offset, to_hex(hash)); }

// Whole seconds as an integer: boost.json writes 300.0 as 3E2.
json::Value seconds(Span s) {
  if (s.us % 1'000'000 == 0) return s.us / 1'000'000;
  return s.as_seconds();
}

Span distance(Instant a, Instant b) {  // without overflow at "forever"
  if (b.us == INT64_MAX) return {INT64_MAX};
  return b - a;
}

}  // namespace

std::string_view name(MatchStatus status) {
  switch (status) {
    case MatchStatus::unique: return "unique";
    case MatchStatus::none: return "none";
    case MatchStatus::ambiguous: return "ambiguous";
    case MatchStatus::shared_no_port: return "shared_no_port";
    case MatchStatus::near_boundary: return "near_boundary";
  }
  return "";
}

Result<MatchQuestion> parse_question(std::string_view line) {
  NORA_TRY(auto o, json::parse_object(line));
  MatchQuestion q;
  NORA_TRY(q.where.ip, json::get_ip(o, "ip"));
  NORA_TRY(q.where.at, json::get_instant(o, "at"));
  q.has_port = o.contains("port") && !o.at("port").is_null();
  if (q.has_port) {
    NORA_TRY(auto port, json::get_int(o, "port"));
    if (port < 0 || port > 65535) return fail(Code::bad_input, "field \"port\" is not 1-65535");
    q.where.port = {static_cast<std::uint16_t>(port)};
    q.has_port = port != 0;
  }
  if (o.contains("proto") && !o.at("proto").is_null()) {
    NORA_TRY(auto proto, json::get_string(o, "proto"));
    NORA_TRY(q.where.proto, parse_proto(proto));
  }
  auto error_ms = json::int_or(o, "at_error_ms", 1000);
  if (error_ms < 0 || error_ms > 86'400'000) return fail(Code::bad_input, "field \"at_error_ms\" is not 0-86400000");
  q.at_error = Span::ms(error_ms);
  return q;
}

void Matcher::make_unique(MatchAnswer& answer, const MatchQuestion& q, LineId line) const {
  UniqueMatch u;
  u.line_ = std::move(line);
  u.where_ = q.where;
  u.has_port_ = q.has_port;
  u.margin_ = answer.margin;
  u.uncertainty_ = answer.uncertainty;
  u.record_ = answer.records.empty() ? std::string{} : answer.records.front();
  answer.unique = std::move(u);
  answer.status = MatchStatus::unique;
  answer.reason = "inside";
}

// What happened after the last import is not in the index: a hand-over may be missing.
bool Matcher::covered(const MatchQuestion& q, MatchAnswer& answer) const {
  if (q.where.at > index_.covered_until()) {
    answer.status = MatchStatus::none;
    answer.reason = "log_not_covered";
    return false;
  }
  if (q.where.at + q.at_error + options_.log_error + Span::seconds(1) > index_.covered_until()) {
    answer.status = MatchStatus::near_boundary;
    answer.reason = "log_not_covered";
    return false;
  }
  return true;
}

MatchAnswer Matcher::judge(const MatchQuestion& q, const std::vector<Candidate>& candidates) const {
  const Instant t = q.where.at;
  const Span base = q.at_error + options_.guard + options_.log_error;
  MatchAnswer answer;
  answer.uncertainty = base + Span::seconds(1);
  if (candidates.size() >= LeaseReader::max_candidates) {
    answer.status = MatchStatus::ambiguous;
    answer.reason = "too_many";
    answer.candidates = static_cast<int>(candidates.size());
    return answer;
  }
  std::set<LineId> covering, touching;
  bool shared = false, untrusted = false, lost_stop = false;
  std::optional<Span> best;        // largest margin among intervals that hold t for certain
  const Candidate* holder = nullptr;
  Span holder_error{};
  for (const auto& c : candidates) {
    const Span error = base + c.clock_error;
    if (t + error < c.start || (c.end != forever && t - error >= c.end)) continue;
    auto line = index_.line_of(c.user);
    touching.insert(line);
    if (answer.records.size() < max_records_shown) answer.records.push_back(evidence(c.file, c.offset, c.hash));
    if (c.shared_from != c.shared_to && t + error >= c.shared_from && (c.shared_to == forever || t - error < c.shared_to)) shared = true;
    if (!c.clock_trusted) untrusted = true;
    if (t < c.start || t >= c.end) continue;
    covering.insert(line);
    if (t < c.sure_start || t >= c.sure_end) { lost_stop |= t >= c.sure_end; continue; }
    const Span margin = std::min(t - c.sure_start, distance(t, c.sure_end));
    // The interval with the most room above its own uncertainty holds the answer.
    if (!best || margin - error > *best - holder_error) { best = margin; holder = &c; holder_error = error; }
  }
  answer.candidates = static_cast<int>(touching.size());
  if (best) { answer.margin = best->us == INT64_MAX ? std::nullopt : best; answer.uncertainty = holder_error; }
  if (touching.empty()) {
    answer.reason = "no_interval";
  } else if (covering.size() > 1) {
    answer.status = MatchStatus::ambiguous;
    answer.reason = "two_lines";
  } else if (shared) {
    answer.status = MatchStatus::ambiguous;
    answer.reason = "account_shared";
  } else if (untrusted) {
    answer.status = MatchStatus::near_boundary;
    answer.reason = "clock_untrusted";
  } else if (touching.size() > 1) {
    answer.status = MatchStatus::near_boundary;
    answer.reason = "hand_over";
  } else if (!best || *best <= holder_error) {
    answer.status = MatchStatus::near_boundary;
    answer.reason = lost_stop ? "lost_stop" : "border";
  } else {
    answer.records = {evidence(holder->file, holder->offset, holder->hash)};
    make_unique(answer, q, *covering.begin());
  }
  return answer;
}

std::optional<MatchAnswer> Matcher::match_mape(const MatchQuestion& q) const {
  if (!q.where.ip.is_v4()) return std::nullopt;
  const Instant t = q.where.at;
  const Span error = q.at_error + options_.guard + options_.log_error + Span::seconds(1);
  MatchAnswer answer;
  answer.uncertainty = error;
  std::vector<const MapeRule*> touching;
  bool covers = false;
  for (const auto& rule : index_.mape()) {
    if (!rule.ipv4.contains(q.where.ip) || t + error < rule.valid_from || (rule.valid_to != forever && t - error >= rule.valid_to)) continue;
    touching.push_back(&rule);
    covers |= t >= rule.valid_from && t < rule.valid_to;
  }
  if (touching.empty()) return std::nullopt;
  for (const auto* rule : touching) answer.records.push_back(evidence(rule->file, rule->offset, rule->hash));
  if (!q.has_port) {
    answer.status = MatchStatus::shared_no_port;
    answer.reason = "shared_address";
    for (const auto* rule : touching) answer.candidates = std::max(answer.candidates, mape_users(*rule));
    return answer;
  }
  std::set<Prefix> users;
  Span margin{INT64_MAX};
  for (const auto* rule : touching) {
    if (auto user = mape_user(*rule, q.where.ip, q.where.port)) users.insert(*user);
    auto room = std::min(t - rule->valid_from, distance(t, rule->valid_to));
    margin = std::min(margin, room);
  }
  answer.candidates = static_cast<int>(users.size());
  if (users.empty()) { answer.reason = "port_of_nobody"; return answer; }
  if (users.size() > 1) {
    answer.status = covers && touching.size() == 1 ? MatchStatus::near_boundary : MatchStatus::ambiguous;
    answer.reason = "two_rules";
    return answer;
  }
  if (touching.size() > 1) margin = {INT64_MAX};  // old and new rule name the same user: no border between them
  if (!covers || margin <= error) {
    answer.status = MatchStatus::near_boundary;
    answer.reason = "rule_border";
    answer.margin = margin;
    return answer;
  }
  // A lease on the shared address itself contradicts the rule.
  std::vector<Candidate> leases;
  index_.find(q.where.ip, t - error, t + error, leases);
  if (!leases.empty()) {
    answer.status = MatchStatus::ambiguous;
    answer.reason = "shared_address_has_lease";
    return answer;
  }
  // The line behind the user prefix: by a delegated-prefix lease of that instant, or by the provider's static assignment.
  const std::string key = "prefix:" + users.begin()->text();
  auto line = index_.line_of(key);
  index_.find(*users.begin(), t - error - max_clock_error, t + error + max_clock_error, leases);
  if (!leases.empty()) {
    auto by_lease = judge(q, leases);
    if (by_lease.status != MatchStatus::unique || line == LineId(key) || by_lease.unique->line() == line) return by_lease;
    answer.status = MatchStatus::ambiguous;
    answer.reason = "lease_contradicts_assignment";
    answer.candidates = 2;
    return answer;
  }
  if (margin.us != INT64_MAX) answer.margin = margin;
  answer.records.resize(1);
  make_unique(answer, q, line);
  return answer;
}

MatchAnswer Matcher::match(const MatchQuestion& q) const {
  MatchAnswer uncovered;
  uncovered.uncertainty = q.at_error + options_.guard + options_.log_error + Span::seconds(1);
  if (!covered(q, uncovered)) return uncovered;
  if (auto answer = match_mape(q)) return *answer;
  const Span window = q.at_error + options_.guard + options_.log_error + max_clock_error;
  std::vector<Candidate> candidates;
  index_.find(q.where.ip, q.where.at - window, q.where.at + window, candidates);
  return judge(q, candidates);
}

json::Object to_json(const MatchAnswer& a) {
  json::Object o;
  o["status"] = name(a.status);
  if (a.unique) o["line"] = a.unique->line().reveal();
  else o["line"] = nullptr;
  if (a.margin) o["margin_s"] = seconds(*a.margin);
  else o["margin_s"] = nullptr;
  if (!a.records.empty()) o["record"] = a.records.front();
  else o["record"] = nullptr;
  if (a.records.size() > 1) {
    json::Array all;
    for (const auto& r : a.records) all.emplace_back(r);
    o["records"] = std::move(all);
  }
  o["uncertainty_s"] = seconds(a.uncertainty);
  o["reason"] = a.reason;
  o["candidates"] = a.candidates;
  return o;
}

}  // namespace nora::isp
