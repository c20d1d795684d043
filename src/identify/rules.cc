#include "identify/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <atomic>
#include <pugixml.hpp>
#include <thread>
#include <tuple>

#include "base/crypto.h"
#include "base/escape.h"
#include "base/files.h"

namespace nora::identify {

namespace fs = std::filesystem;

std::string Problem::text() const { return fmt::format("{}:{}: {}", file, line, what); }

namespace {

std::string collapse(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (space) { if (!out.empty() && out.back() != ' ') out += ' '; }
    else out += c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string joined_text(const pugi::xml_node& node) {
  std::string out;
  for (const auto& child : node.children())
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) out += child.value();
  return out;
}

class Lines {
 public:
  explicit Lines(std::string_view text) { for (std::size_t i = 0; i < text.size(); ++i) if (text[i] == '\n') ends_.push_back(i); }
  int of(std::ptrdiff_t offset) const {
    if (offset < 0) return 0;
    return static_cast<int>(std::lower_bound(ends_.begin(), ends_.end(), static_cast<std::size_t>(offset)) - ends_.begin()) + 1;
  }

 private:
  std::vector<std::size_t> ends_;
};

// Text of an example: plain, base64, or a file below <directory>/<stem>/.
Result<std::string> example_text(const pugi::xml_node& node, const RuleFile& file) {
  const std::string text = joined_text(node);
  const std::string_view encoding = node.attribute("_encoding").as_string();
  if (const char* name = node.attribute("_filename").as_string(nullptr)) {
    const fs::path relative(name);
    if (relative.is_absolute() || std::any_of(relative.begin(), relative.end(), [](const fs::path& p) { return p == ".."; }))
      return fail(Code::bad_input, "example file leaves its folder");
    if (file.path.empty()) return fail(Code::bad_input, "example file without a folder");
    return read_file(file.path.parent_path() / file.stem / relative, 1u << 20);
  }
  if (encoding == "base64") {
    NORA_TRY(const Bytes bytes, from_base64(text));
    return to_string(bytes);
  }
  if (!encoding.empty()) return fail(Code::bad_input, fmt::format("unknown _encoding \"{}\"", encoding));
  return text;
}

// Places {name} of a constant; a name holds no blank and no brace. Returns pieces with the names in `literal` and field >= 0 for places.
std::vector<FieldPlan::Piece> split_places(std::string_view value) {
  std::vector<FieldPlan::Piece> out;
  std::string literal;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto end = value[i] == '{' ? value.find_first_of("{} \t\r\n\f\v", i + 1) : std::string_view::npos;
    if (end == std::string_view::npos || value[end] != '}' || end == i + 1) { literal += value[i]; continue; }
    if (!literal.empty()) out.push_back({std::exchange(literal, {}), -1, false});
    out.push_back({std::string(value.substr(i + 1, end - i - 1)), 0, false});
    i = end;
  }
  if (!literal.empty() || out.empty()) out.push_back({std::move(literal), -1, false});
  return out;
}

// The fields of a match, in order of their names. Empty when a place refers to a text with places itself: fields_of() then works step by step.
std::vector<FieldPlan> plan_fields(const Rule& rule, const RuleFile& file) {
  std::map<std::string, FieldPlan> plan;
  const auto constant = [&](const std::string& name, const std::string& value) { return FieldPlan{name, FieldPlan::Kind::constant, value, true, false, 0, {}}; };
  plan["matched"] = constant("matched", rule.description);
  for (const auto& param : rule.params) {
    FieldPlan field = constant(param.name, param.value);
    if (param.pos > 0) {
      field.kind = FieldPlan::Kind::capture;
      field.group = param.pos;
      field.has_value = false;
    } else if (param.value.find('{') != std::string::npos) {
      field.pieces = split_places(param.value);
      if (field.pieces.size() > 1 || field.pieces[0].field >= 0) field.kind = FieldPlan::Kind::text;
    }
    field.hidden = param.name.starts_with("_tmp.");
    plan[param.name] = std::move(field);
  }
  // The reference sets the empty string when the file names no protocol.
  if (auto [at, fresh] = plan.try_emplace("service.protocol", constant("service.protocol", file.protocol)); !fresh && at->second.kind == FieldPlan::Kind::capture) {
    at->second.value = file.protocol;
    at->second.has_value = true;
  }
  plan["fingerprint_db"] = constant("fingerprint_db", file.key);
  std::vector<FieldPlan> out;
  for (auto& [name, field] : plan) out.push_back(std::move(field));
  for (auto& field : out) {
    for (auto& piece : field.pieces) {
      if (piece.field < 0) continue;
      const auto at = std::find_if(out.begin(), out.end(), [&](const FieldPlan& f) { return f.name == piece.literal; });
      piece.version = field.name.ends_with(".cpe23") && piece.literal.ends_with(".version");
      if (at == out.end()) { piece.field = static_cast<int>(out.size()); continue; }  // names nothing
      if (at->kind == FieldPlan::Kind::text || (at->kind == FieldPlan::Kind::constant && at->value.find('{') != std::string::npos)) return {};
      piece.field = static_cast<int>(at - out.begin());
    }
  }
  return out;
}

Result<Rule> read_rule(const pugi::xml_node& node, const RuleFile& file, const Lines& lines, std::vector<Problem>& problems) {
  Rule rule;
  rule.line = lines.of(node.offset_debug());
  rule.pattern_text = node.attribute("pattern").as_string();
  rule.flags = node.attribute("flags").as_string();
  rule.description = collapse(joined_text(node.child("description")));
  rule.source = node.attribute("nora:source").as_string();
  rule.verified = std::string_view(node.attribute("nora:verified").as_string()) == "yes";
  const std::string_view id = node.attribute("nora:id").as_string();
  rule.id = id.empty() ? fmt::format("{}:{}", file.stem, rule.line) : fmt::format("{}:{}", file.stem, id);
  NORA_TRY(rule.pattern, Pattern::compile(rule.pattern_text, rule.flags));
  for (const auto& child : node.children("param")) {
    Param param;
    param.name = child.attribute("name").as_string();
    param.value = child.attribute("value").as_string();
    const std::string_view pos = child.attribute("pos").as_string();
    const auto parsed = std::from_chars(pos.data(), pos.data() + pos.size(), param.pos);
    if (parsed.ec != std::errc() || parsed.ptr != pos.data() + pos.size() || param.pos < 0) return fail(Code::bad_input, fmt::format("param \"{}\" has no valid pos", param.name));
    if (param.name.empty()) return fail(Code::bad_input, "param without a name");
    if (param.pos > rule.pattern.groups()) return fail(Code::bad_input, fmt::format("param \"{}\" names group {}, the pattern has {}", param.name, param.pos, rule.pattern.groups()));
    const auto same = std::find_if(rule.params.begin(), rule.params.end(), [&](const Param& p) { return p.name == param.name; });
    if (same == rule.params.end()) rule.params.push_back(std::move(param));
    else *same = std::move(param);
  }
  for (const char* element : {"example", "nora:not"}) {
    for (const auto& child : node.children(element)) {
      Example example;
      example.line = lines.of(child.offset_debug());
      auto text = example_text(child, file);
      if (!text) {  // the rule still works; only its test is lost
        problems.push_back({file.path.empty() ? file.stem : file.path.filename().string(), example.line, text.error().what});
        continue;
      }
      example.text = std::move(*text);
      for (const auto& attribute : child.attributes())
        if (attribute.name()[0] != '_') example.expected[attribute.name()] = attribute.value();
      (element[0] == 'e' ? rule.examples : rule.negatives).push_back(std::move(example));
    }
  }
  rule.plan = plan_fields(rule, file);
  return rule;
}

}  // namespace

