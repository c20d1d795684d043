// The faces of neighbourhood/devices.md as the reply parsers give them, one device a line in faces.ndjson. For tests of identify and expose.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "identify/cluster.h"

namespace nora::identify::testing {

struct Face {
  std::string device, ip, vendor, product, firmware, type;
  std::vector<std::string> exposures;
  struct Reply {
    Service where;
    std::string protocol;
    std::vector<registry::KeyValue> keys;
    std::int64_t request_bytes = 0, reply_bytes = 0;
  };
  std::vector<Reply> replies;
};

inline std::vector<Face> load_faces() {
  std::ifstream in(std::string(NORA_SOURCE_DIR) + "/src/identify/testdata/faces.ndjson");
  std::vector<Face> out;
  for (std::string line; std::getline(in, line);) {
    const auto o = json::parse_object(line).value();
    Face face;
    face.device = json::string_or(o, "device");
    face.ip = json::string_or(o, "ip");
    face.vendor = json::string_or(o, "vendor");
    face.product = json::string_or(o, "product");
    face.firmware = json::string_or(o, "firmware");
    face.type = json::string_or(o, "type");
    for (const auto& e : o.at("exposures").as_array()) face.exposures.emplace_back(e.as_string().c_str());
    for (const auto& s : o.at("services").as_array()) {
      const auto& so = s.as_object();
      Face::Reply reply;
      reply.where = {Port{static_cast<std::uint16_t>(json::int_or(so, "port", 0))}, parse_proto(json::string_or(so, "proto")).value()};
      reply.protocol = json::string_or(so, "protocol");
      reply.request_bytes = json::int_or(so, "request_bytes", 0);
      reply.reply_bytes = json::int_or(so, "reply_bytes", 0);
      for (const auto& kv : so.at("keys").as_array()) reply.keys.push_back({kv.at(0).as_string().c_str(), kv.at(1).as_string().c_str()});
      face.replies.push_back(std::move(reply));
    }
    out.push_back(std::move(face));
  }
  return out;
}

inline std::vector<Evidence> evidence_of(Matcher& matcher, const Face& face) {
  std::vector<Evidence> out;
  for (const auto& reply : face.replies) out.push_back({reply.where, statements_of(matcher, reply.keys)});
  return out;
}

inline Sample sample_of(const Face& face, registry::Id id, registry::Identity identity) {
  Sample sample{id, std::move(identity), {}};
  for (const auto& reply : face.replies) sample.replies.push_back({reply.where, reply.protocol, reply.keys});
  return sample;
}

}  // namespace nora::identify::testing
