#include "law/merkle.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/crypto.h"

namespace nora::law {
namespace {

// RFC 6962 section 2.1, word by word, over the leaf hashes.
using Leaves = std::span<const Hash>;
std::size_t k_of(std::size_t n) {
  std::size_t k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}
Hash naive_root(Leaves d) {
  if (d.empty()) return sha256(ByteView{});
  if (d.size() == 1) return d[0];
  const std::size_t k = k_of(d.size());
  return merkle_node(naive_root(d.first(k)), naive_root(d.subspan(k)));
}
std::vector<Hash> naive_path(std::size_t m, Leaves d) {
  if (d.size() == 1) return {};
  const std::size_t k = k_of(d.size());
  auto out = m < k ? naive_path(m, d.first(k)) : naive_path(m - k, d.subspan(k));
  out.push_back(m < k ? naive_root(d.subspan(k)) : naive_root(d.first(k)));
  return out;
}
std::vector<Hash> naive_subproof(std::size_t m, Leaves d, bool whole) {
  if (m == d.size()) return whole ? std::vector<Hash>{} : std::vector<Hash>{naive_root(d)};
  const std::size_t k = k_of(d.size());
  auto out = m <= k ? naive_subproof(m, d.first(k), whole) : naive_subproof(m - k, d.subspan(k), false);
  out.push_back(m <= k ? naive_root(d.subspan(k)) : naive_root(d.first(k)));
  return out;
}

std::vector<Hash> numbered(std::size_t n) {
  std::vector<Hash> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(merkle_leaf(as_bytes(std::to_string(i))));
  return out;
}
SubtreeHash over(const std::vector<Hash>& leaves) {
  return [&leaves](int level, std::uint64_t index) -> Result<Hash> {
    const std::size_t width = std::size_t{1} << level;
    NORA_ASSERT((index + 1) * width <= leaves.size(), "only complete subtrees are asked for");
    return naive_root(Leaves(leaves).subspan(index * width, width));
  };
}
std::vector<std::string> hex(const std::vector<Hash>& hashes) {
  std::vector<std::string> out;
  for (const Hash& h : hashes) out.push_back(to_hex(h));
  return out;
}

// The vectors that implementations of RFC 6962 share (certificate-transparency, merkletree tests).
const char* const vector_leaves[] = {"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
const char* const vector_roots[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

std::vector<Hash> vectors() {
  std::vector<Hash> out;
  for (const char* leaf : vector_leaves) out.push_back(merkle_leaf(*from_hex(leaf)));
  return out;
}

TEST(Merkle, SharedVectors) {
  const auto leaves = vectors();
  MerkleEdge edge;
  EXPECT_EQ(to_hex(edge.root()), vector_roots[0]);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    edge.add(leaves[i]);
    EXPECT_EQ(to_hex(edge.root()), vector_roots[i + 1]);
    EXPECT_EQ(to_hex(*merkle_root_at(i + 1, over(leaves))), vector_roots[i + 1]);
  }
  const auto inclusion = [&](std::uint64_t i, std::uint64_t n) { return hex(*inclusion_proof(i, n, over(leaves))); };
  const auto consistency = [&](std::uint64_t m, std::uint64_t n) { return hex(*consistency_proof(m, n, over(leaves))); };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(inclusion(0, 1), Texts{});
  EXPECT_EQ(inclusion(0, 8), (Texts{"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                                    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}));
  EXPECT_EQ(inclusion(5, 8), (Texts{"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b", "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                                    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}));
  EXPECT_EQ(inclusion(2, 3), (Texts{"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}));
  EXPECT_EQ(inclusion(1, 5), (Texts{"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}));
  EXPECT_EQ(consistency(1, 1), Texts{});
  EXPECT_EQ(consistency(1, 8), (Texts{"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                                      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}));
  EXPECT_EQ(consistency(6, 8), (Texts{"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                                      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}));
  EXPECT_EQ(consistency(2, 5), (Texts{"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e", "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}));
}

TEST(Merkle, EverySmallTreeAgreesWithTheNaiveRecursion) {
  const auto leaves = numbered(70);
  MerkleEdge edge;
  for (std::size_t n = 1; n <= leaves.size(); ++n) {
    const Leaves tree = Leaves(leaves).first(n);
    edge.add(leaves[n - 1]);
    const Hash root = naive_root(tree);
    ASSERT_EQ(edge.root(), root) << n;
    for (std::size_t m = 0; m <= n; ++m) {
      if (m < n) {
        const auto path = *inclusion_proof(m, n, over(leaves));
        ASSERT_EQ(path, naive_path(m, tree)) << m << " of " << n;
        ASSERT_TRUE(inclusion_holds(m, n, leaves[m], path, root));
      }
      const auto way = *consistency_proof(m, n, over(leaves));
      const auto naive = m > 0 && m < n ? naive_subproof(m, tree, true) : std::vector<Hash>{};
      ASSERT_EQ(way, naive) << m << " to " << n;
      ASSERT_TRUE(consistency_holds(m, n, way, naive_root(tree.first(m)), root)) << m << " to " << n;
    }
  }
  EXPECT_FALSE(inclusion_proof(70, 70, over(leaves)));
  EXPECT_FALSE(consistency_proof(71, 70, over(leaves)));
}

TEST(Merkle, SubtreesGiveTheSameEdge) {
  const auto leaves = numbered(300);
  MerkleEdge whole, by_parts;
  for (const Hash& h : leaves) whole.add(h);
  by_parts.add_subtree(8, naive_root(Leaves(leaves).first(256)));
  by_parts.add_subtree(5, naive_root(Leaves(leaves).subspan(256, 32)));
  for (std::size_t i = 288; i < 300; ++i) by_parts.add(leaves[i]);
  EXPECT_EQ(by_parts.root(), whole.root());
  EXPECT_EQ(by_parts.size(), 300u);
}

// A proof that was changed in any way, or is read with another index or size, does not hold.
RC_GTEST_PROP(Merkle, AChangedProofDoesNotHold, ()) {
  const auto n = *rc::gen::inRange<std::size_t>(2, 200);
  const auto leaves = numbered(n);
  const Hash root = naive_root(leaves);
  const auto m = *rc::gen::inRange<std::size_t>(0, n);
  auto path = *inclusion_proof(m, n, over(leaves));
  RC_ASSERT(inclusion_holds(m, n, leaves[m], path, root));
  const auto old = *rc::gen::inRange<std::size_t>(1, n);
  const Hash old_root = naive_root(Leaves(leaves).first(old));
  auto way = *consistency_proof(old, n, over(leaves));
  RC_ASSERT(consistency_holds(old, n, way, old_root, root));
  const auto change = [](std::vector<Hash>& hashes) {
    switch (*rc::gen::inRange(0, 4)) {
      case 0: hashes[*rc::gen::inRange<std::size_t>(0, hashes.size())][*rc::gen::inRange<std::size_t>(0, 32)] ^= static_cast<std::uint8_t>(1 << *rc::gen::inRange(0, 8)); break;
      case 1: hashes.pop_back(); break;
      case 2: hashes.push_back(hashes.front()); break;
      default: hashes.insert(hashes.begin(), Hash{}); break;
    }
  };
  change(path);
  RC_ASSERT(!inclusion_holds(m, n, leaves[m], path, root));
  change(way);
  RC_ASSERT(!consistency_holds(old, n, way, old_root, root));
  const auto good = *inclusion_proof(m, n, over(leaves));
  const auto other = *rc::gen::inRange<std::size_t>(0, n);
  RC_ASSERT(other == m || !inclusion_holds(other, n, leaves[m], good, root));
  RC_ASSERT(!inclusion_holds(m, n, leaves[(m + 1) % n], good, root));
  RC_ASSERT(!inclusion_holds(n, n, leaves[m], good, root));
}

}  // namespace
}  // namespace nora::law
