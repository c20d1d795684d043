// Test support: a log in a folder of its own, with a fake clock, seeded random numbers and a key; and the first layout as it was written.
// Used by the tests of the audit log and of its readers only.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/files.h"
#include "law/audit.h"
#include "law/checkpoint.h"

namespace nora::law {

struct AuditTest : testing::Test {
  // In memory where there is such a folder: these tests sync thousands of times.
  std::filesystem::path dir = std::filesystem::path(std::filesystem::exists("/dev/shm") ? "/dev/shm" : testing::TempDir()) / ("nora_audit_test_" + std::to_string(::getpid()));
  FakeEnv fake;
  SigningKey key = SigningKey::make("center.example", fake.random);
  AuditTest() { std::filesystem::remove_all(dir); }
  ~AuditTest() override { std::filesystem::remove_all(dir); }
  Result<Audit> open() { return Audit::open(dir, "center", key, fake.env()); }
  static json::Object data(int i) { return {{"number", i}, {"note", std::string(static_cast<std::size_t>(i % 7), 'x')}}; }
  static std::vector<json::Object> acts(int from, int to) {
    std::vector<json::Object> out;
    for (int i = from; i < to; ++i) out.push_back(data(i));
    return out;
  }
};

// Every file below a folder, and the way back.
using Snapshot = std::map<std::string, std::string>;
inline Snapshot snapshot(const std::filesystem::path& dir) {
  Snapshot out;
  for (const auto& at : std::filesystem::recursive_directory_iterator(dir))
    if (at.is_regular_file()) out[at.path().lexically_relative(dir).string()] = *read_file(at.path());
  return out;
}
inline void put_file(const std::filesystem::path& file, const std::string& content) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}
inline void restore(const std::filesystem::path& dir, const Snapshot& s) {
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  std::filesystem::permissions(dir, std::filesystem::perms::owner_all);
  for (const auto& [path, content] : s) put_file(dir / path, content);
}

// A log of the first layout with these texts, as the program before wrote it.
inline void write_first_layout(const std::filesystem::path& dir, const SigningKey& key, Random& random, const std::vector<std::string>& texts) {
  std::filesystem::create_directories(dir);
  Bytes entries, salts, data;
  MerkleEdge edge;
  for (const auto& text : texts) {
    std::array<std::uint8_t, 32> salt;
    random.fill(salt);
    const Hash entry = sha256({salt, as_bytes(text)});
    put_u16be(entries, 32);
    entries.insert(entries.end(), entry.begin(), entry.end());
    salts.insert(salts.end(), salt.begin(), salt.end());
    put_u32be(data, static_cast<std::uint32_t>(text.size()));
    data.insert(data.end(), text.begin(), text.end());
    edge.add(merkle_leaf(entry));
  }
  put_file(dir / "entries", to_string(entries));
  put_file(dir / "salts", to_string(salts));
  put_file(dir / "data", to_string(data));
  put_file(dir / "checkpoint", sign_note(Checkpoint{audit_origin("center"), texts.size(), edge.root(), {"data " + std::to_string(data.size())}}.text(), key));
}

}  // namespace nora::law
