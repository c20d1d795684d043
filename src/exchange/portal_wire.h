// The narrow questions that the portal may put to the center, one JSON object a line over a Unix socket, and the answers.
// Used by portal (asks) and flow (answers). There is no message that lists anything: notice(code), check(own address, consent), product(id),
// tell(code, what). Limits: max_line_bytes per line; one request per connection; a check streams lines until "done".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/json.h"

namespace nora::exchange {

inline constexpr std::size_t max_line_bytes = 64 * 1024;
inline constexpr std::size_t max_flaw_ids = 5;

// One thing a person reads about one device; no address, no name.
struct FindingView {
  std::string rule;            // exposure rule id: message ids exposure.<rule>.title / .plain
  char pattern = 'D';
  std::string severity;
  std::string vendor, product, type;   // empty when unknown
  double confidence = 0;       // of the product
  int port = 0;
  std::string proto;
  Instant seen;
  std::string state;           // open | fixed
  std::string advice;          // advice id (data/advice), already resolved: product, else product line, else type x exposure
  // A flaw of this product that is used in real attacks: "" none known | by_version (a source names this version) | version_unknown | possible.
  std::string flaw;
  std::vector<std::string> flaw_ids;  // for the technician; at most max_flaw_ids
  bool support_ended = false;
  std::string support_end;     // date; empty: not known
};

// request: {"op":"notice","code":C}
struct NoticeView {
  std::string case_state;      // workflow.md states, for example "S4_NOTIFIED"
  std::string isp_name;
  std::string word1, word2;    // the two words that also stand in the letter
  Instant noticed;
  std::vector<FindingView> findings;
  bool sighting = false;       // "a device on this line attacked"
};

// request: {"op":"check","ip":IP,"code":C?,"consent":{"at":T,"responsible":true,"text":ID}} -> CheckLine*, the last one with done=true.
struct CheckLine {
  std::string step;            // started | probe | finding | clear | verdict | refused
  std::string what;            // probe or exposure rule id
  int port = 0;
  std::string proto;
  std::string result;          // open | closed | answered | silent | still_open | fixed
  std::string verdict;         // on the last line: red | green | not_ours | busy | unknown
  std::vector<FindingView> findings;  // on the last line
  bool done = false;
};

// request: {"op":"tell","code":C,"what":"did_it"|"unplugged"|"not_mine"|"stuck"} -> {"ok":true}
// request: {"op":"product","id":ID} -> {"vendor","product","type","support_end","advice"}
// any error: {"error":{"code","what","fix"}}

json::Object to_json(const FindingView& v);
Result<FindingView> finding_view(const json::Object& o);
json::Object to_json(const NoticeView& v);
Result<NoticeView> notice_view(const json::Object& o);
json::Object to_json(const CheckLine& v);
Result<CheckLine> check_line(const json::Object& o);

}  // namespace nora::exchange
