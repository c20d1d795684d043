// `nora mandate new|keygen|roots|sign|check|show`: the paper side of the mandate. law/ does the work; exit 4 when the mandate refuses.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/command.h"
#include "base/crypto.h"
#include "base/escape.h"
#include "base/files.h"
#include "base/json.h"
#include "law/mandate.h"

namespace nora::app {
namespace {

namespace fs = std::filesystem;
using law::MandateText;

json::Object to_json(const MandateText& m) {
  const auto texts = [](const auto& list, auto&& text) {
    json::Array out;
    for (const auto& x : list) out.emplace_back(text(x));
    return out;
  };
  const auto prefix = [](const Prefix& p) { return p.text(); };
  return {{"id", m.id},
          {"authority", to_clean_utf8(m.authority)},
          {"legal_basis", to_clean_utf8(m.legal_basis)},
          {"law_profile", m.law_profile},
          {"purpose", to_clean_utf8(m.purpose)},
          {"contact", to_clean_utf8(m.contact)},
          {"revision", m.revision},
          {"not_before", m.not_before.text()},
          {"not_after", m.not_after.text()},
          {"daily_window", fmt::format("{:02}:{:02}-{:02}:{:02}", m.window_from_min / 60, m.window_from_min % 60, m.window_to_min / 60, m.window_to_min % 60)},
          {"sources", texts(m.sources, [](const Ip& ip) { return ip.text(); })},
          {"listeners", texts(m.listeners, [](const law::Listener& l) { return fmt::format("{} {} {}", l.ip.text(), name(l.proto), l.port.value); })},
          {"ranges", texts(m.ranges, prefix)},
          {"excludes", texts(m.excludes, prefix)},
          {"social_impact", texts(m.social_impact, prefix)},
          {"ports", texts(m.ports, [](const law::PortGrant& p) { return fmt::format("{} {}", name(p.proto), p.port.value); })},
          {"probe_classes", texts(m.classes, [](law::ProbeClass c) { return std::string(law::name(c)); })},
          {"catalogue", to_hex(m.catalogue)},
          {"rate_total_pps", m.rate_total_pps},
          {"rate_per_24_pps", m.rate_per_24_pps},
          {"rate_per_target_pps", m.rate_per_target_pps},
          {"probes_per_target_per_day", m.probes_per_target_per_day},
          {"opt_out", m.opt_out ? to_hex(*m.opt_out) : "none"}};
}

void print_line(const json::Object& o) { std::printf("%s\n", json::text(o).c_str()); }

// The signed text of a note without judging the signatures (show, sign).
std::string_view text_part(std::string_view note) {
  const auto end = note.rfind("\n\n");
  return end == note.npos ? note : note.substr(0, end + 1);
}

// ---- new

struct NewOptions {
  MandateText text;
  std::string not_before, not_after, window = "00:00-24:00", previous = "none";
  int days = 30;
  std::vector<std::string> sources, listeners, ranges, excludes, social, ports, classes = {"P0", "P1"};
  fs::path catalogue = fs::path("probes") / "catalogue.tsv", opt_out, out;
};

template <class T, class F>
Status collect(std::vector<T>& out, const std::vector<std::string>& texts, F&& parse) {
  for (const auto& t : texts) {
    auto v = parse(t);
    if (!v) return fail(Code::usage, v.error().what);
    out.push_back(*v);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return {};
}

Result<law::PortGrant> parse_grant(std::string t) {  // "tcp 23" or "tcp/23"
  const auto at = t.find_first_of(" /");
  if (at == t.npos) return fail(Code::usage, fmt::format("\"{}\" is not a port like tcp/23", t));
  NORA_TRY(const Proto proto, parse_proto(t.substr(0, at)));
  NORA_TRY(const Port port, parse_port(t.substr(at + 1)));
  return law::PortGrant{proto, port};
}

Result<law::Listener> parse_listener(const std::string& t) {
  const auto at = t.find(' ');
  if (at == t.npos) return fail(Code::usage, fmt::format("\"{}\" is not a listener like \"192.0.2.10 tcp 8088\"", t));
  NORA_TRY(const Ip ip, Ip::parse(t.substr(0, at)));
  NORA_TRY(const law::PortGrant p, parse_grant(t.substr(at + 1)));
  return law::Listener{ip, p.proto, p.port};
}

Result<int> minute(std::string_view t) {
  if (t.size() != 5 || t[2] != ':' || t.find_first_not_of("0123456789:") != t.npos) return fail(Code::usage, "a daily window is written as 00:00-24:00");
  return (t[0] - '0') * 600 + (t[1] - '0') * 60 + (t[3] - '0') * 10 + (t[4] - '0');
}

Result<int> make_new(NewOptions o, Run& run) {
  MandateText& m = o.text;
  const Instant now{run.env.clock.now().us / 1'000'000 * 1'000'000};
  m.not_before = now;
  if (!o.not_before.empty()) { NORA_TRY(m.not_before, Instant::parse(o.not_before)); }
  m.not_after = m.not_before + Span::days(o.days);
  if (!o.not_after.empty()) { NORA_TRY(m.not_after, Instant::parse(o.not_after)); }
  if (o.window.size() != 11 || o.window[5] != '-') return fail(Code::usage, "a daily window is written as 00:00-24:00");
  NORA_TRY(m.window_from_min, minute(std::string_view(o.window).substr(0, 5)));
  NORA_TRY(m.window_to_min, minute(std::string_view(o.window).substr(6)));
  if (o.previous != "none") { NORA_TRY(m.previous, hash_from_hex(o.previous)); }
  const auto prefix = [](const std::string& t) { return Prefix::parse(t); };
  NORA_CHECK(collect(m.sources, o.sources, [](const std::string& t) { return Ip::parse(t); }));
  NORA_CHECK(collect(m.listeners, o.listeners, parse_listener));
  NORA_CHECK(collect(m.ranges, o.ranges, prefix));
  NORA_CHECK(collect(m.excludes, o.excludes, prefix));
  NORA_CHECK(collect(m.social_impact, o.social, prefix));
  NORA_CHECK(collect(m.ports, o.ports, parse_grant));
  NORA_CHECK(collect(m.classes, o.classes, [](const std::string& t) { return law::parse_probe_class(t); }));
  const fs::path catalogue = o.catalogue.is_relative() && !fs::exists(o.catalogue) ? fs::path(data_dir()) / o.catalogue : o.catalogue;
  NORA_TRY(const std::string probes, read_file(catalogue, law::ProbeList::max_bytes));
  NORA_TRY(const law::ProbeList list, law::ProbeList::parse(probes));
  m.catalogue = list.hash();
  if (!o.opt_out.empty()) {
    NORA_TRY(const std::string text, read_file(o.opt_out, law::max_opt_out_bytes));
    if (auto ok = law::parse_opt_out(text); !ok) return fail(Code::bad_input, fmt::format("{}: {}", o.opt_out.string(), ok.error().what));
    m.opt_out = sha256(as_bytes(text));
  }
  auto text = law::write_mandate(m);
  if (!text) return fail(Code::usage, text.error().what, "nora mandate new --help lists the fields");
  if (fs::exists(o.out)) return fail(Code::failed, fmt::format("{} exists already", o.out.string()), "A mandate is never overwritten; choose another name.");
  NORA_CHECK(replace_file(o.out, *text));
  if (run.json) print_line({{"file", o.out.string()}, {"id", m.id}, {"hash", to_hex(sha256(as_bytes(*text)))}});
  else std::printf("%s: not signed yet. Each signer runs: nora mandate sign --key KEY %s\n", o.out.c_str(), o.out.c_str());
  return 0;
}

// ---- keygen, roots, sign

Result<int> keygen(const std::string& key_name, const fs::path& out, Run& run) {
  const bool fine = !key_name.empty() && key_name.size() <= 100 && key_name.find_first_of("+ \t\n\r") == key_name.npos &&
                    std::all_of(key_name.begin(), key_name.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!fine) return fail(Code::usage, "a key name has no blank and no \"+\", for example authority1.example");
  const SigningKey key = SigningKey::make(key_name, run.env.random);
  NORA_CHECK(key.save(out));
  const fs::path pub = out.string() + ".pub";
  NORA_CHECK(replace_file(pub, key.public_key().text() + "\n"));
  if (run.json) print_line({{"key", out.string()}, {"public", pub.string()}, {"signer", key.public_key().text()}});
  else std::printf("%s: keep it secret, mode 0600\n%s: %s\n", out.c_str(), pub.c_str(), key.public_key().text().c_str());
  return 0;
}

Result<int> make_roots(int threshold, const std::vector<fs::path>& publics, const fs::path& out, Run& run) {
  law::Roots roots;
  roots.threshold = threshold;
  for (const auto& file : publics) {
    NORA_TRY(std::string text, read_file(file, 4096));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    NORA_TRY(PublicKey key, PublicKey::parse(text));
    roots.signers.push_back(std::move(key));
  }
  const std::string text = law::write_roots(roots);
  if (const auto ok = law::parse_roots(text); !ok) return fail(Code::usage, ok.error().what);
  NORA_CHECK(replace_file(out, text));
  if (run.json) print_line({{"file", out.string()}, {"threshold", threshold}, {"signers", roots.signers.size()}});
  else std::printf("%s: %d of %zu signers are needed\n", out.c_str(), threshold, roots.signers.size());
  return 0;
}

Result<int> sign(const fs::path& key_file, const fs::path& file, Run& run) {
  NORA_TRY(const SigningKey key, SigningKey::load(key_file));
  NORA_TRY(const std::string note, read_file(file, law::max_mandate_bytes));
  const auto text = law::parse_mandate(text_part(note));
  if (!text) return fail(Code::refused, fmt::format("{} cannot be signed: {}", file.string(), text.error().what));
  if (text_part(note).size() != note.size()) {
    const auto opened = open_note(note, {key.public_key()});
    if (!opened) return fail(Code::refused, fmt::format("{} cannot be signed: {}", file.string(), opened.error().what));
    if (!opened->signers.empty()) return fail(Code::refused, fmt::format("{} is already signed by {}", file.string(), key.public_key().name));
  }
  NORA_CHECK(replace_file(file, add_signature(note, key)));
  if (run.json) print_line({{"file", file.string()}, {"id", text->id}, {"signer", key.public_key().name}});
  else std::printf("%s: signed by %s\n", file.c_str(), key.public_key().name.c_str());
  return 0;
}

// ---- check, show

struct CheckOptions {
  law::MandateFiles files;
  std::string at, target, proto = "tcp", probe;
  std::uint16_t port = 0;
};

Result<int> check(CheckOptions o, Run& run) {
  Instant at = run.env.clock.now();
  if (!o.at.empty()) { NORA_TRY(at, Instant::parse(o.at)); }
  NORA_TRY(const law::Mandate m, law::Mandate::load(o.files));
  NORA_CHECK(m.usable(at));
  json::Object out{{"ok", true}, {"id", m.text().id}, {"hash", to_hex(m.hash())}, {"not_after", m.text().not_after.text()}};
  json::Array signers;
  for (const auto& s : m.signers()) signers.emplace_back(s);
  out["signers"] = signers;
  if (!o.target.empty()) {
    NORA_TRY(const Ip ip, Ip::parse(o.target));
    NORA_TRY(const Proto proto, parse_proto(o.proto));
    const law::ProbeInfo* probe = nullptr;
    for (const auto& p : m.probes().all())  // without --probe: the first that asks for least
      if (o.probe.empty() ? p.proto == proto && !p.social && (!probe || p.probe_class < probe->probe_class) : p.id == o.probe) probe = &p;
    if (!probe) return fail(Code::refused, std::string(law::sentence(law::Refusal::probe_not_in_catalogue)));
    const law::Target target{ip, o.port};
    const auto permit = m.permit(target, *probe, at);
    if (!permit) return std::unexpected(law::refused(permit.error(), target));
    out["target"] = ip.text();
    out["port"] = o.port;
    out["probe"] = probe->id;
    out["source"] = permit->source().text();
  }
  if (run.json) print_line(out);
  else std::printf("The mandate \"%s\" is in force until %s; signed by %zu.%s\n", m.text().id.c_str(), m.text().not_after.text().c_str(), m.signers().size(),
                   o.target.empty() ? "" : fmt::format(" It grants {} port {}.", o.target, o.port).c_str());
  return 0;
}

Result<int> show(const fs::path& file, Run& run) {
  NORA_TRY(const std::string note, read_file(file, law::max_mandate_bytes));
  const std::string_view text = text_part(note);
  const auto m = law::parse_mandate(text);
  if (!m) return fail(Code::refused, fmt::format("{} is not a mandate: {}", file.string(), m.error().what));
  json::Array names;
  for (std::size_t at = text.size(); (at = note.find("\n\u2014 ", at)) != note.npos; ++at) {
    const auto start = at + 5, end = note.find(' ', start);
    if (end != note.npos) names.emplace_back(to_clean_utf8(note.substr(start, end - start)));
  }
  if (run.json) {
    json::Object o = to_json(*m);
    o["hash"] = to_hex(sha256(as_bytes(text)));
    o["signature_names"] = names;
    print_line(o);
    return 0;
  }
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    std::printf("%s\n", to_terminal(text.substr(at, end - at)).c_str());
    at = end + 1;
  }
  std::printf("\nhash: %s\n", to_hex(sha256(as_bytes(text))).c_str());
  for (const auto& n : names) std::printf("signature (not checked here): %s\n", to_terminal(std::string_view(n.as_string())).c_str());
  return 0;
}

}  // namespace

void add_mandate(CLI::App& root, Run& run) {
  auto* mandate = root.add_subcommand("mandate", "The signed permission to survey: write, sign, check, show");
  mandate->require_subcommand(1);

  auto n = std::make_shared<NewOptions>();
  n->text.rate_total_pps = 1000;
  n->text.rate_per_24_pps = 100;
  n->text.rate_per_target_pps = 10;
  n->text.probes_per_target_per_day = 500;
  n->text.law_profile = "jp";
  auto* create = with_json(mandate->add_subcommand("new", "Write an unsigned mandate"), run);
  create->add_option("--out", n->out, "file to write")->required();
  create->add_option("--id", n->text.id, "short id, a-z 0-9 - .")->required();
  create->add_option("--authority", n->text.authority, "who permits it")->required();
  create->add_option("--legal-basis", n->text.legal_basis, "by which law")->required();
  create->add_option("--purpose", n->text.purpose, "what for")->required();
  create->add_option("--contact", n->text.contact, "whom to ask about it")->required();
  create->add_option("--law-profile", n->text.law_profile, "data/law/<name>.toml")->capture_default_str();
  create->add_option("--revision", n->text.revision, "number of the revision")->capture_default_str();
  create->add_option("--previous", n->previous, "hash of the revision before, or none")->capture_default_str();
  create->add_option("--not-before", n->not_before, "RFC 3339 time (now)");
  create->add_option("--not-after", n->not_after, "RFC 3339 time (not-before + --days)");
  create->add_option("--days", n->days, "length")->capture_default_str()->check(CLI::Range(1, 3660));
  create->add_option("--daily-window", n->window, "UTC, HH:MM-HH:MM; may cross midnight")->capture_default_str();
  create->add_option("--source", n->sources, "source address (repeat)")->required();
  create->add_option("--listener", n->listeners, "own listener for P3 probes, \"192.0.2.10 tcp 8088\" (repeat)");
  create->add_option("--range", n->ranges, "prefix that may be surveyed (repeat)")->required();
  create->add_option("--exclude", n->excludes, "prefix inside a range that may not (repeat)");
  create->add_option("--social-impact", n->social, "prefix in which control-system probes may run (repeat)");
  create->add_option("--port", n->ports, "tcp/23, udp/53 (repeat)")->required();
  create->add_option("--probe-class", n->classes, "P0 P1 P2 P3")->capture_default_str();
  create->add_option("--catalogue", n->catalogue, "probe catalogue whose hash is granted")->capture_default_str();
  create->add_option("--opt-out", n->opt_out, "opt-out list whose hash is named");
  create->add_option("--rate-total", n->text.rate_total_pps, "packets per second")->capture_default_str();
  create->add_option("--rate-per-24", n->text.rate_per_24_pps, "packets per second and /24 (IPv6: /48)")->capture_default_str();
  create->add_option("--rate-per-target", n->text.rate_per_target_pps, "packets per second and target")->capture_default_str();
  create->add_option("--probes-per-day", n->text.probes_per_target_per_day, "probes per target and day")->capture_default_str();
  create->footer("--json fields: file, id, hash (SHA-256 of the text).");
  create->callback([&run, n] { run.action = [&run, n] { return make_new(*n, run); }; });

  auto key_name = std::make_shared<std::string>();
  auto path_a = std::make_shared<fs::path>(), path_b = std::make_shared<fs::path>();
  auto* keys = with_json(mandate->add_subcommand("keygen", "Make a signing key (FILE, mode 0600, and FILE.pub)"), run);
  keys->add_option("--name", *key_name, "name of the signer, for example authority1.example")->required();
  keys->add_option("--out", *path_a, "key file; never overwritten")->required();
  keys->footer("--json fields: key, public, signer (the verifier key of C2SP signed-note).");
  keys->callback([=, &run] { run.action = [=, &run] { return keygen(*key_name, *path_a, run); }; });

  auto threshold = std::make_shared<int>(2);
  auto publics = std::make_shared<std::vector<fs::path>>();
  auto* roots = with_json(mandate->add_subcommand("roots", "Write the root file: which signers count, and how many are needed"), run);
  roots->add_option("--threshold", *threshold, "signatures needed")->capture_default_str()->check(CLI::Range(1, 100));
  roots->add_option("--out", *path_a, "file to write")->required();
  roots->add_option("public", *publics, "FILE.pub of each signer")->required();
  roots->footer("--json fields: file, threshold, signers.");
  roots->callback([=, &run] { run.action = [=, &run] { return make_roots(*threshold, *publics, *path_a, run); }; });

  auto* signing = with_json(mandate->add_subcommand("sign", "Add a signature to a mandate"), run);
  signing->add_option("--key", *path_b, "key file of the signer")->required();
  signing->add_option("file", *path_a, "mandate")->required();
  signing->footer("--json fields: file, id, signer.");
  signing->callback([=, &run] { run.action = [=, &run] { return sign(*path_b, *path_a, run); }; });

  auto c = std::make_shared<CheckOptions>();
  auto* checking = with_json(mandate->add_subcommand("check", "Is the mandate good now, and does it grant a target? Exit 4 when not"), run);
  checking->add_option("file,--mandate", c->files.mandate, "signed mandate")->required();
  checking->add_option("--roots", c->files.roots, "root file")->required();
  checking->add_option("--law-dir", c->files.law_dir, "folder of law profiles (data/law)");
  checking->add_option("--catalogue", c->files.catalogue, "probe catalogue (data/probes/catalogue.tsv)");
  checking->add_option("--opt-out", c->files.opt_outs, "opt-out list (repeat)");
  checking->add_option("--at", c->at, "RFC 3339 time to judge by (now)");
  auto* target = checking->add_option("--target", c->target, "an address");
  checking->add_option("--port", c->port, "its port")->needs(target);
  checking->add_option("--proto", c->proto, "tcp or udp")->capture_default_str()->needs(target);
  checking->add_option("--probe", c->probe, "probe of the catalogue")->needs(target);
  checking->footer("--json fields: ok, id, hash, not_after, signers; with --target also target, port, probe, source.");
  checking->callback([=, &run] {
    run.action = [=, &run] {
      if (c->files.law_dir.empty()) c->files.law_dir = fs::path(data_dir()) / "law";
      if (c->files.catalogue.empty()) c->files.catalogue = fs::path(data_dir()) / "probes" / "catalogue.tsv";
      return check(*c, run);
    };
  });

  auto* showing = with_json(mandate->add_subcommand("show", "Print a mandate; signatures are named, not checked"), run);
  showing->add_option("file", *path_a, "mandate")->required();
  showing->footer("--json fields: those of the text, hash, signature_names.");
  showing->callback([=, &run] { run.action = [=, &run] { return show(*path_a, run); }; });
}

}  // namespace nora::app
