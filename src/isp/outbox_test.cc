#include <gmime/gmime.h>

#include <algorithm>

#include "isp/mail.h"
#include "isp/test_party.h"

namespace nora::isp {
namespace {

using testing::at;
using testing::Detail;
using testing::KeptMail;
using testing::TestParty;

void ready(TestParty& p, std::vector<exchange::ListRow> rows) {
  ASSERT_TRUE(p.list(std::move(rows)));
  ASSERT_TRUE(match_rows(*p.party));
}

// What the reader sees: decoded by gmime's own parser.
struct Seen { std::string subject, text, auto_submitted, message_id; int parts = 0; };
Seen read_mail(const std::string& raw) {
  g_mime_init();
  auto* stream = g_mime_stream_mem_new_with_buffer(raw.data(), raw.size());
  auto* parser = g_mime_parser_new_with_stream(stream);
  auto* message = g_mime_parser_construct_message(parser, nullptr);
  Seen s;
  s.subject = g_mime_message_get_subject(message);
  s.message_id = g_mime_message_get_message_id(message);
  s.auto_submitted = g_mime_object_get_header(GMIME_OBJECT(message), "Auto-Submitted");
  auto* part = g_mime_message_get_mime_part(message);
  if (GMIME_IS_TEXT_PART(part)) {
    char* text = g_mime_text_part_get_text(GMIME_TEXT_PART(part));
    s.text = text;
    g_free(text);
    s.parts = 1;
  }
  g_object_unref(message);
  g_object_unref(parser);
  g_object_unref(stream);
  std::erase(s.text, '\r');
  return s;
}

TEST(Notice, OneMailInJapaneseAndEnglish) {
  TestParty p;
  ready(p, {TestParty::item("r1", "203.0.113.10")});
  KeptMail mail;
  auto counts = send_notices(*p.party, p.messages, mail);
  ASSERT_TRUE(counts) << counts.error().text();
  ASSERT_EQ(mail.mails.size(), 1u);
  EXPECT_EQ(mail.mails[0].to, "alice@mail.example");
  EXPECT_EQ(mail.mails[0].from, "notice@hikari.example");
  auto seen = read_mail(mail.mails[0].message);
  EXPECT_EQ(seen.parts, 1);
  EXPECT_EQ(seen.auto_submitted, "auto-generated");
  EXPECT_NE(seen.subject.find("ひかりネット"), std::string::npos);
  EXPECT_NE(seen.subject.find("Hikari Net"), std::string::npos);
  EXPECT_NE(seen.message_id.find("nora.r1."), std::string::npos);
  for (auto text : {"7KQ4-M2XD-9RTC", "あじさい・灯台", "Logitec LAN-W300N/R", "0120-000-000", "2026-11-23 21:33", "member.hikari.example", "First, do this", "まず、これをしてください"})
    EXPECT_NE(seen.text.find(text), std::string::npos) << text;
  for (auto never : {"{", "http", "203.0.113", "Alice", "L-1"}) EXPECT_EQ(seen.text.find(never), std::string::npos) << never;
  for (unsigned char c : mail.mails[0].message) ASSERT_TRUE(c < 0x80 && c != 0);  // 7-bit on the wire
  EXPECT_EQ(p.state("r1"), "notified");
}

TEST(Notice, GoldenText) {
  TestParty p;
  auto sure = TestParty::item("r1", "203.0.113.10", "admin-page");
  ready(p, {sure});
  auto drafts = draft_notices(*p.party, p.messages, "preview");
  ASSERT_TRUE(drafts && drafts->size() == 1 && (*drafts)[0].notice);
  auto file = std::filesystem::path(NORA_SOURCE_DIR) / "src/isp/golden/notice.txt";
  auto text = (*drafts)[0].notice->subject() + "\n\n" + (*drafts)[0].notice->body();
  // The words of advice and exposures have their own tests; here only where they stand.
  for (auto lang : {Lang::ja, Lang::en})
    for (auto id : {"advice.general.step1.more", "advice.general.step1", "exposure.admin-page.title"})
      if (auto at_text = text.find(p.messages.get(lang, id)); at_text != text.npos) text.replace(at_text, p.messages.get(lang, id).size(), fmt::format("<{} {}>", code(lang), id));
  if (std::getenv("NORA_UPDATE_GOLDEN")) { ASSERT_TRUE(replace_file(file, text)); }
  EXPECT_EQ(text, read_file(file).value_or("(no golden file)"));
}

TEST(Notice, LanguagesCertaintyAndAttack) {
  TestParty p;
  auto english = TestParty::item("r2", "203.0.113.11");
  english.confidence = 0.7;
  english.attacked = true;
  ready(p, {english});
  KeptMail mail;
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  ASSERT_EQ(mail.mails.size(), 1u);
  auto seen = read_mail(mail.mails[0].message);
  EXPECT_LT(seen.text.find("likely Logitec"), seen.text.find("おそらく Logitec"));  // her language first
  EXPECT_NE(seen.text.find("attack traffic"), std::string::npos);
}

TEST(Notice, HostileProductTextDoesNothing) {
  TestParty p;
  auto hostile = TestParty::item("r1", "203.0.113.10");
  hostile.vendor.clear();
  hostile.product = "x\r\nBcc: evil@example.com\r\n\r\nhttp://evil.example/login {code}";
  ready(p, {hostile});
  auto drafts = draft_notices(*p.party, p.messages, "preview");
  ASSERT_TRUE(drafts && (*drafts)[0].notice);
  EXPECT_EQ((*drafts)[0].notice->body().find("http://evil"), std::string::npos);
  auto mime = to_mime(*(*drafts)[0].notice, at(0));
  ASSERT_TRUE(mime);
  EXPECT_EQ(as_text(*mime).find("Bcc"), std::string_view::npos);
}

TEST(Notice, EveryMessageExistsInEveryLanguage) {
  TestParty p;
  for (auto lang : all_langs)
    for (const auto& id : p.messages.ids(Lang::ja))
      if (id.starts_with("notice.") || id.starts_with("isp.")) { EXPECT_TRUE(p.messages.has(lang, id)) << id << " " << code(lang); }
}

TEST(Outbox, SecondRunSendsNothing) {
  TestParty p;
  ready(p, {TestParty::item("r1", "203.0.113.10"), TestParty::item("r2", "203.0.113.11")});
  KeptMail mail;
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  EXPECT_EQ(mail.mails.size(), 2u);
  for (int i = 0; i < 3; ++i) {
    p.reopen();
    auto counts = send_notices(*p.party, p.messages, mail);
    ASSERT_TRUE(counts);
    EXPECT_EQ(counts->queued + counts->sent, 0);
  }
  EXPECT_EQ(mail.calls, 2);
}

TEST(Outbox, OneMailPerLinePerSevenDays) {
  TestParty p;
  auto second = TestParty::item("r1b", "203.0.113.10");
  second.product = "another";
  ready(p, {TestParty::item("r1", "203.0.113.10"), second});
  KeptMail mail;
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  ASSERT_EQ(mail.mails.size(), 1u);  // both devices in one mail
  EXPECT_NE(read_mail(mail.mails[0].message).text.find("another"), std::string::npos);
  EXPECT_EQ(p.state("r1b"), "notified");
  ASSERT_TRUE(p.list({TestParty::item("r9", "203.0.113.10")}, 2));
  ASSERT_TRUE(match_rows(*p.party));
  p.env.clock.set(p.env.clock.now() + Span::days(6));
  auto counts = send_notices(*p.party, p.messages, mail);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->held, 1);
  EXPECT_EQ(mail.mails.size(), 1u);
  p.env.clock.set(p.env.clock.now() + Span::days(2));
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  EXPECT_EQ(mail.mails.size(), 2u);
}

TEST(Outbox, ProvidersOwnDeviceAndOptedOutAreNotWrittenTo) {
  TestParty p;
  ready(p, {TestParty::item("r3", "203.0.113.12")});
  p.logs({"line,keys,mail,opted_out\nL-1,alice@hikari.example,alice@mail.example,1\nL-2,bob@hikari.example,,\nL-3,carol@hikari.example,carol@mail.example,\n"});
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10"), TestParty::item("r2", "203.0.113.11")}, 2));
  ASSERT_TRUE(match_rows(*p.party));
  ASSERT_TRUE(p.party->db->exec("update line set kind = 'rental' where line = 'L-3'"));
  KeptMail mail;
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  EXPECT_TRUE(mail.mails.empty());
  EXPECT_EQ(p.state("r1"), "opted_out");
  EXPECT_EQ(p.state("r2"), "no_contact");
  EXPECT_EQ(p.state("r3"), "delegated");
}

TEST(Outbox, LateRecordStopsTheMail) {
  TestParty p;
  ready(p, {TestParty::item("r1", "203.0.113.10")});
  // After the match a Stop and another customer's Start before the instant arrive.
  p.logs({Detail{.type = "Stop", .session = "A", .event = at(1000)}.text() + Detail{.session = "Z", .user = "bob@hikari.example", .ip = "203.0.113.10", .port = "x", .event = at(1100)}.text() +
          Detail{.type = "Stop", .session = "B", .user = "bob@hikari.example", .ip = "203.0.113.11", .event = at(1050)}.text()});
  KeptMail mail;
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  EXPECT_TRUE(mail.mails.empty());
  EXPECT_EQ(p.state("r1"), "new");
  ASSERT_TRUE(match_rows(*p.party));
  EXPECT_EQ(row(*p.party, "r1")->line.reveal(), "L-2");
}

TEST(Outbox, TemporaryIsTriedAgainPermanentBounces) {
  TestParty p;
  ready(p, {TestParty::item("r1", "203.0.113.10"), TestParty::item("r2", "203.0.113.11")});
  KeptMail mail;
  mail.plan = {{Sending::temporary, "451 greylisted"}, {Sending::permanent, "550 no such user"}};
  auto counts = send_notices(*p.party, p.messages, mail);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->retried, 1);
  EXPECT_EQ(counts->failed, 1);
  EXPECT_EQ(p.state("r1"), "queued");
  EXPECT_EQ(p.state("r2"), "bounced");
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  EXPECT_EQ(mail.calls, 2);  // not before its time
  p.env.clock.set(p.env.clock.now() + Span::seconds(61));
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  EXPECT_EQ(mail.mails.size(), 1u);
  EXPECT_EQ(p.state("r1"), "notified");
}

