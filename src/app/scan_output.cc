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

std::string duration(double seconds) {
  char text[48];
  if (seconds < 120) std::snprintf(text, sizeof text, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
  else if (seconds < 7200) std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
  else if (seconds < 2 * 86'400) std::snprintf(text, sizeof text, "%d h %02d min", static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60) % 60);
  else std::snprintf(text, sizeof text, "%.2f days", seconds / 86'400);
  return text;
}

ProgressLine::ProgressLine(bool as_json, bool quiet, Env env)
    : json_(as_json), quiet_(quiet), tty_(isatty(STDERR_FILENO) == 1), env_(env) {}

void ProgressLine::show(const survey::LiveState& p) {
  if (quiet_) return;
  if (!json_ && !tty_ && last_.us != 0 && env_.clock.monotonic() - last_ < Span::seconds(10)) return;
  last_ = env_.clock.monotonic();
  if (json_) {
    std::fprintf(stderr, "%s\n",
                 nora::json::text(nora::json::Object{{"type", "progress"},
                                                     {"seconds", p.seconds},
                                                     {"phase", p.phase},
                                                     {"sent", p.sent},
                                                     {"total", p.total},
                                                     {"received", p.received},
                                                     {"unique", p.unique},
                                                     {"replies", p.replies},
                                                     {"waiting", p.waiting + p.talking},
                                                     {"drops", p.ring_drops},
                                                     {"spool_bytes", p.spool_bytes},
                                                     {"left_seconds", p.left_seconds}})
                     .c_str());
    return;
  }
  auto seconds = static_cast<std::int64_t>(p.seconds), left = static_cast<std::int64_t>(p.left_seconds);
  double share = p.total ? std::min(1.0, static_cast<double>(p.sent) / static_cast<double>(p.total)) : 1;
  char bar[6] = "_____";
  for (int i = 0; i < static_cast<int>(share * 5 + 0.5); ++i) bar[i] = '#';
  std::fprintf(stderr,
               "%s%02lld:%02lld %3d%% %s  sent %llu %s  recv %lld  hit %.2f%%  replies %lld  waiting %lld  drop %llu  eta %lldm%02llds%s",
               tty_ ? "\r\033[K" : "", static_cast<long long>(seconds / 60), static_cast<long long>(seconds % 60),
               static_cast<int>(share * 100), bar, static_cast<unsigned long long>(p.sent), rate(p.pps).c_str(),
               static_cast<long long>(p.unique), p.sent ? 100.0 * static_cast<double>(p.unique) / static_cast<double>(p.sent) : 0,
               static_cast<long long>(p.replies), static_cast<long long>(p.waiting + p.talking), static_cast<unsigned long long>(p.ring_drops),
               static_cast<long long>(left / 60), static_cast<long long>(left % 60), tty_ ? "" : "\n");
  drawn_ = true;
}

void ProgressLine::end() {
  if (tty_ && drawn_ && !json_) std::fprintf(stderr, "\n");
}

void print_summary(const survey::Summary& s) {
  auto n = [](std::int64_t v) { return static_cast<long long>(v); };
  std::printf("%s: %lld of %lld probes sent to %lld addresses in %.1f s; %lld refused\n", s.survey.c_str(), n(s.sent), n(s.probes), n(s.targets), s.took.as_seconds(),
              n(s.refused));
  std::printf("answers %lld (%lld duplicates), conversations %lld, replies %lld\n", n(s.unique), n(s.duplicates), n(s.conversations), n(s.replies));
  auto [loss, basis] = s.loss.best();
  if (loss.asked > 0) {
    auto [low, high] = survey::wilson(loss.missed, loss.asked);
    std::printf("estimated loss %.2f %% (95 %% interval %.2f to %.2f %%; %s)\n", 100.0 * static_cast<double>(loss.missed) / static_cast<double>(loss.asked), low * 100,
                high * 100,
                basis == "recapture" ? ("a second look at " + std::to_string(s.loss.recapture.sample) + " probes found " + std::to_string(loss.asked)).c_str()
                : basis == "again"   ? (std::to_string(loss.asked) + " answering probes asked again").c_str()
                                     : (std::to_string(loss.asked) + " questions to canaries").c_str());
  }
  if (s.loss.canary.asked > 0 && basis != "canary") std::printf("canaries: %lld of %lld times not heard\n", n(s.loss.canary.missed), n(s.loss.canary.asked));
  if (s.ring_drops > 0) std::printf("the receive ring lost %llu frames\n", static_cast<unsigned long long>(s.ring_drops));
  for (const auto& x : s.anomalies) std::printf("set apart: %s: %s\n", x.what.c_str(), x.why.c_str());
  for (const auto& x : s.backed_off) std::printf("left alone: %s: %s\n", x.what.c_str(), x.why.c_str());
  if (s.repeated_segments > 0)
    std::printf("resumed: %lld segment(s) were in doubt; %lld probes were sent twice, at most %lld; %lld answers may be lost\n", n(s.repeated_segments), n(s.repeated_probes),
                n(s.repeated_probes_at_most), n(s.answers_in_doubt));
  if (s.segments_lost > 0) std::printf("%lld segment(s) went to other nodes; %lld late results were refused\n", n(s.segments_lost), n(s.late));
  if (s.undelivered_bytes > 0)
    std::printf("the store did not take everything: %llu bytes wait in the spool; `nora scan resume` delivers them\n", static_cast<unsigned long long>(s.undelivered_bytes));
}

}  // namespace nora::app
