#include "registry/schema.h"

namespace nora::registry {
namespace {

// What was sent and what came back. Raw replies: purpose identification and proof, retention 30 days after the last observation
// (workflow.md section 6); observations: 180 days after the case closed.
constexpr std::string_view replies = R"(
CREATE TABLE survey (
  id text PRIMARY KEY, kind text NOT NULL, mandate_hash {blob}, plan text NOT NULL, started bigint NOT NULL, finished bigint,
  sent bigint NOT NULL DEFAULT 0, replies bigint NOT NULL DEFAULT 0, summary text NOT NULL DEFAULT '');
CREATE TABLE segment (
  id text PRIMARY KEY, survey text NOT NULL, number bigint NOT NULL, index_from bigint NOT NULL, index_to bigint NOT NULL,
  state bigint NOT NULL, lease_owner text NOT NULL, fence bigint NOT NULL, lease_until bigint NOT NULL, sent bigint NOT NULL,
  file_hash {blob}, reserved_leaf text NOT NULL DEFAULT '', committed_leaf text NOT NULL DEFAULT '');
CREATE UNIQUE INDEX segment_by_survey ON segment (survey, number);
CREATE TABLE reply (
  hash {blob} PRIMARY KEY, protocol text NOT NULL, bytes {blob} NOT NULL, match_keys {blob} NOT NULL, first_seen bigint NOT NULL);
CREATE TABLE observation (
  id {serial}, ip {blob} NOT NULL, port bigint NOT NULL, proto bigint NOT NULL, at bigint NOT NULL, at_error bigint NOT NULL,
  reply_hash {blob} NOT NULL, probe text NOT NULL, segment text NOT NULL, request_bytes bigint NOT NULL, reply_bytes bigint NOT NULL);
CREATE UNIQUE INDEX observation_once ON observation (ip, port, proto, at, reply_hash, probe);
CREATE INDEX observation_by_reply ON observation (reply_hash);
CREATE TABLE probe_outcome (
  id {serial}, ip {blob} NOT NULL, port bigint NOT NULL, proto bigint NOT NULL, probe text NOT NULL, at bigint NOT NULL,
  outcome text NOT NULL, segment text NOT NULL);
CREATE UNIQUE INDEX probe_outcome_once ON probe_outcome (ip, port, proto, probe, at);
CREATE TABLE identification (
  reply_hash {blob} NOT NULL, rules_version text NOT NULL, statements text NOT NULL, PRIMARY KEY (reply_hash, rules_version));
CREATE TABLE progress (name text PRIMARY KEY, value bigint NOT NULL))";

// What it means: devices, sightings, findings. No person appears here.
constexpr std::string_view meaning = R"(
CREATE TABLE device (
  id {serial}, stable_key text NOT NULL, vendor text NOT NULL, product text NOT NULL, firmware text NOT NULL, type text NOT NULL,
  product_confidence double precision NOT NULL, identity text NOT NULL, cluster text NOT NULL, rules_version text NOT NULL,
  first_seen bigint NOT NULL, last_seen bigint NOT NULL, merged_into bigint NOT NULL DEFAULT 0);
CREATE INDEX device_by_key ON device (stable_key);
CREATE INDEX device_by_cluster ON device (cluster);
CREATE INDEX device_by_product ON device (vendor, product);
CREATE TABLE device_endpoint (
  id {serial}, device bigint NOT NULL, ip {blob} NOT NULL, port bigint NOT NULL, proto bigint NOT NULL,
  from_at bigint NOT NULL, to_at bigint NOT NULL, reply_hash {blob} NOT NULL, observation bigint NOT NULL);
CREATE UNIQUE INDEX device_endpoint_once ON device_endpoint (device, ip, port, proto, from_at);
CREATE INDEX device_endpoint_by_ip ON device_endpoint (ip, port);
CREATE TABLE sighting (
  id {serial}, ip {blob} NOT NULL, first_at bigint NOT NULL, last_at bigint NOT NULL, sensor text NOT NULL, kind text NOT NULL,
  verdict text NOT NULL, packets bigint NOT NULL, destinations bigint NOT NULL, ports text NOT NULL, samples text NOT NULL);
CREATE UNIQUE INDEX sighting_once ON sighting (ip, sensor, kind, first_at);
CREATE TABLE sighting_join (
  sighting bigint PRIMARY KEY, result text NOT NULL, device bigint NOT NULL, confidence double precision NOT NULL,
  because text NOT NULL, window_s bigint NOT NULL, at bigint NOT NULL);
CREATE TABLE finding (
  id {serial}, finding_key text NOT NULL, device bigint NOT NULL, rule text NOT NULL, pattern text NOT NULL, severity bigint NOT NULL,
  rsit text NOT NULL, ip {blob} NOT NULL, port bigint NOT NULL, proto bigint NOT NULL, at bigint NOT NULL, at_error bigint NOT NULL,
  first_seen bigint NOT NULL, last_seen bigint NOT NULL, state text NOT NULL, evidence text NOT NULL, amplification double precision,
  advice text NOT NULL, finding_class text NOT NULL, social bigint NOT NULL, segment text NOT NULL, observation bigint NOT NULL,
  seen_segments bigint NOT NULL DEFAULT 1, case_id bigint NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX finding_once ON finding (finding_key);
CREATE INDEX finding_by_ip ON finding (ip, port);
CREATE INDEX finding_by_device ON finding (device);
CREATE INDEX finding_by_case ON finding (case_id);
CREATE TABLE finding_event (
  id {serial}, finding bigint NOT NULL, at bigint NOT NULL, kind text NOT NULL, who text NOT NULL, rules_version text NOT NULL,
  detail text NOT NULL, segment text NOT NULL);
CREATE INDEX finding_event_by_finding ON finding_event (finding);
CREATE TABLE cluster_name (
  id {serial}, cluster text NOT NULL, vendor text NOT NULL, product text NOT NULL, type text NOT NULL, proposed_by text NOT NULL,
  proposed_at bigint NOT NULL, accepted_by text NOT NULL DEFAULT '', accepted_at bigint, rule_file text NOT NULL DEFAULT '', undone_at bigint))";

// Cases and what was handed to ISPs. The notice code itself is not kept, only a keyed hash; a line is known by a blind handle at most.
constexpr std::string_view casework = R"(
CREATE TABLE cases (
  id {serial}, line_key text NOT NULL, device bigint NOT NULL, isp text NOT NULL, track text NOT NULL, state text NOT NULL,
  state_at bigint NOT NULL, first_seen bigint NOT NULL, reopened_at bigint, code_hash {blob}, word1 text NOT NULL, word2 text NOT NULL,
  handle text NOT NULL DEFAULT '', root_cause text NOT NULL DEFAULT '', attacked bigint NOT NULL DEFAULT 0,
  merged_into bigint NOT NULL DEFAULT 0, notified_at bigint, opened_at bigint, checked_at bigint, fixed_at bigint, closed_reason text NOT NULL DEFAULT '');
CREATE UNIQUE INDEX cases_by_code ON cases (code_hash);
CREATE INDEX cases_by_line ON cases (line_key);
CREATE INDEX cases_by_state ON cases (state);
CREATE TABLE case_event (
  id {serial}, case_id bigint NOT NULL, at bigint NOT NULL, from_state text NOT NULL, to_state text NOT NULL, who text NOT NULL,
  rules_version text NOT NULL, evidence text NOT NULL, basis text NOT NULL, previous {blob}, hash {blob} NOT NULL);
CREATE INDEX case_event_by_case ON case_event (case_id);
CREATE TABLE list (
  id text PRIMARY KEY, isp text NOT NULL, sequence bigint NOT NULL, created bigint NOT NULL, not_after bigint NOT NULL,
  row_count bigint NOT NULL, file_name text NOT NULL, file_hash {blob}, state text NOT NULL, returned_at bigint);
CREATE UNIQUE INDEX list_once ON list (isp, sequence);
CREATE TABLE list_row (
  list_id text NOT NULL, row_id text NOT NULL, case_id bigint NOT NULL, finding bigint NOT NULL, finding_class text NOT NULL,
  ip {blob} NOT NULL, port bigint NOT NULL, proto bigint NOT NULL, at bigint NOT NULL, PRIMARY KEY (list_id, row_id));
CREATE TABLE list_return (
  id {serial}, list_id text NOT NULL, isp text NOT NULL, sequence bigint NOT NULL, row_id text NOT NULL, state text NOT NULL,
  at bigint NOT NULL, handle text NOT NULL, detail text NOT NULL);
CREATE UNIQUE INDEX list_return_once ON list_return (isp, row_id, state, at);
CREATE TABLE return_in (isp text NOT NULL, sequence bigint NOT NULL, imported_at bigint NOT NULL, row_count bigint NOT NULL, PRIMARY KEY (isp, sequence));
CREATE TABLE opt_out (prefix text PRIMARY KEY, base {blob} NOT NULL, last {blob} NOT NULL, reason text NOT NULL, who text NOT NULL, at bigint NOT NULL);
CREATE TABLE metric_snapshot (
  survey text NOT NULL, name text NOT NULL, label text NOT NULL, value double precision NOT NULL, at bigint NOT NULL,
  PRIMARY KEY (survey, name, label)))";

