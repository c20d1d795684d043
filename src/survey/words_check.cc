// Is a captured stream a walk over the words? (words.h). The places that only the conversation knew (token, path, what the device chose) are
// read out of the stream, checked for their form, and must then be the same wherever a word repeats them.
#include <algorithm>

#include "survey/words_parts.h"

namespace nora::survey {
namespace {

constexpr std::uint8_t iac = 255, dont = 254, wont = 252;

// How far a word goes in the stream.
struct Fit {
  enum class Kind { no, cut, whole } kind = Kind::no;  // cut: the stream ends inside the word, and all of it fits
  std::size_t size = 0;
};

bool is_hex(std::uint8_t c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool is_digit(std::uint8_t c) { return c >= '0' && c <= '9'; }

class Walker {
 public:
  Walker(std::string_view probe, const Overheard& where, ByteView said) : said_(said) {
    spec_.probe = probe;
    spec_.ip = where.ip;
    spec_.port = where.port;
    spec_.own = where.own;
    relay_base_ = where.relay_base;
  }

  bool walk(int state, std::size_t at) {
    if (at == said_.size()) return true;
    for (const auto& word : words()) {
      if (word.probe != spec_.probe || word.from != state) continue;
      const auto before = spec_;
      const auto fit = read(word, at);
      if (fit.kind == Fit::Kind::cut) return true;
      // A word that leads nowhere new is the telnet refusal: it takes all it can at once, so the walk ends.
      if (fit.kind == Fit::Kind::whole && fit.size > 0 && walk(word.to, at + fit.size)) return true;
      spec_ = before;
    }
    return false;
  }

 private:
  Fit read(const Word& word, std::size_t from) {
    auto at = from;
    std::optional<std::size_t> length;
    for (const auto& piece : pieces_of(word)) {
      const auto rest = said_.subspan(at);
      if (piece.kind == Piece::Kind::length) {
        std::size_t digits = 0, value = 0;
        while (digits < rest.size() && digits < 6 && is_digit(rest[digits])) value = value * 10 + (rest[digits++] - std::size_t{'0'});
        if (digits == 0 && !rest.empty()) return {};
        length = value;
        at += digits;
      } else {
        const auto size = fits(piece, rest);
        if (!size) return {};
        at += std::min(*size, rest.size());
        if (*size > rest.size()) return {Fit::Kind::cut, at - from};
      }
      if (at == said_.size() && &piece != &pieces_of(word).back()) return {Fit::Kind::cut, at - from};
    }
    if (length) {
      const auto text = as_text(said_.subspan(from, at - from));
      const auto head = text.find("\r\n\r\n");
      if (head == std::string_view::npos || text.size() - head - 4 != *length) return {};
    }
    return {Fit::Kind::whole, at - from};
  }

  // How many bytes of `rest` the piece takes (more than there are: the stream is cut off inside it); nothing: it does not fit.
  std::optional<std::size_t> fits(const Piece& piece, ByteView rest) {
    using enum Piece::Kind;
    switch (piece.kind) {
      case path:
        return fits_path(rest);
      case service:
        if (!spec_.service.empty()) return fixed(to_bytes(spec_.service), rest);
        for (auto name : wan_services)
          if (auto size = fixed(to_bytes(name), rest); size && *size <= rest.size()) {
            spec_.service = name;
            return size;
          } else if (size) {
            return size;
          }
        return std::nullopt;
      case token:
        return fits_token(spec_.token, rest);
      case url: {
        if (relay_base_.empty()) return std::nullopt;
        auto base = fixed(to_bytes(relay_base_ + "/nora-relay/"), rest);
        if (!base || *base > rest.size()) return base;
        std::string digits;
        auto more = fits_token(digits, rest.subspan(*base));
        if (!more) return std::nullopt;
        spec_.relay_url = relay_base_ + "/nora-relay/" + digits;
        return *base + *more;
      }
      case relay:
      case listener:
        if (relay_base_.empty()) return std::nullopt;
        if (spec_.relay_url.empty()) spec_.relay_url = relay_base_ + "/";
        return fixed(fixed_bytes(piece, spec_), rest);
      case rfb: {  // "RFB 003.008\n", whatever version the device named (RFC 6143 section 7.1.1)
        constexpr std::string_view form = "RFB 000.000\n";
        for (std::size_t i = 0; i < form.size() && i < rest.size(); ++i)
          if (form[i] == '0' ? !is_digit(rest[i]) : rest[i] != static_cast<std::uint8_t>(form[i])) return std::nullopt;
        return form.size();
      }
      case refusals: {
        std::size_t at = 0;
        for (; at < rest.size() && rest[at] == iac; at += 3)
          if (at + 1 < rest.size() && rest[at + 1] != wont && rest[at + 1] != dont) return std::nullopt;
        return at == 0 ? std::nullopt : std::optional(at);
      }
      default:
        return fixed(fixed_bytes(piece, spec_), rest);
    }
  }

  static std::optional<std::size_t> fixed(const Bytes& wanted, ByteView rest) {
    const auto n = std::min(wanted.size(), rest.size());
    if (!std::equal(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(n), rest.begin())) return std::nullopt;
    return wanted.size();
  }

  static std::optional<std::size_t> fits_token(std::string& known, ByteView rest) {
    if (!known.empty()) return fixed(to_bytes(known), rest);
    std::size_t n = 0;
    while (n < rest.size() && n < token_digits && is_hex(rest[n])) ++n;
    if (n < token_digits && n < rest.size()) return std::nullopt;
    if (n == token_digits) known = as_text(rest.first(n));
    return token_digits;
  }

  std::optional<std::size_t> fits_path(ByteView rest) {
    if (rest.empty() || rest[0] != '/') return std::nullopt;
    std::size_t n = 0;
    while (n < rest.size() && rest[n] > ' ' && rest[n] <= '~') ++n;
    const auto text = as_text(rest.first(n));
    if (n > max_path_bytes || (n > 1 && rest[1] == '/') || text.find('?') != std::string_view::npos) return std::nullopt;
    spec_.path = text;
    return n;
  }

  ByteView said_;
  ScriptSpec spec_;
  std::string relay_base_;
};

// A client's half of TLS as far as it is readable: whole records of the four types, first a ClientHello that names no server (RFC 8446
// sections 4.1.2, 5.1).
bool is_tls_of_ours(ByteView said) {
  if (said.size() > max_tls_said_bytes) return false;
  bool first = true;
  for (std::size_t at = 0; at < said.size(); first = false) {
    const auto rest = said.subspan(at);
    constexpr std::uint8_t change_cipher = 20, handshake = 22, application = 23;
    if (rest[0] < change_cipher || rest[0] > application || (first && rest[0] != handshake)) return false;
    if (rest.size() < 5) return true;
    if (rest[1] != 3) return false;
    const std::size_t length = get_u16be(&rest[3]);
    if (first) {
      if (rest.size() < 5 + length) return true;
      // handshake type and length, version, random, session id, cipher suites, compression, extensions
      const auto hello = rest.subspan(5, length);
      std::size_t p = 4 + 2 + 32;
      auto skip = [&](std::size_t width) {
        if (p + width > hello.size()) return false;
        p += width + (width == 1 ? hello[p] : get_u16be(&hello[p]));
        return p <= hello.size();
      };
      if (hello.empty() || hello[0] != 1 || !skip(1) || !skip(2) || !skip(1)) return false;
      for (p += 2; p + 4 <= hello.size(); p += 4 + std::size_t{get_u16be(&hello[p + 2])})
        if (get_u16be(&hello[p]) == 0) return false;  // server_name: we name none
    }
    at += 5 + length;
  }
  return true;
}

}  // namespace

bool conversation_allows(std::string_view probe, const Overheard& where, ByteView said) {
  if (speaks_tls(probe)) return is_tls_of_ours(said);
  return Walker(probe, where, said).walk(0, 0);
}

std::optional<std::string> conversation_of(const Overheard& where, ByteView said) {
  if (said.empty()) return "listen";
  if (said[0] == 22) return is_tls_of_ours(said) ? std::optional<std::string>("https") : std::nullopt;
  std::string_view last;
  for (const auto& word : words()) {
    if (word.probe == last || speaks_tls(word.probe)) continue;
    last = word.probe;
    if (conversation_allows(word.probe, where, said)) return std::string(word.probe);
  }
  return std::nullopt;
}

}  // namespace nora::survey
