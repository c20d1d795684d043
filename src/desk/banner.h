// Raw replies on a page: bytes as cleaned text or hex, with the parts that decided marked and what names a person or an organisation masked
// (identify/personal.h). Unmasked it goes to the owner finder of the on-site track only. Used by the host and cluster pages.
// Limits: max_shown_bytes of a reply, max_marks marks.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "expose/knowledge.h"
#include "http/html.h"
#include "identify/matcher.h"
#include "registry/types.h"

namespace nora::desk {

inline constexpr std::size_t max_shown_bytes = 4096;
inline constexpr std::size_t max_marks = 50;

using ByteRange = std::pair<std::size_t, std::size_t>;  // [from, to)

// Where in the reply's bytes a rule matched: sorted, not overlapping.
std::vector<ByteRange> matched_parts(identify::Matcher& matcher, const registry::Reply& reply);
// Where in the bytes one of these values stands (features that a cluster shares).
std::vector<ByteRange> parts_with(const registry::Reply& reply, const std::vector<std::string>& values);
// Vendors of the products that are known: their names in a banner are not masked. knowledge may be nullptr.
std::vector<std::string> makers_of(const expose::Knowledge* knowledge);
// <pre> with <mark>s. label names the region (it can scroll, so it takes the focus). makers: vendors whose names are not masked.
http::Html banner(std::string_view label, const registry::Reply& reply, const std::vector<ByteRange>& marks, const std::vector<std::string>& makers = {});

}  // namespace nora::desk
