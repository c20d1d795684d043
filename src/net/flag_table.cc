// FlagTable (net/flag_table.h).
#include "net/flag_table.h"

namespace nora::net {

FlagTable FlagTable::make(std::initializer_list<Mark> marks) {
  FlagTable out;
  for (const Mark& mark : marks)
    for (const Prefix& p : mark.prefixes)
      if (p.is_v4()) out.add(p.base().v4_value(), p.last().v4_value(), mark.flag);
  return out;
}

void FlagTable::add(std::uint32_t first, std::uint32_t last, std::uint8_t flag) {
  for (std::uint64_t at = first; at <= last;) {
    std::uint32_t& top = top_[at >> 16];
    if ((at & 0xffff) == 0 && last - at >= 0xffff && (top & leaf)) {
      top |= flag;
      at += 0x10000;
      continue;
    }
    if (top & leaf) {
      const auto block = static_cast<std::uint32_t>(middle_.size() / 256);
      middle_.resize(middle_.size() + 256, top);
      top = block;
    }
    std::uint32_t& middle = middle_[top * 256 + (at >> 8 & 255)];
    if ((at & 0xff) == 0 && last - at >= 0xff && (middle & leaf)) {
      middle |= flag;
      at += 0x100;
      continue;
    }
    if (middle & leaf) {
      const auto block = static_cast<std::uint32_t>(low_.size() / 256);
      low_.resize(low_.size() + 256, static_cast<std::uint8_t>(middle));
      middle = block;
    }
    low_[middle * 256 + (at & 255)] |= flag;
    ++at;
  }
}

}  // namespace nora::net
