// nora-test-desk: the desk over the test center, for the browser test. Prints one JSON line {"url","logins":{user: path},"paths":[…]}, then
// serves until its standard input ends. --hostile: every text of the devices is a payload.
#include <unistd.h>

#include <cstdio>
#include <string>

#include "desk/testing/test_center.h"
#include "http/server.h"

int main(int argc, char** argv) {
  using namespace nora;
  desk::testing::TestCenter::Options options;
  options.source = NORA_SOURCE_DIR;
  if (argc > 1 && std::string(argv[1]) == "--hostile") options.hostile = desk::testing::hostile_payloads(options.source / "src/desk/testdata/hostile.txt");
  SystemEnv system("nora-test-desk");
  auto center = desk::testing::TestCenter::make(std::move(options));
  if (!center) return 1;
  center->clock().set(*Instant::parse("2026-11-26T03:00:00Z"));
  http::ServerOptions server_options;
  server_options.listen = {"127.0.0.1:0"};
  server_options.handler_threads = 1;  // the test center's clock and random numbers belong to one thread
  auto server = http::Server::start(system.env(), server_options, [&](http::Request& request) { return center->router()(request); });
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().text().c_str());
    return 1;
  }
  json::Object out{{"url", "http://" + (*server)->addresses().at(0)}};
  json::Object logins;
  for (const char* user : {"analyst1", "analyst2", "ops1"}) logins[user] = center->login_path(user);
  out["logins"] = std::move(logins);
  json::Array paths;
  for (const auto& path : center->staff_paths()) paths.emplace_back(path);
  out["paths"] = std::move(paths);
  out["onsite"] = center->onsite_case;
  std::printf("%s\n", json::text(out).c_str());
  std::fflush(stdout);
  char c;
  while (::read(0, &c, 1) > 0) {}
  (*server)->stop();
  return 0;
}
