// Instant and Span: UTC time in microseconds. No local time below the pages. Used by every folder.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nora {

// A length of time in microseconds.
struct Span {
  std::int64_t us = 0;
  static constexpr Span ms(std::int64_t n) { return {n * 1000}; }
  static constexpr Span seconds(std::int64_t n) { return {n * 1'000'000}; }
  static constexpr Span minutes(std::int64_t n) { return seconds(n * 60); }
  static constexpr Span hours(std::int64_t n) { return seconds(n * 3600); }
  static constexpr Span days(std::int64_t n) { return seconds(n * 86400); }
  static Result<Span> parse(std::string_view text);  // "90s", "10m", "24h", "7d": a whole number and a unit. Errors: bad_input
  constexpr double as_seconds() const { return static_cast<double>(us) / 1e6; }
  auto operator<=>(const Span&) const = default;
};
constexpr Span operator+(Span a, Span b) { return {a.us + b.us}; }
constexpr Span operator-(Span a, Span b) { return {a.us - b.us}; }

// A point in time, UTC, microseconds since 1970. Range of texts: years 1970-9999.
struct Instant {
  std::int64_t us = 0;
  static constexpr Instant seconds(std::int64_t n) { return {n * 1'000'000}; }
  // RFC 3339 with "Z" or a numeric offset; up to 9 fraction digits (cut to us). A text without zone is refused. Errors: bad_input.
  static Result<Instant> parse(std::string_view text);
  std::string text() const;             // 2026-11-25T03:12:00Z, with fraction only when there is one
  std::string date() const;             // 2026-11-25
  std::string local(int offset_minutes) const;  // for pages: 2026-11-25 12:12 at the given offset (+540 = JST)
  auto operator<=>(const Instant&) const = default;
};
constexpr Instant operator+(Instant a, Span b) { return {a.us + b.us}; }
constexpr Instant operator-(Instant a, Span b) { return {a.us - b.us}; }
constexpr Span operator-(Instant a, Instant b) { return {a.us - b.us}; }

}  // namespace nora
