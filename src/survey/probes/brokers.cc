#include "survey/probes/brokers.h"

#include <algorithm>

#include "survey/probes/http.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr int max_fields = 64, max_depth = 3;

std::uint32_t u32le(ByteView b, std::size_t at) {
  return at + 4 <= b.size() ? std::uint32_t{b[at]} | std::uint32_t{b[at + 1]} << 8 | std::uint32_t{b[at + 2]} << 16 | std::uint32_t{b[at + 3]} << 24
                            : 0;
}

// An AMQP field table: short string, type, value. Known names of the top level become keys; the capabilities table is walked over.
void amqp_table(Parsed& out, Reader& r, int depth) {
  const auto size = r.u32();
  const auto end = r.at() + size;
  if (r.bad() || size > r.left()) return;
  for (int i = 0; i < max_fields && r.at() < end && !r.bad(); ++i) {
    const auto name_size = r.u8();
    const auto name = as_text(r.take(name_size));
    const auto type = static_cast<char>(r.u8());
    switch (type) {
      case 'S':
      case 'x': {
        const auto n = r.u32();
        const auto value = as_text(r.take(n));
        if (r.bad() || depth > 0) break;
        for (std::string_view wanted : {"product", "version", "platform"})
          if (name == wanted) out.add("amqp." + std::string(wanted), value);
        break;
      }
      case 'F':
        if (depth >= max_depth) return;
        amqp_table(out, r, depth + 1);
        break;
      case 't':
      case 'b':
      case 'B':
        r.skip(1);
        break;
      case 's':
      case 'u':
        r.skip(2);
        break;
      case 'I':
      case 'i':
      case 'f':
        r.skip(4);
        break;
      case 'l':
      case 'L':
      case 'd':
      case 'T':
        r.skip(8);
        break;
      case 'D':
        r.skip(5);
        break;
      case 'V':
        break;
      case 'A': {
        const auto n = r.u32();
        r.skip(n);
        break;
      }
      default:
        return;
    }
  }
}

}  // namespace

bool parse_amqp(Parsed& out, ByteView bytes) {
  if (as_text(bytes).starts_with("AMQP") && bytes.size() >= 8) {
    // The server prefers another version and says which.
    out.protocol = "amqp";
    out.add("amqp.header", std::to_string(bytes[4]) + "-" + std::to_string(bytes[5]) + "-" + std::to_string(bytes[6]) + "-" + std::to_string(bytes[7]));
    out.keep_keys_only();
    return true;
  }
  Reader r(bytes);
  const auto kind = r.u8();
  const auto channel = r.u16();
  r.u32();
  const auto klass = r.u16(), method = r.u16();
  if (r.bad() || kind != 1 || channel != 0 || klass != 10 || method != 10) return false;  // Connection.Start
  const auto major = r.u8(), minor = r.u8();
  if (r.bad()) return false;
  out.protocol = "amqp";
  out.add("amqp.protocol", std::to_string(major) + "-" + std::to_string(minor));
  amqp_table(out, r, 0);
  const auto n = r.u32();
  const auto mechanisms = as_text(r.take(n));
  if (!r.bad()) {
    out.add("amqp.mechanisms", mechanisms);
    out.add("amqp.anonymous", (" " + std::string(mechanisms) + " ").find(" ANONYMOUS ") != std::string::npos ? "offered" : "no");
  }
  out.keep_keys_only();  // the table also names the cluster
  return true;
}

bool parse_redis(Parsed& out, ByteView bytes) {
  const auto text = as_text(bytes);
  const auto row = trim(text.substr(0, text.find('\n')));
  std::string_view access;
  if (row == "+PONG") access = "open";
  else if (row.starts_with("-NOAUTH") || row.starts_with("-DENIED") || row.starts_with("-ERR operation not permitted")) access = "protected";
  else if (!row.starts_with("-ERR unknown command") && !row.starts_with("-ERR wrong number of arguments for 'get' command")) return false;
  out.protocol = "redis";
  if (!access.empty()) out.add("redis.access", access);
  out.bytes = to_bytes(std::string(row.substr(0, 256)) + "\r\n");
  return true;
}

bool parse_memcached(Parsed& out, ByteView bytes) {
  const auto text = as_text(bytes);
  const auto row = trim(text.substr(0, text.find('\n')));
  if (!row.starts_with("VERSION ")) {
    if (text != "ERROR\r\n" && !text.starts_with("ERROR\r\nERROR\r\n")) return false;  // the answer to another question
    out.protocol = "memcached";
    out.bytes = to_bytes("ERROR\r\n");
    return true;
  }
  out.protocol = "memcached";
  out.add("memcached.version", row.substr(8, 64));
  out.bytes.assign(bytes.begin(), bytes.end());
  return true;
}

