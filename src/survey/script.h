// Scripts: what Nora says in a TCP conversation, byte for byte, and when it has heard enough. Used by the grabber.
// A script looks at prefixes and lengths only; parsing happens in the jail. There is no script that sends a user name, a password, a print
// job, a register access or anything that changes a device: the list below is complete.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/instant.h"
#include "base/ip.h"

namespace nora::survey {

struct ScriptSpec {
  std::string probe;  // listen | http | https | rtsp | mqtt | socks5 | http-relay | ipp | modbus | upnp
  Ip ip;
  std::uint16_t port = 0;
  std::string own;                                                          // our source address, for the User-Agent
  std::string path = "/";                                                   // http, https, upnp
  std::string relay_url;                                                    // http-relay: "http://192.0.2.10:8088/nora-relay/<token>"
  bool ssh_allowed = false, rfb_allowed = false, describe_allowed = false;  // a permit for these probes exists
};

struct Reaction {
  Bytes send = {};
  bool next_part = false;  // what was received so far is one part; the next bytes begin another
  bool done = false;
};

class Script {
 public:
  explicit Script(ScriptSpec spec);
  const ScriptSpec& spec() const { return spec_; }
  bool tls() const { return spec_.probe == "https"; }
  Reaction connected();              // the first words, or nothing for "listen"
  Reaction received(ByteView part);  // everything of the current part so far
  Reaction quiet(ByteView part);     // nothing came for quiet_after()
  Span quiet_after(bool heard_something) const;

 private:
  Reaction listen(ByteView part);
  ScriptSpec spec_;
  int step_ = 0;
  std::size_t telnet_at_ = 0;
  std::string heard_;  // what the listening script recognised
};

std::string user_agent(std::string_view own);
Bytes http_request(const ScriptSpec& spec);

}  // namespace nora::survey
