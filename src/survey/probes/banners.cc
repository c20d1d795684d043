#include "survey/probes/banners.h"

#include <algorithm>

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
  for (auto word : {"login", "username", "user name", "user:", "account"}) if (words.find(word) != std::string::npos) return "login";
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
  if (end == std::string_view::npos) return;
  Reader r(bytes.subspan(end + 1));
  auto length = r.u32();
  auto padding = r.u8();
  if (r.bad() || length < 2u + padding || length > 35000 || r.u8() != 20) return;  // 20 = SSH_MSG_KEXINIT
  r.skip(16);  // cookie
  static constexpr std::string_view names[] = {"ssh.kex", "ssh.hostkey_types", "ssh.ciphers", "ssh.ciphers_from", "ssh.macs", "ssh.macs_from",
                                               "ssh.compression"};
  for (auto name : names) {
    auto n = r.u32();
    auto list = r.take(n);
    if (r.bad()) return;
    auto words = as_text(list);
    if (name != "ssh.ciphers" && name != "ssh.macs") out.add(name == "ssh.ciphers_from" ? "ssh.ciphers" : name == "ssh.macs_from" ? "ssh.macs" : name, words);
    auto row = std::string(name) + " " + std::string(words) + "\n";  // the packet without its random cookie and padding
    out.bytes.insert(out.bytes.end(), row.begin(), row.end());
  }
}

void parse_ftp(Parsed& out, ByteView bytes) {
  auto text = as_text(bytes);
  bool mail = find_word(text, "smtp") != std::string_view::npos;
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