// What one file gives; made beside the set so that several files can be read at once.
struct RuleSet::Read {
  RuleFile file;
  bool usable = false;
  std::vector<Problem> problems;
  std::string name;  // path or stem
  Hash hash{};
};

RuleSet::Read RuleSet::read_file_text(std::string_view stem, std::string_view xml, const fs::path& path) {
  Read out;
  out.name = path.empty() ? std::string(stem) : path.string();
  const std::string shown = path.empty() ? std::string(stem) : path.filename().string();
  const auto problem = [&](int line, std::string what) { out.problems.push_back({shown, line, std::move(what)}); };
  if (xml.size() > max_rule_file_bytes) { problem(0, "file is too large"); return out; }
  out.hash = sha256(as_bytes(xml));
  const Lines lines(xml);
  pugi::xml_document document;
  // No DTD is read and no entity beyond the five of XML is expanded (pugixml), so a rule file cannot reach other files.
  const auto result = document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata, pugi::encoding_utf8);
  if (!result) { problem(lines.of(result.offset), result.description()); return out; }
  const pugi::xml_node root = document.child("fingerprints");
  if (!root) { problem(1, "the root element is not <fingerprints>"); return out; }
  RuleFile& file = out.file;
  out.usable = true;
  file.stem = stem;
  file.path = path;
  file.content = out.hash;
  file.key = root.attribute("matches").as_string();
  if (file.key.empty()) file.key = file.stem;
  file.has_protocol = static_cast<bool>(root.attribute("protocol"));
  file.protocol = lower(root.attribute("protocol").as_string());
  file.preference = root.attribute("preference").as_double(0.10);
  for (const auto& node : root.children("fingerprint")) {
    auto rule = read_rule(node, file, lines, out.problems);
    if (!rule) problem(lines.of(node.offset_debug()), "rule left out: " + rule.error().what);
    else file.rules.push_back(std::move(*rule));
  }
  return out;
}

