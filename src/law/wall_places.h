// The wall's lists as the eBPF program looks them up (wall_xdp_shared.h): one place for every address, made from range, exclude and opt-out.
// Opt-out beats exclude beats range, whatever the lengths of the prefixes. Used by wall_xdp and its tests only. Pure values, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "law/wall.h"
#include "law/wall_xdp_shared.h"

namespace nora::law::wall {

// IPv4: entries of pages and leaves are numbered from 0; entry = nora_wall_places + number.
class Places4 {
 public:
  Places4(const Plan& plan, const OptOuts& opt_outs);
  nora_wall_place place(std::uint32_t address) const;  // host order; as the eBPF program does it

  std::vector<std::uint32_t> top = std::vector<std::uint32_t>(65536, nora_wall_outside);
  std::vector<nora_wall_page> pages;
  std::vector<nora_wall_leaf> leaves;

 private:
  void paint(const Net& net, nora_wall_place place);
  void forget(std::uint32_t entry);
  std::uint32_t page_of(std::uint32_t& entry);
  std::uint32_t leaf_of(std::uint32_t& entry);
  std::vector<std::uint32_t> free_pages_, free_leaves_;
};

// IPv6: for each prefix of any list its place; the longest one that holds an address decides.
struct Key6 {
  std::array<std::uint8_t, 16> first{};
  int length = 0;
  auto operator<=>(const Key6&) const = default;
};
using Places6 = std::map<Key6, nora_wall_place>;
Places6 places6(const Plan& plan, const OptOuts& opt_outs);

}  // namespace nora::law::wall
