// Request templates: reading, rendering, recognising answers and requests (catalogue.h).
#include <algorithm>

#include "survey/catalogue.h"

namespace nora::survey {
namespace {

using Kind = Request::Piece::Kind;

// How a token comes back in the answer.
enum class Back { same_place, anywhere, never };

struct Word {
  std::string_view text;
  Kind kind;
  Back back;
};
constexpr Word words[] = {{"txid1", Kind::txid1, Back::same_place}, {"txid2", Kind::txid2, Back::same_place}, {"rand2", Kind::rand2, Back::anywhere},
                          {"rand4", Kind::rand4, Back::anywhere},   {"rand8", Kind::rand8, Back::anywhere},   {"text8", Kind::text8, Back::never},
                          {"hex8", Kind::hex8, Back::anywhere},     {"uuid", Kind::uuid, Back::anywhere},     {"turn4", Kind::turn4, Back::anywhere},
                          {"fill4", Kind::fill4, Back::never},      {"fill8", Kind::fill8, Back::never},      {"fill32", Kind::fill32, Back::never},
                          {"ip", Kind::ip, Back::never},            {"own", Kind::own, Back::never}};

// text8 is not asked for: a DNS server may return the name in another case (RFC 4343), and an answer without question section has none.
Back comes_back(Kind kind) {
  const auto* word = std::find_if(std::begin(words), std::end(words), [&](const Word& w) { return w.kind == kind; });
  return word == std::end(words) ? Back::never : word->back;
}

bool is_hex(std::uint8_t c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// The bytes of a token piece. rand4 is a positive ASN.1 integer of exactly four bytes, so that an agent returns it unshortened.
Bytes token_bytes(Kind kind, const Token& token) {
  const auto& t = token.bytes;
  const auto cut = [&](std::ptrdiff_t from, std::ptrdiff_t n) { return Bytes(t.begin() + from, t.begin() + from + n); };
  switch (kind) {
    case Kind::txid1:
      return cut(44, 1);
    case Kind::txid2:
      return cut(0, 2);
    case Kind::rand2:  // never zero
      return {static_cast<std::uint8_t>(t[0] | 0x40), t[1]};
    case Kind::rand4:
      return {static_cast<std::uint8_t>((t[2] & 0x3f) | 0x40), t[3], t[4], t[5]};
    case Kind::rand8:
      return cut(6, 8);
    case Kind::text8: {
      Bytes out;
      for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::uint8_t>('a' + t[14 + static_cast<std::size_t>(i)] % 26));
      return out;
    }
    case Kind::hex8:
      return to_bytes(to_hex(cut(6, 8)));
    case Kind::uuid: {  // version 4, variant 1 (RFC 9562 section 5.4)
      auto b = cut(24, 16);
      b[6] = static_cast<std::uint8_t>((b[6] & 0x0f) | 0x40);
      b[8] = static_cast<std::uint8_t>((b[8] & 0x3f) | 0x80);
      auto hex = to_hex(b);
      for (std::size_t at : {8u, 13u, 18u, 23u}) hex.insert(at, "-");
      return to_bytes(hex);
    }
    case Kind::turn4:
      return cut(40, 4);
    case Kind::fill4:
      return cut(24, 4);
    case Kind::fill8:
      return cut(24, 8);
    case Kind::fill32:
      return cut(16, 32);
    default:
      return {};
  }
}

// As in a URI: an IPv6 address in brackets (RFC 3986 section 3.2.2).
Bytes host(Ip ip) { return to_bytes(ip.is_v4() ? ip.text() : "[" + ip.text() + "]"); }

// Could these bytes stand in the place of this token?
bool fits(Kind kind, ByteView b) {
  switch (kind) {
    case Kind::rand2:
      return b[0] & 0x40;
    case Kind::rand4:
      return (b[0] & 0xc0) == 0x40;
    case Kind::text8:
      return std::all_of(b.begin(), b.end(), [](std::uint8_t c) { return c >= 'a' && c <= 'z'; });
    case Kind::hex8:
      return std::all_of(b.begin(), b.end(), is_hex);
    case Kind::uuid:
      for (std::size_t i = 0; i < b.size(); ++i)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? b[i] != '-' : !is_hex(b[i])) return false;
      return b[14] == '4';
    default:
      return true;
  }
}

// "text" with \r \n \t \0 \" \\; `at` is behind the opening quote, and behind the closing one afterwards.
Result<Bytes> quoted(std::string_view text, std::size_t& at, const std::string& place) {
  Bytes out;
  for (; at < text.size(); ++at) {
    char c = text[at];
    if (c == '"') {
      ++at;
      return out;
    }
    if (c == '\\') {
      constexpr std::string_view names = "rnt0\"\\", values("\r\n\t\0\"\\", 6);
      auto known = ++at < text.size() ? names.find(text[at]) : std::string_view::npos;
      if (known == std::string_view::npos) return fail(Code::bad_input, place + ": after \\ in a text only r n t 0 \" and \\ are known");
      c = values[known];
    }
    out.push_back(static_cast<std::uint8_t>(c));
  }
  return fail(Code::bad_input, place + ": a text has no closing quote");
}

void add_literal(std::vector<Request::Piece>& out, const Bytes& bytes) {
  if (bytes.empty()) return;
  if (out.empty() || out.back().kind != Kind::literal) out.push_back({Kind::literal, {}, 0});
  out.back().literal.insert(out.back().literal.end(), bytes.begin(), bytes.end());
}

}  // namespace

