// Captures for the audit of what went over the wire (wire_audit.h).
#include <algorithm>

#include "net/pcap_file.h"
#include "survey/wire_audit.h"

namespace nora::survey {
namespace {

constexpr int ethernet = 1;
constexpr std::size_t mac_bytes = 6;

// Calls `each` with every frame.
template <class Each>
Status walk(const std::filesystem::path& pcap, Each each) {
  NORA_TRY(auto file, net::PcapFile::open(pcap));
  if (file.link_type() != ethernet) return fail(Code::bad_input, pcap.string() + " is no capture of an Ethernet interface", "capture on the scan interface, not on \"any\"");
  for (;;) {
    NORA_TRY(auto captured, file.next());
    if (!captured) return {};
    if (captured->length > captured->bytes.size())
      return fail(Code::bad_input, pcap.string() + " holds frames that are cut short", "capture whole frames: tcpdump -s 0");
    each(captured->bytes);
  }
}

}  // namespace

Result<WireCounts> audit_capture(const std::filesystem::path& pcap, const MandateReading& mandate, const Catalogue& catalogue) {
  std::set<std::vector<std::uint8_t>> ours;  // network cards that an address of the mandate was sent from
  const auto card = [](ByteView frame) {
    const auto mac = frame.subspan(mac_bytes, mac_bytes);
    return std::vector<std::uint8_t>(mac.begin(), mac.end());
  };
  NORA_CHECK(walk(pcap, [&](ByteView frame) {
    const auto packet = net::parse_frame(frame);
    if (!packet || !packet->is_ip) return;
    for (const auto& source : mandate.sources) {
      const auto address = packet->source.is_v4() ? ByteView(packet->source.bytes()).last(4) : ByteView(packet->source.bytes());
      if (std::ranges::equal(source, address)) ours.insert(card(frame));
    }
  }));
  if (ours.empty()) return fail(Code::bad_input, pcap.string() + " holds no frame from a source address of the mandate");
  WireCounts counts;
  NORA_CHECK(walk(pcap, [&](ByteView frame) {
    if (frame.size() < 2 * mac_bytes || ours.contains(card(frame))) judge(mandate, frame, counts, &catalogue);
  }));
  // A capture without probes proves nothing, and the sender's own interface gives just that: its frames pass by the taps there.
  if (counts.inside + counts.outside == 0)
    return fail(Code::bad_input, pcap.string() + " holds no probe of the survey",
                "capture at the other end of the cable (the wall's interface): the sender's frames are not seen by a tap on its own interface");
  return counts;
}

}  // namespace nora::survey
