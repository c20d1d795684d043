#include "isp/party.h"

#include <sys/stat.h>

#include <algorithm>

#include <fmt/format.h>

#include "base/toml.h"

#include "base/files.h"
#include "isp/schema.h"

namespace nora::isp {
namespace {

constexpr std::size_t max_settings_bytes = 1 << 20;

std::string toml_text(std::string_view s) { return json::text(json::Value(s)); }  // a JSON string is a TOML basic string

bool plain_id(std::string_view s) {
  return !s.empty() && s.size() <= 40 && std::ranges::all_of(s, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; });
}

Error missing(const std::filesystem::path& file, Error cause) {
  if (cause.code == Code::not_found) cause.fix = fmt::format("Make the provider's directory first: nora isp init --dir {}", file.parent_path().string());
  return cause;
}

}  // namespace

Result<Settings> parse_settings(std::string_view text, const std::filesystem::path& dir) {
  auto parsed = toml::parse(text);
  if (!parsed) return fail(Code::bad_input, fmt::format("isp.toml line {}: {}", parsed.error().source().begin.line, parsed.error().description()));
  Settings s;
  s.match.log_error = {};
  for (auto&& [key, node] : parsed.table()) {
    auto k = key.str();
    auto wrong = [&] { return fail(Code::bad_input, fmt::format("isp.toml line {}: \"{}\" is unknown or has the wrong type", node.source().begin.line, k)); };
    auto str = node.value<std::string>();
    auto integer = node.value<std::int64_t>();
    auto boolean = node.value<bool>();
    std::string* texts[] = {&s.isp, &s.name_ja, &s.name_en, &s.phone, &s.page, &s.portal, &s.mail_from, &s.smtp, &s.store};
    std::string_view names[] = {"isp", "name_ja", "name_en", "phone", "page", "portal", "mail_from", "smtp", "store"};
    bool taken = false;
    for (std::size_t i = 0; i < std::size(names); ++i)
      if (k == names[i]) {
        if (!str || !node.is_string()) return wrong();
        *texts[i] = *str;
        taken = true;
      }
    if (taken) continue;
    if (k == "guard_ms" && integer && *integer >= 1000 && *integer <= 3'600'000) s.match.guard = Span::ms(*integer);
    else if (k == "log_error_ms" && integer && *integer >= 0 && *integer <= 3'600'000) s.match.log_error = Span::ms(*integer);
    else if (k == "blind_handles" && boolean) s.blind_handles = *boolean;
    else if (k == "nas" && node.is_table()) {
      for (auto&& [nas, entry] : *node.as_table()) {
        const auto* t = entry.as_table();
        if (!t) return wrong();
        NasSettings n{(*t)["coa"].value<std::string>().value_or(""), (*t)["secret_file"].value<std::string>().value_or("")};
        if (n.coa.empty() || n.secret_file.empty()) return wrong();
        if (n.secret_file.is_relative()) n.secret_file = dir / n.secret_file;
        s.nas[std::string(nas.str())] = n;
      }
    } else {
      return wrong();
    }
  }
  if (!plain_id(s.isp)) return fail(Code::bad_input, "isp.toml: \"isp\" is missing or not [a-z0-9.-]");
  if (s.store.empty()) s.store = "sqlite:" + (dir / "isp.db").string();
  return s;
}

std::string settings_text(const Settings& s) {
  std::string out = "# Settings of the provider's side of Nora (src/isp/README.md).\n";
  auto add = [&](std::string_view key, const std::string& v) { if (!v.empty()) out += fmt::format("{} = {}\n", key, toml_text(v)); };
  add("isp", s.isp);
  add("name_ja", s.name_ja);
  add("name_en", s.name_en);
  add("phone", s.phone);
  add("page", s.page);
  add("portal", s.portal);
  add("mail_from", s.mail_from);
  add("smtp", s.smtp);
  add("store", s.store);
  out += fmt::format("guard_ms = {}\nlog_error_ms = {}\nblind_handles = {}\n", s.match.guard.us / 1000, s.match.log_error.us / 1000, s.blind_handles);
  for (const auto& [nas, n] : s.nas) out += fmt::format("\n[nas.{}]\ncoa = {}\nsecret_file = {}\n", toml_text(nas), toml_text(n.coa), toml_text(n.secret_file.string()));
  return out;
}

