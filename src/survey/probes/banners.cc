#include "survey/probes/banners.h"

#include <algorithm>

#include "base/crypto.h"
#include "survey/probes/parse.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr std::uint8_t iac = 255, dont = 254, do_ = 253, wont = 252, will = 251, sb = 250, se = 240;
constexpr std::size_t max_options = 64;

struct TelnetText {
  std::string text;
  std::string options;  // "fffd01fffb03…" in order
};

TelnetText split_telnet(ByteView bytes) {
  TelnetText out;
  std::size_t count = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != iac) {
      if (bytes[i] != 0) out.text += static_cast<char>(bytes[i]);
      continue;
    }
    if (i + 1 >= bytes.size()) break;
    std::uint8_t command = bytes[i + 1];
    if (command == iac) {
      out.text += '\xff';
      ++i;
    } else if (command >= will && command <= dont) {
      if (i + 2 < bytes.size() && count++ < max_options) out.options += to_hex(bytes.subspan(i, 3));
      i += 2;
    } else if (command == sb) {
      std::size_t k = i + 2;
      while (k + 1 < bytes.size() && !(bytes[k] == iac && bytes[k + 1] == se)) ++k;
      i = k + 1;
    } else {
      ++i;
    }
  }
  return out;
}

}  // namespace

Bytes telnet_refusals(ByteView bytes, std::size_t& from) {
  Bytes out;
  while (from < bytes.size()) {
    if (bytes[from] != iac) {
      ++from;
      continue;
    }
    if (from + 1 >= bytes.size()) break;
    std::uint8_t command = bytes[from + 1];
    if (command >= will && command <= dont) {
      if (from + 2 >= bytes.size()) break;
      // WONT and DONT need no answer: we never agreed to anything (RFC 854, rule against loops).
      if ((command == do_ || command == will) && out.size() < 3 * max_options)
        out.insert(out.end(), {iac, command == do_ ? wont : dont, bytes[from + 2]});
      from += 3;
    } else if (command == sb) {
      std::size_t k = from + 2;
      while (k + 1 < bytes.size() && !(bytes[k] == iac && bytes[k + 1] == se)) ++k;
      if (k + 1 >= bytes.size()) break;
      from = k + 2;
    } else {
      from += 2;
    }
  }
  return out;
}

std::string_view telnet_prompt(std::string_view text) {
  auto end = trim(text);
  auto last = end.substr(end.find_last_of("\r\n") == std::string_view::npos ? 0 : end.find_last_of("\r\n") + 1);
  last = trim(last);
  if (last.empty()) return "none";
  auto words = lower(last.substr(last.size() > 80 ? last.size() - 80 : 0));
  if (words.find("password") != std::string::npos || words.find("passwd") != std::string::npos) return "password";
  for (auto word : {"login", "username", "user name", "user:", "account"})
    if (words.find(word) != std::string::npos) return "login";
  if (last.back() == '#' || last.back() == '$' || last.back() == '>') return "shell";
  return "none";
}

void parse_telnet(Parsed& out, ByteView bytes) {
  out.protocol = "telnet";
  auto split = split_telnet(bytes);
  out.add("telnet_banners", trim(split.text));
  out.add("telnet.prompt", telnet_prompt(split.text));
  if (!split.options.empty()) out.add("telnet.options", split.options);
  out.bytes.assign(bytes.begin(), bytes.end());
}

namespace {

constexpr std::uint8_t ssh_kexinit = 20, ssh_kex_reply = 31;

// The payload of the n-th unencrypted packet (RFC 4253 section 6).
std::optional<ByteView> ssh_packet(ByteView bytes, int n) {
  Reader r(bytes);
  for (int i = 0; i <= n && i < 8; ++i) {
    auto length = r.u32();
    if (r.bad() || length < 2 || length > 35000) return std::nullopt;
    auto body = r.take(length);
    if (r.bad()) return std::nullopt;
    std::size_t padding = body[0];
    if (padding + 2 > body.size()) return std::nullopt;
    if (i == n) return body.subspan(1, body.size() - 1 - padding);
  }
  return std::nullopt;
}

}  // namespace

