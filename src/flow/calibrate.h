// From labels to how sure the rules are: each rule that spoke about a labelled device was right or wrong; its certainty follows
// (identify/calibration), and the history is identified again where that matters. Used by `nora cluster calibrate`. Not thread safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "flow/pipeline.h"
#include "law/audit.h"

namespace nora::flow {

enum class Calibrate { trial, apply, forget };  // trial changes nothing; forget: rules are as sure as they state

struct Calibrated {
  std::int64_t labelled = 0;
  identify::Calibration learnt;
  identify::Reliability before, after;         // of the vendors, products and types that are stated of the labelled devices; a trial has no after
  PipelineCounts counts;                       // of the change
};

// Errors: usage (no user), bad_input (no labelled device).
Result<Calibrated> calibrate(Pipeline& pipeline, registry::Registry& registry, const KnowledgeDirs& dirs, law::Audit* audit, std::string_view user, Calibrate what);

}  // namespace nora::flow
