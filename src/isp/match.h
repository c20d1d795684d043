// Matcher: who had this address (and port) at this instant, or an honest "cannot say". Used by worklist, isolation, `nora isp match`.
// Half-open intervals; uncertainty = error of the observer + clock error of the log + 1 s resolution (inside the clock error) + guard.
// Only a `unique` answer carries a UniqueMatch, and only a UniqueMatch can become a notice or an isolation (by type).
// Threads: match() is const and may be called from any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "isp/index.h"
#include "isp/line.h"

namespace nora::isp {

enum class MatchStatus { unique, none, ambiguous, shared_no_port, near_boundary };
std::string_view name(MatchStatus status);

struct MatchQuestion {
  Endpoint where;                // port 0 and has_port = false: not known
  bool has_port = true;
  Span at_error = Span::seconds(1);
};
// {"ip","port","proto","at","at_error_ms"}; port, proto and at_error_ms may be missing. Errors: bad_input.
Result<MatchQuestion> parse_question(std::string_view json_line);

// Exactly one line, with a margin above the uncertainty. Made by Matcher alone.
class UniqueMatch {
 public:
  const LineId& line() const { return line_; }
  const Endpoint& where() const { return where_; }
  bool has_port() const { return has_port_; }
  const std::optional<Span>& margin() const { return margin_; }  // nothing: no border at all (a static rule without end)
  Span uncertainty() const { return uncertainty_; }
  const std::string& record() const { return record_; }

 private:
  friend class Matcher;
  UniqueMatch() = default;
  LineId line_;
  Endpoint where_;
  bool has_port_ = true;
  std::optional<Span> margin_;
  Span uncertainty_;
  std::string record_;
};

struct MatchAnswer {
  MatchStatus status = MatchStatus::none;
  std::optional<UniqueMatch> unique;     // set exactly when status is unique
  std::optional<Span> margin;            // distance to the nearest border
  Span uncertainty{};
  std::vector<std::string> records;      // evidence, "file:offset:sha256"
  std::string reason;                    // no_interval log_not_covered port_of_nobody two_lines account_shared lost_stop border hand_over clock_untrusted …
  int candidates = 0;                    // lines that may be meant
};

struct MatchOptions {
  Span guard = Span::seconds(5);         // trust.md section 11 rule b
  Span log_error{};                      // the provider's own statement on its logs, on top of the per-NAS error
};

class Matcher {
 public:
  Matcher(const LeaseReader& index, MatchOptions options) : index_(index), options_(options) {}
  MatchAnswer match(const MatchQuestion& question) const;

 private:
  struct Judged;
  MatchAnswer judge(const MatchQuestion& q, const std::vector<Candidate>& candidates) const;
  std::optional<MatchAnswer> match_mape(const MatchQuestion& q) const;
  void make_unique(MatchAnswer& answer, const MatchQuestion& q, LineId line) const;
  bool covered(const MatchQuestion& q, MatchAnswer& answer) const;
  const LeaseReader& index_;
  MatchOptions options_;
};

// The answer as `nora isp match` writes it: status, line (null unless unique), margin_s (null: no border), record, and for people uncertainty_s, reason, candidates.
json::Object to_json(const MatchAnswer& answer);

}  // namespace nora::isp
