// Other rules over a large history, and clusters of very many observations. Usage: history_bench [REPLIES] [OBSERVATIONS]
// 1. A store with REPLIES distinct replies (default 1,000,000, each with its keys and about 600 bytes) whose identifications are kept; a rule file
//    is added as naming a cluster adds it; measured: until the new name stands in the registry, on the machine's cores.
// 2. OBSERVATIONS (default 10,000,000) of the same distinct replies, clustered in one pass.
#include <fmt/format.h>

#include <sys/resource.h>

#include <ctime>
#include <filesystem>
#include <random>

#include "base/crypto.h"
#include "base/escape.h"
#include "base/files.h"
#include "flow/pipeline.h"
#include "identify/clusterer.h"
#include "registry/reply_scan.h"

using namespace nora;

namespace {

double now_s(clockid_t clock = CLOCK_MONOTONIC) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
long rss_mib() {
  const auto text = read_file("/proc/self/status", 1u << 16).value_or("");
  const auto at = text.find("VmRSS:");
  return at == std::string::npos ? 0 : std::strtol(text.c_str() + at + 6, nullptr, 10) / 1024;
}

registry::ReplyRecord reply(std::int64_t i, Instant at) {
  registry::ReplyRecord r;
  const auto family = i % 997;
  const bool wanted = i % 1000 == 500;
  r.reply.protocol = "http";
  r.reply.keys = {{"http.status", "200"},
                  {"http_header.server", fmt::format("httpd/{}.{}", family % 9, family % 31)},
                  {"html_title", wanted ? fmt::format("Kinmirai Router KR-{}", i % 7) : fmt::format("Unit {} of series {}", i, family)},
                  {"http.body_shape", to_hex(sha256(as_bytes(std::to_string(family)))).substr(0, 16)},
                  {"http.header_order", "date,server,content-type"}};
  std::string body = fmt::format("HTTP/1.1 200 OK\r\nServer: httpd\r\n\r\n<html><title>{}</title>", i);
  body.resize(600, '.');
  r.reply.bytes = to_bytes(body);
  r.reply.hash = registry::reply_hash("http", r.reply.bytes);
  // One line each: an IPv6 line is a /64.
  r.seen.where = {*Ip::parse(fmt::format("2001:db8:{:x}:{:x}::1", i >> 16, i & 0xffff)), Port{80}, Proto::tcp, at};
  r.seen.reply_hash = r.reply.hash;
  r.seen.probe = "http-get";
  r.seen.segment = "s/1";
  r.seen.request_bytes = 60;
  r.seen.reply_bytes = 600;
  return r;
}

int run(std::int64_t replies, std::int64_t observations) {
  const auto dir = std::filesystem::temp_directory_path() / fmt::format("history-bench-{}", ::getpid());
  std::filesystem::create_directories(dir / "rules");
  const auto url = "sqlite:" + (dir / "r.db").string();
  const auto check = [](const auto& result, std::string_view what) {
    if (!result) { fmt::print(stderr, "{}: {}\n", what, result.error().text()); std::exit(1); }
  };
  SystemEnv system("history-bench");
  const Env env = system.env();
  auto registry = registry::Registry::open(url);
  check(registry, "store");
  const auto codes = cases::Codes::open(dir / "codes.key", env.random);
  check(codes, "codes");
  cases::CaseBook book(*registry, *codes);
  const auto routes = cases::Routes::parse("[[isp]]\nid = \"demo\"\nname = \"Demo\"\ntrack = \"list\"\n[[isp.prefix]]\nprefix = \"2001:db8::/32\"\nfrom = 2026-01-01T00:00:00Z\nlease_hours = 24\n", "routes.toml");
  check(routes, "routes");
  const flow::KnowledgeDirs dirs{std::string(NORA_SOURCE_DIR) + "/data", {}, dir / "rules"};
  auto before = flow::Knowledge::load(dirs);
  check(before, "rules");
  flow::PipelineOptions options;
  options.store = url;
  flow::Pipeline pipeline(env, *registry, book, *routes, *before, options);
  double at = now_s();
  const auto when = env.clock.now();
  std::vector<registry::ReplyRecord> batch;
  for (std::int64_t i = 1; i <= replies; ++i) {
    batch.push_back(reply(i, when));
    if (batch.size() == 5000 || i == replies) { check(registry->put_replies(batch), "put"); batch.clear(); }
  }
  // Every reply has its kept identification, as after the work of earlier days.
  check(registry->db().write("INSERT INTO identification (reply_hash, rules_version, statements) SELECT hash, ?, '[]' FROM reply", {(*before)->version}), "identifications");
  // The devices that will get the name exist already, without one.
  for (std::int64_t i = 500; i <= replies; i += 1000) check(pipeline.reassess(reply(i, when).seen.where.ip), "device");
  const auto last = registry->db().one("SELECT max(id) FROM observation");
  check(registry->set_progress("flow.observation", last->integer()), "progress");
  fmt::print("history of {} distinct replies made in {:.1f} s, {} devices to be named\n", replies, now_s() - at, replies / 1000);
  std::fflush(stdout);
  for (int round = 0; round < 3; ++round) {
    check(replace_file(dir / "rules" / "named.xml", fmt::format(R"(<fingerprints matches="html_title" preference="0.95"><fingerprint pattern="^Kinmirai Router KR-[0-9]+$">
      <description>Kinmirai KR</description><example>Kinmirai Router KR-1</example><param pos="0" name="hw.vendor" value="Kinmirai"/><param pos="0" name="hw.product" value="KR{}"/>
      <param pos="0" name="hw.device" value="Router"/></fingerprint></fingerprints>)", round)), "rule");
    const double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
    at = now_s();
    auto after = flow::Knowledge::load(dirs);
    check(after, "rules");
    const double loaded = now_s() - at;
    const auto counts = pipeline.change_rules(*after);
    check(counts, "change");
    const double took = now_s() - at;
    const auto named = registry->db().one("SELECT count(*) FROM device WHERE vendor = 'Kinmirai' AND product = ?", {fmt::format("KR{}", round)});
    fmt::print("rule change {}: {:.2f} s ({:.2f} s CPU; rules loaded in {:.2f} s): {} replies read, {} identified again, {} addresses thought through, {} devices carry the name\n",
               round + 1, took, now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu, loaded, counts->replies_seen, counts->replies_again, counts->addresses, named->integer());
    std::fflush(stdout);
  }

  const long memory = rss_mib();
  at = now_s();
  double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
  identify::Clusterer clusterer;
  std::int64_t distinct = 0;
  check(registry::scan_replies(registry->db(), 0, 1, [&](const Hash&, registry::PackedKeys keys) -> Status {
    clusterer.begin_reply();
    for (std::string_view key, value; keys.next(key, value);) clusterer.feature(key, value);
    clusterer.end_reply();
    ++distinct;
    return {};
  }), "scan");
  const double reduced = now_s() - at;
  std::mt19937_64 random(1);
  for (std::int64_t i = 0; i < observations; ++i) clusterer.observed(i / 2 + 1, static_cast<std::uint32_t>(random() % static_cast<std::uint64_t>(distinct)));
  const auto groups = clusterer.finish();
  fmt::print("{} observations of {} distinct replies on {} devices clustered in {:.1f} s ({:.1f} s CPU, of it reading the replies {:.1f} s): {} clusters, {} MiB more than before\n", observations,
             distinct, observations / 2, now_s() - at, now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu, reduced, groups.size(), rss_mib() - memory);
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run(argc > 1 ? std::atoll(argv[1]) : 1'000'000, argc > 2 ? std::atoll(argv[2]) : 10'000'000); }
