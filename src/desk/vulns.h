// Known vulnerabilities and urgency, as the pages of hosts, devices, cases and lists say them: the verdict in words, what public lists know of it, and
// why it is as urgent as it is. Nobody tried anything against a device, so no text here calls one "vulnerable". Pure functions over Context and View.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "desk/context.h"
#include "registry/vulns.h"

namespace nora::desk {

inline constexpr std::size_t max_vulns_shown = 25;  // per page, the most urgent; all of them are in /api/vulns

// Rows of these devices with what the sources say, most urgent first: one more than is shown, so that the section can say that there are more.
Result<std::vector<registry::DeviceVulnDocs>> vulns_of(const Context& c, const std::vector<registry::Device>& devices);
// The section of a page. `devices`: those that the rows are of; none: an empty section is not written.
Html vulns_section(const Context& c, const std::vector<registry::Device>& devices, const std::vector<registry::DeviceVulnDocs>& rows);

// "89 · now" with the reasons folded away behind it; "–" when nothing was judged yet. `why`: as stored (expose/priority.h).
Html urgency(const View& view, std::int64_t priority, std::string_view why);
Html urgency_pill(const View& view, std::int64_t priority);

// "affected according to NVD", "possibly affected (version unknown)", …
std::string verdict_words(const View& view, const registry::DeviceVuln& row);

}  // namespace nora::desk
