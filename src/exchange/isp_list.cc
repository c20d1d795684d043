#include "exchange/isp_list.h"

#include <algorithm>
#include <set>

#include "base/escape.h"
#include "base/json.h"
#include "exchange/isp_list_text.h"

namespace nora::exchange {
namespace {

constexpr std::size_t max_file_bytes = 512u << 20;
constexpr std::size_t max_line_bytes = 64u << 10;
constexpr std::size_t max_text = 2048;        // one field
constexpr std::size_t max_detail = 80;
constexpr std::size_t max_handle = 128;
constexpr std::int64_t version = 1;

std::string clean(std::string_view raw) { return to_clean_utf8(raw.substr(0, max_text)); }

bool only(std::string_view text, std::string_view allowed) { return text.find_first_not_of(allowed) == std::string_view::npos; }
constexpr std::string_view word_letters = "abcdefghijklmnopqrstuvwxyz0123456789_";
constexpr std::string_view detail_letters = "abcdefghijklmnopqrstuvwxyz0123456789_:./ -";

// A return carries states, never a name: free text has no place in it.
Status check_return_row(const ReturnRow& r) {
  if (r.row_id.empty() || r.row_id.size() > max_handle) return fail(Code::bad_input, "a return row has no usable row_id");
  if (r.state.empty() || r.state.size() > 40 || !only(r.state, word_letters))
    return fail(Code::bad_input, "return row " + to_log(r.row_id) + " has a state that is no word", "States are lower-case words such as matched or notified");
  if (r.detail.size() > max_detail || !only(r.detail, detail_letters))
    return fail(Code::bad_input, "return row " + to_log(r.row_id) + " has free text as detail", "Only a channel or a scope such as \"mail\" or \"block-in:23\" may stand there");
  if (r.handle.size() > max_handle || !only(r.handle, "0123456789abcdef"))
    return fail(Code::bad_input, "return row " + to_log(r.row_id) + " has a handle that is not lower-case hex");
  return {};
}

Bytes close_up(const std::string& text, const SigningKey& signer, const PublicKey& receiver) {
  return seal_to(receiver, as_bytes(sign_note(text, signer)));
}

// Opens the box and checks the signature.
Result<std::string> open_up(ByteView sealed, const SigningKey& receiver, const PublicKey& sender) {
  if (sealed.size() > max_file_bytes) return fail(Code::bad_input, "the file is larger than 512 MiB");
  auto note = receiver.open_sealed(sealed);
  if (!note) return fail(Code::refused, "the file is not for this key, or it was altered", "Ask the sender for it again");
  auto opened = open_note(as_text(*note), {sender});
  if (!opened) return fail(Code::refused, "the signature does not fit: " + opened.error().what);
  if (opened->signers.empty()) return fail(Code::refused, "the file is not signed by " + sender.name, "Check whose key was configured");
  return std::move(opened->text);
}

Result<std::vector<std::string_view>> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return fail(Code::bad_input, "the last line is cut short");
    if (end > max_line_bytes) return fail(Code::bad_input, "a line is longer than 64 KiB");
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
    if (lines.size() > max_list_rows + 1) return fail(Code::bad_input, "the file has more than 1,000,000 rows");
  }
  if (lines.empty()) return fail(Code::bad_input, "the file is empty");
  return lines;
}

json::Object row_json(const ListRow& r) {
  json::Object o{{"row_id", clean(r.row_id)}, {"finding_class", clean(r.finding_class)}, {"pattern", std::string(1, r.pattern)},
                 {"severity", clean(r.severity)}, {"rsit", clean(r.rsit)}, {"ip", r.where.ip.text()}, {"proto", std::string(name(r.where.proto))},
                 {"at", r.where.at.text()}, {"at_error_us", r.at_error.us}, {"vendor", clean(r.vendor)}, {"product", clean(r.product)},
                 {"type", clean(r.type)}, {"confidence", r.confidence}, {"advice", clean(r.advice)}, {"evidence", clean(r.evidence)},
                 {"notice_code", clean(r.notice_code)}, {"word1", clean(r.word1)}, {"word2", clean(r.word2)}, {"attacked", r.attacked}};
  if (r.has_port) o["port"] = std::int64_t{r.where.port.value};
  return o;
}

