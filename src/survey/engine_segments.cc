// Segments: reserved with a leaf, sent in orders, heard out, committed with a leaf; and what a crash, a lost sender or another node makes of
// them.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "survey/engine_run.h"
#include "survey/record.h"

namespace nora::survey {
namespace {

constexpr double record_lag_seconds = 0.25;  // a record follows its frame within this time (README, messages)
constexpr std::uint64_t record_lag_frames = 64;

std::uint64_t bytes_of(const std::filesystem::path& file) {
  std::error_code error;
  auto size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

}  // namespace

// Everything that was answered up to this instant is in the files' buffers.
Instant EngineRun::heard_now() const {
  auto heard = env_.clock.now() - hearing_lag;
  for (const auto& [index, g] : gathers_) heard = std::min(heard, g.at);
  for (const auto& [tag, at] : parsing_since_) heard = std::min(heard, at);
  return heard;
}

// Replies before the "visited" that depends on them, visits before the answers that led to them: a crash in between repeats, never skips.
Status EngineRun::flush_facts(bool sync) {
  NORA_CHECK(spool_.flush(sync));
  NORA_CHECK(journal_.flush_visits());
  return answered_.flush(sync);
}

Status EngineRun::settle() {
  NORA_CHECK(flush_facts(true));
  NORA_CHECK(journal_.flush(true));
  courier_.grew(spool_.size());
  return {};
}

// So that a crash leaves little in doubt: written, not synced. Only while there is something to doubt.
Status EngineRun::note_alive() {
  last_alive_ = now();
  if (open_.empty()) return {};
  auto heard = heard_now();
  NORA_CHECK(flush_facts(false));
  journal_.add({{"ev", "alive"}, {"heard", heard.text()}});
  return journal_.flush(false);
}

Status EngineRun::reserve(Open segment, std::string_view leaf_kind, json::Object leaf) {
  auto id = segment_id(plan_.survey, segment.n);
  leaf["survey"] = plan_.survey;
  leaf["segment"] = id;
  NORA_TRY(auto logged, shared_.audit.append(leaf_kind, leaf));
  auto leaf_text = std::to_string(logged.index) + ":" + to_hex(logged.leaf);
  journal_.add({{"ev", "reserved"},
                {"n", segment.n},
                {"from", segment.from},
                {"to", segment.to},
                {"fence", segment.fence},
                {"leaf", leaf_text},
                {"at", env_.clock.now().text()},
                {"heard", heard_now().text()}});
  NORA_CHECK(settle());
  registry::Segment s;
  s.id = id;
  s.survey = plan_.survey;
  s.number = segment.n;
  s.from = segment.from;
  s.to = segment.to;
  s.fence = segment.fence;
  spool_.add(s, leaf_text, env_.clock.now());
  open_.emplace(segment.n, std::move(segment));
  return {};
}

Status EngineRun::begin_segment(std::int64_t n, std::int64_t fence) {
  Open o;
  o.n = n;
  o.fence = fence;
  o.from = static_cast<std::uint64_t>(n) * plan_.segment_size;
  o.to = std::min(o.from + plan_.segment_size, plan_.space.size());
  const auto& segments = journal_.state().segments;
  auto known = segments.find(n);
  if (known != segments.end() && known->second.times > 0) {
    if (!known->second.lost && known->second.fence == fence) return resume_segment(std::move(o), known->second.sent, heard_before_);
    NORA_CHECK(begin_anew(n));
  }
  o.orders.push_back({o.from, o.to, {}, false});
  ask_canaries(o);
  json::Object leaf{{"mandate", to_hex(plan_.mandate)},
                    {"catalogue", to_hex(plan_.catalogue)},
                    {"order", to_hex(plan_.order)},
                    {"from", o.from},
                    {"to", o.to}};
  if (o.orders.back().canary) leaf["canaries"] = o.orders.back().places.size();
  if (fence != 0) leaf["fence"] = fence;
  return reserve(std::move(o), "segment_reserved", std::move(leaf));
}

// It was reserved by an earlier run and is in doubt.
Status EngineRun::resume_segment(Open o, bool all_sent_before, Instant heard_until) {
  NORA_TRY(auto d, doubt(plan_, permutation_, probe_ids_, record_file(o.n), {o.from, o.to, all_sent_before, heard_until, again_left_}, answered_));
  again_left_ -= std::min(again_left_, d.again);
  o.sent = static_cast<std::int64_t>(d.recorded);
  auto pps = asked_pps_ > 0 ? asked_pps_ : static_cast<double>(whole_.pps);
  auto perhaps = std::min<std::uint64_t>(d.places.size() - d.again, static_cast<std::uint64_t>(pps * record_lag_seconds) + record_lag_frames);
  if (all_sent_before) perhaps = 0;
  o.orders = orders_of(d.places);
  o.orders_done = 1;  // its file is of more than one sending: the hash is taken from the file
  journal_.add({{"ev", "again"}, {"n", o.n}, {"places", d.places.size()}, {"again", d.again}, {"at_most", d.again + perhaps}, {"unheard", d.unheard}});
  return reserve(std::move(o), "segment_resumed",
                 {{"mandate", to_hex(plan_.mandate)}, {"places", d.places.size()}, {"again", d.again}, {"again_at_most", d.again + perhaps}, {"unheard", d.unheard}});
}

// It was held before and lost, and comes back: what was heard then has been refused, so it counts as never asked. The old file stays.
Status EngineRun::begin_anew(std::int64_t n) {
  auto file = record_file(n);
  std::error_code error;
  if (std::filesystem::exists(file)) std::filesystem::rename(file, file.string() + "." + std::to_string(env_.clock.now().us), error);
  if (error) return fail(Code::failed, file.string() + ": " + error.message());
  auto from = static_cast<std::uint64_t>(n) * plan_.segment_size, to = std::min(from + plan_.segment_size, plan_.space.size());
  for (auto place = from; place < to; ++place) answered_.forget_for_good(permutation_.at(place));
  return {};
}

// The sender was lost over this segment, or the mandate's hours ended: what has no record goes out now, what is in doubt once more.
Status EngineRun::mend(Open& o) {
  o.broken = false;
  if (o.look) {
    lose(o.n, "the sender was lost over a second look");
    look_begun_ = false;
    looked_.clear();
    return {};
  }
  // This process hears every answer, late ones too: only what has no record goes out again.
  constexpr Instant always{std::numeric_limits<std::int64_t>::max()};
  NORA_TRY(auto d, doubt(plan_, permutation_, probe_ids_, record_file(o.n), {o.from, o.to, false, always, 0}, answered_));
  std::unordered_set<std::uint64_t> waiting;
  for (const auto& h : o.held) waiting.insert(h.places.begin(), h.places.end());
  std::vector<std::uint64_t> places;
  std::copy_if(d.places.begin(), d.places.end(), std::back_inserter(places), [&](auto place) { return !waiting.contains(place); });
  o.refused = 0;  // they are tried, and counted, again
  o.reasons.clear();
  o.orders = orders_of(places);
  o.sent = static_cast<std::int64_t>(d.recorded);
  o.orders_done = std::max(o.orders_done, 1);
  auto perhaps = std::min<std::uint64_t>(places.size(), static_cast<std::uint64_t>(std::max(0.0, asked_pps_) * record_lag_seconds) + record_lag_frames);
  journal_.add({{"ev", "again"}, {"n", o.n}, {"places", places.size()}, {"again", 0}, {"at_most", perhaps}, {"unheard", 0}});
  NORA_TRY([[maybe_unused]] auto logged,
           shared_.audit.append("segment_resumed", {{"survey", plan_.survey},
                                                    {"segment", segment_id(plan_.survey, o.n)},
                                                    {"mandate", to_hex(plan_.mandate)},
                                                    {"places", places.size()},
                                                    {"again_at_most", perhaps}}));
  return settle();
}

Status EngineRun::give_order(Open& o) {
  auto path = record_file(o.n);
  Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file) return fail(Code::interrupted, path.string() + ": " + errno_text(errno), "free disk space, then `nora scan resume`");
  o.bytes_before = bytes_of(path);
  auto order = std::move(o.orders.front());
  o.orders.pop_front();
  json::Object body{{"op", "segment"}, {"n", o.n}};
  if (order.places.empty()) {
    body["from"] = order.from;
    body["to"] = order.to;
  } else {
    json::Array indexes;
    for (auto place : order.places) indexes.push_back(json::Value(place));
    body["indexes"] = std::move(indexes);
  }
  at_work_ = o.n;
  canaries_at_work_ = order.canary;
  sent_now_ = 0;
  auto given = channel_.send(body, file.get());
  if (!given && given.error().code == Code::interrupted) return sender_lost();
  return given;
}

Status EngineRun::all_sent(Open& o) {
  if (o.orders_done != 1) {
    NORA_TRY(auto text, read_file(record_file(o.n), std::size_t{1} << 30));
    o.hash = sha256(as_bytes(text));
  }
  json::Object reasons;
  for (const auto& [why, n] : o.reasons) reasons[why] = n;
  journal_.add({{"ev", "sent"},
                {"n", o.n},
                {"sent", o.sent},
                {"refused", std::exchange(o.refused, 0)},
                {"reasons", std::move(reasons)},
                {"sha256", to_hex(o.hash)},
                {"heard", heard_now().text()}});
  o.reasons.clear();
  o.sent_all = true;
  o.window_over = now() + Span::ms(plan_.answer_window_ms);
  return {};  // on the disk with the next reservation or commit; without it, the record file says the same
}

Status EngineRun::commit(Open& o) {
  std::vector<std::uint64_t> recorded;
  if (o.look || plan_.all_outcomes) {
    NORA_TRY(recorded, recorded_since(o.n, 0));
  }
  if (o.look) look_over(recorded);
  // Silence can be told only now that the window is over, and only of what was really sent.
  if (plan_.all_outcomes && !o.look) {
    auto at = env_.clock.now();
    std::unordered_set<std::uint64_t> told;
    for (auto index : recorded) {
      if (answered_.contains(index) || !told.insert(index).second) continue;
      auto point = plan_.space.at(index);
      if (!canaries_.contains(point.ip)) outcome(point.ip, point.slot->port, point.slot->proto, point.slot->probe, o.n, at, "silent");
    }
  }
  NORA_CHECK(spool_.flush(true));
  auto clock = clock_state();
  json::Object leaf{{"survey", plan_.survey},
                    {"segment", segment_id(plan_.survey, o.n)},
                    {"sent", o.sent},
                    {"file", to_hex(o.hash)},
                    {"received", summary_.received},
                    {"unique", summary_.unique},
                    {"clock", clock.to_json()}};
  if (o.fence != 0) leaf["fence"] = o.fence;
  if (wall_base_) leaf["wall_blocked"] = *wall_base_;
  NORA_TRY(auto logged, shared_.audit.append("segment_committed", leaf));
  auto leaf_text = std::to_string(logged.index) + ":" + to_hex(logged.leaf);
  journal_.add({{"ev", "committed"}, {"n", o.n}, {"leaf", leaf_text}, {"clock", clock.to_json()}, {"heard", heard_now().text()}});
  registry::Segment s;
  s.id = segment_id(plan_.survey, o.n);
  s.survey = plan_.survey;
  s.number = o.n;
  s.from = o.from;
  s.to = o.to;
  s.state = registry::SegmentState::committed;
  s.sent = o.sent;
  s.fence = o.fence;
  s.file_hash = o.hash;
  // Before the journal: a commit that the center was not told of would never be told.
  spool_.add(s, leaf_text, env_.clock.now());
  NORA_CHECK(settle());
  auto n = o.n;
  open_.erase(n);
  courier_.returned(n);
  return {};
}

// What comes of it from now on is another node's; the ports that it found are not visited.
void EngineRun::lose(std::int64_t n, std::string_view why) {
  env_.log.warn("segment " + std::to_string(n) + " is given up: " + std::string(why));
  (void)shared_.audit.append("segment_lost", {{"survey", plan_.survey}, {"segment", segment_id(plan_.survey, n)}, {"why", why}});
  journal_.add({{"ev", "lost"}, {"n", n}});
  ++summary_.segments_lost;
  if (at_work_ == n) at_work_.reset();
  open_.erase(n);
  courier_.returned(n);
}

// The indexes of the records from this place of the file on.
Result<std::vector<std::uint64_t>> EngineRun::recorded_since(std::int64_t n, std::uint64_t bytes) const {
  std::vector<std::uint64_t> out;
  auto path = record_file(n);
  if (!std::filesystem::exists(path)) return out;
  NORA_TRY(auto text, read_file(path, std::size_t{1} << 30));
  if (bytes > text.size()) bytes = text.size();
  text.resize(text.size() - (text.size() - bytes) % record_bytes);
  NORA_TRY(auto records, read_records(as_bytes(text).subspan(bytes)));
  for (const auto& r : records)
    if (auto index = index_of(r, plan_, probe_ids_)) out.push_back(*index);
  return out;
}

std::int64_t EngineRun::fence_of(std::int64_t segment) const {
  auto at = journal_.state().segments.find(segment);
  return at == journal_.state().segments.end() ? 0 : at->second.fence;
}

}  // namespace nora::survey
