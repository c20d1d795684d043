// PcapFile: reads capture files (classic libpcap, both byte orders, us and ns) packet by packet. Used by sense and isp tests; PcapWriter by tests.
// Total on hostile files (fuzz/pcap_fuzz.cc): a wrong length ends the file with an error, memory stays below max_packet_bytes.
// One owner, one thread. pcapng is refused with a sentence.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/instant.h"
#include "net/frame.h"

namespace nora::net {

struct Captured {
  Instant at;
  std::uint32_t length = 0;  // on the wire
  ByteView bytes;            // valid until the next call
};

class PcapFile {
 public:
  static constexpr std::uint32_t max_packet_bytes = 262'144;  // libpcap's own limit
  static Result<PcapFile> open(const std::filesystem::path& file);
  static Result<PcapFile> from_memory(Bytes content);
  PcapFile(PcapFile&&) noexcept;
  PcapFile& operator=(PcapFile&&) noexcept;
  ~PcapFile();

  // The next packet, nothing at the end. Errors: bad_input with the packet number; the file ends there.
  Result<std::optional<Captured>> next();
  int link_type() const { return link_type_; }
  // By link type: Ethernet (1), raw IP (12, 101, 228, 229), Linux cooked (113, 276), BSD loopback (0).
  std::optional<Packet> parse(const Captured& captured) const;

 private:
  struct Source;
  explicit PcapFile(std::unique_ptr<Source> source);
  std::unique_ptr<Source> source_;
  Bytes buffer_;
  bool swapped_ = false, nano_ = false, ended_ = false;
  int link_type_ = 1;
  std::uint64_t count_ = 0;
};

class PcapWriter {
 public:
  static Result<PcapWriter> create(const std::filesystem::path& file, int link_type = 1);
  Status add(Instant at, ByteView frame);
  Status close();
  PcapWriter(PcapWriter&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
  PcapWriter& operator=(PcapWriter&&) = delete;
  ~PcapWriter();

 private:
  explicit PcapWriter(std::FILE* file) : file_(file) {}
  std::FILE* file_ = nullptr;
};

}  // namespace nora::net
