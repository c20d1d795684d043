// The loop of nora-parse: read an item, parse it, write the result, until the other end closes. Used by parse_main.cc. One thread,
// blocking.
#pragma once

namespace nora::survey {

// Uses every parser once, so that libraries finish their lazy set-up (locale, tables, random) before the jail closes.
void warm_up_parsers();
// Returns 0 at the end of input, 1 on malformed input.
int run_parse_worker(int fd);

}  // namespace nora::survey
