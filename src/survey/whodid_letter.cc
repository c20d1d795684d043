#include "survey/whodid_letter.h"

#include <algorithm>
#include <cmath>

#include "base/escape.h"

namespace nora::survey {
namespace {

constexpr int japan_minutes = 9 * 60;
constexpr std::size_t probes_shown = 200, line_bytes = 76;

using Args = std::vector<std::pair<std::string_view, std::string>>;

// Long hex texts in lines that a mail program does not break.
std::string wrapped(std::string_view hex, std::string_view indent) {
  std::string out;
  for (std::size_t at = 0; at < hex.size(); at += line_bytes - 12) out += std::string(indent) + std::string(hex.substr(at, line_bytes - 12)) + "\n";
  return out;
}

class Letter {
 public:
  Letter(const WhoDid& a, const LetterParts& p, const Messages& m, Lang lang) : a_(a), p_(p), m_(m), lang_(lang) {}
  std::string text();

 private:
  std::string t(std::string_view id, const Args& args = {}) const { return m_.get(lang_, std::string("complaint.") + std::string(id), args); }
  void line(std::string_view id, const Args& args = {}) { out_ += t(id, args) + "\n"; }
  void head(std::string_view id) { out_ += "\n" + t(id) + "\n\n"; }
  // Both clocks: a provider's log is in local time as often as in UTC.
  std::string when(Instant at) const {
    auto utc = at.text();
    return lang_ == Lang::ja ? at.local(japan_minutes) + t("jst") + " (" + utc + ")" : utc;
  }
  void probe(const SentProbe& p);
  void answer();
  void probes();
  void talks();
  void near();
  void segments();
  void who();
  void proof();

