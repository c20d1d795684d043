// RFC 6962 section 2.1 and the verification of RFC 9162 section 2.1 (law/merkle.h).
#include "law/merkle.h"

#include <bit>
#include <cstring>

#include "base/crypto.h"

namespace nora::law {
namespace {

// The largest power of two below n. n > 1.
std::uint64_t split_at(std::uint64_t n) { return std::bit_floor(n - 1); }

struct Prover {
  const SubtreeHash& subtree;

  // MTH(D[begin:end]); the range is one that the recursion of RFC 6962 makes: it is a complete subtree, or its left part is one.
  Result<Hash> hash(std::uint64_t begin, std::uint64_t end) const {
    const std::uint64_t n = end - begin;
    if (std::has_single_bit(n) && begin % n == 0) return subtree(std::countr_zero(n), begin / n);
    const std::uint64_t k = split_at(n);
    NORA_TRY(const Hash left, hash(begin, begin + k));
    NORA_TRY(const Hash right, hash(begin + k, end));
    return merkle_node(left, right);
  }
  Status path(std::uint64_t m, std::uint64_t begin, std::uint64_t end, std::vector<Hash>& out) const {
    if (end - begin == 1) return {};
    const std::uint64_t middle = begin + split_at(end - begin);
    const bool left = m < middle;
    NORA_CHECK(left ? path(m, begin, middle, out) : path(m, middle, end, out));
    NORA_TRY(const Hash sibling, left ? hash(middle, end) : hash(begin, middle));
    out.push_back(sibling);
    return {};
  }
  // SUBPROOF of RFC 6962 section 2.1.2; `whole`: the old tree's root is what the verifier has already.
  Status subproof(std::uint64_t m, std::uint64_t begin, std::uint64_t end, bool whole, std::vector<Hash>& out) const {
    if (m == end - begin) {
      if (whole) return {};
      NORA_TRY(const Hash h, hash(begin, end));
      out.push_back(h);
      return {};
    }
    const std::uint64_t k = split_at(end - begin);
    const bool left = m <= k;
    NORA_CHECK(left ? subproof(m, begin, begin + k, whole, out) : subproof(m - k, begin + k, end, false, out));
    NORA_TRY(const Hash sibling, left ? hash(begin + k, end) : hash(begin, begin + k));
    out.push_back(sibling);
    return {};
  }
};

}  // namespace

Hash merkle_leaf(ByteView entry) {
  const std::uint8_t zero = 0;
  return sha256({ByteView(&zero, 1), entry});
}

Hash merkle_node(const Hash& left, const Hash& right) {
  std::array<std::uint8_t, 65> both;
  both[0] = 1;
  std::memcpy(both.data() + 1, left.data(), 32);
  std::memcpy(both.data() + 33, right.data(), 32);
  return sha256(both);
}

Hash merkle_root(std::span<const Hash> leaves) {
  MerkleEdge edge;
  for (const Hash& leaf : leaves) edge.add(leaf);
  return edge.root();
}

void MerkleEdge::add(const Hash& leaf) { add_subtree(0, leaf); }

void MerkleEdge::add_subtree(int level, const Hash& subtree) {
  NORA_ASSERT(size_ % (std::uint64_t{1} << level) == 0, "a complete subtree begins at a multiple of its size");
  Hash node = subtree;
  for (std::uint64_t bit = size_ >> level; bit & 1; bit >>= 1) {
    node = merkle_node(nodes_.back(), node);
    nodes_.pop_back();
  }
  nodes_.push_back(node);
  size_ += std::uint64_t{1} << level;
}

Hash MerkleEdge::root() const {
  if (nodes_.empty()) return sha256(ByteView{});
  Hash root = nodes_.back();
  for (std::size_t i = nodes_.size() - 1; i-- > 0;) root = merkle_node(nodes_[i], root);
  return root;
}

Result<Hash> merkle_root_at(std::uint64_t size, const SubtreeHash& subtree) {
  if (size == 0) return sha256(ByteView{});
  return Prover{subtree}.hash(0, size);
}

Result<std::vector<Hash>> inclusion_proof(std::uint64_t index, std::uint64_t size, const SubtreeHash& subtree) {
  if (index >= size) return fail(Code::usage, "there is no leaf " + std::to_string(index) + " in a log of " + std::to_string(size));
  std::vector<Hash> out;
  NORA_CHECK(Prover{subtree}.path(index, 0, size, out));
  return out;
}

Result<std::vector<Hash>> consistency_proof(std::uint64_t old_size, std::uint64_t size, const SubtreeHash& subtree) {
  if (old_size > size) return fail(Code::usage, "a log of " + std::to_string(size) + " leaves cannot begin with " + std::to_string(old_size));
  std::vector<Hash> out;
  if (old_size == 0 || old_size == size) return out;
  NORA_CHECK(Prover{subtree}.subproof(old_size, 0, size, true, out));
  return out;
}

bool inclusion_holds(std::uint64_t index, std::uint64_t size, const Hash& leaf, std::span<const Hash> path, const Hash& root) {
  if (index >= size || path.size() > max_proof_hashes) return false;
  std::uint64_t fn = index, sn = size - 1;
  Hash r = leaf;
  for (const Hash& p : path) {
    if (sn == 0) return false;
    if ((fn & 1) || fn == sn) {
      r = merkle_node(p, r);
      while (!(fn & 1) && fn != 0) fn >>= 1, sn >>= 1;
    } else {
      r = merkle_node(r, p);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && r == root;
}

bool consistency_holds(std::uint64_t old_size, std::uint64_t size, std::span<const Hash> path, const Hash& old_root, const Hash& root) {
  if (old_size > size || path.size() > max_proof_hashes) return false;
  if (old_size == size) return path.empty() && old_root == root;
  if (old_size == 0) return path.empty() && old_root == merkle_root({});
  std::vector<Hash> way;
  if (std::has_single_bit(old_size)) way.push_back(old_root);
  way.insert(way.end(), path.begin(), path.end());
  if (path.empty()) return false;
  std::uint64_t fn = old_size - 1, sn = size - 1;
  while (fn & 1) fn >>= 1, sn >>= 1;
  Hash fr = way[0], sr = way[0];
  for (std::size_t i = 1; i < way.size(); ++i) {
    const Hash& c = way[i];
    if (sn == 0) return false;
    if ((fn & 1) || fn == sn) {
      fr = merkle_node(c, fr);
      sr = merkle_node(c, sr);
      while (!(fn & 1) && fn != 0) fn >>= 1, sn >>= 1;
    } else {
      sr = merkle_node(sr, c);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && fr == old_root && sr == root;
}

}  // namespace nora::law
