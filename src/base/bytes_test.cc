#include "base/bytes.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nora {
namespace {

RC_GTEST_PROP(BytesProperty, HexAndBase64AreReadBack, (const Bytes& bytes)) {
  RC_ASSERT(*from_hex(to_hex(bytes)) == bytes);
  RC_ASSERT(*from_base64(to_base64(bytes)) == bytes);
}

TEST(Bytes, OneSpellingOfADigit) {
  const std::string good = "8ydq/+Q0";
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int byte = 0x80; byte < 0x100; ++byte) {
      std::string bad = good;
      bad[i] = static_cast<char>(byte);
      EXPECT_FALSE(from_base64(bad).has_value()) << i << " " << byte;
    }
}

TEST(Bytes, RefusesHalfTexts) {
  EXPECT_FALSE(from_hex("abc").has_value());
  EXPECT_FALSE(from_hex("zz").has_value());
  EXPECT_TRUE(from_hex("12 34").has_value());
  EXPECT_FALSE(from_base64("QUJD!").has_value());
  EXPECT_FALSE(from_base64("QUI").has_value());
  EXPECT_EQ(to_base64(as_bytes("野良")), "6YeO6Imv");
  EXPECT_FALSE(hash_from_hex(std::string(62, 'a')).has_value());
}

}  // namespace
}  // namespace nora
