// The address plan of the demo world: who lives where. Used by the world builder, the ISP side, the checker and `nora demo`.
// Plain constant data. Documentation addresses only (RFC 5737, RFC 3849); names are invented. The faces are in devices.md.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nora::neighbourhood {

namespace plan {
inline constexpr std::string_view scan_v4 = "192.0.2.10", scan_v6 = "2001:db8:0:10::10";
inline constexpr std::uint16_t relay_listener_port = 8088;  // P3: an open proxy proves itself by reaching this listener of the scan address
inline constexpr std::string_view core_v4 = "192.0.2.1", core_v6 = "2001:db8:0:1::1";
inline constexpr std::string_view wall_v4 = "192.0.2.9", wall_v6 = "2001:db8:0:9::9";
inline constexpr std::string_view resolver_v4 = "192.0.2.53";  // names of the demo: reverse names, mail domains
inline constexpr std::string_view portal_v4 = "192.0.2.80", portal_v6 = "2001:db8:0:80::80";
inline constexpr std::string_view darknet_v4 = "192.0.2.126", darknet_range = "192.0.2.128/25";
inline constexpr std::string_view hikari_v4 = "203.0.113.129", hikari_v6 = "2001:db8:0:31::1";
inline constexpr std::string_view hikari_mail = "203.0.113.130", hikari_radius = "203.0.113.131", hikari_nas = "203.0.113.132";
inline constexpr std::string_view sakura_v4 = "198.51.100.65", sakura_v6 = "2001:db8:0:32::1", sakura_gateway = "198.51.100.1";
inline constexpr std::string_view sakura_mail = "198.51.100.66";
inline constexpr std::string_view biz_v4 = "198.51.100.129";
inline constexpr std::string_view hikari_range = "203.0.113.0/25", hikari_range6 = "2001:db8:1000::/36";
inline constexpr std::string_view sakura_range = "198.51.100.0/26", sakura_range6 = "2001:db8:2000::/36";
inline constexpr std::string_view excluded_range = "203.0.113.96/28", biz_range = "198.51.100.128/28";

// The MAP-E rule (RFC 7597): a = 4, k = 8, so m = 4; PSID 0x34 owns 0x1340-0x134f, 0x2340-0x234f (9024-9039), ... 15 blocks.
inline constexpr std::string_view mape_shared = "198.51.100.20", mape_inside = "198.51.100.72";
inline constexpr std::string_view mape_rule6 = "2001:db8:2014::/48", mape_user6 = "2001:db8:2014:3400::/56";
inline constexpr int mape_psid_offset = 4, mape_psid_length = 8, mape_psid = 0x34;
inline constexpr std::uint16_t mape_port = 9030;
}  // namespace plan

struct Device {
  std::string_view id;        // also the name of its namespace
  std::string_view isp;       // hikari, sakura, kinmirai or none
  std::string_view v4, v6;    // v6 may be empty
  std::string_view hostname;  // what a login prompt shows
  std::string_view mac;       // of its line's modem
  bool playable = false;      // the visitor can sit in this home
};

inline constexpr std::array<Device, 25> devices = {{
    {"hk-telnet", "hikari", "203.0.113.10", "", "LAN-W300NR", "00:00:5e:00:53:0a", true},
    {"hk-ssh", "hikari", "203.0.113.17", "2001:db8:1000:17::17", "whr", "00:00:5e:00:53:11"},
    {"hk-resolver", "hikari", "203.0.113.21", "", "wrc", "00:00:5e:00:53:15"},
    {"hk-ntp", "hikari", "203.0.113.25", "", "ts2560", "00:00:5e:00:53:19"},
    {"hk-proxy", "hikari", "203.0.113.33", "", "openblocks", "00:00:5e:00:53:21"},
    {"hk-socks", "hikari", "203.0.113.41", "", "mzk", "00:00:5e:00:53:29"},
    {"hk-upnp", "hikari", "203.0.113.45", "", "aterm", "00:00:5e:00:53:2d"},
    {"hk-recorder", "hikari", "203.0.113.52", "", "udr", "00:00:5e:00:53:34", true},
    {"hk-unknown-1", "hikari", "203.0.113.58", "", "ctl", "00:00:5e:00:53:3a"},
    {"hk-unknown-2", "hikari", "203.0.113.61", "", "ctl", "00:00:5e:00:53:3d"},
    {"hk-healthy", "hikari", "203.0.113.66", "", "home", "00:00:5e:00:53:42", true},
    {"hk-camera", "hikari", "203.0.113.77", "", "hcm715", "00:00:5e:00:53:4d", true},
    {"hk-tls", "hikari", "203.0.113.83", "2001:db8:1000:83::83", "hdl2", "00:00:5e:00:53:53"},
    {"hk-excluded", "hikari", "203.0.113.98", "", "excluded", "00:00:5e:00:53:62"},
    {"outside", "none", "203.0.113.200", "", "outside", "00:00:5e:00:53:c8"},
    {"sk-nas", "sakura", "198.51.100.7", "", "ls220d", "00:00:5e:00:54:07", true},
    {"sk-mqtt", "sakura", "198.51.100.12", "", "solarview", "00:00:5e:00:54:0c"},
    {"sk-printer", "sakura", "198.51.100.15", "", "lbp6040", "00:00:5e:00:54:0f"},
    {"sk-mape", "sakura", "198.51.100.20", "", "vbs30d", "00:00:5e:00:54:14"},
    {"sk-coap", "sakura", "198.51.100.23", "", "hemsgw1", "00:00:5e:00:54:17"},
    {"sk-vnc", "sakura", "198.51.100.31", "", "gp4501", "00:00:5e:00:54:1f"},
    {"sk-snmp", "sakura", "198.51.100.35", "", "rtx1200", "00:00:5e:00:54:23"},
    {"sk-unknown-3", "sakura", "198.51.100.44", "", "ctl", "00:00:5e:00:54:2c"},
    {"sk-unknown-4", "sakura", "198.51.100.47", "", "ctl", "00:00:5e:00:54:2f"},
    {"biz-plc", "kinmirai", "198.51.100.130", "", "fx5u", "00:00:5e:00:55:82"},
}};

const Device* find_device(std::string_view id);

}  // namespace nora::neighbourhood
