#include "law/audit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "law/audit_proof.h"
#include "law/audit_verify.h"
#include "law/test_audit.h"

namespace nora::law {
namespace {
namespace fs = std::filesystem;

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
  EXPECT_FALSE(Audit::open(dir, "another", key, fake.env()));
}

// One leaf at a time over the edge of a tile: every partial tile of a checkpoint is there until the full one is (tlog-tiles: MUST).
TEST_F(AuditTest, OneByOneOverTheEdgeOfATile) {
  auto log = open();
  ASSERT_TRUE(log->append_all("lookup", acts(0, 250)));
  for (int i = 250; i < 255; ++i) ASSERT_TRUE(log->append("list", data(i)));
  for (int width = 250; width <= 255; ++width) {
    EXPECT_EQ(fs::file_size(dir / ("tile/0/000.p/" + std::to_string(width))), static_cast<std::size_t>(width) * 32);
    EXPECT_EQ(fs::file_size(dir / ("tile/entries/000.p/" + std::to_string(width))), static_cast<std::size_t>(width) * 34);
  }
  ASSERT_TRUE(audit_verify(dir, key.public_key()));
  ASSERT_TRUE(log->append("list", data(255)));
  EXPECT_TRUE(fs::exists(dir / "tile/0/000"));
  EXPECT_FALSE(fs::exists(dir / "tile/0/000.p"));
  EXPECT_TRUE(fs::exists(dir / "tile/1/000.p/1"));
  ASSERT_TRUE(audit_verify(dir, key.public_key())) << audit_verify(dir, key.public_key()).error().text();
  for (int i = 256; i < 260; ++i) {
    auto again = open();
    ASSERT_TRUE(again) << again.error().text();
    ASSERT_EQ(again->append("list", data(i))->index, static_cast<std::uint64_t>(i));
  }
  EXPECT_EQ(audit_verify(dir, key.public_key())->size, 260u);
}

TEST_F(AuditTest, AnAlteredLogIsNotOpened) {
  { ASSERT_TRUE(open()->append("list", data(1))); }
  std::string record = *read_file(dir / "private/000");
  record[4 + 1 + 32 + 3] ^= 1;  // a bit of the salt
  ASSERT_TRUE(replace_file(dir / "private/000", record));
  const auto r = open();
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().what.find("leaf 0: its data or salt was changed"), std::string::npos) << r.error().what;
}

TEST_F(AuditTest, ACutAppendIsCutOffAndNothingIsLost) {
  { ASSERT_TRUE(open()->append("list", data(1))); }
  const std::string checkpoint = *read_file(dir / "checkpoint");
  { ASSERT_TRUE(open()->append_all("list", acts(2, 600))); }
  ASSERT_TRUE(replace_file(dir / "checkpoint", checkpoint));  // as after a kill just before the checkpoint was renamed
  EXPECT_FALSE(audit_verify(dir, key.public_key()));
  auto log = open();
  ASSERT_TRUE(log) << log.error().text();
  EXPECT_EQ(log->state().size, 1u);
  EXPECT_TRUE(audit_verify(dir, key.public_key()));
  EXPECT_EQ(log->append("list", data(3))->index, 1u);
  EXPECT_TRUE(audit_verify(dir, key.public_key()));
}

// Partial tiles are not synced: a power cut may take them or leave them empty. The records say the same, and the signed root judges.
TEST_F(AuditTest, TilesThatAPowerCutTookAreWrittenAgain) {
  { ASSERT_TRUE(open()->append_all("list", acts(0, 700))); }
  const auto good = snapshot(dir);
  for (int round = 0; round < 3; ++round) {
    for (const char* file : {"tile/0/002.p/188", "tile/entries/002.p/188", "tile/1/000.p/2"}) {
      if (round == 0) {
        ASSERT_TRUE(fs::remove(dir / file));
      } else {
        fs::resize_file(dir / file, round == 1 ? 0 : 17);
      }
    }
    EXPECT_FALSE(audit_verify(dir, key.public_key()));
    ASSERT_TRUE(open());
    EXPECT_NE(fake.log.text.find("tile/1/000.p/2 was not whole"), std::string::npos) << fake.log.text;
    auto now = snapshot(dir), before = good;
    EXPECT_EQ(now, before);
  }
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
  EXPECT_EQ(audit_verify(dir, key.public_key())->size, 1u);  // what was begun is taken back at once
  EXPECT_TRUE(open());
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
          for (int i = 0; i < 50; ++i)
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
  EXPECT_EQ(state->size, 300u);
}

