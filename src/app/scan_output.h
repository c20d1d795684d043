// What `nora scan` shows people while it runs and at its end. Used by cmd_scan.cc. One thread.
#pragma once

#include <string>

#include "survey/engine.h"

namespace nora::app {

std::string rate(double pps);          // "9.1k/s"
std::string duration(double seconds);  // "42 s", "3 h 05 min", "3.89 days"

// One redrawn line on a terminal, one line every 10 s elsewhere, NDJSON when asked for (screens of the command line); on stderr.
class ProgressLine {
 public:
  ProgressLine(bool as_json, bool quiet, Env env);
  void show(const survey::LiveState& p);
  void end();

 private:
  bool json_, quiet_, tty_, drawn_ = false;
  Span last_{};
  Env env_;
};

void print_summary(const survey::Summary& s);

}  // namespace nora::app
