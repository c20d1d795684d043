// `nora identify`: NDJSON questions on stdin, NDJSON answers on stdout, in input order. The contract of docs and tests:
// {"key": K or null, "value": text} (or "value_base64"; "file": the rule file's stem) -> {"key", "fingerprint", "rule", "fields"} or "fingerprint": null.
#include <simdjson.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "app/command.h"
#include "base/escape.h"
#include "identify/matcher.h"

namespace nora::app {
namespace {

constexpr std::size_t max_line_bytes = 1u << 20;

// Reads stdin line by line with a limit; longer lines are an error of that line, not of the run.
class LineReader {
 public:
  bool next(std::string& line, bool& too_long) {
    line.clear();
    too_long = false;
    for (;;) {
      if (at_ == end_) {
        end_ = std::fread(buffer_.data(), 1, buffer_.size(), stdin);
        at_ = 0;
        if (end_ == 0) return !line.empty() || too_long;
      }
      const char* from = buffer_.data() + at_;
      const auto* stop = static_cast<const char*>(std::memchr(from, '\n', end_ - at_));
      const std::size_t n = stop == nullptr ? end_ - at_ : static_cast<std::size_t>(stop - from);
      if (line.size() + n > max_line_bytes) too_long = true;
      else line.append(from, n);
      at_ += n;
      if (stop != nullptr) { ++at_; return true; }
    }
  }

 private:
  std::vector<char> buffer_ = std::vector<char>(1u << 16);
  std::size_t at_ = 0, end_ = 0;
};

struct Question { std::string key, file, value; bool any = false; };  // any: "key": null, the value may be anything

// The DOM parser picks the CPU's instruction set at run time and checks the whole line. Errors: the sentence for the "error" field.
std::string read_question(simdjson::dom::parser& parser, const std::string& line, Question& q) {
  simdjson::dom::object object;
  simdjson::dom::element document;
  // The caller has reserved SIMDJSON_PADDING bytes behind the line.
  if (parser.parse(line.data(), line.size(), false).get(document) != simdjson::SUCCESS) return "not JSON";
  if (document.get(object) != simdjson::SUCCESS) return "not a JSON object";
  bool has_value = false;
  q.any = false;
  for (const auto& [name, value] : object) {
    if (name != "key" && name != "file" && name != "value" && name != "value_base64") continue;
    std::string_view text;
    if (name == "key" && value.is_null()) { q.any = true; continue; }
    if (value.get(text) != simdjson::SUCCESS) return "\"" + std::string(name) + "\" is not a string";
    if (name == "key") q.key = text;
    else if (name == "file") q.file = text;
    else if (name == "value") { q.value = text; has_value = true; }
    else {
      auto bytes = from_base64(text);
      if (!bytes) return "\"value_base64\" is not base64";
      q.value = to_string(*bytes);
      has_value = true;
    }
  }
  if (!has_value) return "\"value\" or \"value_base64\" is missing";
  if (q.key.empty() && q.file.empty() && !q.any) return "\"key\" is missing";
  return {};
}

void write_answer(std::string& out, const Question& q, const identify::Found* found, identify::Matcher& matcher, const std::string& error) {
  out += "{\"key\":";
  if (q.key.empty()) out += "null";
  else append_json_string(out, q.key);
  if (found == nullptr) {
    out += ",\"fingerprint\":null";
  } else {
    out += ",\"fingerprint\":";
    append_json_string(out, found->rule->description);
    out += ",\"rule\":";
    append_json_string(out, found->rule->id);
    out += ",\"fields\":{";
    bool first = true;
    for (const auto& [name, value] : matcher.fields()) {
      if (!first) out += ',';
      first = false;
      append_json_string(out, name);
      out += ':';
      append_json_string(out, value);
    }
    out += '}';
  }
  if (!error.empty()) {
    out += ",\"error\":";
    append_json_string(out, error);
  }
  out += "}\n";
}

// Many lines are worth a prefilter. What is kept is read after some hundred lines; else it is compiled
// beside further lines, which are matched one by one.
class Compiler {
 public:
  Compiler(const identify::RuleSet& rules, std::filesystem::path cache) : rules_(rules) {
    options_.cache = std::move(cache);
  }
  ~Compiler() { finish(); }
  void want_unknown_keys() { if (!thread_.joinable()) options_.unknown_keys = true; }
  void finish() {  // at the end of the input: what is not compiled yet is not needed
    options_stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  // To be called between two lines; returns a prefilter once when there is one.
  const identify::Prefilter* ready(std::size_t lines) {
    if (given_) return nullptr;
    if (lines == worth_loading && !options_.cache.empty()) {
      for (const bool unknown_keys : {true, false}) {
        if (now_ || (options_.unknown_keys && !unknown_keys)) break;
        auto kept = options_;
        kept.only_cached = true;
        kept.unknown_keys = unknown_keys;
        if (auto made = identify::make_prefilter(rules_, kept, messages)) now_ = std::move(*made);
      }
    }
    if (lines == worth_compiling && !thread_.joinable() && !now_) {
      options_.stop = options_stop_.get_token();
      thread_ = std::jthread([this] {
        if (auto made = identify::make_prefilter(rules_, options_, messages)) now_ = std::move(*made);
        done_ = true;
      });
    }
    if (thread_.joinable() && !done_) return nullptr;  // now_ is the thread's until then
    given_ = now_ != nullptr;
    return now_.get();
  }
  std::vector<std::string> messages;

 private:
  static constexpr std::size_t worth_loading = 500, worth_compiling = 20'000;  // lines
  const identify::RuleSet& rules_;
  identify::PrefilterOptions options_;
  std::stop_source options_stop_;
  std::unique_ptr<const identify::Prefilter> now_;
  std::atomic<bool> done_{false};
  bool given_ = false;
  std::jthread thread_;
};

// A leaked MAC address is asked for under the name of its registrant. The registry is read when the first one comes.
class Registrants {
 public:
  explicit Registrants(Log& log) : log_(log) {}
  std::string of(std::string_view mac) {
    if (!makers_) {
      auto loaded = identify::MacMakers::load(identify::debian_mac_registry);
      if (!loaded) log_.warn(loaded.error().what + ": " + loaded.error().fix);
      makers_.emplace(loaded ? std::move(*loaded) : identify::MacMakers());
    }
    return makers_->of(mac);
  }

