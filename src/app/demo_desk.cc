// Steps 12, 14 and 15 at the center: the on-site case, the overview, and the audit logs of every party.
#include <fmt/core.h>

#include "app/demo.h"
#include "app/demo_visitor.h"
#include "base/escape.h"
#include "base/files.h"
#include "store/db.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;

struct PartyLog {
  std::string netns;
  fs::path log, key;
};

std::vector<PartyLog> logs_of(const DemoSession& s) {
  return {{"center", s.dir("center") / "audit", s.dir("center") / "center.key.pub"},
          {"portal", s.dir("portal") / "audit", s.dir("portal") / "portal.key"},
          {"hikari", s.dir("hikari") / "audit", s.dir("hikari") / "key"},
          {"sakura", s.dir("sakura") / "audit", s.dir("sakura") / "key"}};
}

// A copy of the log with one byte of one file changed must not verify.
Status must_notice_change(DemoSession& s, const PartyLog& log) {
  std::error_code ec;
  auto copy = s.state() / "tampered";
  for (const auto& entry : fs::directory_iterator(log.log, ec)) {
    if (!entry.is_regular_file() || entry.file_size() == 0) continue;
    auto name = entry.path().filename();
    fs::remove_all(copy, ec);
    fs::copy(log.log, copy, fs::copy_options::recursive, ec);
    NORA_TRY(auto bytes, read_file(copy / name));
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    NORA_CHECK(replace_file(copy / name, bytes));
    NORA_TRY(auto done, s.nora_any(log.netns, {"audit", "verify", copy.string(), "--key", log.key.string()}));
    if (done.code == 0) return fail(Code::failed, fmt::format("a changed byte in {} of {} was not noticed", name.string(), log.netns));
  }
  fs::remove_all(copy, ec);
  return {};
}

}  // namespace

// Step 4's second half: two analysts name the cluster of unknown devices; all of its members are identified again at once.
void demo_naming(DemoSession& s) {
  s.step(4, "Naming", [&]() -> Result<std::string> {
    NORA_TRY(auto one, demo_staff(s, "analyst1", "analyst"));
    NORA_TRY(auto two, demo_staff(s, "analyst2", "analyst"));
    NORA_TRY(auto db, store::Db::open(s.store()));
    NORA_TRY(auto key, db->one("SELECT cluster FROM device WHERE merged_into = 0 AND cluster <> '' AND product = '' GROUP BY cluster ORDER BY COUNT(*) DESC LIMIT 1"));
    if (key.is_null()) return fail(Code::failed, "no cluster");
    auto page = fmt::format("/en/cluster/{}", key.str()), propose = page + "/propose", accept = page + "/accept";
    NORA_TRY(auto preview, one.submit(page, propose, "vendor=Kinmirai%20Denki&product=CTL-7&type=controller"));
    NORA_TRY(auto proposed, one.submit_from(preview, propose));
    if (!status_line(proposed).starts_with("HTTP/1.1 303")) return fail(Code::failed, fmt::format("proposal: {}", status_line(proposed)));
    // The proposer is offered no button to accept.
    NORA_TRY(auto own, one.get(page));
    if (own.find(fmt::format("action=\"{}\"", accept)) != std::string::npos) return fail(Code::failed, "the proposer may accept");
    auto begun = s.seconds();
    NORA_TRY(auto accepted, two.submit(page, accept));
    if (!status_line(accepted).starts_with("HTTP/1.1 303")) return fail(Code::failed, fmt::format("acceptance: {}", status_line(accepted)));
    NORA_TRY(auto named, db->one("SELECT COUNT(*) FROM device WHERE merged_into = 0 AND product = 'CTL-7'"));
    if (named.integer() != 4) return fail(Code::failed, fmt::format("{} devices carry the new name", named.integer()));
    return fmt::format("proposed by one, accepted by another; all {} members carry the name after {:.1f} s", named.integer(), s.seconds() - begun);
  });
}

