// domain: exchange
// The text of a list and of a return, as it comes out of the sealed box: parsing is total, and what is read writes back to the same rows.
#include <cstdint>
#include <cstdlib>

#include "exchange/isp_list_text.h"
#include "exchange/notice_code.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  using namespace nora::exchange;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto list = parse_list_text(text)) {
    auto again = list_text(*list);
    if (!again) std::abort();
    auto back = parse_list_text(*again);
    if (!back || back->rows.size() != list->rows.size()) std::abort();
    for (std::size_t i = 0; i < back->rows.size(); ++i)
      if (back->rows[i].where != list->rows[i].where || back->rows[i].has_port != list->rows[i].has_port) std::abort();
  }
  if (auto ret = parse_return_text(text))
    if (auto again = return_text(*ret); !again || !parse_return_text(*again)) std::abort();
  if (auto code = parse_notice_code(text))
    if (auto again = parse_notice_code(*code); !again || *again != *code) std::abort();
  return 0;
}
