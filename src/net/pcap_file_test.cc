#include "net/pcap_file.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace nora::net {
namespace {

Bytes header(bool swapped, bool nano, std::uint32_t link) {
  Bytes out;
  const auto put = [&](std::uint32_t v) {
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(swapped ? v >> (24 - 8 * i) : v >> (8 * i)));
  };
  put(nano ? 0xa1b23c4d : 0xa1b2c3d4);
  put(swapped ? 2u << 16 | 4u : 4u << 16 | 2u);
  put(0); put(0); put(65535); put(link);
  return out;
}
void packet(Bytes& out, bool swapped, std::uint32_t s, std::uint32_t f, std::uint32_t present, ByteView data) {
  const auto put = [&](std::uint32_t v) {
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(swapped ? v >> (24 - 8 * i) : v >> (8 * i)));
  };
  put(s); put(f); put(present); put(1000);
  out.insert(out.end(), data.begin(), data.end());
}

TEST(PcapFile, ReadsBothByteOrdersAndBothUnits) {
  for (const bool swapped : {false, true}) for (const bool nano : {false, true}) {
    Bytes file = header(swapped, nano, 101);
    packet(file, swapped, 1'700'000'000, nano ? 123'456'789 : 123'456, 3, as_bytes("abc"));
    auto pcap = PcapFile::from_memory(file);
    ASSERT_TRUE(pcap);
    EXPECT_EQ(pcap->link_type(), 101);
    auto p = pcap->next();
    ASSERT_TRUE(p && *p);
    EXPECT_EQ((*p)->at.us, 1'700'000'000'123'456);
    EXPECT_EQ((*p)->length, 1000u);
    EXPECT_EQ(as_text((*p)->bytes), "abc");
    auto end = pcap->next();
    EXPECT_TRUE(end && !*end);
  }
}

TEST(PcapFile, HostileFilesEndWithASentence) {
  EXPECT_FALSE(PcapFile::from_memory(to_bytes("short")));
  EXPECT_FALSE(PcapFile::from_memory(Bytes(24, 7)));
  Bytes ng = {0x0a, 0x0d, 0x0d, 0x0a};
  ng.resize(40);
  EXPECT_NE(PcapFile::from_memory(ng).error().what.find("pcapng"), std::string::npos);
  Bytes huge = header(false, false, 1);
  packet(huge, false, 1, 1, 0xffffffff, {});
  auto pcap = PcapFile::from_memory(huge);
  EXPECT_FALSE(pcap->next());
  EXPECT_TRUE(pcap->next());  // and then the end
  Bytes cut = header(false, false, 1);
  packet(cut, false, 1, 1, 10, as_bytes("abc"));
  EXPECT_EQ(PcapFile::from_memory(cut)->next().error().what, "packet 1: the file ends inside it");
}

TEST(PcapFile, WriterAndReaderAgree) {
  const auto file = std::filesystem::path(testing::TempDir()) / "nora_pcap_test.pcap";
  auto writer = PcapWriter::create(file);
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->add(Instant{1'700'000'000'000'001}, as_bytes("0123456789abcdef")));
  ASSERT_TRUE(writer->close());
  auto pcap = PcapFile::open(file);
  ASSERT_TRUE(pcap);
  auto p = pcap->next();
  ASSERT_TRUE(p && *p);
  EXPECT_EQ((*p)->at.us, 1'700'000'000'000'001);
  EXPECT_TRUE(pcap->parse(**p));
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace nora::net
