#include "base/instant.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

namespace nora {
namespace {

struct Civil {
  int year;
  unsigned month, day;
  int hour, minute, second;
  int micro;
};

Civil civil(std::int64_t us) {
  using namespace std::chrono;
  const sys_time<microseconds> t{microseconds{us}};
  const auto day = floor<days>(t);
  const year_month_day ymd{day};
  const auto rest = (t - day).count();
  return {int(ymd.year()), unsigned(ymd.month()), unsigned(ymd.day()), int(rest / 3'600'000'000), int(rest / 60'000'000 % 60),
          int(rest / 1'000'000 % 60), int(rest % 1'000'000)};
}

}  // namespace

Result<Span> Span::parse(std::string_view text) {
  std::int64_t n = 0, unit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error == std::errc{} && end + 1 == text.data() + text.size())
    unit = *end == 's' ? 1 : *end == 'm' ? 60 : *end == 'h' ? 3600 : *end == 'd' ? 86400 : 0;
  constexpr std::int64_t max_seconds = std::int64_t{100} * 366 * 86400;
  if (unit == 0 || n < 0 || n > max_seconds / unit) return fail(Code::bad_input, fmt::format("\"{}\" is not a length of time", text), "for example 90s, 10m, 24h, 7d");
  return seconds(n * unit);
}

Result<Instant> Instant::parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(Code::bad_input, fmt::format("\"{}\" is not an RFC 3339 time: {}", std::string(text.substr(0, 40)), why),
                "write it like 2026-11-25T03:12:00Z");
  };
  if (text.size() < 20) return bad("too short, or the zone is missing");
  const auto digits = [&](std::size_t at, std::size_t n, int& out) {
    out = 0;
    for (std::size_t i = at; i < at + n; ++i) {
      if (i >= text.size() || text[i] < '0' || text[i] > '9') return false;
      out = out * 10 + (text[i] - '0');
    }
    return true;
  };
  int y, mo, d, h, mi, s;
  if (!digits(0, 4, y) || text[4] != '-' || !digits(5, 2, mo) || text[7] != '-' || !digits(8, 2, d) || (text[10] != 'T' && text[10] != 't') ||
      !digits(11, 2, h) || text[13] != ':' || !digits(14, 2, mi) || text[16] != ':' || !digits(17, 2, s)) {
    return bad("wrong form");
  }
  using namespace std::chrono;
  const year_month_day ymd{year{y}, month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
  // A leap second (60) is counted as the first microsecond of the next minute: lists are not emitted at a leap (trust.md section 11).
  if (!ymd.ok() || h > 23 || mi > 59 || s > 60 || y < 1970) return bad("no such date or time");
  std::size_t at = 19;
  std::int64_t micro = 0;
  if (text[at] == '.') {
    std::int64_t scale = 100'000;
    std::size_t count = 0;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, ++count) {
      micro += (text[at] - '0') * scale;
      scale /= 10;
    }
    if (count == 0 || count > 9) return bad("wrong fraction");
  }
  if (at >= text.size()) return bad("the zone is missing");
  std::int64_t offset_minutes = 0;
  if ((text[at] == 'Z' || text[at] == 'z') && at + 1 == text.size()) {
  } else if ((text[at] == '+' || text[at] == '-') && at + 6 == text.size() && text[at + 3] == ':') {
    int oh, om;
    if (!digits(at + 1, 2, oh) || !digits(at + 4, 2, om) || oh > 23 || om > 59) return bad("wrong offset");
    offset_minutes = (oh * 60 + om) * (text[at] == '-' ? -1 : 1);
  } else {
    return bad("wrong zone");
  }
  const std::int64_t days_since = sys_days{ymd}.time_since_epoch().count();
  return Instant{((days_since * 24 + h) * 60 + mi - offset_minutes) * 60'000'000 + std::int64_t{s} * 1'000'000 + micro};
}

std::string Instant::text() const {
  const Civil c = civil(us);
  std::string out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute, c.second);
  if (c.micro != 0) {
    std::string fraction = fmt::format(".{:06}", c.micro);
    while (fraction.back() == '0') fraction.pop_back();
    out += fraction;
  }
  return out + "Z";
}

std::string Instant::date() const { return text().substr(0, 10); }

std::string Instant::local(int offset_minutes) const {
  const Civil c = civil(us + std::int64_t{offset_minutes} * 60'000'000);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute);
}

}  // namespace nora
