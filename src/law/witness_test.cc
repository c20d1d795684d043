#include "law/witness.h"

#include "law/audit_proof.h"
#include "law/audit_verify.h"
#include "law/test_audit.h"

namespace nora::law {
namespace {

struct WitnessTest : AuditTest {
  std::filesystem::path state = dir.string() + "_witness";
  SigningKey isp = SigningKey::make("isp1.example/witness", fake.random);
  Witness witness{state, isp, fake.env()};
  PublicKey pub = key.public_key();
  WitnessTest() { std::filesystem::remove_all(state); }
  ~WitnessTest() override { std::filesystem::remove_all(state); }

  void append(int from, int to) {
    auto log = open();
    ASSERT_TRUE(log) << log.error().text();
    ASSERT_TRUE(log->append_all("list", acts(from, to)));
  }
  Result<std::string> cosign() {
    NORA_TRY(auto reader, AuditReader::open(dir, &pub));
    NORA_TRY(const auto last, witness.last_size(reader.checkpoint().origin));
    NORA_TRY(const auto request, make_request(reader, last));
    NORA_TRY(const auto back, parse_request(write_request(request)));  // by file, as it travels
    return witness.cosign(back, pub);
  }
  std::string what(const Status& s) { return s ? "no error" : s.error().what; }
};

TEST_F(WitnessTest, FollowsALogThatGrows) {
  append(0, 3);
  for (const int to : {3, 4, 300, 301, 700}) {
    if (to > 3) append(to == 4 ? 3 : to == 300 ? 4 : to == 301 ? 300 : 301, to);
    const auto note = cosign();
    ASSERT_TRUE(note) << note.error().text();
    const auto by = accept_cosigned(dir, pub, *note, {isp.public_key()});
    ASSERT_TRUE(by) << by.error().text();
    AuditCheck wanted;
    wanted.witnesses = {isp.public_key()};
    wanted.quorum = 1;
    wanted.seen = {*note};
    const auto report = audit_check(dir, pub, wanted);
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_EQ(report->cosigned.size(), 1u);
    wanted.quorum = 2;
    EXPECT_FALSE(audit_check(dir, pub, wanted));
    wanted.quorum = 1;
    wanted.not_before = fake.clock.now() + Span::hours(1);
    EXPECT_FALSE(audit_check(dir, pub, wanted));
  }
  EXPECT_EQ(*witness.last_size(audit_origin("center")), 700u);
  // A proof carries the cosignature as soon as a cosigned state holds the leaf.
  append(700, 701);
  auto reader = *AuditReader::open(dir, &pub);
  const auto proven = check_proof(*prove_leaf(dir, reader, 650, true), pub, {isp.public_key()}, 1);
  ASSERT_TRUE(proven) << proven.error().text();
  EXPECT_EQ(proven->size, 700u);
  EXPECT_FALSE(check_proof(*prove_leaf(dir, reader, 700, true), pub, {isp.public_key()}, 1));
  EXPECT_TRUE(check_proof(*prove_leaf(dir, reader, 700, true), pub, {isp.public_key()}, 0));
}

// The whole directory put back to an older state verifies by itself; the witness, and whoever has its note, finds it.
TEST_F(WitnessTest, ALogThatWentBackIsFound) {
  append(0, 300);
  ASSERT_TRUE(accept_cosigned(dir, pub, *cosign(), {isp.public_key()}));
  const auto old = snapshot(dir);
  append(300, 310);
  const auto later = *cosign();
  ASSERT_TRUE(accept_cosigned(dir, pub, later, {isp.public_key()}));
  restore(dir, old);
  AuditCheck wanted;
  wanted.witnesses = {isp.public_key()};
  wanted.quorum = 1;
  ASSERT_TRUE(audit_check(dir, pub, wanted));  // alone it cannot know
  wanted.seen = {later};
  const auto r = audit_check(dir, pub, wanted);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().what.find("went back: a state of 310 leaves was seen by isp1.example/witness, here are 300"), std::string::npos) << r.error().what;
  // The log's own later signature in other hands is enough.
  wanted = {};
  wanted.seen = {later};
  EXPECT_FALSE(audit_check(dir, pub, wanted));
  // The witness itself, asked with the state it knows or with the old one.
  auto reader = *AuditReader::open(dir, &pub);
  EXPECT_FALSE(make_request(reader, 310));
  const auto refused = witness.cosign({300, {}, reader.note()}, pub);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_NE(refused.error().what.find("went back: 310"), std::string::npos) << refused.error().what;
  // Grown again beyond what was seen, with other leaves: a fork.
  append(500, 530);
  const auto fork = cosign();
  ASSERT_FALSE(fork);
  EXPECT_NE(fork.error().what.find("forked"), std::string::npos) << fork.error().what;
  EXPECT_EQ(*witness.last_size(audit_origin("center")), 310u);
  wanted.seen = {later};
  wanted.witnesses = {isp.public_key()};
  const auto forked = audit_check(dir, pub, wanted);
  ASSERT_FALSE(forked);
  EXPECT_NE(forked.error().what.find("forked: at 310 leaves"), std::string::npos) << forked.error().what;
  EXPECT_FALSE(accept_cosigned(dir, pub, later, {isp.public_key()}));
}

// Same size, other leaves.
TEST_F(WitnessTest, AForkOfTheSameSizeIsFound) {
  append(0, 20);
  const auto old = snapshot(dir);
  append(20, 21);
  ASSERT_TRUE(cosign());
  restore(dir, old);
  append(40, 41);
  auto reader = *AuditReader::open(dir, &pub);
  const auto refused = witness.cosign({21, {}, reader.note()}, pub);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("forked"), std::string::npos) << refused.error().what;
}

TEST_F(WitnessTest, OnlyWhatItShould) {
  append(0, 5);
  auto reader = *AuditReader::open(dir, &pub);
  auto request = *make_request(reader, 0);
  EXPECT_FALSE(witness.cosign(request, std::nullopt));  // a log that nobody introduced
  SeededRandom other(9);
  const auto stranger = SigningKey::make("center.example", other).public_key();
  EXPECT_FALSE(witness.cosign(request, stranger));
  ASSERT_TRUE(witness.cosign(request, pub));
  EXPECT_FALSE(witness.cosign(request, stranger));       // the key is kept
  const auto again = witness.cosign(request, std::nullopt);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().fix, "make the request with --old 5");
  request.old_size = 5;
  EXPECT_TRUE(witness.cosign(request, std::nullopt));    // the same state again is fine
  append(5, 9);
  auto grown = *AuditReader::open(dir, &pub);
  request = *make_request(grown, 5);
  auto bad = request;
  bad.path[0][0] ^= 1;
  EXPECT_FALSE(witness.cosign(bad, std::nullopt));
  bad = request;
  bad.path.clear();
  EXPECT_FALSE(witness.cosign(bad, std::nullopt));
  EXPECT_TRUE(witness.cosign(request, std::nullopt));
  // A note that somebody else signed is not kept by the log.
  EXPECT_FALSE(accept_cosigned(dir, pub, grown.note(), {isp.public_key()}));
  for (const char* text : {"", "old 5", "old 05\n\n", "new 5\n\nx", "old 5\nAAAA\n\nx"}) EXPECT_FALSE(parse_request(text)) << text;
}

}  // namespace
}  // namespace nora::law
