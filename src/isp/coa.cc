#include "isp/coa.h"

#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/crypto.h"
#include "base/files.h"

namespace nora::isp {
namespace {

// Codes and attribute types: RFC 5176 section 6, RFC 2865, RFC 2866, RFC 2869, RFC 6911.
enum : std::uint8_t { coa_request = 43, coa_ack = 44, coa_nak = 45 };
enum : std::uint8_t { user_name = 1, nas_ip_address = 4, framed_ip_address = 8, filter_id = 11, nas_identifier = 32, acct_session_id = 44, event_timestamp = 55,
                      message_authenticator = 80, error_cause = 101, framed_ipv6_address = 168 };
constexpr std::size_t header_bytes = 20, mac_bytes = 16, max_value_bytes = 253;

std::array<std::uint8_t, 16> md5(ByteView a, ByteView b) {
  std::array<std::uint8_t, 16> out{};
  unsigned n = 0;
  auto* ctx = EVP_MD_CTX_new();
  const bool good = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), nullptr) == 1 && EVP_DigestUpdate(ctx, a.data(), a.size()) == 1 &&
                    EVP_DigestUpdate(ctx, b.data(), b.size()) == 1 && EVP_DigestFinal_ex(ctx, out.data(), &n) == 1;
  EVP_MD_CTX_free(ctx);
  NORA_ASSERT(good && n == 16, "MD5 is what RADIUS needs");
  return out;
}

std::array<std::uint8_t, 16> hmac_md5(const Secret& key, ByteView data) {
  std::array<std::uint8_t, 16> out{};
  unsigned n = 0;
  auto k = key.reveal();
  auto* done = HMAC(EVP_md5(), k.data(), static_cast<int>(k.size()), data.data(), data.size(), out.data(), &n);
  NORA_ASSERT(done && n == 16, "HMAC-MD5 is what RADIUS needs");
  return out;
}

Status put(Bytes& out, std::uint8_t type, ByteView value) {
  if (value.empty() || value.size() > max_value_bytes) return fail(Code::usage, "an attribute of the CoA request is empty or too long");
  out.push_back(type);
  out.push_back(static_cast<std::uint8_t>(value.size() + 2));
  out.insert(out.end(), value.begin(), value.end());
  return {};
}

struct Attributes { std::size_t mac = 0; std::uint32_t cause = 0; bool good = false; };
// Walks the attributes; remembers where the Message-Authenticator's value stands.
Attributes walk(ByteView packet) {
  Attributes a;
  std::size_t pos = header_bytes;
  while (pos < packet.size()) {
    if (packet.size() - pos < 2) return a;
    std::size_t length = packet[pos + 1];
    if (length < 2 || length > packet.size() - pos) return a;
    if (packet[pos] == message_authenticator) {
      if (length != 2 + mac_bytes || a.mac) return a;
      a.mac = pos + 2;
    }
    if (packet[pos] == error_cause && length == 6) a.cause = get_u32be(&packet[pos + 2]);
    pos += length;
  }
  a.good = true;
  return a;
}

Result<sockaddr_storage> socket_address(std::string_view text, socklen_t& size) {
  auto colon = text.rfind(':');
  auto host = text.substr(0, colon);
  if (colon == text.npos) return fail(Code::usage, "the NAS address is not ADDRESS:PORT");
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  NORA_TRY(auto ip, Ip::parse(host));
  NORA_TRY(auto port, parse_port(text.substr(colon + 1)));
  sockaddr_storage out{};
  if (ip.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port.value);
    in.sin_addr.s_addr = htonl(ip.v4_value());
    std::memcpy(&out, &in, size = sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port.value);
    std::memcpy(&in.sin6_addr, ip.bytes().data(), 16);
    std::memcpy(&out, &in, size = sizeof in);
  }
  return out;
}

}  // namespace

Result<Bytes> encode_coa(const CoaRequest& r, std::uint8_t identifier, const Secret& secret) {
  Bytes out{coa_request, identifier, 0, 0};
  out.resize(header_bytes);  // authenticator zero while it is computed (RFC 5176 section 2.3)
  NORA_CHECK(put(out, acct_session_id, as_bytes(r.session)));
  if (r.address.is_v4()) {
    Bytes v;
    put_u32be(v, r.address.v4_value());
    NORA_CHECK(put(out, framed_ip_address, v));
  } else {
    NORA_CHECK(put(out, framed_ipv6_address, ByteView(r.address.bytes())));
  }
  if (!r.user.empty()) NORA_CHECK(put(out, user_name, as_bytes(r.user)));
  if (auto nas = Ip::parse(r.nas); nas && nas->is_v4()) {
    Bytes v;
    put_u32be(v, nas->v4_value());
    NORA_CHECK(put(out, nas_ip_address, v));
  } else if (!r.nas.empty()) {
    NORA_CHECK(put(out, nas_identifier, as_bytes(r.nas)));
  }
  NORA_CHECK(put(out, filter_id, as_bytes(r.filter)));
  Bytes when;
  put_u32be(when, static_cast<std::uint32_t>(r.at.us / 1'000'000));
  NORA_CHECK(put(out, event_timestamp, when));
  const auto mac_at = out.size() + 2;
  NORA_CHECK(put(out, message_authenticator, Bytes(mac_bytes)));
  if (out.size() > max_coa_bytes) return fail(Code::usage, "the CoA request is too long");
  out[2] = static_cast<std::uint8_t>(out.size() >> 8);
  out[3] = static_cast<std::uint8_t>(out.size());
  // First the Message-Authenticator over the packet with a zero authenticator, then the authenticator over all of it.
  std::ranges::copy(hmac_md5(secret, out), out.begin() + static_cast<std::ptrdiff_t>(mac_at));
  std::ranges::copy(md5(out, secret.reveal()), out.begin() + 4);
  return out;
}

