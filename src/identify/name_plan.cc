#include "identify/name_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/escape.h"
#include "identify/words.h"

namespace nora::identify {

namespace {

constexpr std::size_t min_literal_bytes = 6, min_model_bytes = 3;
constexpr std::string_view last_resort = "http_header.server";  // alone it names web software, not a product

constexpr std::array<std::string_view, 34> nameable = {
    "html_title", "http_header.wwwauth", "telnet_banners", "upnp.model_name", "x509.subject", "ftp.banner", "snmp.sys_description", "coap.core",
    "modbus.device_id", "ipp.make_and_model", "enip.product_name", "bacnet.model", "s7.module", "fins.model", "slmp.cpu", "hnap.model", "dvr.model", "dvr.class",
    "wsd.hardware", "ubiquiti.model", "moxa.model", "adb.model", "fox.app", "fox.brand", "knx.name", "rtsp_header.server", "sip_header.server", "sip_header.user_agent", "ssdp.server",
    "pptp.vendor", "favicon.sha256", "ssh.banner", "http_header.server", "http.body_shape"};
constexpr std::array<std::string_view, 16> generic = {"login", "index", "home", "welcome", "untitled", "document", "error", "not found", "unauthorized", "forbidden",
                                                      "bad request", "router", "camera", "web server", "apache", "nginx"};

std::string first_value(const Sample& sample, std::string_view key) {
  std::string best;
  for (const auto& reply : sample.replies)
    for (const auto& kv : reply.keys)
      if (kv.key == key && !kv.value.empty() && (best.empty() || kv.value < best)) best = kv.value;
  return best;
}

static_assert(nameable.size() <= 64, "one bit each in NamePlan::Taken");

// The protocol gives the model a field of its own: nobody else's text stands there.
bool is_model_field(std::string_view key) {
  return key.ends_with(".model") || key.ends_with(".model_name") || key.ends_with(".product_name") || key == "ipp.make_and_model" || key == "modbus.device_id" || key == "s7.module" ||
         key == "slmp.cpu" || key == "fox.app" || key == "fox.brand";
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)); }

// Each run of ASCII letters and digits.
std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_word(text[i])) continue;
    const auto from = i;
    while (i < text.size() && is_word(text[i])) ++i;
    out.push_back(text.substr(from, i - from));
  }
  return out;
}

// A name goes into file, page and mail: printable, short, no markup tricks needed later.
bool is_name(std::string_view text) { return !text.empty() && text.size() <= 100 && is_plain_text(text) && text.find_first_of("{}<>") == std::string_view::npos; }

}  // namespace

std::span<const std::string_view> nameable_keys() { return nameable; }

std::optional<std::vector<std::size_t>> places_of(std::string_view name) {
  std::set<std::size_t> out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '}') return std::nullopt;
    if (name[i] != '{') continue;
    if (i + 2 >= name.size() || name[i + 1] < '1' || name[i + 1] > '9' || name[i + 2] != '}') return std::nullopt;
    out.insert(static_cast<std::size_t>(name[i + 1] - '0'));
    i += 2;
  }
  return std::vector<std::size_t>(out.begin(), out.end());
}

std::vector<std::size_t> differing_words(std::span<const std::string> texts) {
  std::vector<std::size_t> out;
  if (texts.empty()) return out;
  const auto first = words(texts.front());
  std::set<std::size_t> differ;
  for (const auto& text : texts) {
    const auto other = words(text);
    if (other.size() != first.size()) return out;  // not one mask
    for (std::size_t i = 0; i < first.size(); ++i) if (first[i] != other[i]) differ.insert(i);
  }
  out.assign(differ.begin(), differ.end());
  return out;
}

// ASCII letters, digits, blanks as they are, everything else escaped.
std::string name_pattern(std::string_view text, bool loose, std::span<const std::size_t> read) {
  std::string out;
  std::size_t word_number = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (loose && std::isalnum(c)) {
      std::size_t end = i;
      while (end < text.size() && std::isalnum(static_cast<unsigned char>(text[end]))) ++end;
      const auto word = text.substr(i, end - i);
      const bool group = std::find(read.begin(), read.end(), word_number++) != read.end();
      if (group) out += '(';
      if (masked(word) == "#") {
        out += std::all_of(word.begin(), word.end(), [](char d) { return std::isdigit(static_cast<unsigned char>(d)); }) ? "[0-9]+" : "[0-9A-Za-z]+";
      } else {
        for (std::size_t k = 0; k < word.size();) {
          if (!std::isdigit(static_cast<unsigned char>(word[k]))) { out += word[k++]; continue; }
          while (k < word.size() && std::isdigit(static_cast<unsigned char>(word[k]))) ++k;
          out += "[0-9]+";
        }
      }
      if (group) out += ')';
      i = end;
      continue;
    }
    if (loose && std::isspace(c)) {  // mask() makes all white space one blank
      while (i < text.size() && std::isspace(static_cast<unsigned char>(text[i]))) ++i;
      out += "\\s+";
      continue;
    }
    if (std::isalnum(c) || c == ' ') out += text[i];
    else if (c < 0x20 || c >= 0x7f) out += fmt::format("\\x{:02x}", c);  // byte mode: no UTF-8 in the pattern
    else { out += '\\'; out += text[i]; }
    ++i;
  }
  return "\\A" + out + "\\z";
}

