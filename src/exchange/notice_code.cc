#include "exchange/notice_code.h"

#include <array>

namespace nora::exchange {
namespace {

constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // Crockford base32: no I L O U
constexpr int data_symbols = 11;                                          // 55 bits
constexpr int code_symbols = data_symbols + 1;

// Multiplication by x in GF(32) = GF(2)[x]/(x^5 + x^2 + 1); x generates all 31 non-zero elements.
constexpr unsigned times_x(unsigned v) { return ((v << 1) ^ ((v & 0x10) ? 0x25 : 0)) & 0x1f; }

// check = sum of x^(i+1) * v[i]. The check symbol itself has the factor x^0, so all 12 factors differ: every single wrong symbol and every
// exchange of two symbols changes the sum.
unsigned check_symbol(const std::array<unsigned, data_symbols>& v) {
  unsigned sum = 0;
  for (int i = data_symbols - 1; i >= 0; --i) sum = times_x(sum ^ v[static_cast<std::size_t>(i)]);
  return sum;
}

std::string spell(const std::array<unsigned, data_symbols>& v) {
  std::string out;
  for (int i = 0; i < code_symbols; ++i) {
    if (i == 4 || i == 8) out += '-';
    out += alphabet[i < data_symbols ? v[static_cast<std::size_t>(i)] : check_symbol(v)];
  }
  return out;
}

}  // namespace

std::string make_notice_code(Random& random) {
  std::array<unsigned, data_symbols> v{};
  std::uint64_t bits = random.u64();
  for (auto& symbol : v) {
    symbol = bits & 0x1f;
    bits >>= 5;
  }
  return spell(v);
}

Result<std::string> parse_notice_code(std::string_view typed) {
  constexpr std::size_t max_typed_bytes = 64;
  const auto bad = [](std::string_view why) { return fail(Code::bad_input, "This is not a notice code: " + std::string(why), "Type the 12 characters of the notice"); };
  if (typed.size() > max_typed_bytes) return bad("it is too long");
  std::array<unsigned, code_symbols> v{};
  int n = 0;
  for (char c : typed) {
    if (c == '-' || c == ' ' || c == '\t') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'O') c = '0';
    if (c == 'I' || c == 'L') c = '1';
    const auto place = alphabet.find(c);
    if (place == std::string_view::npos) return bad("it has a character that no code has");
    if (n == code_symbols) return bad("it is too long");
    v[static_cast<std::size_t>(n++)] = static_cast<unsigned>(place);
  }
  if (n != code_symbols) return bad("it is too short");
  std::array<unsigned, data_symbols> data{};
  for (int i = 0; i < data_symbols; ++i) data[static_cast<std::size_t>(i)] = v[static_cast<std::size_t>(i)];
  if (check_symbol(data) != v[data_symbols]) return bad("one character is wrong");
  return spell(data);
}

}  // namespace nora::exchange
