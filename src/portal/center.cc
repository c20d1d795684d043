#include "portal/center.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>

#include "base/files.h"

namespace nora::portal {
namespace {

using Clock = std::chrono::steady_clock;

Error away(std::string why) { return {Code::failed, "the survey center does not answer: " + std::move(why), "Is `nora serve` running?"}; }

// One connection: a request line out, answer lines in, each with an absolute end.
class Line {
 public:
  static Result<Line> open(const std::filesystem::path& path, const json::Object& request) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto text = path.string();
    if (text.size() >= sizeof address.sun_path) return pass(away("the socket's path is too long"));
    text.copy(address.sun_path, text.size());
    Line line(Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    if (!line.fd_) return pass(away(errno_text(errno)));
    if (::connect(line.fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return pass(away(errno_text(errno)));
    auto bytes = json::text(request) + "\n";
    if (bytes.size() > exchange::max_line_bytes) return fail(Code::bad_input, "the question is too long");
    if (auto sent = write_all(line.fd_.get(), as_bytes(bytes)); !sent) return pass(away(sent.error().what));
    return line;
  }

  Result<json::Object> next(Clock::time_point end) {
    for (;;) {
      if (const auto newline = buffer_.find('\n'); newline != std::string::npos) {
        auto text = buffer_.substr(0, newline);
        buffer_.erase(0, newline + 1);
        return open_answer(text);
      }
      if (buffer_.size() > exchange::max_line_bytes) return pass(away("an answer is too long"));
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
      pollfd p{fd_.get(), POLLIN, 0};
      if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) == 0) return pass(away("it is silent"));
      char bytes[8192];
      const auto n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return pass(away("it hung up"));
      buffer_.append(bytes, static_cast<std::size_t>(n));
    }
  }

 private:
  explicit Line(Fd fd) : fd_(std::move(fd)) {}

  static Result<json::Object> open_answer(const std::string& text) {
    auto object = json::parse_object(text);
    if (!object) return pass(away("its answer is not JSON"));
    if (!object->contains("error")) return std::move(*object);
    const auto error = json::get_object(*object, "error");
    const auto code = error ? json::string_or(*error, "code") : "";
    const auto what = error ? json::string_or(*error, "what") : "";
    if (code == "not_found") return fail(Code::not_found, what);
    if (code == "refused") return fail(Code::refused, what);
    return pass(away(what));
  }

  Fd fd_;
  std::string buffer_;
};

Clock::time_point in(Span span) { return Clock::now() + std::chrono::microseconds(span.us); }

}  // namespace

Result<exchange::NoticeView> SocketCenter::notice(std::string_view code) {
  NORA_TRY(auto line, Line::open(socket_, {{"op", "notice"}, {"code", std::string(code)}}));
  NORA_TRY(const auto answer, line.next(in(answer_timeout)));
  auto view = exchange::notice_view(answer);
  if (!view) return pass(away(view.error().what));
  return view;
}

Status SocketCenter::tell(std::string_view code, std::string_view what) {
  NORA_TRY(auto line, Line::open(socket_, {{"op", "tell"}, {"code", std::string(code)}, {"what", std::string(what)}}));
  NORA_TRY(const auto answer, line.next(in(answer_timeout)));
  if (!json::bool_or(answer, "ok", false)) return pass(away("it did not say ok"));
  return {};
}

Status SocketCenter::check(Ip own_address, std::string_view code, const Consent& consent, const std::function<bool(const exchange::CheckLine&)>& on_line) {
  json::Object request{{"op", "check"},
                       {"ip", own_address.text()},
                       {"consent", {{"at", consent.at.text()}, {"responsible", true}, {"text", consent.text}}}};
  if (!code.empty()) request["code"] = std::string(code);
  NORA_TRY(auto line, Line::open(socket_, request));
  const auto end = in(check_timeout);
  for (std::size_t i = 0; i < check_lines_max; ++i) {
    NORA_TRY(const auto answer, line.next(std::min(end, in(line_timeout))));
    const auto view = exchange::check_line(answer);
    if (!view) return pass(away(view.error().what));
    if (!on_line(*view) || view->done) return {};
  }
  return pass(away("the check has no end"));
}

}  // namespace nora::portal
