// A center for tests: answers exchange/portal_wire.h on a Unix socket from a script, and counts what it was asked. Test code only.
// Every well-formed code of the list `codes` leads to one open camera; "tell unplugged" or "did_it" closes it, so the next check is green.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/guarded.h"
#include "exchange/portal_wire.h"

namespace nora::portal {

class TestCenter {
 public:
  struct Script {
    std::vector<std::string> codes;              // canonical
    exchange::FindingView finding;               // what each code shows
    bool sighting = false;
    int line_gap_ms = 120;                       // between two lines of a check
    std::string break_after;                     // "" | "silent" | "nonsense" | "hang_up": misbehaves after the first check line
    std::string refuse;                          // verdict of a refused check: not_ours | busy | unknown
    std::string refuse_what;                     // its reason: shared_address …
    std::string state = "S4_NOTIFIED";           // of each case, until an owner closes it
  };
  struct Seen {
    std::vector<std::string> checked;            // addresses
    std::vector<std::string> told;               // "code what"
    std::vector<std::string> consents;
    int notices = 0;
  };
  static exchange::FindingView camera();
  static std::vector<std::string> make_codes(int n, std::uint64_t seed);

  TestCenter(std::filesystem::path socket, Script script);
  ~TestCenter();
  Seen seen() { return seen_.with([](const Seen& s) { return s; }); }
  void set(Script script) { script_.with([&](Script& s) { s = std::move(script); }); }
  const std::filesystem::path& socket() const { return socket_; }

 private:
  void serve();
  void answer(int fd);
  std::filesystem::path socket_;
  Guarded<Script> script_;
  Guarded<Seen> seen_;
  Guarded<std::map<std::string, bool>> closed_;
  Fd listener_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> running_ = 0;
  std::thread thread_;
};

}  // namespace nora::portal
