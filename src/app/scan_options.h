// What the verbs of `nora scan` are told, and what they open: mandate, catalogue, audit log, key, listener. Used by cmd_scan.cc. One thread.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/json.h"
#include "base/messages.h"
#include "law/audit.h"
#include "law/mandate.h"
#include "law/opt_out_file.h"
#include "survey/engine.h"

namespace nora::app {

struct ScanOptions {
  std::string mandate, roots, law_dir, catalogue, dir, iface, store, audit, key, party, wall_status, targets6, kind = "full", name, progress,
      send = "auto", operators, metrics, survey, opt_out_page, pcap;
  std::vector<std::string> opt_out, only, canaries;
  std::vector<std::uint16_t> ports;
  int answer_window_ms = 1000;
  std::uint64_t segment_size = 0, spool_max_mb = survey::default_spool_bytes >> 20;
  std::uint32_t operator_pps = 0;
  std::int64_t nodes = 0, autonomy_s = 600, wait_s = 30;
  double open_share = 0.005, replies_share = 0.6;
  bool no_calibration = false, quiet = false;

  json::Object to_json() const;           // what a resumed run needs
  Status read_json(const json::Object& o);
};
using ScanOptionsPtr = std::shared_ptr<ScanOptions>;

void mandate_flags(CLI::App* c, const ScanOptionsPtr& o);
void plan_flags(CLI::App* c, const ScanOptionsPtr& o);
void run_flags(CLI::App* c, const ScanOptionsPtr& o);
void output_flags(CLI::App* c, const ScanOptionsPtr& o);

std::string absolute(const std::string& path);  // "" stays
Result<std::vector<Ip>> read_targets6(const std::string& file);

struct ScanOpen {
  law::MandateFiles files;
  std::optional<law::Mandate> mandate;
  std::optional<survey::Catalogue> catalogue;
  std::optional<SigningKey> key;
  std::optional<law::Audit> audit;
  std::optional<law::OptOutFile> opt_out;
  std::optional<Messages> messages;
  std::unique_ptr<survey::RelayListener> relay;
  std::unique_ptr<survey::EngineShared> shared;
};
// Errors: as law::Mandate::load, and refused when the mandate is not usable now. `any_time`: a plan may be made before the hours begin.
Result<std::unique_ptr<ScanOpen>> open_mandate(ScanOptions& o, Env env, bool any_time = false);
Status open_for_sending(ScanOpen& open, ScanOptions& o, Env env);
Result<survey::EngineOptions> engine_options(const ScanOpen& open, const ScanOptions& o);
Result<survey::Plan> plan_from(const ScanOpen& open, const ScanOptions& o, Env env);

}  // namespace nora::app
