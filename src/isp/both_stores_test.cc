// The provider's tables on SQLite and on a real PostgreSQL: one walk through everything that writes, with the same outcome.
#include "isp/test_party.h"
#include "store/testing/both_stores.h"

namespace nora::isp {
namespace {

using testing::KeptMail;
using testing::TestParty;

class IspStores : public store::testing::BothStores {};
NORA_ON_BOTH_STORES(IspStores);

class Nas : public CoaActor {
 public:
  Result<CoaReply> change(std::string_view, const Secret&, const CoaRequest&) override { return CoaReply{CoaAnswer::ack, 0}; }
};

TEST_P(IspStores, WholeWay) {
  TestParty p(true, url());
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10"), TestParty::item("r2", "203.0.113.11"), TestParty::item("r4", "203.0.113.99")}));
  auto matched = match_rows(*p.party);
  ASSERT_TRUE(matched) << matched.error().text();
  EXPECT_EQ(matched->by_state, (std::map<std::string, std::int64_t>{{"matched", 2}, {"none", 1}}));
  EXPECT_EQ(match_history(*p.party, "r1")->at(0).status, "unique");
  KeptMail mail;
  mail.plan = {{Sending::permanent, "550 no such user"}};
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  ASSERT_TRUE(send_notices(*p.party, p.messages, mail));
  EXPECT_EQ(mail.mails.size(), 1u);
  EXPECT_EQ(p.state("r1"), "bounced");
  EXPECT_EQ(p.state("r2"), "notified");
  EXPECT_EQ(outbox_rows(*p.party)->size(), 2u);
  Nas nas;
  auto i = request_isolation(*p.party, {"r1", "ops1", "attacks", Scope::block_in, 2});
  ASSERT_TRUE(i) << i.error().text();
  ASSERT_TRUE(approve_isolation(*p.party, i->id, "ops2"));
  ASSERT_TRUE(apply_isolation(*p.party, nas, i->id, "ops1"));
  p.env.clock.set(p.env.clock.now() + Span::hours(3));
  EXPECT_EQ(*expire_isolations(*p.party, nas), 1);
  EXPECT_EQ(isolations(*p.party, "r1")->size(), 1u);
  auto written = write_return(*p.party);
  ASSERT_TRUE(written) << written.error().text();
  EXPECT_EQ(written->rows, 7);  // matched x2, none, bounced, notified, isolated, released
  ASSERT_TRUE(commit_return(*p.party, *written));
  EXPECT_EQ(write_return(*p.party)->rows, 0);
  EXPECT_EQ(rows(*p.party, {.state = "released", .text = "L-1", .after = {}})->size(), 1u);
  EXPECT_EQ(rows(*p.party, {.state = {}, .text = "203.0.113.99", .after = {}})->size(), 1u);
}

TEST_P(IspStores, UsersLinksSessions) {
  TestParty p(true, url());
  IspUsers users(url());
  ASSERT_TRUE(IspUsers::add(*p.party->db, "a.b-1", "Ä", {"auditor"}, p.env.clock.now()));
  ASSERT_TRUE(IspUsers::add(*p.party->db, "a.b-1", "Ä", {"operator", "approver"}, p.env.clock.now()));
  EXPECT_TRUE(users.user("a.b-1")->has_role("approver"));
  EXPECT_FALSE(users.user("nobody"));
  EXPECT_FALSE(IspUsers::add(*p.party->db, "A B", "x", {"operator"}, p.env.clock.now()));
  EXPECT_FALSE(IspUsers::add(*p.party->db, "x", "x", {"king"}, p.env.clock.now()));
  Hash h{};
  h[0] = 1;
  const auto now = p.env.clock.now();
  ASSERT_TRUE(users.put_link("a.b-1", h, now + Span::hours(1)));
  EXPECT_EQ(*users.take_link(h, now), "a.b-1");
  EXPECT_FALSE(users.take_link(h, now));
  ASSERT_TRUE(users.put_link("a.b-1", h, now));
  EXPECT_FALSE(users.take_link(h, now + Span::seconds(1)));  // too late
  ASSERT_TRUE(users.put_session({h, "a.b-1", now + Span::hours(1)}));
  EXPECT_EQ(users.session(h)->user, "a.b-1");
  ASSERT_TRUE(users.drop_session(h));
  EXPECT_FALSE(users.session(h));
}

}  // namespace
}  // namespace nora::isp
