#include "survey/parse_worker.h"

#include <unistd.h>

#include <cerrno>

#include "survey/parse_wire.h"
#include "survey/probes/parse.h"

namespace nora::survey {
namespace {

bool write_out(int fd, const Bytes& bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    auto put = write(fd, bytes.data() + at, bytes.size() - at);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    at += static_cast<std::size_t>(put);
  }
  return true;
}

}  // namespace

void warm_up_parsers() {
  // A self-signed certificate (EC P-256, C=JP, O=Example, CN=x), so that OpenSSL's decoders and name tables are loaded.
  auto der = from_hex(
      "308201c030820167a0030201020214361ebfbc6718762be412a129762fe1f70992e205300a06082a8648ce3d040302302b310b3009060355040613024a50311030"
      "0e060355040a0c074578616d706c65310a300806035504030c0178301e170d3236313132353138303433325a170d3336313132323138303433325a302b310b3009"
      "060355040613024a503110300e060355040a0c074578616d706c65310a300806035504030c01783059301306072a8648ce3d020106082a8648ce3d030107034200"
      "048abce7baf5fbce9f2da9f6fe545bd106dd7420415402d8f4f60ebf520d396d308bf72fbe191644487b54f3f982c7cf505cac0c6adc85f7596cdb665d0865ccf6"
      "a3693067301d0603551d0e04160414350415f6d99ff9706c1f71a0dce21a3b990d93fa301f0603551d23041830168014350415f6d99ff9706c1f71a0dce21a3b99"
      "0d93fa300f0603551d130101ff040530030101ff30140603551d11040d300b8209782e6578616d706c65300a06082a8648ce3d0403020347003044022030f2f7d7"
      "da27058c3727d95a5335acae21d6253f6b800124d4f18db5d0905e65022046509d3127d13698285be310ffe6fe8be86ace0f66947c115ef3eef12436b7f4");
  Item item;
  item.probe = "https";
  item.ip = "192.0.2.1";
  item.port = 443;
  item.parts = {der ? *der : Bytes{}, to_bytes("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n<title>x</title>")};
  (void)parse(item);
  for (auto probe : {"listen", "http", "dns-recursion", "ntp-readvar", "ssdp", "ipp"}) {
    item.probe = probe;
    item.parts = {to_bytes("SSH-2.0-x\r\n")};
    (void)parse(item);
  }
  item.probe = "favicon";  // MD5 is fetched from OpenSSL's provider
  item.parts = {to_bytes("HTTP/1.1 200 OK\r\n\r\nGIF89a  ")};
  (void)parse(item);
}

// One read takes many small items; each is answered at once, so that the oldest unanswered item is always the one in hand.
int run_parse_worker(int fd) {
  constexpr std::size_t read_bytes = 64 * 1024;
  Bytes in;
  for (;;) {
    const auto had = in.size();
    in.resize(had + read_bytes);
    const auto got = read(fd, in.data() + had, read_bytes);
    in.resize(had + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    FrameReader frames(in);
    while (auto body = frames.next()) {
      auto item = decode_item(*body);
      if (!item) return 1;
      if (!write_out(fd, encode(WireResult{item->id, parse(item->item)}))) return 0;
    }
    if (frames.malformed()) return 1;
    in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(frames.used()));
  }
}

}  // namespace nora::survey
