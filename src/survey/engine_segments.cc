// The engine's dealings with the sender and the wall: start, segments with their leaves, incidents.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "survey/engine_run.h"

namespace nora::survey {
namespace {

constexpr Span wall_stale = Span::seconds(5);

}  // namespace

Status EngineRun::start_sender() {
  NORA_TRY(auto ends, Channel::pair());
  auto program = (o_.programs / "nora-sender").string();
  if (access(program.c_str(), X_OK) != 0) return fail(Code::environment, "the sender " + program + " cannot be run: " + errno_text(errno));
  std::vector<std::string> args = {
      program,       "--mandate",        o_.files.mandate, "--roots", o_.files.roots, "--law-dir", o_.files.law_dir,
      "--catalogue", o_.files.catalogue, "--iface",        o_.iface,  "--fd",         "3"};
  args.insert(args.end(), {"--daily", daily(), "--send", std::string(law::name(o_.send))});
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
      return fail(json::bool_or(message->body, "refused", false) ? Code::refused
                  : json::int_or(message->body, "code", 1) == 6  ? Code::environment
                                                                 : Code::failed,
                  json::string_or(message->body, "what"), json::string_or(message->body, "fix"));
    if (op == "ready") {
      summary_.send = json::string_or(message->body, "path");
      if (auto why = json::string_or(message->body, "why"); !why.empty()) env_.log.info("frames leave by " + summary_.send + ": " + why);
    }
    if (op != "ready" || !message->fd) return fail(Code::failed, "the sender did not hand over its receive ring");
    NORA_TRY(auto ring, net::PacketRing::adopt(std::move(message->fd)));
    ring_.emplace(std::move(ring));
    validator_.emplace(plan_.space, shared_.catalogue, key, mandate_.text().sources);
    return {};
  }
  return fail(Code::failed, "the sender is not ready after " + std::to_string(sender_patience.us / 1'000'000) + " s");
}

Status EngineRun::start() {
  started_ = now();
  summary_.survey = plan_.survey;
  summary_.kind = plan_.kind;
  summary_.targets = static_cast<std::int64_t>(plan_.space.targets());
  summary_.probes = static_cast<std::int64_t>(plan_.space.size());
  summary_.segments = static_cast<std::int64_t>(plan_.segments());
  if (plan_.mandate != mandate_.hash())
    return fail(Code::refused, "the plan was made for another mandate", "make a new plan: nora scan plan");
  NORA_CHECK(look_at_wall());
  if (failed_) return fail(summary_.code, summary_.why);
  NORA_TRY(auto ledger, law::DailyLedger::open(daily(), env_.clock.now()));
  budget_.use(std::move(ledger));
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
    v.social = mandate_.is_social(open.ip);
    if (!open.path.empty()) {
      v.probe = "upnp";
      v.path = v.key_path = open.path;
    }
    visits_.add(std::move(v));
  }
  return {};
}

Status EngineRun::look_at_wall() {
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
    if (!wall_base_)
      return fail(Code::environment, "the wall's status is of " + at->text() + ": nora-wall is not running", "start nora-wall first");
    halt();
    give_up(Code::interrupted, "nora-wall no longer renews its status");
    return {};
  }
  if (!wall_base_) {
    wall_base_ = blocked;
    if (blocked > 0 || json::bool_or(*status, "incident", false))
      give_up(Code::refused, "the wall has blocked " + std::to_string(blocked) +
                                 " frames before this run; an incident is open: look into it and restart nora-wall");
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

Status EngineRun::reserve(std::int64_t n, std::vector<std::uint64_t> chosen) {
  Active a;
  a.n = n;
  if (chosen.empty()) {
    a.from = static_cast<std::uint64_t>(n) * plan_.segment_size;
    a.to = std::min(a.from + plan_.segment_size, plan_.space.size());
  }
  a.chosen = std::move(chosen);
  auto id = segment_id(plan_.survey, n);
  json::Object leaf{{"survey", plan_.survey},
                    {"segment", id},
                    {"mandate", to_hex(plan_.mandate)},
                    {"catalogue", to_hex(plan_.catalogue)},
                    {"order", to_hex(plan_.order)}};
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

Status EngineRun::sender_message(Message&& m) {
  auto op = json::string_or(m.body, "op");
  if (op == "progress") {
    sent_now_ = json::int_or(m.body, "sent", 0);
    return {};
  }
  if (op == "error")
    return fail(json::bool_or(m.body, "refused", false) ? Code::refused : Code::failed, "the sender: " + json::string_or(m.body, "what"),
                json::string_or(m.body, "fix"));
  if (op != "done" || !active_ || json::int_or(m.body, "n", -1) != active_->n)
    return fail(Code::failed, "the sender sent an unknown message");
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
  json::Object line{
      {"ev", "sent"}, {"n", active_->n}, {"sent", active_->sent}, {"refused", json::int_or(m.body, "refused", 0)}, {"sha256", hash}};
  if (auto reasons = json::get_object(m.body, "reasons")) line["reasons"] = *reasons;
  journal_.add(std::move(line));
  NORA_CHECK(settle());
  active_->done = true;
  active_->window_over = now() + Span::ms(plan_.answer_window_ms);
  return {};
}

Status EngineRun::commit() {
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
  json::Object leaf{{"survey", plan_.survey},
                    {"segment", segment_id(plan_.survey, a.n)},
                    {"sent", a.sent},
                    {"file", to_hex(a.hash)},
                    {"received", summary_.received},
                    {"unique", summary_.unique}};
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

}  // namespace nora::survey
