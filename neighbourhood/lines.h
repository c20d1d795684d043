// The lines of the two ISPs and what their accounting says: the truth behind the ISP side. Used by isp_side and by the checker's
// truth file. Invented people; plain data and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nora::neighbourhood {

// One contract of an ISP. `key` is the log key of its records: the account (Hikari), "mac:…" or "prefix:…" (Sakura).
struct Line {
  std::string line, isp, key, name, mail, language;
};
std::vector<Line> lines_of(std::string_view isp);

// One accounting request as the NAS sends it. `at_s` is relative to the instant of sending, `started_s` (for the session time) to
// the instant at which the history was sent.
struct Accounting {
  enum class Kind { start, interim, stop } kind = Kind::start;
  std::string user, session, ip, v6_prefix, nas_port_id;
  std::int64_t at_s = 0, started_s = 0;
};
inline constexpr std::int64_t interim_interval_s = 1800;

// What Hikari's NAS has reported before the survey: a closed earlier session and an open one per line, an open session whose Stop
// was lost (hk-resolver's former customer), and one account on two ports at once (hk-upnp).
std::vector<Accounting> history();
// What it reports between the survey and the matching (at_s relative to that moment): hk-socks' address is handed to another
// line; hk-proxy's Stop is lost and the next customer gets its address.
std::vector<Accounting> after_survey();

}  // namespace nora::neighbourhood
