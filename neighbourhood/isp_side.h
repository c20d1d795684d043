// The servers of the two ISPs: FreeRADIUS and the NAS stand-in at Hikari, Kea at Sakura, a mail sink at each, and the name server.
// Used by the world and by `nora demo`. Real daemons from Debian packages; only the NAS is ours (RFC 5176 over nftables).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "neighbourhood/lines.h"
#include "neighbourhood/process.h"

namespace nora::neighbourhood {

inline constexpr std::string_view radius_secret = "demo-accounting-secret", coa_secret = "demo-coa-secret";
inline constexpr std::uint16_t radius_port = 1813, coa_port = 3799;

class IspSide {
 public:
  static Result<std::unique_ptr<IspSide>> start(const std::filesystem::path& state, const std::filesystem::path& helper);
  // Every home of Sakura asks Kea for its address (busybox udhcpc). Returns when all have one.
  Status lease_addresses();
  Status await();  // all servers listen

  // Sends the records by radclient, with Event-Timestamps relative to `now_s` (seconds since 1970), and tells the NAS which
  // sessions are open. history() first (it fixes the reference of started_s), after_survey() later.
  Status account(const std::vector<Accounting>& records, std::int64_t now_s);

  // What `nora isp import` reads.
  std::filesystem::path radius_detail() const { return state_ / "hikari-radius/radacct"; }
  std::filesystem::path kea_log() const { return state_ / "sakura-kea/hook.log"; }
  std::filesystem::path mape_rules() const { return state_ / "sakura-kea/mape.csv"; }
  std::filesystem::path customers(std::string_view isp) const { return state_ / "customers" / (std::string(isp) + ".csv"); }
  std::filesystem::path mail(std::string_view isp) const { return state_ / "mail" / isp; }  // one file per message

 private:
  struct Server {
    std::string name;
    pid_t pid = 0;
    std::string socket;
    std::filesystem::path log;
  };
  Status launch(const std::string& name, Command command, std::string socket);
  Status start_radius();
  Status start_nas(const std::filesystem::path& helper);
  Status start_kea();
  Status start_mail();
  Status start_names();
  Status write_customers() const;

  std::filesystem::path state_;
  std::vector<Server> servers_;
  std::vector<std::pair<std::string, std::string>> open_sessions_;  // session, address
  std::int64_t reference_s_ = 0;
};

}  // namespace nora::neighbourhood
