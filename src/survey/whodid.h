// WhoDid: "was it you?" What this party sent to an address around an instant, from the segments' leaves in the audit log and the record
// files that they vouch for; or that it sent nothing, from the same. Used by `nora complaint`. Reads files only; sends nothing. One thread.
// A record file is quoted as proof only when its SHA-256 stands in the leaf. What cannot be told (a file is gone, a segment was cut off by
// a crash) is said, never guessed: Verdict::uncertain.
// Cost: record files are mapped and walked once, 20 bytes a record (10 million: well below a second from memory).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "law/audit_reader.h"
#include "law/mandate.h"
#include "survey/catalogue.h"
#include "survey/journal.h"
#include "survey/plan.h"
#include "survey/record.h"

namespace nora::survey {

inline constexpr Span default_window = Span::minutes(10);  // each way: clocks of complainants differ
inline constexpr Span near_by = Span::hours(26);           // further away, a record is not about the same event (any time zone is nearer)
inline constexpr std::size_t near_max = 6, hits_max = 100'000;

struct Question {
  Ip ip;
  std::optional<std::uint16_t> port;  // of the complainant's side
  Instant at;
  Span window = default_window;
  Instant from() const { return at - window; }
  Instant to() const { return at + window; }
};

// ---- what the audit log says of segments
struct SegmentLeaf {
  std::uint64_t index = 0;
  Instant at;
};
struct Sending {
  std::string segment, survey;  // "<survey>/<number>"
  std::int64_t number = 0;
  std::vector<SegmentLeaf> begun;  // reserved, and each time it was gone on with after a crash
  std::optional<SegmentLeaf> committed, lost;  // lost: given up, or gone on with by another node
  Hash mandate{}, file{};
  std::int64_t sent = 0;
  std::uint64_t from = 0, to = 0;      // places of the permutation
  std::vector<std::uint64_t> repeats;  // or these
};
Result<std::vector<Sending>> read_sendings(law::AuditReader& log);  // in the order in which they began

// ---- what the spools hold
struct SurveyFiles {
  std::filesystem::path dir;  // empty: only the plan is known (from the center's store)
  Plan plan;
  std::vector<JournalState::RunKey> keys;  // of its runs, by time; none: random bytes are not shown
  std::optional<Key> key_at(Instant at) const;
};
// Each path is a spool (plan.json in it) or a folder of spools (a node's). Errors: bad_input (no plan there).
Result<std::vector<SurveyFiles>> find_surveys(const std::vector<std::filesystem::path>& dirs);

struct Hit {
  Instant at;
  std::uint16_t port = 0, probe = 0;  // probe: place in the catalogue
};
struct RecordFile {
  std::filesystem::path path;
  std::int64_t number = 0;
  bool set_aside = false;  // of a sending that was given up: <number>.bin.<…>
  std::uint64_t records = 0;
  Instant last;            // of its last record; 1970 when it has none
  std::vector<Hit> hits;
};
Result<std::vector<RecordFile>> scan_records(const SurveyFiles& survey, Ip ip);
Result<Hash> hash_of_file(const std::filesystem::path& file);

// A conversation over kernel TCP, or one that must have been (the port had answered) and whose time was not kept.
struct Talk {
  std::optional<Instant> at;  // of the answer
  std::string probe, protocol;
  std::uint16_t port = 0;
  std::string segment;
  std::string words;          // what we said first, as far as it is fixed; empty: nothing before the device spoke
  std::int64_t request_bytes = 0;  // all that we said
};
Result<std::vector<Talk>> talks_in_spool(const SurveyFiles& survey, Ip ip, Ip own);
// The words of a conversation as the script has them (script.h).
std::string first_words(std::string_view probe, Ip ip, std::uint16_t port, Ip own);
bool is_plain(std::string_view words);  // printable ASCII and line ends: shown as they are; all else in hex

// ---- the bytes of a probe
struct ProbeBytes {
  std::string packet;   // the IP packet in hex, ".." for a byte that was random; with the key of the run there are none
  std::string payload;  // the same, of what it carries; empty for a SYN
  bool exact = false;
};
ProbeBytes probe_bytes(const Slot& slot, const Request* request, Ip ip, Ip own, const std::optional<Key>& key);

// ---- the answer
enum class Verdict { sent, not_sent, uncertain };
std::string_view name(Verdict v);
// proven: its hash stands in the leaf. not_committed: the segment was cut off, no leaf has a hash. altered: the hash is another one.
enum class FileState { proven, not_committed, altered, missing };
std::string_view name(FileState s);

struct SentProbe {
  Instant at;
  std::string probe;
  Proto proto = Proto::tcp;
  std::uint16_t port = 0;
  std::string segment, survey;
  FileState state = FileState::proven;
  ProbeBytes bytes;
};
struct Evidence {
  Sending sending;
  FileState state = FileState::missing;
  std::uint64_t records = 0;
  bool names_address = false;  // at any time
  bool at_that_time = false;   // it was being sent in the window
  bool reachable = true;       // its range holds a probe of this address (and port)
  bool in_doubt = false;       // a crash in the window, after which something may have been sent without a record
};
struct WhoDid {
  Question question;
  Verdict verdict = Verdict::uncertain;
  bool in_range = false;              // the mandate covers the address, now
  bool in_plan = false;               // a survey had it among its targets
  std::vector<SentProbe> probes;      // in the window, to the port that was asked about
  std::vector<SentProbe> others;      // in the window, to other ports
  std::vector<SentProbe> near;        // the nearest outside it
  std::optional<Span> off;            // from the instant that was named to the nearest probe
  int hours_off = 0;                  // it is whole hours away: a clock without its zone
  std::vector<Talk> talks;            // in the window, or without a time
  std::vector<Evidence> segments;     // sent in the window, or quoted
};
struct WhoDidInput {
  const std::vector<Sending>& sendings;
  const std::vector<SurveyFiles>& surveys;
  const std::vector<const law::Mandate*>& mandates;  // of these surveys
  const Catalogue& catalogue;
  std::vector<Talk> more_talks;       // from the center's store
};
// Errors: failed (files), bad_input (a survey ran under a mandate that was not given).
Result<WhoDid> who_did(const Question& question, const WhoDidInput& input);
json::Object to_json(const WhoDid& answer);

}  // namespace nora::survey
