// Where results go. ReplySink is the interface; Spool (spool.h) for files, RegistrySink for the center's store. Used by the engine and
// `nora scan`. A batch that could not be put is put again later: every sink takes the same batch twice without harm.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/registry.h"

namespace nora::survey {

struct Batch {
  std::vector<registry::ReplyRecord> replies;
  std::vector<registry::Outcome> outcomes;
  registry::Fences fences;  // the token of each segment that appears
  bool empty() const { return replies.empty() && outcomes.empty(); }
};

class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual Status put(const Batch& batch) = 0;
  virtual Status put_survey(const registry::Survey& survey) = 0;
  // A segment as far as it has come: reserved (with its leaf), sent, committed (with its leaf).
  virtual Status put_segment(const registry::Segment& segment, std::string_view leaf, Instant now) = 0;
  virtual std::int64_t late() const { return 0; }  // results that were refused because their segment went to another node
};

// One line per reply:
// {"type":"reply","ip","port","proto","at","at_error_ms","probe","protocol","hash","keys":{…},"bytes":base64,"segment","request_bytes","reply_bytes"};
// per outcome {"type":"outcome","ip","port","proto","probe","at","outcome","segment"}. Keys that occur twice become lists.
json::Object to_json(const registry::ReplyRecord& record);
json::Object to_json(const registry::Outcome& outcome);
// The spool's lines back. Errors: bad_input.
Result<registry::ReplyRecord> reply_from_json(const json::Object& o);
Result<registry::Outcome> outcome_from_json(const json::Object& o);

// A store that was there before: a file that has gone is an error, not a new and empty store.
Result<registry::Registry> open_again(std::string_view url);

class RegistrySink : public ReplySink {
 public:
  // Errors: usage (the URL). With `now_or_never` also: environment or failed when the store cannot be reached. Otherwise it is opened, and
  // opened again after it was lost, by the first put that succeeds.
  static Result<std::unique_ptr<RegistrySink>> open(std::string_view url, std::string owner, bool now_or_never = true);
  Status put(const Batch& batch) override;
  Status put_survey(const registry::Survey& survey) override;
  Status put_segment(const registry::Segment& segment, std::string_view leaf, Instant now) override;
  std::int64_t late() const override { return late_; }

 private:
  RegistrySink(std::string url, std::string owner) : url_(std::move(url)), owner_(std::move(owner)) {}
  Status with(const std::function<Status(registry::Registry&)>& work);
  Status put_fenced_segment(registry::Registry& r, const registry::Segment& segment, std::string_view leaf);
  std::string url_, owner_;
  std::optional<registry::Registry> registry_;
  std::map<std::string, std::int64_t> fences_;  // of the segments that this process reserved by plan
  std::int64_t late_ = 0;
};

}  // namespace nora::survey
