// domain: http
// Query strings and forms: what was read can be written and read again, and is the same. Cookies: a value never spans a semicolon.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "http/form.h"
#include "http/gzip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  const auto text = as_text(ByteView(data, size));
  if (const auto fields = http::parse_form(text)) {
    if (fields->items().size() > http::max_fields) std::abort();
    const auto again = http::parse_form(http::encode_form(*fields));
    if (!again || *again != *fields) std::abort();
  }
  if (const auto path = http::parse_path(text); path && (path->empty() || path->front() != '/')) std::abort();
  if (http::cookie_value(text, "nora").find(';') != std::string_view::npos) std::abort();
  (void)http::accepts_gzip(text);
  return 0;
}