Result<law::Grounds> Party::grounds() const {
  std::error_code ignored;
  if (!std::filesystem::exists(grounds_file(), ignored)) return law::Grounds{};
  return law::Grounds::load(grounds_file());
}

Result<std::string> init_party(const std::filesystem::path& dir, const Settings& settings, const PublicKey& center, Env env) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return fail(Code::failed, fmt::format("cannot make {}: {}", dir.string(), error.message()));
  ::chmod(dir.c_str(), 0700);
  NORA_TRY(auto checked, parse_settings(settings_text(settings), dir));
  if (!std::filesystem::exists(dir / "key", error)) NORA_CHECK(SigningKey::make(checked.isp, env.random).save(dir / "key"));
  NORA_CHECK(replace_file(dir / "center.vkey", center.text() + "\n", 0644));
  NORA_CHECK(replace_file(dir / "isp.toml", settings_text(settings), 0600));
  NORA_TRY(auto party, open_party(dir, env));
  NORA_CHECK(replace_file(dir / "key.vkey", party.key->public_key().text() + "\n", 0644));
  return party.key->public_key().text();
}

Result<Party> open_party(const std::filesystem::path& dir_given, Env env) {
  std::error_code ignored;
  auto dir = std::filesystem::absolute(dir_given, ignored).lexically_normal();
  auto text = read_file(dir / "isp.toml", max_settings_bytes);
  if (!text) return pass(missing(dir / "isp.toml", text.error()));
  NORA_TRY(auto settings, parse_settings(*text, dir));
  auto key = SigningKey::load(dir / "key");
  if (!key) return pass(missing(dir / "key", key.error()));
  auto vkey = read_file(dir / "center.vkey", 4096);
  if (!vkey) return pass(missing(dir / "center.vkey", vkey.error()));
  while (!vkey->empty() && (vkey->back() == '\n' || vkey->back() == '\r')) vkey->pop_back();
  NORA_TRY(auto center, PublicKey::parse(*vkey));
  NORA_TRY(auto db, store::Db::open(settings.store));
  NORA_CHECK(db->migrate("isp", migrations()));
  auto held = std::make_unique<SigningKey>(std::move(*key));
  NORA_TRY(auto audit, law::Audit::open(dir / "audit", settings.isp, *held, env));
  return Party{dir, std::move(settings), std::move(held), std::move(center), std::move(db), std::make_unique<law::Audit>(std::move(audit)), env};
}

Status approve_ground(Party& party, const law::Ground& g) {
  NORA_TRY(auto grounds, party.grounds());
  for (const auto& known : grounds.all())
    if (known.finding_class == g.finding_class && party.env.clock.now() < known.valid_until)
      return fail(Code::refused, fmt::format("class \"{}\" has a ground until {}", g.finding_class, known.valid_until.text()), "Remove it from grounds.toml first");
  std::string text = "# Grounds on which this provider looks up a subscriber. Written by `nora isp ground approve`.\n";
  auto all = grounds.all();
  std::erase_if(all, [&](const law::Ground& known) { return known.finding_class == g.finding_class; });
  all.push_back(g);
  for (const auto& one : all)
    text += fmt::format("\n[[ground]]\nclass = {}\nkind = {}\nreference = {}\nversion = {}\napproved_by = {}\napproved_at = {}\nvalid_until = {}\n", toml_text(one.finding_class),
                        toml_text(law::name(one.kind)), toml_text(one.reference), toml_text(one.version), toml_text(one.approved_by), toml_text(one.approved_at.text()),
                        toml_text(one.valid_until.text()));
  NORA_TRY(auto checked, law::Grounds::parse(text));
  NORA_TRY(auto leaf, party.audit->append("ground_approve", {{"class", g.finding_class}, {"kind", law::name(g.kind)}, {"reference", g.reference}, {"version", g.version},
                                                             {"by", g.approved_by}, {"until", g.valid_until.text()}}));
  (void)leaf;
  return replace_file(party.grounds_file(), text, 0600);
}

Result<law::Ground> ground_for(const law::Grounds& grounds, std::string_view finding_class, std::string_view rsit, Instant now) {
  auto by_class = grounds.find(finding_class, now);
  if (by_class || rsit.empty()) return by_class;
  auto by_rsit = grounds.find(rsit, now);
  return by_rsit ? by_rsit : by_class;
}

}  // namespace nora::isp
