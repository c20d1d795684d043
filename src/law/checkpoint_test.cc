#include "law/checkpoint.h"

#include <gtest/gtest.h>

namespace nora::law {
namespace {

struct Checkpoints : testing::Test {
  SeededRandom random{4};
  SigningKey log = SigningKey::make("center.example", random), witness = SigningKey::make("isp1.example/witness", random), other = SigningKey::make("isp2.example", random);
  Checkpoint c{audit_origin("center.example"), 17, sha256(as_bytes("root")), {}};
  std::string note = sign_note(c.text(), log);
  Instant at = *Instant::parse("2026-11-25T00:00:01.9Z");
  std::string cosigned = note + cosignature_line(c.text(), witness, at);
};

// A cosignature that a public witness gave to a public log in 2026: name, key and note as they published them. Key ids and the signed
// message are then those of C2SP tlog-cosignature, not ours.
TEST(Cosignature, OneFromTheOutsideHolds) {
  const auto key = PublicKey::parse("witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G", PublicKey::cosigner_type);
  ASSERT_TRUE(key) << key.error().text();
  const std::string text = "coachandhorses2026h1.staging.certificate.transparency.goog\n185550722\nYXAM0VmnrfvLaBCOOYSJhCaE5F10oGBOo+hkbDa1kng=\n";
  const auto note = split_note(text +
                               "\n\u2014 coachandhorses2026h1.staging.certificate.transparency.goog "
                               "MpXgsHy8ZwxXnO+WjtVrPxAzL49Rs1gWTkNVNeEa//5peAzaocRCB3qt3EaibjzY5GILLtGgBP7dBhgcSHy+JQh0OAc=\n"
                               "\u2014 witness.navigli.sunlight.geomys.org "
                               "o+AP4gAAAABqb7DzNrGFRJnQ9vrJ8xpnwZytnr/ZYczDIsvwvouiSjwOjn7a72ccxBk+lKnZ7dKqkYKER1s/KxLTaVwQD7lJZTC/CQ==\n");
  ASSERT_TRUE(note) << note.error().text();
  const auto by = cosignatures(*note, {*key});
  ASSERT_TRUE(by) << by.error().text();
  ASSERT_EQ(by->size(), 1u);
  EXPECT_EQ((*by)[0].at.us / 1'000'000, 0x6a6fb0f3);
  const auto c = parse_checkpoint_text(text);
  ASSERT_TRUE(c);
  EXPECT_EQ(c->size, 185'550'722u);
  EXPECT_EQ(c->text(), text);
  auto changed = *note;
  changed.text[0] = 'C';
  EXPECT_FALSE(cosignatures(changed, {*key}));
}

TEST_F(Checkpoints, ReadBack) {
  EXPECT_EQ(*open_checkpoint(note, log.public_key()), c);
  EXPECT_EQ(*open_own_checkpoint(note, log.public_key()), c);
  EXPECT_EQ(*open_checkpoint(cosigned, log.public_key()), c);
  EXPECT_FALSE(open_own_checkpoint(cosigned, log.public_key()));  // on its own disk a log has only its own signature
  EXPECT_FALSE(open_checkpoint(note, other.public_key()));
  const auto extended = c.text() + "extension\n";
  EXPECT_EQ(parse_checkpoint_text(extended)->extensions, std::vector<std::string>{"extension"});
}

TEST_F(Checkpoints, OneTextPerState) {
  const std::string root = to_base64(c.root);
  for (const std::string& bad : std::vector<std::string>{"a\n1\n", "a\n01\n" + root + "\n", "a\n+1\n" + root + "\n", "a\n-1\n" + root + "\n", "a\n1\n" + root, "a\n1\n" + root + " \n", "\n1\n" + root + "\n",
                                 "a\n1\nAAAA\n", "a\n18446744073709551616\n" + root + "\n", "a\n1\n" + root + "\n\nx\n", ""})
    EXPECT_FALSE(parse_checkpoint_text(bad)) << bad;
  for (std::size_t i = 0; i < note.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = note;
      changed[i] = static_cast<char>(changed[i] ^ 1 << bit);
      EXPECT_FALSE(open_own_checkpoint(changed, log.public_key())) << i << " " << bit;
    }
}

TEST_F(Checkpoints, CosignaturesOfNamedWitnessesOnly) {
  const auto parts = *split_note(cosigned);
  const auto by = cosignatures(parts, {other.public_key(), witness.public_key()});
  ASSERT_TRUE(by) << by.error().text();
  ASSERT_EQ(by->size(), 1u);
  EXPECT_EQ((*by)[0].witness, "isp1.example/witness");
  EXPECT_EQ((*by)[0].at, *Instant::parse("2026-11-25T00:00:01Z"));
  EXPECT_TRUE(cosignatures(parts, {other.public_key()})->empty());
  // The log's own signature is no cosignature, and a cosignature is no signature of the log.
  EXPECT_TRUE(cosignatures(parts, {log.public_key()})->empty());
  EXPECT_TRUE(open_note(cosigned, {witness.public_key()})->signers.empty());
  // A second, later one by the same witness counts once.
  const auto twice = *split_note(cosigned + cosignature_line(c.text(), witness, at + Span::hours(1)));
  const auto latest = *cosignatures(twice, {witness.public_key()});
  ASSERT_EQ(latest.size(), 1u);
  EXPECT_EQ(latest[0].at, *Instant::parse("2026-11-25T01:00:01Z"));
  // Its time is signed: moving it breaks the signature.
  auto moved = parts;
  moved.signatures[1].signature[7] ^= 1;
  EXPECT_FALSE(cosignatures(moved, {witness.public_key()}));
}

TEST_F(Checkpoints, MergeAndKeys) {
  const std::string second = note + cosignature_line(c.text(), other, at);
  const auto both = merge_signatures(cosigned, second);
  ASSERT_TRUE(both);
  EXPECT_EQ(cosignatures(*split_note(*both), {other.public_key(), witness.public_key()})->size(), 2u);
  EXPECT_EQ(*merge_signatures(*both, second), *both);
  auto another = c;
  another.size = 18;
  EXPECT_FALSE(merge_signatures(cosigned, sign_note(another.text(), log)));
  EXPECT_EQ(*parse_witness_key(witness.public_key().text(PublicKey::cosigner_type) + "\n"), witness.public_key());
  EXPECT_EQ(*parse_witness_key(witness.public_key().text()), witness.public_key());
  EXPECT_FALSE(PublicKey::parse(witness.public_key().text(), PublicKey::cosigner_type));
  EXPECT_FALSE(parse_witness_key("witness"));
  EXPECT_EQ(note_text(*split_note(cosigned)), cosigned);
}

}  // namespace
}  // namespace nora::law
