// Searches that devices answer: WS-Discovery and ONVIF, SLP, XDMCP, and the makers' own (Apple Remote Desktop, Dahua, Ubiquiti, Plex, SQL
// Server browser) (datagrams.h).
#include <algorithm>

#include "survey/probes/datagrams.h"
#include "survey/probes/http.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;

// The text of the first element with this local name, whatever its prefix: <d:Types x="y">text</d:Types>.
std::string_view xml_text(std::string_view text, std::string_view name) {
  for (auto at = text.find(name); at != npos; at = text.find(name, at + 1)) {
    if (at == 0 || (text[at - 1] != '<' && text[at - 1] != ':')) continue;
    auto rest = text.substr(at + name.size());
    if (rest.empty() || (rest[0] != '>' && rest[0] != ' ' && rest[0] != '\n' && rest[0] != '\t' && rest[0] != '\r')) continue;
    auto open = text.rfind('<', at);
    if (open == npos || (open + 1 < text.size() && text[open + 1] == '/')) continue;
    auto close = rest.find('>');
    if (close == npos) return {};
    if (close > 0 && rest[close - 1] == '/') return {};
    rest.remove_prefix(close + 1);
    return trim(rest.substr(0, rest.find('<')));
  }
  return {};
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size())
      if (auto byte = from_hex(text.substr(i + 1, 2)); byte && byte->size() == 1 && (*byte)[0] >= 0x20) {
        out += static_cast<char>((*byte)[0]);
        i += 2;
        continue;
      }
    out += text[i];
  }
  return out;
}

// WS-Discovery 1.0 section 5.3. Scopes of a camera name hardware and maker's name; where it hangs (location) is not kept.
bool parse_wsd(Parsed& out, const Item& item) {
  bool any = false;
  for (const auto& part : item.parts) {
    const auto text = as_text(part);
    if (text.find("ProbeMatches") == npos || text.find("Envelope") == npos) continue;
    any = true;
    const auto put = [&](std::string_view key, std::string_view value) {
      if (!value.empty() && !out.find(key)) out.add(key, decode_entities(value));
    };
    put("wsd.types", xml_text(text, "Types"));
    put("wsd.xaddrs", xml_text(text, "XAddrs"));
    const auto scopes = xml_text(text, "Scopes");
    for (auto [scope, key] : {std::pair{std::string_view("/hardware/"), std::string_view("wsd.hardware")}, {"/name/", "wsd.name"}}) {
      auto at = scopes.find(scope);
      if (at == npos) continue;
      auto value = scopes.substr(at + scope.size());
      value = value.substr(0, value.find_first_of(" \t\r\n"));
      put(key, percent_decoded(value.substr(0, 128)));
    }
  }
  if (!any) return false;
  out.protocol = "wsd";
  out.add("wsd.matches", "1");
  out.keep_keys_only();
  return true;
}

// No public specification. Observed: more than 1,000 bytes, or a head 0001 and the length of what follows. Of the contents (host name,
// addresses) nothing is kept.
bool parse_ard(Parsed& out, const Item& item) {
  constexpr std::size_t typical_bytes = 1000;
  const auto b = first_datagram(item);
  if (b.size() < typical_bytes && (b.size() < 8 || get_u16be(&b[0]) != 1 || get_u16be(&b[2]) != b.size() - 4)) return false;
  out.protocol = "ard";
  out.add("ard.answered", "1");
  out.keep_keys_only();
  return true;
}

// RFC 2608 section 8, 10.2: service type reply.
bool parse_slp(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto version = r.u8(), function = r.u8();
  r.skip(10);  // length, flags, next extension, transaction id
  auto language = r.u16();
  r.skip(language);
  auto error = r.u16();
  auto n = r.u16();
  if (r.bad() || version != 2 || function != 10) return false;
  out.protocol = "slp";
  if (error != 0) out.add("slp.error", std::to_string(error));
  auto types = clean(r.take(std::min<std::size_t>(n, r.left())), 1024);
  out.add("slp.answered", "1");
  if (!types.empty()) out.add("slp.types", types);
  out.keep_keys_only();
  return true;
}

// The value of "name":"…" or of a number; nothing is unescaped.
std::string_view json_value(std::string_view text, std::string_view name) {
  auto at = text.find('"' + std::string(name) + '"');
  if (at == npos) return {};
  auto rest = trim(text.substr(at + name.size() + 2));
  if (rest.empty() || rest[0] != ':') return {};
  rest = trim(rest.substr(1));
  if (rest.empty() || rest[0] != '"') return rest.substr(0, rest.find_first_of(",}] \r\n"));
  return rest.substr(1, rest.find('"', 1) - 1);
}

