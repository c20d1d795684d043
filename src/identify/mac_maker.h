// Who registered the first digits of a MAC address: a look into the registry of the IEEE as Debian's ieee-data carries it (oui.csv, mam.csv,
// oui36.csv, iab.csv). Devices leak MAC addresses in SNMPv3 engine ids, NetBIOS, vendors' discovery answers; the name of the registrant becomes
// one more value, of the key mac.maker, that the rules know like any other. Used by statements.cc, flow/knowledge and the command line.
// Immutable after load, shared by threads. Limits: max_registry_file_bytes of a file; lines that are no assignment are skipped.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace nora::identify {

inline constexpr std::size_t max_registry_file_bytes = 64u << 20;
inline constexpr std::string_view mac_maker_key = "mac.maker";
inline constexpr const char* debian_mac_registry = "/usr/share/ieee-data";
inline constexpr std::string_view mac_field = "host.mac";  // recog's name of the field in which rules state an address
// snmpv3.mac, netbios.mac, dvr.mac, …: the value is an address.
inline bool is_mac_key(std::string_view key) { return key.ends_with(".mac"); }

class MacMakers {
 public:
  MacMakers() = default;
  // Every file of the four that is there. Errors: not_found (none is), bad_input (a file without any assignment).
  static Result<MacMakers> load(const std::filesystem::path& directory);
  // One file from memory; how many assignments it held. The text lives as long as the object.
  std::size_t add(std::string text);
  // "b4:4c:3b:00:00:01", "b44c3b000001", "B44C.3B00.0001": the registrant's name as registered, the longest assignment first (36, 28, 24 bits).
  // Empty: not a MAC address, unknown, a group address, or one that a program made up (IEEE 802, bits 0x01 and 0x02 of the first byte).
  std::string of(std::string_view mac) const;
  std::size_t size() const { return entries_[0].size() + entries_[1].size() + entries_[2].size(); }
  const Hash& content() const { return content_; }  // part of the version of what is identified with it

 private:
  struct Entry { std::uint64_t prefix; std::uint32_t text, from, length; };
  std::vector<std::string> texts_;
  std::array<std::vector<Entry>, 3> entries_;  // of 24, 28 and 36 bits, ascending
  Hash content_{};
};

}  // namespace nora::identify
