// Small helpers over boost.json: read fields with clear errors, write one NDJSON line. Control plane only (hot input uses simdjson).
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/instant.h"
#include "base/ip.h"
#include "base/result.h"

namespace nora::json {

using Object = boost::json::object;
using Array = boost::json::array;
using Value = boost::json::value;

inline constexpr std::size_t max_document_bytes = 64u << 20;

Result<Value> parse(std::string_view text);            // UTF-8 JSON; depth <= 32. Errors: bad_input with the place
Result<Object> parse_object(std::string_view text);
std::string text(const Value& value);                   // one line; strings are cleaned of invalid UTF-8 first by the caller (to_clean_utf8)
std::string text(const Object& object);

// Field access. Errors: bad_input "field \"x\" is missing" / "is not a string".
Result<std::string> get_string(const Object& o, std::string_view key);
Result<std::int64_t> get_int(const Object& o, std::string_view key);
Result<double> get_double(const Object& o, std::string_view key);
Result<bool> get_bool(const Object& o, std::string_view key);
Result<Object> get_object(const Object& o, std::string_view key);
Result<Array> get_array(const Object& o, std::string_view key);
Result<Instant> get_instant(const Object& o, std::string_view key);
Result<Ip> get_ip(const Object& o, std::string_view key);
std::string string_or(const Object& o, std::string_view key, std::string_view fallback = {});
std::int64_t int_or(const Object& o, std::string_view key, std::int64_t fallback);
bool bool_or(const Object& o, std::string_view key, bool fallback);

}  // namespace nora::json
