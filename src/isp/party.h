// Party: the provider's directory opened for work: settings, keys, store, audit log, grounds. Used by cmd_isp and pages. One per thread (it owns a Db).
// DIR holds isp.toml, key, center.vkey, grounds.toml, index/, audit/ and, by default, isp.db. Errors name the file and the command that makes it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/crypto.h"
#include "base/env.h"
#include "isp/match.h"
#include "law/audit.h"
#include "law/grounds.h"
#include "store/db.h"

namespace nora::isp {

struct NasSettings {
  std::string coa;                       // "203.0.113.131:3799"
  std::filesystem::path secret_file;     // shared secret, 0600, relative to DIR
};

// isp.toml, frozen after reading.
struct Settings {
  std::string isp;                       // id, also the name of the key
  std::string name_ja, name_en;          // as customers know the provider
  std::string phone;                     // the number that also stands on the bill
  std::string page;                      // the provider's own page that shows the same notice, as text
  std::string portal;                    // where the code is typed
  std::string mail_from;                 // notice@provider
  std::string smtp;                      // smtp://host:port
  std::string store;                     // store URL
  MatchOptions match;
  bool blind_handles = false;            // HMAC(campaign key, line) in returns; off where the law says no
  std::map<std::string, NasSettings> nas;  // by NAS-IP-Address or NAS-Identifier of the accounting records; "*" for all
};
// Errors: bad_input with the line. Unknown keys are errors.
Result<Settings> parse_settings(std::string_view toml, const std::filesystem::path& dir);
std::string settings_text(const Settings& settings);

struct Party {
  std::filesystem::path dir;
  Settings settings;
  std::unique_ptr<SigningKey> key;  // on the heap: the audit log refers to it
  PublicKey center;
  std::unique_ptr<store::Db> db;
  std::unique_ptr<law::Audit> audit;
  Env env;

  std::filesystem::path index_dir() const { return dir / "index"; }
  std::filesystem::path grounds_file() const { return dir / "grounds.toml"; }
  // The provider's grounds; an absent file holds none.
  Result<law::Grounds> grounds() const;
};

// Writes isp.toml, makes the key and migrates the store. Existing keys stay. Returns the provider's public key text for the center.
Result<std::string> init_party(const std::filesystem::path& dir, const Settings& settings, const PublicKey& center, Env env);
Result<Party> open_party(const std::filesystem::path& dir, Env env);

// The ground is appended to grounds.toml after its audit leaf. Errors: usage (unknown kind, missing reference), refused (class has a ground already: end it first).
Status approve_ground(Party& party, const law::Ground& ground);
// By finding class first, then by RSIT class. Errors: refused.
Result<law::Ground> ground_for(const law::Grounds& grounds, std::string_view finding_class, std::string_view rsit, Instant now);

}  // namespace nora::isp