bool tells_nothing(std::string_view key, std::string_view text, std::string_view mask) {
  return text.size() < (is_model_field(key) ? min_model_bytes : min_literal_bytes) || std::find(generic.begin(), generic.end(), mask) != generic.end();
}

NamePlan::NamePlan(Naming naming, const RuleSet& rules) : naming_(std::move(naming)), rules_(&rules), shown_(nameable.size()) {}

Result<NamePlan> NamePlan::begin(Naming naming, const RuleSet& rules) {
  if (!is_cluster_key(naming.cluster)) return fail(Code::usage, fmt::format("\"{}\" is not a cluster key", to_log(naming.cluster)), "see nora cluster list");
  const auto places = places_of(naming.product);
  auto plain = naming.product;
  for (char& c : plain) if (c == '{' || c == '}') c = '_';
  if (!places || !is_name(plain)) return fail(Code::usage, "the product name is missing or not plain text of at most 100 bytes", "{1} stands for the first word in which the members differ");
  if ((!naming.vendor.empty() && !is_name(naming.vendor)) || (!naming.type.empty() && !is_name(naming.type))) return fail(Code::usage, "vendor or type is not plain text of at most 100 bytes");
  if (naming.proposed_by.empty() || naming.accepted_by.empty() || naming.proposed_by == naming.accepted_by)
    return fail(Code::usage, "a name needs two different persons: one proposes, another accepts");
  NamePlan out(std::move(naming), rules);
  out.places_ = *places;
  if (!places->empty()) {
    std::string like;
    for (std::size_t i = 0; i < out.naming_.product.size(); ++i) {
      const char c = out.naming_.product[i];
      if (c == '{') { like += "[0-9A-Za-z]+"; i += 2; }
      else if (is_word(c) || c == ' ') like += c;
      else like += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    NORA_TRY(out.family_, Pattern::compile(like, "REG_ICASE"));
  }
  return out;
}

void NamePlan::member(const Sample& sample) {
  ++members_;
  for (std::size_t i = 0; i < nameable.size(); ++i) {
    auto& shown = shown_[i];
    if (!shown.by_all) continue;  // only what every member shows, alike
    const auto value = first_value(sample, nameable[i]).substr(0, max_feature_bytes);
    auto mask = masked(value);
    if (value.empty() || (!shown.values.empty() && mask != shown.mask)) {
      shown = {false, {}, {}};
      continue;
    }
    shown.mask = std::move(mask);
    shown.values.insert(value);
    if (shown.values.size() > max_rule_examples) shown.values.erase(std::prev(shown.values.end()));
  }
}

Status NamePlan::patterns() {
  if (members_ == 0) return fail(Code::not_found, fmt::format("no device is in cluster {}", naming_.cluster), "see nora cluster list");
  for (std::size_t i = 0; i < nameable.size(); ++i) {
    const auto& shown = shown_[i];
    if (!shown.by_all || tells_nothing(nameable[i], *shown.values.begin(), shown.mask)) continue;
    Candidate c;
    c.key = nameable[i];
    c.examples.assign(shown.values.begin(), shown.values.end());
    if (!places_.empty()) {
      const auto differ = differing_words(c.examples);
      for (const auto place : places_) if (place <= differ.size()) c.read.push_back(differ[place - 1]);
      if (c.read.size() < places_.size()) {
        c.why = fmt::format("the members differ in {} words of {}, so {{{}}} stands for nothing", differ.size(), c.key, places_.back());
        candidates_.push_back(std::move(c));
        continue;
      }
    }
    c.text = name_pattern(c.examples.front(), c.examples.size() > 1, c.read);
    auto pattern = Pattern::compile(c.text, "");
    c.compiled = pattern.has_value();
    if (pattern) c.pattern = std::move(*pattern);
    else c.why = pattern.error().what;
    candidates_.push_back(std::move(c));
  }
  shown_.clear();
  return {};
}

void NamePlan::ask(std::string_view key, std::string_view value, Scratch& scratch, std::vector<Slice>& slices, Taken& taken) const {
  if (value.empty()) return;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const auto& c = candidates_[i];
    if (!c.open() || c.key != key) continue;
    taken.shows |= std::uint64_t{1} << i;
    if (c.pattern.match(value, Pattern::Mode::bytes, scratch, slices) == Pattern::Outcome::match) taken.takes |= std::uint64_t{1} << i;
  }
}

