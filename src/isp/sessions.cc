#include "isp/sessions.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>

namespace nora::isp {
namespace {

constexpr std::size_t max_concurrent = 64;  // sessions of one log key, or claims on one prefix, looked at pairwise; more are simply ambiguous
constexpr Span agree_within = Span::seconds(2);
constexpr Span start_tolerance = Span::seconds(5);  // Start against event - Acct-Session-Time

// One session (or one DHCP binding) on its way to intervals.
struct Session {
  std::string nas, id, user, access, station;
  bool access_conflict = false;  // two access ports under one session id
  bool dhcp = false;
  Instant start, sure_start, last_sign, end = forever, sure_end;
  EndKind end_kind = EndKind::open;
  bool stopped = false;          // by its own Stop: the end is certain
  Instant shared_from, shared_to;
  struct Held { Prefix prefix; Instant from, sure_from, to; std::size_t record; };
  std::vector<Held> held;
  std::size_t record = 0;
};

struct Timed {
  const LeaseRecord* r;
  std::size_t index;
  Instant at;  // corrected
};

void cap(Session& s, Instant end, EndKind kind) {
  if (end >= s.end) return;
  s.end = end;
  s.end_kind = kind;
}

Instant minus(Instant t, Span s) { return {t.us - s.us}; }

void note_shared(Session& s, Instant from, Instant to) {
  if (from >= to) return;
  if (s.shared_from == s.shared_to) { s.shared_from = from; s.shared_to = to; return; }
  s.shared_from = std::min(s.shared_from, from);
  s.shared_to = std::max(s.shared_to, to);
}

// Which prefixes, from when: a prefix that the Start (or a record with Acct-Session-Time) names was held from the start;
// one that shows up later was assigned somewhere between the record before and the record that names it.
void collect_prefixes(Session& s, const std::vector<Timed>& group, bool have_start) {
  std::map<Prefix, std::size_t> known;
  std::map<int, std::set<Prefix>> by_family;  // IPv4, framed, delegated: told apart by length
  for (const auto& t : group)
    for (const auto& p : t.r->prefixes) by_family[p.is_v4() ? 0 : p.length()].insert(p);
  Instant before = s.start;
  for (const auto& t : group) {
    for (const auto& p : t.r->prefixes) {
      if (known.contains(p)) continue;
      known[p] = s.held.size();
      const bool only = by_family[p.is_v4() ? 0 : p.length()].size() == 1;
      const bool from_start = t.at <= s.start || (!have_start && t.r->session_time && only);
      if (from_start) s.held.push_back({p, s.start, s.sure_start, forever, t.index});
      else s.held.push_back({p, before, t.at, forever, t.index});
      // An address of the same kind that was there before ended somewhere in between.
      if (!only)
        for (auto& h : s.held)
          if (h.prefix != p && h.to == forever && std::ranges::find(t.r->prefixes, h.prefix) == t.r->prefixes.end() && h.prefix.is_v4() == p.is_v4() && (p.is_v4() || h.prefix.length() == p.length()) && h.from < t.at) h.to = t.at;
    }
    before = t.at;
  }
}

// One use of a session id. `resets`: restarts of its NAS, sorted.
Session make_session(const std::vector<Timed>& group, const std::vector<Instant>& resets) {
  const auto& first = *group.front().r;
  Session s;
  s.nas = first.nas;
  s.id = first.session;
  s.user = first.user;
  s.record = group.front().index;
  std::optional<Instant> start, counted, stop, reboot_stop;
  bool have_start = false;
  std::optional<Span> timeout, every;
  std::vector<Instant> signs;
  for (const auto& t : group) {
    const auto& r = *t.r;
    if (!r.access.empty()) {
      if (!s.access.empty() && s.access != r.access) s.access_conflict = true;
      s.access = r.access;
    }
    if (!r.station.empty()) s.station = r.station;
    if (r.timeout) timeout = r.timeout;
    if (r.interim_every) every = r.interim_every;
    if (r.kind == RecordKind::start) { have_start = true; start = start ? std::min(*start, t.at) : t.at; }
    if (r.session_time) {
      auto begin = minus(t.at, *r.session_time);
      counted = counted ? std::min(*counted, begin) : begin;
    }
    if (r.kind == RecordKind::stop) {
      if (!r.by_reboot) { stop = stop ? std::min(*stop, t.at) : t.at; signs.push_back(t.at); }
      else reboot_stop = reboot_stop ? std::min(*reboot_stop, t.at) : t.at;
    } else {
      signs.push_back(t.at);
    }
  }
  if (start && counted) {
    // Both known and different: the NAS's clock moved or one of the records lies. Certain only in what both agree on.
    auto apart = start->us > counted->us ? *start - *counted : *counted - *start;
    s.start = apart > start_tolerance ? std::min(*start, *counted) : *start;
    s.sure_start = apart > start_tolerance ? std::max(*start, *counted) : *start;
  } else {
    s.start = s.sure_start = start ? *start : counted ? *counted : group.front().at;
  }
  s.last_sign = s.sure_start;
  for (auto t : signs) s.last_sign = std::max(s.last_sign, t);
  if (reboot_stop && *reboot_stop >= s.last_sign) cap(s, *reboot_stop, EndKind::nas_reset);
  if (stop) {
    // An interim after the Stop (out of order by the NAS itself) contradicts it: the end lies between.
    s.stopped = *stop >= s.last_sign;
    cap(s, s.last_sign, EndKind::stop);
  }
  for (auto reset : resets)
    if (reset > s.start && reset >= s.last_sign) { if (!s.stopped) cap(s, reset, EndKind::nas_reset); break; }
  if (!s.stopped && timeout) cap(s, s.start + *timeout, EndKind::timeout);
  if (!s.stopped) {
    // Silence counts only where the rhythm is known: announced, or seen at least twice.
    std::ranges::sort(signs);
    Span rhythm = every.value_or(Span{});
    if (!every && signs.size() >= 3)
      for (std::size_t i = 1; i < signs.size(); ++i) rhythm = std::max(rhythm, signs[i] - signs[i - 1]);
    if (rhythm.us > 0) cap(s, s.last_sign + Span{2 * rhythm.us}, EndKind::silence);
    s.end = std::max(s.end, s.last_sign);
  }
  s.sure_end = stop ? std::min(*stop, s.end) : s.end;
  collect_prefixes(s, group, have_start);
  return s;
}

// Splits the records of one (NAS, session id, user) into uses: a Start after a Stop, or records after a restart of the NAS, begin a new one.
void add_sessions(std::vector<Timed>& group, const std::vector<Instant>& resets, std::vector<Session>& out) {
  std::ranges::sort(group, [](const Timed& a, const Timed& b) {
    return std::tie(a.at, a.r->kind, a.r->hash, a.index) < std::tie(b.at, b.r->kind, b.r->hash, b.index);
  });
  std::vector<Timed> use;
  bool stopped = false;
  auto flush = [&] {
    if (!use.empty()) out.push_back(make_session(use, resets));
    use.clear();
    stopped = false;
  };
  for (const auto& t : group) {
    if (!use.empty()) {
      auto last = use.back().at;
      bool begins_later = t.r->kind == RecordKind::start || (t.r->session_time && minus(t.at, *t.r->session_time) > last);
      bool reset_between = std::ranges::any_of(resets, [&](Instant reset) { return reset > last && reset <= t.at; });
      if (begins_later && ((stopped && t.at > last) || reset_between)) flush();
    }
    use.push_back(t);
    stopped |= t.r->kind == RecordKind::stop;
  }
  flush();
}

// DHCP: renewals of one (address, client) that touch are one binding.
void add_bindings(std::vector<Timed>& group, std::vector<Session>& out) {
  std::ranges::sort(group, [](const Timed& a, const Timed& b) {
    return std::tie(a.at, a.r->kind, a.r->hash, a.index) < std::tie(b.at, b.r->kind, b.r->hash, b.index);
  });
  std::optional<Session> s;
  auto flush = [&] {
    if (s) out.push_back(std::move(*s));
    s.reset();
  };
  for (const auto& t : group) {
    const auto& r = *t.r;
    if (r.kind == RecordKind::release) {
      if (!s || t.at > s->end) continue;
      s->end_kind = EndKind::stop;
      if (r.at_known) { s->end = s->sure_end = s->last_sign = t.at; s->stopped = true; }
      else s->sure_end = s->last_sign;
      flush();
      continue;
    }
    if (s && t.at > s->end) flush();
    if (!s) {
      s.emplace();
      s->dhcp = true;
      s->nas = r.nas;
      s->user = r.user;
      s->access = r.access;
      s->start = s->sure_start = t.at;
      s->record = t.index;
      s->held.push_back({r.prefixes.front(), t.at, t.at, forever, t.index});
    }
    s->last_sign = t.at;
    s->end = s->sure_end = t.at + r.lifetime;
    s->end_kind = EndKind::expiry;
  }
  flush();
}

enum class Access { same, different, unknown };
Access compare_access(const Session& a, const Session& b) {
  if (a.access_conflict || b.access_conflict) return Access::different;
  if (!a.access.empty() && !b.access.empty()) return a.nas == b.nas && a.access == b.access ? Access::same : Access::different;
  if (!a.station.empty() && !b.station.empty()) return a.station == b.station ? Access::same : Access::different;
  return Access::unknown;
}

// One log key in several sessions at once. A reconnect after a lost Stop ends the older session; signs of life on both sides, or two known
// access ports, are a shared account.
void settle_user(std::vector<Session*>& sessions) {
  std::ranges::sort(sessions, [](const Session* a, const Session* b) { return std::tie(a->start, a->record) < std::tie(b->start, b->record); });
  std::vector<Session*> open;  // those whose end lies after the start of the one at hand
  for (auto* b : sessions) {
    if (b->access_conflict) note_shared(*b, b->start, b->end);
    std::erase_if(open, [&](const Session* a) { return a->end <= b->start; });
    if (open.size() >= max_concurrent) { note_shared(*b, b->start, b->end); continue; }
    for (auto* a : open) {
      auto access = compare_access(*a, *b);
      const bool alive_after = a->last_sign > b->start;
      if (!alive_after && !a->stopped && access != Access::different) {
        a->end = b->start;
        a->end_kind = EndKind::reconnect;
        a->sure_end = std::min(a->sure_end, std::max(a->last_sign, a->sure_start));
      } else if (access != Access::same) {
        note_shared(*a, b->start, std::min(a->end, b->end));
        note_shared(*b, b->start, std::min(a->end, b->end));
      }
    }
    open.push_back(b);
  }
}

struct Piece { Interval interval; Instant last_sign; bool stopped; };

// The next Start on the same prefix ends what has no Stop (isp.md section 5 rule 3). What shows life after that stays and overlaps: ambiguous.
void settle_prefix(std::vector<Piece*>& pieces) {
  std::ranges::sort(pieces, [](const Piece* a, const Piece* b) {
    return std::tie(a->interval.start, a->interval.user, a->interval.record) < std::tie(b->interval.start, b->interval.user, b->interval.record);
  });
  std::vector<Piece*> open;
  for (auto* b : pieces) {
    std::erase_if(open, [&](const Piece* a) { return a->interval.end <= b->interval.start; });
    if (open.size() >= max_concurrent) continue;
    for (auto* a : open) {
      auto& i = a->interval;
      if (a->stopped || i.start == b->interval.start) continue;
      if (a->last_sign > b->interval.start) {
        // Both showed life after b's start: a conflict, at the latest until b is heard and a is not any more.
        if (b->last_sign > a->last_sign && b->last_sign < i.end) { i.end = b->last_sign; i.end_kind = EndKind::next_start; i.sure_end = std::min(i.sure_end, a->last_sign); }
        continue;
      }
      i.end = b->interval.start;
      i.end_kind = EndKind::next_start;
      // The same customer again: between the last sign and the new Start it was this line or nobody.
      i.sure_end = i.user == b->interval.user ? std::min(i.sure_end, i.end) : std::min({i.sure_end, std::max(a->last_sign, i.sure_start), i.end});
    }
    open.push_back(b);
  }
}

// A NAS is named by address in some records and by NAS-Identifier in others; the address wins.
std::map<std::string, std::string> nas_names(const std::vector<LeaseRecord>& records) {
  std::map<std::string, std::string> out;
  for (const auto& r : records)
    if (!r.nas_name.empty() && r.nas != r.nas_name) out[r.nas_name] = r.nas;
  return out;
}

std::string resolve(const std::map<std::string, std::string>& names, const std::string& nas) {
  auto it = names.find(nas);
  return it == names.end() ? nas : it->second;
}

Instant corrected(const LeaseRecord& r, const std::string& nas, const std::map<std::string, NasClock>& clocks) {
  auto it = clocks.find(nas);
  return it == clocks.end() || !it->second.trusted ? r.at : r.at + it->second.skew;
}

std::map<std::string, std::vector<Instant>> find_resets(const std::vector<LeaseRecord>& records, const std::map<std::string, std::string>& names,
                                                        const std::map<std::string, NasClock>& clocks) {
  std::map<std::string, std::vector<Instant>> out;
  for (const auto& r : records) {
    if (r.kind != RecordKind::nas_on && r.kind != RecordKind::nas_off) continue;
    auto nas = resolve(names, r.nas);
    out[nas].push_back(corrected(r, nas, clocks));
  }
  for (auto& [nas, times] : out) std::ranges::sort(times);
  return out;
}

}  // namespace

std::string_view name(EndKind kind) {
  switch (kind) {
    case EndKind::open: return "open";
    case EndKind::stop: return "stop";
    case EndKind::next_start: return "next_start";
    case EndKind::nas_reset: return "nas_reset";
    case EndKind::silence: return "silence";
    case EndKind::timeout: return "timeout";
    case EndKind::expiry: return "expiry";
    case EndKind::reconnect: return "reconnect";
  }
  return "";
}

std::map<std::string, NasClock> estimate_clocks(const std::vector<LeaseRecord>& records) {
  struct Samples { std::vector<std::int64_t> offset; Instant first{INT64_MAX}, last{INT64_MIN}; };
  auto names = nas_names(records);
  std::map<std::string, Samples> by_nas;
  for (const auto& r : records) {
    if (r.kind == RecordKind::lease || r.kind == RecordKind::release || !r.received) continue;
    auto& s = by_nas[resolve(names, r.nas)];
    s.offset.push_back((*r.received - r.delay - r.at).us);
    s.first = std::min(s.first, *r.received);
    s.last = std::max(s.last, *r.received);
  }
  std::map<std::string, NasClock> out;
  for (auto& [nas, s] : by_nas) {
    if (s.offset.size() < min_clock_samples || s.last - s.first < min_clock_spread) continue;
    auto middle = s.offset.begin() + static_cast<std::ptrdiff_t>(s.offset.size() / 2);
    std::nth_element(s.offset.begin(), middle, s.offset.end());
    const auto median = *middle;
    auto near = std::ranges::count_if(s.offset, [&](std::int64_t o) { return std::abs(o - median) <= agree_within.us; });
    if (2 * near < static_cast<std::ptrdiff_t>(s.offset.size())) continue;  // a replay or a queue: says nothing about the clock
    NasClock clock;
    clock.samples = static_cast<std::int64_t>(s.offset.size());
    if (std::abs(median) > max_skew.us) clock.trusted = false;
    else if (std::abs(median) > agree_within.us) clock.skew = {median};
    clock.error = Span{1'000'000 + agree_within.us};
    out[nas] = clock;
  }
  return out;
}

std::vector<Interval> build_intervals(const std::vector<LeaseRecord>& records, const std::map<std::string, NasClock>& clocks) {
  auto names = nas_names(records);
  auto resets = find_resets(records, names, clocks);
  std::map<std::tuple<std::string, std::string, std::string>, std::vector<Timed>> radius;
  std::map<std::pair<Prefix, std::string>, std::vector<Timed>> dhcp;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& r = records[i];
    if (r.kind == RecordKind::nas_on || r.kind == RecordKind::nas_off) continue;
    auto nas = resolve(names, r.nas);
    Timed t{&r, i, corrected(r, nas, clocks)};
    if (r.kind == RecordKind::lease || r.kind == RecordKind::release) dhcp[{r.prefixes.front(), r.user}].push_back(t);
    else radius[{nas, r.session, r.user}].push_back(t);
  }
  std::vector<Session> sessions;
  static const std::vector<Instant> none;
  for (auto& [key, group] : radius) {
    const auto& nas = std::get<0>(key);
    auto it = resets.find(nas);
    auto from = sessions.size();
    add_sessions(group, it == resets.end() ? none : it->second, sessions);
    for (auto i = from; i < sessions.size(); ++i) sessions[i].nas = nas;
  }
  for (auto& [key, group] : dhcp) add_bindings(group, sessions);

