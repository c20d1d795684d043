// nora-parse: parses hostile bytes in a seccomp jail. Started by `nora scan` with a socket on descriptor 0; not meant for people.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "survey/jail.h"
#include "survey/parse_worker.h"

int main(int argc, char** argv) {
  if (argc > 1) {
    bool help = std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0;
    std::fputs("usage: nora-parse   (started by nora scan; reads items from and writes results to the socket on descriptor 0)\n",
               help ? stdout : stderr);
    return help ? 0 : 2;
  }
  nora::survey::warm_up_parsers();
  if (auto jailed = nora::survey::enter_jail(STDIN_FILENO); !jailed) {
    std::fprintf(stderr, "nora-parse: %s\n", jailed.error().text().c_str());
    return nora::exit_code(jailed.error().code);
  }
  // Not exit(): its handlers are no business of a jailed process.
  _exit(nora::survey::run_parse_worker(STDIN_FILENO));
}
