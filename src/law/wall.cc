// Which kind of wall, and whose addresses (law/wall.h).
#include "law/wall.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "base/files.h"
#include "law/wall_kinds.h"

namespace nora::law::wall {

Result<std::unique_ptr<Wall>> install(Kind kind, const Site& site, const std::function<void(const std::string&)>& say) {
  if (kind != Kind::nft) {
    auto built = install_xdp(site, kind == Kind::xdp);
    if (built) {
      remove_nft();
      return built;
    }
    if (kind == Kind::xdp || built.error().code != Code::environment || site.sink) return built;
    say("the wall is of nft rules, not of XDP: " + built.error().text());
  }
  if (site.sink) return fail(Code::usage, "only the XDP wall has --sink");
  NORA_TRY(auto built, install_nft(site));
  NORA_CHECK(remove_xdp(site.iface));
  return built;
}

Status must_exist(const std::string& iface) {
  if (::if_nametoindex(iface.c_str()) != 0) return {};
  return fail(Code::environment, "there is no interface \"" + iface + "\" in this network namespace", "Start nora-wall in the namespace that holds the far end of the sender's veth.");
}

Result<std::vector<Net>> own_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return fail(Code::environment, "the addresses of this network namespace cannot be read: " + errno_text(errno));
  std::vector<Net> out;
  for (const ifaddrs* a = list; a; a = a->ifa_next) {
    if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET6) continue;
    const auto& in = reinterpret_cast<const sockaddr_in6*>(a->ifa_addr)->sin6_addr;
    if (IN6_IS_ADDR_LINKLOCAL(&in)) continue;
    Net n;
    n.v4 = false;
    n.length = 128;
    std::memcpy(n.first.data(), &in, 16);
    n.text = text_of(n);
    out.push_back(std::move(n));
  }
  ::freeifaddrs(list);
  return out;
}

}  // namespace nora::law::wall
