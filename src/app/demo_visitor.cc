#include "app/demo_visitor.h"

#include <fmt/core.h>

#include "base/escape.h"

namespace nora::app {
namespace {

std::string attribute(std::string_view tag, std::string_view name) {
  auto from = tag.find(fmt::format(" {}=\"", name));
  if (from == tag.npos) return {};
  from += name.size() + 3;
  return std::string(tag.substr(from, tag.find('"', from) - from));
}

}  // namespace

Result<std::string> hidden_fields(std::string_view html, std::string_view action) {
  auto at = html.find(fmt::format("action=\"{}\"", action));
  if (at == html.npos) return fail(Code::failed, fmt::format("the page has no form for {}", action));
  auto form = html.substr(at, html.find("</form>", at) - at);
  std::string out;
  for (auto tag = form.find("<input"); tag != form.npos; tag = form.find("<input", tag + 1)) {
    auto text = form.substr(tag, form.find('>', tag) - tag);
    if (attribute(text, "type") == "hidden") out += fmt::format("{}{}={}", out.empty() ? "" : "&", to_url(attribute(text, "name")), to_url(attribute(text, "value")));
  }
  return out;
}

std::string_view status_line(std::string_view answer) { return answer.substr(0, answer.find('\r')); }

std::string header_value(std::string_view answer, std::string_view name) {
  auto head = answer.substr(0, answer.find("\r\n\r\n") + 2);
  for (std::size_t at = 0; at < head.size();) {
    auto end = head.find("\r\n", at);
    auto line = head.substr(at, end - at);
    if (line.size() > name.size() && line[name.size()] == ':') {
      bool same = true;
      for (std::size_t i = 0; i < name.size(); ++i) same = same && (line[i] | 0x20) == (name[i] | 0x20);
      if (same) {
        line.remove_prefix(name.size() + 1);
        while (line.starts_with(' ')) line.remove_prefix(1);
        return std::string(line);
      }
    }
    if (end == head.npos) break;
    at = end + 2;
  }
  return {};
}

std::vector<std::string> DemoVisitor::headers() const {
  if (cookie_.empty()) return {};
  return {"Cookie: " + cookie_};
}

Result<std::string> DemoVisitor::get(std::string_view path) { return s_.visit(netns_, "GET", address_, path, {}, 20, headers()); }

Result<std::string> DemoVisitor::submit_from(std::string_view html, std::string_view action, std::string_view fields) {
  NORA_TRY(auto body, hidden_fields(html, action));
  if (!fields.empty()) body += fmt::format("{}{}", body.empty() ? "" : "&", fields);
  return s_.visit(netns_, "POST", address_, action, body, 30, headers());
}

Result<std::string> DemoVisitor::submit(std::string_view page, std::string_view action, std::string_view fields) {
  NORA_TRY(auto html, get(page));
  return submit_from(html, action, fields);
}

Status DemoVisitor::log_in(std::string_view link) {
  auto path = link.find("/login/");
  if (path == link.npos) return fail(Code::failed, fmt::format("no login link: {}", link));
  NORA_TRY(auto answer, submit(link.substr(path), "/login"));
  auto cookie = header_value(answer, "Set-Cookie");
  if (cookie.empty()) return fail(Code::failed, fmt::format("login: {}", status_line(answer)));
  cookie_ = cookie.substr(0, cookie.find(';'));
  return {};
}

Result<DemoVisitor> demo_staff(DemoSession& s, const std::string& user, const std::string& role) {
  NORA_TRY(auto out, s.nora("center", {"user", "add", user, "--role", role, "--store", s.store(), "--json"}));
  NORA_TRY(auto made, json::parse_object(out));
  DemoVisitor visitor(s, "center", std::string(demo_desk_address));
  NORA_CHECK(visitor.log_in(json::string_or(made, "link")));
  return visitor;
}

void demo_staff_links(DemoSession& s) {
  const auto* door = s.door("desk");
  if (!door) return;
  auto url = door->url();
  url.pop_back();
  for (auto [user, role] : {std::pair{"analyst1", "analyst"}, {"analyst2", "analyst"}, {"ops1", "operator"}, {"ops2", "approver"}, {"auditor1", "auditor"}}) {
    auto out = s.nora("center", {"user", "add", user, "--role", role, "--store", s.store(), "--url", url, "--json"});
    auto made = out ? json::parse_object(*out) : pass(out.error());
    if (made) s.remember_link(fmt::format("{} ({} at the center)", json::string_or(*made, "link"), role));
  }
}

}  // namespace nora::app
