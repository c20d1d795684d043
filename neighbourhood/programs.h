// The small programs of nora-neighbour, one per file of the same name. Each takes its arguments and returns an exit code
// (2 = wrong arguments, 6 = the machine refuses); the servers run until they are killed.
#pragma once

#include <string>
#include <vector>

namespace nora::neighbourhood {

int modbus_plc(const std::vector<std::string>& args);   // ADDRESS PORT
int rtsp_camera(const std::vector<std::string>& args);  // ADDRESS PORT
int mirai_syn(const std::vector<std::string>& args);    // SOURCE RANGE COUNT
int relay(const std::vector<std::string>& args);        // LISTENER-DESCRIPTOR ADDRESS:PORT|/SOCKET
int nas(const std::vector<std::string>& args);          // ADDRESS PORT SESSIONS-FILE, secret in NAS_SECRET
int wire_count(const std::vector<std::string>& args);   // INTERFACE MANDATE-FILE OUT-FILE
int visit(const std::vector<std::string>& args);        // METHOD ADDRESS:PORT PATH HOST DEADLINE_S [HEADER…], body on stdin
int faces(const std::vector<std::string>& args);        // prints what each device really answers

}  // namespace nora::neighbourhood