Result<ListRow> row_of(const json::Object& o) {
  ListRow r;
  NORA_TRY(r.row_id, json::get_string(o, "row_id"));
  NORA_TRY(r.finding_class, json::get_string(o, "finding_class"));
  NORA_TRY(auto pattern, json::get_string(o, "pattern"));
  if (pattern.size() != 1 || pattern[0] < 'A' || pattern[0] > 'D') return fail(Code::bad_input, "field \"pattern\" is not A, B, C or D");
  r.pattern = pattern[0];
  NORA_TRY(r.severity, json::get_string(o, "severity"));
  NORA_TRY(r.rsit, json::get_string(o, "rsit"));
  NORA_TRY(r.where.ip, json::get_ip(o, "ip"));
  NORA_TRY(auto proto, json::get_string(o, "proto"));
  NORA_TRY(r.where.proto, parse_proto(proto));
  NORA_TRY(r.where.at, json::get_instant(o, "at"));
  NORA_TRY(r.at_error.us, json::get_int(o, "at_error_us"));
  if (r.at_error.us < 0) return fail(Code::bad_input, "field \"at_error_us\" is negative");
  r.has_port = o.contains("port");
  if (r.has_port) {
    NORA_TRY(auto port, json::get_int(o, "port"));
    if (port < 1 || port > 65535) return fail(Code::bad_input, "field \"port\" is no port");
    r.where.port.value = static_cast<std::uint16_t>(port);
  }
  r.vendor = json::string_or(o, "vendor");
  r.product = json::string_or(o, "product");
  r.type = json::string_or(o, "type");
  if (o.contains("confidence")) { NORA_TRY(r.confidence, json::get_double(o, "confidence")); }
  r.advice = json::string_or(o, "advice");
  r.evidence = json::string_or(o, "evidence");
  r.notice_code = json::string_or(o, "notice_code");
  r.word1 = json::string_or(o, "word1");
  r.word2 = json::string_or(o, "word2");
  r.attacked = json::bool_or(o, "attacked", false);
  if (r.row_id.empty() || r.row_id.size() > max_handle) return fail(Code::bad_input, "a row has no usable row_id");
  return r;
}

Result<ReturnRow> return_row_of(const json::Object& o) {
  ReturnRow r;
  NORA_TRY(r.row_id, json::get_string(o, "row_id"));
  NORA_TRY(r.state, json::get_string(o, "state"));
  NORA_TRY(r.at, json::get_instant(o, "at"));
  r.handle = json::string_or(o, "handle");
  r.detail = json::string_or(o, "detail");
  NORA_CHECK(check_return_row(r));
  return r;
}

Error at_line(std::size_t line, Error error) {
  error.what = "line " + std::to_string(line) + ": " + error.what;
  return error;
}

}  // namespace

Result<std::string> list_text(const List& list) {
  if (list.rows.size() > max_list_rows) return fail(Code::usage, "a list holds at most 1,000,000 rows");
  const auto& h = list.header;
  std::string text = json::text(json::Object{{"nora_list", version}, {"list_id", h.list_id}, {"isp", h.isp}, {"center", h.center}, {"sequence", h.sequence},
                                             {"created", h.created.text()}, {"not_after", h.not_after.text()},
                                             {"rows", static_cast<std::int64_t>(list.rows.size())}});
  text += '\n';
  for (const auto& row : list.rows) {
    text += json::text(row_json(row));
    text += '\n';
  }
  return text;
}

Result<List> parse_list_text(std::string_view text) {
  NORA_TRY(auto lines, lines_of(text));
  List list;
  auto& h = list.header;
  NORA_TRY(auto head, json::parse_object(lines[0]));
  NORA_TRY(auto v, json::get_int(head, "nora_list"));
  if (v != version) return fail(Code::bad_input, "the list has format version " + std::to_string(v) + ", this program reads version 1");
  NORA_TRY(h.list_id, json::get_string(head, "list_id"));
  NORA_TRY(h.isp, json::get_string(head, "isp"));
  NORA_TRY(h.center, json::get_string(head, "center"));
  NORA_TRY(h.sequence, json::get_int(head, "sequence"));
  NORA_TRY(h.created, json::get_instant(head, "created"));
  NORA_TRY(h.not_after, json::get_instant(head, "not_after"));
  NORA_TRY(auto rows, json::get_int(head, "rows"));
  if (rows != static_cast<std::int64_t>(lines.size()) - 1) return fail(Code::bad_input, "the list does not hold as many rows as its head says");
  std::set<std::string> ids;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    auto o = json::parse_object(lines[i]);
    if (!o) return pass(at_line(i + 1, o.error()));
    auto row = row_of(*o);
    if (!row) return pass(at_line(i + 1, row.error()));
    if (!ids.insert(row->row_id).second) return fail(Code::bad_input, "line " + std::to_string(i + 1) + ": row_id stands twice in the list");
    list.rows.push_back(std::move(*row));
  }
  return list;
}

