// What comes back: answers to probes, conversations with open ports, and the results made of them.
#include <algorithm>

#include "survey/engine_run.h"

namespace nora::survey {
namespace {

constexpr Span gather_time = Span::ms(300);  // datagrams that answer one probe are one reply
constexpr std::size_t max_gather_parts = 16, max_gathers = 65'536;
constexpr std::size_t max_candidates = 20'000;
constexpr Span judged_soon = Span::ms(300);  // a suspected middlebox: until its few conversations have decided

}  // namespace

// Every connection is closed by one RST, and the devices are free for other engines of this process; the journal still holds the ports.
void EngineRun::abandon_conversations() {
  grabber_.abandon_all();
  for (const auto& [tag, visit] : talking_) visits_.conversation_over(visit.ip, visit.social, now());
  talking_.clear();
}

bool EngineRun::allowed(Ip ip, std::uint16_t port, std::string_view probe) const {
  const auto* info = mandate_.probes().find(probe);
  if (info == nullptr) return false;
  if (is_relay_test(probe) && (shared_.relay == nullptr || shared_.relay->url(ip.is_v4(), "x").empty())) return false;
  return mandate_.permit({ip, port}, *info, env_.clock.now()).has_value();
}

double EngineRun::share_sent() const {
  std::int64_t sent = sent_now_;
  for (const auto& [n, o] : open_) sent += o.sent;
  for (const auto& [n, s] : journal_.state().segments)
    if (!open_.contains(n)) sent += s.frames;
  return std::min(1.0, static_cast<double>(sent) / static_cast<double>(plan_.space.size()));
}

// About how many SYNs have gone into the network of this address: the permutation spreads them evenly.
double EngineRun::probes_into(Ip ip) const { return sent_share_ * static_cast<double>(plan_.space.targets_in(Holds::network(ip))) * tcp_slots_; }

void EngineRun::receive(ByteView frame, Instant at) {
  auto packet = net::parse_frame(frame);
  if (!packet) return;
  if (auto answer = validator_->check(*packet)) answered(*answer, at, *packet);
}

void EngineRun::answered(const Answer& answer, Instant at, const net::Packet& packet) {
  ++summary_.received;
  if (auto canary = canaries_.find(answer.ip); canary != canaries_.end()) {  // our own host: it measures, it is no result
    for (auto& c : canary->second)
      if (c.index == answer.index) c.heard = at;
    return;
  }
  if (auto c = looked_.find(answer.index); c != looked_.end()) {
    c->second.again = true;
    if (c->second.first) return;  // it was stored the first time; what the first pass missed is stored now
  }
  if (auto g = gathers_.find(answer.index); g != gathers_.end() && answer.kind == AnswerKind::datagram) {
    g->second.bytes += static_cast<std::int64_t>(answer.payload.size());
    if (g->second.parts.size() < max_gather_parts) g->second.parts.emplace_back(answer.payload.begin(), answer.payload.end());
    return;
  }
  if (answer.kind == AnswerKind::unreachable) {  // a router on the way speaks, not the device: at the commit it counts as silent
    if (is_prohibition(packet)) back_off(back_off_.prohibited(answer.ip, packet.source));
    return;
  }
  if (!answered_.insert(answer.index)) {
    ++summary_.duplicates;
    return;
  }
  ++summary_.unique;
  auto segment = segment_of(answer.index);
  const auto& slot = answer.slot;
  bool social = mandate_.is_social(answer.ip);
  // ICMP errors are rate-limited by the kernels of devices: only answers of the service or of TCP itself measure the loss.
  bool steady = answer.kind == AnswerKind::open || answer.kind == AnswerKind::datagram ||
                (answer.kind == AnswerKind::closed && slot.proto == Proto::tcp);
  if (!social && steady) {  // a fair sample of them all (reservoir)
    ++candidates_seen_;
    if (candidates_.size() < max_candidates) candidates_.push_back(answer.index);
    else if (auto k = env_.random.below(candidates_seen_); k < max_candidates) candidates_[k] = answer.index;
  }
  if (slot.proto == Proto::tcp) back_off(back_off_.answered(answer.ip, answer.kind == AnswerKind::closed, probes_into(answer.ip), now()));
  switch (answer.kind) {
    case AnswerKind::open: {
      answered_.keep(answer.index);
      // After a crash just between visit and answer, the port waits already.
      if (journal_.state().waits(answer.ip, slot.port)) break;
      journal_.add({{"ev", "open"}, {"ip", answer.ip.text()}, {"port", slot.port}, {"n", segment}});
      if (events_.check_event)
        events_.check_event(
            {{"step", "probe"}, {"what", visits_.usual_service(slot.port)}, {"port", slot.port}, {"proto", "tcp"}, {"result", "open"}});
      set_apart(middleboxes_.accepted(answer.ip, answer.ttl, packet.window, sent_share_), segment, at);
      Visit v;
      v.ip = answer.ip;
      v.port = slot.port;
      v.social = social;
      v.segment = segment;
      visits_.add(std::move(v));
      break;
    }
    case AnswerKind::closed:
      outcome(answer.ip, slot.port, slot.proto, slot.probe, segment, at, "closed");
      answered_.keep(answer.index);
      break;
    case AnswerKind::unreachable:
      break;
    case AnswerKind::datagram: {
      if (gathers_.size() >= max_gathers) flush_gathers(true);
      Gather g{answer, {}, static_cast<std::int64_t>(answer.payload.size()), at, now() + gather_time};
      g.parts.emplace_back(answer.payload.begin(), answer.payload.end());
      g.answer.payload = {};
      if (auto o = open_.find(segment); o != open_.end()) ++o->second.pending;
      gathers_.emplace(answer.index, std::move(g));
    }
  }
}

// One observation per anomaly: kind "middlebox", which never becomes a device (flow/pipeline.cc).
void EngineRun::set_apart(const std::optional<Middleboxes::Anomaly>& anomaly, std::int64_t segment, Instant at) {
  if (!anomaly) return;
  auto what = anomaly->what.text();
  env_.log.warn(what + " is set apart: " + anomaly->why);
  summary_.anomalies.push_back({what, anomaly->why});
  Parsed p;
  p.protocol = "middlebox";
  p.keys = {{"middlebox.scope", what}, {"middlebox.why", anomaly->why}};
  p.bytes = to_bytes(json::text(json::Object{{"scope", what}, {"why", anomaly->why}, {"accepted", anomaly->accepted}, {"ttl", anomaly->ttl}, {"window", anomaly->window}}));
  store(anomaly->what.base(), 0, Proto::tcp, "syn", segment, at, 0, 0, p);
}

void EngineRun::flush_gathers(bool all) {
  auto t = now();
  for (auto at = gathers_.begin(); at != gathers_.end();) {
    if (!all && at->second.due > t) {
      ++at;
      continue;
    }
    auto g = std::make_shared<Gather>(std::move(at->second));
    at = gathers_.erase(at);
    std::size_t total = 0;
    std::erase_if(g->parts, [&](const Bytes& p) { return (total += p.size()) > max_item_bytes; });
    Item item{g->answer.slot.probe, g->answer.ip.text(), g->answer.slot.port, g->parts};
    ++on_the_way_;
    auto tag = next_tag_++;
    parsing_since_.emplace(tag, g->at);
    parser_.submit(std::move(item), [this, g, tag](Item&&, std::optional<Parsed>&& parsed) {
      --on_the_way_;
      parsing_since_.erase(tag);
      const auto& slot = g->answer.slot;
      auto segment = segment_of(g->answer.index);
      if (auto o = open_.find(segment); o != open_.end() && o->second.pending > 0) --o->second.pending;
      answered_.keep(g->answer.index);
      if (!parsed) {
        parsed.emplace();
        parsed->protocol = "parser-died";
        for (const auto& p : g->parts) parsed->bytes.insert(parsed->bytes.end(), p.begin(), p.end());
      }
      if (parsed->protocol.empty()) return;
      const auto* request = shared_.catalogue.find(slot.probe);
      auto asked = static_cast<std::int64_t>(request->render({}, g->answer.ip, mandate_.source_for(g->answer.ip).value_or(Ip{})).size());
      store(g->answer.ip, slot.port, slot.proto, slot.probe, segment, g->at, asked, g->bytes, *parsed);
      if (events_.check_event)
        events_.check_event({{"step", "probe"}, {"what", slot.probe}, {"port", slot.port}, {"proto", "udp"}, {"result", "answered"}});
      if (parsed->location_port != 0) {
        journal_.add({{"ev", "open"},
                      {"ip", g->answer.ip.text()},
                      {"port", parsed->location_port},
                      {"n", segment},
                      {"path", parsed->location_path}});
        Visit v;
        v.ip = g->answer.ip;
        v.port = parsed->location_port;
        v.social = mandate_.is_social(v.ip);
        v.segment = segment;
        v.probe = "upnp";
        v.path = v.key_path = parsed->location_path;
        visits_.add(std::move(v));
      }
    });
  }
}

void EngineRun::visit_more() {
  if (daily_window_shut_ || !room_) return;
  while (grabber_.has_room() && !parser_.full()) {
    auto visit = visits_.next(now());
    if (!visit) return;
    // Left alone, or set apart: not now, or never.
    if (segment_lost(visit->segment)) {
      visits_.conversation_over(visit->ip, visit->social, now());
      continue;
    }
    auto held = holds_.wait(visit->ip, now());
    auto may = held.us > 0 ? Middleboxes::May::wait : middleboxes_.may(visit->ip);
    if (held == held_for_good || may == Middleboxes::May::never) {
      ++summary_.refused_by[may == Middleboxes::May::never ? "middlebox" : "backed_off"];
      visits_.conversation_over(visit->ip, visit->social, now());
      visit_over(*visit);
      continue;
    }
    if (may == Middleboxes::May::wait) {
      visits_.postpone(std::move(*visit), now() + std::max(held, judged_soon));
      continue;
    }
    const auto* probe = mandate_.probes().find(visit->probe);
    auto permit =
        probe ? mandate_.permit({visit->ip, visit->port}, *probe, env_.clock.now()) : std::unexpected(law::Refusal::probe_not_in_catalogue);
    if (!permit) {
      ++summary_.refused_by[std::string(law::name(permit.error()))];
      visits_.conversation_over(visit->ip, visit->social, now());
      visit_over(*visit);
      continue;
    }
    if (auto wait = talk_pace_.wait(now()); wait.us > 0) {  // the share of the moment is used up; more is asked for
      talk_starves_ = true;
      visits_.postpone(std::move(*visit), now() + wait);
      return;
    }
    if (auto wait = std::max(talk_net_paces_.wait(visit->ip, now()), operators_.wait(visit->ip, now())); wait.us > 0) {
      visits_.postpone(std::move(*visit), now() + wait);
      continue;
    }
    auto budget = budget_.take(*permit, env_.clock.now(), frames_per_conversation);
    if (budget.refusal != law::Refusal::none) {
      ++summary_.refused_by[std::string(law::name(budget.refusal))];
      visits_.conversation_over(visit->ip, visit->social, now());
      visit_over(*visit);
      continue;
    }
    if (budget.wait.us > 0) {
      visits_.postpone(std::move(*visit), now() + budget.wait);
      continue;
    }
    auto spec = visits_.spec_of(*visit, permit->source());
    if (is_relay_test(visit->probe)) {
      std::uint8_t token[8];
      env_.random.fill(token);
      visit->token = to_hex(token);
      spec.relay_url = shared_.relay->url(visit->ip.is_v4(), visit->token);
    }
    auto tag = next_tag_++;
    talk_pace_.count(now(), frames_per_conversation);
    talk_net_paces_.count(visit->ip, now(), frames_per_conversation);
    (void)operators_.take(visit->ip, now(), frames_per_conversation);
    talk_frames_ += frames_per_conversation;
    middleboxes_.begun(visit->ip);
    auto started = grabber_.start(*permit, std::move(spec), tag);
    if (!started) {
      visits_.conversation_over(visit->ip, visit->social, now());
      set_apart(middleboxes_.over(visit->ip, false), visit->segment, env_.clock.now());
      if (started.error().code == Code::environment) {
        give_up(Code::environment, started.error().what);
        return;
      }
      visit_over(*visit);
      continue;
    }
    ++summary_.conversations;
    talking_.emplace(tag, std::move(*visit));
  }
}

void EngineRun::conversation_ended(Grabbed&& g) {
  auto at = talking_.find(g.tag);
  if (at == talking_.end()) return;
  auto visit = std::move(at->second);
  talking_.erase(at);
  visits_.conversation_over(visit.ip, visit.social, now());
  set_apart(middleboxes_.over(visit.ip, g.ended == Ended::answered), visit.segment, g.at);
  if (g.ended == Ended::refused) {  // it was open a moment ago
    back_off(back_off_.answered(visit.ip, true, probes_into(visit.ip), now()));
    outcome(visit.ip, visit.port, Proto::tcp, visit.probe, visit.segment, g.at, "closed");
  }
  if (g.ended != Ended::answered) {
    judged(std::move(visit), std::move(g), std::nullopt);
    return;
  }
  if (visit.probe == "http-relay") {
    g.parts.resize(1);
    g.parts.push_back(to_bytes(shared_.relay->secret(visit.token)));
    g.parts.push_back(shared_.relay->seen(visit.token) ? to_bytes("seen") : Bytes{});
  } else if (visit.probe == "socks4-relay") {
    g.parts.insert(g.parts.begin(), {to_bytes(shared_.relay->secret(visit.token)), shared_.relay->seen(visit.token) ? to_bytes("seen") : Bytes{}});
  }
  Item item{visit.probe, visit.ip.text(), visit.port, g.parts};
  ++on_the_way_;
  auto kept = std::make_shared<std::pair<Visit, Grabbed>>(std::move(visit), std::move(g));
  parser_.submit(std::move(item), [this, kept](Item&&, std::optional<Parsed>&& parsed) {
    --on_the_way_;
    if (!parsed) {
      parsed.emplace();
      parsed->protocol = "parser-died";
      for (const auto& p : kept->second.parts) parsed->bytes.insert(parsed->bytes.end(), p.begin(), p.end());
      if (parsed->bytes.size() > max_item_bytes) parsed->bytes.resize(max_item_bytes);
    }
    judged(std::move(kept->first), std::move(kept->second), std::move(parsed));
  });
}

void EngineRun::judged(Visit visit, Grabbed g, std::optional<Parsed> parsed) {
  auto verdict = visits_.judge(visit, g.ended, parsed, now());
  if (verdict.store) {
    // The probe that is named is the one whose question was answered.
    std::string probe = visit.probe;
    if (probe == "listen" && mandate_.probes().find(parsed->protocol)) probe = parsed->protocol;
    store(visit.ip, visit.port, Proto::tcp, probe, visit.segment, g.at, g.sent_bytes, g.received_bytes, *parsed);
    if (events_.check_event)
      events_.check_event({{"step", "probe"}, {"what", probe}, {"port", visit.port}, {"proto", "tcp"}, {"result", "answered"}});
  } else if (g.ended == Ended::silent && plan_.all_outcomes && verdict.finished && !visit.reported) {
    outcome(visit.ip, visit.port, Proto::tcp, visit.probe, visit.segment, g.at, "silent");
  }
  if (!verdict.finished) return;
  if (!visit.reported && g.ended != Ended::refused && visit.key_path.empty()) {  // open, and nobody knows what it is
    Parsed plain = visit.fallback.value_or(Parsed{});
    plain.protocol = "tcp";
    store(visit.ip, visit.port, Proto::tcp, "listen", visit.segment, g.at, g.sent_bytes, static_cast<std::int64_t>(plain.bytes.size()),
          plain);
  }
  visit_over(visit);
}

void EngineRun::visit_over(const Visit& visit) {
  journal_.add({{"ev", "visited"}, {"ip", visit.ip.text()}, {"port", visit.port}, {"path", visit.key_path}});
}

void EngineRun::store(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at, std::int64_t asked,
                      std::int64_t heard, const Parsed& parsed) {
  registry::ReplyRecord r;
  r.reply.protocol = parsed.protocol;
  r.reply.bytes = parsed.bytes;
  r.reply.keys = parsed.keys;
  r.reply.hash = registry::reply_hash(r.reply.protocol, r.reply.bytes);
  r.seen.where = {ip, {port}, proto, at};
  r.seen.at_error = o_.at_error;
  r.seen.reply_hash = r.reply.hash;
  r.seen.probe = probe;
  r.seen.segment = segment_id(plan_.survey, segment);
  r.seen.request_bytes = asked;
  r.seen.reply_bytes = heard;
  spool_.add(r, fence_of(segment));
  ++summary_.replies;
  if (events_.reply) events_.reply(r);
}

void EngineRun::outcome(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at,
                        std::string_view word) {
  if (!plan_.all_outcomes && word != "closed") return;
  if (!plan_.all_outcomes && plan_.kind == "full") return;
  spool_.add(registry::Outcome{ip, {port}, proto, std::string(probe), at, std::string(word), segment_id(plan_.survey, segment)}, fence_of(segment));
  if (events_.check_event)
    events_.check_event({{"step", "probe"},
                         {"what", probe == "syn" || probe == "syn-control" ? visits_.usual_service(port) : std::string(probe)},
                         {"port", port},
                         {"proto", name(proto)},
                         {"result", word}});
}

}  // namespace nora::survey
