// The engine's dealings with the sender and the wall: start, orders answered, loss and new start, rates, back-off, incidents.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "survey/engine_run.h"

namespace nora::survey {
namespace {

constexpr Span wall_stale = Span::seconds(5);
constexpr Span divide_every = Span::ms(250);
constexpr Span wall_counts_within = Span::seconds(1);  // it writes its status five times a second

Code code_of(const json::Object& error) {
  if (json::bool_or(error, "refused", false)) return Code::refused;
  return json::int_or(error, "code", 1) == exit_code(Code::environment) ? Code::environment : Code::failed;
}

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
  if (!validator_) env_.random.fill(key_);  // one key for the whole run: a new sender's probes are answered to the same tokens; the journal keeps it
  Fd plan(open((o_.dir / "plan.json").c_str(), O_RDONLY | O_CLOEXEC));
  if (!plan) return fail(Code::failed, "the plan cannot be opened: " + errno_text(errno));
  NORA_CHECK(channel_.send({{"op", "start"}, {"key", to_hex(key_)}}, plan.get()));
  auto deadline = now() + sender_patience;
  while (now() < deadline) {
    NORA_TRY(auto message, channel_.receive(500));
    if (!message) continue;
    auto op = json::string_or(message->body, "op");
    if (op == "error") return fail(code_of(message->body), json::string_or(message->body, "what"), json::string_or(message->body, "fix"));
    if (op != "ready" || !message->fd) return fail(Code::failed, "the sender did not hand over its receive ring");
    can_.clear();
    if (const auto* list = message->body.if_contains("can"); list && list->is_array())
      for (const auto& v : list->as_array())
        if (v.is_string()) can_.emplace(v.as_string());
    summary_.send = json::string_or(message->body, "path");
    if (auto why = json::string_or(message->body, "why"); !why.empty()) env_.log.info("frames leave by " + summary_.send + ": " + why);
    if (summary_.send == "live" && o_.wall_status.empty())
      return fail(Code::usage, "live frames can be lost without a word, so they need a wall that counts them", "add --wall-status, or leave --send live out");
    if (!ring_) {  // the ring outlives the sender that opened it
      NORA_TRY(auto ring, net::PacketRing::adopt(std::move(message->fd)));
      ring_.emplace(std::move(ring));
      validator_.emplace(plan_.space, shared_.catalogue, key_, mandate_.text().sources);
    }
    at_work_.reset();
    stopping_sender_ = start_again_ = false;
    rate_answered_ = true;
    asked_pps_ = asked_per_24_ = -1;
    if (!operators_.empty()) {
      if (!can("operators"))
        return fail(Code::environment, "this nora-sender knows no caps per operator", "use the nora-sender of this Nora, or leave --operators out");
      Fd file(open(o_.operators.c_str(), O_RDONLY | O_CLOEXEC));
      if (!file) return fail(Code::failed, o_.operators.string() + ": " + errno_text(errno));
      NORA_CHECK(channel_.send({{"op", "operators"}, {"default_pps", o_.operator_pps}}, file.get()));
    }
    if (can("hold"))
      for (const auto& [prefix, event] : back_off_.events())
        if (auto wait = holds_.wait(prefix.base(), now()); wait.us > 0)
          NORA_CHECK(channel_.send({{"op", "hold"}, {"prefix", prefix.text()}, {"for_ms", wait == held_for_good ? -1 : wait.us / 1000}}));
    return {};
  }
  return fail(Code::failed, "the sender is not ready after " + std::to_string(sender_patience.us / 1'000'000) + " s");
}

// Closing its socket ends it, wherever it is.
void EngineRun::end_sender() {
  if (sender_ <= 0) return;
  channel_ = Channel();
  int pid = std::exchange(sender_, -1);
  for (int i = 0; i < 50; ++i) {
    if (waitpid(pid, nullptr, WNOHANG) != 0) return;
    env_.clock.sleep(Span::ms(20));
  }
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

void EngineRun::stop_sender(bool again) {
  start_again_ = again;
  if (stopping_sender_ || sender_ <= 0) return;
  stopping_sender_ = true;
  sender_deadline_ = now() + sender_patience;
  (void)channel_.send({{"op", "stop"}});  // gone already: sender_lost() sees it
}

// Its socket is closed: it was told to stop, or it died. What it had not recorded is sent again by the next one.
Status EngineRun::sender_lost() {
  bool told = stopping_sender_;
  channel_ = Channel();
  int status = 0, pid = std::exchange(sender_, -1);
  if (pid > 0) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  if (at_work_) {
    open_.at(*at_work_).broken = true;
    at_work_.reset();
  }
  stopping_sender_ = false;
  if (failed_) return {};
  if (!told || !start_again_) {
    auto how = WIFSIGNALED(status) && !told ? "was killed by signal " + std::to_string(WTERMSIG(status)) : "ended";
    if (++restarts_ > max_sender_restarts)
      return fail(Code::interrupted, "the sender " + how + ", " + std::to_string(restarts_) + " times in this run", "then: nora scan resume");
    env_.log.warn("the sender " + how + "; it is started again, and what it had not recorded is sent again");
  }
  // It may die again before it is ready.
  for (;;) {
    auto started = start_sender();
    if (started) return started;
    if (sender_ > 0) end_sender();
    if (started.error().code != Code::interrupted || ++restarts_ > max_sender_restarts) return started;
    env_.log.warn("the sender ended before it was ready; it is started again");
  }
}

Status EngineRun::sender_message(Message&& m) {
  auto op = json::string_or(m.body, "op");
  if (op == "progress") {
    sent_now_ = json::int_or(m.body, "sent", 0);
    return {};
  }
  if (op == "rate") {
    rate_in_force(m.body);
    return {};
  }
  if (op == "error") {
    auto code = code_of(m.body);
    return fail(code == Code::failed ? Code::interrupted : code, "the sender: " + json::string_or(m.body, "what"), json::string_or(m.body, "fix"));
  }
  if (op == "done" && !at_work_ && stopping_sender_) return {};  // of an order whose segment went to another node
  if (op != "done" || !at_work_ || json::int_or(m.body, "n", -1) != *at_work_) return fail(Code::failed, "the sender sent an unknown message");
  return sender_done(m.body);
}

Status EngineRun::sender_done(const json::Object& body) {
  auto& o = open_.at(*at_work_);
  at_work_.reset();
  sent_now_ = 0;
  auto sent = json::int_or(body, "sent", 0);
  o.sent += sent;
  live_.sent += sent;
  if (live_.claimed == live_.proven) claim_delivery();
  o.refused += json::int_or(body, "refused", 0);
  if (auto reasons = json::get_object(body, "reasons"))
    for (const auto& [why, count] : *reasons) o.reasons[std::string(why)] += count.is_int64() ? count.as_int64() : 0;
  ++o.orders_done;
  NORA_TRY(auto hash, json::get_string(body, "sha256"));
  NORA_TRY(o.hash, hash_from_hex(hash));
  if (const auto* held = body.if_contains("held"); held && held->is_array() && !held->as_array().empty()) {
    Open::Held wait;
    for (const auto& v : held->as_array())
      if (v.is_int64() && v.as_int64() >= 0 && static_cast<std::uint64_t>(v.as_int64()) < plan_.space.size())
        wait.places.push_back(static_cast<std::uint64_t>(v.as_int64()));
    std::sort(wait.places.begin(), wait.places.end());
    for (auto place : wait.places)
      if (auto left = holds_.wait(plan_.space.at(permutation_.at(place)).ip, now()); left != held_for_good) wait.due = std::max(wait.due, now() + left);
    o.held.push_back(std::move(wait));
  }
  if (json::bool_or(body, "complete", false)) return canaries_at_work_ ? canaries_asked(o) : Status{};
  // Not all of it was sent.
  o.broken = true;
  if (stopping_sender_ || failed_) return {};
  auto why = json::string_or(body, "why", "sending failed");
  if (!mandate_.usable(env_.clock.now())) {
    last_window_ = {};
    return look_at_window();  // closed for today, or an error that says why it is over
  }
  give_up(Code::interrupted, "segment " + std::to_string(o.n) + " was not completed: " + why);
  return {};
}

Status EngineRun::ask_rate(double pps, double per_24) {
  auto whole = [](double v) { return static_cast<std::int64_t>(v); };
  if (whole(pps) == whole(asked_pps_) && whole(per_24) == whole(asked_per_24_)) return {};
  asked_pps_ = pps;
  asked_per_24_ = per_24;
  asked_whole_ = whole_;
  rate_answered_ = false;
  const auto& m = mandate_.text();
  json::Object body{{"op", "rate"}, {"pps", whole(pps)}, {"per_24_pps", whole(per_24)}, {"operator_percent", whole(probe_share_percent * o_.share)}};
  if (o_.shared) {  // what no lease can divide is divided for good by the number of nodes that may join
    auto nodes = std::max<std::int64_t>(1, o_.shared->nodes_max);
    auto p = probe_rates(m);
    body["per_target_pps"] = std::max<std::int64_t>(1, p.rate_per_target_pps / nodes);
    body["per_target_day"] = std::max<std::int64_t>(1, p.probes_per_target_per_day / nodes);
    body["operator_percent"] = whole_.pps * probe_share_percent / m.rate_total_pps;
  }
  if (sender_ <= 0 || stopping_sender_) return {};
  if (auto sent = channel_.send(body); !sent && sent.error().code != Code::interrupted) return sent;
  return {};
}

// Only now may conversations, and other nodes, have what the sender gave up.
void EngineRun::rate_in_force(const json::Object& body) {
  if (json::int_or(body, "pps", -1) > static_cast<std::int64_t>(asked_pps_)) return;  // an answer to an earlier question
  rate_answered_ = true;
  if (talk_pps_wanted_ > talk_pps_) {
    talk_pps_ = talk_pps_wanted_;
    talk_pace_.set(talk_pps_);
  }
  if (courier_.shared()) courier_.in_force(asked_whole_);
}

// What conversations do not use, probes may. A node of several has what the center gives it, and nothing once that has ended.
Status EngineRun::divide_rates() {
  auto t = now();
  if (last_division_.us != 0 && t - last_division_ < divide_every) return {};
  double seconds = last_division_.us == 0 ? 1 : (t - last_division_).as_seconds();
  last_division_ = t;
  talk_used_ = 0.7 * talk_used_ + 0.3 * static_cast<double>(std::exchange(talk_frames_, 0)) / seconds;
  bool starves = std::exchange(talk_starves_, false);
  if (!can("rate")) {
    talk_pps_ = static_cast<double>(conversation_rates(mandate_.text()).rate_total_pps) * o_.share;
    talk_pace_.set(talk_pps_);
    talk_net_paces_.set(static_cast<double>(conversation_rates(mandate_.text()).rate_per_24_pps) * o_.share);
    return {};
  }
  if (courier_.shared()) {
    auto share = courier_.share_now();
    whole_ = share.until > t ? share.rates : registry::Rates{};
    operators_.share((100.0 - probe_share_percent) * static_cast<double>(whole_.pps) / mandate_.text().rate_total_pps);
  }
  if (!rate_answered_ && whole_.pps >= asked_whole_.pps) return {};  // one question at a time, unless less must be used
  auto total = static_cast<double>(whole_.pps), per_24 = static_cast<double>(whole_.per_24_pps);
  double least = std::min(total / 2, std::max<double>(2 * frames_per_conversation, total * talk_share_min)), most = std::max(least, total * talk_share_max);
  double want = starves ? talk_pps_ * 2 : std::max(talk_used_ * 1.5, talk_pps_ * 0.9);
  want = std::clamp(want, least, most);
  if (want < talk_pps_ || total < static_cast<double>(asked_whole_.pps)) {
    talk_pps_ = std::min(want, talk_pps_);
    talk_pace_.set(talk_pps_);
  } else if (want < talk_pps_ * 1.2 && asked_pps_ >= 0 && whole_ == asked_whole_) {
    want = talk_pps_;  // not worth a message
  }
  talk_pps_wanted_ = want;
  talk_net_paces_.set(per_24 * (100 - probe_share_percent) / 100);
  return ask_rate(std::max(0.0, total - want), per_24 * probe_share_percent / 100);
}

void EngineRun::back_off(const std::optional<BackOff::Decision>& decision) {
  if (!decision || !holds_.set(decision->prefix, decision->for_ms, now())) return;
  env_.log.warn(decision->prefix.text() + " is left alone " +
                (decision->for_ms < 0 ? std::string("for the rest of the survey") : "for " + std::to_string(decision->for_ms / 1000) + " s") + ": " +
                decision->why);
  (void)shared_.audit.append("backed_off", {{"survey", plan_.survey}, {"prefix", decision->prefix.text()}, {"for_ms", decision->for_ms}, {"why", decision->why}});
  if (can("hold") && sender_ > 0) (void)channel_.send({{"op", "hold"}, {"prefix", decision->prefix.text()}, {"for_ms", decision->for_ms}});
}

void EngineRun::claim_delivery() {
  live_.claimed = live_.sent;
  live_.claimed_at = env_.clock.now();
}

// Live frames: the wall must have counted at least what the sender says has left (conversations come on top).
void EngineRun::check_delivery(const json::Object& wall) {
  auto counters = json::get_object(wall, "counters");
  auto passed = counters ? json::int_or(*counters, "passed", 0) : 0;
  auto at = json::get_instant(wall, "at");
  if (!live_.passed || passed < *live_.passed) {  // the first look, or a wall that was started again
    live_ = {};
    live_.passed = passed;
    return;
  }
  if (summary_.send != "live" || live_.claimed == live_.proven || !at || *at - live_.claimed_at < wall_counts_within) return;
  live_.proven = live_.claimed;
  if (live_.sent > live_.claimed) claim_delivery();
  if (auto counted = passed - *live_.passed; counted < live_.proven)
    give_up(Code::interrupted, "of " + std::to_string(live_.proven) + " live frames the wall counted " + std::to_string(counted) +
                                   ": the far end cannot take live frames; resume with --send xdp or --send packet");
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
  // A wall that does not renew its file does not guard: stop, and say so. (Files without a time are taken as they are.)
  if (auto at = json::get_instant(*status, "at"); at && env_.clock.now() - *at > wall_stale) {
    if (!wall_base_)
      return fail(Code::environment, "the wall's status is of " + at->text() + ": nora-wall is not running", "start nora-wall first");
    give_up(Code::interrupted, "nora-wall no longer renews its status");
    return {};
  }
  check_delivery(*status);
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
    (void)shared_.audit.append("incident", {{"survey", plan_.survey}, {"what", "the wall blocked frames"}, {"frames", frames}});
    give_up(Code::refused, "the wall blocked " + std::to_string(frames) + " frames: the survey is stopped, an incident is logged");
  }
  return {};
}

}  // namespace nora::survey
