// Reading what really arrived at the mail sinks of the demo: the spool files of smtp-sink, decoded by an own small reader (not by the
// code that wrote them). Used by the demo's steps and its summary. Pure but for the files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace nora::app {

struct SpooledMail {
  std::string to;       // envelope or header recipient, bare address
  std::string subject;  // as on the wire (RFC 2047)
  std::string body;     // all text parts, transfer encoding removed, UTF-8
  std::string raw;
  std::vector<std::string> codes;  // notice codes that it names, canonical
};

Result<std::vector<SpooledMail>> read_spool(const std::filesystem::path& directory);
SpooledMail read_mail(std::string_view raw);

}  // namespace nora::app
