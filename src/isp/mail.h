// MIME of a notice by gmime: plain UTF-8 text, RFC 2047 subject, Auto-Submitted (RFC 3834), no attachment. Used by outbox. Any thread.
#pragma once

#include "base/bytes.h"
#include "base/instant.h"
#include "isp/notice.h"

namespace nora::isp {

// Ready for SMTP DATA: lines end in CRLF, none longer than 998 bytes (RFC 5322 section 2.1.1).
Result<Bytes> to_mime(const Notice& notice, Instant date);

}  // namespace nora::isp
