#include "law/tiles.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "law/test_audit.h"

namespace nora::law {
namespace {

TEST(TileNames, AsInTheSpecification) {  // C2SP tlog-tiles, section Merkle Tree
  EXPECT_EQ(tile_path({0, 1234067, tile_width}), "tile/0/x001/x234/067");
  EXPECT_EQ(tile_path({0, 1234067, 12}), "tile/0/x001/x234/067.p/12");
  EXPECT_EQ(tile_path({entries_level, 5, tile_width}), "tile/entries/005");
  EXPECT_EQ(tile_path({2, 1000, 1}), "tile/2/x001/000.p/1");
}

TEST(TileNames, SizesAsInTheSpecification) {
  // "A tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of width 112, one full level 1 tile, one
  // partial level 1 tile of width 17, and one partial level 2 tile of width 1."
  EXPECT_EQ(full_tiles(0, 70'000), 273u);
  EXPECT_EQ(tile_width_at(0, 273, 70'000), 112u);
  EXPECT_EQ(full_tiles(1, 70'000), 1u);
  EXPECT_EQ(tile_width_at(1, 1, 70'000), 17u);
  EXPECT_EQ(full_tiles(2, 70'000), 0u);
  EXPECT_EQ(tile_width_at(2, 0, 70'000), 1u);
  EXPECT_EQ(tile_levels(70'000), 3);
  // "A tree of size 256 will be represented by a full level 0 tile and a partial level 1 tile of width 1."
  EXPECT_EQ(tile_width_at(0, 0, 256), 256u);
  EXPECT_EQ(tile_width_at(0, 1, 256), 0u);
  EXPECT_EQ(tile_width_at(1, 0, 256), 1u);
  EXPECT_EQ(tile_width_at(63, 0, ~std::uint64_t{0}), 0u);
}

TEST(TileNames, OtherSpellingsAreNone) {
  for (const char* bad : {"tile/0/1", "tile/0/0001", "tile/00/001", "tile/64/001", "tile/0/001.p/0", "tile/0/001.p/256", "tile/0/001.p/01", "tile/0/x000/001", "tile/0/001/002",
                          "tile/0/x1/002", "tile/0/", "tile/", "tile/entries", "tile/0/001.p/", "tile/0/001.p/5/6", "tile/-1/001", "tile/entry/001", "x/0/001"})
    EXPECT_FALSE(parse_tile_path(bad)) << bad;
}

RC_GTEST_PROP(TileNames, ReadBack, ()) {
  const TileName t{*rc::gen::inRange(entries_level, 64), *rc::gen::arbitrary<std::uint64_t>() >> *rc::gen::inRange(0, 63), *rc::gen::inRange(1u, tile_width + 1)};
  const auto back = parse_tile_path(tile_path(t));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == t);
}

TEST(Bundles, LengthsAreKept) {
  Bytes bytes;
  put_entry(bytes, as_bytes("one"));
  put_entry(bytes, {});
  put_entry(bytes, as_bytes("three"));
  const auto entries = parse_bundle(bytes, 3);
  ASSERT_TRUE(entries);
  EXPECT_EQ(as_text((*entries)[2]), "three");
  EXPECT_FALSE(parse_bundle(bytes, 2));
  EXPECT_FALSE(parse_bundle(bytes, 4));
  bytes.pop_back();
  EXPECT_FALSE(parse_bundle(bytes, 3));
  EXPECT_FALSE(parse_tile(Bytes(63), 2));
  EXPECT_TRUE(parse_tile(Bytes(64), 2));
}

using TilesOnDisk = AuditTest;

// 70,000 leaves: three levels on disk, with the very files that the specification counts; every subtree and proof from them.
TEST_F(TilesOnDisk, SeventyThousandLeaves) {
  std::vector<Hash> leaves;
  {
    auto log = open();
    for (int from = 0; from < 70'000; from += 10'000) {
      const auto ids = log->append_all("lookup", acts(from, from + 10'000));
      ASSERT_TRUE(ids) << ids.error().text();
      for (const auto& id : *ids) leaves.push_back(id.leaf);
    }
  }
  for (const char* file : {"tile/0/272", "tile/0/273.p/112", "tile/entries/272", "tile/entries/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"})
    EXPECT_TRUE(std::filesystem::exists(dir / file)) << file;
  EXPECT_EQ(std::filesystem::file_size(dir / "tile/0/272"), 8192u);
  EXPECT_FALSE(std::filesystem::exists(dir / "tile/0/272.p"));
  ASSERT_TRUE(audit_verify(dir, key.public_key()));
  Tiles tiles(dir, leaves.size());
  const auto direct = [&](int level, std::uint64_t index) -> Result<Hash> {
    const std::size_t width = std::size_t{1} << level;
    return merkle_root(std::span(leaves).subspan(index * width, width));
  };
  SeededRandom random(3);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t size = 1 + random.below(leaves.size()), index = random.below(size), old = random.below(size + 1);
    ASSERT_EQ(*inclusion_proof(index, size, tiles.source()), *inclusion_proof(index, size, direct)) << index << " of " << size;
    ASSERT_EQ(*consistency_proof(old, size, tiles.source()), *consistency_proof(old, size, direct)) << old << " to " << size;
    ASSERT_EQ(*merkle_root_at(size, tiles.source()), *merkle_root_at(size, direct));
  }
  EXPECT_FALSE(tiles.subtree(0, leaves.size()));
  // It goes on from there without reading it all.
  auto again = open();
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->append("list", data(1))->index, 70'000u);
  EXPECT_TRUE(audit_verify(dir, key.public_key()));
}

}  // namespace
}  // namespace nora::law
