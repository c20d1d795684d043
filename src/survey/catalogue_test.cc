// The request bytes of the shipped catalogue, byte for byte: a change here is a change of what goes out into the world.
#include "survey/catalogue.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace nora::survey {
namespace {

Catalogue shipped() { return *Catalogue::parse(*read_file(std::string(NORA_SOURCE_DIR) + "/data/probes/catalogue.tsv")); }
Token token() {
  Token t;
  for (std::size_t i = 0; i < t.bytes.size(); ++i) t.bytes[i] = static_cast<std::uint8_t>(i + 1);
  return t;
}
std::string request(std::string_view id) {
  auto catalogue = shipped();
  return to_hex(catalogue.find(id)->render(token(), *Ip::parse("203.0.113.7"), *Ip::parse("192.0.2.10")));
}

TEST(Catalogue, GoldenRequests) {
  EXPECT_EQ(request("dns-recursion"),
            "01020100000100000000000008"
            "7071727374757677"
            "046e6f7261076578616d706c650000010001");
  EXPECT_EQ(request("dns-version"), "0102010000010000000000000776657273696f6e0462696e640000100003");
  EXPECT_EQ(request("ntp-readvar"), "160201020000000000000000");
  EXPECT_EQ(request("snmpv3-engine"),
            "303c0201033011020443040506020300ffe30401040201030410300e0400020100020100040004000400301204000400a00c020237f00201000201003000");
  EXPECT_EQ(request("coap-core"), "40010102bb2e77656c6c2d6b6e6f776e04636f7265");
  EXPECT_EQ(request("natpmp"), "0000");
  EXPECT_EQ(to_string(*from_hex(request("ssdp"))),
            "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n");
}

TEST(Catalogue, NoRequestHoldsACredential) {
  auto catalogue = shipped();
  for (const auto& r : catalogue.all()) {
    auto bytes = to_string(r.render(token(), *Ip::parse("203.0.113.7"), *Ip::parse("192.0.2.10")));
    for (auto word : {"public", "private", "admin", "USER", "PASS", "Authorization", "anonymous"})
      EXPECT_EQ(bytes.find(word), std::string::npos) << r.id << " holds " << word;
  }
}

TEST(Catalogue, TokenMustComeBack) {
  auto catalogue = shipped();
  const auto* dns = catalogue.find("dns-version");
  EXPECT_TRUE(dns->echoes(*from_hex("0102818000"), token()));
  EXPECT_FALSE(dns->echoes(*from_hex("0103818000"), token()));
  EXPECT_FALSE(dns->echoes({}, token()));
  const auto* snmp = catalogue.find("snmpv3-engine");
  EXPECT_TRUE(snmp->echoes(*from_hex("3000020443040506"), token()));
  EXPECT_FALSE(snmp->echoes(*from_hex("3000020443040507"), token()));
  EXPECT_FALSE(catalogue.find("ssdp")->has_token());
}

TEST(Catalogue, BrokenFilesNameTheLine) {
  auto what = [](std::string_view text) {
    auto r = Catalogue::parse(text);
    return r ? std::string("accepted") : r.error().what;
  };
  EXPECT_EQ(what("a\tudp\t1\tP0\t0\t{nope}\tx\n"), "catalogue line 1: unknown placeholder {nope}");
  EXPECT_EQ(what("# c\na\tudp\t1\tP0\t0\t00\n"), "catalogue line 2: 7 columns are needed, 6 found");
  EXPECT_NE(what("a\tudp\t1\tP0\t0\t{rand4\tx\n").find("without"), std::string::npos);
  EXPECT_NE(what("a\ttcp\t1\tP0\t0\t00\tx\n").find("only a udp probe"), std::string::npos);
  EXPECT_NE(what("a\ttcp\t1\tP0\t0\t-\tx\na\ttcp\t1\tP0\t0\t-\tx\n").find("twice"), std::string::npos);
}

}  // namespace
}  // namespace nora::survey
