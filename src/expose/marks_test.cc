// Marks follow from facts; what is not known stays "?"; the roll-up needs enough of them.
#include "expose/marks.h"

#include <gtest/gtest.h>

namespace nora::expose {
namespace {

const std::string source = NORA_SOURCE_DIR;
const Instant now = Instant::parse("2026-11-26T00:00:00Z").value();
const Knowledge& knowledge() {
  static const Knowledge k = Knowledge::load(source + "/data/products", source + "/data/advice").value();
  return k;
}
const Malware& malware() {
  static const Malware m = Malware::load(source + "/data/malware").value();
  return m;
}
std::string fact(std::string_view product, std::string_view about, std::string_view value, bool verified = true) {
  return "[[fact]]\nproduct = \"" + std::string(product) + "\"\nabout = \"" + std::string(about) + "\"\nvalue = \"" + std::string(value) +
         "\"\nsource = \"s\"\nread = \"2026-11-01\"\nverified = " + (verified ? "true" : "false") + "\n";
}
ProductMarks marks_of(const std::string& toml, std::string_view product) {
  const auto marks = Marks::parse(toml, "m.toml", knowledge()).value();
  return marks.marks_of(*knowledge().product_by_id(product), knowledge(), malware(), now);
}

TEST(Marks, RowsByKind) {
  for (const char* type : {"Broadband Router", "Router", "WAP", "Firewall"}) EXPECT_EQ(row_of(type), TableRow::router) << type;
  for (const char* type : {"Desktop", "General", "PC"}) EXPECT_EQ(row_of(type), TableRow::pc) << type;
  for (const char* type : {"IP Camera", "NAS", "PLC", "", "Fridge"}) EXPECT_EQ(row_of(type), TableRow::iot) << type;
}

TEST(Marks, FactsMakeMarksWithReasons) {
  const auto m = marks_of(fact("planex-mzk-mf300n", "initial_password", "common") + fact("planex-mzk-mf300n", "auto_update", "manual") +
                              fact("planex-mzk-mf300n", "targeted_by", "mozi") + fact("planex-mzk-mf300n", "researched", "yes"), "planex-mzk-mf300n");
  EXPECT_EQ(m.row, TableRow::router);
  EXPECT_EQ(m.at(TableColumn::shipping).mark, Mark::bad);
  EXPECT_EQ(m.at(TableColumn::update).mark, Mark::fair);
  EXPECT_EQ(m.at(TableColumn::malware).mark, Mark::bad) << "Mozi outlives a restart";
  EXPECT_EQ(m.at(TableColumn::research).mark, Mark::fair);
  for (const auto& cell : m.cells) {
    EXPECT_EQ(cell.reasons.size(), 1u);
    EXPECT_EQ(cell.date, "2026-11-01");
    EXPECT_TRUE(cell.verified);
  }
  EXPECT_EQ(marks_of(fact("planex-mzk-mf300n", "targeted_by", "mirai"), "planex-mzk-mf300n").at(TableColumn::malware).mark, Mark::fair) << "a restart clears Mirai";
  EXPECT_EQ(marks_of(fact("planex-mzk-mf300n", "signed_firmware", "yes") + fact("planex-mzk-mf300n", "targeted_by", "pink"), "planex-mzk-mf300n").at(TableColumn::malware).mark, Mark::bad)
      << "the worst fact decides";
  const auto label = marks_of(fact("planex-mzk-mf300n", "label", "yes") + fact("planex-mzk-mf300n", "initial_password", "common", false), "planex-mzk-mf300n").at(TableColumn::shipping);
  EXPECT_EQ(label.mark, Mark::bad) << "a label does not outweigh what is known";
  EXPECT_FALSE(label.verified);
}

TEST(Marks, WhatIsNotKnownIsAQuestionMark) {
  const auto m = marks_of("", "planex-mzk-mf300n");
  for (const auto& cell : m.cells) EXPECT_EQ(cell.mark, Mark::unknown);
  ASSERT_EQ(m.at(TableColumn::malware).reasons.size(), 1u);
  EXPECT_NE(m.at(TableColumn::malware).reasons[0].find("families"), std::string::npos) << "\"?\" is not \"safe\"";
}

TEST(Marks, EndedSupportIsNoWayToUpdate) {
  const auto m = marks_of(fact("kinmirai-ctl-100", "auto_update", "on"), "kinmirai-ctl-100");
  EXPECT_EQ(m.at(TableColumn::update).mark, Mark::bad);
  EXPECT_EQ(m.at(TableColumn::update).reasons.size(), 2u);
}

TEST(Marks, TheRollUpNeedsHalfOfTheProducts) {
  const auto& k = knowledge();
  std::string all, few;
  int routers = 0;
  for (const auto& p : k.products()) {
    if (p.demo || row_of(p.type) != TableRow::router) continue;
    ++routers;
    all += fact(p.id, "initial_password", routers % 4 == 0 ? "common" : "unique");
    if (routers == 1) few = fact(p.id, "initial_password", "common");
  }
  ASSERT_GE(routers, 4);
  const auto full = Marks::parse(all, "m.toml", k).value().table(k, malware(), now);
  EXPECT_EQ(full[1][0].mark, Mark::good);
  EXPECT_EQ(full[1][0].good + full[1][0].bad, routers);
  EXPECT_EQ(full[1][3].mark, Mark::unknown) << "nothing was said of research";  // update may know of ended support
  const auto thin = Marks::parse(few, "m.toml", k).value().table(k, malware(), now);
  EXPECT_EQ(thin[1][0].mark, Mark::unknown) << "one of many is no mark of the row";
  EXPECT_EQ(thin[1][0].bad, 1);
}

TEST(Marks, TheShippedFactsLoadAndTheCellsOf2015AreOpen) {
  const auto& k = knowledge();
  const auto marks = Marks::load(source + "/data/products", k);
  ASSERT_TRUE(marks) << marks.error().text();
  const auto solar = marks->marks_of(*k.product_by_id("contec-solarview-compact"), k, malware(), now);
  EXPECT_EQ(solar.row, TableRow::iot);
  EXPECT_EQ(solar.at(TableColumn::malware).mark, Mark::fair);
  EXPECT_EQ(solar.at(TableColumn::research).mark, Mark::good);
  const auto table = marks->table(k, malware(), now);
  for (const auto& row : table)
    for (const auto& cell : row)
      if (!cell.before.verified) { EXPECT_EQ(cell.before.mark, Mark::unknown) << "a mark of 2015 that nobody read is not shown as one"; }
  std::int64_t demo = 0;
  for (const auto& f : marks->facts()) {
    demo += f.demo;
    if (f.demo) { EXPECT_TRUE(k.product_by_id(f.product)->demo) << f.product << ": an invented fact about a real product"; }
    if (!f.verified && !f.demo) { EXPECT_NE(f.source.find("[K]"), std::string::npos) << f.product; }
  }
  EXPECT_GT(demo, 0);
}

TEST(Marks, MistakesAreRefused) {
  const auto& k = knowledge();
  for (const auto& bad : {fact("no-such-product", "label", "yes"), fact("planex-mzk-mf300n", "beauty", "yes"), fact("planex-mzk-mf300n", "label", "perhaps"),
                          std::string("[[mark_2015]]\nrow = \"pc\"\ncolumn = \"update\"\nmark = \"A\"\nsource = \"s\"\n"),
                          std::string("[[mark_2015]]\nrow = \"pc\"\ncolumn = \"update\"\nmark = \"?\"\nsource = \"s\"\nverified = true\n")})
    EXPECT_FALSE(Marks::parse(bad, "m.toml", k)) << bad;
}

}  // namespace
}  // namespace nora::expose
