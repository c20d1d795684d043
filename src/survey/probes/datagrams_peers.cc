// Games, voice servers and file-sharing peers over UDP (datagrams.h). They are reflectors; of their players and peers nothing is kept.
#include <algorithm>

#include "survey/probes/datagrams.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;

bool is_unconnected(ByteView b) { return b.size() >= 5 && b[0] == 0xff && b[1] == 0xff && b[2] == 0xff && b[3] == 0xff; }

// Valve, "Server queries": 49 with information, or 41 with a challenge (then a forged question brings nothing larger).
bool parse_a2s(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (!is_unconnected(b)) return false;
  if (b[4] == 0x41) {
    out.protocol = "a2s";
    out.add("a2s.answer", "challenge");
  } else if (b[4] == 0x49 && b.size() > 6) {
    out.protocol = "a2s";
    out.add("a2s.answer", "info");
    std::string_view rest = as_text(b.subspan(6));
    const auto word = [&] {
      auto end = std::min(rest.find('\0'), rest.size());
      auto text = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      return text;
    };
    word();  // the server's name
    word();  // the map
    if (auto folder = word(); !folder.empty()) out.add("a2s.folder", folder.substr(0, 64));
    if (auto game = word(); !game.empty()) out.add("a2s.game", game.substr(0, 64));
  } else {
    return false;
  }
  out.keep_keys_only();
  return true;
}

// "infoResponse\n\key\value…"; the challenge came back when the answer was accepted.
bool parse_quake3(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (!is_unconnected(b)) return false;
  auto text = as_text(b.subspan(4));
  if (!text.starts_with("infoResponse") && !text.starts_with("statusResponse")) return false;
  out.protocol = "quake3";
  out.add("quake3.answer", text.starts_with("info") ? "info" : "status");
  const auto value = [&](std::string_view name) -> std::string_view {
    auto at = text.find("\\" + std::string(name) + "\\");
    if (at == npos) return {};
    auto rest = text.substr(at + name.size() + 2);
    return rest.substr(0, std::min<std::size_t>(rest.find_first_of("\\\n"), 64));
  };
  for (auto [name, key] : {std::pair{std::string_view("gamename"), std::string_view("quake3.game")}, {"protocol", "quake3.protocol"}})
    if (auto v = value(name); !v.empty()) out.add(key, v);
  out.keep_keys_only();
  return true;
}

// Observed: the same eight letters, packet id, type 8, then step 1.
bool parse_teamspeak(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (b.size() < 12 || !as_text(b).starts_with("TS3INIT1") || (b[10] & 0x0f) != 8) return false;
  out.protocol = "teamspeak3";
  out.add("teamspeak3.step", std::to_string(b[11]));
  out.keep_keys_only();
  return true;
}

bool parse_kad(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (b.size() < 2 || b.size() > 16 || b[0] != 0xe4 || b[1] != 0x61) return false;
  out.protocol = "kad";
  out.add("kad.answered", "1");
  out.keep_keys_only();
  return true;
}

// BEP 5: a dictionary with y = r. v names the client in two letters and a version.
bool parse_bittorrent(Parsed& out, const Item& item) {
  const auto text = as_text(first_datagram(item));
  if (!text.starts_with("d") || text.find("1:y1:r") == npos) return false;
  out.protocol = "bittorrent";
  out.add("bittorrent.dht", "answered");
  if (auto at = text.find("1:v4:"); at != npos && at + 9 <= text.size()) {
    auto v = text.substr(at + 5, 4);
    if (is_text(as_bytes(v.substr(0, 2)))) out.add("bittorrent.client", std::string(v.substr(0, 2)) + " " + to_hex(as_bytes(v.substr(2))));
  }
  out.keep_keys_only();
  return true;
}

}  // namespace

std::span<const DatagramParser> peer_parsers() {
  static constexpr DatagramParser all[] = {{"a2s", parse_a2s},
                                           {"quake3", parse_quake3},
                                           {"teamspeak3", parse_teamspeak},
                                           {"kad", parse_kad},
                                           {"bittorrent-dht", parse_bittorrent}};
  return all;
}

}  // namespace nora::survey