// Work to do and its live events. The address of a self-check is kept 24 hours (workflow.md section 6, portal row).
constexpr std::string_view work = R"(
CREATE TABLE job (
  id {serial}, kind text NOT NULL, payload text NOT NULL, ip {blob}, state text NOT NULL, created bigint NOT NULL, created_by text NOT NULL,
  lease_owner text NOT NULL DEFAULT '', fence bigint NOT NULL DEFAULT 0, lease_until bigint NOT NULL DEFAULT 0, attempts bigint NOT NULL DEFAULT 0,
  finished bigint, result text NOT NULL DEFAULT '');
CREATE INDEX job_by_state ON job (state, kind);
CREATE INDEX job_by_ip ON job (ip, created);
CREATE TABLE check_event (id {serial}, job bigint NOT NULL, at bigint NOT NULL, line text NOT NULL);
CREATE INDEX check_event_by_job ON check_event (job))";

// Every key that one unit has for itself (certificate, host key, engine id, …): which of them is seen first must not matter.
constexpr std::string_view device_keys = R"(
CREATE TABLE device_key (unit_key text NOT NULL, device bigint NOT NULL, PRIMARY KEY (unit_key, device));
CREATE INDEX device_key_by_device ON device_key (device))";

// Several scan nodes on one survey (nodes.h), and their shares of a mandate's rates. survey.nodes: how many may work on it at once, 0: one.
constexpr std::string_view scan_nodes = R"(
ALTER TABLE survey ADD COLUMN nodes bigint NOT NULL DEFAULT 0;
CREATE TABLE scan_node (
  survey text NOT NULL, node text NOT NULL, slot bigint NOT NULL, joined bigint NOT NULL, lease_until bigint NOT NULL, left_at bigint,
  summary text NOT NULL DEFAULT '', PRIMARY KEY (survey, node));