NamePlan::Taken NamePlan::ask(const Sample& sample, Scratch& scratch) const {
  Taken out;
  std::vector<Slice> slices;
  for (const auto& reply : sample.replies)
    for (const auto& kv : reply.keys) ask(kv.key, kv.value, scratch, slices, out);
  return out;
}

void NamePlan::member_again(std::uint64_t takes) {
  for (std::size_t i = 0; i < candidates_.size(); ++i) candidates_[i].dropped |= (takes >> i & 1) == 0;
}

bool NamePlan::same_name(const registry::Identity& identity) const {
  if (!compatible(identity.vendor.value, naming_.vendor)) return false;
  if (places_.empty()) return compatible(identity.product.value, naming_.product);
  Scratch scratch;
  std::vector<Slice> slices;
  return family_.match(identity.product.value, Pattern::Mode::bytes, scratch, slices) == Pattern::Outcome::match;
}

void NamePlan::other(registry::Id device, const registry::Identity& identity, std::uint64_t takes) {
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    auto& c = candidates_[i];
    if ((takes >> i & 1) == 0) continue;
    if (!identity.product_known()) { c.also.push_back(device); continue; }
    if (same_name(identity)) continue;
    if (c.conflict != 0 && c.conflict < device) continue;
    c.conflict = device;
    c.why = fmt::format("{} \"{}\" is also shown by device {}, which is named {} {}", c.key, to_log(c.examples.front()), device, to_log(identity.vendor.value), to_log(identity.product.value));
  }
}

void NamePlan::hold_back() {
  const auto last = std::find_if(candidates_.begin(), candidates_.end(), [](const Candidate& c) { return c.key == last_resort; });
  if (last != candidates_.end()) last->held = std::any_of(candidates_.begin(), last, [](const Candidate& c) { return c.open(); });
}

bool NamePlan::release() {
  judge();
  const auto held = std::find_if(candidates_.begin(), candidates_.end(), [](const Candidate& c) { return c.held; });
  const auto rule = [](const Candidate& c) { return c.compiled && !c.dropped && c.why.empty(); };
  if (held == candidates_.end() || std::any_of(candidates_.begin(), held, rule)) return false;
  held->held = false;
  return held->open();
}

// It must not take an example away from a rule that exists.
void NamePlan::judge() {
  Scratch scratch;
  std::vector<Slice> slices;
  for (auto& c : candidates_) {
    if (!c.open()) continue;
    const auto takes_text = [&](std::string_view text) { return c.pattern.match(text, Pattern::Mode::bytes, scratch, slices) == Pattern::Outcome::match; };
    for (const auto index : rules_->files_of(c.key)) {
      for (const auto& existing : rules_->files()[index].rules) {
        for (const auto& negative : existing.negatives) c.decoys += takes_text(negative.text) ? 0 : 1;
        for (const auto& example : existing.examples) {
          if (!takes_text(example.text)) ++c.decoys;
          else if (c.why.empty()) c.why = fmt::format("{} would take an example of rule {}", c.key, existing.id);
        }
      }
    }
    c.judged = true;
  }
}

Result<std::vector<NamedRule>> NamePlan::finish() {
  judge();
  std::vector<NamedRule> out;
  std::string why;
  for (auto& c : candidates_) {
    // A family by one key only: in another one {1} may be a serial number.
    if (out.size() == (places_.empty() ? max_naming_rules : 1)) break;
    if (c.held || (c.key == last_resort && !out.empty())) continue;
    if (!c.compiled && (places_.empty() || why.empty())) why = c.why;  // of a family: what the most telling key lacks
    if (!c.compiled || c.dropped) continue;
    if (!c.why.empty()) {
      why = c.why;
      continue;
    }
    NamedRule rule;
    rule.key = c.key;
    rule.pattern = c.text;
    rule.file = rule_file_name(c.key, naming_.cluster);
    rule.rule_id = rule.file.substr(0, rule.file.size() - 4) + ":" + naming_.cluster;
    rule.xml = rule_file_xml(naming_, c.key, c.text, c.examples, places_);
    rule.also = std::move(c.also);
    std::sort(rule.also.begin(), rule.also.end());
    rule.matches = members_;
    rule.decoys = c.decoys;
    rule.cost_ns = c.cost_ns;
    out.push_back(std::move(rule));
  }
  if (out.empty())
    return fail(Code::refused, why.empty() ? "the members share no feature that is telling enough for a rule" : why,
                "look at the members again: a name must not reach devices that have another name");
  return out;
}

}  // namespace nora::identify
