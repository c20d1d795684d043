// domain: exchange
// The lines between portal and center: total, and a line that is read writes back to a line that is read alike.
#include <cstdint>
#include <cstdlib>

#include "exchange/portal_wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  using namespace nora::exchange;
  auto o = json::parse_object({reinterpret_cast<const char*>(data), size});
  if (!o) return 0;
  if (auto v = finding_view(*o); v && !finding_view(to_json(*v))) std::abort();
  if (auto v = notice_view(*o); v && !notice_view(to_json(*v))) std::abort();
  if (auto v = check_line(*o); v && !check_line(to_json(*v))) std::abort();
  return 0;
}
