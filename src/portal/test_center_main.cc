// nora-test-center SOCKET SEED: a center for the browser test. Prints its codes as one JSON line, then answers until its standard input ends.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "portal/test_center.h"

int main(int argc, char** argv) {
  using nora::portal::TestCenter;
  if (argc != 3) {
    std::fprintf(stderr, "usage: nora-test-center SOCKET SEED\n");
    return 2;
  }
  TestCenter::Script script;
  script.codes = TestCenter::make_codes(16, std::strtoull(argv[2], nullptr, 10));
  script.finding = TestCenter::camera();
  script.finding.flaw = "version_unknown";
  script.finding.flaw_ids = {"CVE-2026-90001"};
  script.finding.support_ended = true;
  script.line_gap_ms = 400;
  TestCenter center(argv[1], script);
  std::string line = "{\"codes\":[";
  for (const auto& code : script.codes) line += (line.back() == '[' ? "\"" : ",\"") + code + "\"";
  std::printf("%s]}\n", line.c_str());
  std::fflush(stdout);
  char c;
  while (::read(0, &c, 1) > 0) {}
  return 0;
}
