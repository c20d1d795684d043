// nora-test-isp DIR: a provider's directory with rows in every state, for the browser test of `nora isp serve`. Prints one JSON line with the login
// paths. Real logs, lists and lookups; no mail server and no NAS. Test program, never installed.
#include <fmt/format.h>

#include <fstream>

#include "base/files.h"
#include "isp/import.h"
#include "isp/isolation.h"
#include "isp/outbox.h"
#include "isp/users.h"

namespace nora::isp {
namespace {

class AlwaysAck : public CoaActor {
 public:
  Result<CoaReply> change(std::string_view, const Secret&, const CoaRequest&) override { return CoaReply{CoaAnswer::ack, 0}; }
};
class HalfMail : public Mailer {  // every second mailbox is full
 public:
  SendResult send(std::string_view, std::string_view, ByteView) override { return n_++ % 2 ? SendResult{Sending::permanent, "552 mailbox full"} : SendResult{Sending::accepted, "250"}; }
 private:
  int n_ = 0;
};

exchange::ListRow item(int n, std::string ip, std::string finding_class, Instant at) {
  exchange::ListRow r;
  r.row_id = fmt::format("case-{}", n);
  r.finding_class = std::move(finding_class);
  r.pattern = "ABCD"[n % 4];
  r.severity = n % 3 ? "medium" : "high";
  r.rsit = "vulnerable/ddos-amplifier";
  r.where = {*Ip::parse(ip), {static_cast<std::uint16_t>(n % 2 ? 80 : 443)}, Proto::tcp, at};
  r.at_error = Span::seconds(1);
  r.vendor = n % 5 ? "Invented Devices" : "";
  r.product = n % 5 ? fmt::format("EC-20{}", n % 10) : "";
  r.confidence = 0.93;
  r.advice = "general";
  r.evidence = "title <b>\"EC-200\"</b>";
  r.notice_code = "7KQ4-M2XD-9RTC";
  r.word1 = "あじさい";
  r.word2 = "灯台";
  return r;
}

Status build(const std::filesystem::path& dir, const std::filesystem::path& data, Env env) {
  const auto now = env.clock.now();
  auto center = SigningKey::make("center", env.random);
  Settings s;
  s.isp = "hikari";
  s.name_ja = "ひかりネット";
  s.name_en = "Hikari Net";
  s.phone = "0120-000-000";
  s.page = "member.hikari.example";
  s.portal = "portal.example";
  s.mail_from = "notice@hikari.example";
  NORA_CHECK(replace_file(dir / "nas.secret", "secret\n", 0600));
  s.nas["*"] = {"127.0.0.1:9", (dir / "nas.secret").string()};
  NORA_CHECK(init_party(dir, s, center.public_key(), env));
  NORA_TRY(auto party, open_party(dir, env));
  std::string log, customers = "line,keys,name,mail,language,kind\n";
  for (int n = 1; n <= 12; ++n) {
    log += fmt::format("Mon Nov 23 03:17:43 2026\n\tAcct-Status-Type = Start\n\tAcct-Session-Id = \"S{}\"\n\tUser-Name = \"u{}@hikari.example\"\n\tNAS-IP-Address = 203.0.113.131\n"
                       "\tNAS-Port-Id = \"port {}\"\n\tFramed-IP-Address = 203.0.113.{}\n\tEvent-Timestamp = \"{}\"\n\tTimestamp = {}\n\n",
                       n, n == 11 ? 10 : n, n, n, (now - Span::hours(5)).us / 1'000'000, (now - Span::hours(5)).us / 1'000'000);
    if (n != 11) customers += fmt::format("L-{},u{}@hikari.example,Person {},p{}@mail.example,ja,{}\n", 20000 + n, n, n, n, n == 4 ? "rental" : "residential");
  }
  NORA_CHECK(replace_file(dir / "detail", log));
  NORA_CHECK(replace_file(dir / "customers.csv", customers));
  {
    NORA_TRY(auto writer, IndexWriter::open(party.index_dir()));
    std::vector<Customer> found;
    NORA_CHECK(import_file(dir / "detail", writer, found));
    NORA_CHECK(import_file(dir / "customers.csv", writer, found));
    NORA_CHECK(writer.commit(now));
    NORA_CHECK(put_customers(*party.db, found));
  }
  NORA_CHECK(approve_ground(party, {"admin-page", law::GroundKind::contract_terms, "terms of service 12", "2026-04", "legal1", now, now + Span::days(30)}));
  const auto seen = now - Span::hours(1);
  auto open = [&](std::int64_t sequence, const std::vector<exchange::ListRow>& rows) -> Status {
    NORA_TRY(auto sealed, exchange::write_list({{fmt::format("L{}", sequence), "hikari", "center", sequence, now, now + Span::days(14)}, rows}, center, party.key->public_key()));
    NORA_TRY([[maybe_unused]] auto opened, open_list(party, sealed));
    return {};
  };
  std::vector<exchange::ListRow> first, second;
  for (int n = 1; n <= 4; ++n) first.push_back(item(n, fmt::format("203.0.113.{}", n), "admin-page", seen));
  NORA_CHECK(open(1, first));
  NORA_CHECK(match_rows(party));
  NORA_TRY(auto messages, Messages::load(data / "messages"));
  HalfMail mail;
  NORA_CHECK(send_notices(party, messages, mail));
  for (int n = 5; n <= 13; ++n) second.push_back(item(n, fmt::format("203.0.113.{}", n == 13 ? 99 : n), n == 9 ? "open-rtsp" : "admin-page", n == 8 ? now - Span::hours(5) : seen));
  NORA_CHECK(open(2, second));
  NORA_CHECK(match_rows(party));
  for (auto [id, role] : {std::pair{"ops1", "operator"}, {"ops2", "approver"}}) NORA_CHECK(IspUsers::add(*party.db, id, id, {role}, now));
  AlwaysAck nas;
  for (int n : {5, 6, 7}) {
    NORA_TRY(auto i, request_isolation(party, {fmt::format("case-{}", n), "ops1", "attacks now, no answer to 2 notices", Scope::block_in, 24}));
    if (n == 5) continue;
    NORA_CHECK(approve_isolation(party, i.id, "ops2"));
    NORA_CHECK(apply_isolation(party, nas, i.id, "ops2"));
    if (n == 7) NORA_CHECK(release_isolation(party, nas, i.id, "ops1", "fixed"));
  }
  IspUsers users(party.settings.store);
  json::Object out;
  for (auto id : {"ops1", "ops2"}) {
    NORA_TRY(auto link, http::make_login_link(users, id, env));
    out[id] = link;
  }
  fmt::print("{}\n", json::text(out));
  return {};
}

}  // namespace
}  // namespace nora::isp

int main(int argc, char** argv) {
  if (argc != 3) { fmt::print(stderr, "usage: nora-test-isp DIR DATA\n"); return 2; }
  nora::SystemEnv system("nora-test-isp");
  auto done = nora::isp::build(argv[1], argv[2], system.env());
  if (!done) { fmt::print(stderr, "{}\n", done.error().text()); return 1; }
  return 0;
}
