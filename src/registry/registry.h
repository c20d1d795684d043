// Registry: the center's store of what was seen and what it means. Used by survey and sense (write replies, outcomes, sightings, segments),
// flow (devices, findings), cases, desk and the command line (read; see also views.h). Jobs are in jobs.h.
// One writer per table: survey writes segments/replies/outcomes, sense writes sightings, flow writes devices/findings, cases writes cases.
// Every put is idempotent: the same batch again, in any order, changes nothing. Not thread safe: one Registry per thread.
// Errors: `failed` with the store's own message; `refused` when a lease was lost (stale fencing token).
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "registry/types.h"
#include "store/db.h"

namespace nora::registry {

inline constexpr std::size_t max_batch_rows = 10'000;        // callers cut larger batches
inline constexpr std::size_t max_reply_bytes = 64 * 1024;    // longer replies are refused: the grabber caps them before

// One answer: where and when, and what was said. observation.reply_hash is set from reply.hash.
struct ReplyRecord {
  Observation seen;
  Reply reply;
};
Hash reply_hash(std::string_view protocol, ByteView bytes);  // SHA-256(protocol || 0 || bytes)

// What a probe without an answer met. "silent" is never evidence of a repair; "closed" (RST, ICMP port unreachable) is.
struct Outcome {
  Ip ip;
  Port port;
  Proto proto = Proto::tcp;
  std::string probe;
  Instant at;
  std::string outcome;  // closed | silent | answered
  std::string segment;
};

struct PutCounts {
  std::int64_t replies_new = 0;
  std::int64_t rows_new = 0;  // observations, outcomes, sightings
  std::int64_t late = 0;      // refused: their segment went to another node
};

// Segments of a batch that the writer holds: id -> its fencing token, 0: there is only one node. Results of a segment whose token has risen
// are refused; the same answer to the same probe of one segment is stored once, although it was heard twice (a segment taken over or resumed).
using Fences = std::map<std::string, std::int64_t>;

struct Survey {
  std::string id;
  std::string kind;          // full | remeasure | check
  Hash mandate_hash{};
  std::string plan;          // what is needed to repeat it, as the survey wrote it
  Instant started;
  std::optional<Instant> finished;
  std::int64_t sent = 0, replies = 0;
  std::string summary;       // closing summary, JSON
};

// Where a device was: half-open [from, to]; `to` moves on while the same device answers there.
struct DeviceEndpoint {
  Id device = 0;
  Ip ip;
  Port port;
  Proto proto = Proto::tcp;
  Instant from, to;
  Hash reply_hash{};
  Id observation = 0;
};

// Everything about one finding that types.h leaves to the store.
struct StoredFinding {
  Finding finding;
  std::string advice;         // advice id, resolved when found
  std::string finding_class;  // the ISP approves a ground per class
  bool social = false;        // on-site track
  std::string segment;        // of the last positive evidence
  Span at_error{};
  Id observation = 0;
  std::int64_t seen_segments = 1;  // distinct segments with positive evidence (S1 VALIDATED needs a second look)
  Id case_id = 0;
  std::int64_t priority = 0;  // 0 to 100, of open findings; 0: not judged yet. Read only here, written by vulns.h
  std::string priority_why;   // what went into it (expose/priority.h), JSON; empty: not judged
};

struct FindingEvent {
  Id id = 0;
  Id finding = 0;
  Instant at;
  std::string kind;           // found | seen_again | moved | fixed | reopened | gone | rules_changed
  std::string who;            // survey, flow, a user
  std::string rules_version;
  std::string detail;
  std::string segment;
};

struct SightingJoin {
  Id sighting = 0;
  std::string result;         // joined | ambiguous | none
  Id device = 0;
  double confidence = 0;
  std::string because;        // one honest sentence
  std::int64_t window_s = 0;
  Instant at;
};

class Registry {
 public:
  explicit Registry(store::Db& db) : db_(&db) {}
  // Opens the store and brings the schema up to date. The returned object owns the connection.
  static Result<Registry> open(std::string_view url);
  Registry(Registry&&) noexcept = default;
  Registry& operator=(Registry&&) noexcept = default;
  store::Db& db() { return *db_; }
  Status migrate();

  // ---- replies (written by survey) ----
  Result<PutCounts> put_replies(const std::vector<ReplyRecord>& batch, const Fences& fences = {});
  Result<PutCounts> put_outcomes(const std::vector<Outcome>& batch, const Fences& fences = {});
  Result<std::optional<Reply>> reply(const Hash& hash);
  // Observations with id > after, oldest id first: ids rise in commit order, so a reader can keep its place.
  Result<std::vector<Observation>> observations_after(Id after, std::size_t limit);
  Result<std::vector<Observation>> observations_of(Ip ip, std::size_t limit = 1000);          // newest first
  Result<std::vector<Observation>> observations_of_reply(const Hash& hash, std::size_t limit = 1000);
  Result<std::vector<Hash>> reply_hashes(const Hash& after, std::size_t limit);               // the whole distinct history, by hash
  Result<std::vector<Outcome>> outcomes_after(Id after, std::size_t limit, Id* last);
  Result<std::int64_t> progress(std::string_view name);                                       // 0 when never set
  Status set_progress(std::string_view name, std::int64_t value);

