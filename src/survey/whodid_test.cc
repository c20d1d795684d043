#include "survey/whodid.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "survey/answer.h"
#include "survey/sink.h"
#include "survey/test_spool.h"
#include "survey/whodid_letter.h"

namespace nora::survey {
namespace {

struct WhoDidTest : testing::Test {
  TestSpool s{std::filesystem::path(testing::TempDir()) / ("nora_whodid_" + std::to_string(getpid()))};
  Ip ip = *Ip::parse("203.0.113.7");
  Instant begin = s.fake.clock.now();

  // A record of the address in any segment that was sent.
  struct Found {
    Record record;
    std::int64_t segment;
  };
  Found found(Ip of) {
    for (std::int64_t n = 0; n < static_cast<std::int64_t>(s.plan.segments()); ++n)
      if (const auto r = s.first(n, of)) return {*r, n};
    ADD_FAILURE() << "no record of " << of.text();
    return {};
  }
  void send_all() {
    for (std::int64_t n = 0; n < static_cast<std::int64_t>(s.plan.segments()); ++n) s.send(n);
  }
};

TEST_F(WhoDidTest, SaysWhatWasSentAndWhen) {
  send_all();
  for (const Ip of : {ip, *Ip::parse("2001:db8:1000:83::83")}) {
    const auto [record, segment] = found(of);
    const auto a = s.ask({of, record.port, record.at + Span::seconds(3), Span::seconds(30)});
    ASSERT_TRUE(a) << a.error().text();
    EXPECT_EQ(a->verdict, Verdict::sent);
    EXPECT_TRUE(a->in_range && a->in_plan);
    const auto p = std::find_if(a->probes.begin(), a->probes.end(), [&](const SentProbe& x) { return x.at == record.at; });
    ASSERT_NE(p, a->probes.end());
    EXPECT_EQ(p->port, record.port);
    EXPECT_EQ(p->state, FileState::proven);
    EXPECT_EQ(p->segment, s.segment(segment));
    const auto e = std::find_if(a->segments.begin(), a->segments.end(), [&](const Evidence& x) { return x.sending.segment == p->segment; });
    ASSERT_NE(e, a->segments.end());
    EXPECT_TRUE(e->names_address && e->at_that_time && e->reachable);
    EXPECT_EQ(e->sending.begun.size(), 1u);
    ASSERT_TRUE(e->sending.committed);
    EXPECT_EQ(e->sending.committed->index, e->sending.begun[0].index + 1);
    // The same place, another port: told, but it is not what was asked.
    const auto other = s.ask({of, static_cast<std::uint16_t>(60000), record.at, Span::seconds(30)});
    EXPECT_TRUE(other->probes.empty());
    EXPECT_FALSE(other->others.empty());
    EXPECT_EQ(other->verdict, Verdict::not_sent);
  }
}

// The records of the whole survey, and nothing else, come back for each target.
TEST_F(WhoDidTest, EveryRecordOnce) {
  send_all();
  const auto a = s.ask({ip, std::nullopt, begin + Span::minutes(5), Span::hours(1)});
  ASSERT_TRUE(a);
  std::size_t expected = 0;
  for (std::uint64_t i = 0; i < s.plan.space.size(); ++i) expected += s.plan.space.at(i).ip == ip;
  EXPECT_EQ(a->probes.size(), expected);
  EXPECT_TRUE(std::is_sorted(a->probes.begin(), a->probes.end(), [](const auto& x, const auto& y) { return x.at < y.at; }));
}

TEST_F(WhoDidTest, SaysThatNothingWasSent) {
  s.send(0);
  s.send(1);
  // Somebody whom these two segments do not name.
  Ip spared{};
  for (std::uint64_t i = 0; i < s.plan.space.size(); ++i) {
    const auto of = s.plan.space.at(i).ip;
    if (!s.first(0, of) && !s.first(1, of)) spared = of;
  }
  ASSERT_NE(spared, Ip{});
  const auto a = s.ask({spared, std::nullopt, begin + Span::seconds(1), Span::minutes(1)});
  ASSERT_TRUE(a) << a.error().text();
  EXPECT_EQ(a->verdict, Verdict::not_sent);
  ASSERT_EQ(a->segments.size(), 2u);
  for (const auto& e : a->segments) EXPECT_TRUE(e.state == FileState::proven && !e.names_address && e.records == 256);
  // A day on which nothing was sent at all.
  const auto quiet = s.ask({ip, std::nullopt, begin - Span::days(3), Span::minutes(10)});
  EXPECT_EQ(quiet->verdict, Verdict::not_sent);
  EXPECT_TRUE(quiet->segments.empty());
  EXPECT_TRUE(quiet->near.empty());
}

TEST_F(WhoDidTest, AnAddressOutsideTheMandate) {
  send_all();
  const auto a = s.ask({*Ip::parse("192.0.2.77"), std::nullopt, begin + Span::seconds(2), Span::minutes(10)});
  ASSERT_TRUE(a) << a.error().text();
  EXPECT_EQ(a->verdict, Verdict::not_sent);
  EXPECT_FALSE(a->in_range);
  EXPECT_FALSE(a->in_plan);
  EXPECT_FALSE(a->segments.empty());
  for (const auto& e : a->segments) EXPECT_FALSE(e.reachable);
}

TEST_F(WhoDidTest, AClockThatIsWrong) {
  send_all();
  const auto [record, segment] = found(ip);
  for (const int hours : {1, -1, 9, -9}) {
    const auto a = s.ask({ip, std::nullopt, record.at + Span::hours(hours), Span::minutes(10)});
    ASSERT_TRUE(a);
    EXPECT_EQ(a->verdict, Verdict::not_sent) << hours;
    EXPECT_EQ(a->hours_off, -hours);
    ASSERT_FALSE(a->near.empty());
    EXPECT_LE(a->near.size(), near_max);
  }
  const auto odd = s.ask({ip, std::nullopt, record.at + Span::minutes(25), Span::minutes(10)});
  EXPECT_EQ(odd->hours_off, 0);
  EXPECT_LT(odd->off->us, 0);
}

TEST_F(WhoDidTest, AnAlteredRecordIsNoProof) {
  send_all();
  const auto [record, segment] = found(ip);
  auto text = *read_file(s.file(segment));
  // The address is taken out of the file.
  const auto value = s.plan.space.record_address(ip);
  Bytes big;
  put_u32be(big, static_cast<std::uint32_t>(value >> 32));
  put_u32be(big, static_cast<std::uint32_t>(value));
  for (std::size_t at = 0; at < text.size(); at += record_bytes)
    if (text.compare(at + 8, 8, to_string(big)) == 0) text[at + 15] ^= 1;
  (void)replace_file(s.file(segment), text);
  const auto gone = s.ask({ip, record.port, record.at, Span::ms(1)});
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->verdict, Verdict::uncertain);
  EXPECT_EQ(gone->segments[0].state, FileState::altered);
  // The address is put into a file that it was not in.
  const auto stranger = *Ip::parse("203.0.113.6");
  const auto planted = s.ask({stranger, record.port, record.at, Span::ms(1)});
  ASSERT_TRUE(planted);
  for (const auto& p : planted->probes) EXPECT_TRUE(p.segment != s.segment(segment) || p.state == FileState::altered);
  EXPECT_NE(planted->verdict, Verdict::sent);
}

TEST_F(WhoDidTest, AMissingRecordFile) {
  send_all();
  const auto [record, segment] = found(ip);
  std::filesystem::remove(s.file(segment));
  const auto a = s.ask({ip, record.port, record.at, Span::ms(1)});
  EXPECT_EQ(a->verdict, Verdict::uncertain);
  // Its range could not have reached this one: the leaf before sending is enough.
  const auto& plan = s.plan;
  for (std::uint64_t i = 0; i < plan.space.size(); ++i) {
    const auto point = plan.space.at(s.permutation.at(i));
    if (point.ip == ip || (i >= s.from(segment) && i < s.to(segment))) continue;
    bool in_range = false;
    for (const auto* slot : plan.space.slots()) {
      const auto index = plan.space.find(point.ip, slot->probe, slot->proto, slot->port);
      if (!index) continue;
      const auto place = s.permutation.place(*index);
      in_range = in_range || (place >= s.from(segment) && place < s.to(segment));
    }
    if (in_range) continue;
    const auto spared = s.ask({point.ip, std::nullopt, record.at, Span::ms(1)});
    EXPECT_EQ(spared->verdict, Verdict::not_sent);
    EXPECT_FALSE(spared->segments[0].reachable);
    break;
  }
  // A survey whose spool was not given, of which nothing is known but its leaves.
  const auto blind = s.ask({ip, std::nullopt, record.at, Span::ms(1)}, {});
  EXPECT_EQ(blind->verdict, Verdict::uncertain);
  EXPECT_EQ(blind->segments[0].state, FileState::missing);
}

TEST_F(WhoDidTest, ASegmentThatWasCutOff) {
  s.reserve(0);
  const auto bytes = s.records(s.from(0), s.to(0), Span::ms(10));
  const Bytes half(bytes.begin(), bytes.begin() + 128 * record_bytes);
  s.write(s.file(0), half);
  const auto sent = read_records(half)->front();
  const auto who = *s.plan.space.from_record_address(sent.dest);
  const auto a = s.ask({who, sent.port, sent.at, Span::ms(5)});
  EXPECT_EQ(a->verdict, Verdict::sent);  // our own record says so, though nothing confirms it
  EXPECT_EQ(a->probes[0].state, FileState::not_committed);
  // One that came later in the range: perhaps.
  const auto later = s.plan.space.at(s.permutation.at(200));
  if (later.ip != who) {
    const auto perhaps = s.ask({later.ip, later.slot->port, sent.at + Span::ms(1400), Span::ms(400)});
    EXPECT_NE(perhaps->verdict, Verdict::not_sent);
  }
}

// Killed, and gone on with: the time before the second leaf is in doubt for those whom the range reaches.
TEST_F(WhoDidTest, ASegmentThatWasInterrupted) {
  s.reserve(0);
  const Instant first = s.fake.clock.now();
  s.fake.clock.sleep(Span::minutes(30));
  (void)s.log->append("segment_resumed", {{"survey", s.plan.survey}, {"segment", s.segment(0)}, {"mandate", to_hex(s.plan.mandate)}});
  const auto bytes = s.records(s.from(0), s.to(0), Span::ms(10));
  s.write(s.file(0), bytes);
  s.commit(0, bytes);
  const auto record = read_records(bytes)->front();
  const auto who = *s.plan.space.from_record_address(record.dest);
  EXPECT_EQ(s.ask({who, record.port, record.at, Span::seconds(5)})->verdict, Verdict::sent);
  const auto before = s.ask({who, record.port, first + Span::minutes(10), Span::minutes(1)});
  EXPECT_EQ(before->verdict, Verdict::uncertain);
  EXPECT_TRUE(before->segments[0].in_doubt);
}

// Given up and set aside, then done anew by another lease.
TEST_F(WhoDidTest, ASegmentThatWasGivenUp) {
  s.reserve(0);
  const auto old = s.records(s.from(0), s.from(0) + 50, Span::ms(10));
  s.write(s.file(0).string() + ".123456", old);
  (void)s.log->append("segment_lost", {{"survey", s.plan.survey}, {"segment", s.segment(0)}});
  s.fake.clock.sleep(Span::hours(2));
  s.send(0);
  const auto record = read_records(old)->front();
  const auto a = s.ask({*s.plan.space.from_record_address(record.dest), record.port, record.at, Span::seconds(5)});
  EXPECT_EQ(a->verdict, Verdict::sent);
  EXPECT_EQ(a->probes.at(0).state, FileState::not_committed);
}

TEST_F(WhoDidTest, Conversations) {
  send_all();
  const auto own = *Ip::parse("192.0.2.10");
  registry::ReplyRecord r;
  r.seen.where = {ip, {80}, Proto::tcp, begin + Span::seconds(20)};
  r.seen.probe = "http";
  r.seen.segment = s.segment(0);
  r.seen.request_bytes = static_cast<std::int64_t>(first_words("http", ip, 80, own).size());
  r.reply.protocol = "http";
  auto elsewhere = r;
  elsewhere.seen.where.ip = *Ip::parse("203.0.113.70");
  std::string lines = json::text(to_json(r)) + "\n" + json::text(to_json(elsewhere)) + "\n";
  lines += json::text(to_json(registry::Outcome{ip, {23}, Proto::tcp, "syn", begin, "closed", s.segment(0)})) + "\n";
  (void)replace_file(s.spool() / "results.ndjson", lines + "{\"type\":\"reply\",\"ip\":\"203.0.113.7\",\"po");  // the last line was cut by a crash
  (void)replace_file(s.spool() / "journal.ndjson", "{\"ev\":\"open\",\"ip\":\"203.0.113.7\",\"port\":80,\"n\":0}\n{\"ev\":\"open\",\"ip\":\"203.0.113.7\",\"port\":21,\"n\":0}\n");
  const auto a = s.ask({ip, std::nullopt, begin + Span::seconds(10), Span::seconds(15)});
  ASSERT_TRUE(a) << a.error().text();
  ASSERT_EQ(a->talks.size(), 2u);
  EXPECT_FALSE(a->talks[0].at);
  EXPECT_EQ(a->talks[0].port, 21);
  EXPECT_EQ(a->talks[1].probe, "http");
  EXPECT_TRUE(a->talks[1].words.starts_with("GET / HTTP/1.1\r\nHost: 203.0.113.7\r\nUser-Agent: Nora-Survey (+http://192.0.2.10/)"));
  EXPECT_EQ(a->verdict, Verdict::sent);
  EXPECT_TRUE(s.ask({ip, static_cast<std::uint16_t>(23), begin + Span::seconds(10), Span::seconds(15)})->talks.empty());
}

// ---- bytes

TEST_F(WhoDidTest, TheBytesAreThoseOfTheSender) {
  const auto own = *Ip::parse("192.0.2.10");
  Key key{};
  s.fake.random.fill(key);
  const AnswerKey answers(key);
  for (const auto* slot : s.plan.space.slots()) {
    const auto* request = s.setting.catalogue.find(slot->probe);
    std::array<std::uint8_t, net::max_frame_bytes> frame{};
    std::size_t length = 0;
    std::string payload;
    if (slot->proto == Proto::tcp) {
      const auto token = answers.syn(ip, slot->port);
      net::TcpFields f;
      f.source = own, f.dest = ip, f.source_port = token.source_port, f.dest_port = slot->port, f.seq = token.seq, f.mss = 1460;
      f.ip_id = static_cast<std::uint16_t>(token.seq);
      length = net::build_tcp(frame, {}, f);
    } else {
      const auto token = answers.token(ip, slot->port, slot->probe);
      net::UdpFields f;
      f.source = own, f.dest = ip, f.source_port = answers.udp_source_port(ip, slot->port, slot->probe), f.dest_port = slot->port, f.ip_id = get_u16be(token.bytes.data());
      const auto body = request->render(token, ip, own);
      payload = to_hex(body);
      length = net::build_udp(frame, {}, f, body);
    }
    const std::string real = to_hex(ByteView(frame).first(length).subspan(14));
    const auto exact = probe_bytes(*slot, request, ip, own, key);
    EXPECT_TRUE(exact.exact);
    EXPECT_EQ(exact.packet, real) << slot->probe;
    EXPECT_EQ(exact.payload, payload);
    // Without the key: the same, with holes, and no more holes than there was chance.
    const auto masked = probe_bytes(*slot, request, ip, own, std::nullopt);
    ASSERT_EQ(masked.packet.size(), real.size());
    std::size_t holes = 0;
    for (std::size_t i = 0; i < real.size(); i += 2) {
      const bool hole = masked.packet.compare(i, 2, "..") == 0;
      holes += hole;
      EXPECT_TRUE(hole || masked.packet.compare(i, 2, real, i, 2) == 0) << slot->probe << " byte " << i / 2;
    }
    EXPECT_LE(holes, 2u + 2 + 2 + 2 + 4 + 10) << masked.packet;  // id, IP checksum, port, checksum, sequence or txid, name
    EXPECT_EQ(masked.packet.substr(0, 8).find(".."), std::string::npos);
    EXPECT_NE(masked.packet.find("cb007107"), std::string::npos) << "the address that was asked";
  }
}

// ---- the letter

TEST_F(WhoDidTest, TheLetterSaysWhoWhyWhatAndHowToOptOut) {
  send_all();
  const auto messages = Messages::load(NORA_SOURCE_DIR "/data/messages");
  ASSERT_TRUE(messages) << messages.error().text();
  const auto [record, segment] = found(ip);
  LetterParts parts{s.setting.mandate, "nora-audit/survey.example", 12, sha256(as_bytes("root")), s.key.public_key().text(), "reply.tlog-proof", s.fake.clock.now()};
  const auto yes = *s.ask({ip, std::nullopt, record.at, Span::minutes(1)});
  const auto no = *s.ask({ip, std::nullopt, begin - Span::days(2), Span::minutes(1)});
  const auto outside = *s.ask({*Ip::parse("192.0.2.77"), std::nullopt, record.at, Span::minutes(1)});
  const auto hours = *s.ask({ip, std::nullopt, record.at + Span::hours(9), Span::minutes(10)});
  std::filesystem::remove(s.file(segment));
  const auto perhaps = *s.ask({ip, record.port, record.at, Span::ms(1)});
  for (const Lang lang : {Lang::ja, Lang::en}) {
    for (const auto* a : {&yes, &no, &outside, &hours, &perhaps}) {
      const auto text = complaint_letter(*a, parts, *messages, lang);
      EXPECT_EQ(text.find("complaint."), text.npos) << text;  // a message that is missing shows its id
      EXPECT_EQ(text.find('{'), text.npos) << text;           // a place that was not filled
      for (const char* must : {"Test Authority", "Test Act", "test@example", "192.0.2.10", "authority.example", "reply.tlog-proof", "nora audit check-proof"})
        EXPECT_NE(text.find(must), text.npos) << must << "\n" << text;
      EXPECT_NE(text.find(to_hex(s.setting.mandate.hash())), text.npos);
      EXPECT_NE(text.find(a->question.ip.text()), text.npos);
    }
    const auto text = complaint_letter(yes, parts, *messages, lang);
    EXPECT_NE(text.find(yes.probes[0].bytes.packet.substr(0, 40)), text.npos);
    EXPECT_NE(text.find(record.at.text()), text.npos);
    EXPECT_NE(complaint_letter(hours, parts, *messages, lang).find(lang == Lang::ja ? "ちょうど9時間" : "9 whole hours"), text.npos);
  }
  EXPECT_NE(complaint_letter(no, parts, *messages, Lang::en).find("no. We sent nothing"), std::string::npos);
  EXPECT_NE(complaint_letter(outside, parts, *messages, Lang::en).find("outside the ranges"), std::string::npos);
  EXPECT_NE(complaint_letter(perhaps, parts, *messages, Lang::en).find("we cannot say for certain"), std::string::npos);
}

}  // namespace
}  // namespace nora::survey
