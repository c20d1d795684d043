#include "survey/scan_page.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "survey/test_plan.h"

namespace nora::survey {
namespace {

struct Page : ::testing::Test {
  std::filesystem::path dir;
  FakeEnv fake;
  SigningKey key = SigningKey::make("survey.example", fake.random);
  Messages messages = *Messages::load(NORA_SOURCE_DIR "/data/messages");
  std::optional<law::OptOutFile> list;
  std::optional<law::Audit> audit;
  std::optional<ScanPage> page;
  Ip visitor = *Ip::parse("203.0.113.7"), other = *Ip::parse("203.0.113.8"), six = *Ip::parse("2001:db8::7");
  Page() {
    char name[] = "/tmp/nora-page-XXXXXX";
    dir = mkdtemp(name);
    list.emplace(*law::OptOutFile::open(dir / "out.txt"));
    audit.emplace(*law::Audit::open(dir / "audit", "survey.example", key, fake.env()));
    auto mandate = test_mandate_text();
    mandate.authority = "Authority <script>alert(1)</script>";
    mandate.ranges.push_back(*Prefix::parse("2001:db8::/32"));
    page.emplace(mandate, ScanPageParts{&messages, &*list, &*audit}, fake.env());
  }
  ~Page() override { std::filesystem::remove_all(dir); }
  std::string token(Ip ip) {
    auto body = page->answer("GET", "/", "", ip).body;
    auto at = body.find("name=\"token\" value=\"");
    return at == body.npos ? "" : body.substr(at + 20, 32);
  }
  std::size_t entries() { return list->list()->size(); }
};

TEST_F(Page, SaysWhoAndWhyInThreeLanguages) {
  for (const char* lang : {"ja", "easy", "en"}) {
    auto r = page->answer("GET", std::string("/?lang=") + lang, "", visitor);
    EXPECT_EQ(r.status, 200);
    for (const char* word : {"Test Act", "test@example", "203.0.113.7", "192.0.2.10"}) EXPECT_NE(r.body.find(word), r.body.npos) << lang << " " << word;
    EXPECT_EQ(r.body.find("<script>"), r.body.npos);
    EXPECT_EQ(r.body.find("scan."), r.body.npos) << "a text is missing in " << lang;
  }
  auto txt = page->answer("GET", "/.well-known/probing.txt", "", visitor);
  EXPECT_NE(txt.body.find("Contact: test@example"), txt.body.npos);
  EXPECT_EQ(page->answer("GET", "/cgi-bin/x", "", visitor).status, 404);
}

TEST_F(Page, TheButtonLeavesOutTheVisitorAndNobodyElse) {
  auto t = token(visitor);
  ASSERT_EQ(t.size(), 32u);
  EXPECT_EQ(page->answer("POST", "/opt-out", "token=" + t, other).status, 403) << "another's token";
  EXPECT_EQ(page->answer("POST", "/opt-out", "token=" + std::string(32, '0'), visitor).status, 403);
  EXPECT_EQ(page->answer("POST", "/opt-out", "", visitor).status, 403) << "a form of another site has no token";
  EXPECT_EQ(page->answer("GET", "/opt-out?token=" + t, "", visitor).status, 200);
  EXPECT_EQ(entries(), 0u);
  auto done = page->answer("POST", "/opt-out?lang=en", "ip=203.0.113.8&token=" + t, visitor);
  EXPECT_EQ(done.status, 200);
  EXPECT_NE(done.body.find("203.0.113.7 is left out"), done.body.npos);
  ASSERT_EQ(entries(), 1u);
  EXPECT_EQ((*list->list())[0].prefix, *Prefix::parse("203.0.113.7/32"));
  EXPECT_EQ(page->answer("POST", "/opt-out", "token=" + token(six), six).status, 200);
  EXPECT_EQ((*list->list())[1].prefix, *Prefix::parse("2001:db8::/64")) << "one line";
  EXPECT_EQ(law::audit_read(dir / "audit", 0, 10)->size(), 2u);
}

TEST_F(Page, WhoIsNotSurveyedCannotFillTheList) {
  auto stranger = *Ip::parse("198.51.100.200");
  EXPECT_EQ(token(stranger), "");
  EXPECT_NE(page->answer("GET", "/?lang=en", "", stranger).body.find("198.51.100.200 is not in a range"), std::string::npos);
  EXPECT_EQ(page->answer("POST", "/opt-out", "token=" + token(visitor), stranger).status, 403);
  // A whole /64 of addresses is one entry; a /48 of them comes to an end.
  for (int i = 0; i < 50; ++i) {
    auto ip = *Ip::parse("2001:db8::" + std::to_string(i + 1));
    EXPECT_EQ(page->answer("POST", "/opt-out", "token=" + token(ip), ip).status, 200);
  }
  EXPECT_EQ(entries(), 1u);
  int refused = 0;
  for (int i = 1; i < max_from_network + 10; ++i) {
    auto ip = *Ip::parse(fmt::format("2001:db8:0:{:x}::1", i));
    refused += page->answer("POST", "/opt-out", "token=" + token(ip), ip).status == 429;
  }
  EXPECT_EQ(entries(), static_cast<std::size_t>(max_from_network));
  EXPECT_EQ(refused, 10);
}

TEST_F(Page, ATokenEnds) {
  auto t = token(visitor);
  fake.clock.sleep(Span::minutes(21));
  EXPECT_EQ(page->answer("POST", "/opt-out", "token=" + t, visitor).status, 403);
}

TEST_F(Page, WithoutALeafNothingIsDone) {
  auto t = token(visitor);
  std::filesystem::remove_all(dir / "audit");
  EXPECT_EQ(page->answer("POST", "/opt-out", "token=" + t, visitor).status, 500);
  EXPECT_EQ(entries(), 0u);
}

}  // namespace
}  // namespace nora::survey
