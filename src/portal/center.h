// Center: the three questions that the portal may ask the survey center (exchange/portal_wire.h), and its client over a Unix socket.
// Used by the pages. Any thread: each call opens its own connection. Limits: answer_timeout per question, check_timeout for a whole check.
// Codes go out as typed by the owner; the center keeps and compares only keyed hashes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/instant.h"
#include "base/result.h"
#include "exchange/portal_wire.h"

namespace nora::portal {

inline constexpr Span answer_timeout = Span::seconds(10);
inline constexpr Span check_timeout = Span::seconds(75);   // a verdict is promised within 60 s
inline constexpr Span line_timeout = Span::seconds(60);    // silence between two lines of a check
inline constexpr std::size_t check_lines_max = 500;

struct Consent {
  Instant at;
  std::string text;  // id of the words that the person agreed to
};

class Center {
 public:
  virtual ~Center() = default;
  // Errors: not_found (unknown, expired or withdrawn code; the three are told apart by nobody), failed (center away).
  virtual Result<exchange::NoticeView> notice(std::string_view code) = 0;
  virtual Status tell(std::string_view code, std::string_view what) = 0;
  // Calls on_line for each line up to and including the one with done = true. on_line returns false to stop listening (the check goes on).
  // Errors: refused, failed (center away, silent, or talking nonsense).
  virtual Status check(Ip own_address, std::string_view code, const Consent& consent, const std::function<bool(const exchange::CheckLine&)>& on_line) = 0;
};

class SocketCenter : public Center {
 public:
  explicit SocketCenter(std::filesystem::path socket) : socket_(std::move(socket)) {}
  Result<exchange::NoticeView> notice(std::string_view code) override;
  Status tell(std::string_view code, std::string_view what) override;
  Status check(Ip own_address, std::string_view code, const Consent& consent, const std::function<bool(const exchange::CheckLine&)>& on_line) override;

 private:
  std::filesystem::path socket_;
};

}  // namespace nora::portal