void parse_ssh(Parsed& out, ByteView bytes) {
  out.protocol = "ssh";
  auto text = as_text(bytes);
  auto start = text.find("SSH-");
  if (start == std::string_view::npos) start = 0;  // lines before it are allowed (RFC 4253 section 4.2)
  auto end = text.find('\n', start);
  auto id = trim(text.substr(start, end == std::string_view::npos ? 255 : std::min<std::size_t>(end - start, 255)));
  auto second = id.find('-', 4);
  out.add("ssh.banner", second == std::string_view::npos ? id : id.substr(second + 1));
  if (id.size() > 4 && second != std::string_view::npos) out.add("ssh.version", id.substr(4, second - 4));
  out.bytes = to_bytes(std::string(id) + "\r\n");
  auto keep = [&](const std::string& row) { out.bytes.insert(out.bytes.end(), row.begin(), row.end()); };
  if (end == std::string_view::npos) return;
  auto packets = bytes.subspan(end + 1);
  for (int i = 0; i < 8; ++i) {
    auto packet = ssh_packet(packets, i);
    if (!packet) break;
    Reader r(*packet);
    auto type = r.u8();
    if (type == ssh_kexinit) {
      r.skip(16);  // cookie
      static constexpr std::string_view names[] = {"ssh.kex", "ssh.hostkey_types", "", "ssh.ciphers", "", "ssh.macs", "ssh.compression"};
      for (auto name : names) {  // of the two directions the server's own counts
        auto n = r.u32();
        auto words = as_text(r.take(n));
        if (r.bad()) break;
        if (!name.empty() && !out.find(name)) out.add(name, words);
        keep(std::string(words) + "\n");  // the packet without its random cookie and padding
      }
    } else if (type == ssh_kex_reply) {
      auto n = r.u32();
      auto key = r.take(n);
      if (r.bad() || key.empty()) break;
      Reader k(key);
      auto type_size = k.u32();
      auto key_type = as_text(k.take(type_size));
      if (!k.bad()) out.add("ssh.hostkey_type", key_type);
      auto print = to_hex(sha256(key));
      out.add("ssh.hostkey_sha256", print);
      keep("hostkey " + print + "\n");
      break;
    }
  }
}

void parse_ftp(Parsed& out, ByteView bytes, std::uint16_t port) {
  constexpr std::uint16_t mail_ports[] = {25, 465, 587, 2525};
  auto text = as_text(bytes);
  bool mail = find_word(text, "smtp") != std::string_view::npos || find_word(text, "mail") != std::string_view::npos ||
              std::find(std::begin(mail_ports), std::end(mail_ports), port) != std::end(mail_ports);
  if (find_word(text, "ftp") != std::string_view::npos && find_word(text, "smtp") == std::string_view::npos) mail = false;
  out.protocol = mail ? "smtp" : "ftp";
  auto code = text.substr(0, 3);
  std::string words;
  std::size_t at = 0;
  while (at < text.size() && words.size() < max_value_bytes) {
    auto end = text.find('\n', at);
    auto row = text.substr(at, end == std::string_view::npos ? std::string_view::npos : end - at);
    if (row.starts_with(code) && row.size() > 3 && (row[3] == ' ' || row[3] == '-')) row.remove_prefix(4);
    words += (words.empty() ? "" : "\r\n") + std::string(trim(row));
    if (end == std::string_view::npos) break;
    at = end + 1;
  }
  out.add(mail ? "smtp.banner" : "ftp.banner", trim(words));
  out.add(mail ? "smtp.code" : "ftp.code", code);
  out.bytes.assign(bytes.begin(), bytes.end());
}

void parse_mail(Parsed& out, ByteView bytes, std::string_view protocol) {
  out.protocol = protocol;
  auto text = as_text(bytes);
  auto row = trim(text.substr(0, text.find('\n')));
  row = trim(row.substr(std::min(row.size(), row.find(' '))));
  if (row.starts_with("OK")) row = trim(row.substr(2));
  // "<1896.697170952@host>" differs each time (RFC 1939 section 7): its place is kept, its text is not.
  std::string banner(row.substr(0, 512));
  if (auto open = banner.find('<'); open != std::string::npos && banner.find('@', open) != std::string::npos)
    if (auto close = banner.find('>', open); close != std::string::npos) banner.erase(open + 1, close - open - 1);
  out.add(protocol == "imap" ? "imap4.banner" : "pop3.banner", banner);  // recog's names
  out.bytes = to_bytes(banner + "\r\n");
}

bool parse_dvr(Parsed& out, ByteView bytes) {
  if (bytes.empty() || !recognise(bytes).empty()) return false;  // silent, or something better known
  out.protocol = "dvr";
  out.add("dvr.greeting", to_hex(bytes.first(std::min<std::size_t>(bytes.size(), 64))));
  out.bytes.assign(bytes.begin(), bytes.end());
  return true;
}

void parse_rfb(Parsed& out, ByteView bytes) {
  out.protocol = "rfb";
  out.bytes.assign(bytes.begin(), bytes.end());
  Reader r(bytes);
  auto version = as_text(r.take(12));
  if (r.bad()) return;
  out.add("rfb.version", version.substr(4, 7));
  std::string types;
  if (version.substr(4, 7) == "003.003") {  // the server decides: one 32-bit type (RFC 6143 section 7.1.2)
    auto type = r.u32();
    if (!r.bad()) types = std::to_string(type);
  } else {
    auto count = r.u8();
    for (int i = 0; i < count && !r.bad(); ++i) {
      auto type = r.u8();
      if (!r.bad()) types += (types.empty() ? "" : ",") + std::to_string(type);
    }
  }
  if (!types.empty()) out.add("rfb.security_types", types);
}

}  // namespace nora::survey
