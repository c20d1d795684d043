// Routes: which ISP an address belonged to at an instant, by the contract prefixes of routes.toml. Used by flow (opens cases), lists, desk.
// Immutable after load, any thread. A prefix without a measured lease time joins no sighting (observation.md section 10).
//
//   [[isp]]
//   id = "hikari"            # receiver of lists
//   name = "Hikari"          # shown to owners
//   track = "list"           # or "on-site": no list and no mail, people are visited
//   key = "hikari.example+…" # public key for sealing; not needed on site
//   [[isp.prefix]]
//   prefix = "203.0.113.0/25"
//   from = 2026-11-01T00:00:00Z
//   to = 2027-11-01T00:00:00Z      # may be absent
//   lease_hours = 24               # measured median life of an address; may be absent
//   shared = true                  # several lines behind one address: a line is address and port
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/ip.h"

namespace nora::cases {

inline constexpr std::size_t max_routes = 100'000;

struct Isp {
  std::string id, name;
  bool on_site = false;
  std::optional<PublicKey> key;
};
struct Route {
  const Isp* isp = nullptr;
  Prefix prefix;
  bool shared = false;
  std::optional<Span> lease;
};

class Routes {
 public:
  static Result<Routes> load(const std::filesystem::path& file);
  static Result<Routes> parse(std::string_view toml, std::string_view file_name);
  // Longest prefix that was in force at that instant. Two ISPs with the same prefix at the same time: no route (ambiguity fails closed).
  std::optional<Route> route(Ip ip, Instant at) const;
  const Isp* isp(std::string_view id) const;
  const std::vector<Isp>& isps() const { return isps_; }

 private:
  struct Entry {
    Prefix prefix;
    Instant from;
    std::optional<Instant> to;
    std::size_t isp = 0;
    bool shared = false;
    std::optional<Span> lease;
  };
  std::vector<Isp> isps_;
  std::vector<Entry> entries_;
};

// Names a line without knowing it: the address, address and port on a shared address, the /64 in IPv6.
std::string line_key(Ip ip, Port port, bool shared);

}  // namespace nora::cases
