// PrivatePostgres: a real PostgreSQL 15 for tests, from the build tree's private root (never the system's own): its own data directory and
// Unix socket under a temporary folder, gone when the object dies. Used by the conformance suites of store and registry.
// PostgreSQL refuses uid 0, so as root it runs in a user namespace that maps root to uid 1000 (seen to work on Debian 12).
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace nora::store::testing {

class PrivatePostgres {
 public:
  // binary_root: the folder that holds usr/lib/postgresql/15/bin. Starts in about 2 s. Errors: environment.
  static Result<PrivatePostgres> start(const std::filesystem::path& binary_root);
  PrivatePostgres(PrivatePostgres&& other) noexcept;
  ~PrivatePostgres();
  // A fresh, empty database of this name; returns its URL.
  Result<std::string> new_database(const std::string& name);
  void kill_hard();        // SIGKILL, as a crash of the server
  Status start_again();    // on the same data

 private:
  PrivatePostgres() = default;
  Status serve();
  std::filesystem::path bin_, dir_;
  int pid_ = -1;
};

}  // namespace nora::store::testing
