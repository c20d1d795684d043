#include "identify/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "base/crypto.h"
#include "base/escape.h"
#include "identify/cluster_faces.h"

namespace nora::identify {

namespace {

bool is_hex_run(std::string_view w) {
  return w.size() >= 6 && std::all_of(w.begin(), w.end(), [](char c) { return std::isxdigit(static_cast<unsigned char>(c)); }) &&
         std::any_of(w.begin(), w.end(), [](char c) { return std::isdigit(static_cast<unsigned char>(c)); });
}

// feature -> first value in a fixed order (services ascending), so that two web ports do not make the key depend on reply order.
std::map<std::string, std::string> features_of(const Sample& sample) {
  std::vector<const Sample::Reply*> order;
  for (const auto& reply : sample.replies) order.push_back(&reply);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return std::tie(a->where, a->protocol) < std::tie(b->where, b->protocol); });
  std::map<std::string, std::string> out;
  for (const auto* reply : order) {
    auto keys = reply->keys;
    std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return std::tie(a.key, a.value) < std::tie(b.key, b.value); });
    for (const auto& kv : keys) if (!kv.value.empty()) out.try_emplace(kv.key, kv.value.substr(0, max_feature_bytes));
  }
  return out;
}

std::set<Service> ports_of(const Sample& sample) {
  std::set<Service> out;
  for (const auto& reply : sample.replies) out.insert(reply.where);
  return out;
}

}  // namespace

const std::vector<Face>& faces() {
  static const std::vector<Face> all = {
      {"http", {"html_title", "http_header.server", "http_header.wwwauth", "http.body_shape"}},
      {"upnp", {"upnp.manufacturer", "upnp.model_name", "upnp.device_type"}},
      {"telnet", {"telnet_banners"}},
      {"tls", {"x509.shape"}},
      {"ftp", {"ftp.banner"}},
      {"coap", {"coap.core"}},
      {"ipp", {"ipp.make_and_model"}},
      {"modbus", {"modbus.device_id"}},
      {"snmp", {"snmp.sys_description"}},
      {"ssh", {"ssh.banner"}},
      {"rtsp", {"rtsp_header.server"}},
      {"ntp", {"ntp.readvar"}},
      {"ssdp", {"ssdp.server"}},
      // One answer that says what it is, by protocols of their own.
      {"enip", {"enip.vendor_id", "enip.product_name"}},
      {"bacnet", {"bacnet.vendor", "bacnet.model"}},
      {"s7", {"s7.module"}},
      {"fins", {"fins.model"}},
      {"slmp", {"slmp.cpu"}},
      {"fox", {"fox.brand", "fox.app"}},
      {"knx", {"knx.name"}},
      {"hnap", {"hnap.vendor", "hnap.model"}},
      {"dvr", {"dvr.vendor", "dvr.class", "dvr.model"}},
      {"wsd", {"wsd.types", "wsd.hardware"}},
      {"sip", {"sip_header.server", "sip_header.user_agent"}},
      {"ubiquiti", {"ubiquiti.product", "ubiquiti.model"}},
      {"moxa", {"moxa.model"}},
      {"adb", {"adb.product", "adb.model"}},
      {"pptp", {"pptp.vendor", "pptp.firmware"}},
      {"l2tp", {"l2tp.vendor", "l2tp.firmware"}},
      {"dns", {"dns.version_bind"}},
      {"favicon", {"favicon.sha256"}},
  };
  return all;
}

std::string masked(std::string_view text) {
  text = text.substr(0, max_feature_bytes);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (std::isalnum(c)) {
      std::size_t end = i;
      while (end < text.size() && std::isalnum(static_cast<unsigned char>(text[end]))) ++end;
      const auto word = text.substr(i, end - i);
      if (is_hex_run(word)) {
        out += '#';
      } else {
        for (const char w : word) {
          if (std::isdigit(static_cast<unsigned char>(w))) { if (out.empty() || out.back() != '#') out += '#'; }
          else out += static_cast<char>(std::tolower(static_cast<unsigned char>(w)));
        }
      }
      i = end;
    } else if (std::isspace(c)) {
      if (!out.empty() && out.back() != ' ') out += ' ';
      ++i;
    } else {
      out += text[i++];
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string face_text(std::string_view feature, std::string_view value) {
  // A shape is a hash: it stays as it is.
  return feature == "http.body_shape" ? std::string(value) : masked(value);
}

std::string face_key(std::string_view face, std::string_view text) {
  return "c-" + to_hex(sha256(as_bytes(std::string(face) + "\n" + std::string(text)))).substr(0, 10);
}

const std::string& face_version() {
  static const std::string version = [] {
    std::string text;
    for (const auto& face : faces()) {
      text += face.name;
      for (const auto feature : face.features) text += " " + std::string(feature);
      text += "\n";
    }
    return fmt::format("{}-{}", masking_version, to_hex(sha256(as_bytes(text))).substr(0, 12));
  }();
  return version;
}

bool is_cluster_key(std::string_view key) {
  return key.size() == 12 && key.starts_with("c-") && key.substr(2).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string cluster_key(const Sample& sample) {
  if (sample.identity.product_known()) return {};
  const auto features = features_of(sample);
  for (const auto& face : faces()) {
    std::string text;
    for (const auto feature : face.features) {
      const auto it = features.find(std::string(feature));
      if (it != features.end()) text += std::string(feature) + "=" + face_text(feature, it->second) + "\n";
    }
    if (!text.empty()) return face_key(face.name, text);
  }
  return {};
}

std::vector<Cluster> clusters(std::span<const Sample> samples, std::size_t min_members) {
  std::map<std::string, std::vector<const Sample*>> groups;
  for (const auto& sample : samples) if (auto key = cluster_key(sample); !key.empty()) groups[key].push_back(&sample);
  std::vector<Cluster> out;
  for (auto& [key, members] : groups) {
    if (members.size() < min_members) continue;
    std::sort(members.begin(), members.end(), [](auto* a, auto* b) { return a->device < b->device; });
    Cluster cluster;
    cluster.key = key;
    std::map<std::string, std::set<std::string>> values;  // "" = some member does not show it
    std::map<std::string, std::size_t> shown;
    std::optional<std::set<Service>> common;
    for (const auto* member : members) {
      cluster.members.push_back(member->device);
      for (auto& [feature, value] : features_of(*member)) { values[feature].insert(value); ++shown[feature]; }
      auto ports = ports_of(*member);
      if (!common) { common = std::move(ports); continue; }
      std::erase_if(*common, [&](const Service& s) { return !ports.contains(s); });
    }
    for (auto& [feature, set] : values) {
      if (set.size() == 1 && shown[feature] == members.size()) { cluster.shared[feature] = *set.begin(); continue; }
      auto& list = cluster.differs[feature];
      list.assign(set.begin(), set.end());
      if (shown[feature] < members.size()) list.insert(list.begin(), "");
    }
    cluster.ports.assign(common->begin(), common->end());
    out.push_back(std::move(cluster));
  }
  std::sort(out.begin(), out.end(), [](const Cluster& a, const Cluster& b) { return a.members.size() != b.members.size() ? a.members.size() > b.members.size() : a.key < b.key; });
  return out;
}

}  // namespace nora::identify
