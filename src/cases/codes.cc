#include "cases/codes.h"

#include <sys/stat.h>

#include "base/files.h"
#include "exchange/notice_code.h"

namespace nora::cases {
namespace {

// Short, harmless words that everybody can read aloud, in kana with the reading beside it for those who do not read kana.
constexpr std::string_view words[64] = {
    "さくら (sakura)", "うみ (umi)",       "やま (yama)",     "かわ (kawa)",       "そら (sora)",     "ほし (hoshi)",     "つき (tsuki)",   "ゆき (yuki)",
    "かぜ (kaze)",     "もり (mori)",      "いけ (ike)",      "しま (shima)",      "はな (hana)",     "くも (kumo)",      "にじ (niji)",    "いし (ishi)",
    "まつ (matsu)",    "たけ (take)",      "うめ (ume)",      "きく (kiku)",       "ふじ (fuji)",     "もも (momo)",      "なし (nashi)",   "かき (kaki)",
    "りんご (ringo)",  "みかん (mikan)",   "いちご (ichigo)", "ぶどう (budou)",    "こめ (kome)",     "むぎ (mugi)",      "まめ (mame)",    "いも (imo)",
    "ねこ (neko)",     "いぬ (inu)",       "とり (tori)",     "うま (uma)",        "くま (kuma)",     "しか (shika)",     "うさぎ (usagi)", "かめ (kame)",
    "つる (tsuru)",    "すずめ (suzume)",  "かもめ (kamome)", "くじら (kujira)",   "さかな (sakana)", "かに (kani)",      "えび (ebi)",     "たこ (tako)",
    "ふね (fune)",     "はし (hashi)",     "みち (michi)",    "いえ (ie)",         "まど (mado)",     "とびら (tobira)",  "つくえ (tsukue)", "いす (isu)",
    "ほん (hon)",      "えんぴつ (enpitsu)", "かさ (kasa)",   "ぼうし (boushi)",   "くつ (kutsu)",    "とけい (tokei)",   "たいこ (taiko)", "ふえ (fue)"};

// Random numbers that a case always gets again: the keyed hash of its id.
class Derived : public Random {
 public:
  explicit Derived(const Hash& bytes) : bytes_(bytes) {}
  void fill(std::span<std::uint8_t> out) override {
    for (auto& b : out) b = bytes_[at_++ % bytes_.size()];
  }

 private:
  Hash bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Codes> Codes::open(const std::filesystem::path& file, Random& random) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    Bytes key(32);
    random.fill(key);
    NORA_CHECK(replace_file(file, to_hex(key) + "\n", 0600));
  }
  struct stat st {};
  if (::stat(file.c_str(), &st) == 0 && (st.st_mode & 077) != 0)
    return fail(Code::refused, "others may read the code key " + file.string(), "chmod 600 " + file.string());
  NORA_TRY(auto text, read_file(file, 1024));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  NORA_TRY(auto bytes, from_hex(text));
  if (bytes.size() != 32) return fail(Code::bad_input, "the code key " + file.string() + " has not 64 hex digits");
  return Codes(Secret(std::move(bytes)));
}

NoticeCode Codes::of_case(registry::Id case_id) const {
  const auto derive = [&](std::string_view what) { return keyed_hash(key_, as_bytes(std::string(what) + std::to_string(case_id))); };
  Derived random(derive("notice-code:"));
  NoticeCode code;
  code.code = exchange::make_notice_code(random);
  const auto pick = derive("words:");
  code.word1 = words[pick[0] % 64];
  code.word2 = words[pick[1] % 64];
  if (code.word2 == code.word1) code.word2 = words[(pick[1] + 1u) % 64];
  return code;
}

Hash Codes::lookup_hash(std::string_view canonical_code) const { return keyed_hash(key_, as_bytes("look-up:" + std::string(canonical_code))); }

}  // namespace nora::cases
