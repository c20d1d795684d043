#include "survey/plan.h"

#include <algorithm>

#include "base/files.h"
#include "survey/rates.h"

namespace nora::survey {

std::string Plan::text() const {
  json::Object o{{"nora_plan", 1},
                 {"survey", survey},
                 {"kind", kind},
                 {"made", made.text()},
                 {"mandate", to_hex(mandate)},
                 {"catalogue", to_hex(catalogue)},
                 {"order", to_hex(order)},
                 {"segment_size", segment_size},
                 {"answer_window_ms", answer_window_ms},
                 {"all_outcomes", all_outcomes},
                 {"probes", space.size()},
                 {"space", space.to_json()}};
  return json::text(o) + "\n";
}

Result<Plan> Plan::parse(std::string_view text) {
  NORA_TRY(auto o, json::parse_object(text));
  NORA_TRY(auto version, json::get_int(o, "nora_plan"));
  if (version != 1) return fail(Code::bad_input, "the plan is of version " + std::to_string(version), "use the Nora that made it");
  Plan p;
  NORA_TRY(p.survey, json::get_string(o, "survey"));
  NORA_TRY(p.kind, json::get_string(o, "kind"));
  NORA_TRY(p.made, json::get_instant(o, "made"));
  NORA_TRY(auto mandate, json::get_string(o, "mandate"));
  NORA_TRY(p.mandate, hash_from_hex(mandate));
  NORA_TRY(auto catalogue, json::get_string(o, "catalogue"));
  NORA_TRY(p.catalogue, hash_from_hex(catalogue));
  NORA_TRY(auto order_text, json::get_string(o, "order"));
  NORA_TRY(auto order, from_hex(order_text));
  if (order.size() != p.order.size()) return fail(Code::bad_input, "the plan's order key has not 16 bytes");
  std::copy(order.begin(), order.end(), p.order.begin());
  NORA_TRY(auto size, json::get_int(o, "segment_size"));
  if (size < 1 || size > static_cast<std::int64_t>(max_segment)) return fail(Code::bad_input, "the plan's segment size is out of range");
  p.segment_size = static_cast<std::uint64_t>(size);
  NORA_TRY(auto window, json::get_int(o, "answer_window_ms"));
  if (window < 0 || window > 60'000) return fail(Code::bad_input, "the plan's answer window is out of range");
  p.answer_window_ms = static_cast<int>(window);
  NORA_TRY(p.all_outcomes, json::get_bool(o, "all_outcomes"));
  NORA_TRY(auto space, json::get_object(o, "space"));
  NORA_TRY(p.space, Space::from_json(space));
  return p;
}

Status Plan::save(const std::filesystem::path& dir) const { return replace_file(dir / "plan.json", text(), 0600); }

Result<Plan> Plan::load(const std::filesystem::path& dir) {
  NORA_TRY(auto text, read_file(dir / "plan.json", max_plan_bytes));
  return parse(text);
}

Result<Plan> make_plan(const law::Mandate& mandate, const Catalogue& catalogue, const PlanOptions& options, Env env) {
  Plan p;
  p.made = env.clock.now();
  std::uint8_t tail[4];
  env.random.fill(tail);
  auto stamp = Instant::seconds(p.made.us / 1'000'000).text();
  std::erase(stamp, ':');
  p.survey = stamp + "-" + to_hex(tail);
  p.kind = options.kind;
  p.mandate = mandate.hash();
  p.catalogue = mandate.probes().hash();
  env.random.fill(p.order);
  p.answer_window_ms = options.answer_window_ms;
  NORA_TRY(p.space, Space::make(mandate, catalogue, options.targets6, options.limits));
  p.all_outcomes = options.kind != "full" || p.space.size() <= options.all_outcomes_up_to;
  p.segment_size = options.segment_size;
  if (p.segment_size == 0) {
    // At most one segment is in doubt after a crash, and each segment costs one answer window: 1/8 of the time at the mandate's rates.
    double pps = survey_pps(mandate.text(), p.space.networks24());
    p.segment_size = static_cast<std::uint64_t>(pps * options.answer_window_ms / 1000.0 * 8);
    p.segment_size = std::min(p.segment_size, p.space.size() / 4 + 1);  // a small survey still has several
  }
  p.segment_size = std::clamp(p.segment_size, std::uint64_t{1}, max_segment);
  if (options.segment_size == 0) p.segment_size = std::max(p.segment_size, min_segment);
  return p;
}

}  // namespace nora::survey