TEST(Outbox, GivesUpAfterMaxAttempts) {
  TestParty p;
  ready(p, {TestParty::item("r1", "203.0.113.10")});
  KeptMail mail;
  for (int i = 0; i < max_attempts; ++i) {
    mail.plan = {{Sending::temporary, "no route"}};
    ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
    p.env.clock.set(p.env.clock.now() + longest_retry);
  }
  EXPECT_EQ(mail.calls, max_attempts);
  EXPECT_EQ(p.state("r1"), "bounced");
}

// A store that fails at its n-th write from now on, as a full disk does.
class FailingDb : public store::Db {
 public:
  explicit FailingDb(std::unique_ptr<store::Db> inner, int writes) : inner_(std::move(inner)), left_(writes) {}
  Result<store::Rows> query(std::string_view sql, const store::Params& p) override {
    if (sql.starts_with("insert")) { if (auto s = count(); !s) return std::unexpected(s.error()); }
    return inner_->query(sql, p);
  }
  Result<std::int64_t> exec(std::string_view sql, const store::Params& p) override {
    if (auto s = count(); !s) return std::unexpected(s.error());
    return inner_->exec(sql, p);
  }
  Status insert_many(std::string_view t, const std::vector<std::string>& c, const store::Rows& r, bool i) override {
    NORA_CHECK(count());
    return inner_->insert_many(t, c, r, i);
  }
  bool is_postgres() const override { return inner_->is_postgres(); }
  bool failed() const { return left_ < 0; }

