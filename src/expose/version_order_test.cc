// Orders of versions: what makers write, what has no answer, and that all answers together are one order.
#include "expose/version_order.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace nora::expose {
namespace {

char sign(std::string_view vendor, std::string_view a, std::string_view b) {
  const auto r = compare_versions(vendor, a, b);
  return !r ? '?' : *r < 0 ? '<' : *r > 0 ? '>' : '=';
}

TEST(VersionOrder, AsTheMakersCount) {
  struct Row { const char *vendor, *a; char relation; const char* b; };
  for (const Row& r : std::initializer_list<Row>{
           {"Buffalo", "Ver.1.10", '>', "Ver.1.9"}, {"Yamaha", "Rev.11.01.34", '=', "11.01.34"}, {"ELECOM", "v2.80.1", '>', "v2.80"}, {"I-O DATA", "Ver.2.03", '<', "Ver.2.10"},
           {"", "1.2", '=', "1.2.0"}, {"", "V1.0", '=', "v1.0"}, {"", "1.2 ", '=', "ver 1.2"}, {"", "firmware v1.3", '>', "1.2"}, {"", "1.0.1", '>', "1.0"},
           {"Yamaha", "8.01.29", '<', "Rev.8.1.30"}, {"NEC Platforms", "Ver.1.4.1", '<', "Ver.1.4.2"}, {"NEC Platforms", "Ver.1.05", '?', "1.5"}, {"Buffalo", "1.05", '?', "1.5"}, {"Buffalo", "2.05", '>', "1.5"},
           {"NETGEAR", "V1.0.4.84_10.0.58", '>', "V1.0.4.82_10.0.60"}, {"NETGEAR", "V1.0.4.84_10.0.58", '?', "1.0.4.84"}, {"Synology", "6.2.3-25426", '<', "6.2.3-25556"},
           {"Hikvision", "V5.4.5 build 170124", '<', "V5.4.5 build 180101"}, {"Hikvision", "V5.4.5 build 170124", '?', "5.4.5"}, {"Hikvision", "V5.4.5 build 170124", '<', "5.4.6"},
           {"MikroTik", "6.49beta54", '<', "6.49rc1"}, {"MikroTik", "6.49rc1", '<', "6.49"}, {"MikroTik", "6.49", '<', "6.49.1"}, {"MikroTik", "7.1rc3", '<', "7.1rc4"},
           {"OpenSSL", "1.0.2k", '>', "1.0.2"}, {"OpenSSL", "1.0.2k", '<', "1.0.2l"}, {"", "1.02b", '?', "1.02"}, {"", "1.02b", '=', "v1.02B"}, {"", "1.03b", '>', "1.02"},
           {"", "20210301", '<', "20210401"}, {"", "2021-03-01", '<', "2021-04-01"}, {"", "20210301", '?', "1.2"}, {"", "latest", '?', "1.2"}, {"", "latest", '=', "LATEST"},
           {"", "", '?', "1"}, {"", "1.0.x", '?', "1.0.1"}, {"", "15.2(4)M6", '?', "15.2(4)M7"}, {"", "99999999999999999999", '?', "1"}, {"YamahaX", "1.05", '?', "1.5"}}) {
    EXPECT_EQ(sign(r.vendor, r.a, r.b), r.relation) << r.vendor << ": " << r.a << " and " << r.b;
    const char mirrored = r.relation == '<' ? '>' : r.relation == '>' ? '<' : r.relation;
    EXPECT_EQ(sign(r.vendor, r.b, r.a), mirrored) << r.vendor << ": " << r.b << " and " << r.a;
  }
}

std::string random_version() {
  std::string out = *rc::gen::element(std::string(), std::string("Ver."), std::string("v"), std::string("Rev."));
  const int parts = *rc::gen::inRange(1, 4);
  for (int i = 0; i < parts; ++i) out += (i > 0 ? *rc::gen::element(std::string("."), std::string("."), std::string("-"), std::string("_")) : std::string()) +
                                         *rc::gen::element(std::string("0"), std::string("1"), std::string("01"), std::string("2"), std::string("10"), std::string("9"), std::string("20210301"));
  return out + *rc::gen::element(std::string(), std::string(), std::string(), std::string("b"), std::string("a"), std::string("rc1"), std::string("beta"), std::string(" build 7"),
                                 std::string(" build 12"), std::string("x1"));
}

RC_GTEST_PROP(VersionProperty, AnswersAreOneOrder, ()) {
  const auto vendor = *rc::gen::element(std::string("Buffalo"), std::string("Yamaha"), std::string("NETGEAR"), std::string("Synology"), std::string("OpenSSL"), std::string(""));
  const auto a = random_version(), b = random_version(), c = random_version();
  RC_ASSERT(sign(vendor, a, a) == '=');
  const char ab = sign(vendor, a, b), ba = sign(vendor, b, a), bc = sign(vendor, b, c), ac = sign(vendor, a, c);
  RC_ASSERT((ab == '?') == (ba == '?'));
  RC_ASSERT((ab == '<') == (ba == '>'));
  RC_ASSERT((ab == '=') == (ba == '='));
  if (ab == '?' || bc == '?' || ac == '?') return;
  if (ab != '>' && bc != '>') RC_ASSERT(ac == '<' || (ac == '=' && ab == '=' && bc == '='));
}

RC_GTEST_PROP(VersionProperty, AnyBytesHaveAnAnswerOrNone, (const std::string& a, const std::string& b)) {
  const char ab = sign("", a, b), ba = sign("", b, a);
  RC_ASSERT((ab == '<') == (ba == '>') && (ab == '?') == (ba == '?'));
}

}  // namespace
}  // namespace nora::expose
