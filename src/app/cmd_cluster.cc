// `nora cluster list|show|name|undo|rebuild|label|rates|calibrate`: devices that no rule names, their naming by two persons, and how right names are.
// flow/naming, flow/rates and flow/calibrate do the work.
#include <fmt/format.h>

#include <memory>

#include "app/center.h"
#include "base/escape.h"
#include "flow/calibrate.h"

namespace nora::app {
namespace {

struct Options {
  CenterOptions center;
  std::string key, vendor, product, type, by, accept;
  std::int64_t proposal = 0, device = 0;
  std::size_t min_members = 2;
  bool dry_run = false, forget = false;
};

void print(const json::Object& o) { fmt::print("{}\n", json::text(o)); }

json::Object cluster_json(const flow::Queued& q) {
  const auto& c = q.cluster;
  json::Object shared, differs;
  json::Array ports, members;
  for (const auto& [feature, value] : c.shared) shared[to_clean_utf8(feature)] = to_clean_utf8(value);
  for (const auto& [feature, values] : c.differs) {
    json::Array all;
    for (const auto& v : values) all.emplace_back(to_clean_utf8(v));
    differs[to_clean_utf8(feature)] = all;
  }
  for (const auto& p : c.ports) ports.emplace_back(fmt::format("{}/{}", p.port.value, name(p.proto)));
  for (auto id : c.members) members.emplace_back(id);
  return {{"cluster", c.key}, {"devices", q.devices}, {"new_30_days", q.grown}, {"worst", q.worst ? json::Value(std::string(registry::name(*q.worst))) : json::Value(nullptr)},
          {"score", q.score}, {"members", members}, {"ports", ports}, {"shared", shared}, {"differs", differs}};
}

Result<int> list(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto naming, center.naming());
  NORA_TRY(const auto found, naming.queue(o.min_members));
  for (const auto& q : found) {
    const auto& c = q.cluster;
    if (run.json) {
      print(cluster_json(q));
      continue;
    }
    const auto title = c.shared.find("html_title");
    fmt::print("{}  {} devices, {} new in 30 days, worst finding {}, score {:.0f}  {}\n", c.key, q.devices, q.grown, q.worst ? registry::name(*q.worst) : "none", q.score, title == c.shared.end() ? "" : to_terminal(title->second));
  }
  return 0;
}

Result<int> show(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto naming, center.naming());
  NORA_TRY(const auto found, naming.queue(1, o.key));
  for (const auto& q : found) {
    const auto& c = q.cluster;
    if (run.json) {
      print(cluster_json(q));
      return 0;
    }
    fmt::print("{}  {} devices\n", c.key, c.members.size());
    for (const auto& [feature, value] : c.shared) fmt::print("  all show   {} = {}\n", to_terminal(feature), to_terminal(value.substr(0, 200)));
    for (const auto& [feature, values] : c.differs) fmt::print("  they differ in {} ({} values)\n", to_terminal(feature), values.size());
    NORA_TRY(const auto proposals, naming.proposals(c.key));
    for (const auto& p : proposals)
      if (!p.accepted_at && !p.undone_at) fmt::print("  proposal {} by {}: {} {} ({})\n", p.id, p.proposed_by, to_terminal(p.vendor), to_terminal(p.product), to_terminal(p.type));
    return 0;
  }
  return fail(Code::not_found, "there is no cluster " + o.key);
}

Result<int> name(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto naming, center.naming());
  auto proposal = o.proposal;
  if (proposal == 0) {
    if (o.key.empty() || o.product.empty() || o.by.empty()) return fail(Code::usage, "a name needs CLUSTER, --product and --by", "Or accept a proposal: --proposal N --accept USER");
    const identify::Naming n{o.key, o.vendor, o.product, o.type, o.by, "", run.env.clock.now()};
    if (o.dry_run) {
      auto trial = n;
      trial.accepted_by = "(second person)";
      NORA_TRY(const auto rules, naming.preview(trial));
      for (const auto& r : rules) {
        if (run.json) {
          json::Array also;
          for (const auto id : r.also) also.emplace_back(id);
          print({{"key", r.key}, {"pattern", to_clean_utf8(r.pattern)}, {"members", r.matches}, {"also", also}, {"decoys", r.decoys}, {"cost_ns", r.cost_ns}, {"xml", to_clean_utf8(r.xml)}});
          continue;
        }
        fmt::print("{}: matches {} members, {} more devices without a name, none with another name; leaves {} decoys alone; {} ns a value\n{}\n", r.key, r.matches, r.also.size(),
                   r.decoys, r.cost_ns, r.xml);
      }
      return 0;
    }
    NORA_TRY(proposal, naming.propose(n));
  }
  if (o.accept.empty()) {
    if (run.json) print({{"proposal", proposal}, {"accepted", false}});
    else fmt::print("proposal {}: a second person accepts it by\n  nora cluster name --dir {} --proposal {} --accept USER\n", proposal, o.center.dir, proposal);
    return 0;
  }
  NORA_TRY(const auto named, naming.accept(proposal, o.accept));
  if (run.json) print({{"proposal", proposal}, {"accepted", true}, {"devices", named}});
  else fmt::print("{} devices carry the name now; the whole history was identified again\n", named);
  return 0;
}

