#include "survey/engine.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "law/budget.h"
#include "net/packet_socket.h"
#include "survey/answer.h"
#include "survey/channel.h"
#include "survey/journal.h"
#include "survey/parser_client.h"
#include "survey/rates.h"
#include "survey/spool.h"

namespace nora::survey {
namespace {

constexpr Span gather_time = Span::ms(300);            // datagrams that answer one probe are one reply
constexpr std::size_t max_gather_parts = 16, max_gathers = 65'536;
constexpr std::size_t max_visit_backlog = 100'000;     // no further segment while so many open ports wait
constexpr std::size_t calibration_probes = 200;
constexpr Span wall_stale = Span::seconds(5);
constexpr Span wall_every = Span::ms(200), deliver_every = Span::ms(300), progress_every = Span::ms(250), journal_every = Span::ms(100);
constexpr Span sender_patience = Span::seconds(15);    // for "ready", and for "done" after "stop"
constexpr std::uint32_t udp_header_free = 0;           // sizes are those of the UDP payload, as in the published amplification factors

std::string segment_id(const std::string& survey, std::int64_t n) { return survey + "/" + std::to_string(n); }

class Engine {
 public:
  Engine(const EngineOptions& options, EngineShared& shared, ReplySink* sink, const EngineEvents& events, const std::atomic<bool>& stop, Env env, Plan plan, Journal journal, Spool spool)
      : o_(options), shared_(shared), sink_(sink), events_(events), stop_(stop), env_(env), plan_(std::move(plan)), journal_(std::move(journal)), spool_(std::move(spool)),
        permutation_(plan_.space.size(), plan_.order), budget_(conversation_rates(shared.mandate.text())), grabber_(env), parser_(options.programs / "nora-parse", env),
        visits_(shared.mandate.probes(), shared.courtesy, [this](Ip ip, std::uint16_t port, std::string_view probe) { return allowed(ip, port, probe); }) {}
  ~Engine();
  Result<Summary> run();

 private:
  enum class Phase { walking, calibrating, draining, over };
  struct Active {
    std::int64_t n = -1;
    std::uint64_t from = 0, to = 0;
    std::vector<std::uint64_t> chosen;   // calibration
    bool done = false;
    Span window_over{};
    std::int64_t sent = 0;
    Hash hash{};
    std::int64_t pending = 0;            // datagram replies of this segment still on their way to the spool
  };
  struct Gather {
    Answer answer;
    std::vector<Bytes> parts;
    std::int64_t bytes = 0;
    Instant at;
    Span due{};
  };

  Status start();
  Status start_sender();
  Status loop();
  Status step();
  Status reserve(std::int64_t n, std::vector<std::uint64_t> chosen);
  Status sender_message(Message&& message);
  Status commit();
  void receive(ByteView frame, Instant at);
  void answered(const Answer& answer, Instant at);
  void flush_gathers(bool all);
  void visit_more();
  void conversation_ended(Grabbed&& g);
  void judged(Visit visit, Grabbed g, std::optional<Parsed> parsed);
  void visit_over(const Visit& visit);
  void store(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at, std::int64_t asked, std::int64_t heard, const Parsed& parsed);
  void outcome(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at, std::string_view word);
  bool allowed(Ip ip, std::uint16_t port, std::string_view probe) const;
  Status settle();  // spool, then journal, both on the disk: a "visited" promises that its reply is there
  Status look_at_wall();
  void deliver(bool hurry);
  void report_progress();
  void abandon_conversations();
  void give_up(Code code, std::string why) {
    if (failed_) return;
    failed_ = true;
    summary_.code = code;
    summary_.why = std::move(why);
  }
  Summary finish();
  Span now() const { return env_.clock.monotonic(); }

