#include "base/bytes.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nora {
namespace {

RC_GTEST_PROP(BytesProperty, HexAndBase64AreReadBack, (const Bytes& bytes)) {
  RC_ASSERT(*from_hex(to_hex(bytes)) == bytes);
  RC_ASSERT(*from_base64(to_base64(bytes)) == bytes);
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