// A process that sleeps while the directory is put back under it does not go on.
TEST_F(AuditTest, ALogThatWentBackUnderAProcessIsNotContinued) {
  auto log = open();
  ASSERT_TRUE(log->append_all("list", acts(0, 10)));
  const auto old = snapshot(dir);
  ASSERT_TRUE(log->append("list", data(10)));
  restore(dir, old);
  const auto r = log->append("list", data(11));
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().what.find("went back"), std::string::npos) << r.error().what;
}

// ---- the first layout

std::vector<std::string> old_texts(int n) {
  std::vector<std::string> out;
  for (int i = 0; i < n; ++i) out.push_back("{\"at\":\"2026-11-25T00:00:0" + std::to_string(i % 10) + "Z\",\"kind\":\"list\",\"data\":{\"number\":" + std::to_string(i) + "}}");
  return out;
}

TEST_F(AuditTest, ALogOfTheFirstLayoutIsReadMovedAndContinued) {
  write_first_layout(dir, key, fake.random, old_texts(600));
  const auto before = audit_verify(dir, key.public_key());
  ASSERT_TRUE(before) << before.error().text();
  EXPECT_EQ(audit_read(dir, 598, 700)->size(), 2u);  // nobody opened it yet
  auto log = open();
  ASSERT_TRUE(log) << log.error().text();
  EXPECT_EQ(log->state().root, before->root);
  EXPECT_FALSE(fs::exists(dir / "entries"));
  EXPECT_FALSE(fs::exists(dir / "salts"));
  EXPECT_TRUE(audit_verify(dir, key.public_key()));
  EXPECT_EQ(log->append("list", data(600))->index, 600u);
  const auto entries = audit_read(dir, 0, 1000);
  ASSERT_EQ(entries->size(), 601u);
  for (int i = 0; i <= 600; ++i) EXPECT_EQ(*json::get_int((*entries)[static_cast<std::size_t>(i)].data, "number"), i);
}

TEST_F(AuditTest, AnAlteredLogOfTheFirstLayoutIsNeitherReadNorMoved) {
  for (const char* file : {"entries", "salts", "data", "checkpoint"}) {
    fs::remove_all(dir);
    write_first_layout(dir, key, fake.random, old_texts(5));
    auto text = *read_file(dir / file);
    text[text.size() / 2] ^= 1;
    put_file(dir / file, text);
    EXPECT_FALSE(audit_verify(dir, key.public_key())) << file;
    EXPECT_FALSE(open()) << file;
    EXPECT_TRUE(fs::exists(dir / "entries")) << file;
  }
}

// ---- proofs

struct AuditProofs : AuditTest {
  std::vector<LeafId> ids;
  void fill(int n) {
    auto log = open();
    ids = *log->append_all("lookup", acts(0, n));
  }
  Result<AuditProof> prove(std::uint64_t index, bool disclose) {
    const PublicKey pub = key.public_key();
    auto reader = AuditReader::open(dir, &pub);
    return prove_leaf(dir, *reader, index, disclose);
  }
};

