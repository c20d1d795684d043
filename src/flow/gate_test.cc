// The portal gate over its real socket, with a scan node played by the test: notice, tell, check red and green, limits, refusals, scheduler.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "base/files.h"
#include "exchange/portal_wire.h"
#include "cases/metrics.h"
#include "flow/portal_gate.h"
#include "flow/scheduler.h"
#include "flow/vulns.h"
#include "registry/jobs.h"
#include "store/testing/both_stores.h"

namespace nora::flow {
namespace {

using cases::State;

constexpr std::string_view routes_text = R"(
[[isp]]
id = "hikari"
name = "Hikari"
track = "list"
  [[isp.prefix]]
  prefix = "203.0.113.0/25"
  from = 2020-11-01T00:00:00Z
  lease_hours = 24
  [[isp.prefix]]
  prefix = "203.0.113.20/32"
  from = 2020-11-01T00:00:00Z
  shared = true
)";

class Gate : public store::testing::BothStores {
 protected:
  void SetUp() override {
    BothStores::SetUp();
    registry.emplace(*db);
    ASSERT_TRUE(registry->migrate());
    book.emplace(*registry, codes);
    routes = *cases::Routes::parse(routes_text, "routes.toml");
    dir = std::filesystem::path(::testing::TempDir()) / ("nora_gate_" + std::to_string(::getpid()) + "_" + GetParam());
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
    auto opened = law::Audit::open(dir / "audit", "center", key, system.env());
    ASSERT_TRUE(opened) << opened.error().text();
    audit.emplace(std::move(*opened));
    knowledge = *Knowledge::load({std::string(NORA_SOURCE_DIR) + "/data", {}, {}});
    GateParts parts{system.env(), routes, codes, *audit, [this] { return knowledge; },
                    [](Ip ip) -> Status { return Prefix::parse("203.0.113.0/25")->contains(ip) ? Status{} : fail(Code::refused, "outside the mandate"); }, {}};
    GateOptions options;
    options.socket = dir / "gate";
    options.store = url();
    options.check_deadline = Span::seconds(5);
    auto started = PortalGate::start(std::move(parts), options);
    ASSERT_TRUE(started) << started.error().text();
    gate = std::move(*started);
  }
  void TearDown() override {
    if (node.joinable()) {
      stop = true;
      node.join();
    }
    gate.reset();
    audit.reset();
    std::filesystem::remove_all(dir);
    book.reset();
    registry.reset();
    BothStores::TearDown();
  }

