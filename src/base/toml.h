// toml++ as Nora uses it, the same in every file (it is header-only: two settings in one program would be two versions of the same functions).
// Without exceptions; and without its assertions: in 3.3.0 one of them stops the program on a malformed key for which the parser
// itself has a proper error (found by fuzz/mandate_fuzz.cc).
#pragma once

#define TOML_EXCEPTIONS 0
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>
