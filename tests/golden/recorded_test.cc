// Recorded bytes of the demo world's real servers (Debian packages, one line per conversation) through the reply parsers, the fingerprints and
// the exposure rules. The expected values are the table of neighbourhood/devices.md, kept in src/identify/testdata/faces.ndjson.
// Record again with plain sockets in the world's scan namespace when a face changes; the relay proof (P3) is not among the recordings.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "expose/evaluate.h"
#include "identify/testdata/faces.h"
#include "survey/probes/parse.h"

namespace nora {
namespace {

struct Recorded {
  identify::Service where;
  survey::Parsed parsed;
  std::int64_t request_bytes = 0, reply_bytes = 0;
};

std::map<std::string, std::vector<Recorded>> recorded() {
  std::map<std::string, std::vector<Recorded>> out;
  std::ifstream in(std::string(NORA_SOURCE_DIR) + "/tests/golden/recorded.ndjson");
  for (std::string line; std::getline(in, line);) {
    const auto o = json::parse_object(line).value();
    survey::Item item{json::string_or(o, "probe"), json::string_or(o, "ip"), static_cast<std::uint16_t>(json::int_or(o, "port", 0)), {}};
    for (const auto& part : o.at("parts").as_array()) item.parts.push_back(from_hex(part.as_string().c_str()).value());
    out[item.ip].push_back({{Port{item.port}, parse_proto(json::string_or(o, "proto")).value()}, survey::parse(item), json::int_or(o, "req", 0), json::int_or(o, "rep", 0)});
  }
  return out;
}

TEST(Recorded, RealServersAreNamedAndFound) {
  const std::string data = std::string(NORA_SOURCE_DIR) + "/data";
  const auto rules = identify::RuleSet::load({data + "/fingerprints"}).value();
  const auto exposures = expose::Rules::load(data + "/exposures").value();
  identify::Matcher matcher(rules);
  const auto hosts = recorded();
  ASSERT_EQ(hosts.size(), 22u);
  std::vector<identify::Sample> samples;
  for (const auto& face : identify::testing::load_faces()) {
    ASSERT_TRUE(hosts.contains(face.ip)) << face.device;
    std::vector<identify::Evidence> evidence;
    identify::Sample sample{static_cast<registry::Id>(samples.size() + 1), {}, {}};
    for (const auto& r : hosts.at(face.ip)) {
      EXPECT_NE(r.parsed.protocol, "") << face.device << " port " << r.where.port.value;
      evidence.push_back({r.where, identify::statements_of(matcher, r.parsed.keys)});
      sample.replies.push_back({r.where, r.parsed.protocol, r.parsed.keys});
    }
    const auto devices = identify::fuse(evidence);
    ASSERT_EQ(devices.size(), 1u) << face.device;
    const auto& identity = devices[0].identity;
    EXPECT_EQ(identity.vendor.value, face.vendor) << face.device;
    EXPECT_EQ(identity.product.value, face.product) << face.device;
    EXPECT_EQ(identity.firmware.value, face.firmware) << face.device;
    EXPECT_EQ(identity.type.value, face.type) << face.device;
    EXPECT_TRUE(devices[0].conflicts.empty()) << face.device << ": " << devices[0].conflicts[0];
    sample.identity = identity;
    samples.push_back(std::move(sample));

    expose::Subject subject{identity, {}};
    for (const auto& r : hosts.at(face.ip))
      subject.seen.push_back({{Ip::parse(face.ip).value(), r.where.port, r.where.proto, {}}, r.parsed.protocol, r.parsed.keys, r.request_bytes, r.reply_bytes, "recorded", false});
    std::vector<std::string> found, expected = face.exposures;
    for (const auto& hit : expose::evaluate(exposures, subject)) {
      found.push_back(hit.rule->id);
      if (hit.rule->amplifies) { EXPECT_TRUE(hit.amplification && *hit.amplification > 1) << face.device << " " << hit.rule->id; }
    }
    std::erase(expected, "open-http-proxy");
    std::sort(found.begin(), found.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(found, expected) << face.device;
  }
  const auto clusters = identify::clusters(samples);
  ASSERT_EQ(clusters.size(), 1u);
  EXPECT_EQ(clusters[0].members.size(), 4u);
}

}  // namespace
}  // namespace nora
