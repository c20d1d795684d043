// The list that the center gives to one ISP, and the return that comes back. NDJSON inside a C2SP signed note (Ed25519), then a libsodium
// sealed box to the receiver's key: wrong delivery is unreadable, alteration and replay are refused. Used by cases (writes lists, reads
// returns) and isp (reads lists, writes returns). The return carries states and a blind handle, never a name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/ip.h"
#include "base/result.h"

namespace nora::exchange {

inline constexpr std::size_t max_list_rows = 1'000'000;

struct ListHeader {
  std::string list_id;
  std::string isp;             // receiver's id
  std::string center;          // sender's id
  std::int64_t sequence = 0;   // rises by one per ISP; repeated or lower is refused
  Instant created, not_after;  // default 14 days
};

struct ListRow {
  std::string row_id;          // stable for a case: a later list repeats it, so that nobody is told twice
  std::string finding_class;   // exposure rule id, or "infected"; the ISP approves a ground per class
  char pattern = 'D';
  std::string severity, rsit;
  Endpoint where;              // instant of the observation; for a sighting the source port
  bool has_port = true;        // false: no port known (shared addresses cannot be resolved)
  Span at_error{};             // error bound of the instant
  std::string vendor, product, type;
  double confidence = 0;
  std::string advice;          // advice id
  std::string evidence;        // one line of plain words, already cleaned
  std::string notice_code;     // typed by the owner at the portal
  std::string word1, word2;
  bool attacked = false;       // a sighting joined
};

struct List { ListHeader header; std::vector<ListRow> rows; };

struct ReturnRow {
  std::string row_id;
  std::string state;           // matched none ambiguous shared_no_port near_boundary no_ground notified bounced isolated released delegated critical
  Instant at;
  std::string handle;          // blind handle or empty
  std::string detail;          // channel, isolation scope, …; never a name
};
struct Return { std::string list_id; std::string isp; std::int64_t sequence = 0; Instant created; std::vector<ReturnRow> rows; };

Result<Bytes> write_list(const List& list, const SigningKey& center, const PublicKey& isp);
// Errors: refused (foreign receiver, unknown signer, altered, expired, sequence not above last_sequence), bad_input.
Result<List> read_list(ByteView sealed, const SigningKey& isp, std::string_view isp_id, const PublicKey& center, std::int64_t last_sequence, Instant now);
Result<Bytes> write_return(const Return& ret, const SigningKey& isp, const PublicKey& center);
Result<Return> read_return(ByteView sealed, const SigningKey& center, const PublicKey& isp, std::string_view isp_id, std::int64_t last_sequence);

}  // namespace nora::exchange
