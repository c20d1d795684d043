// Codes: the notice code and the two words of a case, derived from the center's code key, so that a later list repeats them and no store
// holds them; the store keeps a keyed hash for the look-up. Used by lists (writes them) and the portal gate (looks up). Any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "registry/types.h"

namespace nora::cases {

struct NoticeCode {
  std::string code, word1, word2;
};

class Codes {
 public:
  explicit Codes(Secret key) : key_(std::move(key)) {}
  // Reads the key file (0600, 64 hex digits) or makes it. Errors: failed, refused (others may read it).
  static Result<Codes> open(const std::filesystem::path& key_file, Random& random);
  NoticeCode of_case(registry::Id case_id) const;
  Hash lookup_hash(std::string_view canonical_code) const;

 private:
  Secret key_;
};

}  // namespace nora::cases
