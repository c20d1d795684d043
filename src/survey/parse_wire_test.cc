#include "survey/parse_wire.h"

#include <gtest/gtest.h>

#include <random>

namespace nora::survey {
namespace {

TEST(ParseWire, RoundTrip) {
  WireItem item{7, {"http", "203.0.113.7", 80, {to_bytes("a"), {}, to_bytes("ccc")}}};
  auto bytes = encode(item);
  FrameReader frames(bytes);
  auto body = frames.next();
  ASSERT_TRUE(body);
  EXPECT_EQ(frames.used(), bytes.size());
  EXPECT_FALSE(frames.next());
  auto back = decode_item(*body);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, 7u);
  EXPECT_EQ(back->item.parts, item.item.parts);
  Parsed p;
  p.protocol = "http";
  p.bytes = to_bytes("xyz");
  p.add("html_title", "t\xff\n");
  p.redirect = "/login";
  p.proxy_suspect = true;
  auto sent = encode(WireResult{9, p});
  auto got = decode_result(ByteView(sent).subspan(4));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->parsed.keys, p.keys);
  EXPECT_EQ(got->parsed.redirect, "/login");
  EXPECT_TRUE(got->parsed.proxy_suspect);
}

TEST(ParseWire, WordsThatNoraActsOnMustBePlain) {
  auto accepted = [](auto change) {
    Parsed p;
    p.protocol = "http";
    change(p);
    auto bytes = encode(WireResult{1, p});
    return decode_result(ByteView(bytes).subspan(4)).has_value();
  };
  EXPECT_TRUE(accepted([](Parsed&) {}));
  EXPECT_FALSE(accepted([](Parsed& p) { p.redirect = "/a\r\nHost: evil"; }));
  EXPECT_FALSE(accepted([](Parsed& p) { p.redirect = "http://evil"; }));
  EXPECT_FALSE(accepted([](Parsed& p) { p.location_path = "x"; }));
  EXPECT_TRUE(accepted([](Parsed& p) { p.control_path = "/ctl/IPConn", p.control_service = 1; }));
  EXPECT_FALSE(accepted([](Parsed& p) { p.control_path = "/ctl/IPConn"; })) << "a path without its service";
  EXPECT_FALSE(accepted([](Parsed& p) { p.control_path = "/ctl", p.control_service = 4; }));
  EXPECT_FALSE(accepted([](Parsed& p) { p.control_path = "http://evil", p.control_service = 1; }));
  EXPECT_FALSE(accepted([](Parsed& p) { p.protocol = "a b"; }));
  EXPECT_FALSE(accepted([](Parsed& p) { p.keys.push_back({"a key", ""}); }));
  EXPECT_FALSE(accepted([](Parsed& p) { p.bytes.resize(max_item_bytes + 1); }));
}

TEST(ParseWire, MutatedResultsNeverCrash) {
  std::mt19937 random(3);
  Parsed p;
  p.protocol = "http";
  p.bytes = Bytes(100, 'x');
  for (int i = 0; i < 5; ++i) p.add("key", "value");
  auto good = encode(WireResult{1, p});
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(good.begin() + 4, good.end());
    for (int k = 0; k < 3; ++k) bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    bytes.resize(random() % (bytes.size() + 1));
    (void)decode_result(bytes);
    (void)decode_item(bytes);
  }
}

TEST(ParseWire, ALengthBeyondTheLimitIsMalformed) {
  Bytes buffer = *from_hex("ffffffff00");
  FrameReader frames(buffer);
  EXPECT_FALSE(frames.next());
  EXPECT_TRUE(frames.malformed());
}

}  // namespace
}  // namespace nora::survey
