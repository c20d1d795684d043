#include "survey/clock_state.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/files.h"
#include "base/text.h"

namespace nora::survey {

ClockState clock_state() {
  ClockState out;
  timex t{};
  int state = adjtimex(&t);
  out.synchronised = state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
  out.max_error_us = t.maxerror;
  out.estimated_error_us = t.esterror;
  out.offset_us = t.status & STA_NANO ? t.offset / 1000 : t.offset;
  return out;
}

json::Object ClockState::to_json() const {
  return {{"synchronised", synchronised}, {"max_error_us", max_error_us}, {"estimated_error_us", estimated_error_us}, {"offset_us", offset_us}};
}

json::Object chrony_tracking() {
  constexpr const char* program = "/usr/bin/chronyc";
  constexpr int wait_ms = 2000;
  int ends[2];
  if (access(program, X_OK) != 0 || pipe2(ends, O_CLOEXEC) != 0) return {};
  Fd in(ends[0]), out(ends[1]);
  pid_t child = fork();
  if (child < 0) return {};
  if (child == 0) {
    dup2(out.get(), 1);
    execl(program, program, "-c", "-n", "tracking", nullptr);
    _exit(127);
  }
  out = Fd();
  std::string text(4096, '\0');
  pollfd p{in.get(), POLLIN, 0};
  ssize_t n = poll(&p, 1, wait_ms) > 0 ? read(in.get(), text.data(), text.size()) : 0;
  if (n <= 0) kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  if (n <= 0) return {};
  text = to_clean_utf8(text.substr(0, static_cast<std::size_t>(n)));
  // chronyc(1), "tracking" report in CSV.
  constexpr std::string_view names[] = {"reference_id", "address",   "stratum",  "reference_time", "system_time_s", "last_offset_s", "rms_offset_s",
                                        "frequency_ppm", "residual_ppm", "skew_ppm", "root_delay_s",   "root_dispersion_s", "update_interval_s", "leap"};
  json::Object o;
  auto fields = split(std::string_view(text).substr(0, text.find('\n')), ',');
  for (std::size_t i = 0; i < fields.size() && i < std::size(names); ++i) o[names[i]] = std::string(fields[i]);
  return o;
}

}  // namespace nora::survey
