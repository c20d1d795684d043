#include "app/scan_output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace nora::app {

std::string rate(double pps) {
  char text[32];
  if (pps >= 1000) std::snprintf(text, sizeof text, "%.1fk/s", pps / 1000);
  else std::snprintf(text, sizeof text, "%.0f/s", pps);
  return text;
}

ProgressLine::ProgressLine(bool as_json, bool quiet, Env env)
    : json_(as_json), quiet_(quiet), tty_(isatty(STDERR_FILENO) == 1), env_(env) {}

void ProgressLine::show(const survey::EngineEvents::Progress& p) {
  if (quiet_) return;
  if (!json_ && !tty_ && last_.us != 0 && env_.clock.monotonic() - last_ < Span::seconds(10)) return;
  last_ = env_.clock.monotonic();
  if (json_) {
    std::fprintf(stderr, "%s\n",
                 nora::json::text(nora::json::Object{{"type", "progress"},
                                                     {"seconds", p.elapsed.as_seconds()},
                                                     {"sent", p.sent},
                                                     {"total", p.total},
                                                     {"received", p.received},
                                                     {"unique", p.unique},
                                                     {"replies", p.replies},
                                                     {"waiting", p.open_waiting},
                                                     {"drops", p.drops},
                                                     {"left_seconds", p.left.as_seconds()}})
                     .c_str());
    return;
  }
  auto seconds = p.elapsed.us / 1'000'000, left = p.left.us / 1'000'000;
  double share = p.total ? std::min(1.0, static_cast<double>(p.sent) / static_cast<double>(p.total)) : 1;
  char bar[6] = "_____";
  for (int i = 0; i < static_cast<int>(share * 5 + 0.5); ++i) bar[i] = '#';
  std::fprintf(stderr,
               "%s%02lld:%02lld %3d%% %s  sent %llu %s  recv %lld  hit %.2f%%  replies %lld  waiting %lld  drop %llu  eta %lldm%02llds%s",
               tty_ ? "\r\033[K" : "", static_cast<long long>(seconds / 60), static_cast<long long>(seconds % 60),
               static_cast<int>(share * 100), bar, static_cast<unsigned long long>(p.sent), rate(p.pps).c_str(),
               static_cast<long long>(p.unique), p.sent ? 100.0 * static_cast<double>(p.unique) / static_cast<double>(p.sent) : 0,
               static_cast<long long>(p.replies), static_cast<long long>(p.open_waiting), static_cast<unsigned long long>(p.drops),
               static_cast<long long>(left / 60), static_cast<long long>(left % 60), tty_ ? "" : "\n");
  drawn_ = true;
}

void ProgressLine::end() {
  if (tty_ && drawn_ && !json_) std::fprintf(stderr, "\n");
}

void print_summary(const survey::Summary& s) {
  auto [low, high] = survey::wilson(s.calibration_missed, s.calibration_asked);
  std::printf("%s: %lld of %lld probes sent to %lld addresses in %.1f s; %lld refused\n", s.survey.c_str(), static_cast<long long>(s.sent),
              static_cast<long long>(s.probes), static_cast<long long>(s.targets), s.took.as_seconds(), static_cast<long long>(s.refused));
  std::printf("answers %lld (%lld duplicates), conversations %lld, replies %lld\n", static_cast<long long>(s.unique),
              static_cast<long long>(s.duplicates), static_cast<long long>(s.conversations), static_cast<long long>(s.replies));
  if (s.calibration_asked > 0)
    std::printf("estimated loss %.2f %% (95 %% interval %.2f to %.2f %%, %lld asked again)\n",
                100.0 * static_cast<double>(s.calibration_missed) / static_cast<double>(s.calibration_asked), low * 100, high * 100,
                static_cast<long long>(s.calibration_asked));
  if (s.repeated_segments > 0)
    std::printf("resumed: %lld segment(s) were in doubt and sent again, at most %lld probes twice\n",
                static_cast<long long>(s.repeated_segments), static_cast<long long>(s.repeated_probes_at_most));
  if (s.undelivered_bytes > 0)
    std::printf("the store did not take everything: %llu bytes wait in the spool; `nora scan resume` delivers them\n",
                static_cast<unsigned long long>(s.undelivered_bytes));
}

}  // namespace nora::app
