// Which sockets are open where, without sending a packet: from /proc/PID/net. Used to wait for servers and by the tests.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <set>
#include <string>

namespace nora::neighbourhood {

// The listening TCP and the bound UDP sockets in the network namespace of that process, as "tcp/23". Empty when it is gone.
std::set<std::string> listening_sockets(pid_t pid);
// The last 400 bytes, for an error message.
std::string end_of_file(const std::filesystem::path& file);

}  // namespace nora::neighbourhood
