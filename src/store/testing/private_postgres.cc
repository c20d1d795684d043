#include "store/testing/private_postgres.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "base/files.h"
#include "store/db.h"

namespace nora::store::testing {
namespace {

int spawn(std::vector<std::string> args, const std::filesystem::path& log) {
  if (::geteuid() == 0) {
    const std::vector<std::string> front{"unshare", "--user", "--map-user=1000", "--map-group=1000"};
    args.insert(args.begin(), front.begin(), front.end());
  }
  const int pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(out, 1);
  ::dup2(out, 2);
  std::vector<char*> argv;
  for (auto& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

std::string url_of(const std::filesystem::path& dir, const std::string& database) {
  std::string host;
  for (char c : dir.string()) host += c == '/' ? "%2F" : std::string(1, c);
  return fmt::format("postgresql://nora@{}/{}", host, database);
}

}  // namespace

Result<PrivatePostgres> PrivatePostgres::start(const std::filesystem::path& binary_root) {
  const auto bin = binary_root / "usr/lib/postgresql/15/bin";
  if (!std::filesystem::exists(bin / "postgres")) {
    return fail(Code::environment, fmt::format("no PostgreSQL in {}", binary_root.string()), "run `make standins`");
  }
  char name[] = "/tmp/nora-pg-XXXXXX";
  if (::mkdtemp(name) == nullptr) return fail(Code::environment, "cannot make a temporary folder");
  PrivatePostgres pg;
  pg.dir_ = name;
  const auto log = pg.dir_ / "log";
  const auto tail = [&] { return read_file(log).value_or("").substr(0, 2000); };
  int status = 0;
  const int init = spawn({(bin / "initdb").string(), "-D", (pg.dir_ / "data").string(), "-U", "nora", "-A", "trust", "-E", "UTF8", "--locale=C",
                          "--no-sync", "-L", (binary_root / "usr/share/postgresql/15").string()}, log);
  ::waitpid(init, &status, 0);
  if (status != 0) return fail(Code::environment, "initdb failed: " + tail());
  pg.bin_ = bin;
  NORA_CHECK(pg.serve());
  return pg;
}

Status PrivatePostgres::serve() {
  const auto log = dir_ / "log";
  pid_ = spawn({(bin_ / "postgres").string(), "-D", (dir_ / "data").string(), "-k", dir_.string(), "-c", "listen_addresses=", "-c", "fsync=off",
                "-c", "jit=off", "-c", "max_connections=50"}, log);
  constexpr int tries_max = 200;
  for (int i = 0; i < tries_max; ++i) {
    if (Db::open(url_of(dir_, "postgres"))) return {};
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return fail(Code::environment, "PostgreSQL did not start: " + read_file(log).value_or("").substr(0, 2000));
}

void PrivatePostgres::kill_hard() {
  if (pid_ <= 0) return;
  // The postmaster's children end when they miss it.
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Status PrivatePostgres::start_again() {
  std::error_code error;
  constexpr int tries_max = 100;
  for (int i = 0;; ++i) {  // its shared memory is free once the last child has ended
    std::filesystem::remove(dir_ / "data/postmaster.pid", error);
    if (auto up = serve(); up || i == tries_max) return up;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

PrivatePostgres::PrivatePostgres(PrivatePostgres&& other) noexcept : bin_(std::move(other.bin_)), dir_(std::move(other.dir_)), pid_(std::exchange(other.pid_, -1)) { other.dir_.clear(); }

PrivatePostgres::~PrivatePostgres() {
  if (pid_ > 0) {
    ::kill(pid_, SIGINT);  // fast shutdown
    int status = 0;
    for (int i = 0; i < 100 && ::waitpid(pid_, &status, WNOHANG) == 0; ++i) {
      if (i == 60) ::kill(pid_, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  std::error_code error;
  if (!dir_.empty()) std::filesystem::remove_all(dir_, error);
}

Result<std::string> PrivatePostgres::new_database(const std::string& name) {
  NORA_TRY(auto db, Db::open(url_of(dir_, "postgres")));
  NORA_CHECK(db->exec(fmt::format("DROP DATABASE IF EXISTS {}", name)));
  NORA_CHECK(db->exec(fmt::format("CREATE DATABASE {}", name)));
  return url_of(dir_, name);
}

}  // namespace nora::store::testing
