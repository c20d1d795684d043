#include "law/audit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "base/files.h"

namespace nora::law {
namespace {
namespace fs = std::filesystem;

// RFC 6962 section 2.1, word by word.
Hash naive_root(std::span<const Hash> leaves) {
  if (leaves.empty()) return sha256(ByteView{});
  if (leaves.size() == 1) return leaves[0];
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  return merkle_node(naive_root(leaves.first(k)), naive_root(leaves.subspan(k)));
}

TEST(Merkle, EdgeAgreesWithTheNaiveRecursion) {
  std::vector<Hash> leaves;
  MerkleEdge edge;
  EXPECT_EQ(to_hex(edge.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (int i = 0; i < 300; ++i) {
    leaves.push_back(merkle_leaf(as_bytes(std::to_string(i))));
    edge.add(leaves.back());
    ASSERT_EQ(edge.root(), naive_root(leaves)) << i;
  }
  // The leaf hash of the empty entry, as RFC 6962 implementations give it.
  EXPECT_EQ(to_hex(merkle_leaf({})), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

struct AuditTest : testing::Test {
  fs::path dir = fs::path(testing::TempDir()) / ("nora_audit_test_" + std::to_string(::getpid()));
  FakeEnv fake;
  SigningKey key = SigningKey::make("center.example", fake.random);
  AuditTest() { fs::remove_all(dir); }
  ~AuditTest() override { fs::remove_all(dir); }
  Result<Audit> open() { return Audit::open(dir, "center", key, fake.env()); }
  static json::Object data(int i) { return {{"number", i}, {"note", std::string(static_cast<std::size_t>(i % 7), 'x')}}; }
};

TEST_F(AuditTest, WritesReadsAndVerifies) {
  {
    auto log = open();
    ASSERT_TRUE(log) << log.error().text();
    for (int i = 0; i < 20; ++i) {
      const auto id = log->append("list_view", data(i));
      ASSERT_TRUE(id) << id.error().text();
      EXPECT_EQ(id->index, static_cast<std::uint64_t>(i));
    }
    EXPECT_EQ(log->append_all("lookup", {data(20), data(21)})->back().index, 21u);
  }
  const auto state = audit_verify(dir, key.public_key());
  ASSERT_TRUE(state) << state.error().text();
  EXPECT_EQ(state->size, 22u);
  auto again = open();
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->state().root, state->root);
  EXPECT_EQ(again->append("notice", data(22))->index, 22u);
  const auto entries = audit_read(dir, 19, 100);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 4u);
  EXPECT_EQ((*entries)[0].kind, "list_view");
  EXPECT_EQ((*entries)[3].kind, "notice");
  EXPECT_EQ(*json::get_int((*entries)[3].data, "number"), 22);
  EXPECT_EQ(fs::status(dir).permissions() & fs::perms::all, fs::perms::owner_all);
  EXPECT_FALSE(again->append("Bad Kind", data(0)));
  EXPECT_FALSE(again->append("x", {{"long", std::string(70000, 'x')}}));
  EXPECT_FALSE(audit_verify(dir / "nosuch", key.public_key()));
  SeededRandom other(5);
  EXPECT_FALSE(audit_verify(dir, SigningKey::make("center.example", other).public_key()));
}

TEST_F(AuditTest, EveryTamperIsFound) {
  {
    auto log = open();
    std::vector<json::Object> acts;
    for (int i = 0; i < 64; ++i) acts.push_back(data(i));
    ASSERT_TRUE(log->append_all("lookup", acts));
    ASSERT_TRUE(log->append("list", data(64)));
  }
  std::map<std::string, std::string> good;
  for (const char* f : {"entries", "salts", "data", "checkpoint"}) good[f] = *read_file(dir / f);
  ASSERT_TRUE(audit_verify(dir, key.public_key()));
  std::mt19937 random(11);
  const auto put = [&](const std::string& f, const std::string& content) { std::ofstream(dir / f, std::ios::binary | std::ios::trunc) << content; };
  int tampers = 0;
  const auto expect_found = [&](const std::string& f, const std::string& content) {
    put(f, content);
    EXPECT_FALSE(audit_verify(dir, key.public_key())) << f;
    put(f, good[f]);
    ++tampers;
  };
  for (std::size_t i = 0; i < good["checkpoint"].size(); ++i) {  // the checkpoint is short: every bit of it
    for (int bit = 0; bit < 8; ++bit) {
      std::string b = good["checkpoint"];
      b[i] = static_cast<char>(b[i] ^ 1 << bit);
      expect_found("checkpoint", b);
    }
  }
  for (const std::string f : {"entries", "salts", "data"}) {
    for (int i = 0; i < 400; ++i) {
      std::string b = good[f];
      const std::size_t at = random() % b.size();
      switch (i % 4) {
        case 0: b[at] = static_cast<char>(b[at] ^ 1 << random() % 8); break;
        case 1: b.erase(at, 1 + random() % 40); break;
        case 2: b.insert(at, 1, static_cast<char>(random())); break;
        default: std::swap(b[at], b[random() % b.size()]); break;
      }
      if (b != good[f]) expect_found(f, b);
    }
  }
  EXPECT_GT(tampers, 2000);
  EXPECT_TRUE(audit_verify(dir, key.public_key()));
}

TEST_F(AuditTest, AnAlteredLogIsNotOpened) {
  { ASSERT_TRUE(open()->append("list", data(1))); }
  std::string salts = *read_file(dir / "salts");
  salts[3] ^= 1;
  ASSERT_TRUE(replace_file(dir / "salts", salts));
  const auto r = open();
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().what.find("leaf 0: its data or salt was changed"), std::string::npos) << r.error().what;
}

TEST_F(AuditTest, ACutAppendIsCutOffAndNothingIsLost) {
  { ASSERT_TRUE(open()->append("list", data(1))); }
  const std::string checkpoint = *read_file(dir / "checkpoint");
  { ASSERT_TRUE(open()->append("list", data(2))); }
  ASSERT_TRUE(replace_file(dir / "checkpoint", checkpoint));  // as after a kill just before the checkpoint was renamed
  EXPECT_FALSE(audit_verify(dir, key.public_key()));
  auto log = open();
  ASSERT_TRUE(log) << log.error().text();
  EXPECT_EQ(log->state().size, 1u);
  EXPECT_EQ(log->append("list", data(3))->index, 1u);
  EXPECT_TRUE(audit_verify(dir, key.public_key()));
}

TEST_F(AuditTest, NoRoomNoAct) {
  auto log = open();
  ASSERT_TRUE(log->append("list", data(1)));
  // A limit on the file size stands in for a full disk: the write fails in the same call.
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{40, 40};
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(log->append("list", data(2)) ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(open());
  EXPECT_EQ(audit_verify(dir, key.public_key())->size, 1u);
}

TEST_F(AuditTest, ThreadsAndProcessesShareOneLog) {
  { ASSERT_TRUE(open()); }
  std::vector<pid_t> children;
  for (int c = 0; c < 3; ++c) {
    const pid_t child = ::fork();
    if (child == 0) {
      SystemEnv system("audit_test");
      auto log = Audit::open(dir, "center", key, system.env());
      if (!log) ::_exit(1);
      std::vector<std::thread> threads;
      std::atomic<int> failed = 0;
      for (int t = 0; t < 2; ++t)
        threads.emplace_back([&, t] {
          for (int i = 0; i < 10; ++i)
            if (!log->append("lookup", data(t * 100 + i))) ++failed;
        });
      for (auto& t : threads) t.join();
      ::_exit(failed ? 2 : 0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const auto state = audit_verify(dir, key.public_key());
  ASSERT_TRUE(state) << state.error().text();
  EXPECT_EQ(state->size, 60u);
}

}  // namespace
}  // namespace nora::law
