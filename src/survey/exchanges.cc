// The table of exchanges (exchanges.h).
#include "survey/exchanges.h"

#include <algorithm>

#include "survey/probes/parse.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;

std::uint32_t u16le(ByteView b, std::size_t at) { return std::uint32_t{b[at]} | std::uint32_t{b[at + 1]} << 8; }
std::uint32_t u32le(ByteView b, std::size_t at) { return u16le(b, at) | u16le(b, at + 2) << 16; }

// Whole when `size(head)` bytes have come, where the head has `head` bytes.
Heard sized(ByteView part, std::size_t head, std::size_t whole) { return part.size() >= head && part.size() >= whole ? Heard::whole : Heard::more; }

// Answers of text protocols share the first word; when a known other one answers, this conversation is over.
Heard other_or_more(ByteView part, std::string_view expected) {
  auto word = recognise(part);
  return word.empty() || word == expected ? Heard::more : Heard::other;
}

Heard http(ByteView part) {
  if (recognise(part) != "http") return other_or_more(part, "http");
  return whole_answer(part, false) ? Heard::whole : Heard::more;
}
Heard rtsp(ByteView part) {
  if (recognise(part) != "rtsp") return other_or_more(part, "rtsp");
  return whole_answer(part, true) ? Heard::whole : Heard::more;
}
Heard sip(ByteView part) {
  if (recognise(part) != "sip") return other_or_more(part, "sip");
  return whole_answer(part, true) ? Heard::whole : Heard::more;
}
Heard ntrip(ByteView part) {
  auto text = as_text(part);
  if (text.starts_with("SOURCETABLE")) return text.find("\r\nENDSOURCETABLE") != npos ? Heard::whole : Heard::more;
  return http(part);
}
Heard line(ByteView part) { return as_text(part).find('\n') != npos ? Heard::whole : Heard::more; }
Heard mqtt(ByteView part) {
  if (part.size() < 4) return Heard::more;
  return part[0] == 0x20 ? Heard::whole : Heard::other;
}
Heard two_bytes(ByteView part) { return sized(part, 2, 2); }
Heard socks4(ByteView part) { return sized(part, 8, 8); }
Heard modbus(ByteView part) { return part.size() < 6 ? Heard::more : sized(part, 6, 6u + get_u16be(&part[4])); }
// TPKT (RFC 1006 section 6)
Heard tpkt(ByteView part) {
  if (!part.empty() && part[0] != 3) return Heard::other;
  return part.size() < 4 ? Heard::more : sized(part, 4, get_u16be(&part[2]));
}
Heard enip(ByteView part) { return part.size() < 24 ? Heard::more : sized(part, 24, 24 + u16le(part, 2)); }
Heard dnp3(ByteView part) {
  if (part.size() >= 2 && (part[0] != 5 || part[1] != 0x64)) return Heard::other;
  return sized(part, 10, 10);
}
Heard iec104(ByteView part) {
  if (!part.empty() && part[0] != 0x68) return Heard::other;
  return part.size() < 2 ? Heard::more : sized(part, 2, 2u + part[1]);
}
Heard slmp(ByteView part) {
  if (!part.empty() && part[0] != 0xd0) return Heard::other;
  return part.size() < 9 ? Heard::more : sized(part, 9, 9 + u16le(part, 7));
}
Heard fox(ByteView part) { return as_text(part).find("};;\n") != npos ? Heard::whole : Heard::more; }
Heard opcua(ByteView part) { return part.size() < 8 ? Heard::more : sized(part, 8, u32le(part, 4)); }
Heard hart(ByteView part) { return part.size() < 8 ? Heard::more : sized(part, 8, get_u16be(&part[6])); }
Heard srtp(ByteView part) { return sized(part, 56, 56); }
Heard lantronix(ByteView part) { return sized(part, 4, 4); }
Heard smb(ByteView part) {
  if (!part.empty() && part[0] != 0) return Heard::other;
  return part.size() < 4 ? Heard::more : sized(part, 4, 4 + (get_u32be(part.data()) & 0xffffff));
}
Heard afp(ByteView part) { return part.size() < 16 ? Heard::more : sized(part, 16, 16u + get_u32be(&part[8])); }
Heard rpc(ByteView part) { return part.size() < 4 ? Heard::more : sized(part, 4, 4 + (get_u32be(part.data()) & 0x7fffffff)); }
Heard x11(ByteView part) {
  if (!part.empty() && part[0] > 2) return Heard::other;
  return part.size() < 8 ? Heard::more : sized(part, 8, 8 + 4 * u16le(part, 6));
}
Heard pptp(ByteView part) { return part.size() < 8 ? Heard::more : sized(part, 8, get_u16be(part.data())); }
Heard adb(ByteView part) { return part.size() < 24 ? Heard::more : sized(part, 24, std::size_t{24} + u32le(part, 12)); }
Heard amqp(ByteView part) {
  if (as_text(part).starts_with("AMQP")) return sized(part, 8, 8);
  if (!part.empty() && part[0] != 1) return Heard::other;
  return part.size() < 7 ? Heard::more : sized(part, 7, std::size_t{8} + get_u32be(&part[3]));
}
Heard mongodb(ByteView part) { return part.size() < 4 ? Heard::more : sized(part, 16, u32le(part, 0)); }

