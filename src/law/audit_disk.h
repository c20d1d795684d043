// The files of an audit log: its lock, durable writes, and the private records beside the public tiles. Used only by audit*.cc.
//
//   checkpoint              signed note: origin, size, root                            public
//   tile/<l>/…, tile/entries/…   hashes and entries (tiles.h); an entry is H(salt data)      public
//   private/<n>             records of the entries of bundle n, with salt and data     never leaves the party
//   witness/<key id>        the latest checkpoint that this witness cosigned           public
//   lock, shredding         the writer's own
//
// A record: u32 length of the data, u8 state, entry (32), salt (32), data. Shredded: state 1, the index of the leaf that ordered it as u64
// in place of the salt, zeros in place of everything else. Big endian. Readers are total (fuzz/audit_fuzz.cc).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "law/tiles.h"

namespace nora::law {

inline constexpr std::size_t salt_bytes = 32, record_head_bytes = 4 + 1 + 32 + salt_bytes, max_record_data = 65535;
inline constexpr std::size_t max_private_bytes = std::size_t{tile_width} * (record_head_bytes + max_record_data);

struct AuditRecord {
  std::size_t at = 0;  // offset in its file
  bool shredded = false;
  Hash entry{};
  ByteView salt;  // 32 bytes, into the file
  ByteView data;
  std::uint64_t shredded_by() const;  // leaf index; only when shredded
  // The entry is H(salt data), or everything is gone as it should be.
  bool holds() const;
};
std::string private_path(std::uint64_t n);                          // "private/x001/234"
std::optional<std::uint64_t> parse_private_path(std::string_view path);
Hash audit_commitment(ByteView salt, ByteView data);                // the entry
void put_record(Bytes& out, const Hash& entry, ByteView salt, ByteView data);
Bytes shredded_record(const AuditRecord& record, std::uint64_t by);  // of the same length
// The first `count` records; bytes behind them are the caller's matter. Errors: bad_input "record 3 is cut".
Result<std::vector<AuditRecord>> parse_records(ByteView file, unsigned count);
inline std::size_t end_of(const AuditRecord& r) { return r.at + record_head_bytes + r.data.size(); }

// Holds the lock of the directory for its life.
class AuditLock {
 public:
  static Result<AuditLock> take(const std::filesystem::path& dir, bool exclusive);

 private:
  explicit AuditLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

enum class Durable { no, yes };
// Writes at an offset; a new file begins empty, missing folders below `dir` are made. With Durable::yes file and folders are on the disk
// when it returns. Errors: failed, with the sentence that nothing was done.
Status write_log_file(const std::filesystem::path& dir, const std::string& path, std::uint64_t at, ByteView bytes, Durable durable);
Status cut_log_file(const std::filesystem::path& file, std::uint64_t bytes);
// Every file below dir/folder, as paths relative to dir, sorted. A folder that is not there has none.
std::vector<std::string> files_below(const std::filesystem::path& dir, std::string_view folder);

}  // namespace nora::law
