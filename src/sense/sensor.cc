// Capture file and live interface (sense/sensor.h).
#include "sense/sensor.h"

#include <algorithm>

#include "net/packet_socket.h"
#include "net/pcap_file.h"

namespace nora::sense {

static constexpr std::size_t max_batch = 1000;  // sightings a put

static CaptureCounts counts(const Aggregator& a, std::uint64_t frames) {
  return {.frames = frames, .packets = a.packets(), .ignored = a.ignored(), .overflow = a.overflow()};
}

Result<CaptureCounts> sense_pcap(const std::filesystem::path& file, AggregatorOptions options, const std::function<void(const SourceRecord&)>& each) {
  NORA_TRY(net::PcapFile pcap, net::PcapFile::open(file));
  Aggregator aggregator(std::move(options));
  std::uint64_t frames = 0;
  std::optional<Error> broken;
  for (;;) {
    auto captured = pcap.next();
    if (!captured) {
      broken = captured.error();
      break;
    }
    if (!*captured) break;
    ++frames;
    if (const auto packet = pcap.parse(**captured)) aggregator.add(*packet, (*captured)->at);
    for (const auto& r : aggregator.take_closed()) each(r);
  }
  for (const auto& r : aggregator.open()) each(r);
  if (broken) return std::unexpected(*broken);
  return counts(aggregator, frames);
}

registry::Sighting to_sighting(const SourceRecord& r, std::string_view sensor) {
  registry::Sighting s;
  s.ip = r.source;
  s.first = r.first;
  s.last = r.last;
  s.sensor = sensor;
  s.kind = r.kind;
  s.verdict = name(r.verdict);
  s.packets = static_cast<std::int64_t>(r.packets);
  s.destinations = static_cast<std::int64_t>(r.destinations);
  s.ports = r.ports;
  for (const Sample& x : r.samples) s.samples.push_back({x.at, x.source_port, x.dest_port});
  return s;
}

Result<CaptureCounts> sense_live(const LiveOptions& options, SightingSink& sink, const std::function<bool()>& stop, Env env,
                                 const std::function<void(const SourceRecord&)>& each) {
  NORA_TRY(net::PacketRing ring, net::PacketRing::open(options.iface));
  Aggregator aggregator(options.aggregate);
  std::uint64_t frames = 0;
  const auto give = [&](const std::vector<SourceRecord>& records) -> Status {
    std::vector<registry::Sighting> batch;
    for (const auto& r : records) {
      if (each) each(r);
      batch.push_back(to_sighting(r, options.sensor));
    }
    for (std::size_t at = 0; at < batch.size(); at += max_batch) {
      const auto from = batch.begin() + static_cast<std::ptrdiff_t>(at);
      NORA_CHECK(sink.put({from, from + static_cast<std::ptrdiff_t>(std::min(max_batch, batch.size() - at))}));
    }
    return {};
  };
  const Span start = env.clock.monotonic();
  Span next_flush = start + options.flush_every;
  while (!stop()) {
    const Span now = env.clock.monotonic();
    if (options.length.us > 0 && now - start >= options.length) break;
    NORA_TRY(const std::size_t n, ring.read(Span::ms(100), [&](ByteView frame, Instant at) {
      if (const auto packet = net::parse_frame(frame)) aggregator.add(*packet, at);
    }));
    frames += n;
    if (now >= next_flush) {
      next_flush = now + options.flush_every;
      std::vector<SourceRecord> confirmed = aggregator.take_closed();
      for (auto& r : aggregator.changed())
        if (r.verdict == Verdict::confirmed) confirmed.push_back(std::move(r));
      NORA_CHECK(give(confirmed));
    }
  }
  NORA_CHECK(give(aggregator.take_closed()));
  NORA_CHECK(give(aggregator.open()));
  CaptureCounts out = counts(aggregator, frames);
  out.drops = ring.counters().drops;
  if (out.drops > 0) env.log.warn("the kernel dropped packets before the sensor saw them");
  return out;
}

}  // namespace nora::sense
