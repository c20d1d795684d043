// domain: base
// Addresses, prefixes, times, keys, notes and the escapers. Property: what is accepted reads back equal; cleaned text is clean.
#include "base/crypto.h"
#include "base/escape.h"
#include "base/ip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto ip = Ip::parse(text)) NORA_ASSERT(*Ip::parse(ip->text()) == *ip, "an address reads back");
  if (auto p = Prefix::parse(text)) NORA_ASSERT(*Prefix::parse(p->text()) == *p, "a prefix reads back");
  if (auto t = Instant::parse(text)) NORA_ASSERT(*Instant::parse(t->text()) == *t, "a time reads back");
  if (auto key = PublicKey::parse(text)) NORA_ASSERT(key->text() == text || PublicKey::parse(key->text()).has_value(), "a key reads back");
  (void)open_note(text, {});
  const std::string clean = to_clean_utf8(text);
  NORA_ASSERT(to_clean_utf8(clean) == clean, "cleaning twice changes nothing");
  NORA_ASSERT(to_terminal(text).find('\x1b') == std::string::npos, "no escape reaches a terminal");
  NORA_ASSERT(to_html(text).find('<') == std::string::npos, "no markup reaches a page");
  (void)to_csv_cell(text);
  (void)to_mail_body(text);
  return 0;
}
