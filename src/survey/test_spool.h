// Test support: a survey that was, written without sending: plan, segment files and the leaves of an audit log, as the engine leaves them.
// Used by whodid_test.cc and whodid_bench.cc.
#pragma once

#include <filesystem>

#include "law/audit.h"
#include "survey/record.h"
#include "survey/test_plan.h"
#include "survey/whodid.h"

namespace nora::survey {

struct TestSpool {
  std::filesystem::path dir;
  FakeEnv fake;
  TestPlan setting;
  Plan plan;
  Permutation permutation;
  SigningKey key;
  std::optional<law::Audit> log;

  explicit TestSpool(std::filesystem::path at, law::MandateText text = test_mandate_text(), std::uint64_t segment_size = 256)
      : dir(std::move(at)), setting(std::move(text)), plan(make(segment_size)), permutation(plan.space.size(), plan.order), key(SigningKey::make("survey.example", fake.random)) {
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(spool() / "segments");
    fake.clock.set(*Instant::parse("2026-11-25T03:00:00Z"));
    (void)plan.save(spool());
    log.emplace(std::move(*law::Audit::open(audit(), "survey.example", key, fake.env())));
  }
  ~TestSpool() {
    log.reset();
    std::filesystem::remove_all(dir);
  }
  std::filesystem::path spool() const { return dir / "spool"; }
  std::filesystem::path audit() const { return dir / "audit"; }
  std::filesystem::path file(std::int64_t n) const { return spool() / "segments" / (std::to_string(n) + ".bin"); }
  std::string segment(std::int64_t n) const { return plan.survey + "/" + std::to_string(n); }
  std::uint64_t from(std::int64_t n) const { return static_cast<std::uint64_t>(n) * plan.segment_size; }
  std::uint64_t to(std::int64_t n) const { return std::min(from(n) + plan.segment_size, plan.space.size()); }

  void reserve(std::int64_t n) {
    (void)log->append("segment_reserved", {{"survey", plan.survey}, {"segment", segment(n)}, {"mandate", to_hex(plan.mandate)}, {"catalogue", to_hex(plan.catalogue)},
                                          {"order", to_hex(plan.order)}, {"from", from(n)}, {"to", to(n)}});
  }
  // The records of [from, to) of the permutation, one each `step`.
  Bytes records(std::uint64_t from, std::uint64_t to, Span step) {
    Bytes out;
    out.reserve((to - from) * record_bytes);
    for (auto i = from; i < to; ++i) {
      const auto point = plan.space.at(permutation.at(i));
      put(out, {fake.clock.now(), plan.space.record_address(point.ip), point.slot->port, setting.mandate.probes().find(point.slot->probe)->index});
      fake.clock.sleep(step);
    }
    return out;
  }
  void write(const std::filesystem::path& path, const Bytes& bytes) { (void)replace_file(path, as_text(bytes), 0600); }
  void commit(std::int64_t n, const Bytes& bytes) {
    fake.clock.sleep(Span::ms(200));
    (void)log->append("segment_committed", {{"survey", plan.survey}, {"segment", segment(n)}, {"sent", bytes.size() / record_bytes}, {"file", to_hex(sha256(bytes))}});
  }
  void send(std::int64_t n, Span step = Span::ms(10)) {
    reserve(n);
    const auto bytes = records(from(n), to(n), step);
    write(file(n), bytes);
    commit(n, bytes);
  }
  // When and how the first probe of this address was recorded in this segment.
  std::optional<Record> first(std::int64_t n, Ip ip) const {
    const auto text = read_file(file(n), std::size_t{1} << 30);
    if (!text) return std::nullopt;
    const auto records = read_records(as_bytes(*text));
    for (const auto& r : *records)
      if (r.dest == plan.space.record_address(ip)) return r;
    return std::nullopt;
  }
  Result<WhoDid> ask(Question q, const std::vector<std::filesystem::path>& dirs) {
    const PublicKey pub = key.public_key();
    NORA_TRY(auto reader, law::AuditReader::open(audit(), &pub));
    NORA_TRY(const auto sendings, read_sendings(reader));
    std::vector<SurveyFiles> surveys;
    if (!dirs.empty()) {
      NORA_TRY(surveys, find_surveys(dirs));
    }
    return who_did(q, {sendings, surveys, {&setting.mandate}, setting.catalogue, {}});
  }
  Result<WhoDid> ask(Question q) { return ask(q, {spool()}); }

 private:
  Plan make(std::uint64_t segment_size) {
    PlanOptions o;
    o.targets6 = {*Ip::parse("2001:db8:1000:83::83")};
    o.segment_size = segment_size;
    return *make_plan(setting.mandate, setting.catalogue, o, fake.env());
  }
};

}  // namespace nora::survey
