#include "exchange/portal_wire.h"

#include "base/escape.h"

namespace nora::exchange {
namespace {

constexpr std::size_t max_findings = 64;
constexpr std::size_t max_field_bytes = 512;

std::string clean(std::string_view raw) { return to_clean_utf8(raw.substr(0, max_field_bytes)); }

Result<char> pattern_of(const json::Object& o) {
  NORA_TRY(auto text, json::get_string(o, "pattern"));
  if (text.size() != 1 || text[0] < 'A' || text[0] > 'D') return fail(Code::bad_input, "field \"pattern\" is not A, B, C or D");
  return text[0];
}

Result<int> port_of(const json::Object& o) {
  const auto port = json::int_or(o, "port", 0);
  if (port < 0 || port > 65535) return fail(Code::bad_input, "field \"port\" is no port");
  return static_cast<int>(port);
}

json::Array views_json(const std::vector<FindingView>& views) {
  json::Array out;
  for (const auto& v : views) {
    if (out.size() == max_findings) break;
    out.push_back(to_json(v));
  }
  return out;
}

Result<std::vector<FindingView>> views_of(const json::Object& o) {
  std::vector<FindingView> out;
  if (!o.contains("findings")) return out;
  NORA_TRY(auto array, json::get_array(o, "findings"));
  if (array.size() > max_findings) return fail(Code::bad_input, "field \"findings\" holds more than 64 findings");
  for (const auto& v : array) {
    const auto* object = v.if_object();
    if (!object) return fail(Code::bad_input, "field \"findings\" holds something that is no finding");
    NORA_TRY(auto view, finding_view(*object));
    out.push_back(std::move(view));
  }
  return out;
}

}  // namespace

json::Object to_json(const FindingView& v) {
  json::Object o{{"rule", clean(v.rule)}, {"pattern", std::string(1, v.pattern)}, {"severity", clean(v.severity)}, {"vendor", clean(v.vendor)},
          {"product", clean(v.product)}, {"type", clean(v.type)}, {"confidence", v.confidence}, {"port", v.port}, {"proto", clean(v.proto)},
          {"seen", v.seen.text()}, {"state", clean(v.state)}, {"advice", clean(v.advice)}};
  if (!v.flaw.empty()) {
    json::Array ids;
    for (const auto& id : v.flaw_ids) if (ids.size() < max_flaw_ids) ids.emplace_back(clean(id));
    o["flaw"] = clean(v.flaw);
    o["flaw_ids"] = std::move(ids);
  }
  if (v.support_ended) {
    o["support_ended"] = true;
    o["support_end"] = clean(v.support_end);
  }
  return o;
}

Result<FindingView> finding_view(const json::Object& o) {
  FindingView v;
  NORA_TRY(v.rule, json::get_string(o, "rule"));
  NORA_TRY(v.pattern, pattern_of(o));
  v.severity = json::string_or(o, "severity");
  v.vendor = json::string_or(o, "vendor");
  v.product = json::string_or(o, "product");
  v.type = json::string_or(o, "type");
  if (o.contains("confidence")) { NORA_TRY(v.confidence, json::get_double(o, "confidence")); }
  NORA_TRY(v.port, port_of(o));
  v.proto = json::string_or(o, "proto");
  NORA_TRY(v.seen, json::get_instant(o, "seen"));
  v.state = json::string_or(o, "state");
  v.advice = json::string_or(o, "advice");
  v.flaw = json::string_or(o, "flaw");
  if (!v.flaw.empty() && v.flaw != "by_version" && v.flaw != "version_unknown" && v.flaw != "possible") return fail(Code::bad_input, "field \"flaw\" is no word of it");
  if (o.contains("flaw_ids")) {
    NORA_TRY(auto ids, json::get_array(o, "flaw_ids"));
    if (ids.size() > max_flaw_ids) return fail(Code::bad_input, "field \"flaw_ids\" holds more than 5 ids");
    for (const auto& id : ids) {
      if (!id.is_string()) return fail(Code::bad_input, "field \"flaw_ids\" holds something that is no text");
      v.flaw_ids.emplace_back(id.as_string());
    }
  }
  v.support_ended = json::bool_or(o, "support_ended", false);
  v.support_end = json::string_or(o, "support_end");
  return v;
}

json::Object to_json(const NoticeView& v) {
  return {{"case_state", clean(v.case_state)}, {"isp_name", clean(v.isp_name)}, {"word1", clean(v.word1)}, {"word2", clean(v.word2)},
          {"noticed", v.noticed.text()}, {"findings", views_json(v.findings)}, {"sighting", v.sighting}};
}

Result<NoticeView> notice_view(const json::Object& o) {
  NoticeView v;
  NORA_TRY(v.case_state, json::get_string(o, "case_state"));
  v.isp_name = json::string_or(o, "isp_name");
  v.word1 = json::string_or(o, "word1");
  v.word2 = json::string_or(o, "word2");
  NORA_TRY(v.noticed, json::get_instant(o, "noticed"));
  NORA_TRY(v.findings, views_of(o));
  v.sighting = json::bool_or(o, "sighting", false);
  return v;
}

json::Object to_json(const CheckLine& v) {
  json::Object o{{"step", clean(v.step)}, {"what", clean(v.what)}, {"port", v.port}, {"proto", clean(v.proto)}, {"result", clean(v.result)},
                 {"done", v.done}};
  if (!v.verdict.empty()) o["verdict"] = clean(v.verdict);
  if (!v.findings.empty()) o["findings"] = views_json(v.findings);
  return o;
}

Result<CheckLine> check_line(const json::Object& o) {
  CheckLine v;
  NORA_TRY(v.step, json::get_string(o, "step"));
  v.what = json::string_or(o, "what");
  NORA_TRY(v.port, port_of(o));
  v.proto = json::string_or(o, "proto");
  v.result = json::string_or(o, "result");
  v.verdict = json::string_or(o, "verdict");
  NORA_TRY(v.findings, views_of(o));
  v.done = json::bool_or(o, "done", false);
  return v;
}

}  // namespace nora::exchange
