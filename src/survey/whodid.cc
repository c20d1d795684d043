#include "survey/whodid.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/escape.h"
#include "survey/answer.h"

namespace nora::survey {
namespace {

constexpr Span talk_lag = Span::minutes(10);      // conversations go on so long after the last segment
constexpr Span clock_slack = Span::seconds(2);    // a record follows its frame, a leaf follows the last record
constexpr int mask_keys = 24;                     // a random byte is the same under all of them with a chance of 2^-184

std::string hex_with_holes(ByteView bytes, const std::vector<bool>& random) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) out += random[i] ? ".." : to_hex(bytes.subspan(i, 1));
  return out;
}

// The IP packet that the sender makes for this key (sender.cc), without the Ethernet header, which is of the first hop.
Bytes packet_for(const Slot& slot, const Request* request, Ip ip, Ip own, const Key& key) {
  const AnswerKey answers(key);
  std::array<std::uint8_t, net::max_frame_bytes> frame{};
  constexpr std::size_t ethernet = 14;
  constexpr std::uint16_t syn_mss = 1460;
  std::size_t length = 0;
  if (slot.proto == Proto::tcp) {
    const auto token = answers.syn(ip, slot.port);
    net::TcpFields f;
    f.source = own;
    f.dest = ip;
    f.source_port = token.source_port;
    f.dest_port = slot.port;
    f.seq = token.seq;
    f.mss = syn_mss;
    f.ip_id = static_cast<std::uint16_t>(token.seq);
    length = net::build_tcp(frame, {}, f);
  } else if (request != nullptr) {
    const auto token = answers.token(ip, slot.port, slot.probe);
    net::UdpFields f;
    f.source = own;
    f.dest = ip;
    f.source_port = answers.udp_source_port(ip, slot.port, slot.probe);
    f.dest_port = slot.port;
    f.ip_id = get_u16be(token.bytes.data());
    length = net::build_udp(frame, {}, f, request->render(token, ip, own));
  }
  if (length <= ethernet) return {};
  return {frame.begin() + ethernet, frame.begin() + static_cast<std::ptrdiff_t>(length)};
}

bool overlap(Instant a, Instant b, Instant c, Instant d) { return a <= d && c <= b; }

struct Judge {
  const Question& q;
  const WhoDidInput& in;
  WhoDid out;

  const law::Mandate* mandate(const Hash& hash) const {
    for (const auto* m : in.mandates)
      if (m->hash() == hash) return m;
    return nullptr;
  }
  Result<SentProbe> quote(const Hit& hit, const SurveyFiles& survey, const std::string& segment, FileState state) const {
    const auto* m = mandate(survey.plan.mandate);
    if (m == nullptr)
      return fail(Code::bad_input, "survey " + survey.plan.survey + " ran under the mandate with the hash " + to_hex(survey.plan.mandate), "give that mandate too: --mandate FILE");
    SentProbe p{hit.at, "?", Proto::tcp, hit.port, segment, survey.plan.survey, state, {}};
    const auto& probes = m->probes().all();
    if (hit.probe >= probes.size()) return p;  // a record file that was altered
    p.probe = probes[hit.probe].id;
    p.proto = probes[hit.probe].proto;
    const auto own = m->source_for(q.ip).value_or(Ip{});
    p.bytes = probe_bytes({p.probe, p.proto, p.port}, in.catalogue.find(p.probe), q.ip, own, survey.key_at(hit.at));
    return p;
  }
  // Does the range of this segment hold a probe of the address (and port)?
  bool reachable(const Sending& s, const Plan& plan) const {
    if (!plan.space.has_target(q.ip)) return false;
    if (s.to == 0 && s.repeats.empty()) return true;  // the leaf names no range
    const Permutation permutation(plan.space.size(), plan.order);
    for (const auto* slot : plan.space.slots()) {
      if (q.port && slot->port != *q.port) continue;
      const auto index = plan.space.find(q.ip, slot->probe, slot->proto, slot->port);
      if (!index) continue;
      const auto place = permutation.place(*index);
      if ((place >= s.from && place < s.to) || std::find(s.repeats.begin(), s.repeats.end(), place) != s.repeats.end()) return true;
    }
    return false;
  }
  void take(SentProbe p) {
    const bool inside = p.at >= q.from() && p.at <= q.to();
    if (inside) (q.port && *q.port != p.port ? out.others : out.probes).push_back(std::move(p));
    else if (std::abs((p.at - q.at).us) <= near_by.us) out.near.push_back(std::move(p));
  }
  Result<FileState> state_of(const RecordFile& f, const Sending* owner);
  Status survey(const SurveyFiles& s);
  void missing(const Sending& s);
  Status talks();
  Instant end_of(const Sending& s, const RecordFile* file) const {
    if (s.committed) return s.committed->at;
    if (s.lost) return s.lost->at;
    if (file == nullptr) return s.begun.back().at + near_by;  // nobody knows; no segment lasts that long
    return std::max(file->last, s.begun.back().at) + clock_slack;
  }
  void conclude();
  std::map<std::filesystem::path, Hash> hashes_;
  std::set<std::string> known_;  // segments whose survey was given
};

