// How the registry packs small structures into columns. Private to src/registry. Pure functions, any thread; decoders are total.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "registry/types.h"

namespace nora::registry {

Bytes pack_keys(const std::vector<KeyValue>& keys);  // per pair: u16 length, key, u32 length, value
Result<std::vector<KeyValue>> unpack_keys(ByteView packed);
std::string identity_json(const Identity& identity);
Result<Identity> identity_from(std::string_view text);
std::string cpes_json(const Identity& identity);  // the CPE names alone; empty when there are none
Status cpes_from(std::string_view text, std::vector<std::string>& cpes, std::vector<std::string>& components);
std::string strings_json(const std::vector<std::string>& list);
Result<std::vector<std::string>> strings_from(std::string_view text);
std::string ports_json(const std::vector<std::uint16_t>& ports);
Result<std::vector<std::uint16_t>> ports_from(std::string_view text);
std::string samples_json(const std::vector<Sighting::Sample>& samples);
Result<std::vector<Sighting::Sample>> samples_from(std::string_view text);

}  // namespace nora::registry
