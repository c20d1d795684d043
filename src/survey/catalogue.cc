#include "survey/catalogue.h"

#include <algorithm>

namespace nora::survey {
namespace {

using Kind = Request::Piece::Kind;

struct Name {
  std::string_view text;
  Kind kind;
};
constexpr Name names[] = {{"txid2", Kind::txid2}, {"rand4", Kind::rand4}, {"rand8", Kind::rand8},
                          {"text8", Kind::text8}, {"ip", Kind::ip},       {"own", Kind::own}};

// The bytes of a token piece. rand4 is a positive ASN.1 integer of exactly four bytes, so that an agent returns it unshortened.
Bytes token_bytes(Kind kind, const Token& token) {
  const auto& t = token.bytes;
  switch (kind) {
    case Kind::txid2:
      return {t[0], t[1]};
    case Kind::rand4:
      return {static_cast<std::uint8_t>((t[2] & 0x3f) | 0x40), t[3], t[4], t[5]};
    case Kind::rand8:
      return {t.begin() + 6, t.begin() + 14};
    case Kind::text8: {
      Bytes out;
      for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::uint8_t>('a' + t[14 + static_cast<std::size_t>(i)] % 26));
      return out;
    }
    default:
      return {};
  }
}

Result<std::vector<Request::Piece>> pieces(std::string_view text, const std::string& place) {
  std::vector<Request::Piece> out;
  std::size_t at = 0;
  while (at < text.size()) {
    auto open = text.find('{', at);
    auto literal = from_hex(text.substr(at, open == std::string_view::npos ? std::string_view::npos : open - at));
    if (!literal) return fail(Code::bad_input, place + ": " + literal.error().what);
    if (!literal->empty()) out.push_back({Kind::literal, std::move(*literal)});
    if (open == std::string_view::npos) break;
    auto close = text.find('}', open);
    if (close == std::string_view::npos) return fail(Code::bad_input, place + ": \"{\" without \"}\"");
    auto word = text.substr(open + 1, close - open - 1);
    auto known = std::find_if(std::begin(names), std::end(names), [&](const Name& n) { return n.text == word; });
    if (known == std::end(names)) return fail(Code::bad_input, place + ": unknown placeholder {" + std::string(word.substr(0, 20)) + "}");
    out.push_back({known->kind, {}});
    at = close + 1;
  }
  return out;
}

}  // namespace

Bytes Request::render(const Token& token, Ip target, Ip own) const {
  Bytes out;
  for (const auto& piece : pieces) {
    Bytes bytes = piece.kind == Kind::literal ? piece.literal
                  : piece.kind == Kind::ip    ? to_bytes(target.text())
                  : piece.kind == Kind::own   ? to_bytes(own.text())
                                              : token_bytes(piece.kind, token);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

bool Request::has_token() const {
  return std::any_of(pieces.begin(), pieces.end(), [](const Piece& p) {
    return p.kind == Kind::txid2 || p.kind == Kind::rand4 || p.kind == Kind::rand8 || p.kind == Kind::text8;
  });
}

bool Request::echoes(ByteView answer, const Token& token) const {
  std::size_t offset = 0;
  bool fixed = true;  // the offset is known as long as no piece of variable length came before
  for (const auto& piece : pieces) {
    if (piece.kind == Kind::literal) {
      offset += piece.literal.size();
      continue;
    }
    if (piece.kind == Kind::ip || piece.kind == Kind::own) {
      fixed = false;
      continue;
    }
    auto wanted = token_bytes(piece.kind, token);
    if (piece.kind == Kind::txid2 && fixed) {
      if (answer.size() < offset + 2 || !std::equal(wanted.begin(), wanted.end(), answer.begin() + static_cast<std::ptrdiff_t>(offset)))
        return false;
    } else if (piece.kind == Kind::text8) {
      // A DNS server may return the name in another case (RFC 4343); the txid was checked, and an answer without question section has none.
    } else if (std::search(answer.begin(), answer.end(), wanted.begin(), wanted.end()) == answer.end()) {
      return false;
    }
    offset += wanted.size();
  }
  return true;
}

Result<Catalogue> Catalogue::parse(std::string_view tsv) {
  Catalogue out;
  std::size_t number = 0;
  for (std::size_t at = 0; at < tsv.size();) {
    auto end = tsv.find('\n', at);
    auto line = tsv.substr(at, end == std::string_view::npos ? std::string_view::npos : end - at);
    at = end == std::string_view::npos ? tsv.size() : end + 1;
    ++number;
    if (line.empty() || line.front() == '#' || line.starts_with("id\t")) continue;
    auto place = "catalogue line " + std::to_string(number);
    std::vector<std::string_view> cells;
    for (std::size_t from = 0;;) {
      auto tab = line.find('\t', from);
      cells.push_back(line.substr(from, tab == std::string_view::npos ? std::string_view::npos : tab - from));
      if (tab == std::string_view::npos) break;
      from = tab + 1;
    }
    if (cells.size() != 7) return fail(Code::bad_input, place + ": 7 columns are needed, " + std::to_string(cells.size()) + " found");
    Request request;
    request.id = std::string(cells[0]);
    if (out.find(request.id)) return fail(Code::bad_input, place + ": id " + request.id + " stands twice");
    if (cells[5] != "-") {
      if (cells[1] != "udp") return fail(Code::bad_input, place + ": only a udp probe may have request bytes");
      request.raw = true;
      NORA_TRY(request.pieces, pieces(cells[5], place));
      if (request.render({}, Ip::v4(0xffffffff), Ip::v4(0xffffffff)).size() > max_request_bytes)
        return fail(Code::bad_input, place + ": the request is longer than " + std::to_string(max_request_bytes) + " bytes");
    } else if (cells[1] == "udp") {
      return fail(Code::bad_input, place + ": a udp probe needs request bytes");
    }
    out.requests_.push_back(std::move(request));
  }
  return out;
}

const Request* Catalogue::find(std::string_view id) const {
  for (const auto& r : requests_)
    if (r.id == id) return &r;
  return nullptr;
}

}  // namespace nora::survey
