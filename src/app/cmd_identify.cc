// `nora identify`: NDJSON questions on stdin, NDJSON answers on stdout, in input order. The contract of docs and tests:
// {"key": K, "value": text} (or "value_base64"; "file": the rule file's stem) -> {"key", "fingerprint", "rule", "fields"} or "fingerprint": null.
#include <simdjson.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

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

struct Question { std::string key, file, value; };

// The DOM parser picks the CPU's instruction set at run time and checks the whole line. Errors: the sentence for the "error" field.
std::string read_question(simdjson::dom::parser& parser, const std::string& line, Question& q) {
  simdjson::dom::object object;
  simdjson::dom::element document;
  // The caller has reserved SIMDJSON_PADDING bytes behind the line.
  if (parser.parse(line.data(), line.size(), false).get(document) != simdjson::SUCCESS) return "not JSON";
  if (document.get(object) != simdjson::SUCCESS) return "not a JSON object";
  bool has_value = false;
  for (const auto& [name, value] : object) {
    if (name != "key" && name != "file" && name != "value" && name != "value_base64") continue;
    std::string_view text;
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
  if (q.key.empty() && q.file.empty()) return "\"key\" is missing";
  return {};
}

void write_answer(std::string& out, const Question& q, const std::optional<identify::Match>& match, const std::string& error) {
  out += "{\"key\":";
  out += q.key.empty() ? "null" : to_json_string(q.key);
  if (!match) {
    out += ",\"fingerprint\":null";
  } else {
    out += ",\"fingerprint\":" + to_json_string(match->rule->description) + ",\"rule\":" + to_json_string(match->rule->id) + ",\"fields\":{";
    bool first = true;
    for (const auto& [name, value] : match->fields) {
      if (!first) out += ',';
      first = false;
      out += to_json_string(name) + ":" + to_json_string(value);
    }
    out += '}';
  }
  if (!error.empty()) out += ",\"error\":" + to_json_string(error);
  out += "}\n";
}

Result<int> identify_stdin(Run& run, const std::vector<std::string>& directories) {
  std::vector<std::filesystem::path> paths(directories.begin(), directories.end());
  if (paths.empty()) paths.emplace_back(data_dir() + "/fingerprints");
  NORA_TRY(const auto rules, identify::RuleSet::load(paths));
  for (const auto& problem : rules.problems()) run.env.log.warn(problem.text());
  identify::Matcher matcher(rules);
  simdjson::dom::parser parser;
  LineReader reader;
  std::string line, out;
  bool too_long = false;
  std::size_t number = 0, bad = 0;
  while (reader.next(line, too_long)) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos && !too_long) continue;
    Question q;
    line.reserve(line.size() + simdjson::SIMDJSON_PADDING);
    const std::string error = too_long ? "line is longer than 1 MiB" : read_question(parser, line, q);
    std::optional<identify::Match> match;
    if (error.empty()) {
      const auto* file = q.file.empty() ? nullptr : rules.file_by_stem(q.file);
      match = file != nullptr ? matcher.identify_in(*file, q.value) : q.key.empty() ? std::nullopt : matcher.identify(q.key, q.value);
    } else {
      ++bad;
      run.env.log.warn("line " + std::to_string(number) + ": " + error);
    }
    write_answer(out, q, match, error);
    if (out.size() > 1u << 16) {
      if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) return fail(Code::failed, "cannot write to stdout");
      out.clear();
    }
  }
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
      "In:  {\"key\": recog match key, \"value\": text} or \"value_base64\"; \"file\": stem of one rule file where a key alone does not decide.\n"
      "Out: {\"key\", \"fingerprint\": description, \"rule\", \"fields\": {recog field names}} or \"fingerprint\": null; \"error\" for a bad line (exit 1).");
  identify->callback([&run, rules] { run.action = [&run, rules] { return identify_stdin(run, *rules); }; });
}

}  // namespace nora::app