// Observed: a header of 32 bytes with "DHIP", then JSON: deviceInfo with type, class, vendor, version. The serial number opens the maker's
// cloud: it is not kept.
bool parse_dhdiscover(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  const auto text = as_text(b);
  const auto brace = text.find('{');
  if (b.size() < 32 || text.substr(4, 4) != "DHIP" || brace == npos || text.find("deviceInfo") == npos) return false;
  const auto json = text.substr(brace);
  out.protocol = "dhdiscover";
  static constexpr std::pair<std::string_view, std::string_view> wanted[] = {
      {"DeviceType", "dvr.model"}, {"DeviceClass", "dvr.class"}, {"Vendor", "dvr.vendor"}, {"Manufacturer", "dvr.manufacturer"}, {"Version", "dvr.version"}, {"mac", "dvr.mac"}};
  for (auto [name, key] : wanted)
    if (auto value = json_value(json, name); !value.empty()) out.add(key, value.substr(0, 128));
  out.keep_keys_only();
  return true;
}

// Observed: version 1, command 0, length, then TLVs: 03 firmware, 0c and 14 model, 01 and 02 MAC. Host name (0b) and network name (0d) are
// not kept.
bool parse_ubiquiti(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto version = r.u8(), command = r.u8();
  auto length = r.u16();
  if (r.bad() || version != 1 || command != 0 || length == 0 || length > r.left()) return false;
  out.protocol = "ubiquiti";
  for (int i = 0; i < 64 && r.left() >= 3; ++i) {
    auto type = r.u8();
    auto n = r.u16();
    auto value = r.take(n);
    if (r.bad()) break;
    const auto put = [&](std::string_view key, std::string text) {
      if (!text.empty() && !out.find(key)) out.add(key, text);
    };
    if (type == 0x03) put("ubiquiti.firmware", clean(value, 128));
    else if (type == 0x0c) put("ubiquiti.product", clean(value, 64));
    else if (type == 0x14) put("ubiquiti.model", clean(value, 64));
    else if ((type == 0x01 || type == 0x02) && n >= 6) put("ubiquiti.mac", to_hex(value.first(6)));
  }
  if (out.keys.empty()) return false;
  out.keep_keys_only();
  return true;
}

// XDMCP section 6: Willing (5) or Unwilling (6). The host's name is not kept.
bool parse_xdmcp(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto version = r.u16(), opcode = r.u16();
  r.u16();
  if (r.bad() || version != 1 || (opcode != 5 && opcode != 6)) return false;
  const auto array = [&] {
    auto n = r.u16();
    return r.take(n);
  };
  if (opcode == 5) array();  // authentication name
  array();                   // host name
  auto status = array();
  if (r.bad()) return false;
  out.protocol = "xdmcp";
  out.add("xdmcp.answer", opcode == 5 ? "willing" : "unwilling");
  if (!status.empty()) out.add("xdmcp.status", clean(status, 128));
  out.keep_keys_only();
  return true;
}

// [MC-SQLR] section 2.2.5: 05, length, then name;value pairs, ";;" between instances. The server's name is not kept.
bool parse_mssql(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (b.size() < 16 || b[0] != 5) return false;
  auto text = as_text(b.subspan(3));
  if (!text.starts_with("ServerName;")) return false;
  int instances = 0;
  std::string_view key;
  out.protocol = "mssql";
  for (std::size_t from = 0; from <= text.size();) {
    auto end = std::min(text.find(';', from), text.size());
    auto word = text.substr(from, end - from);
    from = end + 1;
    if (key.empty()) {
      key = word;
      instances += word == "ServerName";
      continue;
    }
    if (key == "Version" && !out.find("mssql.version")) out.add("mssql.version", word.substr(0, 32));
    if (key == "InstanceName" && !out.find("mssql.instance")) out.add("mssql.instance", word.substr(0, 64));
    if (key == "tcp" && !out.find("mssql.tcp")) out.add("mssql.tcp", word.substr(0, 8));
    key = {};
  }
  out.add("mssql.instances", std::to_string(instances));
  out.keep_keys_only();
  return true;
}

// Observed: an HTTP head. Version and port are kept; the owner's name for the server is not.
bool parse_plex(Parsed& out, const Item& item) {
  auto http = read_http(first_datagram(item));
  const auto* type = http ? http->header("content-type") : nullptr;
  if (!type || !type->starts_with("plex/media-server")) return false;
  out.protocol = "plex";
  if (const auto* version = http->header("version")) out.add("plex.version", version->substr(0, 64));
  if (const auto* port = http->header("port")) out.add("plex.port", port->substr(0, 8));
  out.add("plex.answered", "1");
  out.keep_keys_only();
  return true;
}

}  // namespace

std::span<const DatagramParser> discovery_parsers() {
  static constexpr DatagramParser all[] = {{"wsd", parse_wsd},           {"wsd-onvif", parse_wsd},   {"ard", parse_ard},
                                           {"slp", parse_slp},           {"dhdiscover", parse_dhdiscover}, {"ubiquiti", parse_ubiquiti},
                                           {"xdmcp", parse_xdmcp},       {"mssql-browser", parse_mssql}, {"plex", parse_plex}};
  return all;
}

}  // namespace nora::survey
