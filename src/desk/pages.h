// Every page of the desk as a function of its Context; desk.cc binds them to paths. Errors become error pages there.
#pragma once

#include "desk/context.h"

namespace nora::desk {

using Answer = Result<http::Response>;

// overview.cc, overview_page.cc
Answer overview_page(Context& c);
Answer overview_csv(Context& c);
Answer overview_json(Context& c);
Answer definitions_page(Context& c);
// rows_pages.cc
Answer findings_page(Context& c);
Answer devices_page(Context& c);
Answer cases_page(Context& c);
Answer sightings_page(Context& c);
// host_page.cc
Answer host_page(Context& c);
Answer device_page(Context& c);
// cluster_pages.cc
Answer clusters_page(Context& c);
Answer cluster_page(Context& c);
Answer cluster_propose(Context& c);
Answer cluster_accept(Context& c);
Answer cluster_undo(Context& c);
// case_page.cc
Answer case_page(Context& c);
// onsite_pages.cc
Answer onsite_queue_page(Context& c);
Answer onsite_page(Context& c);
Answer onsite_form_page(Context& c);  // printable
Answer onsite_confirm(Context& c);
Answer onsite_party(Context& c);
Answer onsite_visit(Context& c);
// list_pages.cc
Answer lists_page(Context& c);
Answer list_page(Context& c);
// ops_pages.cc
Answer runs_page(Context& c);
Answer run_page(Context& c);
Answer law_page(Context& c);
Answer audit_page(Context& c);
Answer users_page(Context& c);
// api.cc: NDJSON, the same filters as the pages
Answer api_findings(Context& c);
Answer api_devices(Context& c);
Answer api_cases(Context& c);
Answer api_sightings(Context& c);
Answer api_clusters(Context& c);
Answer api_vulns(Context& c);

}  // namespace nora::desk