  // ---- surveys and segments (written by survey) ----
  Status put_survey(const Survey& survey);                       // inserts, or updates finished/sent/replies/summary
  Result<std::optional<Survey>> survey(std::string_view id);
  Result<std::vector<Survey>> surveys(std::size_t limit = 100);  // newest first
  Status add_segments(const std::vector<Segment>& segments);     // fence 0, no owner: waiting; known ids are left alone
  // Leases up to `limit` of the lowest segments below this number that are neither committed nor held by a living lease. The token (fence)
  // rises with each new owner. Nodes that ask at once get different ones (PostgreSQL: FOR UPDATE SKIP LOCKED).
  Result<std::vector<Segment>> lease_segments(std::string_view survey, std::string_view owner, Instant now, Span lease, std::int64_t below,
                                              std::size_t limit);
  // The holder's reservation, with its audit leaf. Errors: refused (the lease was lost).
  Status note_reserved(std::string_view id, std::int64_t fence, std::string_view leaf);
  // Makes the leases last until then; returns those that were lost.
  Result<std::vector<std::string>> renew_segments(const Fences& held, Instant until);
  // Gives leases back before they end.
  Status release_segments(const Fences& held);
  // Segments below this number that this owner holds and has not committed.
  Result<std::vector<Segment>> segments_of(std::string_view survey, std::string_view owner, Instant now, std::int64_t below);
  // Of the segments below this number: not committed; of those, free to be leased now.
  Result<std::pair<std::int64_t, std::int64_t>> segments_left(std::string_view survey, Instant now, std::int64_t below);
  // Leases exactly this one (a single node that works by its plan file); refused while another owner's lease lives.
  Result<Segment> reserve_segment(const Segment& wanted, std::string_view owner, Instant now, Span lease, std::string_view leaf);
  Status mark_sent(std::string_view id, std::int64_t fence, std::int64_t sent);
  Status commit_segment(std::string_view id, std::int64_t fence, std::int64_t sent, const Hash& file_hash, std::string_view leaf);
  Result<std::optional<Segment>> segment(std::string_view id);
  Result<std::vector<Segment>> segments(std::string_view survey);
  // Audit leaves of a segment: {reserved, committed}; empty when not there yet.
  Result<std::pair<std::string, std::string>> segment_leaves(std::string_view id);

  // ---- sightings (written by sense) and their joins (written by flow) ----
  Result<PutCounts> put_sightings(const std::vector<Sighting>& batch);  // same (ip, sensor, kind, first): last/packets grow
  Result<std::vector<Sighting>> sightings(std::size_t limit = 1000);    // newest first
  Result<std::vector<Sighting>> sightings_of(Ip ip);
  Result<std::optional<Sighting>> sighting(Id id);
  Status put_sighting_join(const SightingJoin& join);
  Result<std::vector<SightingJoin>> sighting_joins();
  Result<std::vector<SightingJoin>> sighting_joins_of(Id device);

  // ---- identification memo (written by flow) ----
  Result<std::optional<std::string>> identification(const Hash& reply, std::string_view rules_version);  // statements as JSON
  Status put_identification(const Hash& reply, std::string_view rules_version, std::string_view statements);

  // ---- devices (written by flow) ----
  Result<Id> put_device(const Device& device, std::string_view main_key, std::string_view rules_version);  // id 0: new
  Status set_cluster(Id device, std::string_view cluster);
  Status put_device_keys(Id device, const std::vector<std::string>& unit_keys);  // adds
  Result<std::vector<std::string>> device_keys(Id device);
  // Two devices turn out to be one: endpoints, keys and joins go to `into`; `from` stays as a row that points there. Findings are the caller's.
  Status merge_devices(Id from, Id into);
  Result<std::optional<Device>> device(Id id);
  Result<std::vector<Device>> devices(std::span<const Id> ids);         // ascending; one that does not exist is left out
  Result<std::vector<Device>> devices_by_key(std::string_view unit_key);
  Result<std::vector<Device>> devices_by_cluster(std::string_view cluster);
  Result<std::vector<Device>> devices_at(Ip ip);                        // every device ever seen there
  Result<std::vector<Device>> all_devices(Id after, std::size_t limit);  // by id
  Status put_endpoint(const DeviceEndpoint& endpoint);                  // same (device, ip, port, proto, from): `to` grows
  Result<std::vector<DeviceEndpoint>> endpoints(Id device);             // newest first
  Result<std::vector<DeviceEndpoint>> endpoints_at(Ip ip);              // of all devices, newest first

  // ---- findings (written by flow) ----
  Result<Id> put_finding(const StoredFinding& finding);  // id 0: new; returns the id
  Result<std::optional<StoredFinding>> finding(Id id);
  Result<std::optional<StoredFinding>> finding_by_key(std::string_view key);
  Result<std::vector<StoredFinding>> findings_of_device(Id device);
  Result<std::vector<StoredFinding>> findings_of_case(Id case_id);
  Result<std::vector<StoredFinding>> findings_at(Ip ip);
  Status set_finding_case(Id finding, Id case_id);
  Status add_finding_event(const FindingEvent& event);
  Result<std::vector<FindingEvent>> finding_events(Id finding);

 private:
  std::unique_ptr<store::Db> owned_;
  store::Db* db_ = nullptr;
};

// The exposure rule (and finding class) of what a sensor saw; its endpoint is the attacker's source port.
inline constexpr std::string_view sighting_rule = "infected";

// A finding is one issue of one device at one kind of place; the address may change (drift), the finding stays.
std::string finding_key(const StoredFinding& finding);

}  // namespace nora::registry