CREATE UNIQUE INDEX scan_node_slot ON scan_node (survey, slot);
CREATE TABLE rate_share (
  mandate {blob} NOT NULL, holder text NOT NULL, pps bigint NOT NULL, per_24_pps bigint NOT NULL, lease_until bigint NOT NULL,
  PRIMARY KEY (mandate, holder)))";

// Vulnerability data (vulns.h): what the sources say, and what was judged of each device. Public data; device_vuln is about devices only and is made
// again from them at any time. vuln_text: the reasons, which many devices share.
constexpr std::string_view vulnerabilities = R"(
CREATE TABLE vuln_record (
  source text NOT NULL, record text NOT NULL, cve text NOT NULL, modified bigint NOT NULL, doc text NOT NULL, PRIMARY KEY (source, record, cve));
CREATE INDEX vuln_record_by_cve ON vuln_record (cve);
CREATE TABLE vuln_product (
  vendor text NOT NULL, product text NOT NULL, cve text NOT NULL, source text NOT NULL, record text NOT NULL,
  PRIMARY KEY (vendor, product, cve, source, record));
CREATE INDEX vuln_product_by_record ON vuln_product (source, record);
CREATE TABLE vuln_epss (cve text PRIMARY KEY, score double precision NOT NULL, percentile double precision NOT NULL, day bigint NOT NULL);
CREATE TABLE support_cycle (
  product text NOT NULL, cycle text NOT NULL, eol text NOT NULL, support text NOT NULL, latest text NOT NULL, PRIMARY KEY (product, cycle));
