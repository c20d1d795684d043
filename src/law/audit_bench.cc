// Cost of the audit log: the tree in memory beside a plain hash chain over the same bytes, a log on disk, proofs and their checks.
// Run: ninja audit_bench && bin/audit_bench [folder] (a Release build for figures). Must: 1 M leaves/s/core; a proof <= 1 KiB, checked <= 1 ms.
#include <chrono>
#include <cstdio>
#include <ctime>

#include "base/files.h"
#include "law/audit_proof.h"
#include "law/audit_verify.h"

namespace {
using namespace nora;
using namespace nora::law;

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }
double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
}  // namespace

int main(int argc, char** argv) {
  constexpr int leaves = 2'000'000;
  std::array<std::uint8_t, 64> entry{};
  for (int round = 0; round < 2; ++round) {
    double t = cpu_seconds();
    MerkleEdge edge;
    for (int i = 0; i < leaves; ++i) {
      entry[0] = static_cast<std::uint8_t>(i);
      edge.add(merkle_leaf(entry));
    }
    const Hash root = edge.root();
    const double tree = leaves / (cpu_seconds() - t);
    t = cpu_seconds();
    Hash chain{};
    for (int i = 0; i < leaves; ++i) {
      entry[0] = static_cast<std::uint8_t>(i);
      chain = sha256({ByteView(chain), ByteView(entry)});
    }
    std::printf("leaves of 64 bytes: tree %.2f M/s/core, plain chain %.2f M/s/core (%02x%02x)\n", tree / 1e6, leaves / (cpu_seconds() - t) / 1e6, root[0], chain[0]);
  }

  SystemEnv system("audit_bench");
  const Env env = system.env();
  const auto key = SigningKey::make("center.example", env.random);
  const PublicKey pub = key.public_key();
  const auto dir = std::filesystem::path(argc > 1 ? argv[1] : "/tmp") / "nora_audit_bench";
  std::filesystem::remove_all(dir);
  constexpr int batches = 40, batch = 5000;
  {
    auto log = Audit::open(dir, "center", key, env);
    if (!log) return std::fprintf(stderr, "%s\n", log.error().text().c_str()), 1;
    double t = wall_seconds();
    constexpr int singles = 300;
    for (int i = 0; i < singles; ++i)
      if (!log->append("lookup", {{"number", i}})) return 1;
    std::printf("append of one leaf, fsync included: %.2f ms\n", (wall_seconds() - t) * 1e3 / singles);
    std::vector<json::Object> acts(batch, json::Object{{"ip", "203.0.113.7"}, {"port", 80}, {"what", "a row of a list"}});
    t = wall_seconds();
    for (int i = 0; i < batches; ++i)
      if (!log->append_all("lookup", acts)) return 1;
    std::printf("append_all of %d: %.0f k leaves/s on disk\n", batch, batches * batch / (wall_seconds() - t) / 1e3);
  }
  double t = wall_seconds();
  constexpr int opens = 20;
  for (int i = 0; i < opens; ++i)
    if (!Audit::open(dir, "center", key, env)) return 1;
  const double open_ms = (wall_seconds() - t) * 1e3 / opens;
  t = wall_seconds();
  const auto report = audit_check(dir, pub, {});
  if (!report) return std::fprintf(stderr, "%s\n", report.error().text().c_str()), 1;
  const double verify_s = wall_seconds() - t;
  std::printf("log of %llu leaves: open %.2f ms, full check %.2f s (%.2f M leaves/s)\n", static_cast<unsigned long long>(report->state.size), open_ms, verify_s,
              static_cast<double>(report->state.size) / verify_s / 1e6);
  auto reader = AuditReader::open(dir, &pub);
  constexpr int proofs = 500;
  std::vector<std::string> texts;
  std::size_t hashes = 0;
  t = cpu_seconds();
  for (int i = 0; i < proofs; ++i) {
    const auto p = prove_leaf(dir, *reader, env.random.below(reader->size()), true);
    if (!p) return 1;
    hashes = std::max(hashes, p->path.size() * 32);
    texts.push_back(write_proof(*p));
  }
  const double prove_ms = (cpu_seconds() - t) * 1e3 / proofs;
  t = cpu_seconds();
  for (const auto& text : texts)
    if (!check_proof(*parse_proof(text), pub, {}, 0)) return 1;
  std::printf("proof: made in %.2f ms, %zu bytes of hashes, whole file %zu bytes, read and checked in %.3f ms\n", prove_ms, hashes, texts[0].size(), (cpu_seconds() - t) * 1e3 / proofs);
  std::filesystem::remove_all(dir);
  return 0;
}
