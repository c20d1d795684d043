// Env: the outside world that code may touch, handed in by main or by a test. Used by every folder.
// Clock and random numbers here; network, store and mail are interfaces owned by the folder that uses them (survey's sink, isp's mailer).
// Thread rule: the real implementations are safe from any thread; the fakes belong to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/instant.h"

namespace nora {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;             // UTC wall clock
  virtual Span monotonic() const = 0;          // never steps
  virtual void sleep(Span length) = 0;
};

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;
  std::uint64_t u64();
  std::uint64_t below(std::uint64_t n);  // uniform in [0, n); n > 0
};

enum class Level { debug, info, warn, error };

// Messages for operators; the writer escapes control bytes (base/escape.h), so untrusted text is harmless.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(Level level, std::string_view text) = 0;
  void info(std::string_view text) { write(Level::info, text); }
  void warn(std::string_view text) { write(Level::warn, text); }
  void error(std::string_view text) { write(Level::error, text); }
};

struct Env {
  Clock& clock;
  Random& random;
  Log& log;
};

// The real world: system clock, libsodium random, messages on stderr through spdlog. One per process, made in main.
class SystemEnv {
 public:
  explicit SystemEnv(std::string_view program);
  ~SystemEnv();
  Env env();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// For tests: time moves only when told, random numbers come from a seed, messages are kept.
class FakeClock : public Clock {
 public:
  explicit FakeClock(Instant start = Instant::seconds(1'795'600'000)) : now_(start) {}
  Instant now() const override { return now_; }
  Span monotonic() const override { return {now_.us}; }
  void sleep(Span length) override { now_ = now_ + length; }
  void set(Instant t) { now_ = t; }

 private:
  Instant now_;
};
class SeededRandom : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::uint64_t state_;
};
class KeptLog : public Log {
 public:
  void write(Level level, std::string_view text) override;
  std::string text;
};
struct FakeEnv {
  FakeClock clock;
  SeededRandom random{1};
  KeptLog log;
  Env env() { return {clock, random, log}; }
};

}  // namespace nora
