#include "survey/script.h"

#include <algorithm>

#include "survey/exchanges.h"
#include "survey/probes/banners.h"
#include "survey/probes/parse.h"
#include "survey/probes/reader.h"
#include "survey/words_parts.h"

namespace nora::survey {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::size_t max_telnet_bytes = 4096;

// Which exchange a KEXINIT payload of the server allows us to begin; -1: none that we know.
int ssh_exchange(ByteView kexinit) {
  constexpr std::size_t cookie = 16;
  Reader r(kexinit);
  if (r.u8() != 20) return -1;
  r.skip(cookie);
  const auto n = r.u32();
  const auto list = as_text(r.take(n));
  if (r.bad()) return -1;
  for (int i = 0; i < static_cast<int>(std::size(ssh_exchanges)); ++i)
    for (std::size_t at = 0; at <= list.size();) {
      const auto end = std::min(list.find(',', at), list.size());
      if (list.substr(at, end - at) == ssh_exchanges[i]) return i;
      at = end + 1;
    }
  return -1;
}

}  // namespace

Script::Script(ScriptSpec spec) : spec_(std::move(spec)), exchange_(exchange_of(spec_.probe)) {}

Reaction Script::connected() {
  return exchange_ == nullptr ? Reaction{} : Reaction{say(exchange_->said[0], spec_)};
}

// Identification, then the key exchange up to the server's reply with its host key.
Reaction Script::ssh(ByteView part) {
  const auto end = as_text(part).find('\n');
  if (end == npos) return {.done = part.size() > 512};
  if (!spec_.ssh_allowed) return {.done = true};
  Reaction out;
  if (step_ == 0) {
    step_ = 1;
    out.send = say("ssh-id", spec_);
  }
  constexpr std::uint32_t packet_bytes_max = 35000;  // RFC 4253 section 6.1
  auto rest = part.subspan(end + 1);
  for (int packet = 1; packet <= 2; ++packet) {
    if (rest.size() < 4) return out;
    const auto length = get_u32be(rest.data());
    if (length > packet_bytes_max || packet == 2) {
      out.done = length > packet_bytes_max || rest.size() >= 4u + length;
      return out;
    }
    if (rest.size() < 4u + length) return out;
    if (step_ == 1) {
      step_ = 2;
      const int exchange = length > 1 ? ssh_exchange(rest.subspan(5, length - 1)) : -1;
      if (exchange < 0) {
        out.done = true;
        return out;
      }
      const auto request = say("ssh-key-" + std::to_string(exchange), spec_);
      out.send.insert(out.send.end(), request.begin(), request.end());
    }
    rest = rest.subspan(4u + length);
  }
  return out;
}

// One decision per prefix; what follows is the protocol's own minimum.
Reaction Script::listen(ByteView part) {
  if (heard_.empty()) heard_ = recognise(part);
  auto text = as_text(part);
  if (heard_ == "ssh") return ssh(part);
  if (heard_ == "rfb") {
    if (part.size() < 12) return {};
    Bytes version(part.begin(), part.begin() + 12);
    // Only a version line of the protocol's own form is said back (words.h holds the form).
    if (!spec_.rfb_allowed || !conversation_allows("listen", {spec_.ip, spec_.port, spec_.own, {}}, version)) return {.done = true};
    if (step_ == 0) {
      step_ = 1;
      return {.send = std::move(version), .done = false};
    }
    bool old = text.substr(4, 7) == "003.003";
    if (old) return {.done = part.size() >= 16};
    return {.done = part.size() >= 13 && part.size() >= 13u + part[12]};
  }
  if (heard_ == "ftp") {  // and SMTP: lines with a code, the last of them with a blank behind it
    auto last = text.rfind("\r\n");
    if (last == npos || last + 2 != text.size()) return {};
    auto from = text.rfind('\n', text.size() - 3);
    auto row = text.substr(from == npos ? 0 : from + 1);
    return {.done = row.size() > 3 && row[3] == ' '};
  }
  if (heard_ == "rsync" || heard_ == "pop3" || heard_ == "imap") return {.done = text.find('\n') != npos || text.size() > 1024};
  if (heard_ == "http" || heard_ == "rtsp") return {.done = whole_answer(part, true)};
  if (!heard_.empty() && heard_ != "telnet") return {.done = true};
  // Telnet or a text that is not known yet: refuse options, read on until it is quiet.
  auto refusals = telnet_refusals(part, telnet_at_);
  return {.send = std::move(refusals), .done = part.size() >= max_telnet_bytes};
}

Reaction Script::received(ByteView part) {
  if (exchange_ == nullptr) return listen(part);
  // The page that comes through a SOCKS tunnel is an HTTP answer, whatever the first answer was.
  const auto heard = spec_.probe == "socks4-relay" && step_ > 0 ? (whole_answer(part, false) ? Heard::whole : Heard::more) : exchange_->heard(part);
  if (heard == Heard::more) return {};
  ++step_;
  const bool said_all = step_ >= static_cast<int>(std::size(exchange_->said)) || exchange_->said[step_].empty();
  if (heard == Heard::other || said_all || (exchange_->go_on != nullptr && !exchange_->go_on(spec_, part, step_))) return {.done = true};
  const bool last = exchange_->farewell && (step_ + 1 >= static_cast<int>(std::size(exchange_->said)) || exchange_->said[step_ + 1].empty());
  return {.send = say(exchange_->said[step_], spec_), .next_part = !last, .done = last};
}

Reaction Script::quiet(ByteView) { return {.done = true}; }

Span Script::quiet_after(bool heard_something) const {
  if (exchange_ == nullptr) {
    if (!heard_something) return Span::ms(2500);  // devices that look the client's name up answer late
    return heard_ == "telnet" ? Span::ms(1500) : heard_.empty() ? Span::ms(1500) : Span::ms(2500);
  }
  return heard_something ? Span::ms(1500) : Span::ms(5000);
}

}  // namespace nora::survey