Result<std::vector<Request::Piece>> read_template(std::string_view text, const std::string& place) {
  std::vector<Request::Piece> out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      NORA_TRY(auto bytes, quoted(text, ++at, place));
      add_literal(out, bytes);
      continue;
    }
    if (text[at] != '{') {
      auto end = std::min(text.find_first_of("{\"", at), text.size());
      auto literal = from_hex(text.substr(at, end - at));
      if (!literal) return fail(Code::bad_input, place + ": " + literal.error().what);
      add_literal(out, *literal);
      at = end;
      continue;
    }
    auto close = text.find('}', at);
    if (close == std::string_view::npos) return fail(Code::bad_input, place + ": \"{\" without \"}\"");
    auto word = text.substr(at + 1, close - at - 1);
    at = close + 1;
    if (word.starts_with("pad") && word.size() > 3 && word.size() <= 7) {
      Request::Piece pad{Kind::pad, {}, 0};
      for (char c : word.substr(3)) {
        if (c < '0' || c > '9') return fail(Code::bad_input, place + ": {pad} needs a length");
        pad.length = pad.length * 10 + static_cast<std::size_t>(c - '0');
      }
      out.push_back(pad);
      continue;
    }
    const auto* known = std::find_if(std::begin(words), std::end(words), [&](const Word& w) { return w.text == word; });
    if (known == std::end(words)) return fail(Code::bad_input, place + ": unknown placeholder {" + std::string(word.substr(0, 20)) + "}");
    out.push_back({known->kind, {}, 0});
  }
  return out;
}

Bytes Request::render(const Token& token, Ip target, Ip own) const {
  Bytes out;
  for (const auto& piece : pieces) {
    if (piece.kind == Kind::pad) {
      out.resize(std::max(out.size(), std::min(piece.length, max_request_bytes)), 0);
      continue;
    }
    Bytes bytes = piece.kind == Kind::literal ? piece.literal
                  : piece.kind == Kind::ip    ? host(target)
                  : piece.kind == Kind::own   ? host(own)
                                              : token_bytes(piece.kind, token);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

bool Request::has_token() const {
  return std::any_of(pieces.begin(), pieces.end(), [](const Piece& p) { return comes_back(p.kind) != Back::never; });
}

bool Request::echoes(ByteView answer, const Token& token) const {
  if (answer.size() < answer_begins.size() || !std::equal(answer_begins.begin(), answer_begins.end(), answer.begin())) return false;
  std::size_t offset = 0;
  bool fixed = true;  // the offset is known as long as no piece of variable length came before
  for (const auto& piece : pieces) {
    if (piece.kind == Kind::literal) {
      offset += piece.literal.size();
      continue;
    }
    if (piece.kind == Kind::ip || piece.kind == Kind::own || piece.kind == Kind::pad) {
      fixed = false;
      continue;
    }
    auto wanted = token_bytes(piece.kind, token);
    if (piece.kind == Kind::turn4) std::reverse(wanted.begin(), wanted.end());
    auto back = comes_back(piece.kind);
    if (back == Back::same_place && fixed) {
      if (answer.size() < offset + wanted.size() ||
          !std::equal(wanted.begin(), wanted.end(), answer.begin() + static_cast<std::ptrdiff_t>(offset)))
        return false;
    } else if (back != Back::never && std::search(answer.begin(), answer.end(), wanted.begin(), wanted.end()) == answer.end()) {
      return false;
    }
    offset += wanted.size();
  }
  return true;
}

bool Request::matches(ByteView payload, Ip target, Ip own) const {
  std::size_t at = 0;
  const auto holds = [&](const Bytes& wanted) {
    if (payload.size() - at < wanted.size() || !std::equal(wanted.begin(), wanted.end(), payload.begin() + static_cast<std::ptrdiff_t>(at)))
      return false;
    at += wanted.size();
    return true;
  };
  for (const auto& piece : pieces) {
    switch (piece.kind) {
      case Kind::literal:
        if (!holds(piece.literal)) return false;
        break;
      case Kind::ip:
        if (!holds(host(target))) return false;
        break;
      case Kind::own:
        if (!holds(host(own))) return false;
        break;
      case Kind::pad:
        if (at < piece.length && !holds(Bytes(piece.length - at, 0))) return false;
        break;
      default: {
        auto n = token_bytes(piece.kind, {}).size();
        if (payload.size() - at < n || !fits(piece.kind, payload.subspan(at, n))) return false;
        at += n;
      }
    }
  }
  return raw && at == payload.size();
}

}  // namespace nora::survey
