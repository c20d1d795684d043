#include "identify/upstream.h"

#include <pugixml.hpp>
#include <sstream>
#include <vector>

namespace nora::identify {

namespace {
bool is_ours(std::string_view name) { return name.starts_with("nora:") || name == "xmlns:nora"; }

void strip(pugi::xml_node node) {
  std::vector<pugi::xml_attribute> attributes;
  for (const auto& a : node.attributes()) if (is_ours(a.name())) attributes.push_back(a);
  for (const auto& a : attributes) node.remove_attribute(a);
  std::vector<pugi::xml_node> children;
  for (const auto& c : node.children()) if (is_ours(c.name())) children.push_back(c);
  for (const auto& c : children) node.remove_child(c);
  for (const auto& c : node.children()) strip(c);
}
}  // namespace

Result<std::string> recog_xml(std::string_view xml, bool unverified_too) {
  pugi::xml_document document;
  if (const auto read = document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single, pugi::encoding_utf8); !read)
    return fail(Code::bad_input, read.description());
  auto root = document.child("fingerprints");
  if (!root) return fail(Code::bad_input, "the root element is not <fingerprints>");
  std::vector<pugi::xml_node> dropped;
  std::size_t left = 0;
  for (const auto& rule : root.children("fingerprint")) {
    const bool ours = rule.attribute("nora:source") || rule.attribute("nora:verified");
    if (ours && !unverified_too && std::string_view(rule.attribute("nora:verified").as_string()) != "yes") dropped.push_back(rule);
    else ++left;
  }
  if (left == 0) return fail(Code::not_found, "no rule of the file is verified", "--unverified takes the others too");
  for (const auto& rule : dropped) root.remove_child(rule);
  strip(document);
  std::ostringstream out;
  document.save(out, "  ", pugi::format_default, pugi::encoding_utf8);
  return out.str();
}

}  // namespace nora::identify
