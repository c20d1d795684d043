// Grounds of an ISP from TOML (law/grounds.h).
#include "law/grounds.h"

#include <fmt/format.h>

#include "base/toml.h"

#include <algorithm>

#include "base/files.h"

namespace nora::law {
namespace {

constexpr std::size_t max_grounds_bytes = 1u << 20;
struct KindName {
  GroundKind kind;
  std::string_view name;
};
constexpr KindName kinds[] = {{GroundKind::consent, "consent"},
                              {GroundKind::contract_terms, "contract-terms"},
                              {GroundKind::legitimate_business, "legitimate-business"},
                              {GroundKind::necessity, "necessity"},
                              {GroundKind::statute, "statute"}};

// "vulnerable/*" covers "vulnerable/ddos-amplifier".
bool covers(std::string_view pattern, std::string_view finding_class) {
  if (!pattern.ends_with("/*")) return pattern == finding_class;
  return finding_class.starts_with(pattern.substr(0, pattern.size() - 1)) && finding_class.size() > pattern.size() - 1;
}

bool class_text(std::string_view s) {
  if (s.ends_with("/*")) s.remove_suffix(2);
  return !s.empty() && s.size() <= 100 && std::all_of(s.begin(), s.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '/';
         });
}

}  // namespace

std::string_view name(GroundKind kind) { return kinds[static_cast<std::size_t>(kind)].name; }

Result<GroundKind> parse_ground_kind(std::string_view text) {
  for (const auto& k : kinds)
    if (k.name == text) return k.kind;
  return fail(Code::bad_input, fmt::format("\"{}\" is not a kind of ground (consent, contract-terms, legitimate-business, necessity, statute)", text));
}

Result<Grounds> Grounds::load(const std::filesystem::path& file) {
  NORA_TRY(const std::string text, read_file(file, max_grounds_bytes));
  auto out = parse(text);
  if (!out) return fail(out.error().code, fmt::format("{}: {}", file.string(), out.error().what), out.error().fix);
  return out;
}

Result<Grounds> Grounds::parse(std::string_view toml) {
  if (toml.size() > max_grounds_bytes) return fail(Code::bad_input, "the grounds file is longer than 1 MiB");
  const auto parsed = toml::parse(toml);
  if (!parsed) return fail(Code::bad_input, fmt::format("line {}: {}", parsed.error().source().begin.line, parsed.error().description()));
  Grounds out;
  const toml::array* list = parsed.table()["ground"].as_array();
  if (!list) return fail(Code::bad_input, "there is no [[ground]] in the file");
  for (const auto& node : *list) {
    const toml::table* t = node.as_table();
    const auto wrong = [&](std::string_view why) { return fail(Code::bad_input, fmt::format("line {}: {}", node.source().begin.line, why)); };
    if (!t) return wrong("[[ground]] is not a table");
    if (out.grounds_.size() >= max_grounds) return wrong("more than 1000 grounds");
    const auto text = [&](std::string_view key) { return (*t)[key].value<std::string>().value_or(""); };
    Ground g;
    g.finding_class = text("class");
    if (!class_text(g.finding_class)) return wrong("\"class\" is an RSIT class like vulnerable/ddos-amplifier, or ends in /*");
    const auto kind = parse_ground_kind(text("kind"));
    if (!kind) return wrong(kind.error().what);
    g.kind = *kind;
    g.reference = text("reference");
    g.version = text("version");
    g.approved_by = text("approved_by");
    if (g.reference.empty()) return wrong("\"reference\" is missing: the clause, consent form, memo or article");
    if (g.kind == GroundKind::contract_terms && g.version.empty()) return wrong("contract terms need a \"version\"");
    if (g.approved_by.empty()) return wrong("\"approved_by\" is missing");
    const auto at = Instant::parse(text("approved_at")), until = Instant::parse(text("valid_until"));
    if (!at || !until) return wrong("\"approved_at\" and \"valid_until\" are texts like \"2026-11-25T00:00:00Z\"");
    g.approved_at = *at;
    g.valid_until = *until;
    if (!(g.approved_at < g.valid_until)) return wrong("\"valid_until\" is not later than \"approved_at\"");
    if (std::any_of(out.grounds_.begin(), out.grounds_.end(), [&](const Ground& o) { return o.finding_class == g.finding_class; }))
      return wrong("this class stands twice");
    out.grounds_.push_back(std::move(g));
  }
  return out;
}

Result<Ground> Grounds::find(std::string_view finding_class, Instant now) const {
  const Ground* best = nullptr;
  for (const Ground& g : grounds_)
    if (covers(g.finding_class, finding_class) && (!best || g.finding_class == finding_class || g.finding_class.size() > best->finding_class.size())) {
      best = &g;
      if (g.finding_class == finding_class) break;
    }
  if (!best) return fail(Code::refused, fmt::format("no ground is recorded for looking up findings of class \"{}\"", finding_class), "The ISP's legal owner adds a [[ground]] to the grounds file, or the class stays without notices.");
  if (now < best->approved_at) return fail(Code::refused, fmt::format("the ground for class \"{}\" is not in force before {}", finding_class, best->approved_at.text()));
  if (now >= best->valid_until) return fail(Code::refused, fmt::format("the ground for class \"{}\" ended at {}", finding_class, best->valid_until.text()), "Have it approved again.");
  return *best;
}

}  // namespace nora::law
