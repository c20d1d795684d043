#include "isp/radius_detail.h"

#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/crypto.h"

namespace nora::isp {
namespace {

constexpr int min_v6_prefix = 32;  // a shorter one would claim whole providers: a broken record

std::optional<std::int64_t> number(std::string_view s) {
  std::int64_t n = 0;
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (error != std::errc{} || end != s.data() + s.size() || n < 0 || n > 253'402'300'799) return std::nullopt;
  return n;
}

// "text" with FreeRADIUS's backslash escapes, or the bare word.
std::string value_of(std::string_view raw) {
  if (raw.size() < 2 || raw.front() != '"' || raw.back() != '"') return std::string(raw);
  raw = raw.substr(1, raw.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) { out += raw[i]; continue; }
    char c = raw[++i];
    if (c >= '0' && c <= '3' && i + 2 < raw.size() && raw[i + 1] >= '0' && raw[i + 1] <= '7' && raw[i + 2] >= '0' && raw[i + 2] <= '7') {
      out += static_cast<char>((c - '0') * 64 + (raw[i + 1] - '0') * 8 + (raw[i + 2] - '0'));
      i += 2;
    } else {
      out += c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
    }
  }
  return out;
}

std::optional<RecordKind> status_type(std::string_view v) {
  if (v == "Start" || v == "1") return RecordKind::start;
  if (v == "Stop" || v == "2") return RecordKind::stop;
  if (v == "Interim-Update" || v == "Alive" || v == "3") return RecordKind::interim;
  if (v == "Accounting-On" || v == "7") return RecordKind::nas_on;
  if (v == "Accounting-Off" || v == "8") return RecordKind::nas_off;
  return std::nullopt;
}

struct Draft {
  LeaseRecord record;
  std::optional<RecordKind> kind;
  std::optional<Instant> event;
  bool event_given = false;
  std::string nas_ip, why;  // why: the first reason to refuse
  bool has_timestamp = false;
};

void add_v4(Draft& d, std::string_view v) {
  auto ip = Ip::parse(v);
  if (!ip || !ip->is_v4()) { d.why = "bad Framed-IP-Address"; return; }
  // RFC 2865 section 5.8: 255.255.255.255 and .254 mean "NAS or user selects": no address.
  if (ip->v4_value() >= 0xfffffffe || ip->v4_value() == 0) return;
  if (d.record.prefixes.size() < max_prefixes) d.record.prefixes.push_back(Prefix::of(*ip, 32));
}

void add_v6(Draft& d, std::string_view v, bool prefix) {
  auto slash = v.find('/');
  auto ip = Ip::parse(v.substr(0, slash));
  std::optional<std::int64_t> length = 128;
  if (prefix) length = slash == v.npos ? std::nullopt : number(v.substr(slash + 1));
  if (!ip || ip->is_v4() || !length || *length > 128 || *length < min_v6_prefix) { d.why = "bad IPv6 prefix"; return; }
  if (d.record.prefixes.size() < max_prefixes) d.record.prefixes.push_back(Prefix::of(*ip, static_cast<int>(*length)));
}

void take_seconds(Draft& d, std::string_view v, std::optional<Span>& into, std::string_view what) {
  if (auto n = number(v); n && *n <= 10LL * 366 * 86400) into = Span::seconds(*n);
  else d.why = fmt::format("bad {}", what);
}

void take(Draft& d, std::string_view name, std::string_view raw) {
  std::string v = value_of(raw);
  if (v.size() > max_field_bytes) { d.why = "a field is too long"; return; }
  auto& r = d.record;
  if (name == "Acct-Status-Type") {
    d.kind = status_type(v);
  } else if (name == "Acct-Session-Id") {
    r.session = std::move(v);
  } else if (name == "User-Name") {
    r.user = std::move(v);
  } else if (name == "NAS-IP-Address" || name == "NAS-IPv6-Address") {
    d.nas_ip = std::move(v);
  } else if (name == "NAS-Identifier") {
    r.nas_name = std::move(v);
  } else if (name == "NAS-Port-Id") {
    r.access = std::move(v);
  } else if (name == "Calling-Station-Id") {
    r.station = std::move(v);
  } else if (name == "Framed-IP-Address") {
    add_v4(d, v);
  } else if (name == "Framed-IPv6-Prefix" || name == "Delegated-IPv6-Prefix") {
    add_v6(d, v, true);
  } else if (name == "Framed-IPv6-Address") {
    add_v6(d, v, false);
  } else if (name == "Event-Timestamp") {
    d.event_given = true;
    if (auto t = parse_radius_time(v)) d.event = *t;
    else d.why = t.error().what;
  } else if (name == "Timestamp") {
    d.has_timestamp = true;
    if (auto n = number(v)) r.received = Instant::seconds(*n);
    else d.why = "bad Timestamp";
  } else if (name == "Acct-Delay-Time") {
    std::optional<Span> delay;
    take_seconds(d, v, delay, name);
    r.delay = delay.value_or(Span{});
  } else if (name == "Acct-Session-Time") {
    take_seconds(d, v, r.session_time, name);
  } else if (name == "Session-Timeout") {
    take_seconds(d, v, r.timeout, name);
  } else if (name == "Acct-Interim-Interval") {
    take_seconds(d, v, r.interim_every, name);
  } else if (name == "Acct-Terminate-Cause") {
    r.by_reboot = v == "NAS-Reboot" || v == "Admin-Reboot" || v == "NAS-Error" || v == "11" || v == "7" || v == "9";
  }
}

// Decides the instant of the event; false: refused (d.why) or of no use.
enum class Verdict { good, ignored, refused };
Verdict finish(Draft& d) {
  if (!d.why.empty()) return Verdict::refused;
  if (!d.kind) return Verdict::ignored;  // not accounting (Accounting: Failed, Tunnel-Start, …)
  auto& r = d.record;
  r.kind = *d.kind;
  r.nas = !d.nas_ip.empty() ? d.nas_ip : r.nas_name;
  if (r.nas.empty()) { d.why = "no NAS-IP-Address and no NAS-Identifier"; return Verdict::refused; }
  if (d.event) {
    r.at = *d.event;
    // The server adds Event-Timestamp = its own reception when the NAS sent none; then the delay has to come off (isp.md section 1.1).
    if (r.received && *r.received == r.at && r.delay.us > 0) r.at = r.at - r.delay;
  } else if (r.received) {
    r.at = *r.received - r.delay;
  } else {
    d.why = "no Event-Timestamp and no Timestamp; the header line is local time and proves nothing";
    return Verdict::refused;
  }
  if (r.kind == RecordKind::nas_on || r.kind == RecordKind::nas_off) return Verdict::good;
  if (r.session.empty()) { d.why = "no Acct-Session-Id"; return Verdict::refused; }
  return r.user.empty() ? Verdict::ignored : Verdict::good;
}

// One record: header line and attribute lines, without the empty line.
void parse_record(std::string_view text, std::string_view file, std::uint64_t offset, const RecordSink& sink, ImportCounts& counts) {
  Draft d;
  bool header = true;
  for (std::size_t pos = 0; pos < text.size();) {
    auto end = text.find('\n', pos);
    if (end == text.npos) end = text.size();
    auto line = text.substr(pos, end - pos);
    pos = end + 1;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (header) { header = false; continue; }
    if (line.empty() || (line[0] != '\t' && line[0] != ' ')) { d.why = "a line that is no attribute"; break; }
    line.remove_prefix(line.find_first_not_of("\t ") == line.npos ? line.size() : line.find_first_not_of("\t "));
    auto eq = line.find(" = ");
    if (eq == line.npos) { d.why = "an attribute without value"; break; }
    auto name = line.substr(0, eq);
    if (auto tag = name.find(':'); tag != name.npos) name = name.substr(0, tag);
    take(d, name, line.substr(eq + 3));
  }
  switch (finish(d)) {
    case Verdict::ignored: ++counts.ignored; return;
    case Verdict::refused:
      ++counts.refused;
      counts.complain(fmt::format("{}:{}: {}", file, offset, d.why));
      return;
    case Verdict::good: break;
  }
  ++counts.records;
  d.record.file = std::string(file);
  d.record.offset = offset;
  d.record.hash = sha256(as_bytes(text));
  sink(std::move(d.record));
}

}  // namespace

Result<Instant> parse_radius_time(std::string_view text) {
  auto bad = [&] { return fail(Code::bad_input, fmt::format("the time \"{}\" is not \"Mon DD YYYY hh:mm:ss ZONE\"", std::string(text.substr(0, 40)))); };
  if (auto epoch = number(text)) return Instant::seconds(*epoch);
  static constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::array<std::string_view, 5> part{};
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == ' ') { ++i; continue; }
    auto end = std::min(text.find(' ', i), text.size());
    if (count == part.size()) return bad();
    part[count++] = text.substr(i, end - i);
    i = end;
  }
  if (count == 4) return fail(Code::bad_input, "the Event-Timestamp has no zone: local time proves nothing");
  if (count != 5 || part[3].size() != 8) return bad();
  std::size_t month = 0;
  while (month < 12 && months[month] != part[0]) ++month;
  auto day = number(part[1]), year = number(part[2]);
  if (month == 12 || !day || *day > 31 || !year || *year < 1970 || *year > 9999) return bad();
  std::string zone;
  if (part[4] == "UTC" || part[4] == "GMT" || part[4] == "Z") zone = "Z";
  else if (part[4] == "JST") zone = "+09:00";
  else if (part[4].size() == 5 && (part[4][0] == '+' || part[4][0] == '-')) zone = fmt::format("{}:{}", part[4].substr(0, 3), part[4].substr(3));
  else return fail(Code::bad_input, fmt::format("the zone word \"{}\" is ambiguous; let the server log in UTC", std::string(part[4].substr(0, 10))));
  auto instant = Instant::parse(fmt::format("{:04}-{:02}-{:02}T{}{}", *year, month + 1, *day, part[3], zone));
  return instant ? instant : Result<Instant>(bad());
}