// What the leaf of the sending says of this file.
Result<FileState> Judge::state_of(const RecordFile& f, const Sending* owner) {
  if (owner == nullptr) return FileState::altered;  // a file that no leaf speaks of
  if (f.set_aside || !owner->committed) return FileState::not_committed;
  auto known = hashes_.find(f.path);
  if (known == hashes_.end()) {
    NORA_TRY(const Hash hash, hash_of_file(f.path));
    known = hashes_.emplace(f.path, hash).first;
  }
  return known->second == owner->file && static_cast<std::int64_t>(f.records) == owner->sent ? FileState::proven : FileState::altered;
}

Status Judge::survey(const SurveyFiles& s) {
  out.in_plan = out.in_plan || s.plan.space.has_target(q.ip);
  NORA_TRY(const auto files, scan_records(s, q.ip));
  std::map<std::int64_t, std::vector<const Sending*>> sendings;
  for (const auto& one : in.sendings)
    if (one.survey == s.plan.survey) sendings[one.number].push_back(&one);
  // The latest sending of a number owns the file <number>.bin; a file set aside belongs to one before it.
  std::map<const Sending*, const RecordFile*> file_of;
  for (const auto& f : files) {
    const auto found = sendings.find(f.number);
    const Sending* owner = nullptr;
    if (found != sendings.end()) {
      auto& list = found->second;
      owner = f.set_aside && list.size() > 1 ? list[list.size() - 2] : list.back();
      if (!f.set_aside || list.size() > 1) file_of[owner] = &f;
    }
    if (f.hits.empty()) continue;
    NORA_TRY(const FileState state, state_of(f, owner));
    for (const auto& hit : f.hits) {
      NORA_TRY(auto p, quote(hit, s, s.plan.survey + "/" + std::to_string(f.number), state));
      take(std::move(p));
    }
  }
  for (const auto& [number, list] : sendings) {
    for (const Sending* one : list) {
      known_.insert(one->segment);
      const auto found = file_of.find(one);
      const RecordFile* f = found == file_of.end() ? nullptr : found->second;
      Evidence e{*one, FileState::missing, 0, false, false, true, false};
      e.at_that_time = overlap(one->begun.front().at - clock_slack, end_of(*one, f) + clock_slack, q.from(), q.to());
      // A segment that is not quoted and was not sent at that time says nothing.
      e.names_address = f != nullptr && std::any_of(f->hits.begin(), f->hits.end(), [&](const Hit& h) { return std::abs((h.at - q.at).us) <= near_by.us; });
      if (!e.at_that_time && !e.names_address) continue;
      if (f != nullptr) {
        e.records = f->records;
        NORA_TRY(e.state, state_of(*f, one));
      }
      e.reachable = reachable(*one, s.plan);
      for (std::size_t i = 0; i + 1 < one->begun.size(); ++i)
        if (e.reachable && overlap(one->begun[i].at, one->begun[i + 1].at, q.from(), q.to())) e.in_doubt = true;
      out.segments.push_back(std::move(e));
    }
  }
  return {};
}

// A segment of a survey whose spool was not given.
void Judge::missing(const Sending& s) {
  Evidence e{s, FileState::missing, 0, false, true, true, false};
  if (overlap(s.begun.front().at - clock_slack, end_of(s, nullptr), q.from(), q.to())) out.segments.push_back(std::move(e));
}

