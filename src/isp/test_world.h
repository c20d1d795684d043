// Helpers of the isp tests: writes detail records as FreeRADIUS does, imports texts into a temporary index, asks questions.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include "base/crypto.h"
#include "base/files.h"
#include "isp/import.h"
#include "isp/match.h"

namespace nora::isp::testing {

inline const Instant noon = *Instant::parse("2026-11-23T12:00:00Z");
inline Instant at(std::int64_t seconds) { return noon + Span::seconds(seconds); }

class TempDir {
 public:
  TempDir() {
    // In memory where possible: these tests fsync some thousand times.
    std::error_code ignored;
    auto base = std::filesystem::is_directory("/dev/shm", ignored) ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
    auto name = (base / "nora-isp-XXXXXX").string();
    if (!::mkdtemp(name.data())) ADD_FAILURE() << "mkdtemp";
    path_ = name;
  }
  ~TempDir() { std::error_code ignored; std::filesystem::remove_all(path_, ignored); }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(std::string_view name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

inline std::string radius_time(Instant t) {
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  auto text = Instant{t.us / 1'000'000 * 1'000'000}.text();  // 2026-11-23T12:00:00Z
  return fmt::format("{} {} {} {} UTC", months[std::stoi(text.substr(5, 2)) - 1], text.substr(8, 2), text.substr(0, 4), text.substr(11, 8));
}

struct Detail {
  std::string type = "Start", session = "S1", user = "alice@hikari.example", ip = "203.0.113.10", nas = "203.0.113.131", port = "", station = "";
  Instant event = noon;
  std::int64_t session_time = -1, received_after = 0, delay = 0;
  std::string extra = {};  // more attribute lines, with tab and newline
  std::string text() const {
    std::string s = "Mon Nov 23 12:00:00 2026\n";
    auto add = [&](std::string_view name, std::string_view v) { s += fmt::format("\t{} = {}\n", name, v); };
    add("Acct-Status-Type", type);
    add("NAS-IP-Address", nas);
    add("Acct-Session-Id", fmt::format("\"{}\"", session));
    if (!user.empty()) add("User-Name", fmt::format("\"{}\"", user));
    if (!ip.empty()) add("Framed-IP-Address", ip);
    if (!port.empty()) add("NAS-Port-Id", fmt::format("\"{}\"", port));
    if (!station.empty()) add("Calling-Station-Id", fmt::format("\"{}\"", station));
    if (session_time >= 0) add("Acct-Session-Time", std::to_string(session_time));
    s += extra;
    add("Event-Timestamp", fmt::format("\"{}\"", radius_time(event)));
    add("Acct-Delay-Time", std::to_string(delay));
    add("Timestamp", std::to_string(event.us / 1'000'000 + received_after));
    return s + "\n";
  }
};

// An index made of the given file texts.
class World {
 public:
  explicit World(const std::vector<std::string>& texts, Instant covered = at(1'000'000)) {
    for (const auto& t : texts) add(t, covered);
  }
  FileReport add(const std::string& text, Instant covered = at(1'000'000)) {
    auto file = dir.write(fmt::format("log{}", ++files_), text);
    auto writer = IndexWriter::open(dir.path() / "index");
    EXPECT_TRUE(writer) << (writer ? "" : writer.error().text());
    std::vector<Customer> customers;
    auto report = import_file(file, *writer, customers);
    EXPECT_TRUE(report) << (report ? "" : report.error().text());
    state = *writer->commit(covered);
    return report ? *report : FileReport{};
  }
  MatchAnswer ask(std::string_view ip, Instant t, int port = 80, Span error = Span{}) const {
    auto reader = LeaseReader::open(dir.path() / "index");
    EXPECT_TRUE(reader) << (reader ? "" : reader.error().text());
    MatchQuestion q{{*Ip::parse(ip), {static_cast<std::uint16_t>(port)}, Proto::tcp, t}, port != 0, error};
    return Matcher(*reader, {}).match(q);
  }
  TempDir dir;
  IndexState state;

 private:
  int files_ = 0;
};

// "unique alice", "ambiguous two_lines", …
inline std::string brief(const MatchAnswer& a) {
  return a.unique ? fmt::format("unique {}", a.unique->line().reveal()) : fmt::format("{} {}", name(a.status), a.reason);
}

}  // namespace nora::isp::testing
