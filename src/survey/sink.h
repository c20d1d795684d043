// Where results go. ReplySink is the interface; Spool (spool.h) for files, RegistrySink for the center's store. Used by the engine and
// `nora scan`. A batch that could not be put is put again later: every sink takes the same batch twice without harm.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/registry.h"

namespace nora::survey {

struct Batch {
  std::vector<registry::ReplyRecord> replies;
  std::vector<registry::Outcome> outcomes;
  bool empty() const { return replies.empty() && outcomes.empty(); }
};

class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual Status put(const Batch& batch) = 0;
  virtual Status put_survey(const registry::Survey& survey) = 0;
  // A segment as far as it has come: reserved (with its leaf), sent, committed (with its leaf).
  virtual Status put_segment(const registry::Segment& segment, std::string_view leaf, Instant now) = 0;
};

// One line per reply:
// {"type":"reply","ip","port","proto","at","at_error_ms","probe","protocol","hash","keys":{…},"bytes":base64,"segment","request_bytes","reply_bytes"};
// per outcome {"type":"outcome","ip","port","proto","probe","at","outcome","segment"}. Keys that occur twice become lists.
json::Object to_json(const registry::ReplyRecord& record);
json::Object to_json(const registry::Outcome& outcome);
// The spool's lines back. Errors: bad_input.
Result<registry::ReplyRecord> reply_from_json(const json::Object& o);
Result<registry::Outcome> outcome_from_json(const json::Object& o);

class RegistrySink : public ReplySink {
 public:
  // Errors: environment or failed when the store cannot be reached; the engine then spools and tries again.
  static Result<std::unique_ptr<RegistrySink>> open(std::string_view url, std::string owner);
  Status put(const Batch& batch) override;
  Status put_survey(const registry::Survey& survey) override;
  Status put_segment(const registry::Segment& segment, std::string_view leaf, Instant now) override;

 private:
  RegistrySink(registry::Registry registry, std::string owner) : registry_(std::move(registry)), owner_(std::move(owner)) {}
  registry::Registry registry_;
  std::string owner_;
  std::map<std::string, std::int64_t> fences_;  // of the segments that this process holds
};

}  // namespace nora::survey
