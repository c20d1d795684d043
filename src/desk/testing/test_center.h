// A whole center in a temporary folder for the tests of the desk and for its browser test: store with devices, findings, cases, lists,
// surveys, sightings, a cluster, an on-site case; staff; audit log; mandate. Everything that a device says can be made hostile.
// Test support only. One thread fills it; afterwards any thread may serve from it.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cases/codes.h"
#include "desk/desk.h"
#include "http/static_files.h"
#include "law/audit.h"
#include "law/mandate.h"
#include "store/db.h"

namespace nora::desk::testing {

// The payloads of testdata/hostile.txt, decoded.
std::vector<std::string> hostile_payloads(const std::filesystem::path& file);

class TestCenter {
 public:
  struct Options {
    std::filesystem::path source;           // the source tree (messages, fingerprints, products)
    std::vector<std::string> hostile;       // one more device per payload, with the payload in every text
    std::int64_t suppress_below = default_suppress_below;
    std::string store;                      // URL; empty: SQLite in the folder of the center
    int many = 0;                           // that many more plain devices, for paging
  };
  static std::unique_ptr<TestCenter> make(Options options);
  ~TestCenter();

  http::Router& router() { return router_; }
  // Logs a user in by a fresh one-time link, as a browser would; returns the cookie "nora=…".
  std::string login(const std::string& user);
  std::string login_path(const std::string& user);   // "/login/…"
  http::Response get(const std::string& target, const std::string& cookie = {});
  http::Response post(const std::string& path, http::Fields form, const std::string& cookie, bool with_csrf = true);
  std::int64_t take_query_count() { return queries_.exchange(0); }
  std::vector<law::AuditEntry> leaves();             // of the center's log
  void reading_takes(Span each) { query_takes_us_ = each.us; }  // moves the clock with every query
  void break_audit(bool broken) { audit_broken_ = broken; }
  // Every page that the desk has for this data, for walking: paths without the language.
  std::vector<std::string> staff_paths() const;
  registry::Registry& registry() { return *registry_; }
  FakeClock& clock() { return fake_.clock; }
  const std::filesystem::path& dir() const { return dir_; }

  static constexpr const char* cluster = "c-0123456789";
  registry::Id onsite_case = 0, list_case = 0, camera = 0;

 private:
  class CountingDb;
  class TableNaming;
  TestCenter() = default;
  Status build(Options options);
  Status fill(const Options& options);
  Status fill_device(int number, const std::string& text, bool hostile);
  Status fill_vulns(registry::Id device, int number, const std::string& text, bool hostile);

  std::filesystem::path dir_;
  std::string url_;
  FakeEnv fake_;
  std::atomic<std::int64_t> queries_{0};
  std::atomic<std::int64_t> query_takes_us_{0};
  std::atomic<bool> audit_broken_{false};
  std::optional<registry::Registry> registry_;
  std::optional<Messages> messages_;
  std::optional<http::StaticFiles> files_;
  std::optional<StorePool> pool_;
  std::optional<DeskUsers> users_;
  std::optional<http::Csrf> csrf_;
  std::optional<http::Sessions> sessions_;
  std::optional<SigningKey> key_;
  std::optional<law::Audit> audit_;
  std::optional<law::Mandate> mandate_;
  std::optional<expose::Knowledge> knowledge_;
  std::shared_ptr<identify::RuleSet> rules_;
  std::unique_ptr<TableNaming> naming_;
  std::optional<Desk> desk_;
  http::Router router_;
  int devices_ = 0;
};

}  // namespace nora::desk::testing
