// The line icons: own drawings on a 24 x 24 grid, one path string each.
#include <algorithm>
#include <array>

#include "http/html.h"

namespace nora::http {
namespace {

struct Icon {
  std::string_view name;
  std::string_view path;
};

constexpr std::array<Icon, 20> icons{{
    {"shield", "M12 2.8l7.6 2.9v5.6c0 4.700-3.100 8.300-7.600 9.900-4.500-1.600-7.600-5.200-7.600-9.900V5.700zM8.400 11.800l2.600 2.600 4.700-4.900"},
    {"warn", "M12 3.300L22.200 20.700H1.800zM12 9.600v5.600M12 17.700v.5"},
    {"ok", "M12 2.800a9.200 9.200 0 1 0 0 18.400a9.200 9.200 0 1 0 0-18.400M7.800 12.200l3 3 5.600-6"},
    {"info", "M12 2.800a9.200 9.200 0 1 0 0 18.400a9.200 9.200 0 1 0 0-18.400M12 11v5.800M12 7.300v.5"},
    {"camera", "M2.500 7.500h12.500v9H2.500zM8.700 9.700a2.300 2.300 0 1 0 0 4.600a2.300 2.300 0 1 0 0-4.600M15 11l6-2.700v7.400L15 13M8.700 16.500v4M5.500 20.500h6.400"},
    {"recorder", "M2.500 7h19v10h-19zM5.500 10h7v4h-7zM16 10.500v.3M18.500 10.500v.3M16 13.500h2.500M5 17v2M19 17v2"},
    {"router", "M3 13.500h18v6H3zM6.500 16.500h.5M10 16.500h.5M17.500 13.500V8.500M14 6.200a5 5 0 0 1 7 0M15.600 8a2.700 2.700 0 0 1 3.800 0"},
    {"nas", "M5 3h14v18H5zM7.500 6h9v4.500h-9zM7.500 13h9v4.500h-9zM14.500 8.300v.3M14.500 15.300v.3"},
    {"printer", "M6.500 9V3.500h11V9M6.500 17h-3V9h17v8h-3M6.500 14h11v6.500h-11zM17.500 11.700v.3"},
    {"phone", "M6.200 3.500l3 .7 1.300 4-2 1.600a12 12 0 0 0 5.700 5.700l1.600-2 4 1.300.7 3c0 1.500-1.200 2.700-2.700 2.700C10.300 20.500 3.500 13.700 3.500 6.200c0-1.500 1.200-2.700 2.700-2.700z"},
    {"controller", "M3.500 4.500h17v15h-17zM7 8h4v4H7zM14 8.500h3.500M14 11.500h3.500M7 15.800h10.500"},
    {"server", "M3.500 4h17v6.500h-17zM3.500 13.500h17V20h-17zM7 7.200h.5M7 16.700h.5M11 7.200h6M11 16.700h6"},
    {"screen", "M2.500 4.500h19v12h-19zM9 20.500h6M12 16.500v4"},
    {"unknown", "M4 4h16v16H4zM9.500 9.600a2.600 2.600 0 1 1 3.700 2.300c-.9.500-1.200 1-1.200 1.800M12 16.500v.5"},
    {"print", "M6.500 9V3.500h11V9M6.500 17h-3V9h17v8h-3M6.500 14h11v6.500h-11z"},
    {"check", "M4.500 12.500l5 5 10-11"},
    {"close", "M5.500 5.500l13 13M18.500 5.500l-13 13"},
    {"minus", "M5 12h14"},
    {"search", "M10.500 3.500a7 7 0 1 0 0 14a7 7 0 1 0 0-14M15.700 15.700l5 5"},
    {"people", "M8.500 4a3.500 3.500 0 1 0 0 7a3.500 3.500 0 1 0 0-7M2.500 20v-2.500a4 4 0 0 1 4-4h4a4 4 0 0 1 4 4V20M16 4.300a3.500 3.500 0 0 1 0 6.400M18 13.700a4 4 0 0 1 3.500 3.800V20"},
}};

}  // namespace

Html icon(std::string_view name) {
  const auto find = [](std::string_view n) { return std::find_if(icons.begin(), icons.end(), [&](const Icon& i) { return i.name == n; }); };
  auto found = find(name);
  if (found == icons.end()) found = find("unknown");
  return element("svg", cls("icon"), attr("viewBox", "0 0 24 24"), attr("fill", "none"), attr("stroke", "currentColor"), attr("stroke-width", "1.7"),
                 attr("stroke-linecap", "round"), attr("stroke-linejoin", "round"), attr("aria-hidden", "true"), attr("focusable", "false"),
                 element("path", attr("d", found->path)));
}

std::string_view icon_for_type(std::string_view type) {
  std::string lower(type);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto has = [&](std::string_view word) { return lower.find(word) != std::string::npos; };
  if (has("recorder") || has("dvr") || has("nvr")) return "recorder";
  if (has("cam")) return "camera";
  if (has("nas") || has("storage")) return "nas";
  if (has("print")) return "printer";
  if (has("phone") || has("voip") || has("sip")) return "phone";
  if (has("plc") || has("controller") || has("control") || has("ics") || has("building")) return "controller";
  if (has("router") || has("gateway") || has("cpe") || has("modem") || has("access point") || has("firewall")) return "router";
  if (has("server") || has("broker") || has("proxy") || has("resolver")) return "server";
  if (has("screen") || has("display") || has("signage") || has("tv") || has("desktop")) return "screen";
  return "unknown";
}

}  // namespace nora::http