 protected:
  Status begin() override { return run("begin immediate"); }
  Status commit() override {
    NORA_CHECK(count());
    return run("commit");
  }
  void rollback() override { (void)run("rollback"); }

 private:
  Status run(std::string_view sql) {
    auto done = inner_->exec(sql);
    if (!done) return std::unexpected(done.error());
    return {};
  }
  Status count() {
    if (--left_ < 0) return fail(Code::failed, "disk full (planted)");
    return {};
  }
  std::unique_ptr<store::Db> inner_;
  int left_;
};

TEST(Outbox, NthWriteFailsNothingLostNothingDoubled) {
  int cases = 0;
  for (int n = 0;; ++n) {
    TestParty p;
    ready(p, {TestParty::item("r1", "203.0.113.10"), TestParty::item("r2", "203.0.113.11")});
    KeptMail mail;
    auto failing = std::make_unique<FailingDb>(std::move(p.party->db), n);
    auto* watch = failing.get();
    p.party->db = std::move(failing);
    auto first = send_notices(*p.party, p.messages, mail);
    const bool broke = watch->failed();
    EXPECT_EQ(first.has_value(), !broke) << n;
    // The process starts again; what was claimed and never finished is tried after its time.
    p.reopen();
    for (int round = 0; round < 3; ++round) {
      ASSERT_TRUE(send_notices(*p.party, p.messages, mail)) << n;
      p.env.clock.set(p.env.clock.now() + sending_timeout + Span::seconds(1));
    }
    std::map<std::string, std::set<std::string>> ids;
    std::map<std::string, int> mails;
    for (const auto& m : mail.mails) { ids[m.to].insert(read_mail(m.message).message_id); ++mails[m.to]; }
    ASSERT_EQ(mails.size(), 2u) << n;  // nothing lost
    int doubled = 0;
    for (const auto& [to, count] : mails) {
      EXPECT_EQ(ids[to].size(), 1u) << n;  // a repeat carries the same Message-ID
      doubled += count - 1;
    }
    // Only the write after the server took the mail may lead to a repeat, and to one at most.
    EXPECT_LE(doubled, 1) << n;
    EXPECT_EQ(p.state("r1"), "notified") << n;
    EXPECT_EQ(p.state("r2"), "notified") << n;
    ++cases;
    if (!broke) break;
    ASSERT_LT(n, 100);
  }
  EXPECT_GT(cases, 15);
}

}  // namespace
}  // namespace nora::isp
