// What the audit log and the spools hold about an address (survey/whodid.h).
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>

#include "base/files.h"
#include "survey/script.h"
#include "survey/whodid.h"

namespace nora::survey {
namespace {

namespace fs = std::filesystem;

// A file, mapped to be read once from front to back.
class Mapped {
 public:
  static Result<Mapped> open(const fs::path& file) {
    Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat s{};
    if (!fd || fstat(fd.get(), &s) != 0) return fail(Code::failed, file.string() + ": " + errno_text(errno));
    Mapped out;
    out.bytes_ = static_cast<std::size_t>(s.st_size);
    if (out.bytes_ == 0) return out;
    void* at = mmap(nullptr, out.bytes_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (at == MAP_FAILED) return fail(Code::failed, file.string() + ": " + errno_text(errno));
    out.at_ = static_cast<const std::uint8_t*>(at);
    (void)madvise(at, out.bytes_, MADV_SEQUENTIAL);
    return out;
  }
  Mapped() = default;
  Mapped(Mapped&& o) noexcept : at_(std::exchange(o.at_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  Mapped& operator=(Mapped&&) = delete;
  ~Mapped() {
    if (at_ != nullptr) munmap(const_cast<std::uint8_t*>(at_), bytes_);
  }
  ByteView view() const { return {at_, bytes_}; }
  std::string_view text() const { return as_text(view()); }

 private:
  const std::uint8_t* at_ = nullptr;
  std::size_t bytes_ = 0;
};

Record record_at(ByteView file, std::size_t i) {
  const auto one = read_records(file.subspan(i * record_bytes, record_bytes));
  return one->front();
}

// Lines of a text that hold all of these words, whole.
template <class F>
void lines_with(std::string_view text, std::string_view word, F&& f) {
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at)) {
    const auto begin = text.rfind('\n', at);
    const auto end = text.find('\n', at);
    if (end == text.npos) return;  // a line that a crash cut
    f(text.substr(begin == text.npos ? 0 : begin + 1, end - (begin == text.npos ? 0 : begin + 1)));
    at = end;
  }
}

bool number_after(std::string_view text, std::string_view& rest, std::int64_t& n) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || n < 0) return false;
  rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

Result<std::vector<Sending>> read_sendings(law::AuditReader& log) {
  std::vector<Sending> out;
  std::map<std::string, std::size_t, std::less<>> open;  // segment → place in out, as long as it is not committed
  NORA_CHECK(log.each(0, log.size(), [&](const law::AuditLeaf& leaf) -> Status {
    if (leaf.shredded || leaf.data.find("\"kind\":\"segment_") == leaf.data.npos) return {};
    NORA_TRY(const auto o, json::parse_object(leaf.data));
    const auto kind = json::string_or(o, "kind");
    const bool begins = kind == "segment_reserved" || kind == "segment_resumed";
    if (!begins && kind != "segment_committed" && kind != "segment_lost") return {};
    NORA_TRY(const Instant at, json::get_instant(o, "at"));
    NORA_TRY(const auto data, json::get_object(o, "data"));
    NORA_TRY(const auto segment, json::get_string(data, "segment"));
    auto found = open.find(segment);
    if (kind == "segment_lost") {
      if (found == open.end()) return {};
      out[found->second].lost = SegmentLeaf{leaf.index, at};
      open.erase(found);
      return {};
    }
    if (!begins) {
      if (found == open.end()) return {};  // its beginning was shredded
      auto& s = out[found->second];
      s.committed = SegmentLeaf{leaf.index, at};
      s.sent = json::int_or(data, "sent", 0);
      NORA_TRY(const auto file, json::get_string(data, "file"));
      NORA_TRY(s.file, hash_from_hex(file));
      open.erase(found);
      return {};
    }
    if (found == open.end()) {
      Sending s;
      s.segment = segment;
      const auto slash = segment.rfind('/');
      std::string_view rest;
      if (slash == segment.npos || !number_after(std::string_view(segment).substr(slash + 1), rest, s.number) || !rest.empty())
        return fail(Code::bad_input, "leaf " + std::to_string(leaf.index) + " names no segment");
      s.survey = segment.substr(0, slash);
      found = open.emplace(segment, out.size()).first;
      out.push_back(std::move(s));
    }
    auto& s = out[found->second];
    s.begun.push_back({leaf.index, at});
    if (data.contains("mandate")) {
      NORA_TRY(const auto mandate, json::get_string(data, "mandate"));
      NORA_TRY(s.mandate, hash_from_hex(mandate));
    }
    if (data.contains("to")) {
      s.from = static_cast<std::uint64_t>(json::int_or(data, "from", 0));
      s.to = static_cast<std::uint64_t>(json::int_or(data, "to", 0));
    }
    if (const auto* repeats = data.if_contains("repeats"); repeats && repeats->is_array())
      for (const auto& v : repeats->as_array())
        if (v.is_int64() && v.as_int64() >= 0) s.repeats.push_back(static_cast<std::uint64_t>(v.as_int64()));
    return {};
  }));
  return out;
}

Result<std::vector<SurveyFiles>> find_surveys(const std::vector<fs::path>& dirs) {
  std::vector<SurveyFiles> out;
  std::error_code error;
  for (const auto& dir : dirs) {
    std::vector<fs::path> spools;
    if (fs::exists(dir / "plan.json", error)) spools.push_back(dir);
    else
      for (fs::directory_iterator at(dir, error), end; !error && at != end; at.increment(error))
        if (fs::exists(at->path() / "plan.json", error)) spools.push_back(at->path());
    if (spools.empty()) return fail(Code::bad_input, "there is no survey in " + dir.string(), "--dir names the spool directory of `nora scan run`");
    std::sort(spools.begin(), spools.end());
    for (auto& spool : spools) {
      NORA_TRY(auto plan, Plan::load(spool));
      std::vector<JournalState::RunKey> keys;
      if (fs::exists(spool / "journal.ndjson", error)) {
        NORA_TRY(auto journal, Journal::read(spool));
        keys = std::move(journal.keys);
      }
      out.push_back({std::move(spool), std::move(plan), std::move(keys)});
    }
  }
  return out;
}

Result<std::vector<RecordFile>> scan_records(const SurveyFiles& survey, Ip ip) {
  std::vector<RecordFile> out;
  const bool target = survey.plan.space.has_target(ip);
  std::uint64_t wanted = 0;
  if (target) {
    const auto value = survey.plan.space.record_address(ip);
    Bytes big;
    put_u32be(big, static_cast<std::uint32_t>(value >> 32));
    put_u32be(big, static_cast<std::uint32_t>(value));
    std::memcpy(&wanted, big.data(), sizeof wanted);  // compared as it lies in the file
  }
  std::error_code error;
  if (survey.dir.empty()) return out;
  for (fs::directory_iterator at(survey.dir / "segments", error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    RecordFile f;
    std::string_view rest;
    if (!number_after(name, rest, f.number) || (rest != ".bin" && !rest.starts_with(".bin."))) continue;
    f.path = at->path();
    f.set_aside = rest != ".bin";
    NORA_TRY(const Mapped file, Mapped::open(f.path));
    const auto bytes = file.view();
    f.records = bytes.size() / record_bytes;
    if (f.records > 0) f.last = record_at(bytes, f.records - 1).at;
    if (target) {
      const std::uint8_t* p = bytes.data() + 8;  // the destination
      for (std::uint64_t i = 0; i < f.records; ++i, p += record_bytes) {
        std::uint64_t dest;
        std::memcpy(&dest, p, sizeof dest);
        if (dest != wanted || f.hits.size() >= hits_max) continue;
        const auto r = record_at(bytes, i);
        f.hits.push_back({r.at, r.port, r.probe});
      }
    }
    out.push_back(std::move(f));
  }
  std::sort(out.begin(), out.end(), [](const RecordFile& a, const RecordFile& b) { return std::tie(a.number, a.path) < std::tie(b.number, b.path); });
  return out;
}

Result<Hash> hash_of_file(const fs::path& file) {
  NORA_TRY(const Mapped mapped, Mapped::open(file));
  return sha256(mapped.view());
}

std::string first_words(std::string_view probe, Ip ip, std::uint16_t port, Ip own) {
  ScriptSpec spec;
  spec.probe = probe;
  spec.ip = ip;
  spec.port = port;
  spec.own = own.text();
  // The relay proof asks for a token of its own; what is fixed is its form.
  if (probe == "http-relay") spec.relay_url = "http://" + own.text() + "/nora-relay/<token>";
  Script script(spec);
  return to_string(script.connected().send);
}

Result<std::vector<Talk>> talks_in_spool(const SurveyFiles& survey, Ip ip, Ip own) {
  std::vector<Talk> out;
  const std::string word = "\"ip\":\"" + ip.text() + "\"";
  std::error_code error;
  if (survey.dir.empty()) return out;
  if (fs::exists(survey.dir / "results.ndjson", error)) {
    NORA_TRY(const Mapped results, Mapped::open(survey.dir / "results.ndjson"));
    lines_with(results.text(), word, [&](std::string_view line) {
      const auto o = json::parse_object(line);
      if (!o || json::string_or(*o, "ip") != ip.text() || json::string_or(*o, "proto") != "tcp") return;
      const auto probe = json::string_or(*o, "probe");
      if (probe == "syn" || probe == "syn-control") return;  // its packet stands in the records
      const auto at = json::get_instant(*o, "at");
      if (!at) return;
      Talk t{*at, probe, json::string_or(*o, "protocol", json::string_or(*o, "outcome")), static_cast<std::uint16_t>(json::int_or(*o, "port", 0)),
             json::string_or(*o, "segment"), {}, json::int_or(*o, "request_bytes", 0)};
      t.words = first_words(t.probe, ip, t.port, own);
      out.push_back(std::move(t));
    });
  }
  if (fs::exists(survey.dir / "journal.ndjson", error)) {
    NORA_TRY(const Mapped journal, Mapped::open(survey.dir / "journal.ndjson"));
    lines_with(journal.text(), word, [&](std::string_view line) {
      const auto o = json::parse_object(line);
      if (!o || json::string_or(*o, "ev") != "open" || json::string_or(*o, "ip") != ip.text()) return;
      const auto port = static_cast<std::uint16_t>(json::int_or(*o, "port", 0));
      if (std::any_of(out.begin(), out.end(), [&](const Talk& t) { return t.port == port; })) return;
      out.push_back({std::nullopt, {}, {}, port, survey.plan.survey + "/" + std::to_string(json::int_or(*o, "n", 0)), {}, 0});
    });
  }
  return out;
}

}  // namespace nora::survey
