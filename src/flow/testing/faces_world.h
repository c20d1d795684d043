// What the tests of flow and nora-test-fill share: the demo's faces as a survey would have stored them, and the shipped knowledge. Loaded once.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/escape.h"
#include "flow/knowledge.h"
#include "identify/testdata/faces.h"
#include "registry/registry.h"

namespace nora::flow::testing {

inline const std::vector<identify::testing::Face>& faces() {
  static const auto all = identify::testing::load_faces();
  return all;
}
inline const identify::testing::Face& face(std::string_view device) {
  for (const auto& f : faces()) if (f.device == device) return f;
  throw std::runtime_error("no such face");
}
inline std::shared_ptr<const Knowledge> shipped() {
  static const auto knowledge = Knowledge::load({std::string(NORA_SOURCE_DIR) + "/data", {}, {}}).value();
  return knowledge;
}

// One reply of a face at an address; probe = protocol.
inline registry::ReplyRecord record_of(const identify::testing::Face::Reply& reply, Ip at_ip, Instant at, std::string_view segment) {
  registry::ReplyRecord r;
  r.reply.protocol = reply.protocol;
  r.reply.keys = reply.keys;
  std::string text;
  for (const auto& kv : reply.keys) text += kv.key + "=" + kv.value + "\n";
  r.reply.bytes = to_bytes(text);
  r.reply.hash = r.seen.reply_hash = registry::reply_hash(reply.protocol, r.reply.bytes);
  r.seen.where = {at_ip, reply.where.port, reply.where.proto, at};
  r.seen.probe = reply.protocol;
  r.seen.segment = segment;
  r.seen.request_bytes = reply.request_bytes;
  r.seen.reply_bytes = reply.reply_bytes;
  return r;
}

}  // namespace nora::flow::testing
