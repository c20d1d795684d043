// Somebody with a browser inside the demo: follows forms as a page offers them, keeps a session cookie after a one-time link.
// Used by the steps that play the owner and the center's staff. Single-threaded; talks HTTP over TCP from a namespace.
#pragma once

#include <string>
#include <string_view>

#include "app/demo.h"

namespace nora::app {

// name=value of the hidden fields of the form with this action, ready to be sent. Errors: failed, when the page has no such form.
Result<std::string> hidden_fields(std::string_view html, std::string_view action);
// "HTTP/1.1 200 OK" of an answer, and the value of a header field ("" when absent).
std::string_view status_line(std::string_view answer);
std::string header_value(std::string_view answer, std::string_view name);

class DemoVisitor {
 public:
  DemoVisitor(DemoSession& session, std::string netns, std::string address) : s_(session), netns_(std::move(netns)), address_(std::move(address)) {}
  Status log_in(std::string_view link);  // http://…/login/TOKEN
  Result<std::string> get(std::string_view path);
  // Fetches `page`, takes the hidden fields of its form for `action`, adds `fields` (already encoded), and posts. Returns the answer.
  Result<std::string> submit(std::string_view page, std::string_view action, std::string_view fields = {});
  // The same from a page that is already here.
  Result<std::string> submit_from(std::string_view html, std::string_view action, std::string_view fields = {});

 private:
  std::vector<std::string> headers() const;
  DemoSession& s_;
  std::string netns_, address_, cookie_;
};

// A member of the center's staff, logged in at the desk of this demo.
Result<DemoVisitor> demo_staff(DemoSession& s, const std::string& user, const std::string& role);
inline constexpr std::string_view demo_desk_address = "127.0.0.1:8600";

}  // namespace nora::app
