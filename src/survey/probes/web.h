// What lies on the web besides pages: icons, HNAP, CWMP, version documents of container and search servers, NTRIP casters, the list of an
// internet gateway's port mappings. Used by parse.cc. Parts: [HTTP answer]; igd: one per mapping asked for. Pure; runs in the jail.
// All but cwmp and ntrip return false for a page that is not what was asked for: it has been seen under "/" already.
#pragma once

#include "survey/probes/parsed.h"

namespace nora::survey {

struct HttpResponse;

bool parse_favicon(Parsed& out, ByteView answer);  // hashes only: the picture is not kept
bool parse_hnap(Parsed& out, ByteView answer);
bool parse_cwmp(Parsed& out, const Item& item);     // the keys of a page, under its own protocol word
bool parse_version(Parsed& out, ByteView answer);   // docker, kubernetes
bool parse_ntrip(Parsed& out, ByteView answer);     // how many streams, not where they are
bool parse_igd(Parsed& out, const Item& item);      // how many mappings, and how many lead out of the home; not whose
// A JSON document of a known server at "/": http.app, http.app_version.
void add_app(Parsed& out, const HttpResponse& response);

}  // namespace nora::survey
