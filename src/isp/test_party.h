// A provider's directory for tests: keys, store, index of two customers, a list from a center. Everything real but the mail server and the NAS.
#pragma once

#include "isp/isolation.h"
#include "isp/outbox.h"
#include "isp/returns.h"
#include "isp/test_world.h"
#include "isp/users.h"

namespace nora::isp::testing {

class TestParty {
 public:
  explicit TestParty(bool ground = true, std::string store_url = {}) {
    env.clock.set(at(5000));
    Settings s;
    s.isp = "hikari";
    s.store = std::move(store_url);
    s.name_ja = "ひかりネット";
    s.name_en = "Hikari Net";
    s.phone = "0120-000-000";
    s.page = "member.hikari.example";
    s.portal = "portal.example";
    s.mail_from = "notice@hikari.example";
    s.smtp = "smtp://127.0.0.1:1";
    dir.write("nas.secret", "not so secret\n");
    s.nas["203.0.113.131"] = {"127.0.0.1:1", (dir.path() / "nas.secret").string()};
    auto made = init_party(dir.path() / "p", s, center.public_key(), env.env());
    EXPECT_TRUE(made) << (made ? "" : made.error().text());
    reopen();
    logs({Detail{.session = "A"}.text(), Detail{.session = "B", .user = "bob@hikari.example", .ip = "203.0.113.11"}.text(),
          Detail{.session = "C", .user = "carol@hikari.example", .ip = "203.0.113.12"}.text(),
          "line,keys,name,mail,language,kind\nL-1,alice@hikari.example,Alice,alice@mail.example,ja,residential\n"
          "L-2,bob@hikari.example,Bob,bob@mail.example,en,residential\nL-3,carol@hikari.example,Carol,carol@mail.example,easy,rental\n"});
    if (ground) approve("admin-page");
    for (auto [id, role] : {std::pair{"ops1", "operator"}, {"ops2", "approver"}, {"both", "operator,approver"}}) {
      std::vector<std::string> roles{role};
      if (std::string_view(role).contains(',')) roles = {"operator", "approver"};
      EXPECT_TRUE(IspUsers::add(*party->db, id, id, roles, env.clock.now()));
    }
  }
  void reopen() {
    party.reset();
    auto opened = open_party(dir.path() / "p", env.env());
    ASSERT_TRUE(opened) << opened.error().text();
    party.emplace(std::move(*opened));
  }
  void approve(std::string finding_class) {
    auto done = approve_ground(*party, {finding_class, law::GroundKind::contract_terms, "terms 4.2", "2026-04", "legal1", env.clock.now(), env.clock.now() + Span::days(30)});
    EXPECT_TRUE(done) << (done ? "" : done.error().text());
  }
  void logs(const std::vector<std::string>& texts) {
    auto writer = IndexWriter::open(party->index_dir());
    ASSERT_TRUE(writer);
    for (const auto& t : texts) {
      std::vector<Customer> customers;
      auto report = import_file(dir.write(fmt::format("log{}", ++files_), t), *writer, customers);
      ASSERT_TRUE(report) << report.error().text();
      if (!customers.empty()) { ASSERT_TRUE(put_customers(*party->db, customers)); }
    }
    ASSERT_TRUE(writer->commit(env.clock.now()));
  }
  static exchange::ListRow item(std::string id, std::string ip, std::string finding_class = "admin-page") {
    exchange::ListRow r;
    r.row_id = std::move(id);
    r.finding_class = std::move(finding_class);
    r.pattern = 'D';
    r.severity = "medium";
    r.rsit = "vulnerable/exposed";
    r.where = {*Ip::parse(ip), {80}, Proto::tcp, at(2000)};
    r.at_error = Span::seconds(1);
    r.vendor = "Logitec";
    r.product = "LAN-W300N/R";
    r.type = "broadband router";
    r.confidence = 0.95;
    r.advice = "general";
    r.evidence = "admin page open";
    r.notice_code = "7KQ4-M2XD-9RTC";
    r.word1 = "あじさい";
    r.word2 = "灯台";
    return r;
  }
  Result<OpenedList> list(std::vector<exchange::ListRow> rows, std::int64_t sequence = 1, std::string isp = "hikari") {
    exchange::List l{{fmt::format("L{}", sequence), std::move(isp), "center", sequence, env.clock.now(), env.clock.now() + Span::days(14)}, std::move(rows)};
    auto sealed = exchange::write_list(l, center, party->key->public_key());
    EXPECT_TRUE(sealed) << (sealed ? "" : sealed.error().text());
    last_list = *sealed;
    return open_list(*party, *sealed);
  }
  std::string state(std::string_view row_id) { auto r = row(*party, row_id); return r ? r->state : r.error().what; }
  std::vector<std::string> leaves() {
    std::vector<std::string> kinds;
    auto entries = law::audit_read(party->dir / "audit", 0, party->audit->state().size);
    if (entries) for (const auto& e : *entries) kinds.push_back(e.kind);
    return kinds;
  }

  TempDir dir;
  FakeEnv env;
  SigningKey center = SigningKey::make("center", env.random);
  std::optional<Party> party;
  Bytes last_list;
  Messages messages = *Messages::load(std::filesystem::path(NORA_SOURCE_DIR) / "data/messages");

 private:
  int files_ = 0;
};

// A mail server in memory that can be told to fail.
class KeptMail : public Mailer {
 public:
  struct Mail { std::string from, to, message; };
  SendResult send(std::string_view from, std::string_view to, ByteView message) override {
    ++calls;
    if (!plan.empty()) {
      auto next = plan.front();
      plan.erase(plan.begin());
      if (next.how != Sending::accepted) return next;
    }
    mails.push_back({std::string(from), std::string(to), to_string(message)});
    return {Sending::accepted, "250"};
  }
  std::vector<Mail> mails;
  std::vector<SendResult> plan;
  int calls = 0;
};

}  // namespace nora::isp::testing
