// The customer file of a provider (CSV export of its customer system): which log keys are which line, and how to reach the person.
// Used by import and isp_store. Pure; any thread. Format in README.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "isp/line.h"

namespace nora::isp {

inline constexpr std::size_t max_customers = 10'000'000;

struct Customer {
  Subscriber subscriber;
  std::vector<std::string> keys;  // log keys: "f1234567@isp.example", "mac:…", "prefix:…"
};

bool is_customer_header(std::string_view first_line);
// Errors: bad_input with the line number (unknown column, doubled line, a key that two lines claim, not UTF-8, bad quoting): a wrong customer file
// would write to the wrong person, so nothing of it is taken.
Result<std::vector<Customer>> parse_customers(std::string_view csv, std::string_view file);

// One RFC 4180 record at `pos`, which moves behind it. Errors: bad_input.
Result<std::vector<std::string>> csv_record(std::string_view text, std::size_t& pos);

}  // namespace nora::isp