Result<CoaReply> decode_coa(ByteView reply, ByteView request, const Secret& secret) {
  auto bad = [](std::string_view why) { return fail(Code::bad_input, fmt::format("the NAS's answer is not good: {}", why)); };
  if (reply.size() < header_bytes || reply.size() > max_coa_bytes || request.size() < header_bytes) return bad("length");
  std::size_t length = std::size_t{reply[2]} << 8 | reply[3];
  if (length < header_bytes || length > reply.size()) return bad("length");
  reply = reply.first(length);
  if (reply[1] != request[1]) return bad("another request's");
  if (reply[0] != coa_ack && reply[0] != coa_nak) return bad("code");
  auto attributes = walk(reply);
  if (!attributes.good) return bad("attributes");
  // Response Authenticator = MD5(code, id, length, request authenticator, attributes, secret).
  Bytes copy(reply.begin(), reply.end());
  std::copy_n(request.begin() + 4, 16, copy.begin() + 4);
  if (!equal_constant_time(md5(copy, secret.reveal()), reply.subspan(4, 16))) return bad("authenticator");
  if (attributes.mac) {
    std::fill_n(copy.begin() + static_cast<std::ptrdiff_t>(attributes.mac), mac_bytes, 0);
    if (!equal_constant_time(hmac_md5(secret, copy), reply.subspan(attributes.mac, mac_bytes))) return bad("message authenticator");
  }
  return CoaReply{reply[0] == coa_ack ? CoaAnswer::ack : CoaAnswer::nak, attributes.cause};
}

std::string_view error_cause_text(std::uint32_t cause) {
  switch (cause) {
    case 201: return "Residual Session Context Removed";
    case 401: return "Unsupported Attribute";
    case 402: return "Missing Attribute";
    case 403: return "NAS Identification Mismatch";
    case 404: return "Invalid Request";
    case 405: return "Unsupported Service";
    case 407: return "Invalid Attribute Value";
    case 501: return "Administratively Prohibited";
    case 503: return "Session Context Not Found";
    case 504: return "Session Context Not Removable";
    case 506: return "Resources Unavailable";
    case 508: return "Multiple Session Selection Unsupported";
    default: return "no known Error-Cause";
  }
}

Result<CoaReply> UdpCoa::change(std::string_view nas_address, const Secret& secret, const CoaRequest& request) {
  socklen_t size = 0;
  NORA_TRY(auto address, socket_address(nas_address, size));
  NORA_TRY(auto packet, encode_coa(request, static_cast<std::uint8_t>(env_.random.below(256)), secret));
  Fd fd(::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
    return fail(Code::failed, fmt::format("cannot reach the NAS {}: {}", nas_address, errno_text(errno)));
  Result<CoaReply> last = fail(Code::failed, fmt::format("the NAS {} did not answer", nas_address), "Check its address, the shared secret and that it takes RFC 5176 requests");
  for (int attempt = 0; attempt < attempts_; ++attempt) {
    if (::send(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0 && errno != ECONNREFUSED)
      return fail(Code::failed, fmt::format("cannot send to the NAS {}: {}", nas_address, errno_text(errno)));
    const auto until = env_.clock.monotonic() + timeout_;
    for (auto now = env_.clock.monotonic(); now < until; now = env_.clock.monotonic()) {
      pollfd p{fd.get(), POLLIN, 0};
      if (::poll(&p, 1, static_cast<int>((until - now).us / 1000) + 1) <= 0) break;
      std::array<std::uint8_t, max_coa_bytes> buffer;
      auto n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (n < 0) break;  // ICMP unreachable: try again later
      auto reply = decode_coa(ByteView(buffer).first(static_cast<std::size_t>(n)), packet, secret);
      if (reply) return reply;  // a forged one is ignored, the true one may still come
      last = reply;
    }
  }
  return last;
}

}  // namespace nora::isp
