// The mailer against real SMTP over real sockets: a small server in a thread that can misbehave at every step.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "isp/test_party.h"

namespace nora::isp {
namespace {

using testing::KeptMail;
using testing::TestParty;

enum class Mood { good, greylist, refuse_user, refuse_data, hang_at_data, drop_after_dot, drop_at_banner };

class SmtpServer {
 public:
  explicit SmtpServer(Mood mood) : mood_(mood), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof a;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&a), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&a), &size);
    port_ = ntohs(a.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~SmtpServer() {
    stop_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string url() const { return fmt::format("smtp://127.0.0.1:{}/hikari.example", port_); }
  std::vector<std::string> mails;
  std::string envelope;
  int sessions = 0;

 private:
  void serve() {
    while (!stop_) {
      Fd c(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!c) return;
      timeval limit{2, 0};
      ::setsockopt(c.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ++sessions;
      talk(c.get());
    }
  }
  void say(int c, std::string_view text) { (void)::send(c, text.data(), text.size(), MSG_NOSIGNAL); }
  bool line(int c, std::string& out) {
    while (true) {
      if (auto nl = buffer_.find("\r\n"); nl != buffer_.npos) { out = buffer_.substr(0, nl); buffer_.erase(0, nl + 2); return true; }
      char chunk[4096];
      auto n = ::recv(c, chunk, sizeof chunk, 0);
      if (n <= 0) return false;
      buffer_.append(chunk, static_cast<std::size_t>(n));
    }
  }
  void talk(int c) {
    buffer_.clear();
    if (mood_ == Mood::drop_at_banner) return;
    say(c, "220 mx.example ESMTP\r\n");
    std::string l;
    while (line(c, l)) {
      if (l.starts_with("EHLO")) say(c, "250-mx.example\r\n250 8BITMIME\r\n");
      else if (l.starts_with("MAIL")) { envelope = l; say(c, "250 ok\r\n"); }
      else if (l.starts_with("RCPT")) {
        envelope += " " + l;
        say(c, mood_ == Mood::greylist ? "451 4.7.1 try again later\r\n" : mood_ == Mood::refuse_user ? "550 5.1.1 no such user\r\n" : "250 ok\r\n");
      } else if (l == "DATA") {
        say(c, "354 go on\r\n");
        if (mood_ == Mood::hang_at_data) { while (line(c, l)) if (stop_) return; return; }
        std::string mail;
        while (line(c, l) && l != ".") mail += (l.starts_with("..") ? l.substr(1) : l) + "\r\n";
        if (mood_ == Mood::refuse_data) { say(c, "554 5.6.0 refused\r\n"); continue; }
        mails.push_back(mail);
        if (mood_ == Mood::drop_after_dot) return;
        say(c, "250 2.0.0 queued\r\n");
      } else if (l == "QUIT") { say(c, "221 bye\r\n"); return; }
      else say(c, "502 what\r\n");
    }
  }
  Mood mood_;
  Fd listener_;
  std::uint16_t port_ = 0;
  std::string buffer_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(Smtp, DeliversOverRealSmtp) {
  std::string envelope;
  std::vector<std::string> mails;
  {
    SmtpServer server(Mood::good);
    CurlMailer mailer(server.url());
    auto r = mailer.send("notice@hikari.example", "alice@mail.example", as_bytes("Subject: x\r\n\r\n.leading dot\r\nend\r\n"));
    EXPECT_EQ(r.how, Sending::accepted) << r.text;
    mails = server.mails;
    envelope = server.envelope;
  }
  ASSERT_EQ(mails.size(), 1u);
  EXPECT_NE(mails[0].find("\r\n.leading dot\r\n"), std::string::npos);
  EXPECT_NE(envelope.find("MAIL FROM:<notice@hikari.example>"), std::string::npos);
  EXPECT_NE(envelope.find("RCPT TO:<alice@mail.example>"), std::string::npos);
}

TEST(Smtp, TellsTemporaryFromPermanent) {
  auto how = [](Mood mood) {
    SmtpServer server(mood);
    return CurlMailer(server.url(), Span::ms(1500)).send("a@b.example", "c@d.example", as_bytes("Subject: x\r\n\r\nx\r\n")).how;
  };
  EXPECT_EQ(how(Mood::greylist), Sending::temporary);
  EXPECT_EQ(how(Mood::refuse_user), Sending::permanent);
  EXPECT_EQ(how(Mood::refuse_data), Sending::permanent);
  EXPECT_EQ(how(Mood::hang_at_data), Sending::temporary);
  EXPECT_EQ(how(Mood::drop_after_dot), Sending::temporary);
  EXPECT_EQ(how(Mood::drop_at_banner), Sending::temporary);
  EXPECT_EQ(CurlMailer("smtp://127.0.0.1:1", Span::ms(1500)).send("a@b.example", "c@d.example", as_bytes("x")).how, Sending::temporary);  // nobody listens
}

TEST(Smtp, WholeWayFromListToServer) {
  TestParty p;
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10")}));
  ASSERT_TRUE(match_rows(*p.party));
  SmtpServer server(Mood::good);
  CurlMailer mailer(server.url());
  auto counts = send_notices(*p.party, p.messages, mailer);
  ASSERT_TRUE(counts) << counts.error().text();
  EXPECT_EQ(counts->sent, 1);
  counts = send_notices(*p.party, p.messages, mailer);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->sent, 0);
  EXPECT_EQ(server.mails.size(), 1u);
  EXPECT_EQ(p.state("r1"), "notified");
}

TEST(Smtp, DropAfterTheDotRepeatsWithTheSameMessageId) {
  TestParty p;
  ASSERT_TRUE(p.list({TestParty::item("r1", "203.0.113.10")}));
  ASSERT_TRUE(match_rows(*p.party));
  std::string first, second;
  {
    SmtpServer server(Mood::drop_after_dot);
    CurlMailer mailer(server.url(), Span::seconds(3));
    ASSERT_TRUE(send_notices(*p.party, p.messages, mailer));
    ASSERT_EQ(server.mails.size(), 1u);
    first = server.mails[0];
  }
  p.env.clock.set(p.env.clock.now() + Span::minutes(2));
  {
    SmtpServer server(Mood::good);
    CurlMailer mailer(server.url());
    ASSERT_TRUE(send_notices(*p.party, p.messages, mailer));
    ASSERT_EQ(server.mails.size(), 1u);
    second = server.mails[0];
  }
  EXPECT_EQ(first, second);
}

}  // namespace
}  // namespace nora::isp
