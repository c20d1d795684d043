// ProbeList: what law knows of the probe catalogue (data/probes/catalogue.tsv): id, protocol, class, ports, social. Used by law and survey.
// Immutable; any thread. Survey reads the request templates from the same file; the mandate pins its SHA-256.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"

namespace nora::law {

// Classes of exposures.md: P0 open or closed and passive banner, P1 harmless standard request, P2 one request that asks for more
// (named in the mandate), P3 makes a third system answer: only with our own listener.
enum class ProbeClass : std::uint8_t { p0, p1, p2, p3 };
std::string_view name(ProbeClass c);  // "P0"
Result<ProbeClass> parse_probe_class(std::string_view text);

struct ProbeInfo {
  std::uint16_t index = 0;  // place in the list
  std::string id;
  Proto proto = Proto::tcp;
  ProbeClass probe_class = ProbeClass::p0;
  bool social = false;      // control-system probe: only into social-impact ranges
  bool credential = false;  // carries a word that works as a password (an SNMP community): listed so that it is known, never permitted
  std::vector<std::uint16_t> ports;
};

class ProbeList {
 public:
  static constexpr std::size_t max_probes = 4096;
  static constexpr std::size_t max_bytes = 1u << 20;
  ProbeList() = default;
  // Tab separated: id, proto, ports (comma), class, social (0/1), request, description, marks (may be missing; "credential" counts here). '#' lines and the header line "id\t…" are skipped.
  static Result<ProbeList> parse(std::string_view tsv);
  const ProbeInfo* find(std::string_view id) const;
  const std::vector<ProbeInfo>& all() const { return probes_; }
  const Hash& hash() const { return hash_; }  // SHA-256 of the file bytes
  bool owns(const ProbeInfo& probe) const {
    return probe.index < probes_.size() && &probes_[probe.index] == &probe;
  }

 private:
  std::vector<ProbeInfo> probes_;
  Hash hash_{};
};

}  // namespace nora::law