  std::vector<json::Object> ask(const std::string& request) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (dir / "gate").string().copy(address.sun_path, sizeof address.sun_path - 1);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_TRUE(write_all(fd.get(), as_bytes(request + "\n")));
    std::string text;
    char bytes[4096];
    for (;;) {
      const auto n = ::recv(fd.get(), bytes, sizeof bytes, 0);
      if (n <= 0) break;
      text.append(bytes, static_cast<std::size_t>(n));
    }
    std::vector<json::Object> out;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find('\n', at);
      out.push_back(json::parse_object(text.substr(at, end - at)).value());
      at = end + 1;
    }
    return out;
  }
  std::vector<json::Object> check(std::string_view address, std::string_view code = {}) {
    json::Object o{{"op", "check"}, {"ip", std::string(address)}, {"consent", {{"at", system.env().clock.now().text()}, {"responsible", true}, {"text", "consent-1"}}}};
    if (!code.empty()) o["code"] = std::string(code);
    return ask(json::text(o));
  }
  static std::string error_of(const std::vector<json::Object>& answer) {
    if (answer.empty() || !answer[0].contains("error")) return "";
    return json::string_or(answer[0].at("error").as_object(), "code");
  }

  registry::ReplyRecord telnet(std::string_view address, std::string_view segment) {
    registry::ReplyRecord r;
    r.reply.protocol = "telnet";
    r.reply.bytes = to_bytes("LAN-W300NR login: ");
    r.reply.keys = {{"telnet_banners", "Logitec LAN-W300N/R Ver.2.27\r\n\r\nLAN-W300NR login:"}, {"telnet.prompt", "login"}};
    r.reply.hash = registry::reply_hash("telnet", r.reply.bytes);
    r.seen.where = {*Ip::parse(address), {23}, Proto::tcp, system.env().clock.now()};
    r.seen.reply_hash = r.reply.hash;
    r.seen.probe = "telnet";
    r.seen.segment = segment;
    return r;
  }
  // A surveyed device whose case the ISP has notified. Returns the code.
  std::string notified(std::string_view address) {
    EXPECT_TRUE(registry->put_replies({telnet(address, "s1/0")}));
    Pipeline pipeline(system.env(), *registry, *book, routes, knowledge);
    EXPECT_TRUE(pipeline.process_new());
    const auto findings = registry->findings_at(*Ip::parse(address)).value();
    EXPECT_FALSE(findings.empty());
    if (findings.empty()) return "";
    id = findings[0].case_id;
    const auto now = system.env().clock.now();
    const cases::Why isp{cases::Actor::isp, "isp:hikari", "", "", ""};
    EXPECT_TRUE(book->move(id, State::S2_ROUTED, {}, now));
    EXPECT_TRUE(book->move(id, State::S3_ATTRIBUTED, isp, now));
    EXPECT_TRUE(book->move(id, State::S4_NOTIFIED, isp, now));
    EXPECT_TRUE(book->mark_notified(id, now));
    return codes.of_case(id).code;
  }
  enum class Door { open, closed, silent };
  // The scan node: answers check jobs as the door stands.
  void start_node() {
    node = std::thread([this] {
      auto own = store::Db::open(url()).value();
      registry::Registry reg(*own);
      registry::Jobs jobs(*own);
      while (!stop) {
        auto job = jobs.lease({"check"}, "node", system.env().clock.now());
        if (!job || !*job) {
          system.env().clock.sleep(Span::ms(20));
          continue;
        }
        const auto& j = **job;
        const auto segment = "check-" + std::to_string(j.id) + "/0";
        const auto now = system.env().clock.now();
        (void)jobs.append_event(j.id, j.fence, now, R"({"step":"started"})");
        const Door d = door;
        (void)jobs.append_event(j.id, j.fence, now, d == Door::open ? R"({"step":"probe","what":"telnet","port":23,"proto":"tcp","result":"answered"})"
                                                                     : R"({"step":"probe","what":"telnet","port":23,"proto":"tcp","result":"closed"})");
        if (d == Door::open) (void)reg.put_replies({telnet(j.ip->text(), segment)});
        else (void)reg.put_outcomes({{*j.ip, {23}, Proto::tcp, "telnet", now, d == Door::closed ? "closed" : "silent", segment}});
        ++jobs_done;
        (void)jobs.finish(j.id, j.fence, true, "{}", now);
      }
    });
  }

  SystemEnv system{"gate_test"};
  FakeEnv fake;
  SigningKey key = SigningKey::make("center.example", fake.random);
  cases::Codes codes{Secret(Bytes(32, 7))};
  std::optional<registry::Registry> registry;
  std::optional<cases::CaseBook> book;
  cases::Routes routes;
  std::shared_ptr<const Knowledge> knowledge;
  std::filesystem::path dir;
  std::optional<law::Audit> audit;
  std::unique_ptr<PortalGate> gate;
  std::thread node;
  std::atomic<bool> stop{false};
  std::atomic<Door> door{Door::open};
  std::atomic<int> jobs_done{0};
  registry::Id id = 0;
};
NORA_ON_BOTH_STORES(Gate);

TEST_P(Gate, NoticeByCodeAndNothingElse) {
  const auto code = notified("203.0.113.10");
  const auto leaves = audit->state().size;
  auto answer = ask(R"({"op":"notice","code":")" + code + "\"}");
  ASSERT_EQ(answer.size(), 1u);
  auto view = exchange::notice_view(answer[0]);
  ASSERT_TRUE(view) << json::text(answer[0]);
  EXPECT_EQ(view->isp_name, "Hikari");
  EXPECT_EQ(view->findings.at(0).product, "LAN-W300N/R");
  EXPECT_EQ(view->findings.at(0).rule, "telnet-login");
  EXPECT_EQ(json::text(answer[0]).find("203.0.113"), std::string::npos) << "no address leaves";
  EXPECT_EQ(audit->state().size, leaves + 1);
  EXPECT_EQ((*book->get(id))->state, State::S5_ENGAGED);
  EXPECT_TRUE((*book->get(id))->opened_at);
  for (const char* bad : {R"({"op":"notice","code":"0000-0000-0000"})", R"({"op":"notice","code":"nonsense"})"}) EXPECT_EQ(error_of(ask(bad)), "not_found") << bad;
  for (const char* bad : {R"({"op":"list"})", R"({"op":"notice"})", "not json", R"({"op":5})"}) EXPECT_EQ(error_of(ask(bad)), "bad_input") << bad;
  EXPECT_EQ(audit->state().size, leaves + 1) << "guesses do not fill the log";
}

