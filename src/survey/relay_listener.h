// RelayListener: the mandate's own web listener. For the P3 proof: a proxy that fetches /nora-relay/<token> from here has relayed, and got a
// secret that only holders of the party's key can compute. Everything else is the page of who surveys, and why (scan_page.h). Used by the engine
// and the node. A thread of its own; at most max_clients at once, 4 s and 4 KiB each. Several processes of the party may run: the first
// holds the port.
#pragma once

#include <atomic>
#include <set>
#include <string>
#include <thread>

#include "base/crypto.h"
#include "base/env.h"
#include "base/files.h"
#include "base/guarded.h"
#include "law/mandate_text.h"
#include "survey/scan_page.h"

namespace nora::survey {

inline constexpr std::size_t max_clients = 64;

class RelayListener {
 public:
  // What `page` names must outlive the listener.
  RelayListener(const law::MandateText& mandate, const SigningKey& key, const ScanPageParts& page, Env env);
  ~RelayListener();
  RelayListener(const RelayListener&) = delete;
  // Binds the mandate's TCP listener of this family. Port taken: another process of ours serves it; holding() is then false and that is no
  // error.
  Status start();
  bool holding() const { return !sockets_.empty(); }
  std::string url(bool v4, std::string_view token) const;  // "" when the mandate has no listener of this family
  std::string secret(std::string_view token) const;
  bool seen(std::string_view token);  // somebody asked for it here (true when another process holds the port)

 private:
  void run();
  std::string answer(std::string_view request, Ip peer);
  std::vector<law::Listener> listeners_;
  ScanPage page_;
  const SigningKey& key_;
  Env env_;
  std::vector<Fd> sockets_;
  std::atomic<bool> stop_ = false;
  Guarded<std::set<std::string>> seen_;
  std::thread thread_;
};

}  // namespace nora::survey