std::size_t parse_radius_detail(std::string_view data, bool at_end, std::string_view file, std::uint64_t offset, const RecordSink& sink, ImportCounts& counts) {
  std::size_t pos = 0;
  while (pos < data.size()) {
    if (data[pos] == '\n') { ++pos; continue; }
    if (data.compare(pos, 2, "\r\n") == 0) { pos += 2; continue; }
    auto end = data.find("\n\n", pos);
    if (auto crlf = data.substr(0, end).find("\n\r\n", pos); crlf != data.npos) end = crlf;
    if (end == data.npos) {
      auto rest = data.substr(pos);
      if (!at_end) {
        // A record that never ends must not fill the memory: drop what is there, resynchronise at the next empty line.
        if (rest.size() <= max_raw_record_bytes) return pos;
        ++counts.refused;
        counts.complain(fmt::format("{}:{}: a record longer than {} bytes", file, offset + pos, max_raw_record_bytes));
        return data.size();
      }
      // The server ends each record with an empty line; Timestamp is the last attribute that it adds.
      if (rest.size() <= max_raw_record_bytes && rest.back() == '\n' && rest.find("\tTimestamp = ") != rest.npos) {
        parse_record(rest.substr(0, rest.size()), file, offset + pos, sink, counts);
      } else {
        ++counts.incomplete;
      }
      return data.size();
    }
    auto record = data.substr(pos, end + 1 - pos);
    if (record.size() > max_raw_record_bytes) {
      ++counts.refused;
      counts.complain(fmt::format("{}:{}: a record longer than {} bytes", file, offset + pos, max_raw_record_bytes));
    } else {
      parse_record(record, file, offset + pos, sink, counts);
    }
    pos = end + 1;
  }
  return pos;
}

}  // namespace nora::isp