void RuleSet::take(Read&& read) {
  problems_.insert(problems_.end(), read.problems.begin(), read.problems.end());
  if (read.hash != Hash{}) hashes_[read.name] = read.hash;
  if (!read.usable) return;
  if (const auto room = max_rules - std::min(max_rules, rule_count()); read.file.rules.size() > room) {
    problems_.push_back({read.file.path.empty() ? read.file.stem : read.file.path.filename().string(), read.file.rules[room].line, "too many rules"});
    read.file.rules.resize(room);
  }
  files_.push_back(std::move(read.file));
}

void RuleSet::add_file(std::string_view stem, std::string_view xml, const fs::path& path) {
  take(read_file_text(stem, xml, path));
  index();
}

Result<RuleSet> RuleSet::load(const std::vector<fs::path>& directories) {
  std::vector<fs::path> all;
  for (const auto& directory : directories) {
    std::error_code error;
    std::vector<fs::path> paths;
    for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
      if (it->path().extension() == ".xml") paths.push_back(it->path());
    if (error) return fail(Code::not_found, fmt::format("cannot read rules directory {}: {}", directory.string(), error.message()), "name a directory of recog XML files with --rules");
    std::sort(paths.begin(), paths.end());
    all.insert(all.end(), paths.begin(), paths.end());
  }
  // The files are read side by side and taken in order: 50 files of recog in half the time.
  std::vector<Read> reads(all.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i; (i = next++) < all.size();) {
      auto text = read_file(all[i], max_rule_file_bytes);
      if (text) reads[i] = read_file_text(all[i].stem().string(), *text, all[i]);
      else reads[i].problems.push_back({all[i].filename().string(), 0, text.error().what});
    }
  };
  std::vector<std::jthread> others;
  if (all.size() > 4)
    for (unsigned i = 1; i < std::min(4u, std::thread::hardware_concurrency()); ++i) others.emplace_back(work);
  work();
  others.clear();
  RuleSet set;
  for (auto& read : reads) set.take(std::move(read));
  set.index();
  return set;
}

void RuleSet::index() {
  by_key_.clear();
  for (std::size_t i = 0; i < files_.size(); ++i) by_key_[files_[i].key].push_back(i);
  for (auto& [key, list] : by_key_)
    std::sort(list.begin(), list.end(), [&](std::size_t a, std::size_t b) { return std::tuple(-files_[a].preference, a) < std::tuple(-files_[b].preference, b); });
  by_preference_.resize(files_.size());
  for (std::size_t i = 0; i < files_.size(); ++i) by_preference_[i] = i;
  std::sort(by_preference_.begin(), by_preference_.end(),
            [&](std::size_t a, std::size_t b) { return std::tuple(-files_[a].preference, a) < std::tuple(-files_[b].preference, b); });
}

const std::vector<std::size_t>& RuleSet::files_of(std::string_view key) const {
  static const std::vector<std::size_t> none;
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? none : it->second;
}

const RuleFile* RuleSet::file_by_stem(std::string_view stem) const {
  for (const auto& file : files_) if (file.stem == stem) return &file;
  return nullptr;
}

const Rule* RuleSet::rule_by_id(std::string_view id) const {
  const auto* file = file_by_stem(id.substr(0, id.rfind(':')));
  if (file == nullptr) return nullptr;
  const auto it = std::find_if(file->rules.begin(), file->rules.end(), [&](const Rule& r) { return r.id == id; });
  return it == file->rules.end() ? nullptr : &*it;
}

void RuleSet::use(Calibration calibration) {
  calibration_ = std::move(calibration);
  calibration_.keep_if([&](std::string_view id, std::string_view pattern) {
    const auto* rule = rule_by_id(id);
    return rule != nullptr && to_clean_utf8(rule->pattern_text) == pattern;
  });
}

std::size_t RuleSet::rule_count() const {
  std::size_t n = 0;
  for (const auto& file : files_) n += file.rules.size();
  return n;
}

std::string RuleSet::files_version() const {
  std::string all = std::string(engine_version) + "\n";
  for (const auto& [name, hash] : hashes_) {
    // The directory does not matter: the same files elsewhere are the same rules.
    all += fs::path(name).filename().string() + "\n" + to_hex(hash) + "\n";
  }
  return to_hex(sha256(as_bytes(all))).substr(0, 16);
}

std::string RuleSet::version() const {
  if (!makers_ && calibration_.empty()) return files_version();
  const auto makers = makers_ ? makers_->content() : Hash{}, calibration = calibration_.content();
  return to_hex(sha256({as_bytes(files_version()), ByteView(makers), ByteView(calibration)})).substr(0, 16);
}

}  // namespace nora::identify