// What attackers use reaches the owner of this very device, by the surest word; what nobody uses does not.
TEST_P(Gate, AFlawInUseIsToldToItsOwnerOnly) {
  const auto code = notified("203.0.113.10");
  const auto view = [&] { return exchange::notice_view(ask(R"({"op":"notice","code":")" + code + "\"}")[0])->findings.at(0); };
  EXPECT_EQ(view().flaw, "");
  Vulnerabilities vulns(system.env(), *registry, knowledge->cpe_names, knowledge->products);
  const auto import = [&](const std::string& kind, const std::string& file, std::string_view end) {
    auto text = read_file(std::string(NORA_SOURCE_DIR) + "/src/expose/testdata/" + file).value();
    for (const auto& [from, to] : {std::pair<std::string, std::string>("kinmirai_denki", "logitec"), {"ctl-100", "lan-w300n\\\\/r"}, {"2.4", std::string(end)}})
      for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
    ASSERT_TRUE(replace_file(dir / file, text));
    const auto done = vulns.import(kind, dir / file);
    ASSERT_TRUE(done) << done.error().text();
    ASSERT_TRUE(vulns.reassess());
  };
  import("nvd", "nvd.json", "2.30");
  EXPECT_FALSE(registry::Vulns(*db).of_device(registry->findings_at(*Ip::parse("203.0.113.10")).value()[0].finding.device)->empty());
  EXPECT_EQ(view().flaw, "") << "known, but nobody uses it";
  import("kev", "kev.json", "2.30");
  EXPECT_EQ(view().flaw, "by_version");
  EXPECT_EQ(view().flaw_ids, std::vector<std::string>{"CVE-2026-90001"});
  auto device = *registry->device(registry->findings_at(*Ip::parse("203.0.113.10")).value()[0].finding.device).value();
  device.identity.firmware = {};
  ASSERT_TRUE(registry->put_device(device, "k", "v"));
  ASSERT_TRUE(vulns.reassess());
  EXPECT_EQ(view().flaw, "version_unknown");
  // Another product on another line: nothing of it.
  device.identity.product.value = "LAN-W999N";
  ASSERT_TRUE(registry->put_device(device, "k", "v"));
  ASSERT_TRUE(vulns.reassess());
  EXPECT_EQ(view().flaw, "");
}

TEST_P(Gate, AWithdrawnCodeLeadsNowhere) {
  const auto code = notified("203.0.113.10");
  ASSERT_TRUE(book->move(id, State::X_FP, {cases::Actor::person, "ops1", "", "", ""}, system.env().clock.now()));
  EXPECT_EQ(error_of(ask(R"({"op":"notice","code":")" + code + "\"}")), "not_found");
}

TEST_P(Gate, RedThenClosedForRealThenGreenAndTheCaseIsFixed) {
  const auto code = notified("203.0.113.10");
  start_node();
  auto red = check("203.0.113.10", code);
  ASSERT_GE(red.size(), 3u);
  EXPECT_EQ(json::string_or(red.front(), "step"), "started");
  EXPECT_EQ(json::string_or(red.back(), "verdict"), "red") << json::text(red.back());
  EXPECT_EQ((*book->get(id))->state, State::S5_ENGAGED);
  door = Door::silent;
  auto unknown = check("203.0.113.10", code);
  EXPECT_EQ(json::string_or(unknown.back(), "verdict"), "unknown") << "unplugged: not seen is not fixed";
  EXPECT_EQ((*book->get(id))->state, State::S5_ENGAGED);
  door = Door::closed;
  auto green = check("203.0.113.10", code);
  EXPECT_EQ(json::string_or(green.back(), "verdict"), "green") << json::text(green.back());
  const auto c = **book->get(id);
  EXPECT_EQ(c.state, State::S7_FIXED);
  EXPECT_TRUE(c.checked_at && c.fixed_at);
  EXPECT_TRUE(book->verify_chain(id));
  auto busy = check("203.0.113.10", code);
  EXPECT_EQ(json::string_or(busy.back(), "verdict"), "busy") << "three an hour";
  const auto steps = cases::funnel(*registry).value();
  EXPECT_EQ(steps.back().count, 1);
}

