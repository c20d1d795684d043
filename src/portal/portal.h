// Portal: what the owner of a device sees. Own process, own store, own keys; asks the center one thing at a time. Public pages without cookie,
// script or third-party request, in Japanese, easy Japanese and English (/ja/, /easy/, /en/).
// The self-check's target is the TCP peer and nothing else: no form field and no header names an address (trust.md T10).
// Handlers may run on any thread of the server; the parts handed in must outlive the Portal.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/messages.h"
#include "http/limiter.h"
#include "http/router.h"
#include "http/session.h"
#include "http/static_files.h"
#include "law/audit.h"
#include "portal/center.h"
#include "portal/records.h"

namespace nora::portal {

inline constexpr int code_failures_per_minute = 10;         // per line (IPv6: per /64), trust.md T13
inline constexpr int code_failures_in_all_per_minute = 600; // the breaker for guesses from many addresses
inline constexpr Span code_failure_time = Span::ms(250);    // a wrong code takes this long, whatever is wrong with it
inline constexpr int checks_at_once_max = 32;
inline constexpr std::string_view consent_text_id = "consent-2026-1";  // the words portal.check.consent; a new wording gets a new id

struct SiteText {
  std::string phone;                         // shown if not empty
  std::vector<std::string> scan_addresses;   // where the survey comes from
  std::string contact;                       // for opt-out and complaints
};

class Portal {
 public:
  struct Parts {
    Env env;
    const Messages& messages;
    const http::StaticFiles& files;
    const http::Csrf& csrf;
    Center& center;
    Records& records;
    law::Audit& audit;
    SiteText text;
  };
  explicit Portal(Parts parts);
  ~Portal();
  void add_routes(http::Router& router);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nora::portal
