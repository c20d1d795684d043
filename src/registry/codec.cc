#include "registry/codec.h"

#include "base/escape.h"
#include "base/json.h"

namespace nora::registry {

Bytes pack_keys(const std::vector<KeyValue>& keys) {
  Bytes out;
  for (const auto& kv : keys) {
    const auto key_size = std::min<std::size_t>(kv.key.size(), 0xffff);
    put_u16be(out, static_cast<std::uint16_t>(key_size));
    out.insert(out.end(), kv.key.begin(), kv.key.begin() + static_cast<std::ptrdiff_t>(key_size));
    put_u32be(out, static_cast<std::uint32_t>(kv.value.size()));
    out.insert(out.end(), kv.value.begin(), kv.value.end());
  }
  return out;
}

Result<std::vector<KeyValue>> unpack_keys(ByteView packed) {
  std::vector<KeyValue> out;
  std::size_t at = 0;
  while (at < packed.size()) {
    if (packed.size() - at < 2) return fail(Code::bad_input, "stored match keys are cut short");
    const std::size_t key_size = get_u16be(packed.data() + at);
    at += 2;
    if (packed.size() - at < key_size + 4) return fail(Code::bad_input, "stored match keys are cut short");
    KeyValue kv;
    kv.key = to_string(packed.subspan(at, key_size));
    at += key_size;
    const std::size_t value_size = get_u32be(packed.data() + at);
    at += 4;
    if (packed.size() - at < value_size) return fail(Code::bad_input, "stored match keys are cut short");
    kv.value = to_string(packed.subspan(at, value_size));
    at += value_size;
    out.push_back(std::move(kv));
  }
  return out;
}

namespace {

json::Array to_array(const std::vector<std::string>& list) {
  json::Array out;
  for (const auto& s : list) out.emplace_back(to_clean_utf8(s));
  return out;
}

Result<std::vector<std::string>> from_array(const json::Array& array) {
  std::vector<std::string> out;
  for (const auto& v : array) {
    if (!v.is_string()) return fail(Code::bad_input, "a list of strings holds something else");
    out.emplace_back(v.as_string());
  }
  return out;
}

Result<std::vector<std::string>> list_or_none(const json::Object& o, std::string_view field) {
  if (!o.contains(field)) return std::vector<std::string>{};
  NORA_TRY(const auto array, json::get_array(o, field));
  return from_array(array);
}

json::Object claim_json(const Claim& claim) {
  return {{"value", to_clean_utf8(claim.value)}, {"confidence", claim.confidence}, {"evidence", to_array(claim.evidence)}};
}

Result<Claim> claim_from(const json::Object& all, std::string_view field) {
  NORA_TRY(auto o, json::get_object(all, field));
  Claim claim;
  NORA_TRY(claim.value, json::get_string(o, "value"));
  NORA_TRY(claim.confidence, json::get_double(o, "confidence"));
  NORA_TRY(auto evidence, json::get_array(o, "evidence"));
  NORA_TRY(claim.evidence, from_array(evidence));
  return claim;
}

}  // namespace

std::string identity_json(const Identity& identity) {
  json::Object o{{"vendor", claim_json(identity.vendor)}, {"product", claim_json(identity.product)}, {"firmware", claim_json(identity.firmware)}, {"type", claim_json(identity.type)}};
  if (!identity.cpes.empty()) o["cpes"] = to_array(identity.cpes);
  if (!identity.components.empty()) o["components"] = to_array(identity.components);
  return json::text(o);
}

std::string cpes_json(const Identity& identity) {
  if (identity.cpes.empty() && identity.components.empty()) return {};
  return json::text(json::Object{{"cpes", to_array(identity.cpes)}, {"components", to_array(identity.components)}});
}

Status cpes_from(std::string_view text, std::vector<std::string>& cpes, std::vector<std::string>& components) {
  if (text.empty()) return {};
  NORA_TRY(const auto o, json::parse_object(text));
  NORA_TRY(cpes, list_or_none(o, "cpes"));
  NORA_TRY(components, list_or_none(o, "components"));
  return {};
}

Result<Identity> identity_from(std::string_view text) {
  NORA_TRY(auto o, json::parse_object(text));
  Identity identity;
  NORA_TRY(identity.vendor, claim_from(o, "vendor"));
  NORA_TRY(identity.product, claim_from(o, "product"));
  NORA_TRY(identity.firmware, claim_from(o, "firmware"));
  NORA_TRY(identity.type, claim_from(o, "type"));
  NORA_TRY(identity.cpes, list_or_none(o, "cpes"));
  NORA_TRY(identity.components, list_or_none(o, "components"));
  return identity;
}

std::string strings_json(const std::vector<std::string>& list) { return json::text(json::Value(to_array(list))); }

Result<std::vector<std::string>> strings_from(std::string_view text) {
  NORA_TRY(auto value, json::parse(text));
  if (!value.is_array()) return fail(Code::bad_input, "a stored list is no list");
  return from_array(value.as_array());
}

std::string ports_json(const std::vector<std::uint16_t>& ports) {
  json::Array out;
  for (auto p : ports) out.emplace_back(std::int64_t{p});
  return json::text(json::Value(out));
}

Result<std::vector<std::uint16_t>> ports_from(std::string_view text) {
  NORA_TRY(auto value, json::parse(text));
  if (!value.is_array()) return fail(Code::bad_input, "a stored list is no list");
  std::vector<std::uint16_t> out;
  for (const auto& v : value.as_array()) {
    if (!v.is_int64() || v.as_int64() < 0 || v.as_int64() > 65535) return fail(Code::bad_input, "a stored port is no port");
    out.push_back(static_cast<std::uint16_t>(v.as_int64()));
  }
  return out;
}

std::string samples_json(const std::vector<Sighting::Sample>& samples) {
  json::Array out;
  for (const auto& s : samples) out.emplace_back(json::Array{s.at.us, std::int64_t{s.source_port}, std::int64_t{s.dest_port}});
  return json::text(json::Value(out));
}

Result<std::vector<Sighting::Sample>> samples_from(std::string_view text) {
  NORA_TRY(auto value, json::parse(text));
  if (!value.is_array()) return fail(Code::bad_input, "a stored list is no list");
  std::vector<Sighting::Sample> out;
  for (const auto& v : value.as_array()) {
    const auto* a = v.if_array();
    if (!a || a->size() != 3 || !(*a)[0].is_int64() || !(*a)[1].is_int64() || !(*a)[2].is_int64())
      return fail(Code::bad_input, "a stored sample is not [time, port, port]");
    out.push_back({{(*a)[0].as_int64()}, static_cast<std::uint16_t>((*a)[1].as_int64()), static_cast<std::uint16_t>((*a)[2].as_int64())});
  }
  return out;
}

}  // namespace nora::registry
