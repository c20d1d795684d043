// The center's vocabulary: reply, observation, segment, sighting, identification, device, finding. Plain data, no behaviour.
// Used by survey, sense, identify, expose, cases, flow, desk. The queries on them are in registry/registry.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"

namespace nora::registry {

using Id = std::int64_t;  // row id; 0 = not stored yet

// What a device said, split into recog-style match keys by the jailed parser. Values are untrusted bytes.
// Keys: recog's (http_header.server, http_header.wwwauth, html_title, ssh.banner, ftp.banner, telnet_banners, snmp.sys_description, sip_header.server,
// rtsp_header.server, x509.subject, …) and Nora's own (upnp.manufacturer, upnp.model_name, upnp.model_number, upnp.friendly_name, upnp.device_type,
// snmpv3.engine_id, mqtt.connack, coap.core, ipp.make_and_model, modbus.device_id, ntp.readvar, dns.version_bind, rfb.version, socks5.method, …).
struct KeyValue {
  std::string key;
  std::string value;
  bool operator==(const KeyValue&) const = default;
};

// Stored once by hash, however often it is seen. hash = SHA-256(protocol || 0 || bytes), bytes = the transcript without what varies per connection.
struct Reply {
  Hash hash{};
  std::string protocol;          // what answered: http, https, telnet, ssh, ftp, rtsp, dns, ntp, snmpv3, ssdp, coap, mqtt, rfb, socks5, http_proxy, modbus, ipp, upnp, tcp (open, silent), …
  Bytes bytes;
  std::vector<KeyValue> keys;
  bool operator==(const Reply&) const = default;
};

struct Observation {
  Id id = 0;
  Endpoint where;                // at = instant of the answer
  Span at_error{};               // error bound of `at`
  Hash reply_hash{};
  std::string probe;             // id in the probe catalogue
  std::string segment;           // id of the segment that proves the probe
  std::int64_t request_bytes = 0;  // for the amplification factor
  std::int64_t reply_bytes = 0;
};

enum class SegmentState { reserved, sent, committed };
struct Segment {
  std::string id;                // "<survey>/<number>"
  std::string survey;
  std::int64_t number = 0;
  std::uint64_t from = 0, to = 0;  // index range [from, to) of the permutation
  SegmentState state = SegmentState::reserved;
  std::string lease_owner;
  std::int64_t fence = 0;        // fencing token, rises with every lease
  Instant lease_until;
  std::int64_t sent = 0;
  Hash file_hash{};
};

// Somebody's sensor saw this address attack.
struct Sighting {
  Id id = 0;
  Ip ip;
  Instant first, last;
  std::string sensor;            // "darknet:demo"
  std::string kind;              // mirai, scan, backscatter, …
  std::string verdict;           // confirmed | suspected | excluded (observation.md section 3)
  std::int64_t packets = 0, destinations = 0;
  std::vector<std::uint16_t> ports;
  // At least three sample packets with source port and microsecond time, for lookups on shared addresses.
  struct Sample { Instant at; std::uint16_t source_port; std::uint16_t dest_port; };
  std::vector<Sample> samples;
};

// One field of a device with its confidence and the statements that support it.
struct Claim {
  std::string value;
  double confidence = 0;         // 0..1
  std::vector<std::string> evidence;  // "http_header.server on 80/tcp: rule nora:aterm-realm"
};
struct Identity {
  Claim vendor, product, firmware, type;
  // CPE names as the fingerprints state them (recog writes the 2.2 form; a version "-" there means unknown): of the device itself, and of software
  // that was seen on it. Not parsed here.
  std::vector<std::string> cpes, components;
  std::string display() const;   // "NEC Aterm WG1200" or "" when nothing is known
  bool product_known() const { return !product.value.empty() && product.confidence >= 0.6; }
};

enum class Pattern : char { A = 'A', B = 'B', C = 'C', D = 'D' };  // the framework's four attack patterns
enum class Severity { info, low, medium, high, critical };
std::string_view name(Severity severity);
Result<Severity> parse_severity(std::string_view text);

struct Device {
  Id id = 0;
  Identity identity;
  std::string cluster;           // cluster key when unknown
  Instant first_seen, last_seen;
};

struct Finding {
  Id id = 0;
  Id device = 0;
  std::string rule;              // id in data/exposures, for example "open-resolver"
  Pattern pattern = Pattern::D;
  Severity severity = Severity::medium;
  std::string rsit;              // RSIT class, for example "vulnerable/ddos-amplifier"
  Endpoint where;                // last positive evidence
  Instant first_seen, last_seen;
  std::string state;             // open | fixed | gone
  std::vector<std::string> evidence;
  std::optional<double> amplification;
};

}  // namespace nora::registry