// DESCRIBE is P2, and asks of common camera paths one after the other until one is open.
bool describe(const ScriptSpec& spec, ByteView part, int step) {
  bool open = step > 1 && as_text(part).substr(9, 3) == "200";
  return spec.describe_allowed && !open;
}
// An IPP status below 0x0100 is a success (RFC 8011 appendix B); otherwise a print server may list its queues.
bool ipp_printers(const ScriptSpec&, ByteView part, int) {
  auto text = as_text(part);
  auto body = text.find("\r\n\r\n");
  if (body == npos) return false;
  auto rest = part.subspan(body + 4);
  bool ok = text.substr(9, 3) == "200" && rest.size() >= 4 && get_u16be(&rest[2]) < 0x0100;
  return !ok && find_word(text.substr(0, body), "\r\nconnection: close") == npos;
}
// The list of port mappings goes on while the device names one more.
bool mapping(const ScriptSpec&, ByteView part, int) {
  auto text = as_text(part);
  return text.substr(9, 3) == "200" && find_word(text, "\r\nconnection: close") == npos;
}
bool socks4_granted(const ScriptSpec&, ByteView part, int) { return part[0] == 0 && part[1] == 0x5a; }
// S7: the connection is confirmed, the set-up is acknowledged.
bool s7_accepts(const ScriptSpec&, ByteView part, int step) {
  if (step == 1) return part.size() > 5 && part[5] == 0xd0;
  return part.size() > 8 && part[7] == 0x32;
}
bool hart_accepts(const ScriptSpec&, ByteView part, int) { return part[0] == 1 && part[1] == 1 && part[3] == 0; }

constexpr Exchange table[] = {
    {"http", {"get"}, http},
    {"https", {"get"}, http},
    {"favicon", {"get"}, http},
    {"favicon-tls", {"get"}, http},
    {"cwmp", {"get"}, http},
    {"hnap", {"get"}, http},
    {"version", {"get"}, http},
    {"version-tls", {"get"}, http},
    {"upnp", {"get"}, http},
    {"ntrip", {"get"}, ntrip},
    {"igd", {"mapping-0", "mapping-1", "mapping-2", "mapping-3"}, http, mapping},
    {"ipp", {"attributes", "printers"}, http, ipp_printers},
    {"http-relay", {"get"}, http},
    {"socks4-relay", {"connect", "get"}, socks4, socks4_granted},
    {"socks5", {"greeting"}, two_bytes},
    {"rtsp", {"options", "describe-1", "describe-2", "describe-3", "describe-4"}, rtsp, describe},
    {"sip-tcp", {"options"}, sip},
    {"mqtt", {"connect", "disconnect"}, mqtt, nullptr, true},
    {"amqp", {"header"}, amqp},
    {"redis", {"ping"}, line},
    {"memcached-tcp", {"version"}, line},
    {"mongodb", {"is-master"}, mongodb},
    {"adb", {"connect"}, adb},
    {"smb", {"negotiate"}, smb},
    {"afp", {"get-status"}, afp},
    {"portmap-tcp", {"null"}, rpc},
    {"nfs", {"null"}, rpc},
    {"rdp", {"connect"}, tpkt},
    {"x11", {"setup"}, x11},
    {"pptp", {"start"}, pptp},
    {"modbus", {"identify"}, modbus},
    {"s7", {"connect", "setup", "read-module", "read-component"}, tpkt, s7_accepts},
    {"s7-200", {"connect", "setup", "read-module", "read-component"}, tpkt, s7_accepts},
    {"enip", {"list-identity"}, enip},
    {"dnp3", {"link-status"}, dnp3},
    {"iec104", {"test-frame"}, iec104},
    {"slmp", {"read-type"}, slmp},
    {"fox", {"hello"}, fox},
    {"foxs", {"hello"}, fox},
    {"opcua", {"hello"}, opcua},
    {"hart-ip", {"initiate", "read-identity", "close"}, hart, hart_accepts, true},
    {"ge-srtp", {"start"}, srtp},
    {"lantronix-tcp", {"version"}, lantronix},
};

}  // namespace

const Exchange* exchange_of(std::string_view probe) {
  const auto at = std::find_if(std::begin(table), std::end(table), [&](const Exchange& e) { return e.probe == probe; });
  return at == std::end(table) ? nullptr : &*at;
}

bool whole_answer(ByteView bytes, bool no_body_without_length) {
  auto text = as_text(bytes);
  auto head = text.find("\r\n\r\n");
  if (head == npos) return false;
  auto headers = text.substr(0, head + 2);
  auto length_at = find_word(headers, "\r\ncontent-length:");
  if (length_at != npos) {
    std::size_t n = 0;
    for (std::size_t i = length_at + 17; i < headers.size() && headers[i] != '\r'; ++i)
      if (headers[i] >= '0' && headers[i] <= '9' && n < 1'000'000'000) n = n * 10 + static_cast<std::size_t>(headers[i] - '0');
    return text.size() >= head + 4 + n;
  }
  if (find_word(headers, "\r\ntransfer-encoding: chunked") != npos) return text.ends_with("\r\n0\r\n\r\n");
  if (text.size() > 12 && (text.substr(9, 3) == "304" || text.substr(9, 3) == "204")) return true;
  return no_body_without_length;
}

}  // namespace nora::survey
