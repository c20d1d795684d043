#include "expose/vuln.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/escape.h"
#include "expose/version_order.h"

namespace nora::expose {
namespace {

enum class Tri { no, unknown, yes };
struct Answer {
  Tri tri = Tri::no;
  bool vulnerable = false;   // a criterion that makes affected took part, not only context
  std::string reason;
  Doubt doubt = Doubt::none; // of unknown
};

std::string range_words(const CpeMatch& m) {
  std::string out;
  const auto add = [&](std::string_view word, const std::string& bound) {
    if (bound.empty()) return;
    if (!out.empty()) out += " and ";
    out += fmt::format("{} {}", word, bound);
  };
  add("from", m.start_including);
  add("after", m.start_excluding);
  add("up to and including", m.end_including);
  add("before", m.end_excluding);
  const auto& version = m.cpe[CpeField::version];
  if (out.empty() && version.is_text()) out = "version " + version.plain();
  if (out.empty() && !m.version_text.empty()) out = "\"" + m.version_text + "\"";
  return out.empty() ? "all versions" : out;
}

bool has_range(const CpeMatch& m) { return !m.start_including.empty() || !m.start_excluding.empty() || !m.end_including.empty() || !m.end_excluding.empty(); }
bool takes(const CpeValue& wanted, const CpeValue& have) {
  const auto r = compare(wanted, have);
  return r == CpeRelation::equal || r == CpeRelation::superset;
}

// Does the version lie in the range? unknown when one needed comparison has no answer.
Tri in_range(const CpeMatch& m, const DeviceFact& f) {
  Tri out = Tri::yes;
  const auto bound = [&](const std::string& limit, auto holds) {
    if (limit.empty() || out == Tri::no) return;
    const auto order = compare_versions(f.maker, f.version, limit);
    if (!order) out = Tri::unknown;
    else if (!holds(*order)) out = Tri::no;
  };
  bound(m.start_including, [](auto o) { return o >= 0; });
  bound(m.start_excluding, [](auto o) { return o > 0; });
  bound(m.end_including, [](auto o) { return o <= 0; });
  bound(m.end_excluding, [](auto o) { return o < 0; });
  return out;
}

Tri version_answer(const CpeMatch& m, const DeviceFact& f, std::string& why) {
  const std::string_view its = f.component ? "version" : "firmware";
  if (f.part == 'h') { why = fmt::format("the source names the hardware {} and no firmware version", f.product); return Tri::unknown; }
  if (f.version.empty()) { why = fmt::format("the firmware is not known; {} of {} are concerned", range_words(m), m.cpe[CpeField::product].plain()); return Tri::unknown; }
  if (!m.versions_named) { why = fmt::format("the source does not say in an ordered form which versions ({})", range_words(m)); return Tri::unknown; }
  const auto& version = m.cpe[CpeField::version];
  if (version.is_na()) { why = "the source names no versions"; return Tri::unknown; }
  if (version.is_text() && !version.has_wildcard()) {
    const auto wanted = version.plain();
    const auto order = compare_versions(f.maker, f.version, wanted);
    if (!order) { why = fmt::format("whether {} is {} cannot be told: no rule orders these versions", f.version, wanted); return Tri::unknown; }
    if (*order != 0) { why = fmt::format("{} {} is not {}", its, f.version, wanted); return Tri::no; }
    // "1.0 update 2": what the device says does not tell the update.
    if (m.cpe[CpeField::update].is_text()) { why = fmt::format("{} {} is concerned at update {}, which the device does not tell", its, f.version, m.cpe[CpeField::update].plain()); return Tri::unknown; }
    why = fmt::format("{} {} is {}", its, f.version, wanted);
    return Tri::yes;
  }
  if (version.is_text()) {
    const bool match = takes(version, CpeValue::literal(f.version));
    why = fmt::format("{} {} {} {}", its, f.version, match ? "is one of" : "is none of", version.plain());
    return match ? Tri::yes : Tri::no;
  }
  if (!has_range(m)) { why = fmt::format("all versions, so also {} {}", its, f.version); return Tri::yes; }
  const auto tri = in_range(m, f);
  if (tri == Tri::unknown) why = fmt::format("whether {} {} is {} cannot be told: no rule orders these versions", its, f.version, range_words(m));
  else why = fmt::format("{} {} is {}{}", its, f.version, tri == Tri::yes ? "" : "not ", range_words(m));
  return tri;
}

Answer answer(const CpeMatch& m, std::span<const DeviceFact> facts) {
  Answer best;
  const auto& c = m.cpe;
  for (const auto& f : facts) {
    if (f.part != 0 && c[CpeField::part].is_text() && c[CpeField::part].text[0] != f.part) continue;
    if (!takes(c[CpeField::vendor], CpeValue::literal(f.vendor)) || !takes(c[CpeField::product], CpeValue::literal(f.product))) continue;
    if (c[CpeField::vendor].is_any() && c[CpeField::product].is_any()) continue;  // "every product" says nothing of this one
    Answer here;
    here.vulnerable = m.vulnerable;
    if (!m.vulnerable && !has_range(m) && !c[CpeField::version].is_text()) {
      here.tri = Tri::yes;  // the hardware itself; its revision does not matter here
      here.reason = fmt::format("on {} {}", f.vendor, f.product);
    } else {
      here.tri = version_answer(m, f, here.reason);
      here.doubt = f.part != 'h' && f.version.empty() ? Doubt::version : Doubt::other;
    }
    if (f.component && m.vulnerable && here.tri != Tri::no) {
      here.tri = Tri::unknown;
      here.doubt = Doubt::component;
      here.reason = fmt::format("its component {}: {}; a maker may have mended it without a new version", c[CpeField::product].plain(), here.reason);
    }
    // Edition, language and so on: a device does not tell them.
    for (const auto field : {CpeField::edition, CpeField::language, CpeField::sw_edition, CpeField::target_sw, CpeField::target_hw, CpeField::other})
      if (here.tri == Tri::yes && c[field].is_text()) { here.tri = Tri::unknown; here.doubt = Doubt::other; here.reason += fmt::format(", but only {}", c[field].plain()); }
    if (!f.alias_verified && here.tri != Tri::no) here.reason += fmt::format(" (that this product is \"{} {}\" of the source has not been checked)", f.vendor, f.product);
    if (here.tri > best.tri || (here.tri == best.tri && best.reason.empty())) best = std::move(here);
    // The device's own word counts before a component's of the same name.
    else if (here.tri == Tri::unknown && best.tri == Tri::unknown && best.doubt == Doubt::component && here.doubt != Doubt::component) best = std::move(here);
  }
  return best;
}

Answer answer(const Configuration& node, std::span<const DeviceFact> facts, int depth) {
  if (depth > max_configuration_depth) return {Tri::unknown, true, "the source nests its configurations too deeply", Doubt::other};
  std::vector<Answer> parts;
  for (const auto& m : node.matches) parts.push_back(answer(m, facts));
  for (const auto& c : node.children) parts.push_back(answer(c, facts, depth + 1));
  Answer out;
  if (node.op == Configuration::Op::any) {
    for (auto& p : parts) {
      if (p.tri > out.tri || (p.tri == out.tri && p.vulnerable && !out.vulnerable) || (p.tri == out.tri && out.reason.empty())) out = std::move(p);
    }
  } else {
    out.tri = parts.empty() ? Tri::no : Tri::yes;
    for (const auto& p : parts) {
      if (p.tri < out.tri) {
        out.tri = p.tri;
        out.doubt = p.doubt;
      }
      out.vulnerable = out.vulnerable || (p.vulnerable && p.tri != Tri::no);
    }
    for (const auto& p : parts) {
      if (p.reason.empty() || (out.tri == Tri::no && p.tri != Tri::no)) continue;
      if (!out.reason.empty()) out.reason += ", ";
      out.reason += p.reason;
    }
  }
  if (node.negate) {
    out.tri = out.tri == Tri::no ? Tri::yes : out.tri == Tri::yes ? Tri::no : Tri::unknown;
    out.vulnerable = false;
  }
  return out;
}

std::string source_words(const Vulnerability& v) {
  if (v.source == "nvd") return "NVD";
  if (v.source == "jvn") return "JVN iPedia " + v.record;
  if (v.source == "csaf") return "the advisory " + v.record;
  return v.source;
}

Judgement made(Verdict verdict, std::string reason, const Vulnerability& v, Doubt doubt = Doubt::none) {
  reason = to_clean_utf8(reason);
  if (reason.size() > max_reason_bytes) {
    reason.resize(max_reason_bytes);
    reason = to_clean_utf8(reason) + "…";  // a cut character becomes U+FFFD
  }
  return {verdict, std::move(reason), v.source, doubt};
}

void collect_keys(const Configuration& node, std::set<std::pair<std::string, std::string>>& out) {
  for (const auto& m : node.matches) {
    if (!m.vulnerable) continue;
    const auto key = [](const CpeValue& v) { return v.is_text() && !v.has_wildcard() ? v.plain() : std::string("*"); };
    const auto vendor = key(m.cpe[CpeField::vendor]), product = key(m.cpe[CpeField::product]);
    if (vendor != "*" || product != "*") out.insert({vendor, product});
  }
  for (const auto& c : node.children) collect_keys(c, out);
}

}  // namespace

std::string_view name(Verdict v) {
  switch (v) {
    case Verdict::not_affected: return "not_affected";
    case Verdict::possibly_affected: return "possibly_affected";
    case Verdict::affected_by_version: break;
  }
  return "affected_by_version";
}
std::optional<Verdict> parse_verdict(std::string_view text) {
  for (const auto v : {Verdict::not_affected, Verdict::possibly_affected, Verdict::affected_by_version})
    if (name(v) == text) return v;
  return std::nullopt;
}

std::string_view name(Doubt d) {
  switch (d) {
    case Doubt::none: return "none";
    case Doubt::version: return "version";
    case Doubt::component: return "component";
    case Doubt::other: break;
  }
  return "other";
}
std::optional<Doubt> parse_doubt(std::string_view text) {
  for (const auto d : {Doubt::none, Doubt::version, Doubt::component, Doubt::other})
    if (name(d) == text) return d;
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> index_keys(const Vulnerability& v) {
  std::set<std::pair<std::string, std::string>> out;
  for (const auto& c : v.configurations) collect_keys(c, out);
  return {out.begin(), out.end()};
}

Judgement judge(const Vulnerability& v, std::span<const DeviceFact> facts) {
  Answer best;
  for (const auto& c : v.configurations) {
    auto a = answer(c, facts, 0);
    if (a.tri != Tri::no && !a.vulnerable) a.tri = Tri::no;  // only context matched
    if (a.tri > best.tri || (a.tri == best.tri && best.reason.empty())) best = std::move(a);
  }
  Answer spared;
  for (const auto& m : v.not_affected) {
    auto a = answer(m, facts);
    if (a.tri == Tri::yes) { spared = std::move(a); break; }
  }
  const auto source = source_words(v);
  if (spared.tri == Tri::yes && best.tri != Tri::yes) return made(Verdict::not_affected, fmt::format("not affected according to {}: {}", source, spared.reason), v);
  if (best.tri == Tri::yes) return made(Verdict::affected_by_version, fmt::format("affected according to {}: {}", source, best.reason), v);
  if (best.tri == Tri::unknown) return made(Verdict::possibly_affected, fmt::format("possibly affected according to {}: {}", source, best.reason), v, best.doubt);
  if (best.reason.empty()) return made(Verdict::not_affected, fmt::format("{} does not name this product", source), v);
  return made(Verdict::not_affected, fmt::format("not affected according to {}: {}", source, best.reason), v);
}

Judgement judge(std::span<const Vulnerability> records, std::span<const DeviceFact> facts) {
  Judgement worst, spared;
  for (const auto& r : records) {
    if (r.configurations.empty() && r.not_affected.empty()) continue;  // KEV names no product that could be matched
    auto j = judge(r, facts);
    if (j.verdict == Verdict::not_affected && r.source == "csaf" && j.reason.starts_with("not affected") && !r.not_affected.empty()) spared = j;
    if (worst.reason.empty() || j.verdict > worst.verdict) worst = std::move(j);
  }
  if (worst.reason.empty()) return {Verdict::not_affected, "no source names products for this vulnerability", ""};
  if (worst.verdict == Verdict::affected_by_version && !spared.reason.empty()) {
    worst.verdict = Verdict::possibly_affected;
    worst.doubt = Doubt::other;
    worst.reason = "the sources disagree: " + worst.reason + "; " + spared.reason;
    if (worst.reason.size() > 2 * max_reason_bytes) worst.reason.resize(2 * max_reason_bytes);
  }
  return worst;
}

std::string title_of(std::span<const Vulnerability> records, bool japanese) {
  for (const auto& r : records) if (const auto& t = japanese ? r.title_ja : r.title_en; !t.empty()) return t;
  for (const auto& r : records) if (const auto& t = japanese ? r.title_en : r.title_ja; !t.empty()) return t;
  for (const auto& r : records) if (!r.description.empty()) return r.description;
  return {};
}
const Kev* kev_of(std::span<const Vulnerability> records) {
  for (const auto& r : records) if (r.kev) return &*r.kev;
  return nullptr;
}
const Cvss* cvss_of(std::span<const Vulnerability> records) {
  const Cvss* best = nullptr;
  for (const auto& r : records)
    for (const auto& c : r.cvss)
      if (best == nullptr || std::pair(std::string_view(c.version), c.score) > std::pair(std::string_view(best->version), best->score)) best = &c;
  return best;
}

}  // namespace nora::expose
