// The controller at the business: libmodbus answers FC 1-6, we add FC 43/14 (read device identification), which libmodbus lacks.
// One connection at a time, as small PLCs do. Values are invented; writes change only this process.
#include <modbus/modbus.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "neighbourhood/programs.h"

namespace nora::neighbourhood {
namespace {

constexpr std::uint8_t read_device_identification = 0x2b, mei_device_identification = 0x0e;
constexpr std::string_view objects[] = {"MITSUBISHI ELECTRIC", "FX5U-32M", "1.280"};  // VendorName, ProductCode, MajorMinorRevision

// The answer as the Modbus Application Protocol V1.1b3 section 6.21 lays it out: basic objects in one stream.
std::vector<std::uint8_t> identification(const std::uint8_t* query, int header) {
  std::vector<std::uint8_t> body = {query[header - 1], read_device_identification, mei_device_identification, query[header + 2], 0x01, 0x00, 0x00,
                                    static_cast<std::uint8_t>(std::size(objects))};
  for (std::size_t i = 0; i < std::size(objects); ++i) {
    body.push_back(static_cast<std::uint8_t>(i));
    body.push_back(static_cast<std::uint8_t>(objects[i].size()));
    body.insert(body.end(), objects[i].begin(), objects[i].end());
  }
  std::vector<std::uint8_t> frame = {query[0], query[1], 0, 0, static_cast<std::uint8_t>(body.size() >> 8), static_cast<std::uint8_t>(body.size() & 0xff)};
  frame.insert(frame.end(), body.begin(), body.end());
  return frame;
}

}  // namespace

int modbus_plc(const std::vector<std::string>& args) {
  if (args.size() != 2) return 2;
  modbus_t* context = modbus_new_tcp(args[0].c_str(), std::atoi(args[1].c_str()));
  modbus_mapping_t* map = modbus_mapping_new(16, 16, 16, 16);
  if (!context || !map) return 1;
  for (int i = 0; i < 16; ++i) map->tab_input_registers[i] = static_cast<std::uint16_t>(200 + i);  // tenths of a degree
  int listener = modbus_tcp_listen(context, 4);
  if (listener < 0) return 1;
  int header = modbus_get_header_length(context);
  for (;;) {
    if (modbus_tcp_accept(context, &listener) < 0) return 1;
    modbus_set_indication_timeout(context, 30, 0);
    std::uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    for (int n; (n = modbus_receive(context, query)) >= 0;) {
      if (n == 0) continue;
      if (query[header] == read_device_identification) {
        // libmodbus does not know this function and stops reading behind its code; the MBAP header says how much is left.
        int total = std::min(6 + (query[4] << 8 | query[5]), MODBUS_TCP_MAX_ADU_LENGTH);
        if (total > n && ::recv(modbus_get_socket(context), query + n, static_cast<std::size_t>(total - n), MSG_WAITALL) != total - n) break;
        n = std::max(n, total);
      }
      if (n >= header + 4 && query[header] == read_device_identification && query[header + 1] == mei_device_identification) {
        auto answer = identification(query, header);
        if (::send(modbus_get_socket(context), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
      } else {
        modbus_reply(context, query, n, map);
      }
    }
    modbus_close(context);
  }
}

}  // namespace nora::neighbourhood
