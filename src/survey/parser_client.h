// ParserClient: the engine's end of nora-parse. Starts it, feeds items, restarts it when it dies, and marks the item that killed it.
// One thread; the engine waits on fd(). Limits: max_waiting items; item_deadline per item; restarted after restart_after items.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>

#include "base/env.h"
#include "base/files.h"
#include "survey/parse_wire.h"

namespace nora::survey {

inline constexpr std::size_t max_waiting = 4096;
inline constexpr std::size_t max_in_flight = 16;
inline constexpr Span item_deadline = Span::seconds(5);
inline constexpr std::uint64_t restart_after = 10'000;

class ParserClient {
 public:
  using Done = std::function<void(Item&&, std::optional<Parsed>&&)>;  // nothing: the parser died over it, or its answer was malformed
  ParserClient(std::filesystem::path program, Env env) : program_(std::move(program)), env_(env) {}
  ~ParserClient();
  ParserClient(const ParserClient&) = delete;
  Status start();  // Errors: environment (program missing)
  bool full() const { return waiting_.size() + flight_.size() >= max_waiting; }
  bool idle() const { return waiting_.empty() && flight_.empty(); }
  void submit(Item item, Done done);
  int fd() const { return fd_.get(); }  // changes after a restart
  bool wants_write() const { return !out_.empty(); }
  void serve();  // reads, writes, restarts
  int pid() const { return pid_; }
  std::uint64_t deaths() const { return deaths_; }

 private:
  struct Job {
    std::uint64_t id;
    Item item;
    Done done;
    Span since;
  };
  void feed();
  void died();
  void stop();
  std::filesystem::path program_;
  Env env_;
  Fd fd_;
  int pid_ = -1;
  std::deque<Job> waiting_, flight_;
  Bytes in_, out_;
  std::uint64_t next_id_ = 1, served_ = 0, deaths_ = 0;
  int starts_in_a_row_ = 0;
};

}  // namespace nora::survey