TEST_P(Gate, OnlyTheOwnLineAndOnlyInsideTheMandate) {
  const auto code = notified("203.0.113.10");
  start_node();
  EXPECT_EQ(json::string_or(check("198.51.100.9").back(), "verdict"), "not_ours");
  EXPECT_EQ(json::string_or(check("203.0.113.20").back(), "verdict"), "unknown") << "a shared address";
  EXPECT_EQ(jobs_done, 0) << "no packet for either";
  auto no_consent = ask(R"({"op":"check","ip":"203.0.113.10","consent":{"at":")" + system.env().clock.now().text() + R"(","responsible":false,"text":"c"}})");
  EXPECT_EQ(error_of(no_consent), "refused");
  EXPECT_EQ(error_of(ask(R"({"op":"check","ip":"203.0.113.10","consent":{"at":"2020-01-01T00:00:00Z","responsible":true,"text":"c"}})")), "refused");
  // The code typed at another line: that line is checked, the case does not move.
  door = Door::closed;
  auto other = check("203.0.113.11", code);
  EXPECT_EQ(json::string_or(other.back(), "verdict"), "green");
  EXPECT_EQ((*book->get(id))->state, State::S4_NOTIFIED);
}

TEST_P(Gate, WithoutANodeTheVerdictIsUnknown) {
  notified("203.0.113.10");
  auto answer = check("203.0.113.10");
  ASSERT_FALSE(answer.empty());
  EXPECT_EQ(json::string_or(answer.back(), "verdict"), "unknown");
}

TEST_P(Gate, TheOwnersWordIsKeptAndOrdersALook) {
  const auto code = notified("203.0.113.10");
  EXPECT_TRUE(json::bool_or(ask(R"({"op":"tell","code":")" + code + R"(","what":"stuck"})")[0], "ok", false));
  EXPECT_EQ((*book->get(id))->state, State::S5_ENGAGED);
  EXPECT_TRUE(json::bool_or(ask(R"({"op":"tell","code":")" + code + R"(","what":"unplugged"})")[0], "ok", false));
  EXPECT_EQ((*book->get(id))->state, State::S6U_USER_SAYS_FIXED);
  EXPECT_EQ(error_of(ask(R"({"op":"tell","code":")" + code + R"(","what":"drop table"})")), "bad_input");
  SchedulerParts parts{system.env(), routes, codes, [this] { return knowledge; }, {}};
  SchedulerOptions options;
  options.second_look_after = {};
  Pipeline pipeline(system.env(), *registry, *book, routes, knowledge);
  ASSERT_TRUE(Scheduler::work(parts, options, *registry, pipeline, *book));
  EXPECT_EQ((*book->get(id))->state, State::S6_VERIFYING);
  EXPECT_EQ(*registry::Jobs(*db).waiting("check"), 1);
  ASSERT_TRUE(Scheduler::work(parts, options, *registry, pipeline, *book));
  EXPECT_EQ(*registry::Jobs(*db).waiting("check"), 1) << "asked once";
}

TEST_P(Gate, SchedulerLooksAgainAtWhatWasSeenOnceAndKeepsTheNumbers) {
  auto record = telnet("203.0.113.30", "s1/0");
  record.seen.where.proto = Proto::udp;  // one datagram is one look
  record.seen.where.port = {5683};
  record.reply.protocol = "coap";
  record.reply.keys = {{"coap.core", "</a>;title=\"x\""}, {"coap.code", "2.05"}};
  record.reply.hash = record.seen.reply_hash = registry::reply_hash("coap", record.reply.bytes);
  ASSERT_TRUE(registry->put_replies({record}));
  registry::Survey survey;
  survey.id = "s1";
  survey.kind = "full";
  survey.started = record.seen.where.at;
  survey.finished = record.seen.where.at;
  ASSERT_TRUE(registry->put_survey(survey));
  SchedulerOptions options;
  options.store = url();
  options.period = Span::ms(30);
  options.second_look_after = {};
  auto scheduler = Scheduler::start({system.env(), routes, codes, [this] { return knowledge; }, {}}, options);
  ASSERT_TRUE(scheduler) << scheduler.error().text();
  registry::Jobs jobs(*db);
  std::optional<registry::Job> job;
  for (int i = 0; i < 100 && !job; ++i) {
    job = jobs.lease({"check"}, "node", system.env().clock.now()).value();
    system.env().clock.sleep(Span::ms(50));
  }
  ASSERT_TRUE(job) << "a second look was asked for";
  auto again = record;
  again.seen.where.at = system.env().clock.now();
  again.seen.segment = "check/0";
  ASSERT_TRUE(registry->put_replies({again}));
  ASSERT_TRUE(jobs.finish(job->id, job->fence, true, "", system.env().clock.now()));
  bool validated = false;
  for (int i = 0; i < 100 && !validated; ++i) {
    const auto all = book->find({}).value();
    validated = !all.empty() && all[0].state == State::S1_VALIDATED;
    system.env().clock.sleep(Span::ms(50));
  }
  EXPECT_TRUE(validated);
  EXPECT_EQ(cases::trend(*registry, "findings_seen")->size(), 1u);
}

}  // namespace
}  // namespace nora::flow
