// The wall's own reader (law/wall_mandate.h): a cursor over lines, addresses by hand, no table of keys, no re-writing.
#include "law/wall_mandate.h"

#include <fmt/format.h>

#include <optional>

#include "base/crypto.h"

namespace nora::law::wall {
namespace {

constexpr std::size_t max_bytes = 1u << 20, max_lines_of_a_key = 65536;

using Text = std::string_view;

std::optional<std::uint64_t> digits(Text s, std::size_t max_digits, std::uint64_t max) {
  if (s.empty() || s.size() > max_digits || (s.size() > 1 && s[0] == '0')) return {};
  std::uint64_t v = 0;
  for (const char c : s) {
    if (c < '0' || c > '9') return {};
    v = v * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (v > max) return {};
  return v;
}

bool v4_bytes(Text s, std::uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    const auto end = i < 3 ? s.find('.') : s.size();
    if (end == Text::npos) return false;
    const auto v = digits(s.substr(0, end), 3, 255);
    if (!v) return false;
    out[i] = static_cast<std::uint8_t>(*v);
    s.remove_prefix(i < 3 ? end + 1 : end);
  }
  return true;
}

// Canonical text of RFC 5952 from 8 groups; an address whose upper 96 bits are zero is written with a dotted tail, as inet_ntop does.
std::string v6_text(const std::array<std::uint8_t, 16>& b) {
  int groups[8], best = -1, best_length = 1;
  for (int i = 0; i < 8; ++i) groups[i] = b[static_cast<std::size_t>(2 * i)] << 8 | b[static_cast<std::size_t>(2 * i + 1)];
  for (int i = 0; i < 8;) {
    int n = 0;
    while (i + n < 8 && groups[i + n] == 0) ++n;
    if (n > best_length) { best = i; best_length = n; }
    i += n ? n : 1;
  }
  std::string out;
  for (int i = 0; i < 8;) {
    if (i == best) {
      out += "::";
      i += best_length;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    if (i == 6 && best == 0 && best_length == 6) {
      out += fmt::format("{}.{}.{}.{}", b[12], b[13], b[14], b[15]);
      return out;
    }
    out += fmt::format("{:x}", groups[i]);
    ++i;
  }
  return out;
}

bool v6_bytes(Text s, std::array<std::uint8_t, 16>& out) {
  std::vector<int> head, tail;
  bool gap = false;
  if (s.starts_with("::")) {
    gap = true;
    s.remove_prefix(2);
  } else if (s.starts_with(':')) {
    return false;
  }
  while (!s.empty()) {
    auto& to = gap ? tail : head;
    std::size_t n = 0;
    int v = 0;
    while (n < s.size() && n < 5) {
      const char c = s[n];
      if (c >= '0' && c <= '9') v = v * 16 + c - '0';
      else if (c >= 'a' && c <= 'f') v = v * 16 + c - 'a' + 10;
      else break;
      ++n;
    }
    if (n < s.size() && s[n] == '.') {  // dotted tail
      std::uint8_t d[4];
      if (!v4_bytes(s, d)) return false;
      to.push_back(d[0] << 8 | d[1]);
      to.push_back(d[2] << 8 | d[3]);
      break;
    }
    if (n == 0 || n > 4) return false;
    to.push_back(v);
    s.remove_prefix(n);
    if (s.empty()) break;
    if (s.starts_with("::")) {
      if (gap) return false;
      gap = true;
      s.remove_prefix(2);
    } else if (s.size() > 1 && s[0] == ':') {
      s.remove_prefix(1);
    } else {
      return false;
    }
  }
  const std::size_t have = head.size() + tail.size();
  if (have > 8 || (gap ? have == 8 : have != 8)) return false;
  head.resize(8 - tail.size(), 0);
  head.insert(head.end(), tail.begin(), tail.end());
  for (std::size_t i = 0; i < 8; ++i) {
    out[2 * i] = static_cast<std::uint8_t>(head[i] >> 8);
    out[2 * i + 1] = static_cast<std::uint8_t>(head[i]);
  }
  return true;
}

// A host (no slash) or a prefix (slash needed), only in its canonical text.
std::optional<Net> net(Text s, bool prefix, bool lenient = false) {
  Net n;
  const auto slash = s.find('/');
  if (!lenient && (slash != Text::npos) != prefix) return {};
  const Text address = s.substr(0, slash);
  n.v4 = address.find(':') == Text::npos;
  std::string canonical;
  if (n.v4) {
    if (!v4_bytes(address, n.first.data())) return {};
    canonical = address;
  } else {
    std::string lower(address);
    if (lenient)
      for (char& c : lower) if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if (!v6_bytes(lower, n.first)) return {};
    canonical = v6_text(n.first);
    bool mapped = n.first[10] == 0xff && n.first[11] == 0xff;
    for (std::size_t i = 0; i < 10; ++i) mapped = mapped && n.first[i] == 0;
    if (mapped || (!lenient && canonical != address)) return {};
  }
  const int bits = n.v4 ? 32 : 128;
  n.length = bits;
  if (slash != Text::npos) {
    const auto l = digits(s.substr(slash + 1), 3, static_cast<std::uint64_t>(bits));
    if (!l) return {};
    n.length = static_cast<int>(*l);
  }
  for (int bit = n.length; bit < bits; ++bit)
    if (n.first[static_cast<std::size_t>(bit / 8)] >> (7 - bit % 8) & 1) return {};
  n.text = fmt::format("{}/{}", canonical, n.length);
  return n;
}

// Order of the canonical text: by the 128-bit value, IPv4 as ::ffff:a.b.c.d, then by length.
std::array<std::uint8_t, 17> rank(const Net& n) {
  std::array<std::uint8_t, 17> r{};
  for (std::size_t i = 0; i < 16; ++i) r[i] = n.v4 ? (i < 10 ? 0 : i < 12 ? 0xff : n.first[i - 12]) : n.first[i];
  r[16] = static_cast<std::uint8_t>(n.length);
  return r;
}

bool inside(const Net& inner, const Net& outer) {
  if (inner.v4 != outer.v4 || inner.length < outer.length) return false;
  for (int bit = 0; bit < outer.length; ++bit)
    if ((inner.first[static_cast<std::size_t>(bit / 8)] ^ outer.first[static_cast<std::size_t>(bit / 8)]) >> (7 - bit % 8) & 1) return false;
  return true;
}

// Seconds since 1970 of "2026-11-25T00:00:00Z" and of nothing else.
std::optional<std::int64_t> utc(Text s) {
  const Text shape = "dddd-dd-ddTdd:dd:ddZ";
  if (s.size() != shape.size()) return {};
  for (std::size_t i = 0; i < s.size(); ++i)
    if (shape[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i]) return {};
  const auto two = [&](std::size_t at) { return (s[at] - '0') * 10 + s[at + 1] - '0'; };
  const int year = two(0) * 100 + two(2), month = two(5), day = two(8), hour = two(11), minute = two(14), second = two(17);
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const int lengths[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > lengths[month - 1] || hour > 23 || minute > 59 || second > 59) return {};
  std::int64_t days = 0;
  for (int y = 1970; y < year; ++y) days += (y % 4 == 0 && y % 100 != 0) || y % 400 == 0 ? 366 : 365;
  for (int m = 1; m < month; ++m) days += lengths[m - 1];
  return ((days + day - 1) * 24 + hour) * 3600 + minute * 60 + second;
}

std::optional<int> clock_min(Text s) {
  if (s.size() != 5 || s[2] != ':') return {};
  for (const std::size_t i : {0, 1, 3, 4})
    if (s[i] < '0' || s[i] > '9') return {};
  const int h = (s[0] - '0') * 10 + s[1] - '0', m = (s[3] - '0') * 10 + s[4] - '0';
  if (m > 59 || h > 24 || (h == 24 && m > 0)) return {};
  return h * 60 + m;
}

// One line of words: 1 to 500 bytes of UTF-8 (RFC 3629 table 3-7 of Unicode), no control characters, no blank at the ends.
bool words(Text s) {
  if (s.empty() || s.size() > 500 || s[0] == ' ' || s[s.size() - 1] == ' ') return false;
  const auto at = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned>(static_cast<unsigned char>(s[i])) : 0u; };
  const auto tail = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) { return at(i) >= low && at(i) <= high; };
  for (std::size_t i = 0; i < s.size();) {
    const unsigned c = at(i);
    if (c >= 0x20 && c < 0x7f) i += 1;
    else if (c == 0xc2 && tail(i + 1, 0xa0)) i += 2;
    else if (c >= 0xc3 && c <= 0xdf && tail(i + 1)) i += 2;
    else if (c == 0xe0 && tail(i + 1, 0xa0) && tail(i + 2)) i += 3;
    else if (c == 0xed && tail(i + 1, 0x80, 0x9f) && tail(i + 2)) i += 3;
    else if (c >= 0xe1 && c <= 0xef && c != 0xed && tail(i + 1) && tail(i + 2)) i += 3;
    else if (c == 0xf0 && tail(i + 1, 0x90) && tail(i + 2) && tail(i + 3)) i += 4;
    else if (c >= 0xf1 && c <= 0xf3 && tail(i + 1) && tail(i + 2) && tail(i + 3)) i += 4;
    else if (c == 0xf4 && tail(i + 1, 0x80, 0x8f) && tail(i + 2) && tail(i + 3)) i += 4;
    else return false;
  }
  return true;
}

bool only(Text s, std::size_t least, std::size_t most, Text extra) {
  if (s.size() < least || s.size() > most) return false;
  for (const char c : s)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || extra.find(c) != Text::npos)) return false;
  return true;
}