Result<int> undo(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto naming, center.naming());
  NORA_CHECK(naming.undo(o.key, o.by));
  if (run.json) print({{"cluster", o.key}, {"undone", true}});
  else fmt::print("the name of {} is taken back\n", o.key);
  return 0;
}

Result<int> rebuild(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* pipeline, center.pipeline());
  NORA_TRY(const auto r, pipeline->rebuild_clusters());
  if (run.json) print({{"devices", r.devices}, {"moved", r.moved}, {"clusters", r.clusters}, {"faceless", r.faceless}, {"replies", r.replies}, {"faces", identify::face_version()}});
  else fmt::print("{} devices without a name in {} clusters ({} show nothing to hold on to); {} have another cluster now\n", r.devices, r.clusters, r.faceless, r.moved);
  return 0;
}

Result<int> label(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* registry, center.registry());
  NORA_CHECK(flow::put_label(*registry, {o.device, o.vendor, o.product, o.type, o.by, run.env.clock.now()}));
  if (run.json) print({{"device", o.device}, {"labelled", true}});
  else fmt::print("device {} is labelled; nora cluster rates compares\n", o.device);
  return 0;
}

json::Object reliability_json(const identify::Reliability& r) {
  json::Array bins;
  for (const auto& b : r.bins) bins.emplace_back(json::Object{{"from", b.from}, {"to", b.to}, {"claims", b.claims}, {"right", b.right}, {"mean_confidence", b.stated}});
  return {{"expected_calibration_error", r.error}, {"bins", std::move(bins)}};
}

Result<int> calibrate(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* pipeline, center.pipeline());
  NORA_TRY(auto* registry, center.registry());
  NORA_TRY(auto* audit, center.audit());
  const auto what = o.dry_run ? flow::Calibrate::trial : o.forget ? flow::Calibrate::forget : flow::Calibrate::apply;
  NORA_TRY(const auto dirs, center.rules_in_force());
  NORA_TRY(const auto r, flow::calibrate(*pipeline, *registry, dirs, audit, o.by, what));
  if (run.json) {
    json::Object rules;
    for (const auto& [rule, t] : r.learnt.by_rule()) rules[to_clean_utf8(rule)] = json::Object{{"right", t.right}, {"wrong", t.wrong}};
    print({{"labelled", r.labelled}, {"rules", std::move(rules)}, {"before", reliability_json(r.before)},
           {"after", o.dry_run ? json::Value(nullptr) : json::Value(reliability_json(r.after))}, {"replies_again", r.counts.replies_again}});
    return 0;
  }
  const auto table = [](std::string_view when, const identify::Reliability& x) {
    fmt::print("{}: stated and found differ by {:.1f} points on average\n", when, 100 * x.error);
    for (const auto& b : x.bins) fmt::print("  confidence {:.1f}-{:.1f}: {:>6} claims, {:>5.1f} % right, {:>5.1f} % stated\n", b.from, b.to, b.claims, 100.0 * static_cast<double>(b.right) / static_cast<double>(b.claims), 100 * b.stated);
  };
  fmt::print("{} labelled devices, {} rules spoke about them\n", r.labelled, r.learnt.by_rule().size());
  for (const auto& [rule, t] : r.learnt.by_rule()) if (t.wrong > 0) fmt::print("  {:<48} {} right, {} wrong\n", to_terminal(rule), t.right, t.wrong);
  table("before", r.before);
  if (o.dry_run) return 0;
  table("after", r.after);
  fmt::print("{} replies identified again\n", r.counts.replies_again);
  return 0;
}

json::Object rate_json(const flow::Rate& r) {
  return {{"devices", r.devices}, {"type", r.type}, {"vendor", r.vendor}, {"product", r.product}, {"firmware", r.firmware}};
}