 private:
  Log& log_;
  std::optional<identify::MacMakers> makers_;
};

Result<int> identify_stdin(Run& run, const std::vector<std::string>& directories) {
  std::vector<std::filesystem::path> paths(directories.begin(), directories.end());
  if (paths.empty()) paths.emplace_back(data_dir() + "/fingerprints");
  NORA_TRY(const auto rules, identify::RuleSet::load(paths));
  for (const auto& problem : rules.problems()) run.env.log.warn(problem.text());
  identify::Matcher matcher(rules);
  Compiler compiler(rules, cache_dir());
  Registrants registrants(run.env.log);
  simdjson::dom::parser parser;
  LineReader reader;
  std::string line, out;
  Question q;
  bool too_long = false;
  std::size_t number = 0, bad = 0;
  while (reader.next(line, too_long)) {
    if (const auto* prefilter = compiler.ready(number)) matcher.use(prefilter);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos && !too_long) continue;
    q.key.clear();
    q.file.clear();
    q.value.clear();
    line.reserve(line.size() + simdjson::SIMDJSON_PADDING);
    const std::string error = too_long ? "line is longer than 1 MiB" : read_question(parser, line, q);
    const identify::Found* found = nullptr;
    if (q.any) compiler.want_unknown_keys();
    if (error.empty()) {
      const auto* file = q.file.empty() ? nullptr : rules.file_by_stem(q.file);
      if (file == nullptr && identify::is_mac_key(q.key)) {
        q.value = registrants.of(q.value);
        if (!q.value.empty()) found = matcher.find(identify::mac_maker_key, q.value);
      } else found = file != nullptr ? matcher.find_in(*file, q.value) : q.key.empty() && !q.any ? nullptr : matcher.find(q.key, q.value);
    } else {
      ++bad;
      run.env.log.warn("line " + std::to_string(number) + ": " + error);
    }
    write_answer(out, q, found, matcher, error);
    if (out.size() > 1u << 16) {
      if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) return fail(Code::failed, "cannot write to stdout");
      out.clear();
    }
  }
  compiler.finish();
  for (const auto& message : compiler.messages) run.env.log.warn(message);
  if (std::ferror(stdin)) return fail(Code::failed, "cannot read stdin");
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0) return fail(Code::failed, "cannot write to stdout");
  return bad == 0 ? 0 : exit_code(Code::bad_input);
}

}  // namespace

void add_identify(CLI::App& root, Run& run) {
  auto* identify = with_json(root.add_subcommand("identify", "Name the product behind banners: NDJSON on stdin and stdout, in input order"), run);
  auto rules = std::make_shared<std::vector<std::string>>();
  identify->add_option("--rules", *rules, "directory of recog XML files (repeatable); default: Nora's own fingerprints")->allow_extra_args(false);
  identify->footer(
      "In:  {\"key\": recog match key (null: not known), \"value\": text} or \"value_base64\"; \"file\": stem of one rule file where a key alone does not decide.\n"
      "Out: {\"key\", \"fingerprint\": description, \"rule\", \"fields\": {recog field names}} or \"fingerprint\": null; \"error\" for a bad line (exit 1).");
  identify->callback([&run, rules] { run.action = [&run, rules] { return identify_stdin(run, *rules); }; });
}

}  // namespace nora::app
