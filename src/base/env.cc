#include "base/env.h"

#include <sodium.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <time.h>

#include "base/escape.h"
#include "base/result.h"

namespace nora {

std::uint64_t Random::u64() {
  std::uint8_t b[8];
  fill(b);
  std::uint64_t v = 0;
  for (auto x : b) v = v << 8 | x;
  return v;
}

std::uint64_t Random::below(std::uint64_t n) {
  NORA_ASSERT(n > 0, "below(0) has no value");
  const std::uint64_t limit = ~std::uint64_t{0} - (~std::uint64_t{0} % n + 1) % n;  // rejection keeps it uniform
  std::uint64_t v;
  do v = u64();
  while (v > limit);
  return v % n;
}

void SeededRandom::fill(std::span<std::uint8_t> out) {
  // splitmix64 (Steele, Lea, Flood 2014): one seed, one sequence on every machine.
  std::uint64_t word = 0;
  int left = 0;
  for (auto& b : out) {
    if (left == 0) {
      std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      word = z ^ (z >> 31);
      left = 8;
    }
    b = static_cast<std::uint8_t>(word);
    word >>= 8;
    --left;
  }
}

void KeptLog::write(Level level, std::string_view line) {
  static constexpr const char* names[] = {"debug", "info", "warn", "error"};
  text += names[static_cast<int>(level)];
  text += ": ";
  text += to_log(line);
  text += '\n';
}

namespace {

class SystemClock : public Clock {
 public:
  Instant now() const override { return {read(CLOCK_REALTIME)}; }
  Span monotonic() const override { return {read(CLOCK_MONOTONIC)}; }
  void sleep(Span length) override {
    timespec t{length.us / 1'000'000, length.us % 1'000'000 * 1000};
    while (length.us > 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR) {
    }
  }

 private:
  static std::int64_t read(clockid_t id) {
    timespec t{};
    clock_gettime(id, &t);
    return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
  }
};

class SystemRandom : public Random {
 public:
  SystemRandom() { NORA_ASSERT(sodium_init() >= 0, "libsodium must initialise"); }
  void fill(std::span<std::uint8_t> out) override { randombytes_buf(out.data(), out.size()); }
};

class StderrLog : public Log {
 public:
  explicit StderrLog(std::string_view program) : logger_(std::string(program), std::make_shared<spdlog::sinks::stderr_color_sink_mt>()) {
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %n %l %v", spdlog::pattern_time_type::utc);
  }
  void write(Level level, std::string_view text) override {
    static constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
    logger_.log(levels[static_cast<int>(level)], to_log(text));
  }

 private:
  spdlog::logger logger_;
};

}  // namespace

struct SystemEnv::Parts {
  explicit Parts(std::string_view program) : log(program) {}
  SystemClock clock;
  SystemRandom random;
  StderrLog log;
};
SystemEnv::SystemEnv(std::string_view program) : parts_(std::make_unique<Parts>(program)) {}
SystemEnv::~SystemEnv() = default;
Env SystemEnv::env() { return {parts_->clock, parts_->random, parts_->log}; }

}  // namespace nora
