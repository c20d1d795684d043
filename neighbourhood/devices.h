// What runs on each stand-in device: real servers with the faces of devices.md. Used by the world.
// services_of() writes the configuration files below the device's own directory; nothing is started here.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "neighbourhood/plan.h"
#include "neighbourhood/process.h"

namespace nora::neighbourhood {

struct Service {
  std::string name;                  // "telnet", "http", …: also the name of its log
  Command command;                   // netns, log and host name already set
  std::vector<std::string> ready;    // sockets that show that it is up: "tcp/23", "udp/53"
  std::vector<Command> after_start;  // run once when it is up (a CoAP server learns its resource)
};

struct DeviceFiles {
  std::filesystem::path directory;  // own directory of this device; exists
  std::filesystem::path shared;     // directory for what is made once: the patched dropbear, the gst plugin folder
  std::filesystem::path helper;     // the nora-neighbour program
};

// Makes what several devices use: dropbear with the version text of 2012, certificate and host key. Runs short programs.
Status prepare_shared(const std::filesystem::path& shared);
Result<std::vector<Service>> services_of(const Device& device, const DeviceFiles& files);

}  // namespace nora::neighbourhood