  const EngineOptions& o_;
  EngineShared& shared_;
  ReplySink* sink_;
  const EngineEvents& events_;
  const std::atomic<bool>& stop_;
  Env env_;
  Plan plan_;
  Journal journal_;
  Spool spool_;
  Permutation permutation_;
  law::Budget budget_;
  Grabber grabber_;
  ParserClient parser_;
  Visits visits_;
  std::optional<Validator> validator_;
  std::optional<net::PacketRing> ring_;
  Channel channel_;
  int sender_ = -1;
  Phase phase_ = Phase::walking;
  std::int64_t next_ = 0;
  std::optional<Active> active_;
  bool sender_stopping_ = false;
  Span sender_deadline_{};
  std::unordered_set<std::uint64_t> answered_;     // indexes, this process
  std::unordered_map<std::uint64_t, bool> calibration_;
  std::vector<std::uint64_t> candidates_;          // for calibration: answered, not social
  std::unordered_map<std::uint64_t, Gather> gathers_;
  std::unordered_map<std::uint64_t, Visit> talking_;
  std::int64_t on_the_way_ = 0;                    // items in the parser
  std::uint64_t next_tag_ = 1;
  std::optional<std::int64_t> wall_base_;
  Summary summary_;
  bool failed_ = false;
  Span started_{}, last_wall_{}, last_deliver_{}, last_progress_{}, last_journal_{}, last_store_error_{};
  std::int64_t sent_now_ = 0;                      // progress of the running segment
  bool store_down_ = false;
};

Engine::~Engine() {
  abandon_conversations();
  if (sender_ > 0) {
    channel_ = Channel();  // the sender ends when its socket closes
    for (int i = 0; i < 50; ++i) {
      if (waitpid(sender_, nullptr, WNOHANG) != 0) return;
      env_.clock.sleep(Span::ms(20));
    }
    kill(sender_, SIGKILL);
    waitpid(sender_, nullptr, 0);
  }
}

// Every connection is closed by one RST, and the devices are free for other engines of this process; the journal still holds the ports.
void Engine::abandon_conversations() {
  grabber_.abandon_all();
  for (const auto& [tag, visit] : talking_) visits_.conversation_over(visit.ip, visit.social, now());
  talking_.clear();
}

bool Engine::allowed(Ip ip, std::uint16_t port, std::string_view probe) const {
  const auto* info = shared_.mandate.probes().find(probe);
  if (info == nullptr) return false;
  if (probe == "http-relay" && (shared_.relay == nullptr || shared_.relay->url(ip.is_v4(), "x").empty())) return false;
  return shared_.mandate.permit({ip, port}, *info, env_.clock.now()).has_value();
}

Status Engine::start_sender() {
  NORA_TRY(auto ends, Channel::pair());
  auto program = (o_.programs / "nora-sender").string();
  if (access(program.c_str(), X_OK) != 0) return fail(Code::environment, "the sender " + program + " cannot be run: " + errno_text(errno));
  std::vector<std::string> args = {program, "--mandate", o_.files.mandate, "--roots", o_.files.roots, "--law-dir", o_.files.law_dir, "--catalogue", o_.files.catalogue,
                                   "--iface", o_.iface, "--fd", "3"};
  for (const auto& file : o_.files.opt_outs) args.insert(args.end(), {"--opt-out", file.string()});
  std::vector<char*> argv;
  for (auto& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  pid_t parent = getpid();
  int theirs = ends.second.fd();
  sender_ = fork();
  if (sender_ < 0) return fail(Code::environment, "fork: " + errno_text(errno));
  if (sender_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    if (theirs == 3) fcntl(3, F_SETFD, 0);
    else dup2(theirs, 3);
    close_range(4, ~0u, 0);
    execv(argv[0], argv.data());
    _exit(127);
  }
  channel_ = std::move(ends.first);
  ends.second = Channel();
  Key key;
  env_.random.fill(key);
  Fd plan(open((o_.dir / "plan.json").c_str(), O_RDONLY | O_CLOEXEC));
  if (!plan) return fail(Code::failed, "the plan cannot be opened: " + errno_text(errno));
  NORA_CHECK(channel_.send({{"op", "start"}, {"key", to_hex(key)}}, plan.get()));
  auto deadline = now() + sender_patience;
  while (now() < deadline) {
    NORA_TRY(auto message, channel_.receive(500));
    if (!message) continue;
    auto op = json::string_or(message->body, "op");
    if (op == "error")
      return fail(json::bool_or(message->body, "refused", false) ? Code::refused : json::int_or(message->body, "code", 1) == 6 ? Code::environment : Code::failed,
                  json::string_or(message->body, "what"), json::string_or(message->body, "fix"));
    if (op != "ready" || !message->fd) return fail(Code::failed, "the sender did not hand over its receive ring");
    NORA_TRY(auto ring, net::PacketRing::adopt(std::move(message->fd)));
    ring_.emplace(std::move(ring));
    validator_.emplace(plan_.space, shared_.catalogue, key, shared_.mandate.text().sources);
    return {};
  }
  return fail(Code::failed, "the sender is not ready after " + std::to_string(sender_patience.us / 1'000'000) + " s");
}

Status Engine::start() {
  started_ = now();
  summary_.survey = plan_.survey;
  summary_.kind = plan_.kind;
  summary_.targets = static_cast<std::int64_t>(plan_.space.targets());
  summary_.probes = static_cast<std::int64_t>(plan_.space.size());
  summary_.segments = static_cast<std::int64_t>(plan_.segments());
  if (plan_.mandate != shared_.mandate.hash()) return fail(Code::refused, "the plan was made for another mandate", "make a new plan: nora scan plan");
  NORA_CHECK(look_at_wall());
  if (failed_) return fail(summary_.code, summary_.why);
  NORA_CHECK(parser_.start());
  NORA_CHECK(start_sender());
  const auto& s = journal_.state();
  bool again = s.runs > 0;
  journal_.add({{"ev", "run"}, {"at", env_.clock.now().text()}});
  NORA_CHECK(journal_.flush(true));
  if (!again) {
    registry::Survey survey;
    survey.id = plan_.survey;
    survey.kind = plan_.kind;
    survey.mandate_hash = plan_.mandate;
    survey.plan = plan_.text();
    survey.started = env_.clock.now();
    spool_.add(survey);
  }
  summary_.received = s.received;
  summary_.unique = s.unique;
  summary_.duplicates = s.duplicates;
  summary_.replies = s.replies;
  summary_.conversations = s.conversations;
  for (const auto& open : s.to_visit) {
    Visit v;
    v.ip = open.ip;
    v.port = open.port;
    v.segment = open.segment;
    v.social = shared_.mandate.is_social(open.ip);
    if (!open.path.empty()) {
      v.probe = "upnp";
      v.path = v.key_path = open.path;
    }
    visits_.add(std::move(v));
  }
  return {};
}

Status Engine::settle() {
  NORA_CHECK(spool_.flush(true));
  return journal_.flush(true);
}

Status Engine::look_at_wall() {
  if (o_.wall_status.empty()) return {};
  last_wall_ = now();
  auto text = read_file(o_.wall_status, 1u << 20);
  if (!text) {
    if (wall_base_) return {};
    return fail(Code::environment, "the wall's status " + o_.wall_status.string() + " cannot be read", "start nora-wall first");
  }
  auto status = json::parse_object(*text);
  if (!status) return {};  // not JSON: nora-wall replaces the file whole, so this is somebody else's
  auto blocked = json::int_or(*status, "blocked", 0);
  auto halt = [&] {
    if (channel_.fd() >= 0) (void)channel_.send({{"op", "stop"}});
    sender_stopping_ = true;
    sender_deadline_ = now() + sender_patience;
    abandon_conversations();
  };
  // A wall that does not renew its file does not guard: stop, and say so. (Files without a time are taken as they are.)
  if (auto at = json::get_instant(*status, "at"); at && env_.clock.now() - *at > wall_stale) {
    if (!wall_base_) return fail(Code::environment, "the wall's status is of " + at->text() + ": nora-wall is not running", "start nora-wall first");
    halt();
    give_up(Code::interrupted, "nora-wall no longer renews its status");
    return {};
  }
  if (!wall_base_) {
    wall_base_ = blocked;
    if (blocked > 0 || json::bool_or(*status, "incident", false))
      give_up(Code::refused, "the wall has blocked " + std::to_string(blocked) + " frames before this run; an incident is open: look into it and restart nora-wall");
    return {};
  }
  if (blocked > *wall_base_) {
    auto frames = blocked - *wall_base_;
    wall_base_ = blocked;
    halt();
    (void)shared_.audit.append("incident", {{"survey", plan_.survey}, {"what", "the wall blocked frames"}, {"frames", frames}});
    give_up(Code::refused, "the wall blocked " + std::to_string(frames) + " frames: the survey is stopped, an incident is logged");
  }
  return {};
}

Status Engine::reserve(std::int64_t n, std::vector<std::uint64_t> chosen) {
  Active a;
  a.n = n;
  if (chosen.empty()) {
    a.from = static_cast<std::uint64_t>(n) * plan_.segment_size;
    a.to = std::min(a.from + plan_.segment_size, plan_.space.size());
  }
  a.chosen = std::move(chosen);
  auto id = segment_id(plan_.survey, n);
  json::Object leaf{{"survey", plan_.survey}, {"segment", id}, {"mandate", to_hex(plan_.mandate)}, {"catalogue", to_hex(plan_.catalogue)}, {"order", to_hex(plan_.order)}};
  json::Array indexes;
  for (auto i : a.chosen) indexes.push_back(json::Value(i));
  if (a.chosen.empty()) {
    leaf["from"] = a.from;
    leaf["to"] = a.to;
  } else {
    leaf["repeats"] = indexes;
  }
  NORA_TRY(auto logged, shared_.audit.append("segment_reserved", leaf));
  auto leaf_text = std::to_string(logged.index) + ":" + to_hex(logged.leaf);
  journal_.add({{"ev", "reserved"}, {"n", n}, {"from", a.from}, {"to", a.to}, {"leaf", leaf_text}, {"at", env_.clock.now().text()}});
  NORA_CHECK(settle());
  registry::Segment s;
  s.id = id;
  s.survey = plan_.survey;
  s.number = n;
  s.from = a.from;
  s.to = a.to;
  spool_.add(s, leaf_text, env_.clock.now());
  auto path = o_.dir / "segments" / (std::to_string(n) + ".bin");
  Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  // A segment that is sent again starts its file anew: the leaf of the commit stands for the sending that was completed.
  if (!file || ftruncate(file.get(), 0) != 0) return fail(Code::failed, path.string() + ": " + errno_text(errno));
  json::Object order{{"op", "segment"}, {"n", n}};
  if (a.chosen.empty()) {
    order["from"] = a.from;
    order["to"] = a.to;
  } else {
    order["indexes"] = std::move(indexes);
  }
  sent_now_ = 0;
  active_ = std::move(a);
  return channel_.send(order, file.get());
}

Status Engine::sender_message(Message&& m) {
  auto op = json::string_or(m.body, "op");
  if (op == "progress") {
    sent_now_ = json::int_or(m.body, "sent", 0);
    return {};
  }
  if (op == "error") return fail(json::bool_or(m.body, "refused", false) ? Code::refused : Code::failed, "the sender: " + json::string_or(m.body, "what"), json::string_or(m.body, "fix"));
  if (op != "done" || !active_ || json::int_or(m.body, "n", -1) != active_->n) return fail(Code::failed, "the sender sent an unknown message");
  active_->sent = json::int_or(m.body, "sent", 0);
  sent_now_ = active_->sent;
  NORA_TRY(auto hash, json::get_string(m.body, "sha256"));
  NORA_TRY(active_->hash, hash_from_hex(hash));
  if (!json::bool_or(m.body, "complete", false)) {
    // Not all of it was sent: it stays reserved and is sent again by a resume.
    auto why = json::string_or(m.body, "why", sender_stopping_ ? "stopped" : "sending failed");
    give_up(Code::interrupted, "segment " + std::to_string(active_->n) + " was not completed: " + why);
    active_.reset();
    return {};
  }
  json::Object line{{"ev", "sent"}, {"n", active_->n}, {"sent", active_->sent}, {"refused", json::int_or(m.body, "refused", 0)}, {"sha256", hash}};
  if (auto reasons = json::get_object(m.body, "reasons")) line["reasons"] = *reasons;
  journal_.add(std::move(line));
  NORA_CHECK(settle());
  active_->done = true;
  active_->window_over = now() + Span::ms(plan_.answer_window_ms);
  return {};
}

Status Engine::commit() {
  auto& a = *active_;
  // Silence can be told only now that the window is over.
  if (plan_.all_outcomes && a.chosen.empty()) {
    auto at = env_.clock.now();
    for (auto i = a.from; i < a.to; ++i) {
      auto index = permutation_.at(i);
      if (answered_.contains(index)) continue;
      auto point = plan_.space.at(index);
      outcome(point.ip, point.slot->port, point.slot->proto, point.slot->probe, a.n, at, "silent");
    }
  }
  NORA_CHECK(spool_.flush(true));
  json::Object leaf{{"survey", plan_.survey}, {"segment", segment_id(plan_.survey, a.n)}, {"sent", a.sent}, {"file", to_hex(a.hash)}, {"received", summary_.received}, {"unique", summary_.unique}};
  if (wall_base_) leaf["wall_blocked"] = *wall_base_;
  NORA_TRY(auto logged, shared_.audit.append("segment_committed", leaf));
  auto leaf_text = std::to_string(logged.index) + ":" + to_hex(logged.leaf);
  journal_.add({{"ev", "committed"}, {"n", a.n}, {"leaf", leaf_text}});
  NORA_CHECK(settle());
  registry::Segment s;
  s.id = segment_id(plan_.survey, a.n);
  s.survey = plan_.survey;
  s.number = a.n;
  s.from = a.from;
  s.to = a.to;
  s.state = registry::SegmentState::committed;
  s.sent = a.sent;
  s.file_hash = a.hash;
  spool_.add(s, leaf_text, env_.clock.now());
  active_.reset();
  return {};
}

void Engine::receive(ByteView frame, Instant at) {
  auto packet = net::parse_frame(frame);
  if (!packet) return;
  if (auto answer = validator_->check(*packet)) answered(*answer, at);
}

void Engine::answered(const Answer& answer, Instant at) {
  ++summary_.received;
  if (auto c = calibration_.find(answer.index); c != calibration_.end()) {
    c->second = true;
    return;
  }
  if (auto g = gathers_.find(answer.index); g != gathers_.end() && answer.kind == AnswerKind::datagram) {
    g->second.bytes += static_cast<std::int64_t>(answer.payload.size());
    if (g->second.parts.size() < max_gather_parts) g->second.parts.emplace_back(answer.payload.begin(), answer.payload.end());
    return;
  }
  if (!answered_.insert(answer.index).second) {
    ++summary_.duplicates;
    return;
  }
  ++summary_.unique;
  auto segment = static_cast<std::int64_t>(permutation_.place(answer.index) / plan_.segment_size);
  const auto& slot = answer.slot;
  bool social = shared_.mandate.is_social(answer.ip);
  // ICMP errors are rate-limited by the kernels of devices: only answers of the service or of TCP itself measure the loss.
  bool steady = answer.kind == AnswerKind::open || answer.kind == AnswerKind::datagram || (answer.kind == AnswerKind::closed && slot.proto == Proto::tcp);
  if (!social && steady && candidates_.size() < 100'000) candidates_.push_back(answer.index);
  switch (answer.kind) {
    case AnswerKind::open: {
      journal_.add({{"ev", "open"}, {"ip", answer.ip.text()}, {"port", slot.port}, {"n", segment}});
      if (events_.check_event) events_.check_event({{"step", "probe"}, {"what", visits_.usual_service(slot.port)}, {"port", slot.port}, {"proto", "tcp"}, {"result", "open"}});
      Visit v;
      v.ip = answer.ip;
      v.port = slot.port;
      v.social = social;
      v.segment = segment;
      visits_.add(std::move(v));
      break;
    }
    case AnswerKind::closed: outcome(answer.ip, slot.port, slot.proto, slot.probe, segment, at, "closed"); break;
    case AnswerKind::unreachable: break;  // a router on the way speaks, not the device: at the commit it counts as silent
    case AnswerKind::datagram: {
      if (gathers_.size() >= max_gathers) flush_gathers(true);
      Gather g{answer, {}, static_cast<std::int64_t>(answer.payload.size()), at, now() + gather_time};
      g.parts.emplace_back(answer.payload.begin(), answer.payload.end());
      g.answer.payload = {};
      if (active_ && active_->n == segment) ++active_->pending;
      gathers_.emplace(answer.index, std::move(g));
    }
  }
  if (answer.kind == AnswerKind::unreachable) answered_.erase(answer.index);
}

void Engine::flush_gathers(bool all) {
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
    parser_.submit(std::move(item), [this, g](Item&&, std::optional<Parsed>&& parsed) {
      --on_the_way_;
      const auto& slot = g->answer.slot;
      auto segment = static_cast<std::int64_t>(permutation_.place(g->answer.index) / plan_.segment_size);
      if (active_ && active_->n == segment) --active_->pending;
      if (!parsed) {
        parsed.emplace();
        parsed->protocol = "parser-died";
        for (const auto& p : g->parts) parsed->bytes.insert(parsed->bytes.end(), p.begin(), p.end());
      }
      if (parsed->protocol.empty()) return;
      const auto* request = shared_.catalogue.find(slot.probe);
      auto asked = static_cast<std::int64_t>(request->render({}, g->answer.ip, shared_.mandate.source_for(g->answer.ip).value_or(Ip{})).size()) + udp_header_free;
      store(g->answer.ip, slot.port, slot.proto, slot.probe, segment, g->at, asked, g->bytes, *parsed);
      if (events_.check_event) events_.check_event({{"step", "probe"}, {"what", slot.probe}, {"port", slot.port}, {"proto", "udp"}, {"result", "answered"}});
      if (parsed->location_port != 0) {
        journal_.add({{"ev", "open"}, {"ip", g->answer.ip.text()}, {"port", parsed->location_port}, {"n", segment}, {"path", parsed->location_path}});
        Visit v;
        v.ip = g->answer.ip;
        v.port = parsed->location_port;
        v.social = shared_.mandate.is_social(v.ip);
        v.segment = segment;
        v.probe = "upnp";
        v.path = v.key_path = parsed->location_path;
        visits_.add(std::move(v));
      }
    });
  }
}

void Engine::visit_more() {
  while (grabber_.running() < max_conversations && !parser_.full()) {
    auto visit = visits_.next(now());
    if (!visit) return;
    const auto* probe = shared_.mandate.probes().find(visit->probe);
    auto permit = probe ? shared_.mandate.permit({visit->ip, visit->port}, *probe, env_.clock.now()) : std::unexpected(law::Refusal::probe_not_in_catalogue);
    if (!permit) {
      ++summary_.refused_by[std::string(law::name(permit.error()))];
      visits_.conversation_over(visit->ip, visit->social, now());
      visit_over(*visit);
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
    ScriptSpec spec;
    spec.probe = visit->probe;
    spec.ip = visit->ip;
    spec.port = visit->port;
    spec.own = permit->source().text();
    spec.path = visit->path;
    spec.ssh_allowed = allowed(visit->ip, visit->port, "ssh");
    spec.rfb_allowed = allowed(visit->ip, visit->port, "rfb");
    spec.describe_allowed = allowed(visit->ip, visit->port, "rtsp-describe");
    if (visit->probe == "http-relay") {
      std::uint8_t token[8];
      env_.random.fill(token);
      visit->token = to_hex(token);
      spec.relay_url = shared_.relay->url(visit->ip.is_v4(), visit->token);
    }
    auto tag = next_tag_++;
    auto started = grabber_.start(*permit, std::move(spec), tag);
    if (!started) {
      visits_.conversation_over(visit->ip, visit->social, now());
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

void Engine::conversation_ended(Grabbed&& g) {
  auto at = talking_.find(g.tag);
  if (at == talking_.end()) return;
  auto visit = std::move(at->second);
  talking_.erase(at);
  visits_.conversation_over(visit.ip, visit.social, now());
  if (g.ended == Ended::refused) outcome(visit.ip, visit.port, Proto::tcp, visit.probe, visit.segment, g.at, "closed");
  if (g.ended != Ended::answered) {
    judged(std::move(visit), std::move(g), std::nullopt);
    return;
  }
  if (visit.probe == "http-relay") {
    g.parts.resize(1);
    g.parts.push_back(to_bytes(shared_.relay->secret(visit.token)));
    g.parts.push_back(shared_.relay->seen(visit.token) ? to_bytes("seen") : Bytes{});
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

void Engine::judged(Visit visit, Grabbed g, std::optional<Parsed> parsed) {
  auto verdict = visits_.judge(visit, g.ended, parsed, now());
  if (verdict.store) {
    // The probe that is named is the one whose question was answered.
    std::string probe = visit.probe;
    if (probe == "listen" && shared_.mandate.probes().find(parsed->protocol)) probe = parsed->protocol;
    store(visit.ip, visit.port, Proto::tcp, probe, visit.segment, g.at, g.sent_bytes, g.received_bytes, *parsed);
    if (events_.check_event) events_.check_event({{"step", "probe"}, {"what", probe}, {"port", visit.port}, {"proto", "tcp"}, {"result", "answered"}});
  } else if (g.ended == Ended::silent && plan_.all_outcomes && verdict.finished && !visit.reported) {
    outcome(visit.ip, visit.port, Proto::tcp, visit.probe, visit.segment, g.at, "silent");
  }
  if (!verdict.finished) return;
  if (!visit.reported && g.ended != Ended::refused && visit.key_path.empty()) {  // open, and nobody knows what it is
    Parsed plain = visit.fallback.value_or(Parsed{});
    plain.protocol = "tcp";
    store(visit.ip, visit.port, Proto::tcp, "listen", visit.segment, g.at, g.sent_bytes, static_cast<std::int64_t>(plain.bytes.size()), plain);
  }
  visit_over(visit);
}

void Engine::visit_over(const Visit& visit) {
  journal_.add({{"ev", "visited"}, {"ip", visit.ip.text()}, {"port", visit.port}, {"path", visit.key_path}});
}

void Engine::store(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at, std::int64_t asked, std::int64_t heard, const Parsed& parsed) {
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
  spool_.add(r);
  ++summary_.replies;
  if (events_.reply) events_.reply(r);
}

void Engine::outcome(Ip ip, std::uint16_t port, Proto proto, std::string_view probe, std::int64_t segment, Instant at, std::string_view word) {
  if (!plan_.all_outcomes && word != "closed") return;
  if (!plan_.all_outcomes && plan_.kind == "full") return;
  spool_.add(registry::Outcome{ip, {port}, proto, std::string(probe), at, std::string(word), segment_id(plan_.survey, segment)});
  if (events_.check_event)
    events_.check_event({{"step", "probe"}, {"what", probe == "syn" || probe == "syn-control" ? visits_.usual_service(port) : std::string(probe)}, {"port", port}, {"proto", name(proto)}, {"result", word}});
}

void Engine::deliver(bool hurry) {
  if (sink_ == nullptr) return;
  auto t = now();
  if (!hurry && t - last_deliver_ < (store_down_ ? Span::seconds(5) : deliver_every)) return;
  last_deliver_ = t;
  if (auto left = spool_.deliver(*sink_); !left) {
    if (!store_down_) env_.log.warn("the store does not take results (" + left.error().text() + "); they wait in the spool");
    store_down_ = true;
  } else {
    if (store_down_) env_.log.info("the store takes results again");
    store_down_ = false;
  }
}

void Engine::report_progress() {
  if (!events_.progress || now() - last_progress_ < progress_every) return;
  last_progress_ = now();
  EngineEvents::Progress p;
  for (const auto& [n, s] : journal_.state().segments) p.sent += static_cast<std::uint64_t>(s.frames);
  if (active_ && !active_->done) p.sent += static_cast<std::uint64_t>(sent_now_);
  p.total = plan_.space.size();
  p.received = summary_.received;
  p.unique = summary_.unique;
  p.open_waiting = static_cast<std::int64_t>(visits_.waiting() + grabber_.running());
  p.replies = summary_.replies;
  p.drops = summary_.ring_drops;
  p.elapsed = now() - started_;
  p.pps = p.elapsed.us > 0 ? static_cast<double>(p.sent) / p.elapsed.as_seconds() : 0;
  if (p.pps > 0 && p.total > p.sent) p.left = Span{static_cast<std::int64_t>(static_cast<double>(p.total - p.sent) / p.pps * 1e6)};
  events_.progress(p);
}

Status Engine::step() {
  if (phase_ == Phase::walking && !active_ && !sender_stopping_) {
    const auto& segments = journal_.state().segments;
    auto total = static_cast<std::int64_t>(plan_.segments());
    while (next_ < total) {
      auto at = segments.find(next_);
      if (at == segments.end() || !at->second.committed) break;
      ++next_;
    }
    if (next_ >= total) {
      phase_ = Phase::calibrating;
    } else if (visits_.waiting() < max_visit_backlog) {
      return reserve(next_, {});
    }
  }
  if (phase_ == Phase::calibrating && !active_ && !sender_stopping_) {
    auto n = static_cast<std::int64_t>(plan_.segments());
    auto done = journal_.state().segments.find(n);
    bool already = done != journal_.state().segments.end() && done->second.committed;
    if (!o_.calibrate || already || !calibration_.empty() || candidates_.empty()) {
      phase_ = Phase::draining;
      return {};
    }
    flush_gathers(true);
    std::vector<std::uint64_t> chosen;
    for (std::size_t i = 0; i < calibration_probes && !candidates_.empty(); ++i) {
      auto k = env_.random.below(candidates_.size());
      chosen.push_back(permutation_.place(candidates_[k]));
      calibration_[candidates_[k]] = false;
      candidates_[k] = candidates_.back();
      candidates_.pop_back();
    }
    return reserve(n, std::move(chosen));
  }
  if (active_ && active_->done && now() >= active_->window_over && active_->pending <= 0) NORA_CHECK(commit());
  if (phase_ == Phase::draining && !active_ && visits_.waiting() == 0 && grabber_.running() == 0 && talking_.empty() && gathers_.empty() && on_the_way_ == 0) phase_ = Phase::over;
  return {};
}

Status Engine::loop() {
  auto visit = [this](ByteView frame, Instant at) { receive(frame, at); };
  while (phase_ != Phase::over) {
    if (stop_ && !sender_stopping_) {
      sender_stopping_ = true;
      sender_deadline_ = now() + sender_patience;
      NORA_CHECK(channel_.send({{"op", "stop"}}));
      give_up(Code::interrupted, "stopped");
      phase_ = Phase::draining;
    }
    // Stopped: what has been sent is settled, open ports stay in the journal for the next run.
    if (failed_ && !active_) break;
    if (failed_ && sender_stopping_ && sender_deadline_.us > 0 && now() > sender_deadline_) break;
    if (failed_ && active_ && active_->done && now() >= active_->window_over) {
      flush_gathers(true);
      if (on_the_way_ > 0 && active_->pending > 0) {
        parser_.serve();
      } else {
        NORA_CHECK(commit());
        break;
      }
    }
    if (o_.deadline.us > 0 && now() - started_ > o_.deadline) {
      give_up(Code::interrupted, "the time for this run is over");
      break;
    }
    if (!failed_) {
      NORA_CHECK(step());
      visit_more();
    }
    auto wait = std::min({grabber_.next_due(), visits_.next_due(now()), gathers_.empty() ? Span::ms(100) : Span::ms(20)});
    pollfd p[4] = {{ring_->fd(), POLLIN, 0}, {channel_.fd(), POLLIN, 0}, {grabber_.fd(), POLLIN, 0}, {parser_.fd(), static_cast<short>(POLLIN | (parser_.wants_write() ? POLLOUT : 0)), 0}};
    if (poll(p, 4, static_cast<int>(std::max<std::int64_t>(1, wait.us / 1000))) < 0 && errno != EINTR) return fail(Code::failed, "poll: " + errno_text(errno));
    NORA_CHECK(ring_->read(Span{}, visit));
    if (p[1].revents != 0) {
      for (int i = 0; i < 64; ++i) {
        NORA_TRY(auto message, channel_.receive(0));
        if (!message) break;
        NORA_CHECK(sender_message(std::move(*message)));
      }
    }
    grabber_.serve([this](Grabbed&& g) { conversation_ended(std::move(g)); });
    parser_.serve();
    flush_gathers(false);
    auto t = now();
    if (t - last_wall_ >= wall_every) NORA_CHECK(look_at_wall());
    if (t - last_journal_ >= journal_every) {
      last_journal_ = t;
      NORA_CHECK(spool_.flush(false));  // replies before the "visited" that depends on them
      NORA_CHECK(journal_.flush(false));
    }
    deliver(false);
    report_progress();
  }
  return {};
}

Summary Engine::finish() {
  const auto& s = journal_.state();
  auto& m = summary_;
  m.complete = !failed_ && phase_ == Phase::over;
  for (const auto& [n, segment] : s.segments) {
    m.sent += segment.frames;
    m.refused += segment.refused;
    if (segment.times > 1) {
      m.repeated_segments += segment.times - 1;
      m.repeated_probes_at_most += static_cast<std::int64_t>(segment.to - segment.from) * (segment.times - 1);
    }
  }
  for (const auto& [why, n] : s.refused_by) m.refused_by[why] += n;
  m.calibration_asked = static_cast<std::int64_t>(calibration_.size());
  for (const auto& [index, again] : calibration_) m.calibration_missed += again ? 0 : 1;
  if (ring_) m.ring_drops = ring_->counters().drops;
  m.parser_deaths = parser_.deaths();
  m.took = now() - started_ + s.earlier;
  journal_.add({{"ev", "counts"}, {"received", m.received}, {"unique", m.unique}, {"duplicates", m.duplicates}, {"replies", m.replies}, {"conversations", m.conversations}, {"ms", m.took.us / 1000}});
  if (m.complete) {
    journal_.add({{"ev", "finished"}});
    registry::Survey survey;
    survey.id = plan_.survey;
    survey.kind = plan_.kind;
    survey.mandate_hash = plan_.mandate;
    survey.plan = plan_.text();
    survey.started = env_.clock.now() - m.took;
    survey.finished = env_.clock.now();
    survey.sent = m.sent;
    survey.replies = m.replies;
    survey.summary = json::text(m.to_json());
    spool_.add(survey);
  }
  // The spool first: a "visited" in the journal promises that the reply is there.
  if (auto kept = spool_.flush(true); !kept) give_up(Code::failed, kept.error().text());
  if (auto kept = journal_.flush(true); !kept) give_up(Code::failed, kept.error().text());
  auto patience = now() + o_.give_up_store;
  while (sink_ != nullptr && spool_.pending_bytes() > 0 && now() < patience) {
    deliver(true);
    if (store_down_) env_.clock.sleep(Span::ms(500));
  }
  m.undelivered_bytes = sink_ != nullptr ? spool_.pending_bytes() : 0;
  m.complete = m.complete && !failed_;
  return m;
}

Result<Summary> Engine::run() {
  NORA_CHECK(start());
  if (auto looped = loop(); !looped) give_up(looped.error().code == Code::interrupted ? Code::failed : looped.error().code, looped.error().text());
  return finish();
}

}  // namespace

std::pair<double, double> wilson(std::int64_t missed, std::int64_t asked) {
  if (asked <= 0) return {0, 1};
  constexpr double z = 1.959964;
  double n = static_cast<double>(asked), p = static_cast<double>(missed) / n;
  double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

json::Object Summary::to_json() const {
  json::Object by;
  for (const auto& [reason, n] : refused_by) by[reason] = n;
  json::Object loss{{"asked", calibration_asked}, {"missed", calibration_missed}};
  if (calibration_asked > 0) {
    auto [low, high] = wilson(calibration_missed, calibration_asked);
    loss["ratio"] = static_cast<double>(calibration_missed) / static_cast<double>(calibration_asked);
    loss["low"] = low;
    loss["high"] = high;
  }
  json::Object o{{"type", "summary"}, {"survey", survey}, {"kind", kind}, {"targets", targets}, {"probes", probes}, {"segments", segments},
                 {"sent", sent}, {"received", received}, {"unique", unique}, {"duplicates", duplicates}, {"refused", refused}, {"refused_by", std::move(by)},
                 {"replies", replies}, {"conversations", conversations}, {"loss", std::move(loss)}, {"ring_drops", ring_drops}, {"parser_deaths", parser_deaths},
                 {"repeated_segments", repeated_segments}, {"repeated_probes_at_most", repeated_probes_at_most}, {"undelivered_bytes", undelivered_bytes},
                 {"seconds", took.as_seconds()}, {"complete", complete}};
  if (!complete) o["why"] = why;
  return o;
}

Result<Summary> run_engine(const EngineOptions& options, EngineShared& shared, ReplySink* sink, const EngineEvents& events, const std::atomic<bool>& stop, Env env) {
  std::error_code error;
  std::filesystem::create_directories(options.dir / "segments", error);
  if (error) return fail(Code::failed, options.dir.string() + ": " + error.message());
  NORA_TRY(auto plan, Plan::load(options.dir));
  NORA_TRY(auto journal, Journal::open(options.dir));
  if (journal.state().finished) return fail(Code::usage, "the survey in " + options.dir.string() + " is finished", "use another --dir for a new one");
  NORA_TRY(auto spool, Spool::open(options.dir));
  Engine engine(options, shared, sink, events, stop, env, std::move(plan), std::move(journal), std::move(spool));
  return engine.run();
}

}  // namespace nora::survey
