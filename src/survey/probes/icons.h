// Pictures in HTTP answers. An icon becomes its hashes, a live view a flag; no picture is kept. Used by web.cc (the icon's own answer) and by
// the parsers of pages. Icons: /favicon.ico, and those that a page carries inside itself as data: URLs (RFC 2397). Pure; runs in the jail.
#pragma once

#include <string_view>

#include "survey/probes/parsed.h"

namespace nora::survey {

struct HttpResponse;

inline constexpr std::size_t max_inline_pictures = 64;  // of one page; further ones are dropped without a hash

// The first bytes of a picture, or an SVG document.
bool is_icon(std::string_view body);
// favicon.md5, favicon.mmh3, favicon.sha256, favicon.size.
void add_icon(Parsed& out, ByteView icon);
// A picture, or a page that is a live view, loses its body and becomes http.live_view. In a page, each picture of a data: URL is replaced by its
// SHA-256 (the same page stays the same reply), and the icon among them gives its hashes; a <link rel=icon> elsewhere gives http.icon_path.
void without_pictures(Parsed& out, HttpResponse& response);

}  // namespace nora::survey
