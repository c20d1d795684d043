// Mandate: opening and judging (law/mandate.h).
#include "law/mandate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/files.h"

namespace nora::law {
namespace {

constexpr std::int64_t minute_us = 60'000'000, day_us = 24 * 60 * minute_us;
constexpr Span permit_life = Span::seconds(60);

std::unexpected<Error> no(std::string what, std::string fix = {}) { return fail(Code::refused, std::move(what), std::move(fix)); }

// What of `whole` lies outside every hole.
void without(const Prefix& whole, const std::vector<Prefix>& holes, std::vector<Prefix>& out) {
  bool touched = false;
  for (const Prefix& hole : holes) {
    if (hole.contains(whole)) return;
    touched = touched || whole.contains(hole);
  }
  if (!touched) {
    out.push_back(whole);
    return;
  }
  without(Prefix::of(whole.base(), whole.length() + 1), holes, out);
  without(Prefix::of(whole.last(), whole.length() + 1), holes, out);
}

}  // namespace

Error refused(Refusal refusal) { return {Code::refused, std::string(sentence(refusal)), {}}; }
Error refused(Refusal refusal, const Target& target) {
  return {Code::refused, fmt::format("{} port {}: {}", target.ip.text(), target.port, sentence(refusal)), {}};
}

Result<Mandate> Mandate::open(std::string_view note, const Roots& roots, ProbeList probes, LawProfile profile,
                              const std::vector<std::string>& opt_out_lists) {
  if (note.size() > max_mandate_bytes) return no("the mandate is longer than 1 MiB");
  const auto opened = open_note(note, roots.signers);
  if (!opened) return no(fmt::format("the mandate is altered or not signed: {}", opened.error().what));
  if (opened->signers.size() < static_cast<std::size_t>(roots.threshold))
    return no(fmt::format("the mandate is not signed by enough of the authority's keys: {} of {} needed", opened->signers.size(), roots.threshold),
              "Each signer runs: nora mandate sign");
  auto text = parse_mandate(opened->text);
  if (!text) return no(fmt::format("the mandate cannot be read: {}", text.error().what));
  Mandate m;
  m.text_ = std::move(*text);
  m.hash_ = sha256(as_bytes(opened->text));
  m.signers_ = opened->signers;
  if (probes.hash() != m.text_.catalogue) return no("the probe catalogue is not the one that the mandate names", "Ask for a mandate of this catalogue, or use the catalogue that was granted.");
  if (profile.name != m.text_.law_profile) return no(fmt::format("the mandate asks for the law profile \"{}\"", m.text_.law_profile));
  m.probes_ = std::move(probes);
  m.profile_ = std::move(profile);

  bool found = !m.text_.opt_out;
  for (const auto& list : opt_out_lists) {
    auto prefixes = parse_opt_out(list);
    if (!prefixes) return no(fmt::format("the opt-out list cannot be read: {}", prefixes.error().what));
    if (m.text_.opt_out && sha256(as_bytes(list)) == *m.text_.opt_out) {
      found = true;
      m.signed_opt_out_ = *prefixes;
    }
    m.all_opt_out_.insert(m.all_opt_out_.end(), prefixes->begin(), prefixes->end());
  }
  if (!found) return no("the opt-out list that the mandate names is missing or altered");
  m.opt_out_texts_ = opt_out_lists;

  m.range_ = net::AddressSet::make(m.text_.ranges);
  m.granted_hours_ = {m.text_.window_from_min * minute_us, m.text_.window_to_min * minute_us};
  m.lawful_hours_ = {m.profile_.hours_from_min * minute_us, m.profile_.hours_to_min * minute_us};
  m.excludes_ = m.text_.excludes;
  for (const Prefix& facility : m.profile_.facilities) without(facility, m.text_.social_impact, m.excludes_);
  m.exclude_ = net::AddressSet::make(m.excludes_);
  m.social_ = net::AddressSet::make(m.text_.social_impact);
  m.tabulate();
  for (const auto& p : m.text_.ports) (p.proto == Proto::tcp ? m.tcp_ : m.udp_).set(p.port.value);
  for (const auto c : m.text_.classes) m.classes_[static_cast<std::size_t>(c)] = true;
  for (const Ip& s : m.text_.sources) {
    if (s.is_v4() && !m.has4_) { m.source4_ = s; m.has4_ = true; }
    if (!s.is_v4() && !m.has6_) { m.source6_ = s; m.has6_ = true; }
  }
  for (const Listener& l : m.text_.listeners) (l.ip.is_v4() ? m.has_listener4_ : m.has_listener6_) = true;
  return m;
}

Result<Mandate> Mandate::load(const MandateFiles& files) {
  NORA_TRY(const std::string note, read_file(files.mandate, max_mandate_bytes));
  NORA_TRY(const std::string root_text, read_file(files.roots, max_mandate_bytes));
  const auto roots = parse_roots(root_text);
  if (!roots) return fail(Code::bad_input, fmt::format("{}: {}", files.roots.string(), roots.error().what));
  // The profile's name stands in the mandate, which must be verified before any of it is believed.
  const auto opened = open_note(note, roots->signers);
  if (!opened) return no(fmt::format("the mandate is altered or not signed: {}", opened.error().what));
  const auto text = parse_mandate(opened->text);
  if (!text) return no(fmt::format("the mandate cannot be read: {}", text.error().what));
  NORA_TRY(LawProfile profile, LawProfile::load(files.law_dir, text->law_profile));
  NORA_TRY(const std::string catalogue, read_file(files.catalogue, ProbeList::max_bytes));
  NORA_TRY(ProbeList probes, ProbeList::parse(catalogue));
  std::vector<std::string> lists;
  for (const auto& f : files.opt_outs) {
    NORA_TRY(std::string list, read_file(f, max_opt_out_bytes));
    lists.push_back(std::move(list));
  }
  NORA_TRY(Mandate out, open(note, *roots, std::move(probes), std::move(profile), lists));
  out.opt_out_files_ = files.opt_outs;
  return out;
}

std::int64_t Mandate::DailyWindow::left(std::int64_t into_day) const { return to_us > into_day ? to_us - into_day : to_us + day_us - into_day; }

Refusal Mandate::judge_time(Instant now, std::int64_t into_day) const {
  if (now < text_.not_before) return Refusal::not_yet_valid;
  if (now >= text_.not_after) return Refusal::expired;
  if (!granted_hours_.holds(into_day) || !lawful_hours_.holds(into_day)) return Refusal::outside_daily_window;
  return Refusal::none;
}

std::expected<Permit, Refusal> Mandate::permit(const Target& target, const ProbeInfo& probe, Instant now) const {
  using enum Refusal;
  const std::int64_t into_day = now.us % day_us;
  if (const Refusal r = judge_time(now, into_day); r != none) return std::unexpected(r);
  if (!probes_.owns(probe)) return std::unexpected(probe_not_in_catalogue);
  const auto klass = static_cast<std::size_t>(probe.probe_class);
  if (!classes_[klass]) return std::unexpected(class_not_granted);
  if (!profile_.classes[klass]) return std::unexpected(profile_forbids_class);
  if (probe.credential) return std::unexpected(credential_probe);  // profile.cc accepts "credential_probes = false" alone
  if (!(probe.proto == Proto::tcp ? tcp_ : udp_).test(target.port)) return std::unexpected(port_not_granted);
  const bool v4 = target.ip.is_v4();
  const std::uint8_t flags = v4 ? table_.at(target.ip.v4_value()) : place(target.ip);
  if ((flags & (in_range_flag | excluded_flag | opted_out_flag)) != in_range_flag)
    return std::unexpected(!(flags & in_range_flag) ? out_of_range : flags & excluded_flag ? excluded : opted_out);
  const bool social = (flags & social_flag) != 0;
  if (probe.social && !social) return std::unexpected(social_probe_outside_social_range);
  if (probe.social && !profile_.social_probes) return std::unexpected(profile_forbids_class);
  if (!(v4 ? has4_ : has6_)) return std::unexpected(no_source_of_family);
  if (probe.probe_class == ProbeClass::p3 && !(v4 ? has_listener4_ : has_listener6_)) return std::unexpected(no_listener);
  Permit p;
  p.dest_ = target.ip;
  p.source_ = v4 ? source4_ : source6_;
  p.port_ = target.port;
  p.proto_ = probe.proto;
  p.probe_ = probe.index;
  p.social_ = social;
  p.expires_ = std::min({text_.not_after, now + permit_life, now + Span{std::min(granted_hours_.left(into_day), lawful_hours_.left(into_day))}});
  return p;
}

Status Mandate::usable(Instant now) const {
  const std::int64_t into_day = now.us % day_us;
  const Refusal r = judge_time(now, into_day);
  if (r == Refusal::none) return {};
  if (r == Refusal::expired) return no(fmt::format("the mandate \"{}\" expired at {}", text_.id, text_.not_after.text()), "Ask the authority for a new revision.");
  if (r == Refusal::not_yet_valid) return no(fmt::format("the mandate \"{}\" is not valid before {}", text_.id, text_.not_before.text()));
  if (!lawful_hours_.holds(into_day))
    return no(fmt::format("it is outside the hours in which the law profile \"{}\" lets surveys run ({:02}:{:02} to {:02}:{:02} UTC)", profile_.name,
                          profile_.hours_from_min / 60, profile_.hours_from_min % 60, profile_.hours_to_min / 60, profile_.hours_to_min % 60));
  return no(fmt::format("it is outside the daily window of the mandate ({:02}:{:02} to {:02}:{:02} UTC)", text_.window_from_min / 60,
                        text_.window_from_min % 60, text_.window_to_min / 60, text_.window_to_min % 60));
}

std::uint8_t Mandate::place(Ip ip) const {
  const auto flag = [&](const net::AddressSet& set, std::uint8_t f) { return set.contains(ip) ? f : std::uint8_t{0}; };
  return static_cast<std::uint8_t>(flag(range_, in_range_flag) | flag(exclude_, excluded_flag) | flag(opt_out_, opted_out_flag) | flag(social_, social_flag));
}

void Mandate::tabulate() {
  opt_out_ = net::AddressSet::make(all_opt_out_);
  table_ = net::FlagTable::make({{text_.ranges, in_range_flag}, {excludes_, excluded_flag}, {text_.social_impact, social_flag}, {all_opt_out_, opted_out_flag}});
}

Result<bool> Mandate::refresh_opt_out() {
  std::vector<std::string> texts;
  std::vector<Prefix> all = signed_opt_out_;
  for (const auto& f : opt_out_files_) {
    NORA_TRY(std::string list, read_file(f, max_opt_out_bytes));
    texts.push_back(std::move(list));
  }
  if (texts == opt_out_texts_ || opt_out_files_.empty()) return false;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto prefixes = parse_opt_out(texts[i]);
    if (!prefixes) return fail(Code::failed, fmt::format("{}: {}", opt_out_files_[i].string(), prefixes.error().what));
    all.insert(all.end(), prefixes->begin(), prefixes->end());
  }
  all_opt_out_ = std::move(all);
  tabulate();
  opt_out_texts_ = std::move(texts);
  return true;
}

std::optional<Ip> Mandate::source_for(Ip dest) const {
  if (dest.is_v4()) return has4_ ? std::optional(source4_) : std::nullopt;
  return has6_ ? std::optional(source6_) : std::nullopt;
}

std::vector<Prefix> Mandate::closed() const {
  std::vector<Prefix> out = excludes_;
  out.insert(out.end(), all_opt_out_.begin(), all_opt_out_.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace nora::law
