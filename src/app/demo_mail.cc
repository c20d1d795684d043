#include "app/demo_mail.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/files.h"
#include "exchange/notice_code.h"

namespace nora::app {
namespace {

constexpr int max_depth = 4;

std::string lower(std::string_view s) {
  std::string out(s);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return out;
}

// The value of a header field, folded lines joined.
std::string field(std::string_view head, std::string_view name) {
  std::string wanted = lower(name) + ":";
  std::size_t at = 0;
  while (at < head.size()) {
    auto end = head.find('\n', at);
    while (end != head.npos && end + 1 < head.size() && (head[end + 1] == ' ' || head[end + 1] == '\t')) end = head.find('\n', end + 1);
    auto line = head.substr(at, end == head.npos ? head.npos : end - at);
    if (lower(line.substr(0, wanted.size())) == wanted) {
      std::string value(line.substr(wanted.size()));
      std::erase_if(value, [](char c) { return c == '\r' || c == '\n'; });
      value.erase(0, value.find_first_not_of(" \t"));
      return value;
    }
    if (end == head.npos) break;
    at = end + 1;
  }
  return {};
}

std::string quoted_printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') { out += text[i]; continue; }
    if (i + 1 < text.size() && text[i + 1] == '\n') { i += 1; continue; }
    if (i + 2 < text.size() && text[i + 1] == '\r') { i += 2; continue; }
    if (i + 2 < text.size())
      if (auto byte = from_hex(text.substr(i + 1, 2))) { out += static_cast<char>((*byte)[0]); i += 2; continue; }
    out += '=';
  }
  return out;
}

std::string text_of(std::string_view entity, int depth) {
  auto cut = entity.find("\n\n");
  std::size_t skip = 2;
  if (auto crlf = entity.find("\r\n\r\n"); crlf < cut) { cut = crlf; skip = 4; }
  if (cut == entity.npos || depth > max_depth) return {};
  auto head = entity.substr(0, cut + 1), body = entity.substr(cut + skip);
  auto type = field(head, "Content-Type");
  if (lower(type).starts_with("multipart/")) {
    auto at = lower(type).find("boundary=");
    if (at == std::string::npos) return {};
    std::string boundary = type.substr(at + 9);
    if (boundary.starts_with('"')) boundary = boundary.substr(1, boundary.find('"', 1) - 1);
    else boundary = boundary.substr(0, boundary.find(';'));
    std::string out;
    for (auto part = body.find("--" + boundary); part != body.npos;) {
      auto next = body.find("--" + boundary, part + 2);
      auto line = body.find('\n', part);
      if (line != body.npos && line < next) out += text_of(body.substr(line + 1, next == body.npos ? body.npos : next - line - 1), depth + 1) + "\n";
      part = next;
    }
    return out;
  }
  auto encoding = lower(field(head, "Content-Transfer-Encoding"));
  if (encoding == "base64") {
    // The sink ends a message with an empty line or a dot of its own: only the alphabet counts.
    std::string clean;
    for (char c : body)
      if (std::isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '/' || c == '=') clean += c;
    auto bytes = from_base64(clean);
    return bytes ? to_string(*bytes) : std::string();
  }
  return encoding == "quoted-printable" ? quoted_printable(body) : std::string(body);
}

std::vector<std::string> codes_in(std::string_view text) {
  std::vector<std::string> out;
  auto letter = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) || (c >= 'A' && c <= 'Z'); };
  for (std::size_t i = 0; i + 14 <= text.size(); ++i) {
    auto word = text.substr(i, 14);  // XXXX-XXXX-XXXX
    bool shape = word[4] == '-' && word[9] == '-' && (i == 0 || !letter(text[i - 1])) && (i + 14 == text.size() || !letter(text[i + 14]));
    for (std::size_t k = 0; shape && k < 14; ++k) shape = k == 4 || k == 9 || letter(word[k]);
    if (!shape) continue;
    if (auto code = exchange::parse_notice_code(word); code && std::ranges::find(out, *code) == out.end()) out.push_back(*code);
  }
  return out;
}

}  // namespace

SpooledMail read_mail(std::string_view raw) {
  SpooledMail m;
  m.raw = raw;
  // smtp-sink puts X-Client-…, X-Mail-Args, X-Rcpt-Args lines of its own before the message.
  auto head = raw.substr(0, std::min(raw.find("\n\n"), raw.find("\r\n\r\n")));
  m.to = field(head, "X-Rcpt-Args");
  if (m.to.empty()) m.to = field(head, "To");
  if (auto open = m.to.find('<'); open != std::string::npos) m.to = m.to.substr(open + 1, m.to.find('>') - open - 1);
  m.subject = field(head, "Subject");
  m.body = text_of(raw, 0);
  m.codes = codes_in(m.body);
  return m;
}

Result<std::vector<SpooledMail>> read_spool(const std::filesystem::path& directory) {
  std::vector<SpooledMail> out;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ec)) {
    if (!entry.is_regular_file(ec)) continue;
    NORA_TRY(auto raw, read_file(entry.path(), 1u << 20));
    if (raw.find("Subject:") != std::string::npos) out.push_back(read_mail(raw));
  }
  if (ec) return fail(Code::failed, "mail spool: " + ec.message());
  return out;
}

}  // namespace nora::app