void demo_onsite(DemoSession& s) {
  s.step(12, "On site", [&]() -> Result<std::string> {
    NORA_TRY(auto db, store::Db::open(s.store()));
    NORA_TRY(auto rows, db->query("SELECT id FROM cases WHERE track = 'on-site' AND merged_into = 0"));
    if (rows.size() != 1) return fail(Code::failed, fmt::format("{} on-site cases", rows.size()));
    auto id = rows[0][0].integer();
    NORA_TRY(auto listed, db->one("SELECT COUNT(*) FROM list_row WHERE case_id = ?", {id}));
    if (listed.integer() != 0) return fail(Code::failed, "the controller stands in a list to an ISP");
    NORA_TRY(auto one, demo_staff(s, "ops1", "operator"));
    NORA_TRY(auto two, demo_staff(s, "ops2", "operator"));
    auto page = fmt::format("/en/onsite/{}", id);
    NORA_TRY(auto first, one.get(page));
    for (auto clue : {"ac-ctl.kinmirai.example", "kanri@kinmirai.example", "hoshu@yamada-hoshu.example"})
      if (first.find(clue) == std::string::npos) return fail(Code::failed, fmt::format("the page of the case does not show the clue {}", clue));
    struct Party { std::string_view role, name, contact; };
    for (const auto& p : {Party{"site", "Kinmirai Building 3F", ""}, Party{"operator", "Kinmirai Building Management", "kanri@kinmirai.example"},
                          Party{"maintainer", "Yamada Maintenance", "hoshu@yamada-hoshu.example"}}) {
      NORA_TRY(auto answer, one.submit(page, page + "/party", fmt::format("role={}&name={}&contact={}", p.role, to_url(p.name), to_url(p.contact))));
      if (!status_line(answer).starts_with("HTTP/1.1 303")) return fail(Code::failed, fmt::format("party: {}", status_line(answer)));
    }
    NORA_TRY(auto own, one.get(page));
    if (own.find(fmt::format("action=\"{}/confirm\"", page)) != std::string::npos) return fail(Code::failed, "the one who proposed a party may confirm it");
    for (int i = 0; i < 3; ++i) {
      NORA_TRY(auto answer, two.submit(page, page + "/confirm"));
      if (!status_line(answer).starts_with("HTTP/1.1 303")) return fail(Code::failed, fmt::format("confirmation: {}", status_line(answer)));
    }
    NORA_TRY(auto visit, one.submit(page, page + "/visit", "planned_for=2026-12-01&visitor=ops1&action=close%20port%20502&exposure_confirmed=1&free_of_charge_told=1&notes=met%20the%20operator"));
    if (!status_line(visit).starts_with("HTTP/1.1 303")) return fail(Code::failed, fmt::format("visit: {}", status_line(visit)));
    NORA_TRY(auto form, one.get(page + "/form"));
    if (form.find("Yamada Maintenance") == std::string::npos) return fail(Code::failed, "the printable form lacks the maintainer");
    return std::string("the controller has a case on site and no mail; clues from reverse name and page; three parties, confirmed by a second person; a form to print");
  });
}

void demo_overview(DemoSession& s) {
  s.step(14, "Overview", [&]() -> Result<std::string> {
    DemoVisitor anybody(s, "center", std::string(demo_desk_address));
    NORA_TRY(auto page, anybody.get("/en/"));
    if (!status_line(page).starts_with("HTTP/1.1 200")) return fail(Code::failed, fmt::format("overview: {}", status_line(page)));
    NORA_TRY(auto answer, anybody.get("/api/overview"));
    auto body = answer.substr(std::min(answer.find("\r\n\r\n"), answer.size() - 4) + 4);
    while (body.ends_with('\n')) body.pop_back();
    NORA_TRY(auto o, json::parse_object(body.substr(0, body.find('\n'))));
    if (o.empty()) return fail(Code::failed, "the overview has no JSON");
    return fmt::format("public overview in HTML and JSON ({} fields), each number with its rows behind it", o.size());
  });

  s.step(15, "Audit", [&]() -> Result<std::string> {
    std::string told;
    for (const auto& log : logs_of(s)) {
      NORA_TRY(auto out, s.nora(log.netns, {"audit", "verify", log.log.string(), "--key", log.key.string(), "--json"}));
      NORA_TRY(auto o, json::parse_object(out));
      auto size = json::int_or(o, "size", 0);
      if (!json::bool_or(o, "ok", false) || size == 0) return fail(Code::failed, fmt::format("the log of {}: {}", log.netns, out));
      NORA_CHECK(must_notice_change(s, log));
      told += fmt::format("{}{} {}", told.empty() ? "" : ", ", log.netns, size);
    }
    s.measured["audit_ok"] = true;
    return fmt::format("leaves: {}; a changed byte in any file is noticed", told);
  });
}

}  // namespace nora::app
