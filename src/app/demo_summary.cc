// The end of the demo: counts from the wire counter, the stores and the mail spools, compared with the truth file, which nothing
// before this point has read.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "app/demo.h"
#include "app/demo_mail.h"
#include "base/files.h"
#include "store/db.h"

namespace nora::app {
namespace {

struct TrueDevice {
  std::string id, isp, product, line, pattern;
  std::vector<std::string> addresses;
  bool known = false;
};

struct Truth {
  std::vector<TrueDevice> devices;
  std::string infected;
};

Result<Truth> read_truth(const DemoOptions& options) {
  // Installed beside data/, or in the source tree.
  std::filesystem::path file = options.data / "truth.json";
  std::error_code ec;
  if (!std::filesystem::exists(file, ec)) file = options.data.parent_path() / "neighbourhood/truth.json";
  NORA_TRY(auto text, read_file(file));
  NORA_TRY(auto o, json::parse_object(text));
  NORA_TRY(auto list, json::get_array(o, "devices"));
  Truth truth;
  NORA_TRY(truth.infected, json::get_string(o, "infected"));
  for (const auto& value : list) {
    const auto& d = value.as_object();
    TrueDevice t{json::string_or(d, "id"), json::string_or(d, "isp"), json::string_or(d, "product"), json::string_or(d, "line"), json::string_or(d, "pattern"), {}, json::bool_or(d, "known", false)};
    NORA_TRY(auto addresses, json::get_array(d, "addresses"));
    for (const auto& a : addresses) t.addresses.emplace_back(a.as_string());
    truth.devices.push_back(std::move(t));
  }
  return truth;
}

// One device row of the center with the addresses at which it was seen.
struct Found {
  std::string product;
  std::set<std::string> addresses;
};

Result<std::map<std::int64_t, Found>> found_devices(store::Db& db) {
  std::map<std::int64_t, Found> out;
  NORA_TRY(auto rows, db.query("SELECT d.id, d.product, e.ip FROM device d JOIN device_endpoint e ON e.device = d.id WHERE d.merged_into = 0"));
  for (const auto& r : rows) {
    auto& f = out[r[0].integer()];
    f.product = r[1].str();
    f.addresses.insert(r[2].ip().text());
  }
  return out;
}

Result<std::int64_t> count(store::Db& db, std::string_view sql) {
  NORA_TRY(auto value, db.one(sql));
  return value.is_null() ? 0 : value.integer();
}

}  // namespace

Result<json::Object> demo_summary(DemoSession& s, bool& held) {
  NORA_TRY(auto truth, read_truth(s.options()));
  NORA_TRY(auto db, store::Db::open(s.store()));
  json::Object out;
  auto must = [&](bool good, std::string_view what) {
    if (good) return;
    held = false;
    s.say(fmt::format("FAIL    Truth      {}", what));
  };

  // Devices.
  NORA_TRY(auto found, found_devices(*db));
  std::int64_t hits = 0, false_devices = 0, products = 0;
  std::set<std::int64_t> explained;
  for (const auto& t : truth.devices) {
    std::vector<std::int64_t> rows;
    for (const auto& [id, f] : found)
      if (std::ranges::any_of(t.addresses, [&](const auto& a) { return f.addresses.contains(a); })) rows.push_back(id);
    if (rows.empty()) {
      must(false, fmt::format("{} was not found", t.id));
      continue;
    }
    ++hits;
    explained.insert(rows.begin(), rows.end());
    // Two rows for one device are one too many, also when its two address families were not joined.
    false_devices += static_cast<std::int64_t>(rows.size()) - 1;
    if (rows.size() > 1) must(false, fmt::format("{} appears as {} devices", t.id, rows.size()));
    bool named = std::ranges::any_of(rows, [&](auto id) { return found[id].product == t.product; });
    if (t.known && named) ++products;
    if (t.known && !named) must(false, fmt::format("{} is {}, but was called \"{}\"", t.id, t.product, found[rows[0]].product));
  }
  for (const auto& [id, f] : found)
    if (!explained.contains(id)) {
      ++false_devices;
      must(false, fmt::format("a device at {} that does not exist", f.addresses.empty() ? "?" : *f.addresses.begin()));
    }
  out["devices_true"] = truth.devices.size();
  out["devices_found"] = hits;
  out["false_devices"] = false_devices;

  // The wire.
  auto wire_text = read_file(s.state() / "wire.json").value_or("{}");
  NORA_TRY(auto wire, json::parse_object(wire_text));
  auto outside = json::int_or(wire, "outside", -1), credential_bytes = json::int_or(wire, "credential_bytes", -1);
  out["frames_outside_mandate"] = outside;
  out["credential_bytes_sent"] = credential_bytes;
  must(outside == 0 && json::int_or(wire, "frames", 0) > 0, fmt::format("the wire: {}", wire_text));
  must(credential_bytes == 0, "credentials were sent");
  must(json::int_or(wire, "dropped", 0) == 0, "the wire counter lost frames: its zero proves nothing");
  out["wire"] = wire;
  // What arrived at the two homes that must never be touched.
  json::Object untouched;
  for (std::string netns : {"hk-excluded", "outside"}) {
    NORA_TRY(auto done, neighbourhood::run({.argv = {"cat", "/proc/self/net/dev"}, .netns = netns}));
    std::int64_t packets = -1;
    if (auto at = done.out.find("eth0:"); at != std::string::npos) {
      long long bytes = 0, n = 0;
      if (std::sscanf(done.out.c_str() + at + 5, "%lld %lld", &bytes, &n) == 2) packets = n;
    }
    untouched[netns] = packets;
    must(packets == 0, fmt::format("{} packets reached {}", packets, netns));
  }
  out["packets_at_untouchable"] = untouched;

  out["identified_products"] = products;
  out["clusters"] = json::int_or(s.measured, "clusters", 0);
  NORA_TRY(out["findings"], count(*db, "SELECT COUNT(*) FROM finding"));
  json::Object patterns;
  for (std::string p : {"A", "B", "C", "D"}) {
    NORA_TRY(auto n, db->one("SELECT COUNT(*) FROM finding WHERE pattern = ?", {p}));
    patterns[p] = n.integer();
  }
  out["by_pattern"] = patterns;
  for (const auto& t : truth.devices) {
    bool seen = false;
    for (const auto& a : t.addresses) {
      NORA_TRY(auto n, db->one("SELECT COUNT(*) FROM finding WHERE pattern = ? AND ip = ?", {t.pattern, *Ip::parse(a)}));
      seen = seen || n.integer() > 0;
    }
    must(seen, fmt::format("no finding of pattern {} for {}", t.pattern, t.id));
  }

  // Lists, lines, mails.
  NORA_TRY(out["lists"], count(*db, "SELECT COUNT(*) FROM list"));
  std::int64_t wrong = 0, ambiguous = 0, notices = 0;
  for (std::string isp : {"hikari", "sakura"}) {
    NORA_TRY(auto text, s.nora(isp, {"isp", "rows", "--dir", s.dir(isp).string()}));
    std::set<std::string> right_mails;
    std::map<std::string, std::string> right_line;
    for (const auto& t : truth.devices)
      if (t.isp == isp)
        for (const auto& a : t.addresses) right_line[a] = t.line;
    std::map<std::string, std::string> mail_of;
    for (const auto& l : neighbourhood::lines_of(isp)) mail_of[l.line] = l.mail;
    std::set<std::string> settled;
    for (std::size_t at = 0; at < text.size();) {
      auto end = std::min(text.find('\n', at), text.size());
      NORA_TRY(auto row, json::parse_object(std::string_view(text).substr(at, end - at)));
      at = end + 1;
      auto ip = json::string_or(row, "ip"), line = json::string_or(row, "line"), state = json::string_or(row, "state");
      if (state == "ambiguous") {
        ++ambiguous;
        must(right_line[ip] == "ambiguous", fmt::format("{} was called ambiguous", ip));
      }
      if (line.empty()) continue;
      settled.insert(ip);
      if (right_line[ip] != line) {
        ++wrong;
        must(false, fmt::format("{} was matched to {}, its line is {}", ip, line, right_line[ip]));
      } else {
        right_mails.insert(mail_of[line]);
      }
    }
    for (const auto& [ip, line] : right_line)
      if (line != "ambiguous" && ip.find(':') == std::string::npos) must(settled.contains(ip), fmt::format("{} was not matched to its line {}", ip, line));
    NORA_TRY(auto mails, read_spool(s.world().isp().mail(isp)));
    notices += static_cast<std::int64_t>(mails.size());
    for (const auto& m : mails)
      if (!right_mails.contains(m.to)) {
        ++wrong;
        must(false, fmt::format("a mail went to {}", m.to));
      }
  }
  out["notices_sent"] = notices;
  out["wrong_lines"] = wrong;
  out["ambiguous"] = ambiguous;
  must(notices > 0 && ambiguous > 0, "no mail, or the doubled account was not noticed");

  out["selfcheck_seconds"] = s.measured.contains("selfcheck_seconds") ? s.measured["selfcheck_seconds"] : json::Value(-1);
  NORA_TRY(out["fixed_proven"], count(*db, "SELECT COUNT(*) FROM cases WHERE fixed_at IS NOT NULL"));
  out["isolated_and_released"] = json::int_or(s.measured, "isolated_and_released", 0);
  NORA_TRY(out["onsite_cases"], count(*db, "SELECT COUNT(*) FROM cases WHERE track = 'on-site' AND merged_into = 0"));
  NORA_TRY(auto joined, db->one("SELECT COUNT(*) FROM sighting s JOIN sighting_join j ON j.sighting = s.id WHERE s.ip = ? AND j.device <> 0", {*Ip::parse(truth.infected)}));
  out["sighting_joined"] = joined.integer();
  must(joined.integer() > 0, "the attack was not joined to the infected device");
  out["audit_ok"] = json::bool_or(s.measured, "audit_ok", false);
  out["seconds"] = s.seconds();
  out["failed_steps"] = s.failed_steps();
  must(hits == static_cast<std::int64_t>(truth.devices.size()) && false_devices == 0 && wrong == 0, "the counts differ from the truth");
  return out;
}

}  // namespace nora::app
