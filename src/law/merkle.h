// Merkle tree of RFC 6962 section 2.1 over leaf hashes, and the proofs of RFC 9162 section 2.1.3 and 2.1.4. Used by the audit log, its
// witnesses and whoever checks a proof without the log. Pure functions and values; any thread. Nothing here reads a file: the hashes of
// subtrees come from the caller (audit_tiles.h has them on disk).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace nora::law {

Hash merkle_leaf(ByteView entry);                            // SHA-256(0x00 entry)
Hash merkle_node(const Hash& left, const Hash& right);       // SHA-256(0x01 left right)
Hash merkle_root(std::span<const Hash> leaves);              // of this many leaf (or subtree) hashes; none: SHA-256 of nothing

// Keeps the right edge of the tree: O(log n) memory, amortised one hash per leaf.
class MerkleEdge {
 public:
  void add(const Hash& leaf);
  // A complete subtree of 2^level leaves; size() must be a multiple of that.
  void add_subtree(int level, const Hash& node);
  Hash root() const;
  std::uint64_t size() const { return size_; }

 private:
  std::uint64_t size_ = 0;
  std::vector<Hash> nodes_;  // one per set bit of size_, largest subtree first
};

// The hash of the complete subtree over leaves [index << level, (index + 1) << level).
using SubtreeHash = std::function<Result<Hash>(int level, std::uint64_t index)>;

inline constexpr std::size_t max_proof_hashes = 63;  // as C2SP tlog-witness has it; a tree of 2^63 leaves needs no more

// Root of the first `size` leaves.
Result<Hash> merkle_root_at(std::uint64_t size, const SubtreeHash& subtree);
// RFC 6962 section 2.1.1: the audit path of leaf `index` in the tree of `size` leaves, from the leaf upwards. index < size.
Result<std::vector<Hash>> inclusion_proof(std::uint64_t index, std::uint64_t size, const SubtreeHash& subtree);
// RFC 6962 section 2.1.2: that the tree of `size` leaves begins with the one of `old_size`. old_size <= size; 0 and equal sizes: empty.
Result<std::vector<Hash>> consistency_proof(std::uint64_t old_size, std::uint64_t size, const SubtreeHash& subtree);

// RFC 9162 section 2.1.3.2 and 2.1.4.2. Total: any input is answered.
bool inclusion_holds(std::uint64_t index, std::uint64_t size, const Hash& leaf, std::span<const Hash> path, const Hash& root);
bool consistency_holds(std::uint64_t old_size, std::uint64_t size, std::span<const Hash> path, const Hash& old_root, const Hash& root);

}  // namespace nora::law
