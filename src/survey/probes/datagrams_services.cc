// Small services and file services over UDP: CharGEN, QOTD, Echo, Daytime, Time, Active users, memcached, CLDAP, port mapper, TFTP, RX,
// Jenkins, the VxWorks debug agent (datagrams.h).
#include <algorithm>
#include <cctype>
#include <map>

#include "survey/probes/brokers.h"
#include "survey/probes/datagrams.h"
#include "survey/probes/der.h"
#include "survey/probes/reader.h"

namespace nora::survey {
namespace {

// The services of inetd answer with anything; that an answer of this form came is all there is to know.
bool answered(Parsed& out, std::string_view protocol) {
  out.protocol = protocol;
  out.add(std::string(protocol) + ".answered", "1");
  out.keep_keys_only();
  return true;
}

constexpr std::size_t chargen_min_bytes = 32, daytime_min_bytes = 8, short_text_bytes = 512;

bool parse_chargen(Parsed& out, const Item& item) {  // RFC 864
  const auto b = first_datagram(item);
  return b.size() >= chargen_min_bytes && is_text(b) && answered(out, "chargen");
}
bool parse_qotd(Parsed& out, const Item& item) {  // RFC 865: a short text of at most 512 characters, in any encoding
  const auto b = first_datagram(item);
  const auto letters = std::count_if(b.begin(), b.end(), [](std::uint8_t c) { return c >= 0x20; });
  return letters >= 4 && b.size() <= 2 * short_text_bytes && std::find(b.begin(), b.end(), 0) == b.end() && answered(out, "qotd");
}
bool parse_echo(Parsed& out, const Item& item) {  // RFC 862; that they are our bytes was seen when the answer was accepted
  return first_datagram(item).size() == 4 && answered(out, "echo");
}
bool parse_daytime(Parsed& out, const Item& item) {  // RFC 867: a text with a clock in it
  const auto b = first_datagram(item);
  if (b.size() < daytime_min_bytes || b.size() > short_text_bytes || !is_text(b)) return false;
  const auto text = as_text(b);
  bool clock = false;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) clock = clock || (text[i] == ':' && std::isdigit(b[i - 1]) && std::isdigit(b[i + 1]));
  return clock && answered(out, "daytime");
}
bool parse_time(Parsed& out, const Item& item) {  // RFC 868: seconds since 1900
  constexpr std::uint32_t year_2000 = 3'155'673'600;
  const auto b = first_datagram(item);
  return b.size() == 4 && get_u32be(b.data()) >= year_2000 && answered(out, "time");
}
bool parse_users(Parsed& out, const Item& item) {  // RFC 866: one user a line. Whether there are any, never who
  const auto b = first_datagram(item);
  if (!b.empty() && !is_text(b)) return false;
  out.protocol = "users";
  out.add("users.answered", "1");
  out.add("users.any", trim(as_text(b)).empty() ? "0" : "1");
  out.keep_keys_only();
  return true;
}

// A frame header of 8 bytes, then the text protocol (memcached doc/protocol.txt).
bool parse_memcached_udp(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  constexpr std::size_t header = 8;
  if (b.size() < header || !as_text(b.subspan(header)).starts_with("VERSION ") || !parse_memcached(out, b.subspan(header))) return false;
  out.keep_keys_only();
  return true;
}

// RFC 4511: SearchResultEntry of the root DSE. What names the software is kept; names of the organisation's servers and domains are not.
bool parse_cldap(Parsed& out, const Item& item) {
  static constexpr std::pair<std::string_view, std::string_view> wanted[] = {
      {"vendorname", "ldap.vendor"},
      {"vendorversion", "ldap.vendor_version"},
      {"domaincontrollerfunctionality", "ldap.functionality"},
      {"supportedldapversion", "ldap.version"}};
  bool entry = false, directory = false;
  std::map<std::string_view, std::string> values;
  int result = -1;
  for (const auto& part : item.parts) {
    Reader outer(part);
    while (!outer.done() && !outer.bad()) {
      auto message = der(outer, 0x30);
      if (!message) break;
      Reader r(*message);
      if (!der(r, 0x02) || r.done()) break;
      Reader peek(*message);
      der(peek, 0x02);
      auto tag = peek.u8();
      auto body = der(r, tag);
      if (!body) break;
      Reader e(*body);
      if (tag == 0x65) {  // SearchResultDone
        auto code = der(e, 0x0a);
        if (code && code->size() == 1) result = (*code)[0];
      }
      if (tag != 0x64) continue;
      entry = true;
      der(e, 0x04);
      auto list = der(e, 0x30);
      if (!list) continue;
      Reader l(*list);
      for (int i = 0; i < 128 && !l.done() && !l.bad(); ++i) {
        auto attribute = der(l, 0x30);
        if (!attribute) break;
        Reader a(*attribute);
        auto type = der(a, 0x04);
        auto set = type ? der(a, 0x31) : std::nullopt;
        if (!set) break;
        auto name = lower(as_text(*type));
        if (name == "rootdomainnamingcontext" || name == "forestfunctionality") directory = true;
        for (auto [attribute_name, key] : wanted) {
          if (name != attribute_name) continue;
          Reader v(*set);
          std::string joined;
          for (int k = 0; k < 8 && !v.done(); ++k) {
            auto value = der(v, 0x04);
            if (!value) break;
            joined += (joined.empty() ? "" : ",") + clean(*value);
          }
          values[key] = joined;
        }
      }
    }
  }
  if (!entry && result < 0) return false;
  out.protocol = "cldap";
  out.add("ldap.entry", entry ? "1" : "0");
  if (!entry) out.add("ldap.result", std::to_string(result));
  if (entry) out.add("ldap.directory", directory ? "active-directory" : "other");
  for (const auto& [key, value] : values) out.add(key, value);
  out.keep_keys_only();
  return true;
}

// RFC 5531 section 9: an accepted reply. Returns the accept status, or nothing when it is none or was denied.
std::optional<std::uint32_t> rpc_status(Reader& r) {
  r.u32();  // transaction id: already checked against the token
  auto kind = r.u32(), state = r.u32();
  if (r.bad() || kind != 1 || state != 0) return std::nullopt;
  r.u32();
  auto verifier = r.u32();
  if (verifier > 400) return std::nullopt;
  r.skip(verifier + (4 - verifier % 4) % 4);
  auto status = r.u32();
  if (r.bad()) return std::nullopt;
  return status;
}
std::string rpc_word(std::uint32_t status) {
  static constexpr std::string_view words[] = {"success", "prog-unavail", "prog-mismatch", "proc-unavail", "garbage-args", "system-err"};
  return status < std::size(words) ? std::string(words[status]) : "other";
}

bool parse_portmap_null(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto status = rpc_status(r);
  if (!status) return false;
  out.protocol = "portmap";
  out.add("portmap.null", rpc_word(*status));
  out.keep_keys_only();
  return true;
}

bool parse_portmap_dump(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto status = rpc_status(r);
  if (!status) return false;
  out.protocol = "portmap";
  out.add("portmap.dump", rpc_word(*status));
  std::vector<std::string> programs;
  while (*status == 0 && programs.size() < 64 && r.u32() == 1) {
    auto program = r.u32(), version = r.u32(), protocol = r.u32(), port = r.u32();
    if (r.bad()) break;
    programs.push_back(std::to_string(program) + "/" + std::to_string(version) + "/" +
                       (protocol == 6 ? "tcp" : protocol == 17 ? "udp" : std::to_string(protocol)) + "/" + std::to_string(port));
  }
  std::sort(programs.begin(), programs.end());
  std::string list;
  for (const auto& p : programs) list += (list.empty() ? "" : ",") + p;
  if (!list.empty()) out.add("portmap.programs", list);
  out.keep_keys_only();
  return true;
}

// WDB: the NULL call of program 0x55555555. Only "success" says that this program is there.
bool parse_wdb(Parsed& out, const Item& item) {
  Reader r(first_datagram(item));
  auto status = rpc_status(r);
  if (!status) return false;
  out.protocol = "wdb";
  out.add("wdb.null", rpc_word(*status));
  out.keep_keys_only();
  return true;
}

// RFC 1350: an error, or (the file is there after all) data or an option acknowledgement, whose contents are not kept.
bool parse_tftp(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  if (b.size() < 4 || b[0] != 0) return false;
  if (b[1] == 5) {
    if (b.back() != 0 && b.size() > 4 && !is_text(b.subspan(4))) return false;
    out.protocol = "tftp";
    out.add("tftp.answer", "error");
    out.add("tftp.error_code", std::to_string(get_u16be(&b[2])));
    if (b.size() > 4) out.add("tftp.error", clean(b.subspan(4), 128));
  } else if (b[1] == 3 || b[1] == 6) {
    out.protocol = "tftp";
    out.add("tftp.answer", "data");
  } else {
    return false;
  }
  out.keep_keys_only();
  return true;
}

// RX: a header of 28 bytes, packet type 13, then the version text (OpenAFS, RX protocol specification).
bool parse_rx(Parsed& out, const Item& item) {
  const auto b = first_datagram(item);
  constexpr std::size_t header = 28;
  if (b.size() <= header || b[20] != 13 || b[21] & 1) return false;  // bit 0: from the client, so our own packet
  const auto text = clean(b.subspan(header), 128);
  if (!is_text(as_bytes(text))) return false;
  out.protocol = "rx";
  out.add("rx.version", text);
  out.keep_keys_only();
  return true;
}

bool parse_jenkins(Parsed& out, const Item& item) {
  const auto text = as_text(first_datagram(item));
  if (!text.starts_with("<hudson>")) return false;
  out.protocol = "jenkins";
  const auto open = text.find("<version>"), close = text.find("</version>");
  constexpr std::size_t tag = 9;
  if (open != std::string_view::npos && close != std::string_view::npos && close > open + tag)
    out.add("jenkins.version", trim(text.substr(open + tag, std::min<std::size_t>(close - open - tag, 64))));
  out.keep_keys_only();
  return true;
}

}  // namespace

std::span<const DatagramParser> service_parsers() {
  static constexpr DatagramParser all[] = {{"chargen", parse_chargen},
                                           {"qotd", parse_qotd},
                                           {"echo", parse_echo},
                                           {"daytime", parse_daytime},
                                           {"time", parse_time},
                                           {"users", parse_users},
                                           {"memcached", parse_memcached_udp},
                                           {"cldap", parse_cldap},
                                           {"portmap-null", parse_portmap_null},
                                           {"portmap-dump", parse_portmap_dump},
                                           {"wdb", parse_wdb},
                                           {"tftp", parse_tftp},
                                           {"afs-rx", parse_rx},
                                           {"jenkins", parse_jenkins}};
  return all;
}

}  // namespace nora::survey
