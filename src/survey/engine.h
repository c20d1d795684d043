// Engine: one survey or one check from plan to summary. Reserves a segment (leaf, fsync), has the sender emit it, collects and validates
// answers, commits it (leaf with counts and the hash of the segment file), talks to open ports, has every byte parsed in the jail, and
// hands results to the spool. Used by `nora scan run|resume|join|node`. One thread, and the courier's for the center; several engines may run in
// one process. SIGKILL at any time, then run() again on the same directory.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/env.h"
#include "law/audit.h"
#include "law/mandate.h"
#include "law/send.h"
#include "survey/catalogue.h"
#include "survey/courier.h"
#include "survey/loss.h"
#include "survey/metrics.h"
#include "survey/plan.h"
#include "survey/relay_listener.h"
#include "survey/sink.h"
#include "survey/visits.h"

namespace nora::survey {

// One of our own hosts that must answer: it measures the loss and is never stored.
struct Canary {
  Ip ip;
  std::uint16_t port = 0;
};
Result<Canary> parse_canary(std::string_view text);  // "203.0.113.7:80", "[2001:db8::7]:80"
inline constexpr std::size_t max_canaries = 256;

struct EngineOptions {
  law::MandateFiles files;
  std::filesystem::path dir;  // spool directory with plan.json
  std::string iface;
  std::filesystem::path programs;          // folder of nora-sender and nora-parse
  std::filesystem::path daily;             // folder of the daily counts per target, shared by all surveys of a party; empty: dir/daily
  law::SendPath send = law::SendPath::automatic;
  std::filesystem::path wall_status;       // written by nora-wall; empty: there is none
  bool calibrate = true;                   // ask some probes once more: the loss, measured
  Span deadline{};                         // of the whole run (checks: 30 s); 0: none
  Span at_error = Span::ms(100);           // bound of this machine's clock error
  Span give_up_store = Span::seconds(20);  // at the end, how long to try to deliver; the rest stays in the spool
  std::uint64_t spool_bytes = default_spool_bytes;  // that may wait for the store; then sending stops
  std::vector<Canary> canaries;
  std::filesystem::path operators;         // operators.h; empty: none
  std::uint32_t operator_pps = 0;          // for operators without a cap line
  std::filesystem::path metrics;           // for Prometheus, each second; empty: none
  std::optional<SharedOptions> shared;     // several nodes on this survey
  double share = 1;                        // part of the mandate's rates that this engine may use (a node runs two)
  json::Object program, described;         // which program this is and how it was asked, for the metadata file
};

struct Summary {
  std::string survey, kind;
  std::string send;               // the way frames left: packet, xdp
  std::int64_t targets = 0, probes = 0, segments = 0;
  std::int64_t sent = 0, refused = 0, received = 0, unique = 0, duplicates = 0, replies = 0, conversations = 0;
  std::map<std::string, std::int64_t> refused_by;
  std::int64_t repeated_segments = 0, repeated_probes = 0, repeated_probes_at_most = 0, answers_in_doubt = 0;
  std::int64_t segments_here = 0, segments_lost = 0;  // of several nodes: committed by this one; gone to another
  std::int64_t late = 0;
  std::uint64_t ring_drops = 0, parser_deaths = 0;
  std::int64_t sender_restarts = 0;
  Loss loss;
  struct Set_apart {
    std::string what, why;
  };
  std::vector<Set_apart> anomalies, backed_off;
  std::uint64_t undelivered_bytes = 0;
  Span took{};
  bool complete = false;
  std::string why;                // when not complete
  Code code = Code::interrupted;  // when not complete
  json::Object to_json() const;   // {"type":"summary",…}
};

// What happens while it runs. Every function may be empty.
struct EngineEvents {
  std::function<void(const registry::ReplyRecord&)> reply;
  std::function<void(const json::Object&)> check_event;  // {"step":"probe","what","port","proto","result"}
  std::function<void(const LiveState&)> progress;        // four times a second
};

// Shared by the engines of one process.
struct EngineShared {
  const law::Mandate& mandate;  // each engine copies it; the sender loads its own
  const Catalogue& catalogue;
  law::Audit& audit;
  RelayListener* relay = nullptr;  // none: no P3
  std::shared_ptr<Courtesy> courtesy = std::make_shared<Courtesy>();
};

// Runs the plan in options.dir to its end, or until *stop (or `nora scan stop`). sink may be null (spool only); it is used on another thread
// while this runs. Errors only when it cannot start; afterwards the summary tells.
Result<Summary> run_engine(const EngineOptions& options, EngineShared& shared, ReplySink* sink, const EngineEvents& events,
                           const std::atomic<bool>& stop, Env env);

// Asks the run in this directory to stop: it settles what it has sent and can be resumed. Errors: not_found (no run is at work there).
Status ask_to_stop(const std::filesystem::path& dir);

inline std::string segment_id(const std::string& survey, std::int64_t n) { return survey + "/" + std::to_string(n); }

}  // namespace nora::survey
