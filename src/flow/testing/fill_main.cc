// nora-test-fill DIR: a center's directory as after a first survey of the demo's devices (identify/testdata/faces.ndjson), with the keys of two ISPs
// beside it (hikari.key, sakura.key), for the tests of the commands. The way of the replies runs; nothing is put into devices or cases by hand.
#include <cstdio>
#include <filesystem>

#include "base/files.h"
#include "flow/pipeline.h"
#include "flow/testing/faces_world.h"

namespace {

using namespace nora;

Status fill(const std::filesystem::path& dir) {
  SystemEnv system("nora-test-fill");
  auto env = system.env();
  std::filesystem::create_directories(dir);
  std::string routes;
  for (const char* who : {"center", "hikari", "sakura"}) {
    const auto key = SigningKey::make(std::string(who) + ".example", env.random);
    NORA_CHECK(key.save(dir / (std::string(who) + ".key")));
    NORA_CHECK(replace_file(dir / (std::string(who) + ".key.pub"), key.public_key().text() + "\n"));
    if (std::string_view(who) == "center") continue;
    routes += "[[isp]]\nid = \"" + std::string(who) + "\"\nname = \"" + who + "\"\ntrack = \"list\"\nkey = \"" + key.public_key().text() + "\"\n";
    routes += std::string("[[isp.prefix]]\nprefix = \"") + (who[0] == 'h' ? "203.0.113.0/25" : "198.51.100.0/26") + "\"\nfrom = 2020-01-01T00:00:00Z\nlease_hours = 24\n";
  }
  routes += "[[isp]]\nid = \"kinmirai\"\nname = \"Kinmirai\"\ntrack = \"on-site\"\n[[isp.prefix]]\nprefix = \"198.51.100.128/28\"\nfrom = 2020-01-01T00:00:00Z\n";
  NORA_CHECK(replace_file(dir / "routes.toml", routes));
  NORA_TRY(auto codes, cases::Codes::open(dir / "code.key", env.random));
  NORA_TRY(auto registry, registry::Registry::open("sqlite:" + (dir / "nora.db").string()));
  const auto now = env.clock.now();
  std::vector<registry::ReplyRecord> batch;
  for (const auto& face : identify::testing::load_faces())
    for (const auto& reply : face.replies) {
      NORA_TRY(const auto ip, Ip::parse(face.ip));
      batch.push_back(flow::testing::record_of(reply, ip, now, "first/0"));
    }
  NORA_CHECK(registry.put_replies(batch));
  NORA_TRY(const auto table, cases::Routes::load(dir / "routes.toml"));
  NORA_TRY(auto knowledge, flow::Knowledge::load({std::string(NORA_SOURCE_DIR) + "/data", {}, dir / "rules"}));
  cases::CaseBook book(registry, codes);
  flow::Pipeline pipeline(env, registry, book, table, std::move(knowledge));
  NORA_TRY(const auto counts, pipeline.process_new());
  std::printf("%lld devices, %lld findings, %lld cases\n", static_cast<long long>(counts.devices_new), static_cast<long long>(counts.findings_new),
              static_cast<long long>(counts.cases_new));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto done = fill(argv[1]);
  if (!done) std::fprintf(stderr, "%s\n", done.error().text().c_str());
  return done ? 0 : 1;
}
