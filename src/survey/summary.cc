// The closing record of a survey (engine.h).
#include "survey/engine.h"

namespace nora::survey {

json::Object Summary::to_json() const {
  json::Object by;
  for (const auto& [reason, n] : refused_by) by[reason] = n;
  auto list = [](const std::vector<Set_apart>& all) {
    json::Array out;
    for (const auto& x : all) out.push_back(json::Object{{"what", x.what}, {"why", x.why}});
    return out;
  };
  json::Object o{{"type", "summary"},
                 {"survey", survey},
                 {"kind", kind},
                 {"send", send},
                 {"targets", targets},
                 {"probes", probes},
                 {"segments", segments},
                 {"segments_here", segments_here},
                 {"segments_lost", segments_lost},
                 {"sent", sent},
                 {"received", received},
                 {"unique", unique},
                 {"duplicates", duplicates},
                 {"refused", refused},
                 {"refused_by", std::move(by)},
                 {"replies", replies},
                 {"conversations", conversations},
                 {"loss", loss.to_json()},
                 {"ring_drops", ring_drops},
                 {"parser_deaths", parser_deaths},
                 {"sender_restarts", sender_restarts},
                 {"anomalies", anomalies.size()},
                 {"set_apart", list(anomalies)},
                 {"backed_off", list(backed_off)},
                 {"repeated_segments", repeated_segments},
                 {"repeated_probes", repeated_probes},
                 {"repeated_probes_at_most", repeated_probes_at_most},
                 {"answers_in_doubt", answers_in_doubt},
                 {"late", late},
                 {"undelivered_bytes", undelivered_bytes},
                 {"seconds", took.as_seconds()},
                 {"complete", complete}};
  if (!complete) o["why"] = why;
  return o;
}

}  // namespace nora::survey
