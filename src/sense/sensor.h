// Sensors: a capture file and a live darknet interface, both into an Aggregator; sightings leave through a SightingSink. Used by app and flow.
// A sensor only listens: it has no way to send (net::PacketRing), and packets to the operator's own unused addresses are its own communication.
// One thread each. Drops of the kernel are counted and shown.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/env.h"
#include "registry/types.h"
#include "sense/aggregator.h"

namespace nora::sense {

class SightingSink {
 public:
  virtual ~SightingSink() = default;
  virtual Status put(const std::vector<registry::Sighting>& batch) = 0;
};

struct CaptureCounts {
  std::uint64_t frames = 0, packets = 0, ignored = 0, overflow = 0, drops = 0;
};

// Reads the file; closed windows and open sources are given to `each`, in order of address. Errors: bad_input (what was read before is given all the same).
Result<CaptureCounts> sense_pcap(const std::filesystem::path& file, AggregatorOptions options, const std::function<void(const SourceRecord&)>& each);

struct LiveOptions {
  std::string iface, sensor;      // sensor: id such as "darknet:demo"
  Span length{};                  // 0 = until stop() says so
  Span flush_every = Span::seconds(1);
  AggregatorOptions aggregate{};
};
// Confirmed sources are put as soon as they are, and again as they grow; all others when the window or the run ends.
Result<CaptureCounts> sense_live(const LiveOptions& options, SightingSink& sink, const std::function<bool()>& stop, Env env,
                                 const std::function<void(const SourceRecord&)>& each = {});

registry::Sighting to_sighting(const SourceRecord& record, std::string_view sensor);

}  // namespace nora::sense
