// Engine: one survey or one check from plan to summary. Reserves a segment (leaf, fsync), has the sender emit it, collects and validates
// answers, commits it (leaf with counts and the hash of the segment file), talks to open ports, has every byte parsed in the jail, and
// hands results to the spool. Used by `nora scan run|resume|node`. One thread; several engines may run in one process. SIGKILL at any time,
// then run() again on the same directory.
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
#include "survey/plan.h"
#include "survey/relay_listener.h"
#include "survey/sink.h"
#include "survey/visits.h"

namespace nora::survey {

struct EngineOptions {
  law::MandateFiles files;
  std::filesystem::path dir;  // spool directory with plan.json
  std::string iface;
  std::filesystem::path programs;          // folder of nora-sender and nora-parse
  std::filesystem::path daily;             // folder of the daily counts per target, shared by all surveys of a party; empty: dir/daily
  law::SendPath send = law::SendPath::automatic;
  std::filesystem::path wall_status;       // written by nora-wall; empty: there is none
  bool calibrate = true;                   // ask some answering probes once more: the loss, measured
  Span deadline{};                         // of the whole run (checks: 30 s); 0: none
  Span at_error = Span::ms(100);           // bound of this machine's clock error
  Span give_up_store = Span::seconds(20);  // at the end, how long to try to deliver; the rest stays in the spool
};

struct Summary {
  std::string survey, kind;
  std::string send;               // the way frames left: packet, xdp
  std::int64_t targets = 0, probes = 0, segments = 0;
  std::int64_t sent = 0, refused = 0, received = 0, unique = 0, duplicates = 0, replies = 0, conversations = 0;
  std::map<std::string, std::int64_t> refused_by;
  std::int64_t repeated_segments = 0, repeated_probes_at_most = 0;
  std::uint64_t ring_drops = 0, parser_deaths = 0;
  std::int64_t calibration_asked = 0, calibration_missed = 0;
  std::uint64_t undelivered_bytes = 0;
  Span took{};
  bool complete = false;
  std::string why;                // when not complete
  Code code = Code::interrupted;  // when not complete
  json::Object to_json() const;   // {"type":"summary",…}
};
// 95 % Wilson score interval for `missed` of `asked`.
std::pair<double, double> wilson(std::int64_t missed, std::int64_t asked);

// What happens while it runs. Every function may be empty.
struct EngineEvents {
  std::function<void(const registry::ReplyRecord&)> reply;
  std::function<void(const json::Object&)> check_event;  // {"step":"probe","what","port","proto","result"}
  struct Progress {
    std::uint64_t sent = 0, total = 0;
    std::int64_t received = 0, unique = 0, open_waiting = 0, replies = 0;
    std::uint64_t drops = 0;
    Span elapsed{}, left{};
    double pps = 0;
  };
  std::function<void(const Progress&)> progress;
};

// Shared by the engines of one process.
struct EngineShared {
  const law::Mandate& mandate;  // each engine copies it; the sender loads its own
  const Catalogue& catalogue;
  law::Audit& audit;
  RelayListener* relay = nullptr;  // none: no P3
  std::shared_ptr<Courtesy> courtesy = std::make_shared<Courtesy>();
};

// Runs the plan in options.dir to its end, or until *stop. sink may be null (spool only). Errors only when it cannot start; afterwards the
// summary tells.
Result<Summary> run_engine(const EngineOptions& options, EngineShared& shared, ReplySink* sink, const EngineEvents& events,
                           const std::atomic<bool>& stop, Env env);

}  // namespace nora::survey
