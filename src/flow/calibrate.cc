#include "flow/calibrate.h"

#include <map>

#include "base/escape.h"
#include "base/files.h"
#include "flow/pipeline_parts.h"
#include "flow/rates.h"
#include "identify/words.h"

namespace nora::flow {
namespace {

// What a statement says against what the person said: right, wrong, or nothing that can be compared.
enum class Answer { silent, right, wrong };
Answer judge(const identify::Statement& s, const Label& l) {
  bool said = false;
  for (const auto& [a, b] : {std::pair(&s.vendor, &l.vendor), std::pair(&s.product, &l.product), std::pair(&s.type, &l.type)}) {
    if (a->empty() || b->empty()) continue;
    if (!identify::compatible(*a, *b)) return Answer::wrong;
    said = true;
  }
  return said ? Answer::right : Answer::silent;
}

void add_claims(std::vector<identify::Claimed>& out, const registry::Identity& identity, const Label& l) {
  for (const auto& [claim, label] : {std::pair(&identity.vendor, &l.vendor), std::pair(&identity.product, &l.product), std::pair(&identity.type, &l.type)})
    if (!claim->value.empty() && !label->empty()) out.push_back({claim->confidence, identify::compatible(claim->value, *label)});
}

Result<identify::Reliability> reliability_now(registry::Registry& registry, const std::vector<Label>& said) {
  std::vector<identify::Claimed> claims;
  for (const auto& l : said) {
    NORA_TRY(const auto d, registry.device(l.device));
    if (d) add_claims(claims, d->identity, l);
  }
  return identify::reliability(claims);
}

}  // namespace

Result<std::map<std::string, identify::Tally, std::less<>>> Pipeline::tallies() {
  auto& p = *parts_;
  std::map<std::string, identify::Tally, std::less<>> out;
  NORA_TRY(const auto said, labels(p.registry));
  for (const auto& l : said) {
    std::map<std::string, Answer> answers;  // one device is one trial of a rule, however many ports repeat it; wrong once is wrong
    NORA_CHECK(p.each_reply(l.device, [&](const Hash&, const Known& k) {
      for (const auto& s : k.statements) {
        auto& a = answers.emplace(s.rule, Answer::silent).first->second;
        if (const auto now = judge(s, l); now == Answer::wrong || a == Answer::silent) a = now;
      }
    }));
    for (const auto& [rule, answer] : answers) {
      const auto* r = p.knowledge->rules.rule_by_id(rule);
      if (answer == Answer::silent || r == nullptr) continue;
      auto& tally = out[rule];
      tally.pattern = to_clean_utf8(r->pattern_text);
      ++(answer == Answer::right ? tally.right : tally.wrong);
    }
  }
  return out;
}

Result<Calibrated> calibrate(Pipeline& pipeline, registry::Registry& registry, const KnowledgeDirs& dirs, law::Audit* audit, std::string_view user, Calibrate what) {
  if (user.empty()) return fail(Code::usage, "who calibrates?");
  Calibrated out;
  NORA_TRY(const auto said, labels(registry));
  out.labelled = static_cast<std::int64_t>(said.size());
  if (what != Calibrate::forget) {
    if (said.empty()) return fail(Code::bad_input, "no device is labelled", "nora cluster label DEVICE --vendor … --product … --by USER, for devices that were not chosen by their names");
    NORA_TRY(auto tallies, pipeline.tallies());
    out.learnt = identify::Calibration(std::move(tallies));
  }
  NORA_TRY(out.before, reliability_now(registry, said));
  if (what == Calibrate::trial) return out;
  if (audit)
    NORA_CHECK(audit->append("calibrate", json::Object{{"by", to_clean_utf8(user)}, {"labelled", out.labelled}, {"rules", out.learnt.by_rule().size()}, {"content", to_hex(out.learnt.content())}}));
  NORA_CHECK(replace_file(dirs.operator_rules / identify::calibration_file, json::text(json::Value(out.learnt.to_json())) + "\n"));
  NORA_TRY(auto fresh, Knowledge::load(dirs));
  NORA_TRY(out.counts, pipeline.change_rules(std::move(fresh)));
  NORA_TRY(out.after, reliability_now(registry, said));
  return out;
}

}  // namespace nora::flow
