// Naming a cluster: from the members' shared values to a rule file in the recog schema (cluster.h).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <pugixml.hpp>
#include <sstream>

#include "base/escape.h"
#include "base/files.h"
#include "identify/cluster.h"
#include "identify/words.h"

namespace nora::identify {

namespace fs = std::filesystem;

namespace {

constexpr double named_certainty = 0.9;  // an analyst's label, accepted by a second person
constexpr std::size_t min_literal_bytes = 6;

// Keys that can carry a name, the telling ones first.
constexpr std::array<std::string_view, 32> nameable = {
    "html_title", "http_header.wwwauth", "telnet_banners", "upnp.model_name", "x509.subject", "ftp.banner", "snmp.sys_description", "coap.core",
    "modbus.device_id", "ipp.make_and_model", "enip.product_name", "bacnet.model", "s7.module", "fins.model", "slmp.cpu", "hnap.model", "dvr.model", "dvr.class",
    "wsd.hardware", "ubiquiti.model", "moxa.model", "adb.model", "knx.name", "rtsp_header.server", "sip_header.server", "sip_header.user_agent", "ssdp.server",
    "pptp.vendor", "favicon.sha256", "ssh.banner", "http_header.server", "http.body_shape"};
// Texts that thousands of different products show.
constexpr std::array<std::string_view, 16> generic = {"login", "index", "home", "welcome", "untitled", "document", "error", "not found", "unauthorized", "forbidden",
                                                      "bad request", "router", "camera", "web server", "apache", "nginx"};

// A literal for a pattern: ASCII letters, digits, blanks as they are, everything else escaped; runs of digits and hex become classes when
// `loose` (the members differ there).
std::string pattern_of(std::string_view text, bool loose) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (loose && std::isalnum(c)) {
      std::size_t end = i;
      while (end < text.size() && std::isalnum(static_cast<unsigned char>(text[end]))) ++end;
      const auto word = text.substr(i, end - i);
      if (masked(word) == "#") {
        out += std::all_of(word.begin(), word.end(), [](char d) { return std::isdigit(static_cast<unsigned char>(d)); }) ? "[0-9]+" : "[0-9A-Za-z]+";
      } else {
        for (std::size_t k = 0; k < word.size();) {
          if (!std::isdigit(static_cast<unsigned char>(word[k]))) { out += word[k++]; continue; }
          while (k < word.size() && std::isdigit(static_cast<unsigned char>(word[k]))) ++k;
          out += "[0-9]+";
        }
      }
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

std::string first_value(const Sample& sample, std::string_view key) {
  std::string best;
  for (const auto& reply : sample.replies)
    for (const auto& kv : reply.keys)
      if (kv.key == key && !kv.value.empty() && (best.empty() || kv.value < best)) best = kv.value;
  return best;
}

bool any_value_matches(const Sample& sample, std::string_view key, const Pattern& pattern, Scratch& scratch) {
  std::vector<Slice> slices;
  for (const auto& reply : sample.replies)
    for (const auto& kv : reply.keys)
      if (kv.key == key && pattern.match(kv.value, Pattern::Mode::bytes, scratch, slices) == Pattern::Outcome::match) return true;
  return false;
}

bool is_plain_text(std::string_view s) {
  return is_valid_utf8(s) && std::all_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

void add_param(pugi::xml_node node, const char* name, std::string_view value) {
  if (value.empty()) return;
  auto param = node.append_child("param");
  param.append_attribute("pos") = "0";
  param.append_attribute("name") = name;
  param.append_attribute("value") = std::string(value).c_str();
}

std::string to_xml(const Naming& n, std::string_view key, std::string_view pattern, const std::vector<std::string>& examples) {
  pugi::xml_document document;
  auto root = document.append_child("fingerprints");
  root.append_attribute("xmlns:nora") = "urn:nora:rules:1";
  root.append_attribute("matches") = std::string(key).c_str();
  root.append_attribute("preference") = "0.95";
  auto rule = root.append_child("fingerprint");
  rule.append_attribute("pattern") = std::string(pattern).c_str();
  rule.append_attribute("nora:id") = n.cluster.c_str();
  rule.append_attribute("nora:source") = fmt::format("cluster {}, proposed by {}, accepted by {}, {}", n.cluster, n.proposed_by, n.accepted_by, n.at.text()).c_str();
  rule.append_attribute("nora:verified") = "yes";
  rule.append_child("description").text().set(fmt::format("{} {}", n.vendor, n.product).c_str());
  for (const auto& text : examples) {
    auto example = rule.append_child("example");
    if (is_plain_text(text) && text == std::string_view(text).substr(text.find_first_not_of(' ') == std::string::npos ? 0 : text.find_first_not_of(' '))) {
      example.text().set(text.c_str());
    } else {
      example.append_attribute("_encoding") = "base64";
      example.text().set(to_base64(as_bytes(text)).c_str());
    }
  }
  add_param(rule, "hw.vendor", n.vendor);
  add_param(rule, "hw.product", n.product);
  add_param(rule, "hw.device", n.type);
  add_param(rule, "hw.certainty", fmt::format("{:.2f}", named_certainty));
  std::ostringstream out;
  document.save(out, "  ", pugi::format_default, pugi::encoding_utf8);
  return out.str();
}

std::string file_name(std::string_view key, std::string_view cluster) {
  std::string out;
  for (const char c : key) out += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return fmt::format("{}.{}.xml", out, cluster);
}

bool is_cluster_key(std::string_view key) {
  return key.size() == 12 && key.starts_with("c-") && key.substr(2).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A name goes into file, page and mail: printable, short, no markup tricks needed later.
bool is_name(std::string_view text) { return !text.empty() && text.size() <= 100 && is_plain_text(text) && text.find_first_of("{}<>") == std::string_view::npos; }

}  // namespace

Result<std::vector<NamedRule>> plan_name(const Naming& naming, std::span<const Sample> samples, const RuleSet& rules) {
  if (!is_cluster_key(naming.cluster)) return fail(Code::usage, fmt::format("\"{}\" is not a cluster key", to_log(naming.cluster)), "see nora cluster list");
  if (!is_name(naming.product)) return fail(Code::usage, "the product name is missing or not plain text of at most 100 bytes");
  if ((!naming.vendor.empty() && !is_name(naming.vendor)) || (!naming.type.empty() && !is_name(naming.type))) return fail(Code::usage, "vendor or type is not plain text of at most 100 bytes");
  if (naming.proposed_by.empty() || naming.accepted_by.empty() || naming.proposed_by == naming.accepted_by)
    return fail(Code::usage, "a name needs two different persons: one proposes, another accepts");
  std::vector<const Sample*> members, others;
  for (const auto& sample : samples) (cluster_key(sample) == naming.cluster ? members : others).push_back(&sample);
  if (members.empty()) return fail(Code::not_found, fmt::format("no device is in cluster {}", naming.cluster), "see nora cluster list");

  Scratch scratch;
  std::vector<NamedRule> out;
  std::string why;
  for (const auto key : nameable) {
    if (out.size() == max_naming_rules) break;
    std::set<std::string> values, masks;
    bool all = true;
    for (const auto* member : members) {
      const auto value = first_value(*member, key).substr(0, max_feature_bytes);
      if (value.empty()) { all = false; break; }
      values.insert(value);
      masks.insert(masked(value));
    }
    if (!all || masks.size() != 1) continue;  // only what every member shows, alike
    if (values.begin()->size() < min_literal_bytes || std::find(generic.begin(), generic.end(), *masks.begin()) != generic.end()) continue;
    // A Server header alone names web software, not a product.
    if (key == "http_header.server" && !out.empty()) continue;
    const std::string text = pattern_of(*values.begin(), values.size() > 1);
    auto pattern = Pattern::compile(text, "");
    if (!pattern) { why = pattern.error().what; continue; }
    const bool hits_all = std::all_of(members.begin(), members.end(), [&](auto* m) { return any_value_matches(*m, key, *pattern, scratch); });
    if (!hits_all) continue;
    NamedRule rule;
    rule.key = key;
    rule.pattern = text;
    rule.file = file_name(key, naming.cluster);
    rule.matches = members.size();
    bool refused = false;
    for (const auto* other : others) {
      if (!any_value_matches(*other, key, *pattern, scratch)) { rule.decoys += first_value(*other, key).empty() ? 0 : 1; continue; }
      const auto& identity = other->identity;
      if (!identity.product_known()) { rule.also.push_back(other->device); continue; }
      if (compatible(identity.product.value, naming.product) && compatible(identity.vendor.value, naming.vendor)) continue;
      why = fmt::format("{} \"{}\" is also shown by device {}, which is named {} {}", key, to_log(*values.begin()), other->device, to_log(identity.vendor.value), to_log(identity.product.value));
      refused = true;
      break;
    }
    // It must not take an example away from a rule that exists.
    std::vector<Slice> slices;
    for (const auto index : rules.files_of(key)) {
      for (const auto& existing : rules.files()[index].rules) {
        for (const auto& negative : existing.negatives) rule.decoys += pattern->match(negative.text, Pattern::Mode::bytes, scratch, slices) != Pattern::Outcome::match ? 1 : 0;
        for (const auto& example : existing.examples) {
          if (refused) continue;
          if (pattern->match(example.text, Pattern::Mode::bytes, scratch, slices) != Pattern::Outcome::match) { ++rule.decoys; continue; }
          why = fmt::format("{} would take an example of rule {}", key, existing.id);
          refused = true;
        }
      }
    }
    if (refused) continue;
    std::vector<std::string> examples(values.begin(), values.end());
    if (examples.size() > max_rule_examples) examples.resize(max_rule_examples);
    rule.xml = to_xml(naming, key, text, examples);
    rule.rule_id = rule.file.substr(0, rule.file.size() - 4) + ":" + naming.cluster;
    out.push_back(std::move(rule));
  }
  if (out.empty())
    return fail(Code::refused, why.empty() ? "the members share no feature that is telling enough for a rule" : why,
                "look at the members again: a name must not reach devices that have another name");
  return out;
}

Result<std::vector<NamedRule>> name_cluster(const Naming& naming, std::span<const Sample> samples, const RuleSet& rules, const fs::path& operator_rules) {
  NORA_TRY(auto plan, plan_name(naming, samples, rules));
  std::error_code error;
  fs::create_directories(operator_rules, error);
  if (error) return fail(Code::failed, fmt::format("cannot make {}: {}", operator_rules.string(), error.message()));
  for (const auto& rule : plan) NORA_CHECK(replace_file(operator_rules / rule.file, rule.xml));
  return plan;
}

Result<int> unname_cluster(std::string_view cluster, const fs::path& operator_rules) {
  if (!is_cluster_key(cluster)) return fail(Code::usage, "not a cluster key");
  int removed = 0;
  for (const auto key : nameable) {
    std::error_code error;
    if (fs::remove(operator_rules / file_name(key, cluster), error)) ++removed;
    if (error) return fail(Code::failed, fmt::format("cannot remove {}: {}", file_name(key, cluster), error.message()));
  }
  if (removed == 0) return fail(Code::not_found, fmt::format("no rule file of cluster {} is in {}", cluster, operator_rules.string()));
  return removed;
}

}  // namespace nora::identify