TEST_F(AuditProofs, AreCheckedWithoutTheLog) {
  fill(700);
  for (const std::uint64_t i : {0, 255, 256, 699}) {
    const auto proof = prove(i, true);
    ASSERT_TRUE(proof) << proof.error().text();
    const std::string text = write_proof(*proof);
    const auto proven = check_proof(*parse_proof(text), key.public_key(), {}, 0);
    ASSERT_TRUE(proven) << proven.error().text();
    EXPECT_EQ(proven->index, i);
    EXPECT_EQ(proven->size, 700u);
    EXPECT_EQ(*json::get_int(proven->entry->data, "number"), static_cast<std::int64_t>(i));
    EXPECT_EQ(merkle_leaf(parse_proof(text)->entry), ids[i].leaf);
    const auto closed = write_proof(*prove(i, false));
    EXPECT_EQ(closed.find("number"), closed.npos);
    const auto blind = check_proof(*parse_proof(closed), key.public_key(), {}, 0);
    ASSERT_TRUE(blind);
    EXPECT_FALSE(blind->entry);
    EXPECT_LE(proof->path.size() * 32, 1024u);
  }
  EXPECT_FALSE(prove(700, true));
  const auto two = parse_proofs(write_proof(*prove(3, true)) + write_proof(*prove(4, false)));
  ASSERT_TRUE(two) << two.error().text();
  ASSERT_EQ(two->size(), 2u);
  EXPECT_EQ((*two)[1].index, 4u);
}

TEST_F(AuditProofs, EveryChangedByteIsFound) {
  fill(5);
  const std::string good = write_proof(*prove(2, true));
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1 << bit);
      const auto p = parse_proof(bad);
      const bool holds = p && check_proof(*p, key.public_key(), {}, 0).has_value();
      // A changed name or id of the key makes a signature unknown, so there is none.
      EXPECT_FALSE(holds) << "byte " << i << " bit " << bit;
    }
  SeededRandom other(5);
  EXPECT_FALSE(check_proof(*parse_proof(good), SigningKey::make("center.example", other).public_key(), {}, 0));
}

TEST_F(AuditProofs, BothLeavesOfASegment) {
  {
    auto log = open();
    ASSERT_TRUE(log->append("segment_reserved", {{"segment", "s1/0"}, {"from", 0}}));
    ASSERT_TRUE(log->append("segment_reserved", {{"segment", "s1/01"}, {"from", 0}}));
    ASSERT_TRUE(log->append("list", {{"segment", "s1/0"}}));
    ASSERT_TRUE(log->append("segment_committed", {{"segment", "s1/0"}, {"sent", 4}}));
  }
  auto reader = AuditReader::open(dir, nullptr);
  const auto leaves = segment_leaves(*reader, "s1/0");
  ASSERT_TRUE(leaves);
  ASSERT_EQ(leaves->size(), 2u);
  EXPECT_EQ((*leaves)[0].index, 0u);
  EXPECT_EQ((*leaves)[1].index, 3u);
}

// ---- shredding

using Shredding = AuditProofs;

TEST_F(Shredding, TheDataGoTheProofsStay) {
  fill(300);
  const auto before = *parse_proof(write_proof(*prove(7, true)));
  {
    auto log = open();
    const auto gone = log->shred({{7, 299, 7}, std::nullopt, "", "retention"});
    ASSERT_TRUE(gone) << gone.error().text();
    EXPECT_EQ(*gone, (std::vector<std::uint64_t>{7, 299}));
    EXPECT_TRUE(log->shred({{7}, std::nullopt, "", "again"})->empty());
    EXPECT_FALSE(log->shred({{300}, std::nullopt, "", ""}));   // the leaf of the shredding stays
    EXPECT_FALSE(log->shred({{5000}, std::nullopt, "", ""}));
    EXPECT_FALSE(log->shred({{}, std::nullopt, "", ""}));
    ASSERT_TRUE(log->append("list", data(301)));
  }
  const auto report = audit_check(dir, key.public_key(), {});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(report->shredded, 2u);
  EXPECT_EQ(report->state.size, 302u);
  const auto entries = *audit_read(dir, 0, 302);
  EXPECT_EQ(entries[7].kind, "shredded");
  EXPECT_EQ(*json::get_int(entries[7].data, "by"), 300);
  EXPECT_EQ(entries[300].kind, "shred");
  // Neither salt nor text is left in any file.
  for (const auto& [path, content] : snapshot(dir)) {
    EXPECT_EQ(content.find(to_string(before.salt)), content.npos) << path;
    EXPECT_EQ(content.find("\"number\":7,"), content.npos) << path;
  }
  const auto proof = prove(7, true);
  ASSERT_TRUE(proof) << proof.error().text();
  EXPECT_FALSE(proof->disclosed);
  EXPECT_TRUE(check_proof(*proof, key.public_key(), {}, 0));
  EXPECT_EQ(proof->entry, before.entry);
  EXPECT_TRUE(check_proof(before, key.public_key(), {}, 0));  // what was handed out before still holds
}

