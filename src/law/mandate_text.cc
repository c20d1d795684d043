// Reader and writer of the mandate text, the root file and the opt-out list (law/mandate_text.h).
#include "law/mandate_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <tuple>

#include "base/text.h"

namespace nora::law {
namespace {

constexpr std::size_t max_words_bytes = 500;  // authority, legal-basis, purpose, contact

std::unexpected<Error> wrong(std::size_t line, std::string_view why) {
  return fail(Code::bad_input, fmt::format("line {}: {}", line, why));
}

bool machine_word(std::string_view s, std::size_t min, std::size_t max, std::string_view extra) {
  return s.size() >= min && s.size() <= max && std::all_of(s.begin(), s.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || extra.find(c) != extra.npos;
         });
}

// Words for people: valid UTF-8 without control characters, no blank at either end.
bool people_words(std::string_view s) {
  if (s.empty() || s.size() > max_words_bytes || s.front() == ' ' || s.back() == ' ') return false;
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    if (c < 0x20 || c == 0x7f) return false;
    const std::size_t n = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (n == 0 || i + n > s.size()) return false;
    std::uint32_t point = n == 1 ? c : c & (0xffu >> (n + 1));
    for (std::size_t k = 1; k < n; ++k) {
      const auto d = static_cast<unsigned char>(s[i + k]);
      if ((d & 0xc0) != 0x80) return false;
      point = point << 6 | (d & 0x3f);
    }
    static constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff) || (point >= 0x80 && point < 0xa0)) return false;
    i += n;
  }
  return true;
}

Result<std::uint32_t> number(std::string_view s) {
  std::uint32_t v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc{} || end != s.data() + s.size() || v == 0 || v > 1'000'000'000 || s[0] == '0')
    return fail(Code::bad_input, fmt::format("\"{}\" is not a whole number from 1 to 1000000000", s));
  return v;
}

Result<int> minute(std::string_view s) {
  const auto digit = [&](std::size_t i) { return s[i] >= '0' && s[i] <= '9'; };
  if (s.size() == 5 && s[2] == ':' && digit(0) && digit(1) && digit(3) && digit(4)) {
    const int h = (s[0] - '0') * 10 + s[1] - '0', m = (s[3] - '0') * 10 + s[4] - '0';
    if (m < 60 && h * 60 + m <= 24 * 60) return h * 60 + m;
  }
  return fail(Code::bad_input, "the daily window is not HH:MM-HH:MM");
}
std::string minute_text(int m) { return fmt::format("{:02}:{:02}", m / 60, m % 60); }

Result<std::optional<Hash>> optional_hash(std::string_view s) {
  if (s == "none") return std::optional<Hash>{};
  NORA_TRY(const Hash h, hash_from_hex(s));
  return std::optional<Hash>{h};
}
std::string hash_text(const std::optional<Hash>& h) { return h ? to_hex(*h) : "none"; }

Result<PortGrant> port_grant(std::string_view s) {
  const auto parts = split(s, ' ');
  if (parts.size() != 2) return fail(Code::bad_input, "a port is written as \"tcp 23\"");
  NORA_TRY(const Proto proto, parse_proto(parts[0]));
  NORA_TRY(const Port port, parse_port(parts[1]));
  return PortGrant{proto, port};
}

// One key of the text: its name, whether it repeats, and what its value does.
struct Key {
  std::string_view name;
  enum { once, many, any } how;
  std::function<Status(MandateText&, std::string_view)> set;
  std::function<std::vector<std::string>(const MandateText&)> get;
};

