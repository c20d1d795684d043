// Reader of the probe catalogue as law sees it (law/probe_list.h).
#include "law/probe_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/text.h"

namespace nora::law {
namespace {
constexpr std::size_t columns_needed = 5, marks_column = 7, max_ports = 256;
}  // namespace

std::string_view name(ProbeClass c) {
  constexpr std::string_view names[] = {"P0", "P1", "P2", "P3"};
  return names[static_cast<std::size_t>(c)];
}

Result<ProbeClass> parse_probe_class(std::string_view text) {
  for (const auto c : {ProbeClass::p0, ProbeClass::p1, ProbeClass::p2, ProbeClass::p3})
    if (text == name(c)) return c;
  return fail(Code::bad_input, "a probe class is P0, P1, P2 or P3");
}

Result<ProbeList> ProbeList::parse(std::string_view tsv) {
  if (tsv.size() > max_bytes) return fail(Code::bad_input, "the probe catalogue is longer than 1 MiB");
  ProbeList out;
  out.hash_ = sha256(as_bytes(tsv));
  std::size_t line = 0;
  for (const std::string_view l : split(tsv, '\n')) {
    ++line;
    if (l.empty() || l.starts_with('#') || l.starts_with("id\t")) continue;
    const auto wrong = [&](std::string_view why) { return fail(Code::bad_input, fmt::format("probe catalogue, line {}: {}", line, why)); };
    const auto c = split(l, '\t');
    if (c.size() < columns_needed) return wrong("fewer than 5 columns");
    ProbeInfo p;
    p.id = c[0];
    if (p.id.empty() || p.id.size() > 64) return wrong("the id is empty or longer than 64 bytes");
    if (out.find(p.id)) return wrong("this id stands twice");
    const auto proto = parse_proto(c[1]);
    if (!proto) return wrong(proto.error().what);
    p.proto = *proto;
    if (c[2] != "-" && !c[2].empty()) {
      for (const auto port_text : split(c[2], ',')) {
        const auto port = parse_port(port_text);
        if (!port) return wrong(port.error().what);
        if (p.ports.size() >= max_ports) return wrong("more than 256 ports");
        p.ports.push_back(port->value);
      }
    }
    const auto klass = parse_probe_class(c[3]);
    if (!klass) return wrong(klass.error().what);
    p.probe_class = *klass;
    if (c[4] != "0" && c[4] != "1") return wrong("social is 0 or 1");
    p.social = c[4] == "1";
    if (c.size() > marks_column)
      for (const auto mark : split(c[marks_column], ' ')) p.credential = p.credential || mark == "credential";
    if (out.probes_.size() >= max_probes) return wrong("too many probes");
    p.index = static_cast<std::uint16_t>(out.probes_.size());
    out.probes_.push_back(std::move(p));
  }
  if (out.probes_.empty()) return fail(Code::bad_input, "the probe catalogue is empty");
  return out;
}

const ProbeInfo* ProbeList::find(std::string_view id) const {
  const auto it = std::find_if(probes_.begin(), probes_.end(), [&](const ProbeInfo& p) { return p.id == id; });
  return it == probes_.end() ? nullptr : &*it;
}

}  // namespace nora::law
