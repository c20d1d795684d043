// Catalogue: the request bytes of each probe (data/probes/catalogue.tsv), with the places of the random tokens. Used by the sender
// (renders) and the engine (validates answers). law::ProbeList reads the same file for what the law must know. Immutable; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"

namespace nora::survey {

inline constexpr std::size_t max_request_bytes = 512;  // of one UDP request

// Random-looking material of one request; both sides derive it from the survey key (answer.h), nothing is remembered.
struct Token {
  std::array<std::uint8_t, 24> bytes{};
};

struct Request {
  std::string id;
  bool raw = false;  // sent as one datagram by nora-sender; otherwise a conversation (script.h) or a SYN

  // Request bytes for one target. Errors cannot happen: the template was checked when read.
  Bytes render(const Token& token, Ip target, Ip own) const;
  // Do the answer's bytes carry the token as this protocol returns it? {txid2}: at the same offset; {rand4} {rand8} {text8}: anywhere.
  // A protocol without a token (SSDP, NAT-PMP) is told apart by addresses and ports alone: true.
  bool echoes(ByteView answer, const Token& token) const;
  bool has_token() const;

  struct Piece {
    enum class Kind { literal, txid2, rand4, rand8, text8, ip, own } kind = Kind::literal;
    Bytes literal;
  };
  std::vector<Piece> pieces;
};

class Catalogue {
 public:
  // Columns: id, proto, ports, class, social, request, description. Errors: bad_input "catalogue line 7: …".
  static Result<Catalogue> parse(std::string_view tsv);
  const Request* find(std::string_view id) const;
  const std::vector<Request>& all() const { return requests_; }

 private:
  std::vector<Request> requests_;
};

}  // namespace nora::survey
