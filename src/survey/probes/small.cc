#include "survey/probes/small.h"

#include <algorithm>

#include "survey/probes/http.h"
#include "survey/probes/reader.h"

namespace nora::survey {

bool parse_mqtt(Parsed& out, ByteView bytes) {
  // CONNACK: 0x20, remaining length 2, flags, return code (MQTT 3.1.1 section 3.2); MQTT 5 servers may answer longer.
  if (bytes.size() < 4 || bytes[0] != 0x20 || bytes[1] < 2 || bytes[1] > 127 || (bytes[2] & 0xfe) != 0) return false;
  out.protocol = "mqtt";
  out.add("mqtt.connack", std::to_string(bytes[3]));
  out.bytes.assign(bytes.begin(), bytes.begin() + 4);
  return true;
}

bool parse_socks5(Parsed& out, ByteView bytes) {
  if (bytes.size() != 2 || bytes[0] != 5) return false;
  out.protocol = "socks5";
  out.add("socks5.method", to_hex(bytes.subspan(1, 1)));
  out.bytes.assign(bytes.begin(), bytes.end());
  return true;
}

bool parse_modbus(Parsed& out, ByteView bytes) {
  Reader r(bytes);
  auto transaction = r.u16();
  auto protocol = r.u16();
  auto length = r.u16();
  auto unit = r.u8();
  auto function = r.u8();
  if (r.bad() || transaction != 1 || protocol != 0 || length < 3 || length > 254 || (function & 0x7f) != 0x2b) return false;
  out.protocol = "modbus";
  out.bytes.assign(bytes.begin(), bytes.begin() + std::min<std::size_t>(bytes.size(), 6u + length));
  out.add("modbus.unit", std::to_string(unit));
  if (function & 0x80) {
    auto code = r.u8();
    if (!r.bad()) out.add("modbus.exception", to_hex(Bytes{code}));
    return true;
  }
  auto type = r.u8();
  auto level = r.u8();
  auto conformity = r.u8();
  r.u8();  // more follows
  r.u8();  // next object
  auto count = r.u8();
  if (r.bad() || type != 14 || level != 1) return true;
  out.add("modbus.conformity", std::to_string(conformity));
  std::string object[3];
  for (int i = 0; i < count && !r.bad(); ++i) {
    auto id = r.u8();
    auto size = r.u8();
    auto value = r.take(size);
    if (!r.bad() && id < 3) object[id] = trim(as_text(value));
  }
  out.add("modbus.device_id", object[0] + "|" + object[1] + "|" + object[2]);
  return true;
}

namespace {

// Status line and headers of one RTSP answer (RFC 2326 section 7): the same shape as HTTP's.
std::optional<HttpResponse> read_rtsp(ByteView bytes) {
  auto text = as_text(bytes);
  if (!text.starts_with("RTSP/")) return std::nullopt;
  return read_http(as_bytes("HTTP/" + std::string(text.substr(5))));
}

}  // namespace

bool parse_rtsp(Parsed& out, const Item& item) {
  if (item.parts.empty()) return false;
  auto options = read_rtsp(item.parts[0]);
  if (!options) return false;
  out.protocol = "rtsp";
  out.add("rtsp.status", std::to_string(options->status));
  if (const auto* server = options->header("server")) out.add("rtsp_header.server", *server);
  if (const auto* methods = options->header("public")) out.add("rtsp.public", *methods);
  if (const auto* auth = options->header("www-authenticate")) out.add("rtsp.wwwauth", without_nonce(*auth));
  out.bytes = stable_http(*options);
  // Of several paths the most telling answer counts: 200 (open), then 401 (closed by a password), then the rest.
  int best = 0;
  for (std::size_t i = 1; i < item.parts.size(); ++i) {
    auto describe = read_rtsp(item.parts[i]);
    if (!describe) continue;
    auto worth = [](int s) { return s == 200 ? 3 : s == 401 ? 2 : s > 0 ? 1 : 0; };
    if (worth(describe->status) <= worth(best)) continue;
    best = describe->status;
    std::erase_if(out.keys, [](const auto& k) { return k.key == "rtsp.describe_status" || k.key == "rtsp.sdp_name"; });
    out.add("rtsp.describe_status", std::to_string(best));
    if (best == 401 && !out.find("rtsp.wwwauth"))
      if (const auto* auth = describe->header("www-authenticate")) out.add("rtsp.wwwauth", without_nonce(*auth));
    std::string_view body = describe->body;
    for (std::size_t at = 0; best == 200 && at < body.size();) {
      auto end = body.find('\n', at);
      auto row = body.substr(at, end == std::string_view::npos ? std::string_view::npos : end - at);
      if (row.starts_with("s=")) {
        out.add("rtsp.sdp_name", trim(row.substr(2)));
        break;
      }
      if (end == std::string_view::npos) break;
      at = end + 1;
    }
  }
  if (best != 0) {
    auto row = "\r\nDESCRIBE " + std::to_string(best) + "\r\n";  // the SDP carries a session id that changes: the status is what counts
    out.bytes.insert(out.bytes.end(), row.begin(), row.end());
  }
  return true;
}

bool parse_ipp(Parsed& out, const Item& item) {
  bool any = false;
  for (const auto& part : item.parts) {
    auto http = read_http(part);
    if (!http) continue;
    Reader r(as_bytes(http->body));
    auto major = r.u8();
    r.u8();
    auto status = r.u16();
    r.u32();  // request id
    if (r.bad() || major < 1 || major > 2) continue;
    if (!any) {
      out.protocol = "ipp";
      if (const auto* server = http->header("server")) out.add("http_header.server", *server);
    }
    any = true;
    if (status >= 0x0100) continue;  // an IPP error: no attributes worth reading
    std::string name;
    while (!r.done() && !r.bad()) {
      auto tag = r.u8();
      if (tag < 0x10) {  // a group delimiter; 3 = end of attributes (RFC 8010 section 3.5.1)
        if (tag == 3) break;
        continue;
      }
      auto name_size = r.u16();
      auto n = r.take(name_size);
      auto value_size = r.u16();
      auto value = r.take(value_size);
      if (r.bad()) break;
      if (name_size > 0) name = as_text(n);
      static constexpr std::pair<std::string_view, std::string_view> wanted[] = {{"printer-make-and-model", "ipp.make_and_model"},
                                                                                 {"printer-name", "ipp.printer_name"},
                                                                                 {"printer-info", "ipp.printer_info"},
                                                                                 {"printer-firmware-string-version", "ipp.firmware"},
                                                                                 {"printer-device-id", "ipp.device_id"}};
      for (auto [attribute, key] : wanted)
        if (name == attribute && !out.find(key)) out.add(key, trim(as_text(value)));
      if (name == "printer-state" && value.size() == 4 && !out.find("ipp.state"))
        out.add("ipp.state", std::to_string(get_u32be(value.data())));
    }
  }
  if (!any) return false;
  std::string text;
  for (const auto& k : out.keys)
    text += k.key == "ipp.state" ? "" : k.key + ": " + k.value + "\n";  // uptime and dates of the raw answer vary
  out.bytes = to_bytes(text);
  return true;
}

namespace {

// The control address of the gateway's connection service (UPnP Device Architecture 1.1 section 2.3), on the same host and port only.
void find_control(Parsed& out, std::string_view body) {
  static constexpr std::string_view services[] = {"wanipconnection:1<", "wanipconnection:2<", "wanpppconnection:1<"};  // as in words.h
  for (std::size_t i = 0; i < std::size(services); ++i) {
    const auto at = find_word(body, "urn:schemas-upnp-org:service:" + std::string(services[i]));
    if (at == std::string_view::npos) continue;
    const auto service = body.substr(at, find_word(body, "</service>", at) - at);
    const auto open = find_word(service, "<controlurl>");
    if (open == std::string_view::npos) continue;
    const auto from = open + std::string_view("<controlurl>").size();
    std::string path(trim(service.substr(from, service.find('<', from) - from)));
    if (path.empty() || path.size() > 255 || path.find("://") != std::string::npos || path.starts_with("//")) continue;
    if (path[0] != '/') path.insert(path.begin(), '/');
    if (std::any_of(path.begin(), path.end(), [](char c) { return c <= ' ' || c > '~' || c == '#' || c == '?'; })) continue;
    out.control_path = path;
    out.control_service = static_cast<std::uint8_t>(i + 1);
    return;
  }
}

}  // namespace

bool parse_upnp(Parsed& out, const Item& item) {
  if (item.parts.empty()) return false;
  auto http = read_http(item.parts[0]);
  if (!http || http->status != 200 || find_word(http->body, "<devicetype") == std::string_view::npos) return false;
  out.protocol = "upnp";
  if (const auto* server = http->header("server")) out.add("http_header.server", *server);
  static constexpr std::pair<std::string_view, std::string_view> wanted[] = {{"devicetype", "upnp.device_type"},
                                                                             {"friendlyname", "upnp.friendly_name"},
                                                                             {"manufacturer", "upnp.manufacturer"},
                                                                             {"modelname", "upnp.model_name"},
                                                                             {"modelnumber", "upnp.model_number"},
                                                                             {"modeldescription", "upnp.model_description"},
                                                                             {"serialnumber", "upnp.serial"},
                                                                             {"udn", "upnp.udn"},
                                                                             {"presentationurl", "upnp.presentation_url"}};
  for (auto [tag, key] : wanted) {  // the first one: the root device; embedded devices follow
    auto open = find_word(http->body, "<" + std::string(tag) + ">");
    if (open == std::string_view::npos) continue;
    auto from = open + tag.size() + 2;
    auto end = http->body.find('<', from);
    if (end == std::string::npos) continue;
    auto value = decode_entities(trim(std::string_view(http->body).substr(from, end - from)));
    if (!value.empty()) out.add(key, value);
  }
  find_control(out, http->body);
  out.bytes = stable_http(*http);
  return true;
}

}  // namespace nora::survey
