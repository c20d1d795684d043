// Every row of the exposure table has its rule: the list of rows stands here, each rule's `source` names the rows that it answers.
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>

#include "base/files.h"
#include "base/messages.h"
#include "expose/evaluate.h"
#include "expose/rules.h"

namespace nora::expose {
namespace {

const std::string source = NORA_SOURCE_DIR;
const Rules& shipped() {
  static const Rules rules = Rules::load(source + "/data/exposures").value();
  return rules;
}

std::set<std::string> all_rows() {
  std::set<std::string> rows;
  for (const auto& [letter, count] : {std::pair{'A', 55}, {'B', 10}, {'C', 33}, {'D', 12}})
    for (int n = 1; n <= count; ++n) rows.insert(letter + std::to_string(n));
  return rows;
}

// "exposure table A50, C9, C11 to C18; …": only what stands before the first ";" or "[".
std::set<std::string> rows_of(const std::string& text) {
  std::set<std::string> out;
  const auto begin = text.find("exposure table ");
  if (begin == std::string::npos) return out;
  const auto part = text.substr(begin, text.find_first_of(";[", begin) - begin);
  static const std::regex one(R"(([A-D])([0-9]+)(?: to ([A-D])([0-9]+))?)");
  for (std::sregex_iterator it(part.begin(), part.end(), one), end; it != end; ++it) {
    const int from = std::stoi((*it)[2]), to = (*it)[4].matched ? std::stoi((*it)[4]) : from;
    for (int n = from; n <= to; ++n) out.insert((*it)[1].str() + std::to_string(n));
  }
  return out;
}

TEST(Rows, TheReaderOfSourcesKnowsRangesAndStops) {
  EXPECT_EQ(rows_of("exposure table A50, C11 to C13; RFC 1 D9"), (std::set<std::string>{"A50", "C11", "C12", "C13"}));
  EXPECT_EQ(rows_of("exposure table D4 [unverified] C1"), std::set<std::string>{"D4"});
  EXPECT_TRUE(rows_of("RFC 862, section A4").empty());
}

TEST(Rows, EveryRowHasARuleAndEveryRuleARow) {
  std::set<std::string> answered;
  for (const auto& rule : shipped().all()) {
    const auto rows = rows_of(rule.source);
    EXPECT_FALSE(rows.empty()) << rule.id << " names no row of the table";
    answered.insert(rows.begin(), rows.end());
  }
  for (const auto& row : all_rows()) EXPECT_TRUE(answered.contains(row)) << row << " has no rule";
  for (const auto& row : answered) EXPECT_TRUE(all_rows().contains(row)) << row << " is no row of the table";
}

TEST(Rows, RulesSayEverythingThatAFindingNeeds) {
  static const std::set<std::string> rsit = {"vulnerable/ddos-amplifier", "vulnerable/potentially-unwanted-accessible", "vulnerable/information-disclosure",
                                             "vulnerable/vulnerable-system", "malicious-code/infected-system"};
  for (const auto& rule : shipped().all()) {
    EXPECT_TRUE(rsit.contains(rule.rsit)) << rule.id << " " << rule.rsit;
    EXPECT_GE(rule.why.size(), 20u) << rule.id;
    EXPECT_TRUE(rule.shadowserver.empty() || rule.shadowserver.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos) << rule.id;
    // A reflector that is asked states what was measured; IPMI and the debug port are counted here for the row, not for the factor.
    if (rule.rsit == "vulnerable/ddos-amplifier" && !rule.import_only) { EXPECT_TRUE(rule.amplifies) << rule.id; }
    if (rule.pattern == registry::Pattern::A && !rule.import_only && rule.id != "wdb-open") { EXPECT_TRUE(rule.amplifies) << rule.id; }
    if (rule.vulnerable) { EXPECT_TRUE(rule.rsit == "vulnerable/vulnerable-system" || rule.rsit == "malicious-code/infected-system") << rule.id; }
    if (!rule.vulnerable) { EXPECT_TRUE(rule.rsit != "vulnerable/vulnerable-system" && rule.rsit != "malicious-code/infected-system") << rule.id; }
  }
}

TEST(Rows, WhatIsNeverAskedIsNeverFoundByAReply) {
  std::set<std::string> never;
  for (const auto& rule : shipped().all()) if (rule.import_only) never.insert(rule.id);
  for (const char* row : {"A12", "A38", "A47", "A51", "A54", "A55", "B6", "B8", "B10", "C19", "C20", "C21", "C23", "C28", "D6", "D11"}) {
    bool found = false;
    for (const auto& rule : shipped().all()) found = found || (rule.import_only && rows_of(rule.source).contains(row));
    EXPECT_TRUE(found) << row << " is not probed, so its rule must be import_only";
  }
  // Every protocol and key that any condition knows, in one reply: none of the import_only rules may come out.
  Subject all;
  for (const auto& rule : shipped().all())
    for (const auto& when : rule.when)
      for (const auto& protocol : when.protocols) {
        Seen seen{{Ip::parse("203.0.113.9").value(), {80}, Proto::tcp, Instant::seconds(1)}, protocol, {}, 10, 100, "test", false};
        for (const auto& test : when.tests) seen.keys.push_back({test.key, test.values.empty() ? "1" : test.values[0]});
        all.seen.push_back(std::move(seen));
      }
  const auto hits = evaluate(shipped(), all);
  EXPECT_GE(hits.size(), 30u);
  for (const auto& hit : hits) EXPECT_FALSE(never.contains(hit.rule->id)) << hit.rule->id;
}

TEST(Rows, ReportsAreKnownByTheirIdAndVictimsAreNotCalledInfected) {
  const auto ids = [](std::string_view report) {
    std::set<std::string> out;
    for (const auto* rule : shipped().reported_as(report)) out.insert(rule->id);
    return out;
  };
  EXPECT_EQ(ids("scan_netis_router"), std::set<std::string>{"netis-backdoor"});
  EXPECT_EQ(ids("event6_sinkhole_http"), std::set<std::string>{"sinkhole-contact"});
  EXPECT_EQ(ids("compromised_iot6"), std::set<std::string>{"compromised-device"});
  EXPECT_EQ(ids("scan_ddos_middlebox"), std::set<std::string>{"tcp-middlebox"});
  EXPECT_TRUE(ids("scan_socks").contains("open-socks4") && ids("scan_socks").contains("open-socks"));
  for (const char* victim : {"event4_honeypot_ddos", "event4_honeypot_ddos_amp", "event4_honeypot_ddos_target"})
    EXPECT_TRUE(ids(victim).empty()) << victim << ": the source address is the victim";
  EXPECT_TRUE(ids("").empty());
  EXPECT_TRUE(ids("no_such_report").empty());
  // What is certain to mean an infection is one report, one rule.
  for (const auto& rule : shipped().all()) {
    if (rule.rsit != "malicious-code/infected-system") continue;
    for (const auto& id : rule.also_reported_as) EXPECT_EQ(ids(id).size(), 1u) << id;
  }
}

TEST(Rows, TheNewConditionsHoldAndDoNotHold) {
  const auto one = [](std::string protocol, std::vector<registry::KeyValue> keys, std::uint16_t port) {
    Subject s{{}, {{{Ip::parse("203.0.113.9").value(), {port}, Proto::tcp, Instant::seconds(1)}, std::move(protocol), std::move(keys), 43, 77, "test", false}}};
    std::set<std::string> out;
    for (const auto& hit : evaluate(shipped(), s)) out.insert(hit.rule->id);
    return out;
  };
  EXPECT_EQ(one("snmp", {{"snmp.sys_description", "RTX1210"}}, 161), std::set<std::string>{"snmp-public"});
  EXPECT_TRUE(one("snmp", {}, 161).empty());
  EXPECT_EQ(one("rtsp", {{"rtsp.status", "200"}, {"rtsp.public", "OPTIONS, DESCRIBE"}}, 554), std::set<std::string>{"rtsp-reachable"});
  EXPECT_EQ(one("rtsp", {{"rtsp.status", "200"}, {"rtsp.public", "OPTIONS"}, {"rtsp.describe_status", "200"}}, 554), std::set<std::string>{"open-rtsp"});
  EXPECT_EQ(one("rtsp", {{"rtsp.status", "200"}, {"rtsp.public", "OPTIONS"}, {"rtsp.describe_status", "401"}}, 554), std::set<std::string>{"rtsp-protected"}) << "the owner did the first step";
  EXPECT_TRUE(one("rtsp", {{"rtsp.status", "401"}, {"rtsp.public", "OPTIONS"}}, 554).empty());
  EXPECT_EQ(one("http", {{"http.status", "200"}, {"http.live_view", "1"}}, 80), std::set<std::string>{"camera-live-view"});
  EXPECT_TRUE(one("http", {{"http.status", "401"}, {"http.live_view", "1"}}, 80).empty());
}

TEST(Rows, ReachableAndVulnerableAreDifferentWords) {
  // Words that claim a defect or an infection; a rule that only shows reachability has none of them, in no language.
  static const std::map<Lang, std::vector<std::string>> defect = {
      {Lang::ja, {"脆弱", "弱点があります", "感染", "乗っ取られてい", "欠陥"}},
      {Lang::easy, {"ウイルスに かかって", "こわれて", "よくない ところ", "悪《わる》い 人《ひと》に 使《つか》われています"}},
      {Lang::en, {"vulnerable", "is infected", "probably infected", "has a weakness", "is taken over", "known weakness and", "defective"}}};
  // Words that claim reachability only; a rule whose evidence shows the defect says more than that in its title.
  static const std::map<Lang, std::vector<std::string>> reachable = {
      {Lang::ja, {"見えています", "届きます"}}, {Lang::easy, {"外《そと》から 見《み》えます"}}, {Lang::en, {"can be reached", "is visible"}}};
  const auto messages = Messages::load(source + "/data/messages").value();
  for (const auto& rule : shipped().all()) {
    if (!rule.vulnerable) {
      for (const auto& [lang, words] : defect)
        for (const auto& word : words)
          for (const auto& id : {rule.title_id(), rule.plain_id()}) EXPECT_EQ(messages.get(lang, id).find(word), std::string::npos) << code(lang) << " " << id << ": " << word;
      EXPECT_EQ(rule.why.find("vulnerable"), std::string::npos) << rule.id;
    } else {
      for (const auto& [lang, words] : reachable)
        for (const auto& word : words) EXPECT_EQ(messages.get(lang, rule.title_id()).find(word), std::string::npos) << code(lang) << " " << rule.id << ": " << word;
    }
  }
}

}  // namespace
}  // namespace nora::expose