Key words_key(std::string_view name, std::string MandateText::*field) {
  return {name, Key::once,
          [=](MandateText& m, std::string_view v) -> Status {
            if (!people_words(v)) return fail(Code::bad_input, "not one line of UTF-8 text of at most 500 bytes");
            m.*field = v;
            return {};
          },
          [=](const MandateText& m) { return std::vector{m.*field}; }};
}
Key number_key(std::string_view name, std::uint32_t MandateText::*field) {
  return {name, Key::once,
          [=](MandateText& m, std::string_view v) -> Status { NORA_TRY(m.*field, number(v)); return {}; },
          [=](const MandateText& m) { return std::vector{std::to_string(m.*field)}; }};
}
Key instant_key(std::string_view name, Instant MandateText::*field) {
  return {name, Key::once,
          [=](MandateText& m, std::string_view v) -> Status { NORA_TRY(m.*field, Instant::parse(v)); return {}; },
          [=](const MandateText& m) { return std::vector{(m.*field).text()}; }};
}
Key hash_key(std::string_view name, std::optional<Hash> MandateText::*field) {
  return {name, Key::once,
          [=](MandateText& m, std::string_view v) -> Status { NORA_TRY(m.*field, optional_hash(v)); return {}; },
          [=](const MandateText& m) { return std::vector{hash_text(m.*field)}; }};
}
Key prefixes_key(std::string_view name, std::vector<Prefix> MandateText::*field, bool needed) {
  return {name, needed ? Key::many : Key::any,
          [=](MandateText& m, std::string_view v) -> Status {
            NORA_TRY(const Prefix p, Prefix::parse(v));
            (m.*field).push_back(p);
            return {};
          },
          [=](const MandateText& m) {
            std::vector<std::string> out;
            for (const auto& p : m.*field) out.push_back(p.text());
            return out;
          }};
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = {
      {"nora-mandate", Key::once,
       [](MandateText&, std::string_view v) -> Status {
         if (v != "1") return fail(Code::bad_input, "this format version is not known; this program reads version 1");
         return {};
       },
       [](const MandateText&) { return std::vector<std::string>{"1"}; }},
      {"id", Key::once,
       [](MandateText& m, std::string_view v) -> Status {
         if (!machine_word(v, 1, 64, "-.")) return fail(Code::bad_input, "an id has 1 to 64 of a-z 0-9 - .");
         m.id = v;
         return {};
       },
       [](const MandateText& m) { return std::vector{m.id}; }},
      words_key("authority", &MandateText::authority),
      words_key("legal-basis", &MandateText::legal_basis),
      {"law-profile", Key::once,
       [](MandateText& m, std::string_view v) -> Status {
         if (!machine_word(v, 2, 32, "-")) return fail(Code::bad_input, "a law profile has 2 to 32 of a-z 0-9 -");
         m.law_profile = v;
         return {};
       },
       [](const MandateText& m) { return std::vector{m.law_profile}; }},
      words_key("purpose", &MandateText::purpose),
      words_key("contact", &MandateText::contact),
      number_key("revision", &MandateText::revision),
      hash_key("previous", &MandateText::previous),
      instant_key("not-before", &MandateText::not_before),
      instant_key("not-after", &MandateText::not_after),
      {"daily-window", Key::once,
       [](MandateText& m, std::string_view v) -> Status {
         NORA_TRY(std::tie(m.window_from_min, m.window_to_min), parse_daily_window(v));
         return {};
       },
       [](const MandateText& m) { return std::vector{minute_text(m.window_from_min) + "-" + minute_text(m.window_to_min)}; }},
      {"source", Key::many,
       [](MandateText& m, std::string_view v) -> Status {
         NORA_TRY(const Ip ip, Ip::parse(v));
         m.sources.push_back(ip);
         return {};
       },
       [](const MandateText& m) {
         std::vector<std::string> out;
         for (const auto& ip : m.sources) out.push_back(ip.text());
         return out;
       }},
      {"listener", Key::any,
       [](MandateText& m, std::string_view v) -> Status {
         const auto at = v.find(' ');
         if (at == v.npos) return fail(Code::bad_input, "a listener is written as \"192.0.2.10 tcp 8088\"");
         NORA_TRY(const Ip ip, Ip::parse(v.substr(0, at)));
         NORA_TRY(const PortGrant port, port_grant(v.substr(at + 1)));
         if (port.proto != Proto::tcp) return fail(Code::bad_input, "a listener is a tcp port");
         m.listeners.push_back({ip, port.proto, port.port});
         return {};
       },
       [](const MandateText& m) {
         std::vector<std::string> out;
         for (const auto& l : m.listeners) out.push_back(fmt::format("{} {} {}", l.ip.text(), name(l.proto), l.port.value));
         return out;
       }},
      prefixes_key("range", &MandateText::ranges, true),
      prefixes_key("exclude", &MandateText::excludes, false),
      prefixes_key("social-impact", &MandateText::social_impact, false),
      {"port", Key::many,
       [](MandateText& m, std::string_view v) -> Status {
         NORA_TRY(const PortGrant p, port_grant(v));
         m.ports.push_back(p);
         return {};
       },
       [](const MandateText& m) {
         std::vector<std::string> out;
         for (const auto& p : m.ports) out.push_back(fmt::format("{} {}", name(p.proto), p.port.value));
         return out;
       }},
      {"probe-class", Key::once,
       [](MandateText& m, std::string_view v) -> Status {
         for (const auto part : split(v, ' ')) {
           NORA_TRY(const ProbeClass c, parse_probe_class(part));
           if (m.classes.size() >= 4) return fail(Code::bad_input, "a class is listed twice");
           m.classes.push_back(c);
         }
         return {};
       },
       [](const MandateText& m) {
         std::string out;
         for (const auto c : m.classes) out += (out.empty() ? "" : " ") + std::string(name(c));
         return std::vector{out};
       }},
      {"catalogue", Key::once,
       [](MandateText& m, std::string_view v) -> Status { NORA_TRY(m.catalogue, hash_from_hex(v)); return {}; },
       [](const MandateText& m) { return std::vector{to_hex(m.catalogue)}; }},
      number_key("rate-total-pps", &MandateText::rate_total_pps),
      number_key("rate-per-24-pps", &MandateText::rate_per_24_pps),
      number_key("rate-per-target-pps", &MandateText::rate_per_target_pps),
      number_key("probes-per-target-per-day", &MandateText::probes_per_target_per_day),
      hash_key("opt-out", &MandateText::opt_out),
  };
  return all;
}