Result<int> rates(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* pipeline, center.pipeline());
  NORA_TRY(const auto r, pipeline->rates());
  if (run.json) {
    json::Object by_key;
    for (const auto& [key, rate] : r.by_key) by_key[to_clean_utf8(key)] = rate_json(rate);
    const auto precision = [](const flow::Precision& p) {
      const auto [low, high] = p.interval();
      return json::Object{{"stated", p.stated}, {"right", p.right}, {"low_95", low}, {"high_95", high}};
    };
    print({{"total", rate_json(r.total)}, {"by_key", by_key}, {"labelled", r.labelled}, {"precision", json::Object{{"type", precision(r.type)}, {"vendor", precision(r.vendor)}, {"product", precision(r.product)}}},
           {"unnamed", json::Object{{"clusters", r.clusters}, {"devices", r.clustered}, {"largest", r.largest}}}});
    return 0;
  }
  const auto share = [](std::int64_t n, std::int64_t of) { return of == 0 ? 0.0 : 100.0 * static_cast<double>(n) / static_cast<double>(of); };
  const auto line = [&](std::string_view name, const flow::Rate& x) {
    fmt::print("{:<26} {:>8} {:>7.1f} % {:>7.1f} % {:>7.1f} % {:>7.1f} %\n", name, x.devices, share(x.type, x.devices), share(x.vendor, x.devices), share(x.product, x.devices), share(x.firmware, x.devices));
  };
  fmt::print("{:<26} {:>8} {:>9} {:>9} {:>9} {:>9}\n", "", "devices", "type", "vendor", "product", "firmware");
  line("all devices", r.total);
  for (const auto& [key, rate] : r.by_key) line(to_terminal(key), rate);
  fmt::print("without a name: {} devices in {} clusters, the largest has {}\n", r.clustered, r.clusters, r.largest);
  const auto precise = [&](std::string_view name, const flow::Precision& p) {
    const auto [low, high] = p.interval();
    if (p.stated == 0) fmt::print("precision of the {}: not known, no labelled device\n", name);
    else fmt::print("precision of the {}: {} of {} labelled devices ({:.1f} %, 95 % interval {:.1f} to {:.1f})\n", name, p.right, p.stated, 100 * p.share(), 100 * low, 100 * high);
  };
  precise("type", r.type);
  precise("vendor", r.vendor);
  precise("product", r.product);
  return 0;
}

}  // namespace

void add_cluster(CLI::App& root, Run& run) {
  auto* noun = root.add_subcommand("cluster", "Devices that no rule names, grouped by the face they share");
  noun->require_subcommand(1);
  auto o = std::make_shared<Options>();
  const auto verb = [&](const char* name, const char* help, Result<int> (*work)(const Options&, Run&)) {
    auto* c = with_json(noun->add_subcommand(name, help), run);
    o->center.add_to(c);
    c->add_option("--rules", o->center.rules, "where rules of named clusters are written (default: DIR/rules)");
    c->callback([&run, o, work] { run.action = [&run, o, work] { return work(*o, run); }; });
    return c;
  };
  auto* l = verb("list", "clusters, the first to be named first (size x risk x growth)", list);
  l->add_option("--min", o->min_members, "at least so many devices")->capture_default_str();
  l->footer("--json: {cluster, devices, new_30_days, worst, score, members[], ports[], shared{}, differs{}}; score = devices x (1 + severity 0..4) x (1 + share of new devices)");
  auto* s = verb("show", "what the devices of a cluster share and where they differ", show);
  s->add_option("cluster", o->key, "cluster key")->required();
  auto* n = verb("name", "propose a name (--by), and let a second person accept it (--accept): every copy is identified again at once", name);
  n->add_option("cluster", o->key, "cluster key");
  n->add_option("--vendor", o->vendor, "maker");
  n->add_option("--product", o->product, "product; {1} stands for the first word in which the members differ: \"TL-{1}\" names a family by what each device says");
  n->add_option("--type", o->type, "for example Broadband Router");
  n->add_option("--by", o->by, "who proposes");
  n->add_option("--proposal", o->proposal, "accept this proposal instead of making one");
  n->add_option("--accept", o->accept, "who accepts; another person than the proposer");
  n->add_flag("--dry-run", o->dry_run, "print the rules that the name would become");
  n->footer("--json: {proposal, accepted, devices}\nExample: nora cluster name c-1a2b3c4d5e --vendor Example --product CTL-100 --type Router --by analyst1 --accept analyst2");
  auto* u = verb("undo", "take a name back; everything is identified again without it", undo);
  u->add_option("cluster", o->key, "cluster key")->required();
  u->add_option("--by", o->by, "who takes it back")->required();
  auto* b = verb("rebuild", "make the clusters anew from what is stored: every device without a name, in one pass", rebuild);
  b->footer("Needed only when keys are doubted: a program that knows other faces does it by itself.\n--json: {devices, moved, clusters, faceless, replies, faces}; faces: version of the faces");
  auto* t = verb("label", "say what a device is, from its evidence or in front of it: the measure for the names that Nora gives", label);
  t->add_option("device", o->device, "device id")->required();
  t->add_option("--vendor", o->vendor, "maker");
  t->add_option("--product", o->product, "product");
  t->add_option("--type", o->type, "for example Broadband Router");
  t->add_option("--by", o->by, "who says so")->required();
  auto* k = verb("calibrate", "let the labels correct how sure each rule is; the history is identified again where that matters", calibrate);
  k->add_option("--by", o->by, "who does it")->required();
  auto* trial = k->add_flag("--dry-run", o->dry_run, "show what the labels say, change nothing");
  k->add_flag("--forget", o->forget, "rules are as sure as they state themselves")->excludes(trial);
  k->footer("--json: {labelled, rules{ID{right, wrong}}, before{expected_calibration_error, bins[]}, after, replies_again}\nExample: nora cluster calibrate --by analyst1 --dry-run");
  auto* r = verb("rates", "how many devices have a type, a vendor, a product, per match key and in total; and how often that is right", rates);
  r->footer("--json: {total, by_key{}, labelled, precision{type, vendor, product}{stated, right, low_95, high_95}, unnamed{clusters, devices, largest}}");
}

}  // namespace nora::app
