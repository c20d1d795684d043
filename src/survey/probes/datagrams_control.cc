// Controllers of machines and buildings over UDP: BACnet, FINS, SLMP, EtherNet/IP, KNXnet/IP, serial servers (datagrams.h). Names that the
// site gave (object names, plant, tag) are not asked for or not kept.
#include <algorithm>

#include "survey/probes/control.h"
#include "survey/probes/datagrams.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

// ASHRAE 135 clauses 6, 15.5, 20.1, J.2: BVLC, NPDU with its optional addresses, then ComplexAck (3) or Error (5) of ReadProperty.
bool parse_bacnet(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto type = r.u8(), function = r.u8();
  r.u16();
  if (function == 0x04) r.skip(6);  // Forwarded-NPDU: original address
  auto version = r.u8(), control = r.u8();
  if (r.bad() || type != 0x81 || version != 1) return false;
  if (control & 0x20) {
    r.u16();
    r.skip(r.u8());
  }
  if (control & 0x08) {
    r.u16();
    r.skip(r.u8());
  }
  if (control & 0x20) r.u8();
  if (control & 0x80) return false;  // a message of the network layer
  auto kind = r.u8();
  r.u8();  // invoke id
  auto service = r.u8();
  if (r.bad()) return false;
  bool model = item.probe == "bacnet-model";
  if (kind >> 4 == 5 || kind >> 4 == 6 || kind >> 4 == 7) {
    out.protocol = "bacnet";
    out.add("bacnet.answer", kind >> 4 == 5 ? "error" : kind >> 4 == 6 ? "reject" : "abort");
    out.keep_keys_only();
    return true;
  }
  if (kind >> 4 != 3 || service != 0x0c || r.u8() != 0x0c) return false;
  r.skip(4);                                   // object identifier
  if (r.u8() != 0x19) return false;            // property identifier, one byte
  auto property = r.u8();
  if (r.u8() != 0x3e) return false;            // opening tag 3
  auto tag = r.u8();
  if (tag >> 4 != 7) return false;             // character string
  std::size_t n = tag & 7;
  if (n == 5) n = r.u8();
  if (n == 254) n = r.u16();
  if (n < 1 || r.bad()) return false;
  r.u8();  // character set
  auto text = clean(r.take(n - 1), 128);
  if (r.bad()) return false;
  out.protocol = "bacnet";
  out.add("bacnet.answer", "property");
  if (property == (model ? 0x46 : 0x79)) out.add(model ? "bacnet.model" : "bacnet.vendor", text);
  out.keep_keys_only();
  return true;
}

// OMRON W342: header of 10 bytes, command 05 01, end code, model of 20 and version of 20 bytes.
bool parse_fins(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (b.size() < 14 || !(b[0] & 0x40) || b[10] != 5 || b[11] != 1) return false;
  out.protocol = "fins";
  if (auto code = get_u16be(&b[12]); code != 0) out.add("fins.error", to_hex(b.subspan(12, 2)));
  if (b.size() >= 34) out.add("fins.model", clean(b.subspan(14, 20)));
  if (b.size() >= 54) out.add("fins.version", clean(b.subspan(34, 20)));
  out.keep_keys_only();
  return true;
}

bool parse_slmp_udp(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  return b.size() >= 11 && u16le(b, 7) + 9u == b.size() && parse_slmp(out, b);
}

bool parse_enip_udp(Parsed& out, const Item& item) { return parse_enip(out, first_datagram(item)); }

// KNX Standard 03.08.02 section 7.5: DESCRIPTION_RESPONSE with the device information block (type 1).
bool parse_knx(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto head = r.u8(), version = r.u8();
  auto service = r.u16();
  r.u16();
  if (r.bad() || head != 6 || version != 0x10 || service != 0x0204) return false;
  out.protocol = "knx";
  for (int i = 0; i < 16 && r.left() >= 2; ++i) {
    auto n = r.u8(), type = r.u8();
    if (n < 2) break;
    auto body = r.take(n - 2u);
    if (r.bad()) break;
    if (type != 1 || body.size() < 52) continue;
    out.add("knx.serial", to_hex(body.subspan(6, 6)));
    out.add("knx.mac", to_hex(body.subspan(16, 6)));
    out.add("knx.name", clean(body.subspan(22, 30)));
  }
  out.add("knx.answered", "1");
  out.keep_keys_only();
  return true;
}

// Observed: 81, status, length, four bytes, then APID of 4, model of 2 (low byte first), MAC of 6.
bool parse_moxa(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (b.size() < 20 || b[0] != 0x81 || get_u16be(&b[2]) != b.size()) return false;
  out.protocol = "moxa";
  out.add("moxa.model", to_hex(Bytes{b[13], b[12]}));
  out.add("moxa.mac", to_hex(b.subspan(14, 6)));
  out.keep_keys_only();
  return true;
}

bool parse_lantronix_udp(Parsed& out, const Item& item) { return parse_lantronix(out, first_datagram(item)); }

}  // namespace

std::span<const DatagramParser> control_parsers() {
  static constexpr DatagramParser all[] = {{"bacnet-vendor", parse_bacnet}, {"bacnet-model", parse_bacnet},    {"fins", parse_fins},
                                           {"slmp-udp", parse_slmp_udp},    {"enip-udp", parse_enip_udp},      {"knx", parse_knx},
                                           {"moxa", parse_moxa},            {"lantronix", parse_lantronix_udp}};
  return all;
}

}  // namespace nora::survey
