#include "base/json.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace nora::json {
namespace {
std::unexpected<Error> wrong(std::string_view key, std::string_view what) {
  return fail(Code::bad_input, fmt::format("field \"{}\" {}", key, what));
}
}  // namespace

Result<Value> parse(std::string_view text) {
  if (text.size() > max_document_bytes) return fail(Code::bad_input, "the JSON document is too large");
  boost::json::error_code error;
  boost::json::parse_options options;
  options.max_depth = 32;
  auto value = boost::json::parse(boost::json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return fail(Code::bad_input, fmt::format("not JSON: {}", error.message()));
  return value;
}

Result<Object> parse_object(std::string_view text) {
  NORA_TRY(Value value, parse(text));
  if (!value.is_object()) return fail(Code::bad_input, "not a JSON object");
  return std::move(value.as_object());
}

std::string text(const Value& value) { return boost::json::serialize(value); }
std::string text(const Object& object) { return boost::json::serialize(object); }

Result<std::string> get_string(const Object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  if (v == nullptr) return wrong(key, "is missing");
  if (!v->is_string()) return wrong(key, "is not a string");
  return std::string(v->as_string());
}
Result<std::int64_t> get_int(const Object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  if (v == nullptr) return wrong(key, "is missing");
  if (v->is_int64()) return v->as_int64();
  if (v->is_uint64() && v->as_uint64() <= INT64_MAX) return static_cast<std::int64_t>(v->as_uint64());
  return wrong(key, "is not an integer");
}
Result<double> get_double(const Object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  if (v == nullptr) return wrong(key, "is missing");
  if (!v->is_number()) return wrong(key, "is not a number");
  return v->to_number<double>();
}
Result<bool> get_bool(const Object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  if (v == nullptr) return wrong(key, "is missing");
  if (!v->is_bool()) return wrong(key, "is not true or false");
  return v->as_bool();
}
Result<Object> get_object(const Object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  if (v == nullptr) return wrong(key, "is missing");
  if (!v->is_object()) return wrong(key, "is not an object");
  return v->as_object();
}
Result<Array> get_array(const Object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  if (v == nullptr) return wrong(key, "is missing");
  if (!v->is_array()) return wrong(key, "is not an array");
  return v->as_array();
}
Result<Instant> get_instant(const Object& o, std::string_view key) {
  NORA_TRY(const std::string text, get_string(o, key));
  auto at = Instant::parse(text);
  if (!at) return wrong(key, fmt::format("is not a time: {}", at.error().what));
  return *at;
}
Result<Ip> get_ip(const Object& o, std::string_view key) {
  NORA_TRY(const std::string text, get_string(o, key));
  auto ip = Ip::parse(text);
  if (!ip) return wrong(key, fmt::format("is not an address: {}", ip.error().what));
  return *ip;
}
std::string string_or(const Object& o, std::string_view key, std::string_view fallback) {
  auto v = get_string(o, key);
  return v ? *v : std::string(fallback);
}
std::int64_t int_or(const Object& o, std::string_view key, std::int64_t fallback) { return get_int(o, key).value_or(fallback); }
bool bool_or(const Object& o, std::string_view key, bool fallback) { return get_bool(o, key).value_or(fallback); }

}  // namespace nora::json
