// Exchanges: the conversations in which Nora speaks first. Each is a chain of words, said one after the other, each when the answer to the
// one before is whole; how much is whole is told from prefixes and lengths alone. Used by script.cc. Pure; any thread.
#pragma once

#include <span>
#include <string_view>

#include "survey/words.h"

namespace nora::survey {

enum class Heard { more, whole, other };  // other: another protocol answers; there is nothing more to ask here

struct Exchange {
  std::string_view probe;
  std::string_view said[5];                                      // names of the words in order
  Heard (*heard)(ByteView part);
  bool (*go_on)(const ScriptSpec& spec, ByteView part, int step) = nullptr;  // say the next word (number `step`)? none: always
  bool farewell = false;  // the last word is said, and its answer is not waited for
};
// Null for "listen" and for what is not in the table.
const Exchange* exchange_of(std::string_view probe);

// Is an HTTP, RTSP or SIP answer whole, as far as Content-Length and chunks tell? Unknown: false (the end of the connection or silence tells).
bool whole_answer(ByteView bytes, bool no_body_without_length);

}  // namespace nora::survey
