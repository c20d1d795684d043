#include "identify/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <pugixml.hpp>
#include <tuple>

#include "base/crypto.h"
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
  for (const auto& child : node.children("example")) {
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
    rule.examples.push_back(std::move(example));
  }
  return rule;
}

}  // namespace

void RuleSet::add_file(std::string_view stem, std::string_view xml, const fs::path& path) {
  const std::string shown = path.empty() ? std::string(stem) : path.filename().string();
  if (xml.size() > max_rule_file_bytes) { problems_.push_back({shown, 0, "file is too large"}); return; }
  hashes_[path.empty() ? std::string(stem) : path.string()] = sha256(as_bytes(xml));
  const Lines lines(xml);
  pugi::xml_document document;
  // No DTD is read and no entity beyond the five of XML is expanded (pugixml), so a rule file cannot reach other files.
  const auto result = document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata, pugi::encoding_utf8);
  if (!result) { problems_.push_back({shown, lines.of(result.offset), result.description()}); return; }
  const pugi::xml_node root = document.child("fingerprints");
  if (!root) { problems_.push_back({shown, 1, "the root element is not <fingerprints>"}); return; }
  RuleFile file;
  file.stem = stem;
  file.path = path;
  file.key = root.attribute("matches").as_string();
  if (file.key.empty()) file.key = file.stem;
  file.has_protocol = static_cast<bool>(root.attribute("protocol"));
  file.protocol = lower(root.attribute("protocol").as_string());
  file.preference = root.attribute("preference").as_double(0.10);
  std::size_t count = rule_count();
  for (const auto& node : root.children("fingerprint")) {
    if (++count > max_rules) { problems_.push_back({shown, lines.of(node.offset_debug()), "too many rules"}); break; }
    auto rule = read_rule(node, file, lines, problems_);
    if (!rule) problems_.push_back({shown, lines.of(node.offset_debug()), "rule left out: " + rule.error().what});
    else file.rules.push_back(std::move(*rule));
  }
  files_.push_back(std::move(file));
  index();
}

Result<RuleSet> RuleSet::load(const std::vector<fs::path>& directories) {
  RuleSet set;
  for (const auto& directory : directories) {
    std::error_code error;
    std::vector<fs::path> paths;
    for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
      if (it->path().extension() == ".xml") paths.push_back(it->path());
    if (error) return fail(Code::not_found, fmt::format("cannot read rules directory {}: {}", directory.string(), error.message()), "name a directory of recog XML files with --rules");
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
      auto text = read_file(path, max_rule_file_bytes);
      if (!text) { set.problems_.push_back({path.filename().string(), 0, text.error().what}); continue; }
      set.add_file(path.stem().string(), *text, path);
    }
  }
  return set;
}

void RuleSet::index() {
  by_key_.clear();
  for (std::size_t i = 0; i < files_.size(); ++i) by_key_[files_[i].key].push_back(i);
  for (auto& [key, list] : by_key_)
    std::sort(list.begin(), list.end(), [&](std::size_t a, std::size_t b) { return std::tuple(-files_[a].preference, a) < std::tuple(-files_[b].preference, b); });
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

std::size_t RuleSet::rule_count() const {
  std::size_t n = 0;
  for (const auto& file : files_) n += file.rules.size();
  return n;
}

std::string RuleSet::version() const {
  std::string all = std::string(engine_version) + "\n";
  for (const auto& [name, hash] : hashes_) {
    // The directory does not matter: the same files elsewhere are the same rules.
    all += fs::path(name).filename().string() + "\n" + to_hex(hash) + "\n";
  }
  return to_hex(sha256(as_bytes(all))).substr(0, 16);
}

}  // namespace nora::identify
