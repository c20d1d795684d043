#include "cases/routes.h"

#include <fmt/format.h>

#include "base/toml.h"

#include "base/files.h"

namespace nora::cases {
namespace {

std::unexpected<Error> bad(std::string_view file, const toml::node& at, std::string_view what) {
  return fail(Code::bad_input, fmt::format("{}:{}: {}", file, at.source().begin.line, what));
}

Result<Instant> instant(std::string_view file, const toml::table& table, std::string_view key) {
  const auto* node = table.get(key);
  const auto* dt = node ? node->as_date_time() : nullptr;
  if (!dt) return bad(file, table, fmt::format("\"{}\" is missing or no date and time", key));
  const auto& v = dt->get();
  // A local time says nothing about the instant (trust.md section 11: texts without a zone are refused).
  if (!v.offset) return bad(file, *node, fmt::format("\"{}\" has no time zone", key));
  NORA_TRY(const auto local, Instant::parse(fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", v.date.year, v.date.month, v.date.day, v.time.hour,
                                                        v.time.minute, v.time.second)));
  return local - Span::minutes(v.offset->minutes);
}

Status only(std::string_view file, const toml::table& table, std::initializer_list<std::string_view> keys) {
  for (const auto& [key, value] : table)
    if (std::find(keys.begin(), keys.end(), key.str()) == keys.end()) return bad(file, value, fmt::format("unknown key \"{}\"", key.str()));
  return {};
}

Result<std::string> text(std::string_view file, const toml::table& table, std::string_view key) {
  if (const auto* s = table.get_as<std::string>(key)) return s->get();
  return bad(file, table, fmt::format("\"{}\" is missing or not a string", key));
}

bool overlap(Instant from_a, const std::optional<Instant>& to_a, Instant from_b, const std::optional<Instant>& to_b) {
  return (!to_b || from_a < *to_b) && (!to_a || from_b < *to_a);
}

}  // namespace

Result<Routes> Routes::load(const std::filesystem::path& file) {
  NORA_TRY(auto content, read_file(file, 16u << 20));
  return parse(content, file.filename().string());
}

Result<Routes> Routes::parse(std::string_view content, std::string_view file) {
  auto parsed = toml::parse(content, file);
  if (!parsed) return fail(Code::bad_input, fmt::format("{}:{}: {}", file, parsed.error().source().begin.line, parsed.error().description()));
  const toml::table root = std::move(parsed).table();
  NORA_CHECK(only(file, root, {"isp"}));
  Routes routes;
  const auto* isps = root["isp"].as_array();
  if (!isps) return bad(file, root, "no [[isp]] is named");
  for (const auto& node : *isps) {
    const auto* table = node.as_table();
    if (!table) return bad(file, node, "[[isp]] is no table");
    NORA_CHECK(only(file, *table, {"id", "name", "track", "key", "prefix"}));
    Isp isp;
    NORA_TRY(isp.id, text(file, *table, "id"));
    NORA_TRY(isp.name, text(file, *table, "name"));
    if (routes.isp(isp.id)) return bad(file, node, fmt::format("ISP \"{}\" stands twice", isp.id));
    if (isp.id.empty() || isp.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
      return bad(file, node, "an ISP id is made of a-z, 0-9 and -");
    NORA_TRY(auto track, text(file, *table, "track"));
    if (track != "list" && track != "on-site") return bad(file, node, "track is \"list\" or \"on-site\"");
    isp.on_site = track == "on-site";
    if (table->contains("key")) {
      NORA_TRY(auto key, text(file, *table, "key"));
      auto parsed_key = PublicKey::parse(key);
      if (!parsed_key) return bad(file, node, parsed_key.error().what);
      isp.key = *parsed_key;
    }
    const auto* prefixes = table->get_as<toml::array>("prefix");
    if (!prefixes) return bad(file, node, fmt::format("ISP \"{}\" has no [[isp.prefix]]", isp.id));
    for (const auto& p : *prefixes) {
      const auto* pt = p.as_table();
      if (!pt) return bad(file, p, "[[isp.prefix]] is no table");
      NORA_CHECK(only(file, *pt, {"prefix", "from", "to", "lease_hours", "shared"}));
      Entry e;
      NORA_TRY(auto prefix, text(file, *pt, "prefix"));
      auto block = Prefix::parse(prefix);
      if (!block) return bad(file, p, block.error().what);
      e.prefix = *block;
      NORA_TRY(e.from, instant(file, *pt, "from"));
      if (pt->contains("to")) { NORA_TRY(e.to, instant(file, *pt, "to")); }
      if (e.to && *e.to <= e.from) return bad(file, p, "\"to\" is not after \"from\"");
      if (const auto* hours = pt->get("lease_hours")) {
        const auto h = hours->value<std::int64_t>();
        if (!h || *h < 1 || *h > 24 * 365) return bad(file, p, "\"lease_hours\" is not 1 to 8760");
        e.lease = Span::hours(*h);
      }
      if (const auto* shared = pt->get("shared")) {
        if (!shared->is_boolean()) return bad(file, p, "\"shared\" is not true or false");
        e.shared = *shared->value<bool>();
      }
      e.isp = routes.isps_.size();
      for (const auto& other : routes.entries_)
        if (other.prefix == e.prefix && overlap(other.from, other.to, e.from, e.to))
          return bad(file, p, fmt::format("{} belongs to two ISPs at the same time", e.prefix.text()));
      routes.entries_.push_back(e);
      if (routes.entries_.size() > max_routes) return bad(file, p, "more than 100,000 prefixes");
    }
    routes.isps_.push_back(std::move(isp));
  }
  return routes;
}

std::optional<Route> Routes::route(Ip ip, Instant at) const {
  const Entry* best = nullptr;
  for (const auto& e : entries_) {
    if (!e.prefix.contains(ip) || at < e.from || (e.to && at >= *e.to)) continue;
    if (!best || e.prefix.length() > best->prefix.length()) best = &e;
  }
  if (!best) return std::nullopt;
  return Route{&isps_[best->isp], best->prefix, best->shared, best->lease};
}

const Isp* Routes::isp(std::string_view id) const {
  for (const auto& isp : isps_)
    if (isp.id == id) return &isp;
  return nullptr;
}

std::string line_key(Ip ip, Port port, bool shared) {
  if (!ip.is_v4()) return "net:" + Prefix::of(ip, 64).text();
  return "ip:" + ip.text() + (shared ? ":" + std::to_string(port.value) : "");
}

}  // namespace nora::cases
