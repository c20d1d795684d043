// Scripts: what Nora says in a TCP conversation, word by word (words.h holds the bytes), and when it has heard enough. Used by the grabber.
// A script looks at prefixes and lengths only; parsing happens in the jail. There is no script that sends a user name, a password, a print
// job, a register access or anything that changes a device: the table of words is complete, and conversation_allows() (words.h) proves it
// on a capture.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/instant.h"
#include "survey/words.h"

namespace nora::survey {

struct Exchange;

struct Reaction {
  Bytes send = {};
  bool next_part = false;  // what was received so far is one part; the next bytes begin another
  bool done = false;
};

class Script {
 public:
  explicit Script(ScriptSpec spec);
  const ScriptSpec& spec() const { return spec_; }
  bool tls() const { return speaks_tls(spec_.probe); }
  Reaction connected();              // the first words, or nothing for "listen"
  Reaction received(ByteView part);  // everything of the current part so far
  Reaction quiet(ByteView part);     // nothing came for quiet_after()
  Span quiet_after(bool heard_something) const;

 private:
  Reaction listen(ByteView part);
  Reaction ssh(ByteView part);
  ScriptSpec spec_;
  const Exchange* exchange_;  // null: listen
  int step_ = 0;
  std::size_t telnet_at_ = 0;
  std::string heard_;  // what the listening script recognised
};

}  // namespace nora::survey
