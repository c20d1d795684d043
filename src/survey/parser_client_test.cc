// The engine's end of the parser: answers in order, a killed parser is replaced, and exactly one item is marked.
#include "survey/parser_client.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

namespace nora::survey {
namespace {

std::string program() { return std::string(NORA_BINARY_DIR) + "/bin/nora-parse"; }
Item page(int i) { return {"http", "203.0.113.7", 80, {to_bytes("HTTP/1.1 200 OK\r\n\r\n<title>" + std::to_string(i) + "</title>")}}; }
void drain(ParserClient& client) {
  for (int i = 0; i < 2000 && !client.idle(); ++i) {
    pollfd p{client.fd(), POLLIN, 0};
    poll(&p, 1, 5);
    client.serve();
  }
}

TEST(ParserClient, ParsesInOrder) {
  SystemEnv system("test");
  ParserClient client(program(), system.env());
  ASSERT_TRUE(client.start());
  std::vector<std::string> titles;
  for (int i = 0; i < 500; ++i)
    client.submit(page(i), [&](Item&&, std::optional<Parsed>&& p) {
      titles.push_back(p && p->find("html_title") ? *p->find("html_title") : "none");
    });
  drain(client);
  ASSERT_EQ(titles.size(), 500u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(titles[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST(ParserClient, AKilledParserCostsOneItem) {
  SystemEnv system("test");
  ParserClient client(program(), system.env());
  ASSERT_TRUE(client.start());
  int good = 0, marked = 0;
  kill(client.pid(), SIGKILL);
  for (int i = 0; i < 50; ++i) client.submit(page(i), [&](Item&&, std::optional<Parsed>&& p) { p ? ++good : ++marked; });
  drain(client);
  EXPECT_EQ(good, 49);
  EXPECT_EQ(marked, 1);
  EXPECT_EQ(client.deaths(), 1u);
}

TEST(ParserClient, AProgramThatAlwaysDiesDoesNotHang) {
  SystemEnv system("test");
  ParserClient client("/bin/false", system.env());
  ASSERT_TRUE(client.start());
  int marked = 0;
  for (int i = 0; i < 40; ++i) client.submit(page(i), [&](Item&&, std::optional<Parsed>&& p) { marked += !p; });
  drain(client);
  EXPECT_EQ(marked, 40);
}

}  // namespace
}  // namespace nora::survey
