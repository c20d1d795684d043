// 10,000 changes to the files of a log, all of them found: bits, cuts, swaps, doubled and lost blocks, lost and foreign files, files and whole
// directories from an older state. From a seed (NORA_SEED); the failing change is named.
#include <cstdlib>
#include <random>

#include "law/audit_verify.h"
#include "law/test_audit.h"
#include "law/witness.h"

namespace nora::law {
namespace {
namespace fs = std::filesystem;

constexpr int tampers_wanted = 10'000;

struct Tampering : AuditTest {
  fs::path state = dir.string() + "_witness";
  SigningKey isp = SigningKey::make("isp1.example/witness", fake.random);
  Witness witness{state, isp, fake.env()};
  std::vector<Snapshot> old;  // earlier whole states
  Snapshot good;
  std::uint64_t size = 0;
  AuditCheck wanted;

  void cosign() {
    const PublicKey pub = key.public_key();
    auto reader = *AuditReader::open(dir, &pub);
    const auto note = witness.cosign(*make_request(reader, *witness.last_size(reader.checkpoint().origin)), pub);
    ASSERT_TRUE(note) << note.error().text();
    ASSERT_TRUE(accept_cosigned(dir, pub, *note, {isp.public_key()}));
    wanted.seen = {*note};
  }
  void SetUp() override {
    fs::remove_all(state);
    auto log = open();
    ASSERT_TRUE(log->append_all("lookup", acts(0, 200)));
    cosign();
    old.push_back(snapshot(dir));
    ASSERT_TRUE(log->append_all("list", acts(200, 257)));
    ASSERT_TRUE(log->shred({{3, 4, 5, 220}, std::nullopt, "", "retention"}));
    cosign();
    old.push_back(snapshot(dir));
    for (int i = 257; i < 266; ++i) ASSERT_TRUE(log->append("notice", data(i)));
    cosign();
    good = snapshot(dir);
    good.erase("lock");
    wanted.witnesses = {isp.public_key()};
    wanted.quorum = 1;
    const auto report = audit_check(dir, key.public_key(), wanted);
    ASSERT_TRUE(report) << report.error().text();
    ASSERT_EQ(report->shredded, 4u);
    size = report->state.size;
  }
  void TearDown() override { fs::remove_all(state); }
};

TEST_F(Tampering, TenThousandChangesAllFound) {
  const char* given = std::getenv("NORA_SEED");
  const auto seed = given ? std::strtoul(given, nullptr, 10) : 20261125ul;
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  std::vector<std::string> names;
  for (const auto& [path, content] : good) names.push_back(path);
  std::map<std::string, int> kinds;
  int missed = 0;
  const auto judge = [&](const std::string& kind, const std::string& where) {
    ++kinds[kind];
    AuditCheck check = wanted;
    if (where.starts_with("witness/")) check.seen.clear();  // what the witness itself has would make up for the log's copy
    if (audit_check(dir, key.public_key(), check)) {
      ++missed;
      ADD_FAILURE() << "not found: " << kind << " of " << where << ", seed " << seed;
    }
  };
  int done = 0;
  while (done < tampers_wanted && missed < 10) {
    const std::string& path = names[below(names.size())];
    const std::string& content = good[path];
    const auto change = [&](const std::string& kind, const std::string& now) {
      if (now == content) return;
      put_file(dir / path, now);
      judge(kind, path);
      put_file(dir / path, content);
      ++done;
    };
    std::string b = content;
    const std::size_t at = below(b.size()), length = 1 + below(std::min<std::size_t>(64, b.size() - at));
    switch (below(12)) {
      case 0: case 1: b[at] = static_cast<char>(b[at] ^ 1 << below(8)); change("bit", b); break;
      case 2: b.resize(at); change("cut", b); break;
      case 3: b.erase(at, length); change("lost bytes", b); break;
      case 4: b.insert(at, b.substr(at, length)); change("doubled bytes", b); break;
      case 5: std::swap(b[at], b[below(b.size())]); change("swap", b); break;
      case 6: {  // two blocks of 32 bytes change places
        const std::size_t blocks = b.size() / 32;
        if (blocks < 2) break;
        const std::size_t i = below(blocks) * 32, j = below(blocks) * 32;
        for (std::size_t k = 0; k < 32; ++k) std::swap(b[i + k], b[j + k]);
        change("swapped blocks", b);
        break;
      }
      case 7: std::fill_n(b.begin() + static_cast<std::ptrdiff_t>(at), length, '\0'); change("zeros", b); break;
      case 8: b += static_cast<char>(random()); change("more bytes", b); break;
      case 9: {  // the file as another one, or as it was
        const auto& s = old[below(old.size())];
        if (below(2) && s.contains(path) && !path.starts_with("witness/")) change("older file", s.at(path));  // an older cosignature is no change
        else change("another file", good[names[below(names.size())]]);
        break;
      }
      case 10: {
        // A partial tile may go once the full one is there, and a second one is only for readers of that state: what must be there is
        // what the present size needs.
        const auto tile = parse_tile_path(path);
        if (tile && tile->width != tile_width_at(tile->level, tile->n, size)) break;
        fs::remove(dir / path);
        judge("lost file", path);
        put_file(dir / path, content);
        ++done;
        break;
      }
      default: {
        const char* places[] = {"tile/0/002", "tile/0/001.p/200", "tile/entries/002.p/1", "private/002", "tile/x", "private/x", "tile/7/000.p/1", "tile/0/000.p/0"};
        const char* place = places[below(std::size(places))];
        put_file(dir / place, content.substr(0, below(content.size()) + 1));
        judge("foreign file", place);
        fs::remove(dir / place);
        std::error_code error;
        if (std::string_view(place).find(".p/") != std::string_view::npos && !good.contains(place)) fs::remove(fs::path(dir / place).parent_path(), error);
        ++done;
      }
    }
    if (done % 200 == 0 && done > 0) {  // the whole directory, as it was
      restore(dir, old[below(old.size())]);
      judge("older directory", "all");
      restore(dir, good);
      ++done;
    }
  }
  for (const auto& [kind, n] : kinds) std::printf("%s %d, ", kind.c_str(), n);
  std::printf("from seed %lu\n", seed);
  EXPECT_EQ(missed, 0);
  EXPECT_GE(done, tampers_wanted);
  EXPECT_GE(kinds.size(), 12u);
  EXPECT_TRUE(audit_check(dir, key.public_key(), wanted)) << audit_check(dir, key.public_key(), wanted).error().text();
}

}  // namespace
}  // namespace nora::law