bool hex64(Text s) {
  if (s.size() != 64) return false;
  for (const char c : s)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  return true;
}

struct Cursor {
  Text rest;
  std::size_t line = 1;
  // The value when the next line has this key.
  std::optional<Text> value(Text key) {
    const auto end = rest.find('\n');
    if (end == Text::npos) return {};
    const Text l = rest.substr(0, end);
    if (l.size() < key.size() + 2 || l.substr(0, key.size()) != key || l[key.size()] != ':' || l[key.size() + 1] != ' ') return {};
    rest.remove_prefix(end + 1);
    ++line;
    return l.substr(key.size() + 2);
  }
};

}  // namespace

std::string text_of(const Net& n) {
  if (n.v4) return fmt::format("{}.{}.{}.{}/{}", n.first[0], n.first[1], n.first[2], n.first[3], n.length);
  return fmt::format("{}/{}", v6_text(n.first), n.length);
}

Result<Plan> read_text(Text text) {
  Plan p;
  Cursor c{text};
  const auto bad = [&](Text why) { return fail(Code::bad_input, fmt::format("wall: line {}: {}", c.line, why)); };
  if (text.size() > max_bytes) return bad("longer than 1 MiB");
  const auto one = [&](Text key, auto&& good) {
    const auto v = c.value(key);
    return v && good(*v);
  };
  if (!one("nora-mandate", [](Text v) { return v == "1"; })) return bad("nora-mandate");
  if (!one("id", [&](Text v) { p.id = v; return only(v, 1, 64, "-."); })) return bad("id");
  if (!one("authority", words)) return bad("authority");
  if (!one("legal-basis", words)) return bad("legal-basis");
  if (!one("law-profile", [](Text v) { return only(v, 2, 32, "-"); })) return bad("law-profile");
  if (!one("purpose", words)) return bad("purpose");
  if (!one("contact", words)) return bad("contact");
  const auto count = [](Text v) {
    const auto n = digits(v, 10, 1'000'000'000);
    return n && *n > 0;
  };
  if (!one("revision", count)) return bad("revision");
  if (!one("previous", [](Text v) { return v == "none" || hex64(v); })) return bad("previous");
  const auto time = [](std::int64_t& out) {
    return [&out](Text v) {
      const auto t = utc(v);
      if (t) out = *t;
      return t.has_value();
    };
  };
  if (!one("not-before", time(p.not_before_s))) return bad("not-before");
  if (!one("not-after", time(p.not_after_s)) || p.not_after_s <= p.not_before_s) return bad("not-after");
  if (!one("daily-window", [&](Text v) {
        if (v.size() != 11 || v[5] != '-') return false;
        const auto from = clock_min(v.substr(0, 5)), to = clock_min(v.substr(6));
        if (!from || !to || *from == *to || *from == 1440) return false;
        p.from_min = *from;
        p.to_min = *to;
        return true;
      })) return bad("daily-window");
  const auto nets = [&](Text key, std::vector<Net>& out, bool prefix) -> bool {
    while (const auto v = c.value(key)) {
      const auto n = net(*v, prefix);
      if (!n || (!out.empty() && !(rank(out.back()) < rank(*n))) || out.size() >= max_lines_of_a_key) return false;
      out.push_back(*n);
    }
    return true;
  };
  if (!nets("source", p.sources, false) || p.sources.empty()) return bad("source");
  while (const auto v = c.value("listener")) {
    const auto blank = v->find(" tcp ");
    if (blank == Text::npos) return bad("listener");
    const auto host = net(v->substr(0, blank), false);
    const auto port = digits(v->substr(blank + 5), 5, 65535);
    if (!host || !port || *port == 0) return bad("listener");
    bool known = false;
    for (const Net& s : p.sources) known = known || s.text == host->text;
    const auto before = [&] {
      if (p.listeners.empty()) return true;
      const auto a = rank(p.listeners.back().host), b = rank(*host);
      return a < b || (a == b && p.listeners.back().port < *port);
    };
    if (!known || !before() || p.listeners.size() >= max_lines_of_a_key) return bad("listener");
    p.listeners.push_back({*host, static_cast<std::uint16_t>(*port)});
  }
  if (!nets("range", p.ranges, true) || p.ranges.empty()) return bad("range");
  if (!nets("exclude", p.excludes, true)) return bad("exclude");
  if (!nets("social-impact", p.social, true)) return bad("social-impact");
  for (const Net& s : p.social) {
    bool held = false;
    for (const Net& r : p.ranges) held = held || inside(s, r);
    if (!held) return bad("a social-impact range outside every range");
  }
  while (const auto v = c.value("port")) {
    const bool tcp = v->starts_with("tcp "), udp = v->starts_with("udp ");
    if (!tcp && !udp) return bad("port");
    const auto n = digits(v->substr(4), 5, 65535);
    auto& list = tcp ? p.tcp_ports : p.udp_ports;
    if (!n || *n == 0 || (tcp && !p.udp_ports.empty()) || (!list.empty() && list.back() >= *n)) return bad("port");
    list.push_back(static_cast<std::uint16_t>(*n));
  }
  if (p.tcp_ports.empty() && p.udp_ports.empty()) return bad("port");
  // At most four of P0 P1 P2 P3, rising, one blank between.
  if (!one("probe-class", [&](Text v) {
        char last = '/';
        bool p3 = false;
        while (true) {
          if (v.size() < 2 || v[0] != 'P' || v[1] <= last || v[1] > '3') return false;
          last = v[1];
          p3 = p3 || last == '3';
          v.remove_prefix(2);
          if (v.empty()) break;
          if (v[0] != ' ') return false;
          v.remove_prefix(1);
        }
        return !p3 || !p.listeners.empty();
      })) return bad("probe-class");
  if (!one("catalogue", hex64)) return bad("catalogue");
  if (!one("rate-total-pps", [&](Text v) { p.rate_total = static_cast<std::uint32_t>(digits(v, 10, 1'000'000'000).value_or(0)); return count(v); })) return bad("rate-total-pps");
  for (const Text key : {"rate-per-24-pps", "rate-per-target-pps", "probes-per-target-per-day"})
    if (!one(key, count)) return bad(key);
  if (!one("opt-out", [&](Text v) { p.opt_out_hex = v; return v == "none" || hex64(v); })) return bad("opt-out");
  if (!c.rest.empty()) return bad("text after the last key");
  return p;
}

Result<Plan> read_signed(Text note, Text roots) {
  int threshold = 0;
  std::vector<PublicKey> keys;
  for (std::size_t at = 0; at < roots.size();) {
    const auto end = std::min(roots.find('\n', at), roots.size());
    const Text line = roots.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line[0] == '#') continue;
    if (line.starts_with("threshold: ") && threshold == 0) {
      threshold = static_cast<int>(digits(line.substr(11), 3, 100).value_or(0));
      if (threshold == 0) return fail(Code::refused, "wall: the root file has a wrong threshold");
    } else if (line.starts_with("signer: ")) {
      const auto key = PublicKey::parse(line.substr(8));
      if (!key) return fail(Code::refused, "wall: the root file has a wrong signer");
      for (const auto& k : keys)
        if (k.name == key->name || k.ed25519 == key->ed25519) return fail(Code::refused, "wall: the root file has a signer twice");
      keys.push_back(*key);
    } else {
      return fail(Code::refused, "wall: the root file has an unknown line");
    }
  }
  if (threshold == 0) return fail(Code::refused, "wall: the root file has no threshold");
  const auto opened = open_note(note, keys);
  if (!opened) return fail(Code::refused, "wall: the mandate is altered or not signed: " + opened.error().what);
  if (opened->signers.size() < static_cast<std::size_t>(threshold))
    return fail(Code::refused, fmt::format("wall: {} of {} signatures", opened->signers.size(), threshold));
  auto plan = read_text(opened->text);
  if (!plan) return fail(Code::refused, plan.error().what);
  return plan;
}

Result<std::vector<Net>> read_opt_out(Text text) {
  std::vector<Net> out;
  std::size_t line = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    Text l = text.substr(at, end - at);
    at = end + 1;
    ++line;
    l = l.substr(0, l.find('#'));
    const auto first = l.find_first_not_of(" \t\r"), last = l.find_last_not_of(" \t\r");
    if (first == Text::npos) continue;
    const auto n = net(l.substr(first, last - first + 1), false, true);
    if (!n) return fail(Code::bad_input, fmt::format("wall: opt-out list, line {}: not a prefix", line));
    out.push_back(*n);
  }
  return out;
}

bool open_at(const Plan& p, std::int64_t t) {
  if (t < p.not_before_s || t >= p.not_after_s) return false;
  const int minute = static_cast<int>(t % 86400 / 60);
  if (p.from_min < p.to_min) return p.from_min <= minute && minute < p.to_min;
  return minute >= p.from_min || minute < p.to_min;
}

}  // namespace nora::law::wall