template <class T>
bool rising(const std::vector<T>& v) {
  return std::adjacent_find(v.begin(), v.end(), [](const T& a, const T& b) { return !(a < b); }) == v.end();
}

// What holds across fields.
Status consistent(const MandateText& m) {
  const auto bad = [](std::string_view why) { return fail(Code::bad_input, std::string(why)); };
  if (!(m.not_before < m.not_after)) return bad("not-after is not later than not-before");
  if (m.window_from_min == m.window_to_min || m.window_from_min == 24 * 60) return bad("the daily window is empty");
  if (m.not_before.us % 1'000'000 || m.not_after.us % 1'000'000) return bad("times are whole seconds");
  if (m.sources.empty() || m.ranges.empty() || m.ports.empty() || m.classes.empty()) return bad("a mandate needs a source, a range, a port and a class");
  const std::pair<bool, std::string_view> order[] = {
      {rising(m.sources), "source"}, {rising(m.listeners), "listener"}, {rising(m.ranges), "range"}, {rising(m.excludes), "exclude"},
      {rising(m.social_impact), "social-impact"}, {rising(m.ports), "port"}, {rising(m.classes), "probe-class"}};
  for (const auto& [ok, key] : order)
    if (!ok) return bad(fmt::format("the {} lines are not sorted, or one stands twice", key));
  for (const auto& l : m.listeners)
    if (!std::binary_search(m.sources.begin(), m.sources.end(), l.ip)) return bad(fmt::format("the listener {} is not a source address", l.ip.text()));
  if (m.listeners.empty() && m.classes.back() == ProbeClass::p3) return bad("probe class P3 needs a listener");
  for (const auto& s : m.social_impact)
    if (std::none_of(m.ranges.begin(), m.ranges.end(), [&](const Prefix& r) { return r.contains(s); }))
      return bad(fmt::format("the social-impact range {} lies outside every range", s.text()));
  return {};
}

}  // namespace

Result<MandateText> parse_mandate(std::string_view text) {
  if (text.size() > max_mandate_bytes) return fail(Code::bad_input, "the mandate is longer than 1 MiB");
  if (text.empty() || text.back() != '\n') return fail(Code::bad_input, "the mandate does not end with a line feed");
  MandateText out;
  const auto lines = split(text.substr(0, text.size() - 1), '\n');
  std::size_t line = 0;
  for (const Key& key : keys()) {
    std::size_t count = 0;
    while (line < lines.size()) {
      const std::string_view l = lines[line];
      if (!l.starts_with(key.name) || l.substr(key.name.size(), 2) != ": ") break;
      if (key.how == Key::once && count == 1) return wrong(line + 1, fmt::format("\"{}\" stands twice", key.name));
      if (++count > max_repeats) return wrong(line + 1, "too many lines of this key");
      if (const Status s = key.set(out, l.substr(key.name.size() + 2)); !s) return wrong(line + 1, s.error().what);
      ++line;
    }
    if (count == 0 && key.how != Key::any) return wrong(line + 1, fmt::format("\"{}: \" was expected here", key.name));
  }
  if (line < lines.size()) return wrong(line + 1, "unknown key, or a key out of order");
  NORA_CHECK(consistent(out));
  // Whatever was read more than one way (010.0.0.1, upper-case hex, times with an offset) is refused here: one text per meaning.
  NORA_TRY(const std::string canonical, write_mandate(out));
  if (canonical != text) {
    const auto same = std::mismatch(text.begin(), text.end(), canonical.begin(), canonical.end()).first - text.begin();
    return wrong(static_cast<std::size_t>(std::count(text.begin(), text.begin() + same, '\n')) + 1, "not written in the canonical way");
  }
  return out;
}

