// Classic pcap files (net/pcap_file.h). Format: draft-ietf-opsawg-pcap.
#include "net/pcap_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/files.h"

namespace nora::net {
namespace {
constexpr std::uint32_t magic_us = 0xa1b2c3d4, magic_ns = 0xa1b23c4d, magic_ng = 0x0a0d0d0a;
constexpr std::size_t io_buffer_bytes = 1u << 20;
std::uint32_t load(const std::uint8_t* p, bool swapped) {
  std::uint32_t v;
  std::memcpy(&v, p, 4);
  return swapped ? __builtin_bswap32(v) : v;
}
}  // namespace

struct PcapFile::Source {
  std::FILE* file = nullptr;
  Bytes io, memory;
  std::size_t at = 0;
  ~Source() { if (file) std::fclose(file); }
  std::size_t read(std::uint8_t* out, std::size_t n) {
    if (file) return std::fread(out, 1, n, file);
    n = std::min(n, memory.size() - at);
    if (n) std::memcpy(out, memory.data() + at, n);
    at += n;
    return n;
  }
};

PcapFile::PcapFile(std::unique_ptr<Source> source) : source_(std::move(source)) {}
PcapFile::PcapFile(PcapFile&&) noexcept = default;
PcapFile& PcapFile::operator=(PcapFile&&) noexcept = default;
PcapFile::~PcapFile() = default;

static Status read_header(auto& source, bool& swapped, bool& nano, int& link_type) {
  std::uint8_t h[24];
  if (source.read(h, 24) != 24) return fail(Code::bad_input, "this is not a capture file: shorter than its header");
  const std::uint32_t magic = load(h, false);
  if (magic == magic_ng) return fail(Code::bad_input, "this is a pcapng file", "Convert it with: editcap -F pcap IN OUT");
  swapped = magic == __builtin_bswap32(magic_us) || magic == __builtin_bswap32(magic_ns);
  const std::uint32_t m = swapped ? __builtin_bswap32(magic) : magic;
  if (m != magic_us && m != magic_ns) return fail(Code::bad_input, "this is not a capture file: unknown magic number");
  nano = m == magic_ns;
  link_type = static_cast<int>(load(h + 20, swapped) & 0x0fffffff);  // upper bits: FCS length
  return {};
}

Result<PcapFile> PcapFile::open(const std::filesystem::path& file) {
  auto source = std::make_unique<Source>();
  source->file = std::fopen(file.c_str(), "rbe");
  if (!source->file) return fail(Code::failed, fmt::format("cannot read {}: {}", file.string(), errno_text(errno)));
  source->io.resize(io_buffer_bytes);
  std::setvbuf(source->file, reinterpret_cast<char*>(source->io.data()), _IOFBF, source->io.size());
  PcapFile out(std::move(source));
  NORA_CHECK(read_header(*out.source_, out.swapped_, out.nano_, out.link_type_));
  return out;
}

Result<PcapFile> PcapFile::from_memory(Bytes content) {
  auto source = std::make_unique<Source>();
  source->memory = std::move(content);
  PcapFile out(std::move(source));
  NORA_CHECK(read_header(*out.source_, out.swapped_, out.nano_, out.link_type_));
  return out;
}

Result<std::optional<Captured>> PcapFile::next() {
  if (ended_) return std::nullopt;
  std::uint8_t h[16];
  const std::size_t got = source_->read(h, 16);
  if (got == 0) {
    ended_ = true;
    return std::nullopt;
  }
  ++count_;
  const auto bad = [&](std::string_view why) {
    ended_ = true;
    return fail(Code::bad_input, fmt::format("packet {}: {}", count_, why));
  };
  if (got != 16) return bad("the file ends inside its header");
  const std::uint32_t present = load(h + 8, swapped_), length = load(h + 12, swapped_);
  if (present > max_packet_bytes) return bad("claims more bytes than a capture can hold");
  if (buffer_.size() < present) buffer_.resize(present);
  if (source_->read(buffer_.data(), present) != present) return bad("the file ends inside it");
  const std::uint32_t fraction = load(h + 4, swapped_);
  Captured out;
  out.at = Instant{std::int64_t{load(h, swapped_)} * 1'000'000 + (nano_ ? fraction / 1000 : fraction)};
  out.length = length;
  out.bytes = ByteView(buffer_.data(), present);
  return out;
}

std::optional<Packet> PcapFile::parse(const Captured& c) const {
  std::size_t skip = 0;
  switch (link_type_) {
    case 1: return parse_frame(c.bytes);
    case 0: skip = 4; break;
    case 113: skip = 16; break;
    case 276: skip = 20; break;
    case 12: case 101: case 228: case 229: break;
    default: return std::nullopt;
  }
  if (c.bytes.size() <= skip) return std::nullopt;
  return parse_ip(c.bytes.subspan(skip));
}

Result<PcapWriter> PcapWriter::create(const std::filesystem::path& file, int link_type) {
  std::FILE* f = std::fopen(file.c_str(), "wbe");
  if (!f) return fail(Code::failed, fmt::format("cannot write {}: {}", file.string(), errno_text(errno)));
  const std::uint32_t header[6] = {magic_us, 4u << 16 | 2u, 0, 0, PcapFile::max_packet_bytes, static_cast<std::uint32_t>(link_type)};
  PcapWriter out(f);
  if (std::fwrite(header, sizeof header, 1, f) != 1) return fail(Code::failed, "cannot write " + file.string());
  return out;
}

Status PcapWriter::add(Instant at, ByteView frame) {
  const std::uint32_t header[4] = {static_cast<std::uint32_t>(at.us / 1'000'000), static_cast<std::uint32_t>(at.us % 1'000'000),
                                   static_cast<std::uint32_t>(frame.size()), static_cast<std::uint32_t>(frame.size())};
  if (std::fwrite(header, sizeof header, 1, file_) != 1 || std::fwrite(frame.data(), 1, frame.size(), file_) != frame.size())
    return fail(Code::failed, "cannot write the capture: " + errno_text(errno));
  return {};
}

Status PcapWriter::close() {
  if (std::FILE* f = std::exchange(file_, nullptr); f && std::fclose(f) != 0) return fail(Code::failed, "cannot write the capture: " + errno_text(errno));
  return {};
}

PcapWriter::~PcapWriter() { if (file_) std::fclose(file_); }

}  // namespace nora::net