  const WhoDid& a_;
  const LetterParts& p_;
  const Messages& m_;
  Lang lang_;
  std::string out_;
};

void Letter::probe(const SentProbe& p) {
  const Args args{{"at", when(p.at)}, {"port", std::to_string(p.port)}, {"probe", to_terminal(p.probe)}, {"segment", to_terminal(p.segment)}};
  line(p.proto == Proto::tcp ? "probe.tcp" : "probe.udp", args);
  if (p.state != FileState::proven) line(std::string("probe.") + std::string(name(p.state)), args);
  if (p.bytes.packet.empty()) return;
  line(p.bytes.exact ? "bytes.exact" : "bytes.masked");
  out_ += wrapped(p.bytes.packet, "      ");
  if (!p.bytes.payload.empty()) {
    line("bytes.payload");
    out_ += wrapped(p.bytes.payload, "      ");
  }
}

void Letter::answer() {
  const Args args{{"ip", a_.question.ip.text()}, {"at", when(a_.question.at)}, {"from", when(a_.question.from())}, {"to", when(a_.question.to())},
                  {"port", a_.question.port ? t("port", {{"port", std::to_string(*a_.question.port)}}) : ""}};
  line("intro", args);
  out_ += "\n";
  line(std::string("answer.") + std::string(name(a_.verdict)), args);
  if (a_.verdict == Verdict::not_sent && !a_.in_plan) line(a_.in_range ? "answer.no_plan" : "answer.outside", args);
}

void Letter::probes() {
  const auto list = [&](std::string_view id, const std::vector<SentProbe>& probes) {
    if (probes.empty()) return;
    head(id);
    for (std::size_t i = 0; i < probes.size() && i < probes_shown; ++i) probe(probes[i]);
    if (probes.size() > probes_shown) line("more", {{"n", std::to_string(probes.size() - probes_shown)}});
  };
  list("probes", a_.probes);
  list("others", a_.others);
}

void Letter::talks() {
  if (a_.talks.empty()) return;
  head("talks");
  for (const auto& talk : a_.talks) {
    const Args args{{"at", talk.at ? when(*talk.at) : ""}, {"port", std::to_string(talk.port)}, {"probe", to_terminal(talk.probe)}, {"bytes", std::to_string(talk.request_bytes)}};
    line(talk.at ? "talk" : "talk.no_time", args);
    if (!talk.at) continue;
    if (talk.words.empty()) {
      line(talk.request_bytes == 0 ? "talk.silent" : "talk.after");
      continue;
    }
    line(static_cast<std::int64_t>(talk.words.size()) == talk.request_bytes ? "talk.words" : "talk.begins");
    if (!is_plain(talk.words)) {
      out_ += wrapped(to_hex(as_bytes(talk.words)), "      ");
      continue;
    }
    for (std::size_t at = 0; at < talk.words.size();) {
      const auto end = std::min(talk.words.find('\n', at), talk.words.size());
      std::string one = talk.words.substr(at, end - at);
      while (one.ends_with('\r')) one.pop_back();
      if (!one.empty()) out_ += "      " + to_terminal(one) + "\n";
      at = end + 1;
    }
  }
}

void Letter::near() {
  if (a_.near.empty() || a_.verdict == Verdict::sent) return;
  head("near");
  for (const auto& p : a_.near) line(p.proto == Proto::tcp ? "probe.tcp" : "probe.udp", {{"at", when(p.at)}, {"port", std::to_string(p.port)}, {"probe", to_terminal(p.probe)}});
  if (a_.hours_off != 0) line("near.hours", {{"hours", std::to_string(std::abs(a_.hours_off))}});
  else line("near.clock");
}

void Letter::segments() {
  std::size_t then = 0, missing = 0, altered = 0, cut = 0, doubt = 0;
  std::uint64_t records = 0;
  for (const auto& e : a_.segments) {
    if (!e.at_that_time) continue;
    ++then;
    records += e.records;
    if (!e.reachable) continue;
    missing += e.state == FileState::missing;
    altered += e.state == FileState::altered;
    cut += e.state == FileState::not_committed;
    doubt += e.in_doubt;
  }
  if (a_.verdict == Verdict::sent) return;
  head("absence");
  if (then == 0) line("absence.nothing");
  else line(a_.verdict == Verdict::not_sent ? "absence.segments" : "absence.partly", {{"n", std::to_string(then)}, {"records", std::to_string(records)}});
  const auto unsure = [&](std::string_view id, std::size_t n) { if (n > 0) line(id, {{"n", std::to_string(n)}}); };
  unsure("unsure.missing", missing);
  unsure("unsure.altered", altered);
  unsure("unsure.cut", cut);
  unsure("unsure.doubt", doubt);
}

void Letter::who() {
  const auto& m = p_.mandate.text();
  head("who");
  std::string sources, signers;
  for (const auto& ip : m.sources) sources += (sources.empty() ? "" : ", ") + ip.text();
  for (const auto& s : p_.mandate.signers()) signers += (signers.empty() ? "" : ", ") + to_terminal(s);
  line("who.authority", {{"value", to_terminal(m.authority)}});
  line("who.law", {{"value", to_terminal(m.legal_basis)}});
  line("who.purpose", {{"value", to_terminal(m.purpose)}});
  line("who.mandate", {{"id", to_terminal(m.id)}, {"revision", std::to_string(m.revision)}, {"hash", to_hex(p_.mandate.hash())}});
  line("who.dates", {{"from", when(m.not_before)}, {"to", when(m.not_after)}});
  line("who.signers", {{"value", signers}});
  line("who.sources", {{"value", sources}});
  line("who.contact", {{"value", to_terminal(m.contact)}});
  out_ += "\n";
  line("never");
  head("optout");
  line("optout.how", {{"contact", to_terminal(m.contact)}, {"ip", a_.question.ip.text()}});
}

void Letter::proof() {
  head("proof");
  line("proof.log", {{"log", to_terminal(p_.log)}, {"size", std::to_string(p_.log_size)}, {"root", to_hex(p_.log_root)}, {"key", to_terminal(p_.log_key)}});
  constexpr std::size_t segments_shown = 40;
  std::size_t shown = 0;
  for (const auto& e : a_.segments) {
    // Those that are quoted; or, when nothing was sent, those that show it.
    const bool quoted = std::any_of(a_.probes.begin(), a_.probes.end(), [&](const SentProbe& p) { return p.segment == e.sending.segment; });
    if (a_.verdict == Verdict::sent ? !quoted : !e.at_that_time) continue;
    if (++shown > segments_shown) continue;
    std::string leaves;
    for (const auto& leaf : e.sending.begun) leaves += (leaves.empty() ? "" : ", ") + std::to_string(leaf.index);
    if (e.sending.committed) leaves += ", " + std::to_string(e.sending.committed->index);
    line("proof.segment", {{"segment", to_terminal(e.sending.segment)}, {"leaves", leaves}, {"records", std::to_string(e.records)}});
    if (e.state == FileState::proven) line("proof.file", {{"hash", to_hex(e.sending.file)}});
  }
  if (shown > segments_shown) line("more", {{"n", std::to_string(shown - segments_shown)}});
  if (!p_.proof_file.empty()) line("proof.enclosed", {{"file", to_terminal(p_.proof_file)}});
}

std::string Letter::text() {
  line("date", {{"date", p_.now.date()}});
  line("to");
  out_ += "\n";
  line("subject", {{"ip", a_.question.ip.text()}, {"at", when(a_.question.at)}});
  out_ += "\n";
  answer();
  probes();
  talks();
  near();
  segments();
  who();
  proof();
  out_ += "\n";
  line("close");
  line("from", {{"authority", to_terminal(p_.mandate.text().authority)}, {"contact", to_terminal(p_.mandate.text().contact)}});
  return out_;
}

}  // namespace

std::string complaint_letter(const WhoDid& answer, const LetterParts& parts, const Messages& messages, Lang lang) {
  return Letter(answer, parts, messages, lang).text();
}

}  // namespace nora::survey