CREATE TABLE vuln_import (
  id {serial}, source text NOT NULL, file text NOT NULL, file_hash {blob} NOT NULL, data_at bigint NOT NULL, records bigint NOT NULL,
  changed bigint NOT NULL, at bigint NOT NULL);
CREATE INDEX vuln_import_by_source ON vuln_import (source, data_at);
CREATE TABLE vuln_text (id bigint PRIMARY KEY, words text NOT NULL);
CREATE TABLE device_vuln (
  device bigint NOT NULL, cve text NOT NULL, verdict bigint NOT NULL, source text NOT NULL, reason bigint NOT NULL, words bigint NOT NULL,
  priority bigint NOT NULL, at bigint NOT NULL, PRIMARY KEY (device, cve));
CREATE INDEX device_vuln_by_cve ON device_vuln (cve))";

// Under which label the identifications of a rules version are kept (reply_scan.h); a version without a row: under its own name.
constexpr std::string_view rules_labels = R"(
CREATE TABLE rules_label (version text PRIMARY KEY, label text NOT NULL, at bigint NOT NULL))";

// What a person said that a device is: the measure for the names that Nora gives (flow/rates.h).
constexpr std::string_view labels = R"(
CREATE TABLE device_label (device bigint PRIMARY KEY, vendor text NOT NULL, product text NOT NULL, type text NOT NULL, who text NOT NULL, at bigint NOT NULL))";

// What vulnerability data calls a device (an extract of its identity), and how urgent devices and open findings are (vulns.h; 0: not judged yet), so
// that lists can be sorted. Explanations are kept in another form from here on: everything is judged anew.
constexpr std::string_view urgency = R"(
ALTER TABLE device ADD COLUMN cpes text NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN priority bigint NOT NULL DEFAULT 0;
CREATE INDEX device_by_priority ON device (priority DESC, id);
ALTER TABLE finding ADD COLUMN priority bigint NOT NULL DEFAULT 0;
ALTER TABLE finding ADD COLUMN priority_why bigint NOT NULL DEFAULT 0;
CREATE INDEX finding_by_priority ON finding (priority DESC, id);
DELETE FROM device_vuln;
DELETE FROM vuln_text;
DELETE FROM progress WHERE name LIKE 'flow.vulns.%')";
// What the history was thought through with, and what must be thought through again (history.h). A store from before knows its rules by its devices.
constexpr std::string_view history = R"(
CREATE TABLE history_state (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE address_again (ip {blob} PRIMARY KEY);
INSERT INTO history_state (name, value) SELECT 'rules', known.label FROM (SELECT coalesce(
  (SELECT label FROM rules_label WHERE label NOT LIKE '%@%' ORDER BY at DESC LIMIT 1),
  (SELECT rules_version FROM device ORDER BY last_seen DESC LIMIT 1)) AS label) AS known WHERE known.label IS NOT NULL)";

}  // namespace

const std::vector<store::Migration>& migrations() {
  static const std::vector<store::Migration> all = {
      {1, "replies and segments", replies},
      {2, "devices, sightings, findings", meaning},
      {3, "cases and lists", casework},
      {4, "jobs", work},
      {5, "keys of devices", device_keys},
      {6, "scan nodes", scan_nodes},
      {7, "vulnerabilities", vulnerabilities},
      {8, "labels of rules versions", rules_labels},
      {9, "labels of devices", labels},
      {10, "urgency", urgency},
      {11, "history under other rules", history},
  };
  return all;
}

}  // namespace nora::registry
