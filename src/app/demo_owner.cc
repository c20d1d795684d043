// Step 11, played: the owner of the camera reads the mail, opens the notice from the own line, checks (red), has the camera closed
// for real, checks again (green). Every request is HTTP over TCP from the home's own namespace.
#include <fmt/core.h>

#include <thread>

#include "app/demo.h"
#include "app/demo_mail.h"
#include "app/demo_visitor.h"
#include "neighbourhood/plan.h"
#include "store/db.h"

namespace nora::app {
namespace {

constexpr int selfcheck_deadline_s = 60;
constexpr std::string_view home = "hk-camera";

std::string portal_address() { return fmt::format("{}:80", neighbourhood::plan::portal_v4); }

struct Verdict {
  std::string word;  // red, green, …
  double seconds = 0;
  std::string page;
};

Result<Verdict> self_check(DemoSession& s, std::string_view lang, std::string_view code) {
  auto path = fmt::format("/{}/k/{}", lang, code);
  NORA_TRY(auto page, s.visit(std::string(home), "GET", portal_address(), path));
  if (!page.starts_with("HTTP/1.1 200")) return fail(Code::failed, fmt::format("{}: {}", path, page.substr(0, page.find('\r'))));
  NORA_TRY(auto fields, hidden_fields(page, fmt::format("/{}/check", lang)));
  auto begun = s.seconds();
  // A header that names another address must change nothing: the target is the TCP peer (trust.md T10).
  NORA_TRY(auto answer, s.visit(std::string(home), "POST", portal_address(), fmt::format("/{}/check", lang), fields + "&consent=yes", selfcheck_deadline_s,
                                {"X-Forwarded-For: 203.0.113.10", "Forwarded: for=203.0.113.10"}));
  Verdict v{"", s.seconds() - begun, answer};
  auto at = answer.find("data-verdict=\"");
  if (at != std::string::npos) v.word = answer.substr(at + 14, answer.find('"', at + 14) - at - 14);
  return v;
}

std::string words_of_code(std::string_view code) {
  return code.size() == 12 ? fmt::format("{}-{}-{}", code.substr(0, 4), code.substr(4, 4), code.substr(8, 4)) : std::string(code);
}

}  // namespace

void demo_owner(DemoSession& s) {
  std::string code;
  s.step(11, "Notice", [&]() -> Result<std::string> {
    NORA_TRY(auto mails, read_spool(s.world().isp().mail("hikari")));
    std::string address;
    for (const auto& l : neighbourhood::lines_of("hikari"))
      if (l.key == "hk1077@hikari.example") address = l.mail;
    for (const auto& m : mails)
      if (m.to == address && !m.codes.empty()) code = words_of_code(m.codes.front());
    if (code.empty()) return fail(Code::failed, fmt::format("no mail with a notice code to {}", address));
    for (auto lang : {"ja", "easy", "en"}) {
      NORA_TRY(auto page, s.visit(std::string(home), "GET", portal_address(), fmt::format("/{}/k/{}", lang, code)));
      if (!page.starts_with("HTTP/1.1 200") || page.find("BB-HCM715") == std::string::npos)
        return fail(Code::failed, fmt::format("the notice page in {} does not name the camera: {}", lang, page.substr(0, page.find('\r'))));
      if (page.find("et-cookie:") != std::string::npos || page.find("et-Cookie:") != std::string::npos) return fail(Code::failed, "the portal set a cookie");
    }
    NORA_TRY(auto wrong, s.visit(std::string(home), "GET", portal_address(), "/en/k/0000-0000-0000"));
    if (wrong.starts_with("HTTP/1.1 200")) return fail(Code::failed, "a made-up code opened a notice");
    return fmt::format("code {} from the mail opens the notice on its own line, in three languages; a made-up code does not", code);
  });
  if (code.empty()) return;

  s.step(11, "Self-check", [&]() -> Result<std::string> {
    NORA_TRY(auto red, self_check(s, "ja", code));
    if (red.word != "red") return fail(Code::failed, fmt::format("the first check says \"{}\"", red.word));
    if (red.page.find("203.0.113.77") == std::string::npos || red.page.find("203.0.113.10<") != std::string::npos)
      return fail(Code::failed, "the check was not of the visitor's own address");
    NORA_CHECK(s.world().close(std::string(home)));
    NORA_TRY(auto green, self_check(s, "en", code));
    s.measured["selfcheck_seconds"] = std::max(red.seconds, green.seconds);
    if (green.word != "green") return fail(Code::failed, fmt::format("after the camera was closed the check says \"{}\"", green.word));
    return fmt::format("red in {:.1f} s; camera closed for real; green in {:.1f} s; a forged header changed nothing", red.seconds, green.seconds);
  });

  s.step(11, "Fixed", [&]() -> Result<std::string> {
    NORA_TRY(auto db, store::Db::open(s.store()));
    auto camera = *Ip::parse("203.0.113.77");
    for (int tries = 0; tries < 50; ++tries) {
      NORA_TRY(auto rows, db->query("SELECT c.state, c.fixed_at FROM cases c JOIN finding f ON f.case_id = c.id WHERE f.ip = ? ORDER BY c.id DESC LIMIT 1", {camera}));
      if (!rows.empty() && !rows[0][1].is_null()) return fmt::format("the case is {} with positive evidence from a second look", rows[0][0].str());
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return fail(Code::failed, "the case of the camera was not closed as fixed");
  });
}

}  // namespace nora::app