  std::unordered_map<std::string, std::vector<Session*>> by_user;
  for (auto& s : sessions)
    if (!s.dhcp) by_user[s.user].push_back(&s);
  for (auto& [user, list] : by_user) settle_user(list);

  std::vector<Piece> pieces;
  for (const auto& s : sessions)
    for (const auto& h : s.held) {
      Interval i{h.prefix, h.from, h.sure_from, std::min(s.sure_end, h.to), std::min(s.end, h.to), s.end_kind, s.user, s.nas, s.access, s.id, {}, true, s.shared_from,
                 s.shared_to, h.record};
      if (h.to < s.end) { i.end_kind = EndKind::next_start; i.sure_end = std::min(i.sure_end, h.to); }
      auto clock = clocks.find(s.nas);
      i.clock_error = clock == clocks.end() ? Span::seconds(1) : clock->second.error;
      i.clock_trusted = clock == clocks.end() || clock->second.trusted;
      if (i.end <= i.start) continue;
      pieces.push_back({std::move(i), std::min(s.last_sign, h.to), s.stopped});
    }
  std::map<Prefix, std::vector<Piece*>> by_prefix;
  for (auto& p : pieces) by_prefix[p.interval.prefix].push_back(&p);
  std::vector<Interval> out;
  out.reserve(pieces.size());
  for (auto& [prefix, list] : by_prefix) {
    settle_prefix(list);
    for (auto* p : list)
      if (p->interval.end > p->interval.start) out.push_back(std::move(p->interval));
  }
  return out;
}

}  // namespace nora::isp
