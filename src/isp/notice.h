// Notice: the warning to one line about what was found behind it. It can be made only from UniqueMatch (law: nobody is told on doubt).
// Used by outbox and pages. Pure; any thread. Text comes from data/messages/<lang>/notice.po, advice.po, exposures.po.
#pragma once

#include <string>
#include <vector>

#include "base/messages.h"
#include "isp/party.h"
#include "isp/worklist.h"

namespace nora::isp {

inline constexpr std::size_t max_items = 6;              // devices named in one mail; more wait for the portal
inline constexpr Span notice_gap = Span::days(7);        // at most one message per line in this time
inline constexpr double sure_enough = 0.9;               // below: "likely" (workflow.md section 4 rule 3)

// One row and the answer that ties it to the line.
struct Tied { Row row; UniqueMatch match; };

class Notice {
 public:
  // All rows must be tied to the subscriber's own line. Errors: refused (another line, opted out, no address), usage (settings lack a text, no row).
  static Result<Notice> make(std::vector<Tied> tied, const Subscriber& to, const Settings& settings, const Messages& messages);

  const LineId& line() const { return line_; }
  const std::string& to() const { return to_; }
  const std::string& from_name() const { return from_name_; }
  const std::string& from() const { return from_; }
  const std::string& subject() const { return subject_; }
  const std::string& body() const { return body_; }              // UTF-8, lines end in \n
  const std::string& message_id() const { return message_id_; }  // without angle brackets; the same for the same row
  const std::vector<std::string>& row_ids() const { return row_ids_; }

 private:
  Notice() = default;
  LineId line_;
  std::string to_, from_name_, from_, subject_, body_, message_id_;
  std::vector<std::string> row_ids_;
};

// What a person should see before sending: each check and whether it holds.
struct NoticeCheck { std::string name; bool good = false; };
std::vector<NoticeCheck> check_notice(const Notice& notice);

}  // namespace nora::isp
