// CPE names: the examples of NISTIR 7695 section 6, the attribute table of NISTIR 7696 section 6.2, round trips of random names.
#include "expose/cpe.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/text.h"

namespace nora::expose {
namespace {

Cpe cpe(std::string_view text) {
  auto parsed = Cpe::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << (parsed ? "" : parsed.error().text());
  return parsed.value_or(Cpe{});
}

TEST(Cpe, TheSameNameInBothBindings) {
  // NISTIR 7695, examples of sections 6.1.2 and 6.2.2.
  const std::pair<const char*, const char*> same[] = {
      {"cpe:/a:microsoft:internet_explorer:8.0.6001:beta", "cpe:2.3:a:microsoft:internet_explorer:8.0.6001:beta:*:*:*:*:*:*"},
      {"cpe:/a:microsoft:internet_explorer:8.%02:sp%01", "cpe:2.3:a:microsoft:internet_explorer:8.*:sp?:*:*:*:*:*:*"},
      {"cpe:/a:hp:insight_diagnostics:7.4.0.1570:-:~~online~win2003~x64~", "cpe:2.3:a:hp:insight_diagnostics:7.4.0.1570:-:*:*:online:win2003:x64:*"},
      {"cpe:/a:hp:openview_network_manager:7.51::~~~linux~~", "cpe:2.3:a:hp:openview_network_manager:7.51:*:*:*:*:linux:*:*"},
      {"cpe:/a:foo%5cbar:big%24money_2010:::~~special~ipod_touch~80gb~", "cpe:2.3:a:foo\\\\bar:big\\$money_2010:*:*:*:*:special:ipod_touch:80gb:*"},
  };
  for (const auto& [uri, formatted] : same) {
    EXPECT_EQ(cpe(uri), cpe(formatted)) << uri;
    EXPECT_EQ(cpe(formatted).uri(), uri);
    EXPECT_EQ(cpe(uri).formatted(), formatted);
  }
  EXPECT_EQ(cpe("CPE:/A:Microsoft:Internet_Explorer"), cpe("cpe:2.3:a:microsoft:internet_explorer:*:*:*:*:*:*:*:*")) << "without case";
  EXPECT_EQ(cpe("cpe:2.3:a:foo\\:bar:x:*:*:*:*:*:*:*:*")[CpeField::vendor].plain(), "foo:bar") << "a quoted colon does not split";
  EXPECT_EQ(cpe("cpe:/a:v:p:9%7e1").uri(), "cpe:/a:v:p:9%7e1");
}

TEST(Cpe, BrokenNamesAreRefusedWithTheirPlace) {
  for (const auto* text : {"", "cpe:", "cpe:2.3:a:b", "cpe:2.3:x:v:p:*:*:*:*:*:*:*:*", "cpe:2.3:a:v:p:1:*:*:*:*:*:*:*:*", "cpe:2.3:a::p:1:*:*:*:*:*:*:*",
                           "cpe:2.3:a:v:p:1*2:*:*:*:*:*:*:*", "cpe:2.3:a:v:p:**:*:*:*:*:*:*:*", "cpe:2.3:a:v:p:1\\:*:*:*:*:*:*:*", "cpe:/a:v:p:1%0", "cpe:/a:v:p:1%00",
                           "cpe:/a:v:p:1 2", "cpe:/a:v:p:1:u:~a~b", "cpe:/a:1:2:3:4:5:6:7", "cpe:/q:v:p", "cpe:/a:v:p:%02x%02y"})
    EXPECT_FALSE(Cpe::parse(text)) << text;
  EXPECT_NE(Cpe::parse("cpe:/a:v:p:1%0").error().what.find("version"), std::string::npos);
  EXPECT_FALSE(Cpe::parse("cpe:/a:" + std::string(max_cpe_bytes, 'x')));
}

TEST(Cpe, RecogsDashMeansUnknown) {
  const auto none = parse_recog_cpe("cpe:/o:yamaha:rtx1200_firmware:-");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->version_known);
  EXPECT_TRUE(none->cpe[CpeField::version].is_any());
  EXPECT_TRUE(cpe("cpe:/o:yamaha:rtx1200_firmware:-")[CpeField::version].is_na()) << "in CPE itself it is NA";
  const auto some = parse_recog_cpe("cpe:/o:yamaha:rtx1200_firmware:10.01.78");
  ASSERT_TRUE(some && some->version_known);
  EXPECT_EQ(some->cpe[CpeField::version].plain(), "10.01.78");
  EXPECT_FALSE(parse_recog_cpe("cpe:/o:yamaha:rtx1200")->version_known);
}

CpeValue value(std::string_view text) { return cpe("cpe:2.3:a:v:p:" + std::string(text) + ":*:*:*:*:*:*:*")[CpeField::version]; }

TEST(Cpe, AttributesCompareByTheTable) {
  // NISTIR 7696 table 6-2: source, target, relation.
  struct Row { const char *source, *target; CpeRelation relation; };
  using enum CpeRelation;
  for (const Row& r : std::initializer_list<Row>{
           {"*", "*", equal},      {"*", "-", superset},  {"*", "1.0", superset},  {"*", "1.*", undefined}, {"-", "*", subset},      {"-", "-", equal},
           {"-", "1.0", disjoint}, {"-", "1.*", undefined}, {"1.0", "1.0", equal}, {"1.0", "1.1", disjoint}, {"1.0", "1.*", undefined}, {"1.0", "-", disjoint},
           {"1.0", "*", subset},   {"1.*", "2.*", undefined}, {"1.*", "*", subset}, {"1.*", "-", disjoint},  {"1.*", "1.5", superset}, {"1.*", "2.5", disjoint}}) {
    EXPECT_EQ(compare(value(r.source), value(r.target)), r.relation) << r.source << " against " << r.target;
  }
}

TEST(Cpe, WildcardsStandForWhatTheySay) {
  struct Row { const char *source, *target; bool match; };
  for (const Row& r : std::initializer_list<Row>{{"*.1", "0.1", true}, {"*.1", "0.2", false}, {"8.?", "8.1", true}, {"8.?", "8.", true}, {"8.?", "8.10", false}, {"8.??", "8.10", true},
                                                 {"?8", "18", true}, {"?8", "118", false}, {"*beta*", "1beta2", true}, {"*beta*", "1bet2", false}, {"???", "abc", true}, {"???", "abcd", false},
                                                 {"a*", "a", true}, {"?a*", "ba1", true}, {"?a*", "bba1", false}, {"1.\\*", "1.x", false}})
    EXPECT_EQ(compare(value(r.source), value(r.target)) == CpeRelation::superset, r.match) << r.source << " against " << r.target;
}

TEST(Cpe, NamesCompareByTheirAttributes) {
  const auto wide = cpe("cpe:2.3:o:nec:aterm_firmware:*:*:*:*:*:*:*:*"), narrow = cpe("cpe:2.3:o:nec:aterm_firmware:1.0:*:*:*:*:*:*:*");
  EXPECT_EQ(compare(wide, narrow), CpeRelation::superset);
  EXPECT_EQ(compare(narrow, wide), CpeRelation::subset);
  EXPECT_EQ(compare(wide, wide), CpeRelation::equal);
  EXPECT_EQ(compare(wide, cpe("cpe:2.3:h:nec:aterm:-:*:*:*:*:*:*:*")), CpeRelation::disjoint);
  EXPECT_EQ(compare(cpe("cpe:2.3:o:nec:*:1.0:*:*:*:*:*:*:*"), cpe("cpe:2.3:o:nec:aterm:*:*:*:*:*:*:*:*")), CpeRelation::overlap);
  EXPECT_EQ(compare(wide, cpe("cpe:2.3:o:nec:aterm_firmware:1.*:*:*:*:*:*:*:*")), CpeRelation::undefined);
  EXPECT_TRUE(covers(wide, narrow));
  EXPECT_FALSE(covers(narrow, wide));
}

CpeValue random_value() {
  const int kind = *rc::gen::inRange(0, 6);
  if (kind == 0) return CpeValue::any();
  if (kind == 1) return CpeValue::na();
  auto raw = *rc::gen::container<std::string>(rc::gen::inRange('!', static_cast<char>(0x7f)));
  if (raw.empty()) raw = "-";
  auto v = CpeValue::literal(raw);
  if (kind == 2) v.text += "*";
  if (kind == 3) v.text = "??" + v.text;
  return v;
}

RC_GTEST_PROP(CpeProperty, NamesSurviveBothBindings, ()) {
  Cpe c;
  for (auto& v : c.values) v = random_value();
  c[CpeField::part] = CpeValue::literal(*rc::gen::element(std::string("a"), std::string("o"), std::string("h")));
  const auto formatted = Cpe::parse(c.formatted());
  RC_ASSERT(formatted.has_value());
  RC_ASSERT(*formatted == c);
  const auto uri = Cpe::parse(c.uri());
  RC_ASSERT(uri.has_value());
  RC_ASSERT(*uri == c);
}

RC_GTEST_PROP(CpeProperty, RelationsAreMirrored, ()) {
  const auto a = random_value(), b = random_value();
  if (a.has_wildcard() || b.has_wildcard()) return;
  const auto ab = compare(a, b), ba = compare(b, a);
  using enum CpeRelation;
  RC_ASSERT((ab == equal) == (ba == equal));
  RC_ASSERT((ab == superset) == (ba == subset));
  RC_ASSERT((ab == disjoint) == (ba == disjoint));
  RC_ASSERT(compare(a, a) == equal);
}

}  // namespace
}  // namespace nora::expose