bool parse_mongodb(Parsed& out, ByteView bytes) {
  if (as_text(bytes).find("trying to access MongoDB over HTTP") != npos) {
    out.protocol = "mongodb";
    out.keep_keys_only();
    return true;
  }
  constexpr std::size_t head = 16, reply = 20;
  if (bytes.size() < head + reply + 5 || u32le(bytes, 8) != 0x61726f6e || u32le(bytes, 12) != 1) return false;  // answers our "nora", OP_REPLY
  out.protocol = "mongodb";
  // BSON elements of the first document: type, name, value. Only the fixed-size ones that tell the kind of server are kept.
  auto rest = bytes.subspan(head + reply);
  rest = rest.first(std::min<std::size_t>(rest.size(), u32le(rest, 0)));
  std::size_t at = 4;
  for (int i = 0; i < max_fields && at < rest.size() && rest[at] != 0; ++i) {
    const auto type = rest[at++];
    const auto tail = as_text(rest.subspan(at));
    const auto name = tail.substr(0, tail.find('\0'));
    at += name.size() + 1;
    const auto value = at;
    switch (type) {
      case 0x01:
      case 0x09:
      case 0x11:
      case 0x12:
        at += 8;
        break;
      case 0x08:
        at += 1;
        break;
      case 0x10:
        at += 4;
        break;
      case 0x07:
        at += 12;
        break;
      case 0x02:
        at += std::size_t{4} + u32le(rest, at);
        break;
      case 0x03:
      case 0x04:
        at += std::max<std::size_t>(5, u32le(rest, at));
        break;
      default:
        at = rest.size();
    }
    if (at > rest.size()) break;
    if (type == 0x10 && (name == "maxWireVersion" || name == "minWireVersion"))
      out.add(name == "maxWireVersion" ? "mongodb.max_wire" : "mongodb.min_wire", std::to_string(u32le(rest, value)));
    if (type == 0x08 && name == "ismaster") out.add("mongodb.primary", rest[value] != 0 ? "1" : "0");
  }
  out.keep_keys_only();
  return true;
}

bool parse_sip(Parsed& out, ByteView bytes) {
  const auto text = as_text(bytes);
  if (!text.starts_with("SIP/2.0 ")) return false;
  auto r = read_http(as_bytes("HTTP/" + std::string(text.substr(4))));
  if (!r || r->status < 100 || r->status > 699) return false;
  out.protocol = "sip";
  out.add("sip.status", std::to_string(r->status));
  if (const auto* server = r->header("server")) out.add("sip_header.server", *server);
  if (const auto* agent = r->header("user-agent")) out.add("sip_header.user_agent", *agent);
  if (const auto* allow = r->header("allow")) out.add("sip.allow", *allow);
  if (const auto* auth = r->header("www-authenticate")) out.add("sip.wwwauth", without_nonce(*auth));
  out.keep_keys_only();  // Via, tags and call id are ours or differ
  return true;
}

bool parse_adb(Parsed& out, ByteView bytes) {
  constexpr std::size_t head = 24;
  if (bytes.size() < head) return false;
  const auto command = as_text(bytes.first(4));
  if (u32le(bytes, 20) != (u32le(bytes, 0) ^ 0xffffffffu)) return false;  // the magic is the command's complement
  if (command == "AUTH" || command == "STLS") {
    out.protocol = "adb";
    out.add("adb.access", command == "AUTH" ? "key" : "tls");
    out.keep_keys_only();  // the token differs each time
    return true;
  }
  if (command != "CNXN") return false;
  out.protocol = "adb";
  out.add("adb.access", "open");
  const auto banner = as_text(bytes.subspan(head, std::min<std::size_t>(bytes.size() - head, u32le(bytes, 12))));
  // "device::ro.product.name=x;ro.product.model=y;ro.product.device=z;features=…"
  out.add("adb.kind", trim(banner.substr(0, banner.find(':'))).substr(0, 32));
  for (auto [name, key] : {std::pair<std::string_view, std::string_view>{"ro.product.name=", "adb.product"},
                           {"ro.product.model=", "adb.model"},
                           {"ro.product.device=", "adb.device"}}) {
    const auto at = banner.find(name);
    if (at == npos) continue;
    const auto from = at + name.size();
    out.add(key, trim(banner.substr(from, banner.find(';', from) - from)));
  }
  out.keep_keys_only();  // the part between the colons may be a serial number
  return true;
}

bool parse_rsync(Parsed& out, ByteView bytes) {
  const auto text = as_text(bytes);
  if (!text.starts_with("@RSYNCD: ")) return false;
  const auto row = trim(text.substr(9, text.find('\n') == npos ? npos : text.find('\n') - 9));
  out.protocol = "rsync";
  out.add("rsync.version", row.substr(0, row.find(' ')));
  out.bytes = to_bytes("@RSYNCD: " + std::string(row.substr(0, 256)) + "\n");  // without a message of the day
  return true;
}

}  // namespace nora::survey
