// domain: survey
// What a device says to each conversation script: the script stays bounded, says only words of the table, and never a credential.
#include <cstdlib>
#include <string_view>

#include "survey/script.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  using namespace nora::survey;
  if (size < 2) return 0;
  const auto& word = words()[data[0] % words().size()];
  ScriptSpec spec;
  spec.probe = word.probe;
  spec.ip = Ip::v4(0xcb007107);
  spec.port = 80;
  spec.own = "192.0.2.10";
  spec.service = wan_services[0];
  spec.token = "0011223344556677";
  spec.relay_url = "http://192.0.2.10:8088/nora-relay/0011223344556677";
  spec.ssh_allowed = spec.rfb_allowed = spec.describe_allowed = true;
  Script script(spec);
  Bytes said = script.connected().send, part;
  std::size_t step = 1 + data[1] % 64;
  for (std::size_t at = 2; at < size; at += step) {
    auto end = std::min(size, at + step);
    part.insert(part.end(), data + at, data + end);
    auto r = script.received(part);
    said.insert(said.end(), r.send.begin(), r.send.end());
    if (r.next_part) part.clear();
    if (r.done) break;
  }
  if (said.size() > 3 * size + 8192) std::abort();
  const Overheard where{spec.ip, spec.port, spec.own, "http://192.0.2.10:8088"};
  if (!script.tls() && (!conversation_allows(spec.probe, where, said) || !conversation_of(where, said))) std::abort();
  std::string_view text = as_text(said);
  for (auto never : {"Authorization", "USER ", "PASS ", "SETUP ", "PLAY ", "SUBSCRIBE", "AddPortMapping"})
    if (text.find(never) != text.npos) std::abort();
  return 0;
}
