// The sender: walks index ranges of the permutation and emits one frame per probe, each with a Permit of its own and a check of its final
// bytes. Runs as a process of its own (src/app/sender_main.cc), verifies the mandate itself, and gives up all rights once its sockets are
// open. One thread. It never reads an answer: the receive ring goes to `nora scan`.
#pragma once

#include <string>

#include "base/env.h"
#include "law/mandate.h"
#include "law/send.h"
#include "survey/channel.h"

namespace nora::survey {

struct SenderOptions {
  law::MandateFiles files;
  std::string iface;
  std::filesystem::path daily;  // folder of the daily counts; empty: they end with the process
  law::SendPath send = law::SendPath::automatic;
};

// Serves the channel until "stop" or until the other end is gone. Errors are also sent over the channel before they are returned.
Status run_sender(const SenderOptions& options, Channel channel, Env env);

// No capability, no way to get one back (no_new_privs). Open sockets stay usable. `keep_bpf`: the live path runs its eBPF program by a system
// call that asks for CAP_BPF and CAP_NET_ADMIN each time; these two stay.
Status drop_rights(bool keep_bpf = false);

}  // namespace nora::survey
