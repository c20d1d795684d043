// `nora list make|show|status` and `nora list return import`: lists to ISPs and what comes back. cases/lists does the work.
#include <fmt/format.h>

#include <memory>

#include "app/center.h"
#include "base/escape.h"
#include "base/files.h"

namespace nora::app {
namespace {

constexpr std::size_t max_return_bytes = 512u << 20;

struct Options {
  CenterOptions center;
  std::string isp, id, by, file;
  bool dry_run = false;
};

void print(const json::Object& o) { fmt::print("{}\n", json::text(o)); }

Result<const cases::Isp*> isp_of(Center& center, const std::string& id) {
  NORA_TRY(const auto* routes, center.routes());
  const auto* isp = routes->isp(id);
  if (!isp) return fail(Code::usage, "there is no ISP \"" + id + "\" in the routes");
  return isp;
}

json::Object row_json(const exchange::ListRow& r) {
  json::Object o{{"row", r.row_id}, {"class", r.finding_class}, {"ip", r.where.ip.text()}, {"proto", std::string(name(r.where.proto))}, {"at", r.where.at.text()},
                 {"attacked", r.attacked}};
  if (r.has_port) o["port"] = std::int64_t{r.where.port.value};
  return o;
}

Result<int> make(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto maker, center.list_maker());
  NORA_TRY(const auto* routes, center.routes());
  for (const auto& isp : routes->isps()) {
    if (!o.isp.empty() ? isp.id != o.isp : isp.on_site) continue;
    if (o.dry_run) {
      NORA_TRY(const auto rows, cases::preview_list(maker, isp));
      for (const auto& r : rows) print(row_json(r));
      continue;
    }
    NORA_TRY(const auto made, cases::make_list(maker, isp));
    if (!made) {
      if (run.json) print({{"isp", isp.id}, {"rows", 0}, {"file", nullptr}});
      else fmt::print("{}: nothing new to tell\n", isp.id);
      continue;
    }
    const auto file = std::filesystem::absolute(maker.dir / made->file).string();
    if (run.json)
      print({{"isp", isp.id}, {"list", made->id}, {"sequence", made->sequence}, {"rows", made->rows}, {"not_after", made->not_after.text()}, {"file", file}});
    else fmt::print("{}: list {} with {} rows, valid until {}\n{}\n", isp.id, made->sequence, made->rows, made->not_after.text(), file);
  }
  if (!o.isp.empty() && !routes->isp(o.isp)) return fail(Code::usage, "there is no ISP \"" + o.isp + "\" in the routes");
  return 0;
}

Result<int> show(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto maker, center.list_maker());
  NORA_TRY(const auto rows, cases::view_list(maker, o.id, o.by));
  for (const auto& r : rows) {
    if (run.json) print(row_json(r));
    else fmt::print("{}  {}  {}{}  {}\n", r.row_id, r.finding_class, r.where.ip.text(), r.has_port ? fmt::format(" port {}/{}", r.where.port.value, name(r.where.proto)) : "", r.where.at.text());
  }
  return 0;
}

Result<int> status(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto* registry, center.registry());
  NORA_TRY(const auto records, cases::list_records(*registry, o.isp));
  for (const auto& r : records) {
    if (run.json)
      print({{"list", r.id}, {"isp", r.isp}, {"sequence", r.sequence}, {"created", r.created.text()}, {"not_after", r.not_after.text()}, {"rows", r.rows}, {"state", r.state},
             {"returned_at", r.returned_at ? json::Value(r.returned_at->text()) : json::Value(nullptr)}});
    else fmt::print("{}  {} rows  {}  made {}{}\n", r.id, r.rows, r.state, r.created.text(), r.returned_at ? "  returned " + r.returned_at->text() : "");
  }
  return 0;
}

Result<int> import(const Options& o, Run& run) {
  Center center(o.center, run.env);
  NORA_TRY(auto maker, center.list_maker());
  NORA_TRY(const auto* isp, isp_of(center, o.isp));
  NORA_TRY(const auto bytes, read_file(o.file, max_return_bytes));
  NORA_TRY(const auto counts, cases::import_return(maker, *isp, as_bytes(bytes)));
  json::Object states;
  std::string told;
  for (const auto& [state, n] : counts.by_state) {
    states[state] = n;
    told += fmt::format("{}{} {}", told.empty() ? "" : ", ", n, state);
  }
  if (run.json) print({{"isp", isp->id}, {"rows", counts.rows}, {"new", counts.news}, {"moved", counts.moved}, {"unknown_states", counts.unknown_states}, {"states", states}});
  else fmt::print("{}: {} rows ({} new): {}; {} cases moved\n", isp->id, counts.rows, counts.news, told, counts.moved);
  if (counts.unknown_states) run.env.log.warn(fmt::format("{} rows have a state that this version does not know; they are kept as notes", counts.unknown_states));
  return 0;
}

}  // namespace

void add_list(CLI::App& root, Run& run) {
  auto* list = root.add_subcommand("list", "Lists to ISPs: signed, sealed to the ISP's key, with sequence and expiry");
  list->require_subcommand(1);
  auto o = std::make_shared<Options>();
  const auto verb = [&](CLI::App* parent, const char* name, const char* help, Result<int> (*work)(const Options&, Run&)) {
    auto* c = with_json(parent->add_subcommand(name, help), run);
    o->center.add_to(c);
    c->callback([&run, o, work] { run.action = [&run, o, work] { return work(*o, run); }; });
    return c;
  };
  auto* m = verb(list, "make", "make the next list of every ISP (or of --isp); the audit leaf comes before the file", make);
  m->add_option("--isp", o->isp, "only this ISP");
  m->add_flag("--dry-run", o->dry_run, "show the rows that a list would hold; nothing is made");
  m->footer("--json: {isp, list, sequence, rows, not_after, file}; nothing new: rows 0, file null\nExample: nora list make --dir center --isp hikari");
  auto* s = verb(list, "show", "show the rows of a list that was made (a disclosure: it leaves a leaf)", show);
  s->add_option("id", o->id, "list id, as `nora list status` shows it")->required();
  s->add_option("--by", o->by, "who looks")->required();
  s->footer("--json, one a row: {row, class, ip, port, proto, at}");
  auto* t = verb(list, "status", "lists made, delivered, returned", status);
  t->add_option("--isp", o->isp, "only this ISP");
  t->footer("--json: {list, isp, sequence, created, not_after, rows, state, returned_at}");
  auto* ret = list->add_subcommand("return", "What an ISP gives back: states, no names");
  ret->require_subcommand(1);
  auto* i = verb(ret, "import", "read a sealed return and move the cases", import);
  i->add_option("--isp", o->isp, "the ISP that it comes from")->required();
  i->add_option("file", o->file, "the sealed return")->required();
  i->footer("--json: {isp, rows, new, moved, unknown_states, states}");
}

}  // namespace nora::app
