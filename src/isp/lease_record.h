// LeaseRecord: one accounting or lease record in Nora's own words, whatever log it came from, with the place of its raw bytes as evidence.
// Made by the importers (radius_detail, kea), kept in the index, read by sessions. Plain data; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"

namespace nora::isp {

inline constexpr std::size_t max_raw_record_bytes = 256 * 1024;  // a longer one is skipped and counted
inline constexpr std::size_t max_field_bytes = 1024;             // names, ids, ports; RADIUS itself allows 253
inline constexpr std::size_t max_prefixes = 16;                  // in one record

enum class RecordKind : std::uint8_t { start, interim, stop, nas_on, nas_off, lease, release };

struct LeaseRecord {
  RecordKind kind = RecordKind::start;
  std::string nas;             // NAS-IP-Address, else NAS-Identifier; DHCP: "dhcp"
  std::string nas_name;        // NAS-Identifier, to join records of one NAS that name it differently
  std::string session;         // Acct-Session-Id; DHCP: empty
  std::string user;            // log key: User-Name, "mac:…"
  std::string access;          // NAS-Port-Id or circuit id: where the line is plugged in
  std::string station;         // Calling-Station-Id
  std::vector<Prefix> prefixes;
  Instant at;                  // the event, by the NAS's clock
  std::optional<Instant> received;      // reception by the server
  Span delay{};                         // Acct-Delay-Time
  std::optional<Span> session_time;     // Acct-Session-Time
  std::optional<Span> timeout;          // Session-Timeout
  std::optional<Span> interim_every;    // Acct-Interim-Interval
  Span lifetime{};                      // DHCP lease
  bool by_reboot = false;               // a Stop that only tells of a restart of the NAS: no sign of life
  bool at_known = true;                 // false: a release whose instant nobody wrote down; at = last renewal
  // Evidence: the raw bytes.
  std::string file;
  std::uint64_t offset = 0;
  Hash hash{};
  bool operator==(const LeaseRecord&) const = default;
};

// What an importer has to say about its input.
struct ImportCounts {
  std::int64_t records = 0;    // understood
  std::int64_t fresh = 0;      // of these not seen before
  std::int64_t ignored = 0;    // well-formed, of no use for lookups (no address, other packet types)
  std::int64_t refused = 0;    // malformed, too long, local time without zone
  std::int64_t incomplete = 0; // cut off at the end of the file: read again at the next import
  std::vector<std::string> complaints;  // first few, with file and offset
  void complain(std::string text) { if (complaints.size() < max_complaints) complaints.push_back(std::move(text)); }
  static constexpr std::size_t max_complaints = 20;
};

}  // namespace nora::isp
