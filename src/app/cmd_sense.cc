// `nora sense pcap|live`: which addresses attacked a darknet, from a capture file or from an interface.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "base/escape.h"
#include "base/files.h"
#include "base/json.h"
#include "law/mandate_text.h"
#include "sense/registry_sink.h"
#include "sense/sensor.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;

volatile sig_atomic_t stopped = 0;

struct Options {
  fs::path file, research;
  std::string iface, sensor, store;
  std::vector<std::string> darknet;
  double seconds = 0;
};

json::Object to_json(const sense::SourceRecord& r) {
  json::Array ports;
  for (const auto p : r.ports) ports.emplace_back(p);
  return {{"src", r.source.text()}, {"verdict", sense::name(r.verdict)}, {"tool", r.tool}, {"packets", r.packets}, {"destinations", r.destinations},
          {"ports", ports}, {"first", r.first.text()}, {"last", r.last.text()}, {"kind", r.kind}, {"syns", r.syns}, {"bots_estimate", r.bots}, {"why", r.why}};
}

void print(const sense::SourceRecord& r, bool as_json) {
  if (as_json) {
    std::printf("%s\n", json::text(to_json(r)).c_str());
    return;
  }
  std::printf("%-39s %-9s %-11s %8llu packets %6llu destinations  %s\n", r.source.text().c_str(), std::string(sense::name(r.verdict)).c_str(), r.kind.c_str(),
              static_cast<unsigned long long>(r.packets), static_cast<unsigned long long>(r.destinations), to_terminal(r.why).c_str());
}

Result<sense::AggregatorOptions> aggregate(const Options& o) {
  sense::AggregatorOptions out;
  std::vector<Prefix> darknet;
  for (const auto& t : o.darknet) {
    NORA_TRY(const Prefix p, Prefix::parse(t));
    darknet.push_back(p);
  }
  out.darknet = net::AddressSet::make(darknet);
  if (!o.research.empty()) {
    NORA_TRY(const std::string text, read_file(o.research, law::max_opt_out_bytes));
    NORA_TRY(const auto prefixes, law::parse_opt_out(text));  // the same form: one prefix a line, '#' comments
    out.research = net::AddressSet::make(prefixes);
  }
  return out;
}

void summary(const sense::CaptureCounts& c, bool as_json) {
  if (as_json) return;
  std::fprintf(stderr, "%llu frames, %llu counted, %llu not to the darknet or not IP, %llu beyond the table, %llu dropped by the kernel\n",
               static_cast<unsigned long long>(c.frames), static_cast<unsigned long long>(c.packets), static_cast<unsigned long long>(c.ignored),
               static_cast<unsigned long long>(c.overflow), static_cast<unsigned long long>(c.drops));
}

Result<int> pcap(const Options& o, Run& run) {
  NORA_TRY(auto options, aggregate(o));
  const auto done = sense::sense_pcap(o.file, std::move(options), [&](const sense::SourceRecord& r) { print(r, run.json); });
  if (!done) return fail(done.error().code, o.file.string() + ": " + done.error().what, done.error().fix);
  summary(*done, run.json);
  return 0;
}

Result<int> live(const Options& o, Run& run) {
  sense::LiveOptions options{.iface = o.iface, .sensor = o.sensor, .length = Span{static_cast<std::int64_t>(o.seconds * 1e6)}};
  NORA_TRY(options.aggregate, aggregate(o));
  NORA_TRY(auto registry, registry::Registry::open(o.store));
  sense::RegistrySink sink(registry);
  struct sigaction end {};
  end.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGTERM, &end, nullptr);
  sigaction(SIGINT, &end, nullptr);
  NORA_TRY(const auto done, sense::sense_live(options, sink, [] { return stopped != 0; }, run.env, [&](const sense::SourceRecord& r) {
    print(r, run.json);
    std::fflush(stdout);
  }));
  summary(done, run.json);
  return 0;
}

}  // namespace

void add_sense(CLI::App& root, Run& run) {
  auto* sensing = root.add_subcommand("sense", "Which addresses attack: from a capture file, or live from a darknet");
  sensing->require_subcommand(1);
  auto o = std::make_shared<Options>();
  const auto common = [&](CLI::App* c) {
    c->add_option("--darknet", o->darknet, "count only packets to this prefix (repeat)");
    c->add_option("--research", o->research, "list of announced research scanners, one prefix a line: their sources are excluded");
    c->footer("--json fields: src, verdict (confirmed, suspected, excluded), tool, packets, destinations, ports, first, last, kind, syns, bots_estimate, why; one record a source (live: again when it grew, and at the end).");
  };
  auto* from_file = with_json(sensing->add_subcommand("pcap", "Read a capture file"), run);
  from_file->add_option("file", o->file, "pcap file")->required();
  common(from_file);
  from_file->callback([=, &run] { run.action = [=, &run] { return pcap(*o, run); }; });
  auto* from_wire = with_json(sensing->add_subcommand("live", "Listen on a darknet interface and write sightings into the store"), run);
  from_wire->add_option("--iface", o->iface, "interface")->required();
  from_wire->add_option("--seconds", o->seconds, "how long (0: until a signal)")->capture_default_str();
  from_wire->add_option("--sensor", o->sensor, "id of the sensor, for example darknet:demo")->required();
  from_wire->add_option("--store", o->store, "sqlite:PATH or postgres://…")->required();
  common(from_wire);
  from_wire->callback([=, &run] { run.action = [=, &run] { return live(*o, run); }; });
}

}  // namespace nora::app