Status Judge::talks() {
  for (const auto& s : in.surveys) {
    const auto* m = mandate(s.plan.mandate);
    if (m == nullptr || !s.plan.space.has_target(q.ip)) continue;
    NORA_TRY(auto found, talks_in_spool(s, q.ip, m->source_for(q.ip).value_or(Ip{})));
    Instant last{};
    for (const auto& one : in.sendings)
      if (one.survey == s.plan.survey) last = std::max(last, one.committed ? one.committed->at : one.begun.back().at);
    for (auto& t : found) {
      if (q.port && t.port != *q.port) continue;
      if (t.at) {
        if (*t.at >= q.from() && *t.at <= q.to()) out.talks.push_back(std::move(t));
        continue;
      }
      const auto begun = std::find_if(in.sendings.begin(), in.sendings.end(), [&](const Sending& x) { return x.segment == t.segment; });
      if (begun != in.sendings.end() && overlap(begun->begun.front().at, last + talk_lag, q.from(), q.to())) out.talks.push_back(std::move(t));
    }
  }
  for (const auto& t : in.more_talks) {
    if (!t.at || *t.at < q.from() || *t.at > q.to() || (q.port && t.port != *q.port)) continue;
    const bool told = std::any_of(out.talks.begin(), out.talks.end(), [&](const Talk& k) { return k.at == t.at && k.port == t.port && k.probe == t.probe; });
    if (told) continue;
    std::erase_if(out.talks, [&](const Talk& k) { return !k.at && k.port == t.port; });
    out.talks.push_back(t);
  }
  std::stable_sort(out.talks.begin(), out.talks.end(), [](const Talk& a, const Talk& b) { return a.at.value_or(Instant{}) < b.at.value_or(Instant{}); });
  return {};
}