Result<std::string> return_text(const Return& ret) {
  if (ret.rows.size() > max_list_rows) return fail(Code::usage, "a return holds at most 1,000,000 rows");
  std::string text = json::text(json::Object{{"nora_return", version}, {"list_id", ret.list_id}, {"isp", ret.isp}, {"sequence", ret.sequence},
                                             {"created", ret.created.text()}, {"rows", static_cast<std::int64_t>(ret.rows.size())}});
  text += '\n';
  for (const auto& r : ret.rows) {
    NORA_CHECK(check_return_row(r));
    text += json::text(json::Object{{"row_id", r.row_id}, {"state", r.state}, {"at", r.at.text()}, {"handle", r.handle}, {"detail", r.detail}});
    text += '\n';
  }
  return text;
}

Result<Return> parse_return_text(std::string_view text) {
  NORA_TRY(auto lines, lines_of(text));
  Return ret;
  NORA_TRY(auto head, json::parse_object(lines[0]));
  NORA_TRY(auto v, json::get_int(head, "nora_return"));
  if (v != version) return fail(Code::bad_input, "the return has format version " + std::to_string(v) + ", this program reads version 1");
  NORA_TRY(ret.list_id, json::get_string(head, "list_id"));
  NORA_TRY(ret.isp, json::get_string(head, "isp"));
  NORA_TRY(ret.sequence, json::get_int(head, "sequence"));
  NORA_TRY(ret.created, json::get_instant(head, "created"));
  NORA_TRY(auto rows, json::get_int(head, "rows"));
  if (rows != static_cast<std::int64_t>(lines.size()) - 1) return fail(Code::bad_input, "the return does not hold as many rows as its head says");
  for (std::size_t i = 1; i < lines.size(); ++i) {
    auto o = json::parse_object(lines[i]);
    if (!o) return pass(at_line(i + 1, o.error()));
    auto row = return_row_of(*o);
    if (!row) return pass(at_line(i + 1, row.error()));
    ret.rows.push_back(std::move(*row));
  }
  return ret;
}

Result<Bytes> write_list(const List& list, const SigningKey& center, const PublicKey& isp) {
  NORA_TRY(auto text, list_text(list));
  return close_up(text, center, isp);
}

Result<List> read_list(ByteView sealed, const SigningKey& isp, std::string_view isp_id, const PublicKey& center, std::int64_t last_sequence, Instant now) {
  NORA_TRY(auto text, open_up(sealed, isp, center));
  NORA_TRY(auto list, parse_list_text(text));
  const auto& h = list.header;
  if (h.isp != isp_id) return fail(Code::refused, "the list is for \"" + to_log(h.isp) + "\", not for \"" + std::string(isp_id) + "\"");
  if (h.sequence <= last_sequence)
    return fail(Code::refused, "list " + std::to_string(h.sequence) + " was read before (the last one is " + std::to_string(last_sequence) + ")");
  if (now >= h.not_after) return fail(Code::refused, "the list expired at " + h.not_after.text(), "Ask the center for a new one");
  return list;
}

Result<Bytes> write_return(const Return& ret, const SigningKey& isp, const PublicKey& center) {
  NORA_TRY(auto text, return_text(ret));
  return close_up(text, isp, center);
}

Result<Return> read_return(ByteView sealed, const SigningKey& center, const PublicKey& isp, std::string_view isp_id, std::int64_t last_sequence) {
  NORA_TRY(auto text, open_up(sealed, center, isp));
  NORA_TRY(auto ret, parse_return_text(text));
  if (ret.isp != isp_id) return fail(Code::refused, "the return is from \"" + to_log(ret.isp) + "\", not from \"" + std::string(isp_id) + "\"");
  if (ret.sequence <= last_sequence)
    return fail(Code::refused, "return " + std::to_string(ret.sequence) + " was read before (the last one is " + std::to_string(last_sequence) + ")");
  return ret;
}

}  // namespace nora::exchange
