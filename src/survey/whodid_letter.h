// The reply to "was it you?": a letter in plain text, ready to send, from what was found (whodid.h) and the catalogue of messages
// (data/messages/{ja,en}/complaint.po). Used by `nora complaint`. Pure. Everything that came from outside is cleaned here.
#pragma once

#include "base/messages.h"
#include "survey/whodid.h"

namespace nora::survey {

struct LetterParts {
  const law::Mandate& mandate;
  std::string log;          // origin of the audit log
  std::uint64_t log_size = 0;
  Hash log_root{};
  std::string log_key;      // vkey
  std::string proof_file;   // name of the enclosed file; empty: there is none
  Instant now;
};
std::string complaint_letter(const WhoDid& answer, const LetterParts& parts, const Messages& messages, Lang lang);

}  // namespace nora::survey
