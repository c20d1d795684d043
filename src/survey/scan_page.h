// ScanPage: what somebody sees who follows a probe back to its source address: who surveys, why, on what legal basis, what is sent and what never
// is, whom to call; and a button by which the visitor's own address is left alone from then on. Peers only document such pages; this is served.
// Also /.well-known/probing.txt (RFC 9511). A visitor who is not surveyed gets no button; by IPv6 the whole /64 (one line) is left out, so that the
// list cannot be filled from one line. Limits: max_from_network, max_entries, for each run. Used by RelayListener. One thread. The address that opts out is the peer of the connection, never one
// from a form or a header; the form carries a token for that address, so that no other site can press the button.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/messages.h"
#include "base/secret.h"
#include "law/audit.h"
#include "law/mandate_text.h"
#include "law/opt_out_file.h"
#include "net/address_set.h"

namespace nora::survey {

inline constexpr int max_from_network = 256;      // entries from one /24 or /48; more come by `nora optout`, from the contact
inline constexpr std::size_t max_entries = 100'000;

struct ScanPageParts {
  const Messages* messages = nullptr;
  law::OptOutFile* opt_out = nullptr;  // none: the page explains and names the contact, without a button
  law::Audit* audit = nullptr;         // one leaf before each entry; without it there is no button
};

class ScanPage {
 public:
  struct Response {
    int status = 200;
    std::string type, body;
  };
  ScanPage(const law::MandateText& mandate, const ScanPageParts& parts, Env env);
  // path: with its query. body: of a POST.
  Response answer(std::string_view method, std::string_view path, std::string_view body, Ip peer);

 private:
  std::string token(Ip peer, std::int64_t slot) const;
  bool good(std::string_view token, Ip peer) const;
  std::string page(Lang lang, Ip peer, std::string_view state) const;
  std::string probing_txt() const;
  const law::MandateText mandate_;
  ScanPageParts parts_;
  Env env_;
  Secret key_;
  net::AddressSet ranges_;
  std::map<Prefix, int> entries_;  // of this run, by network
  std::size_t entries_in_all_ = 0;
};

}  // namespace nora::survey
