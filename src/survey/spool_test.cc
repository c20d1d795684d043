#include "survey/spool.h"

#include <gtest/gtest.h>

#include <fstream>

#include "survey/journal.h"
#include "survey/record.h"

namespace nora::survey {
namespace {

struct Dir {
  std::filesystem::path path;
  Dir() {
    char name[] = "/tmp/nora-spool-XXXXXX";
    path = mkdtemp(name);
  }
  ~Dir() { std::filesystem::remove_all(path); }
};
registry::ReplyRecord reply(int i) {
  registry::ReplyRecord r;
  r.reply.protocol = "http";
  r.reply.bytes = to_bytes("bytes \x00\xff " + std::to_string(i));
  r.reply.keys = {{"html_title", "t\xff\n"}, {"x509.san", "a"}, {"x509.san", "b"}};
  r.reply.hash = registry::reply_hash(r.reply.protocol, r.reply.bytes);
  r.seen.where = {*Ip::parse("203.0.113.7"), {80}, Proto::tcp, Instant::seconds(1'795'600'000 + i)};
  r.seen.reply_hash = r.reply.hash;
  r.seen.probe = "http";
  r.seen.segment = "s/0";
  return r;
}
struct Memory : ReplySink {
  std::vector<registry::ReplyRecord> replies;
  std::vector<std::string> order;
  bool down = false;
  Status put(const Batch& b) override {
    if (down) return fail(Code::failed, "down");
    for (const auto& r : b.replies) replies.push_back(r), order.push_back("reply");
    return {};
  }
  Status put_survey(const registry::Survey& s) override {
    order.push_back("survey " + s.id);
    return {};
  }
  Status put_segment(const registry::Segment& s, std::string_view leaf, Instant) override {
    order.push_back("segment " + s.id + " " + std::string(leaf));
    return {};
  }
};

TEST(Spool, DeliversInOrderOnceAndKeepsEveryByte) {
  Dir dir;
  Memory sink;
  {
    auto spool = Spool::open(dir.path);
    ASSERT_TRUE(spool);
    registry::Survey survey;
    survey.id = "s";
    spool->add(survey);
    registry::Segment segment;
    segment.id = "s/0";
    segment.survey = "s";
    spool->add(segment, "leaf", Instant::seconds(5));
    for (int i = 0; i < 100; ++i) spool->add(reply(i));
    sink.down = true;
    ASSERT_TRUE(spool->flush(false));
    auto delivery = Delivery::open(dir.path);
    ASSERT_TRUE(delivery);
    EXPECT_FALSE(delivery->deliver(sink, spool->size())) << "the store is away";
    EXPECT_LT(delivery->delivered(), spool->size());
  }
  sink.down = false;
  sink.order.clear();
  auto spool = Spool::open(dir.path);
  auto delivery = Delivery::open(dir.path);
  ASSERT_TRUE(spool && delivery);
  while (*delivery->deliver(sink, spool->size(), 7) > 0) {
  }
  ASSERT_EQ(sink.replies.size(), 100u);
  EXPECT_EQ(sink.replies[42].reply.bytes, reply(42).reply.bytes);
  EXPECT_EQ(sink.replies[42].reply.keys, reply(42).reply.keys);
  EXPECT_EQ(sink.replies[42].seen.where, reply(42).seen.where);
  EXPECT_EQ(sink.order.front(), "reply") << "survey and segment were taken before the store went away";
  EXPECT_EQ(*delivery->deliver(sink, spool->size()), 0u);
  EXPECT_EQ(sink.replies.size(), 100u);
}

TEST(Spool, ALineCutByACrashIsDropped) {
  Dir dir;
  {
    auto spool = Spool::open(dir.path);
    spool->add(reply(1));
    ASSERT_TRUE(spool->flush(true));
  }
  std::ofstream(dir.path / "results.ndjson", std::ios::app) << "{\"type\":\"reply\",\"ip\"";
  Memory sink;
  auto spool = Spool::open(dir.path);
  spool->add(reply(2));
  ASSERT_TRUE(spool->flush(false));
  EXPECT_EQ(*Delivery::open(dir.path)->deliver(sink, spool->size()), 0u);
  EXPECT_EQ(sink.replies.size(), 2u);
}

TEST(Journal, GoesOnWhereItWasCut) {
  Dir dir;
  {
    auto j = Journal::open(dir.path);
    ASSERT_TRUE(j);
    EXPECT_FALSE(Journal::open(dir.path)) << "one run at a time";
    j->add({{"ev", "run"}});
    j->add({{"ev", "reserved"}, {"n", 0}, {"from", 0}, {"to", 16}});
    j->add({{"ev", "sent"}, {"n", 0}, {"sent", 15}, {"refused", 1}, {"reasons", json::Object{{"excluded", 1}}}});
    j->add({{"ev", "open"}, {"ip", "203.0.113.7"}, {"port", 80}, {"n", 0}});
    j->add({{"ev", "open"}, {"ip", "203.0.113.7"}, {"port", 23}, {"n", 0}});
    j->add({{"ev", "open"}, {"ip", "203.0.113.7"}, {"port", 5000}, {"n", 0}, {"path", "/d.xml"}});
    j->add({{"ev", "visited"}, {"ip", "203.0.113.7"}, {"port", 80}, {"path", ""}});
    j->add({{"ev", "committed"}, {"n", 0}});
    j->add({{"ev", "reserved"}, {"n", 1}, {"from", 16}, {"to", 32}});
    ASSERT_TRUE(j->flush(true));
  }
  std::ofstream(dir.path / "journal.ndjson", std::ios::app) << "{\"ev\":\"sen";
  auto j = Journal::open(dir.path);
  ASSERT_TRUE(j) << j.error().text();
  const auto& s = j->state();
  EXPECT_EQ(s.runs, 1);
  EXPECT_TRUE(s.segments.at(0).committed);
  EXPECT_FALSE(s.segments.at(1).sent);
  EXPECT_EQ(s.refused_by.at("excluded"), 1);
  ASSERT_EQ(s.to_visit.size(), 2u);
  EXPECT_EQ(s.to_visit.begin()->port, 23);
  j->add({{"ev", "visited"}, {"ip", "203.0.113.7"}, {"port", 5000}, {"path", "/d.xml"}});
  EXPECT_EQ(j->state().to_visit.size(), 1u);
}

TEST(Journal, DamageIsToldAndNotGuessed) {
  Dir dir;
  std::ofstream(dir.path / "journal.ndjson") << "{\"ev\":\"run\"}\nrubbish\n{\"ev\":\"run\"}\n";
  auto j = Journal::open(dir.path);
  ASSERT_FALSE(j);
  EXPECT_NE(j.error().what.find("damaged"), std::string::npos);
}

TEST(Record, TwentyBytesEach) {
  Bytes out;
  put(out, {Instant::seconds(1'795'600'000), 0xcb007107, 80, 3});
  put(out, {Instant{5}, std::uint64_t{1} << 63 | 2, 65535, 65535});
  ASSERT_EQ(out.size(), 40u);
  auto back = read_records(out);
  ASSERT_TRUE(back);
  EXPECT_EQ((*back)[0].dest, 0xcb007107u);
  EXPECT_EQ((*back)[1].dest, std::uint64_t{1} << 63 | 2);
  EXPECT_FALSE(read_records(ByteView(out).first(39)));
}

}  // namespace
}  // namespace nora::survey
