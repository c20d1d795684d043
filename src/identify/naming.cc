// The files of named clusters: a rule in the recog schema per match key (cluster.h, name_plan.h).
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <pugixml.hpp>
#include <sstream>

#include "base/escape.h"
#include "base/files.h"
#include "identify/name_plan.h"

namespace nora::identify {

namespace fs = std::filesystem;

namespace {

constexpr double named_certainty = 0.9;  // an analyst's label, accepted by a second person

// A constant, or what group `pos` took.
void add_param(pugi::xml_node node, const char* name, std::string_view value, std::size_t pos = 0) {
  if (value.empty() && pos == 0) return;
  auto param = node.append_child("param");
  param.append_attribute("pos") = pos;
  param.append_attribute("name") = name;
  if (pos == 0) param.append_attribute("value") = std::string(value).c_str();
}

}  // namespace

bool is_plain_text(std::string_view s) {
  return is_valid_utf8(s) && std::all_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

std::string rule_file_xml(const Naming& n, std::string_view key, std::string_view pattern, const std::vector<std::string>& examples, std::span<const std::size_t> places) {
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
  // "{1}" of a family becomes the place of a captured word, as recog writes it.
  std::string product;
  for (const char c : n.product) product += c == '{' ? std::string("{_tmp.") : std::string(1, c);
  for (std::size_t i = 0; i < places.size(); ++i) add_param(rule, fmt::format("_tmp.{}", places[i]).c_str(), "", i + 1);
  add_param(rule, "hw.vendor", n.vendor);
  add_param(rule, "hw.product", product);
  add_param(rule, "hw.device", n.type);
  add_param(rule, "hw.certainty", fmt::format("{:.2f}", named_certainty));
  std::ostringstream out;
  document.save(out, "  ", pugi::format_default, pugi::encoding_utf8);
  return out.str();
}

std::string rule_file_name(std::string_view key, std::string_view cluster) {
  std::string out;
  for (const char c : key) out += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return fmt::format("{}.{}.xml", out, cluster);
}

Status write_name(const std::vector<NamedRule>& rules, const fs::path& operator_rules) {
  std::error_code error;
  fs::create_directories(operator_rules, error);
  if (error) return fail(Code::failed, fmt::format("cannot make {}: {}", operator_rules.string(), error.message()));
  for (const auto& rule : rules) NORA_CHECK(replace_file(operator_rules / rule.file, rule.xml));
  return {};
}

Result<int> unname_cluster(std::string_view cluster, const fs::path& operator_rules) {
  if (!is_cluster_key(cluster)) return fail(Code::usage, "not a cluster key");
  int removed = 0;
  for (const auto key : nameable_keys()) {
    std::error_code error;
    if (fs::remove(operator_rules / rule_file_name(key, cluster), error)) ++removed;
    if (error) return fail(Code::failed, fmt::format("cannot remove {}: {}", rule_file_name(key, cluster), error.message()));
  }
  if (removed == 0) return fail(Code::not_found, fmt::format("no rule file of cluster {} is in {}", cluster, operator_rules.string()));
  return removed;
}

}  // namespace nora::identify
