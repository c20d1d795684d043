#include "base/crypto.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

#include "base/files.h"

namespace nora {
namespace {

class Crypto : public ::testing::Test {
 protected:
  SeededRandom random{7};
  SigningKey a = SigningKey::make("a.example", random), b = SigningKey::make("b.example", random);
};

TEST_F(Crypto, KnownHash) {
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-4 example
  EXPECT_EQ(sha256({as_bytes("ab"), as_bytes("c")}), sha256(as_bytes("abc")));
}

TEST_F(Crypto, NotesNeedEachSignature) {
  const std::string note = add_signature(sign_note("text\nmore\n", a), b);
  const auto both = open_note(note, {a.public_key(), b.public_key()});
  ASSERT_TRUE(both.has_value());
  EXPECT_EQ(both->text, "text\nmore\n");
  EXPECT_EQ(both->signers.size(), 2u);
  EXPECT_EQ(open_note(note, {a.public_key()})->signers.size(), 1u);
  EXPECT_TRUE(open_note(note, {})->signers.empty());
  // A signature twice by one signer counts once.
  EXPECT_EQ(open_note(add_signature(sign_note("x\n", a), a), {a.public_key()})->signers.size(), 1u);
}

TEST_F(Crypto, EveryChangedByteOfANoteIsFound) {
  const std::string note = sign_note("range: 203.0.113.0/24\nport: 80\n", a);
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string changed = note;
    changed[i] ^= 1;
    const auto opened = open_note(changed, {a.public_key()});
    EXPECT_TRUE(!opened || opened->signers.empty()) << "byte " << i;
  }
}

TEST_F(Crypto, PublicKeysReadBackAndCheckTheirId) {
  EXPECT_EQ(*PublicKey::parse(a.public_key().text()), a.public_key());
  std::string wrong = a.public_key().text();
  wrong[wrong.find('+') + 1] ^= 1;
  EXPECT_FALSE(PublicKey::parse(wrong).has_value());
  for (const char* bad : {"", "a", "a+b", "a b+00000000+AAAA", "+00000000+"}) EXPECT_FALSE(PublicKey::parse(bad).has_value()) << bad;
}

TEST_F(Crypto, SealedBoxesOpenOnlyForTheReceiver) {
  const Bytes message = to_bytes("list");
  Bytes sealed = seal_to(b.public_key(), message);
  EXPECT_EQ(*b.open_sealed(sealed), message);
  EXPECT_FALSE(a.open_sealed(sealed).has_value());
  sealed[10] ^= 1;
  EXPECT_FALSE(b.open_sealed(sealed).has_value());
  EXPECT_FALSE(b.open_sealed(Bytes(5)).has_value());
}

TEST_F(Crypto, KeyFilesArePrivateAndNeverOverwritten) {
  const std::filesystem::path file = ::testing::TempDir() + "nora-key-test";
  std::filesystem::remove(file);
  ASSERT_TRUE(a.save(file).has_value());
  EXPECT_FALSE(b.save(file).has_value());
  struct stat info {};
  stat(file.c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(SigningKey::load(file)->public_key(), a.public_key());
  chmod(file.c_str(), 0640);
  EXPECT_EQ(SigningKey::load(file).error().code, Code::refused);
  std::filesystem::remove(file);
}

TEST_F(Crypto, KeyedHashDependsOnTheKey) {
  const Secret k1(Bytes(32, 1)), k2(Bytes(32, 2));
  EXPECT_NE(keyed_hash(k1, as_bytes("x")), keyed_hash(k2, as_bytes("x")));
}

}  // namespace
}  // namespace nora
