// Result<T>: the value or an Error that names the cause and the fix.
// Used by every folder. Expected failures (host silent, mandate expired, file unreadable) are values; exceptions stay inside
// adapters to libraries and in main. An Error is plain data, copyable, and safe to move between threads.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace nora {

// What kind of failure it is. The command line maps each to a documented exit code (see exit_code()).
enum class Code {
  failed,       // 1: it was tried and did not work
  usage,        // 2: the caller asked in a wrong way
  not_found,    // 1
  refused,      // 4: the mandate, the law profile or a missing ground forbids it
  interrupted,  // 5: stopped, and can be resumed
  environment,  // 6: this machine lacks something; `nora doctor` says what
  bad_input,    // 1: foreign bytes or a file are not what they should be
};

struct [[nodiscard]] Error {
  Code code = Code::failed;
  std::string what;  // one sentence: the cause
  std::string fix;   // one sentence: what to do; may be empty
  // "cause. fix" in one line for people.
  std::string text() const { return fix.empty() ? what : what + ". " + fix; }
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(Code code, std::string what, std::string fix = {}) {
  return std::unexpected<Error>(Error{code, std::move(what), std::move(fix)});
}
inline std::unexpected<Error> pass(Error error) { return std::unexpected<Error>(std::move(error)); }

// Exit codes that outsiders rely on: 0 ok, 1 failed, 2 usage, 4 refused by the mandate, 5 interrupted but resumable, 6 environment.
constexpr int exit_code(Code code) {
  switch (code) {
    case Code::usage: return 2;
    case Code::refused: return 4;
    case Code::interrupted: return 5;
    case Code::environment: return 6;
    default: return 1;
  }
}

// Always on, for bugs only; input must never be able to reach it.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line, std::string_view why);
#define NORA_ASSERT(condition, why) \
  do { if (!(condition)) ::nora::assertion_failed(#condition, __FILE__, __LINE__, why); } while (false)

// NORA_TRY(auto x, f()): unwraps or returns the error.
#define NORA_CONCAT_(a, b) a##b
#define NORA_CONCAT(a, b) NORA_CONCAT_(a, b)
#define NORA_TRY_(tmp, decl, expr)                                  \
  auto tmp = (expr);                                                \
  if (!tmp) return std::unexpected<::nora::Error>(std::move(tmp.error())); \
  decl = std::move(*tmp)
#define NORA_TRY(decl, expr) NORA_TRY_(NORA_CONCAT(nora_try_, __LINE__), decl, expr)
#define NORA_CHECK(expr)                                                                      \
  do { if (auto nora_r_ = (expr); !nora_r_) return std::unexpected<::nora::Error>(std::move(nora_r_.error())); } while (false)

}  // namespace nora
