// domain: isp
// MAP-E rule files, customer files, questions, settings, answers of a NAS. A rule that is taken gives every port to one user at most.
#include <cstdlib>

#include "isp/coa.h"
#include "isp/customers.h"
#include "isp/mape.h"
#include "isp/match.h"
#include "isp/party.h"

using namespace nora;
using namespace nora::isp;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto rules = parse_mape_rules(text, "f")) {
    for (const auto& r : *rules)
      for (std::uint32_t port : {0u, 1u, 1023u, 4096u, 9030u, 65535u}) {
        auto user = mape_user(r, r.ipv4.last(), {static_cast<std::uint16_t>(port)});
        if (user && (!r.ipv6.contains(user->base()) || user->length() != r.ipv6.length() + r.ea_bits)) std::abort();
      }
  }
  if (auto customers = parse_customers(text, "f"))
    for (const auto& c : *customers)
      if (c.subscriber.line.empty() || c.subscriber.mail.find_first_of("\r\n<> ") != std::string::npos) std::abort();
  (void)parse_question(text);
  if (auto settings = parse_settings(text, "/d"))
    if (auto back = parse_settings(settings_text(*settings), "/d"); !back || settings_text(*back) != settings_text(*settings)) std::abort();
  static const Secret secret(to_bytes("fuzz"));
  static const Bytes request = *encode_coa({"A", Ip::v4(0xcb00710a), "", "", "open", {}}, 1, secret);
  if (decode_coa({data, size}, request, secret)) {
    // Only who knows the secret can have written this.
    if (size < 20) std::abort();
  }
  return 0;
}
