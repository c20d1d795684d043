#include "http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "http/router.h"
#include "http/test_client.h"

namespace nora::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct ServerTest : testing::Test {
  SystemEnv system{"http_test"};
  Router router;
  std::unique_ptr<Server> server;
  std::atomic<int> streams_cut = 0;

  ServerTest() {
    router.get("/", [](Request&) { return Response::page(document({.title = "t"}, el::main_("hello"))); });
    router.get("/who", [](Request& r) { return Response::text(r.peer.text()); });
    router.post("/form", [](Request& r) { return Response::text("a=" + std::string(r.form.get("a"))); });
    router.get("/boom", [](Request&) -> Response { throw std::runtime_error("boom"); });
    router.get("/long", [](Request&) { return Response::text(std::string(20'000, 'x')); });
    router.get("/evil", [](Request&) { return Response::text("x").with("X-Name", "a\r\nSet-Cookie: b=c"); });
    router.get("/stream", [](Request&) {
      return Response::streamed_page([](StreamWriter& w) {
        for (int i = 1; i <= 3; ++i) {
          if (!w.write(el::li(i))) return;
          std::this_thread::sleep_for(milliseconds(150));
        }
      });
    });
    router.get("/endless", [this](Request&) {
      return Response::streamed_page([this](StreamWriter& w) {
        const std::string block(64 * 1024, 'y');
        for (int i = 0; i < 10'000; ++i)
          if (!w.write(std::string_view(block))) {
            ++streams_cut;
            return;
          }
      });
    });
    router.get("/slow", [](Request&) {
      std::this_thread::sleep_for(milliseconds(300));
      return Response::text("slow");
    });
  }
  TestClient start(ServerOptions options = {}) {
    if (options.listen.empty()) options.listen = {"127.0.0.1:0"};
    auto s = Server::start(system.env(), options, [this](Request& r) { return router(r); });
    EXPECT_TRUE(s) << s.error().text();
    server = std::move(*s);
    return TestClient(server->addresses().at(0));
  }
};

TEST_F(ServerTest, serves_a_page_with_all_security_headers_and_no_cookie) {
  const auto a = start().get("/");
  EXPECT_EQ(a.status, 200);
  EXPECT_NE(a.body.find("hello"), std::string::npos);
  for (const auto& [name, value] : security_headers({})) {
    auto lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    ASSERT_TRUE(a.headers.contains(lower)) << name;
    EXPECT_EQ(a.headers.at(lower), value);
  }
  EXPECT_EQ(a.headers.at("cache-control"), "no-store");
  EXPECT_NE(a.headers.at("content-security-policy").find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(a.headers.at("content-security-policy").find("script-src"), std::string::npos);
  EXPECT_EQ(a.headers.at("content-security-policy").find("unsafe"), std::string::npos);
  EXPECT_FALSE(a.headers.contains("set-cookie"));
}

TEST_F(ServerTest, the_peer_is_the_socket_never_a_header) {
  start();
  const TestClient client(server->addresses()[0], "127.0.0.77");
  for (const auto* lie : {"X-Forwarded-For: 198.51.100.9\r\n", "Forwarded: for=198.51.100.9\r\n", "X-Real-IP: 198.51.100.9\r\n",
                          "X-Forwarded-For: 198.51.100.9\r\nX-Forwarded-For: ::ffff:198.51.100.9\r\n", "X-Client-IP: 0177.1\r\nTrue-Client-IP: 198.51.100.9.\r\n",
                          "CF-Connecting-IP: 198.51.100.9\r\n", "Via: 1.1 198.51.100.9\r\n"})
    EXPECT_EQ(client.get("/who", lie).body, "127.0.0.77") << lie;
  // PROXY protocol is not spoken: the line is not HTTP.
  EXPECT_EQ(client.send("PROXY TCP4 198.51.100.9 192.0.2.80 1111 80\r\nGET /who HTTP/1.1\r\nHost: x\r\n\r\n").status, 400);
}

TEST_F(ServerTest, forms_and_methods) {
  const auto client = start();
  Fields form;
  form.add("a", "カメラ & <b>");
  EXPECT_EQ(client.post("/form", form).body, "a=カメラ & <b>");
  EXPECT_EQ(client.get("/form").status, 405);
  EXPECT_EQ(client.send("PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status, 405);
  EXPECT_EQ(client.send("HEAD /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").body, "");
  EXPECT_EQ(client.get("/nothing").status, 404);
  EXPECT_EQ(client.get("/boom").status, 500);
  EXPECT_EQ(client.get("/boom").body.find("boom"), std::string::npos);  // the cause stays in the log
}

TEST_F(ServerTest, limits_of_header_and_body) {
  const auto client = start();
  EXPECT_EQ(client.get("/", "X-Long: " + std::string(20'000, 'x') + "\r\n").status, 431);
  Fields big;
  for (int i = 0; i < 10; ++i) big.add("a", std::string(10'000, 'x'));
  EXPECT_EQ(client.post("/form", big).status, 413);
  EXPECT_EQ(client.post("/form", [] { Fields f; f.add("a", std::string(15'000, 'x')); return f; }()).status, 200);
}

TEST_F(ServerTest, refuses_ambiguous_requests) {
  const auto client = start();
  EXPECT_EQ(client.send("GET / HTTP/1.1\r\n\r\n").status, 400);
  EXPECT_EQ(client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").status, 400);
  EXPECT_EQ(client.send("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").status, 400);
  // Chunks are refused before Beast's chunk parser sees them: a last chunk in two pieces used to end the process.
  const auto fd = client.connect();
  ASSERT_TRUE(write_all(fd.get(), as_bytes("POST /form HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")));
  std::this_thread::sleep_for(milliseconds(50));
  ASSERT_TRUE(write_all(fd.get(), as_bytes("\r")));
  EXPECT_EQ(TestClient::parse(TestClient::read_all(fd.get())).status, 411);
  EXPECT_EQ(client.get("/").status, 200);
  EXPECT_EQ(client.send("GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n").status, 400);
  EXPECT_EQ(client.send("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n").status, 400);
  EXPECT_EQ(client.send("\x16\x03\x01\x02\r\n\r\n").status, 400);
}

TEST(ReadRequest, judges_like_the_server) {
  const ServerOptions options;
  const auto good = read_request("POST /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\ny=2", options);
  ASSERT_TRUE(good) << good.error().text();
  EXPECT_EQ(good->path, "/a b");
  EXPECT_EQ(good->query.get("x"), "1");
  EXPECT_EQ(good->form.get("y"), "2");
  const auto status = [&](std::string_view bytes) { const auto r = read_request(bytes, options); return r ? std::string("200") : r.error().what.substr(0, 3); };
  EXPECT_EQ(status("GET / HTTP/1.1\r\n\r\n"), "400");
  EXPECT_EQ(status("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n"), "405");
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"), "431");
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n"), "413");
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"), "400");
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"), "411");
}

TEST_F(ServerTest, headers_cannot_be_split) {
  const auto a = start().get("/evil");
  EXPECT_FALSE(a.headers.contains("set-cookie"));
  EXPECT_EQ(a.headers.at("x-name"), "aSet-Cookie: b=c");
}

TEST_F(ServerTest, keeps_the_connection_and_pipelines_in_order) {
  const auto client = start();
  const auto fd = client.connect();
  ASSERT_TRUE(write_all(fd.get(), as_bytes("GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")));
  const auto raw = TestClient::read_all(fd.get());
  const auto slow = raw.find("\r\n\r\nslow"), who = raw.find("\r\n\r\n127.0.0.1");
  ASSERT_NE(slow, std::string::npos);
  ASSERT_NE(who, std::string::npos);
  EXPECT_LT(slow, who);
}

TEST_F(ServerTest, gzip_only_when_asked_and_only_whole_bodies) {
  const auto client = start();
  const auto z = client.get("/long", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(z.headers.at("content-encoding"), "gzip");
  EXPECT_LT(z.body.size(), 1000u);
  EXPECT_FALSE(client.get("/long").headers.contains("content-encoding"));
  EXPECT_FALSE(client.get("/stream", "Accept-Encoding: gzip\r\n").headers.contains("content-encoding"));
}

TEST_F(ServerTest, a_stream_arrives_piece_by_piece_in_order) {
  const auto client = start();
  const auto fd = client.connect();
  const auto begin = steady_clock::now();
  ASSERT_TRUE(write_all(fd.get(), as_bytes("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")));
  std::string raw;
  std::vector<long> seen_ms;
  while (seen_ms.size() < 3) {
    char buffer[4096];
    const auto n = ::recv(fd.get(), buffer, sizeof buffer, 0);
    ASSERT_GT(n, 0);
    raw.append(buffer, n);
    while (seen_ms.size() < 3 && raw.find("<li>" + std::to_string(seen_ms.size() + 1) + "</li>") != std::string::npos)
      seen_ms.push_back(std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin).count());
  }
  EXPECT_GE(seen_ms[1] - seen_ms[0], 75);  // the first came before the second was written
  EXPECT_GE(seen_ms[2] - seen_ms[0], 200);
  EXPECT_NE(raw.find("X-Accel-Buffering: no"), std::string::npos);
  EXPECT_EQ(TestClient::parse(raw + TestClient::read_all(fd.get())).body, "<li>1</li><li>2</li><li>3</li>");
}

TEST_F(ServerTest, a_client_that_leaves_or_does_not_read_ends_the_stream) {
  ServerOptions options;
  options.write_timeout = Span::ms(400);
  const auto client = start(options);
  { const auto leaves = client.connect(); ASSERT_TRUE(write_all(leaves.get(), as_bytes("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"))); }
  const auto does_not_read = client.connect();
  ASSERT_TRUE(write_all(does_not_read.get(), as_bytes("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")));
  for (int i = 0; i < 100 && streams_cut < 2; ++i) std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(streams_cut, 2);
}

TEST_F(ServerTest, slow_clients_do_not_slow_others) {
  ServerOptions options;
  options.connections_per_peer_max = 200;
  options.header_timeout = Span::ms(700);
  const auto client = start(options);
  std::vector<Fd> held;
  for (int i = 0; i < 100; ++i) {
    held.push_back(client.connect());
    ASSERT_TRUE(write_all(held.back().get(), as_bytes("GET / HTTP/1.1\r\nX-Slow: ")));
  }
  const auto begin = steady_clock::now();
  EXPECT_EQ(client.get("/").status, 200);
  EXPECT_LT(std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin).count(), 2000);
  // A byte now and then does not move the deadline: it is absolute.
  for (int i = 0; i < 12; ++i) {
    std::this_thread::sleep_for(milliseconds(100));
    for (auto& fd : held) (void)!::send(fd.get(), "x", 1, MSG_NOSIGNAL);
  }
  int closed = 0;
  for (auto& fd : held) {
    pollfd p{fd.get(), POLLIN, 0};
    char c;
    if (::poll(&p, 1, 2000) == 1 && ::recv(fd.get(), &c, 1, MSG_DONTWAIT) <= 0) ++closed;
  }
  EXPECT_EQ(closed, 100);
}

TEST_F(ServerTest, connections_per_peer_and_waiting_requests_are_bounded) {
  ServerOptions options;
  options.connections_per_peer_max = 4;
  const auto client = start(options);
  std::vector<Fd> held;
  for (int i = 0; i < 4; ++i) held.push_back(client.connect());
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(client.get("/").status, 0);
  EXPECT_EQ(TestClient(server->addresses()[0], "127.0.0.9").get("/").status, 200);
  held.clear();
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(client.get("/").status, 200);

  options.connections_per_peer_max = 64;
  options.handler_threads = 1;
  options.waiting_requests_max = 1;
  const auto narrow = start(options);
  std::atomic<int> busy = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) threads.emplace_back([&] { busy += narrow.get("/slow").status == 503; });
  for (auto& t : threads) t.join();
  EXPECT_GE(busy, 3);
}

TEST_F(ServerTest, listens_on_an_inherited_socket_and_on_several) {
  Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
  ASSERT_EQ(::listen(fd.get(), 16), 0);
  ServerOptions options;
  options.listen = {"fd:" + std::to_string(fd.release()), "127.0.0.1:0", "[::1]:0"};
  start(options);
  ASSERT_EQ(server->addresses().size(), 3u);
  EXPECT_EQ(TestClient(server->addresses()[0]).get("/").status, 200);
  EXPECT_EQ(TestClient(server->addresses()[1]).get("/").status, 200);
  EXPECT_TRUE(server->addresses()[2].starts_with("[::1]:"));
}

TEST_F(ServerTest, says_why_it_cannot_listen) {
  start();
  for (const auto& [address, code] : std::vector<std::pair<std::string, Code>>{
           {server->addresses()[0], Code::environment}, {"nonsense", Code::usage}, {"fd:0", Code::usage}, {"127.1:80", Code::bad_input}}) {
    ServerOptions options;
    options.listen = {address};
    const auto s = Server::start(system.env(), options, [](Request&) { return Response{}; });
    ASSERT_FALSE(s) << address;
    EXPECT_EQ(s.error().code, code) << address;
  }
}

TEST_F(ServerTest, stops_while_a_stream_runs) {
  const auto client = start();
  const auto fd = client.connect();
  ASSERT_TRUE(write_all(fd.get(), as_bytes("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")));
  std::this_thread::sleep_for(milliseconds(100));
  const auto begin = steady_clock::now();
  server->stop();
  EXPECT_LT(std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin).count(), 3000);
  EXPECT_EQ(streams_cut, 1);
}

}  // namespace
}  // namespace nora::http