TEST_F(Shredding, ByKindAndInstant) {
  auto log = open();
  ASSERT_TRUE(log->append_all("lookup", acts(0, 300)));
  ASSERT_TRUE(log->append("list", data(300)));
  fake.clock.sleep(Span::days(1));
  const Instant line = fake.clock.now();
  ASSERT_TRUE(log->append("lookup", data(301)));
  const auto gone = log->shred({{}, line, "lookup", "90 days"});
  ASSERT_TRUE(gone) << gone.error().text();
  EXPECT_EQ(gone->size(), 300u);
  EXPECT_EQ(audit_check(dir, key.public_key(), {})->shredded, 300u);
  const auto entries = *audit_read(dir, 300, 302);
  EXPECT_EQ(entries[0].kind, "list");
  EXPECT_EQ(entries[1].kind, "lookup");
  EXPECT_FALSE(log->shred({{}, line, "shred", "x"}));
}

// Data that are gone without an order, and an order that was not followed, are both found.
TEST_F(Shredding, OnlyAsOrdered) {
  fill(10);
  const auto before = snapshot(dir);
  { ASSERT_TRUE(open()->shred({{3}, std::nullopt, "", "x"})); }
  const auto shredded = snapshot(dir);
  put_file(dir / "private/000", before.at("private/000") + shredded.at("private/000").substr(before.at("private/000").size()));
  const auto kept = audit_verify(dir, key.public_key());
  ASSERT_FALSE(kept);
  EXPECT_NE(kept.error().what.find("still there"), std::string::npos) << kept.error().what;
  restore(dir, before);
  put_file(dir / "private/000", shredded.at("private/000").substr(0, before.at("private/000").size()));
  const auto silent = audit_verify(dir, key.public_key());
  ASSERT_FALSE(silent);
  EXPECT_NE(silent.error().what.find("no later leaf ordered that"), std::string::npos) << silent.error().what;
}

TEST_F(Shredding, ACrashInTheMiddleIsFinishedAtTheNextOpen) {
  fill(10);
  const auto before = snapshot(dir);
  { ASSERT_TRUE(open()->shred({{3, 4}, std::nullopt, "", "x"})); }
  const auto after = snapshot(dir);
  // The order stands, and of the overwriting only a part has reached the disk.
  std::string torn = after.at("private/000");
  const std::string old = before.at("private/000");
  const auto at = old.find("\"number\":3,");
  torn.replace(at, 8, old.substr(at, 8));
  restore(dir, after);
  put_file(dir / "private/000", torn);
  put_file(dir / "shredding", "10 1\n");
  EXPECT_FALSE(audit_verify(dir, key.public_key()));
  ASSERT_TRUE(open()) << open().error().text();
  EXPECT_EQ(snapshot(dir), after);
  // The order was never given: nothing goes.
  restore(dir, before);
  put_file(dir / "shredding", "10 1\n");
  ASSERT_TRUE(open());
  EXPECT_EQ(snapshot(dir), before);
}

}  // namespace
}  // namespace nora::law