void Judge::conclude() {
  const auto by_time = [](const SentProbe& a, const SentProbe& b) { return a.at < b.at; };
  std::sort(out.probes.begin(), out.probes.end(), by_time);
  std::sort(out.others.begin(), out.others.end(), by_time);
  const auto distance = [&](const SentProbe& p) { return std::abs((p.at - q.at).us); };
  std::sort(out.near.begin(), out.near.end(), [&](const SentProbe& a, const SentProbe& b) { return distance(a) < distance(b); });
  if (!out.near.empty()) {
    out.off = out.near.front().at - q.at;
    // The hours of a clock without its zone (or with the zone counted twice): the nearest record that is whole hours away. It is shown.
    for (std::size_t i = 0; i < out.near.size(); ++i) {
      const Span d = out.near[i].at - q.at;
      const auto hours = std::llround(d.as_seconds() / 3600);
      if (hours == 0 || std::abs(d.us - hours * 3'600'000'000) > q.window.us) continue;
      out.hours_off = static_cast<int>(hours);
      if (i >= near_max) std::swap(out.near[near_max - 1], out.near[i]);
      break;
    }
    if (out.near.size() > near_max) out.near.resize(near_max);
  }
  std::sort(out.near.begin(), out.near.end(), by_time);
  std::sort(out.segments.begin(), out.segments.end(), [](const Evidence& a, const Evidence& b) { return a.sending.begun.front().index < b.sending.begun.front().index; });

  const auto counts = [](const std::vector<SentProbe>& list) { return std::any_of(list.begin(), list.end(), [](const SentProbe& p) { return p.state != FileState::altered; }); };
  const bool talked = std::any_of(out.talks.begin(), out.talks.end(), [](const Talk& t) { return t.at.has_value(); });
  if (counts(out.probes) || talked) {
    out.verdict = Verdict::sent;
    return;
  }
  const bool unsure = !out.talks.empty() || !out.probes.empty() || std::any_of(out.segments.begin(), out.segments.end(), [](const Evidence& e) {
    return e.at_that_time && e.reachable && (e.state != FileState::proven || e.in_doubt);
  });
  out.verdict = unsure ? Verdict::uncertain : Verdict::not_sent;
}

json::Object to_json(const SentProbe& p) {
  return {{"at", p.at.text()},     {"probe", p.probe},           {"proto", nora::name(p.proto)},   {"port", p.port},
          {"segment", p.segment},  {"record", name(p.state)},    {"packet", p.bytes.packet},       {"payload", p.bytes.payload},
          {"exact", p.bytes.exact}};
}
json::Array to_json(const std::vector<SentProbe>& list) {
  json::Array out;
  for (const auto& p : list) out.push_back(to_json(p));
  return out;
}

}  // namespace

std::string_view name(Verdict v) { return v == Verdict::sent ? "sent" : v == Verdict::not_sent ? "not_sent" : "uncertain"; }
std::string_view name(FileState s) {
  switch (s) {
    case FileState::proven: return "proven";
    case FileState::not_committed: return "not_committed";
    case FileState::altered: return "altered";
    default: return "missing";
  }
}

bool is_plain(std::string_view words) {
  return std::all_of(words.begin(), words.end(), [](unsigned char c) { return (c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n'; });
}

std::optional<Key> SurveyFiles::key_at(Instant at) const {
  std::optional<Key> out;
  for (const auto& k : keys)
    if (k.at <= at + clock_slack) out = k.key;
  return out;
}

ProbeBytes probe_bytes(const Slot& slot, const Request* request, Ip ip, Ip own, const std::optional<Key>& key) {
  ProbeBytes out;
  SeededRandom random(1);  // which keys they are does not matter: what differs between them was random
  Key first{};
  random.fill(first);
  const Bytes packet = packet_for(slot, request, ip, own, key.value_or(first));
  if (packet.empty()) return out;
  std::vector<bool> varies(packet.size(), false);
  for (int i = 0; i < mask_keys && !key; ++i) {
    Key other{};
    random.fill(other);
    const Bytes again = packet_for(slot, request, ip, own, other);
    for (std::size_t k = 0; k < packet.size() && k < again.size(); ++k) varies[k] = varies[k] || again[k] != packet[k];
  }
  // Source ports come from a range (answer.h), checksums from everything: their bytes are random as a whole.
  const std::size_t head = ip.is_v4() ? 20 : 40;
  if (!key) {
    for (const std::size_t k : {head, head + 1}) varies[k] = true;
    if (ip.is_v4())
      for (const std::size_t k : {std::size_t{10}, std::size_t{11}}) varies[k] = true;
    const std::size_t sum = head + (slot.proto == Proto::tcp ? 16 : 6);
    varies[sum] = varies[sum + 1] = true;
  }
  out.packet = hex_with_holes(packet, varies);
  if (slot.proto == Proto::udp) {
    const std::size_t start = head + 8;
    out.payload = hex_with_holes(ByteView(packet).subspan(start), {varies.begin() + static_cast<std::ptrdiff_t>(start), varies.end()});
  }
  out.exact = key.has_value();
  return out;
}

Result<WhoDid> who_did(const Question& question, const WhoDidInput& input) {
  Judge judge{question, input, {}, {}, {}};
  judge.out.question = question;
  for (const auto* m : input.mandates) judge.out.in_range = judge.out.in_range || m->in_range(question.ip);
  for (const auto& s : input.surveys) NORA_CHECK(judge.survey(s));
  for (const auto& s : input.sendings)
    if (!judge.known_.contains(s.segment)) judge.missing(s);
  NORA_CHECK(judge.talks());
  judge.conclude();
  return std::move(judge.out);
}

json::Object to_json(const WhoDid& a) {
  json::Array talks, segments;
  for (const auto& t : a.talks) {
    json::Object o{{"port", t.port}, {"segment", t.segment}};
    if (t.at) {
      o["at"] = t.at->text();
      o["probe"] = t.probe;
      o["protocol"] = to_clean_utf8(t.protocol);
      if (is_plain(t.words)) o["words"] = t.words;
      else o["words_hex"] = to_hex(as_bytes(t.words));
      o["request_bytes"] = t.request_bytes;
    }
    talks.push_back(std::move(o));
  }
  for (const auto& e : a.segments) {
    json::Array begun;
    for (const auto& leaf : e.sending.begun) begun.push_back(json::Value(leaf.index));
    json::Object o{{"segment", e.sending.segment}, {"reserved", std::move(begun)}, {"from", e.sending.begun.front().at.text()}, {"records", e.records},
                   {"record_file", name(e.state)}, {"names_address", e.names_address}, {"at_that_time", e.at_that_time}, {"reachable", e.reachable}, {"in_doubt", e.in_doubt}};
    if (e.sending.committed) {
      o["committed"] = e.sending.committed->index;
      o["to"] = e.sending.committed->at.text();
      o["file"] = to_hex(e.sending.file);
      o["sent"] = e.sending.sent;
    }
    segments.push_back(std::move(o));
  }
  json::Object out{{"ip", a.question.ip.text()},
                   {"at", a.question.at.text()},
                   {"window_s", a.question.window.us / 1'000'000},
                   {"verdict", name(a.verdict)},
                   {"in_range", a.in_range},
                   {"in_plan", a.in_plan},
                   {"probes", to_json(a.probes)},
                   {"other_ports", to_json(a.others)},
                   {"near", to_json(a.near)},
                   {"conversations", std::move(talks)},
                   {"segments", std::move(segments)}};
  if (a.question.port) out["port"] = *a.question.port;
  if (a.off) out["nearest_off_s"] = a.off->as_seconds();
  if (a.hours_off != 0) out["hours_off"] = a.hours_off;
  return out;
}

}  // namespace nora::survey
