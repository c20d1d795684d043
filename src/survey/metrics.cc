#include "survey/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>

#include "base/files.h"

namespace nora::survey {

json::Object LiveState::to_json() const {
  return {{"survey", survey},
          {"phase", phase},
          {"sent", sent},
          {"total", total},
          {"refused", refused},
          {"received", received},
          {"unique", unique},
          {"duplicates", duplicates},
          {"replies", replies},
          {"conversations", conversations},
          {"talking", talking},
          {"waiting", waiting},
          {"segments", segments},
          {"committed", committed},
          {"open_segments", open_segments},
          {"ring_drops", ring_drops},
          {"parser_deaths", parser_deaths},
          {"spool_bytes", spool_bytes},
          {"anomalies", anomalies},
          {"held_networks", held_networks},
          {"sender_restarts", sender_restarts},
          {"nodes", nodes},
          {"late", late},
          {"pps", pps},
          {"probe_share_pps", probe_share_pps},
          {"talk_share_pps", talk_share_pps},
          {"seconds", seconds},
          {"left_seconds", left_seconds},
          {"store_down", store_down}};
}

// Text exposition format 0.0.4. The survey's id is made by Nora: digits, letters, '-'.
std::string LiveState::prometheus() const {
  std::string out;
  auto put = [&](std::string_view name, std::string_view type, std::string_view help, double value, std::string_view label = {}) {
    if (!help.empty()) out += fmt::format("# HELP nora_scan_{0} {1}\n# TYPE nora_scan_{0} {2}\n", name, help, type);
    out += fmt::format("nora_scan_{}{{survey=\"{}\"{}}} {:.17g}\n", name, survey, label, value);
  };
  auto number = [](auto v) { return static_cast<double>(v); };
  put("probes_planned", "gauge", "Probes of the plan.", number(total));
  put("probes_sent_total", "counter", "Probes sent.", number(sent));
  put("probes_refused_total", "counter", "Probes that the mandate or a back-off refused, by reason.", number(refused), ",reason=\"any\"");
  for (const auto& [reason, n] : refused_by) put("probes_refused_total", "", "", number(n), fmt::format(",reason=\"{}\"", reason));
  put("answers_received_total", "counter", "Valid answers, repeats included.", number(received));
  put("answers_unique_total", "counter", "Probes answered.", number(unique));
  put("answers_duplicate_total", "counter", "Answers that repeated an earlier one.", number(duplicates));
  put("replies_total", "counter", "Replies stored.", number(replies));
  put("conversations_total", "counter", "Conversations begun.", number(conversations));
  put("conversations_open", "gauge", "Conversations running.", number(talking));
  put("visits_waiting", "gauge", "Open ports that wait for a conversation.", number(waiting));
  put("segments_planned", "gauge", "Segments of the plan.", number(segments));
  put("segments_committed_total", "counter", "Segments committed by this node.", number(committed));
  put("segments_open", "gauge", "Segments reserved and not committed.", number(open_segments));
  put("ring_drops_total", "counter", "Frames that the receive ring lost.", number(ring_drops));
  put("parser_deaths_total", "counter", "Times that the jailed parser died.", number(parser_deaths));
  put("sender_restarts_total", "counter", "Times that the sender was started again.", number(sender_restarts));
  put("spool_waiting_bytes", "gauge", "Bytes that wait for the store.", number(spool_bytes));
  put("store_down", "gauge", "1 while the store does not take results.", store_down ? 1 : 0);
  put("late_results_total", "counter", "Results refused because their segment went to another node.", number(late));
  put("anomalies_total", "counter", "Middleboxes set apart.", number(anomalies));
  put("networks_held", "gauge", "Networks that are left alone.", number(held_networks));
  put("nodes", "gauge", "Nodes that share the mandate's rates.", number(nodes));
  put("canary_asked_total", "counter", "Times that a canary was asked.", number(canary_asked));
  put("canary_missed_total", "counter", "Times that a canary was not heard.", number(canary_missed));
  put("probes_per_second", "gauge", "Probes a second since the start of this run.", pps);
  put("probe_share_pps", "gauge", "What probes may use of the total rate now.", probe_share_pps);
  put("talk_share_pps", "gauge", "What conversations may use of the total rate now.", talk_share_pps);
  put("seconds", "counter", "Time since the start of this run.", seconds);
  put("seconds_left", "gauge", "Estimated time until the last probe.", left_seconds);
  put("clock_synchronised", "gauge", "1 when the kernel believes that the clock is right.", clock_synchronised ? 1 : 0);
  return out;
}

Status swap_in(const std::filesystem::path& file, std::string_view text) {
  auto part = file.string() + ".part";
  {
    Fd fd(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd) return fail(Code::failed, part + ": " + errno_text(errno));
    NORA_CHECK(write_all(fd.get(), as_bytes(text)));
  }
  if (std::rename(part.c_str(), file.c_str()) != 0) return fail(Code::failed, file.string() + ": " + errno_text(errno));
  return {};
}

}  // namespace nora::survey
