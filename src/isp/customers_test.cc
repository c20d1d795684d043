#include "isp/customers.h"

#include <gtest/gtest.h>

namespace nora::isp {
namespace {

TEST(Customers, ReadsQuotedCellsBomAndCrlf) {
  auto c = parse_customers("\xef\xbb\xbfline,keys,name,mail,language,kind,opted_out\r\n0042,u@x.example mac:00:00:5E:00:53:20,\"山田, \"\"太郎\"\"\",y@x.example,easy,corporate,1\r\n", "f");
  ASSERT_TRUE(c) << c.error().text();
  ASSERT_EQ(c->size(), 1u);
  const auto& s = (*c)[0].subscriber;
  EXPECT_EQ(s.line.reveal(), "0042");  // leading zeros survive
  EXPECT_EQ(s.name, "山田, \"太郎\"");
  EXPECT_EQ(s.language, Lang::easy);
  EXPECT_EQ(s.kind, LineKind::corporate);
  EXPECT_TRUE(s.opted_out);
  EXPECT_EQ((*c)[0].keys, (std::vector<std::string>{"u@x.example", "mac:00:00:5e:00:53:20"}));
}

TEST(Customers, LineIsItsOwnKeyWithoutTheColumn) {
  auto c = parse_customers("mail,line\na@x.example,u1@x.example\n", "f");
  ASSERT_TRUE(c);
  EXPECT_EQ((*c)[0].keys, (std::vector<std::string>{"u1@x.example"}));
}

TEST(Customers, OneWrongRecordRefusesTheFile) {
  for (auto bad : {"line,colour\n1,red\n", "line,mail\n1,not-an-address\n", "line,mail\n1,a@x.example\n1,b@x.example\n", "line,keys\n1,k\n2,k\n", "line,mail\n1,\"open\n",
                   "line,mail\n1\n", "line,mail\n,a@x.example\n", "line,mail\n1,a@x.example>\n", "line,name\n1,\x80\n", "line,mail\n1,a@x.example\r\rRCPT TO\n", "mail\nx\n",
                   "line,keys\n1,prefix:2001:db8::1/56\n", "line,kind\n1,castle\n"})
    EXPECT_FALSE(parse_customers(bad, "f")) << bad;
}

}  // namespace
}  // namespace nora::isp
