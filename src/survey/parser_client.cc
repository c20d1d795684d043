#include "survey/parser_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace nora::survey {

ParserClient::~ParserClient() { stop(); }

void ParserClient::stop() {
  fd_ = Fd();
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Status ParserClient::start() {
  stop();
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return fail(Code::environment, "socketpair: " + errno_text(errno));
  Fd ours(pair[0]), theirs(pair[1]);
  if (access(program_.c_str(), X_OK) != 0)
    return fail(Code::environment, "the parser " + program_.string() + " cannot be run: " + errno_text(errno));
  pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) return fail(Code::environment, "fork: " + errno_text(errno));
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    dup2(theirs.get(), STDIN_FILENO);
    char* const environment[] = {nullptr};  // nothing of ours reaches the jail
    execle(program_.c_str(), "nora-parse", static_cast<char*>(nullptr), environment);
    _exit(127);
  }
  fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  fd_ = std::move(ours);
  in_.clear();
  out_.clear();
  served_ = 0;
  return {};
}

void ParserClient::submit(Item item, Done done) {
  waiting_.push_back({next_id_++, std::move(item), std::move(done), {}});
  feed();
}

void ParserClient::feed() {
  while (!waiting_.empty() && flight_.size() < max_in_flight && out_.size() < max_frame_body) {
    auto job = std::move(waiting_.front());
    waiting_.pop_front();
    job.since = env_.clock.monotonic();
    auto bytes = encode(WireItem{job.id, job.item});
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    flight_.push_back(std::move(job));
  }
  std::size_t sent = 0;
  while (sent < out_.size() && fd_) {
    auto n = ::send(fd_.get(), out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0) break;
    sent += static_cast<std::size_t>(n);
  }
  out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent));
}

// The oldest unanswered item is the one that was being parsed: it is marked; the others are parsed again by the next parser.
void ParserClient::died() {
  ++deaths_;
  std::optional<Job> culprit;
  if (!flight_.empty()) {
    culprit = std::move(flight_.front());
    flight_.pop_front();
  }
  while (!flight_.empty()) {
    waiting_.push_front(std::move(flight_.back()));
    flight_.pop_back();
  }
  env_.log.warn("nora-parse died" +
                (culprit ? " over an answer of " + culprit->item.ip + " port " + std::to_string(culprit->item.port) : std::string()) +
                "; it is started again");
  if (++starts_in_a_row_ > 20) {
    env_.log.error("nora-parse dies at every start; answers are marked as not parsed");
    stop();
  } else if (auto started = start(); !started) {
    env_.log.error(started.error().text());
  }
  if (culprit) culprit->done(std::move(culprit->item), std::nullopt);
  if (!fd_) {  // no parser: nothing may wait for ever
    auto rest = std::move(waiting_);
    waiting_.clear();
    for (auto& job : rest) job.done(std::move(job.item), std::nullopt);
  }
}

void ParserClient::serve() {
  if (!fd_) {
    if (!idle()) died();
    return;
  }
  feed();
  for (;;) {
    std::uint8_t buffer[65536];
    auto n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (n <= 0) return died();
    in_.insert(in_.end(), buffer, buffer + n);
    FrameReader frames(in_);
    bool bad = false;
    std::vector<std::pair<Job, Parsed>> ready;  // told after the buffer has been put in order: a listener may submit
    while (auto frame = frames.next()) {
      auto result = decode_result(*frame);
      bad = !result || flight_.empty() || result->id != flight_.front().id;
      if (bad) break;
      ++served_;
      ready.emplace_back(std::move(flight_.front()), std::move(result->parsed));
      flight_.pop_front();
    }
    bad = bad || frames.malformed();
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(frames.used()));
    if (!ready.empty()) starts_in_a_row_ = 0;
    for (auto& [job, parsed] : ready) job.done(std::move(job.item), std::move(parsed));
    if (bad) {
      kill(pid_, SIGKILL);
      return died();
    }
  }
  if (!flight_.empty() && env_.clock.monotonic() - flight_.front().since > item_deadline) {
    kill(pid_, SIGKILL);
    return died();
  }
  if (flight_.empty() && served_ >= restart_after) {
    if (auto again = start(); !again) env_.log.error(again.error().text());
  }
  feed();
}

}  // namespace nora::survey
