// domain: base law law_wall
// Signed notes and verifier keys; and a mandate that is read through its signatures.
#include <cstdlib>

#include "base/crypto.h"
#include "law/mandate_text.h"
#include "law/wall_mandate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  static const SigningKey key = [] {
    SeededRandom random(7);
    return SigningKey::make("authority1.example", random);
  }();
  const std::string_view note(reinterpret_cast<const char*>(data), size);
  const auto opened = open_note(note, {key.public_key()});
  if (opened && opened->text.size() > size) std::abort();
  if (const auto parsed = PublicKey::parse(note); parsed && PublicKey::parse(parsed->text()) != *parsed) std::abort();
  (void)law::wall::read_signed(note, "threshold: 1\nsigner: " + key.public_key().text() + "\n");
  return 0;
}