Result<std::string> write_mandate(const MandateText& fields) {
  NORA_CHECK(consistent(fields));
  std::string out;
  for (const Key& key : keys()) {
    for (const std::string& value : key.get(fields)) {
      MandateText scratch;
      if (const Status s = key.set(scratch, value); !s) return fail(Code::bad_input, fmt::format("{}: {}", key.name, s.error().what));
      out += fmt::format("{}: {}\n", key.name, value);
    }
  }
  if (out.size() > max_mandate_bytes) return fail(Code::bad_input, "the mandate would be longer than 1 MiB");
  return out;
}

Result<Roots> parse_roots(std::string_view text) {
  Roots out;
  out.threshold = 0;
  std::size_t line = 0;
  if (text.size() > max_mandate_bytes) return fail(Code::bad_input, "the root file is longer than 1 MiB");
  for (std::string_view l : split(text, '\n')) {
    ++line;
    if (l.empty() || l.starts_with('#')) continue;
    if (l.starts_with("threshold: ")) {
      if (out.threshold != 0) return wrong(line, "\"threshold\" stands twice");
      const auto n = number(l.substr(11));
      if (!n || *n > 100) return wrong(line, "the threshold is a number from 1 to 100");
      out.threshold = static_cast<int>(*n);
    } else if (l.starts_with("signer: ")) {
      auto key = PublicKey::parse(l.substr(8));
      if (!key) return wrong(line, key.error().what);
      for (const auto& other : out.signers)
        if (other.name == key->name || other.ed25519 == key->ed25519) return wrong(line, "this signer stands twice");
      out.signers.push_back(std::move(*key));
    } else {
      return wrong(line, "expected \"threshold: N\" or \"signer: KEY\"");
    }
  }
  if (out.threshold == 0) return fail(Code::bad_input, "the root file has no threshold");
  if (static_cast<std::size_t>(out.threshold) > out.signers.size()) return fail(Code::bad_input, "the threshold is higher than the number of signers");
  return out;
}

std::string write_roots(const Roots& roots) {
  std::string out = fmt::format("threshold: {}\n", roots.threshold);
  for (const auto& s : roots.signers) out += fmt::format("signer: {}\n", s.text());
  return out;
}

Result<std::pair<int, int>> parse_daily_window(std::string_view text) {
  const auto parts = split(text, '-');
  if (parts.size() != 2) return fail(Code::bad_input, "the daily window is not HH:MM-HH:MM");
  NORA_TRY(const int from, minute(parts[0]));
  NORA_TRY(const int to, minute(parts[1]));
  if (from == to || from == 24 * 60) return fail(Code::bad_input, "the daily window is empty");
  return std::pair{from, to};
}

Result<std::vector<Prefix>> parse_opt_out(std::string_view text) {
  if (text.size() > max_opt_out_bytes) return fail(Code::bad_input, "the opt-out list is longer than 64 MiB");
  std::vector<Prefix> out;
  std::size_t line = 0;
  for (std::string_view l : split(text, '\n')) {
    ++line;
    if (const auto hash = l.find('#'); hash != l.npos) l = l.substr(0, hash);
    while (!l.empty() && (l.back() == ' ' || l.back() == '\t' || l.back() == '\r')) l.remove_suffix(1);
    while (!l.empty() && (l.front() == ' ' || l.front() == '\t' || l.front() == '\r')) l.remove_prefix(1);
    if (l.empty()) continue;
    const auto p = Prefix::parse(l);
    if (!p) return wrong(line, p.error().what);
    out.push_back(*p);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace nora::law
