// CoA: Change-of-Authorization to a NAS (RFC 5176) over UDP, own small encoder. Used by isolation. Pure but for CoaClient.
// A session is named by two keys that must agree (Acct-Session-Id and Framed-IP-Address), so that an address that was handed on gets a NAK
// instead of cutting off its new holder. Every request carries a Message-Authenticator (RFC 2869 section 5.14, RFC 5176 section 3.4).
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/env.h"
#include "base/ip.h"
#include "base/secret.h"

namespace nora::isp {

struct CoaRequest {
  std::string session;        // Acct-Session-Id
  Ip address;                 // Framed-IP-Address (IPv4), or Framed-IPv6-Address
  std::string user;           // User-Name; may be empty
  std::string nas;            // NAS-IP-Address as the accounting records name it; other names go into NAS-Identifier
  std::string filter;         // Filter-Id: "open", "block-in:PORT", "walled-garden"
  Instant at;                 // Event-Timestamp, against replay
};

inline constexpr std::size_t max_coa_bytes = 4096;  // RFC 2865 section 3

// Errors: usage (a field is empty or longer than an attribute).
Result<Bytes> encode_coa(const CoaRequest& request, std::uint8_t identifier, const Secret& secret);

enum class CoaAnswer { ack, nak };
struct CoaReply { CoaAnswer answer = CoaAnswer::nak; std::uint32_t error_cause = 0; };
// Verifies identifier, length and authenticators against the request. Errors: bad_input (forged, damaged, another request's).
Result<CoaReply> decode_coa(ByteView reply, ByteView request, const Secret& secret);
std::string_view error_cause_text(std::uint32_t cause);  // RFC 5176 section 3.6

class CoaActor {
 public:
  virtual ~CoaActor() = default;
  virtual Result<CoaReply> change(std::string_view nas_address, const Secret& secret, const CoaRequest& request) = 0;
};

// Sends up to `attempts` times with the same bytes (RFC 5176 section 2.3: a retransmission keeps identifier and authenticator).
class UdpCoa : public CoaActor {
 public:
  explicit UdpCoa(Env env, Span timeout = Span::seconds(2), int attempts = 3) : env_(env), timeout_(timeout), attempts_(attempts) {}
  // nas_address "203.0.113.131:3799". Errors: failed (no answer), usage (bad address).
  Result<CoaReply> change(std::string_view nas_address, const Secret& secret, const CoaRequest& request) override;

 private:
  Env env_;
  Span timeout_;
  int attempts_;
};

}  // namespace nora::isp
