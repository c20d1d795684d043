// Catalogue: the request bytes of each probe (data/probes/catalogue.tsv, described in data/probes/README.md), with the places of the random
// tokens. Used by the sender (renders), the engine (validates answers) and the audit of captures (matches). law::ProbeList reads the same
// file for what the law must know. Immutable; any thread. A catalogue with a forbidden byte string (forbidden.h) is not read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"

namespace nora::survey {

inline constexpr std::size_t max_request_bytes = 1232;  // of one UDP request: an IPv6 packet of 1,280 bytes, which no link cuts

// Random-looking material of one request; both sides derive it from the survey key (answer.h), nothing is remembered.
struct Token {
  std::array<std::uint8_t, 48> bytes{};
};

struct Request {
  std::string id;
  bool raw = false;         // sent as one datagram by nora-sender; otherwise a conversation (script.h) or a SYN
  bool any_port = false;    // the answer may come from another port than the one that was asked
  bool social = false;      // a control probe
  bool credential = false;  // never sent: law::Mandate::permit refuses it
  std::vector<std::uint16_t> ports;
  Bytes answer_begins;      // what every answer of this protocol begins with; empty: unknown

  // Request bytes for one target. Errors cannot happen: the template was checked when read.
  Bytes render(const Token& token, Ip target, Ip own) const;
  // May these bytes be an answer to the request with this token? They begin as told, and carry the token as this protocol returns it:
  // {txid1} {txid2} at the same offset; {rand2} {rand4} {rand8} {hex8} {uuid} {turn4} anywhere. The others do not come back.
  // A protocol without a token is told apart by addresses, ports and its first bytes alone.
  bool echoes(ByteView answer, const Token& token) const;
  bool has_token() const;
  // Are these bytes this request, with any token, from `own` to `target`?
  bool matches(ByteView payload, Ip target, Ip own) const;

  struct Piece {
    enum class Kind { literal, txid1, txid2, rand2, rand4, rand8, text8, hex8, uuid, turn4, fill4, fill8, fill32, ip, own, pad } kind =
        Kind::literal;
    Bytes literal;
    std::size_t length = 0;  // pad: zeros up to this length of the whole request
  };
  std::vector<Piece> pieces;
};

// The template of the column "request". Errors: bad_input with `place` in front.
Result<std::vector<Request::Piece>> read_template(std::string_view text, const std::string& place);

class Catalogue {
 public:
  // Columns: id, proto, ports, class, social, request, description, marks (may be missing). Errors: bad_input "catalogue line 7: …".
  static Result<Catalogue> parse(std::string_view tsv);
  const Request* find(std::string_view id) const;
  const std::vector<Request>& all() const { return requests_; }

 private:
  std::vector<Request> requests_;
};

}  // namespace nora::survey
