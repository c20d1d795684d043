#include "survey/catalogue.h"

#include <algorithm>

#include "base/text.h"
#include "survey/forbidden.h"

namespace nora::survey {
namespace {

constexpr std::size_t columns = 7;  // and one more where there are marks

Status read_marks(std::string_view text, Request& request, const std::string& place) {
  constexpr std::string_view answer = "answer=";
  for (auto mark : split(text, ' ')) {
    if (mark == "any-port") {
      request.any_port = true;
    } else if (mark == "credential") {
      request.credential = true;
    } else if (mark.starts_with(answer)) {
      auto begins = from_hex(mark.substr(answer.size()));
      if (!begins) return fail(Code::bad_input, place + ": " + begins.error().what);
      request.answer_begins = *begins;
    } else {
      return fail(Code::bad_input, place + ": unknown mark " + std::string(mark.substr(0, 20)));
    }
  }
  return {};
}

// What may never be sent, on two tokens: a word may stand partly in a literal and partly in a token.
Status judge(const Request& request, const std::string& place) {
  Token ones;
  ones.bytes.fill(0xff);
  for (const auto& token : {Token{}, ones}) {
    auto bytes = request.render(token, Ip::v4(0xffffffff), Ip::v4(0xffffffff));
    if (bytes.size() > max_request_bytes)
      return fail(Code::bad_input, place + ": the request is longer than " + std::to_string(max_request_bytes) + " bytes");
    if (auto why = forbidden(bytes, request.ports)) return fail(Code::bad_input, place + ": the request is " + std::string(*why) + ", which Nora never sends");
    if (holds_credential_word(bytes) && !request.credential)
      return fail(Code::bad_input, place + ": the request holds a word that works as a password; mark it \"credential\"");
  }
  return {};
}

}  // namespace

Result<Catalogue> Catalogue::parse(std::string_view tsv) {
  Catalogue out;
  std::size_t number = 0;
  for (auto line : split(tsv, '\n')) {
    ++number;
    if (line.empty() || line.front() == '#' || line.starts_with("id\t")) continue;
    auto place = "catalogue line " + std::to_string(number);
    auto cells = split(line, '\t');
    if (cells.size() != columns && cells.size() != columns + 1)
      return fail(Code::bad_input, place + ": 7 columns are needed, and marks where there are any; " + std::to_string(cells.size()) + " found");
    Request request;
    request.id = std::string(cells[0]);
    if (out.find(request.id)) return fail(Code::bad_input, place + ": id " + request.id + " stands twice");
    if (cells[5] != "-") {
      if (cells[1] != "udp") return fail(Code::bad_input, place + ": only a udp probe may have request bytes");
      request.raw = true;
      request.social = cells[4] == "1";
      for (auto text : split(cells[2], ',')) {
        auto port = parse_port(text);
        if (!port) return fail(Code::bad_input, place + ": " + port.error().what);
        request.ports.push_back(port->value);
      }
      NORA_TRY(request.pieces, read_template(cells[5], place));
      if (cells.size() > columns) NORA_CHECK(read_marks(cells[columns], request, place));
      NORA_CHECK(judge(request, place));
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
