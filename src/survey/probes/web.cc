#include "survey/probes/web.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/ip.h"
#include "survey/probes/http.h"
#include "survey/probes/icons.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;

// The value of "name": "…" in a JSON text; the first one. No nesting is understood: these documents are flat where it matters.
std::string json_text(std::string_view body, std::string_view name) {
  auto at = body.find("\"" + std::string(name) + "\"");
  if (at == npos) return {};
  at = body.find_first_not_of(" \t\r\n:", at + name.size() + 2);
  if (at == npos || body[at] != '"') return {};
  auto end = body.find('"', at + 1);
  return std::string(body.substr(at + 1, end == npos ? npos : end - at - 1));
}

std::string xml_text(std::string_view body, std::string_view tag) {  // tag: lower case
  auto open = find_word(body, "<" + std::string(tag) + ">");
  if (open == npos) return {};
  auto from = open + tag.size() + 2;
  auto end = body.find('<', from);
  return end == npos ? std::string() : decode_entities(trim(body.substr(from, end - from)));
}

void add_some(Parsed& out, std::string_view key, const std::string& value) {
  if (!value.empty()) out.add(key, value);
}

// Inside a home: private, link-local or loopback (RFC 1918, RFC 3927, RFC 4193, RFC 4291), or no address at all.
bool inside(std::string_view text) {
  auto ip = Ip::parse(text);
  if (!ip) return true;
  static constexpr std::string_view blocks[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "0.0.0.0/32", "fc00::/7", "fe80::/10", "::1/128"};
  for (auto block : blocks)
    if (Prefix::parse(block)->contains(*ip)) return true;
  return false;
}

}  // namespace

void add_app(Parsed& out, const HttpResponse& r) {
  if (r.status != 200 || trim(std::string_view(r.body).substr(0, 16)).substr(0, 1) != "{") return;
  if (r.body.find("You Know, for Search") != std::string::npos) {
    out.add("http.app", "elasticsearch");
    add_some(out, "http.app_version", json_text(r.body, "number"));
  } else if (r.body.find("\"couchdb\"") != std::string::npos) {
    out.add("http.app", "couchdb");
    add_some(out, "http.app_version", json_text(r.body, "version"));
  }
}

bool parse_favicon(Parsed& out, ByteView answer) {
  auto r = read_http(answer);
  if (!r || r->status != 200 || r->body.size() < 8) return false;
  if (!is_icon(r->body)) return false;
  if (const auto* length = r->header("content-length"); length && *length != std::to_string(r->body.size())) return false;  // cut: another hash
  out.protocol = "favicon";
  add_icon(out, as_bytes(r->body));
  out.keep_keys_only();
  return true;
}

bool parse_hnap(Parsed& out, ByteView answer) {
  auto r = read_http(answer);
  if (!r || find_word(r->body, "getdevicesettingsresult") == npos) return false;
  out.protocol = "hnap";
  out.add("http.status", std::to_string(r->status));
  static constexpr std::pair<std::string_view, std::string_view> wanted[] = {{"vendorname", "hnap.vendor"},
                                                                             {"modelname", "hnap.model"},
                                                                             {"modeldescription", "hnap.description"},
                                                                             {"firmwareversion", "hnap.firmware"},
                                                                             {"type", "hnap.type"}};
  for (auto [tag, key] : wanted) add_some(out, key, xml_text(r->body, tag));
  out.keep_keys_only();
  return true;
}

bool parse_cwmp(Parsed& out, const Item& item) {
  auto r = item.parts.empty() ? std::nullopt : read_http(item.parts[0]);
  if (!r) return false;
  out.protocol = "cwmp";
  without_pictures(out, *r);
  add_http(out, *r, item);
  out.redirect.clear();
  out.bytes = stable_http(*r);
  return true;
}

bool parse_version(Parsed& out, ByteView answer) {
  auto r = read_http(answer);
  if (!r) return false;
  if (r->status == 200 && !json_text(r->body, "ApiVersion").empty()) {
    out.protocol = "docker";
    add_some(out, "docker.version", json_text(r->body, "Version"));
    add_some(out, "docker.api", json_text(r->body, "ApiVersion"));
    add_some(out, "docker.os", json_text(r->body, "Os"));
    add_some(out, "docker.arch", json_text(r->body, "Arch"));
  } else if (r->status == 200 && !json_text(r->body, "gitVersion").empty()) {
    out.protocol = "kubernetes";
    out.add("kubernetes.access", "open");
    add_some(out, "kubernetes.version", json_text(r->body, "gitVersion"));
    add_some(out, "kubernetes.platform", json_text(r->body, "platform"));
  } else if ((r->status == 401 || r->status == 403) && json_text(r->body, "kind") == "Status") {
    out.protocol = "kubernetes";
    out.add("kubernetes.access", "protected");
  } else {
    return false;
  }
  out.keep_keys_only();
  return true;
}

bool parse_ntrip(Parsed& out, ByteView answer) {
  auto text = as_text(answer);
  const bool old = text.starts_with("SOURCETABLE");
  auto r = old ? read_http(as_bytes("HTTP/1.0" + std::string(text.substr(std::min(text.size(), std::string_view("SOURCETABLE").size()))))) : read_http(answer);
  if (!r) return false;
  const auto* type = r->header("content-type");
  if (!old && !(type && begins_word(*type, "gnss/sourcetable"))) return false;
  out.protocol = "ntrip";
  out.add("ntrip.version", old ? "1" : "2");
  if (const auto* server = r->header("server")) out.add("ntrip.server", *server);
  std::size_t streams = 0;
  const std::string body = "\n" + r->body;
  for (auto at = body.find("\nSTR;"); at != std::string::npos; at = body.find("\nSTR;", at + 1)) ++streams;
  out.add("ntrip.streams", std::to_string(streams));
  out.keep_keys_only();
  return true;
}

bool parse_igd(Parsed& out, const Item& item) {
  int mappings = 0, foreign = 0;
  std::string end;
  for (const auto& part : item.parts) {
    auto r = read_http(part);
    if (!r) break;
    if (r->status == 200 && find_word(r->body, "newinternalclient") != npos) {
      ++mappings;
      if (!inside(xml_text(r->body, "newinternalclient"))) ++foreign;
      continue;
    }
    if (auto code = xml_text(r->body, "errorcode"); !code.empty() && code.find_first_not_of("0123456789") == std::string::npos) end = code.substr(0, 4);
    break;
  }
  if (mappings == 0 && end.empty()) return false;
  out.protocol = "igd";
  out.add("igd.mappings", std::to_string(mappings));
  out.add("igd.foreign", std::to_string(foreign));
  add_some(out, "igd.error", end);  // 713: the list ends; 606: not authorised (UPnP WANIPConnection:1 section 2.4.14)
  out.keep_keys_only();
  return true;
}

}  // namespace nora::survey
