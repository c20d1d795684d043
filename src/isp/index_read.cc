// Reading side of the lease index: maps the lookup file and walks it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/files.h"
#include "base/json.h"
#include "isp/index.h"
#include "isp/index_files.h"

namespace nora::isp {

struct LeaseReader::Parts {
  void* map = MAP_FAILED;
  std::size_t map_bytes = 0;
  std::span<const LookupEntry> entries;
  std::vector<std::string_view> strings;
  struct Group { int family_length; std::size_t from, to; };  // entries of one prefix length (in 128 bits)
  std::vector<Group> groups;
  std::vector<MapeRule> mape;
  std::unordered_map<std::string, std::string> lines;
  Instant covered_until;
  ~Parts() { if (map != MAP_FAILED) ::munmap(map, map_bytes); }
};

namespace {

Error damaged(const std::filesystem::path& file, std::string_view why) {
  return Error{Code::bad_input, fmt::format("{}: {}", file.string(), why), "Delete the index directory and import the logs again"};
}

}  // namespace

Result<LeaseReader> LeaseReader::open(const std::filesystem::path& dir) {
  // A commit may remove the files named by the CURRENT just read; then the next CURRENT is there already.
  Result<LeaseReader> last = fail(Code::failed, "the index changes too fast");
  for (int attempt = 0; attempt < 3; ++attempt) {
    NORA_TRY(auto manifest, read_manifest(dir));
    auto p = std::make_unique<Parts>();
    p->covered_until = manifest.covered_until;
    if (!manifest.lookup.empty()) {
      auto file = dir / manifest.lookup;
      Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
      if (!fd) { last = pass(damaged(file, errno_text(errno))); continue; }
      struct stat st {};
      if (::fstat(fd.get(), &st) != 0) return pass(damaged(file, errno_text(errno)));
      p->map_bytes = static_cast<std::size_t>(st.st_size);
      if (p->map_bytes < sizeof(LookupHeader)) return pass(damaged(file, "too short"));
      p->map = ::mmap(nullptr, p->map_bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
      if (p->map == MAP_FAILED) return pass(damaged(file, errno_text(errno)));
      LookupHeader header;
      std::memcpy(&header, p->map, sizeof header);
      if (std::memcmp(header.magic, lookup_magic, sizeof header.magic) != 0) return pass(damaged(file, "not a lookup file of this version"));
      const auto* bytes = static_cast<const char*>(p->map);
      const auto body = p->map_bytes - sizeof header;
      if (header.entries > body / sizeof(LookupEntry) || header.string_bytes != body - header.entries * sizeof(LookupEntry)) return pass(damaged(file, "wrong size"));
      p->entries = {reinterpret_cast<const LookupEntry*>(bytes + sizeof header), header.entries};
      // Strings: length-prefixed, in the order of their ids.
      std::string_view rest(bytes + sizeof header + header.entries * sizeof(LookupEntry), header.string_bytes);
      for (std::uint64_t i = 0; i < header.strings; ++i) {
        std::uint32_t n = 0;
        if (rest.size() < sizeof n) return pass(damaged(file, "damaged strings"));
        std::memcpy(&n, rest.data(), sizeof n);
        if (rest.size() - sizeof n < n) return pass(damaged(file, "damaged strings"));
        p->strings.push_back(rest.substr(sizeof n, n));
        rest.remove_prefix(sizeof n + n);
      }
      for (std::size_t i = 0; i < p->entries.size();) {
        auto length = p->entries[i].length;
        auto end = std::upper_bound(p->entries.begin() + static_cast<std::ptrdiff_t>(i), p->entries.end(), length,
                                    [](std::uint8_t l, const LookupEntry& e) { return l < e.length; });
        auto to = static_cast<std::size_t>(end - p->entries.begin());
        if (to <= i || length > 128) return pass(damaged(file, "entries are not sorted"));
        p->groups.push_back({length, i, to});
        i = to;
      }
    }
    auto lines = load_lines(dir, manifest);
    if (!lines) { last = pass(lines.error()); continue; }
    auto mape = load_mape(dir, manifest);
    if (!mape) { last = pass(mape.error()); continue; }
    p->lines = std::move(*lines);
    for (auto& [file, rules] : *mape) p->mape.insert(p->mape.end(), rules.begin(), rules.end());
    return LeaseReader(std::move(p));
  }
  return last;
}

LeaseReader::LeaseReader(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LeaseReader::LeaseReader(LeaseReader&&) noexcept = default;
LeaseReader& LeaseReader::operator=(LeaseReader&&) noexcept = default;
LeaseReader::~LeaseReader() = default;

namespace {

Candidate to_candidate(const LookupEntry& e, const std::vector<std::string_view>& strings) {
  auto text = [&](std::uint32_t id) { return id < strings.size() ? strings[id] : std::string_view{}; };
  return {{e.start}, {e.sure_start}, {e.sure_end}, {e.end}, {e.shared_from}, {e.shared_to},
          e.end_kind <= static_cast<std::uint8_t>(EndKind::reconnect) ? static_cast<EndKind>(e.end_kind) : EndKind::open,
          text(e.user), text(e.nas), text(e.session), text(e.file), e.record_offset, e.record_hash, Span::ms(e.clock_error_ms), e.clock_trusted != 0};
}

}  // namespace

void LeaseReader::find(Ip ip, Instant from, Instant to, std::vector<Candidate>& out) const { find(Prefix::of(ip, ip.is_v4() ? 32 : 128), from, to, out); }

void LeaseReader::find(const Prefix& asked, Instant from, Instant to, std::vector<Candidate>& out) const {
  const int asked_length = asked.length() + (asked.is_v4() ? 96 : 0);
  for (const auto& group : parts_->groups) {
    if (group.family_length > asked_length) continue;  // a longer prefix does not hold all of what is asked
    // Length in 128 bits: IPv4 is v4-mapped, so /32 is /128.
    Prefix key = asked.is_v4() ? (group.family_length < 96 ? Prefix{} : Prefix::of(asked.base(), group.family_length - 96)) : Prefix::of(asked.base(), group.family_length);
    if (asked.is_v4() && group.family_length < 96) continue;
    const auto base = key.base().bytes();
    auto begin = parts_->entries.begin() + static_cast<std::ptrdiff_t>(group.from), end = parts_->entries.begin() + static_cast<std::ptrdiff_t>(group.to);
    // The first entry of this prefix that starts after `to`; walk back from there.
    auto it = std::upper_bound(begin, end, std::pair{base, to.us}, [](const auto& k, const LookupEntry& e) {
      auto order = k.first <=> e.base;
      return order != 0 ? order < 0 : k.second < e.start;
    });
    while (it != begin) {
      --it;
      if (it->base != base || it->max_end < from.us) break;  // nothing earlier reaches into the asked time
      if (it->end < from.us) continue;
      if (out.size() >= max_candidates) return;
      out.push_back(to_candidate(*it, parts_->strings));
    }
  }
}

const std::vector<MapeRule>& LeaseReader::mape() const { return parts_->mape; }
LineId LeaseReader::line_of(std::string_view log_key) const {
  auto it = parts_->lines.find(std::string(log_key));
  return LineId(it == parts_->lines.end() ? std::string(log_key) : it->second);
}
bool LeaseReader::has_customers() const { return !parts_->lines.empty(); }
Instant LeaseReader::covered_until() const { return parts_->covered_until; }
std::size_t LeaseReader::size() const { return parts_->entries.size(); }

}  // namespace nora::isp
