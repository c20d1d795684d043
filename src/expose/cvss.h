// CVSS 2.0, 3.0 and 3.1: vectors, scores and severities after the FIRST specifications. Used by the CSAF tests (csaf.h). Pure, any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nora::expose {

enum class CvssVersion { v2, v30, v31 };

// Metric abbreviation -> value abbreviation ("AV" -> "N"). Metrics of the temporal and environmental groups may be missing or "X"/"ND".
using CvssMetrics = std::map<std::string, std::string, std::less<>>;

// Refuses unknown metrics and values, repeated metrics and missing base metrics. Errors: bad_input
Result<CvssMetrics> parse_cvss_vector(CvssVersion version, std::string_view vector);

struct CvssScores { double base = 0, temporal = 0, environmental = 0; };
CvssScores cvss_scores(CvssVersion version, const CvssMetrics& metrics);
std::string_view cvss_severity(double score);  // of version 3: NONE LOW MEDIUM HIGH CRITICAL

// The long names that the JSON forms use: property "attackVector", value "NETWORK" <-> "AV", "N". nullopt: no such property.
std::optional<std::string_view> cvss_metric_of(CvssVersion version, std::string_view property);
// Value abbreviation of a long value; nullopt: not a value of this metric.
std::optional<std::string_view> cvss_value_of(CvssVersion version, std::string_view metric, std::string_view long_value);

}  // namespace nora::expose
