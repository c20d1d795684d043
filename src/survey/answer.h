// Stateless validation: what a probe sends is derived from the survey key and its destination, so an answer proves itself and nothing is
// remembered per probe. Used by the sender (makes) and the engine (checks). Immutable; any thread. Forged answers: answer_test.cc.
#pragma once

#include <optional>
#include <vector>

#include "net/frame.h"
#include "survey/catalogue.h"
#include "survey/permutation.h"
#include "survey/space.h"

namespace nora::survey {

// Above the usual ephemeral range (32768-60999), so that kernel connections of the grabber never share a four-tuple with a raw SYN.
inline constexpr std::uint16_t tcp_source_base = 61000, tcp_source_ports = 4096;
// UDP: so few that each can be held by a socket of the sender: then the kernel sends no ICMP port-unreachable to the device that answered.
inline constexpr std::uint16_t udp_source_base = 61000, udp_source_ports = 256;

struct SynToken {
  std::uint16_t source_port = 0;
  std::uint32_t seq = 0;
};

class AnswerKey {
 public:
  explicit AnswerKey(const Key& key) : key_(key) {}
  SynToken syn(Ip ip, std::uint16_t port) const;
  std::uint16_t udp_source_port(Ip ip, std::uint16_t port, std::string_view probe) const;
  Token token(Ip ip, std::uint16_t port, std::string_view probe) const;

 private:
  std::uint64_t mix(Ip ip, std::uint16_t port, std::string_view label, std::uint8_t round) const;
  Key key_;
};

enum class AnswerKind { open, closed, unreachable, datagram };

struct Answer {
  AnswerKind kind = AnswerKind::open;
  Ip ip;                    // the target that was asked
  Slot slot;                // what was asked
  std::uint64_t index = 0;  // in the Space
  std::uint8_t ttl = 0;
  ByteView payload;  // datagram: its bytes, valid as long as the frame
};

class Validator {
 public:
  Validator(const Space& space, const Catalogue& catalogue, const Key& key, std::vector<Ip> own);
  // Nothing: not an answer to a probe of this survey (another's traffic, late, or forged).
  std::optional<Answer> check(const net::Packet& packet) const;

 private:
  std::optional<Answer> tcp(const net::Packet& p) const;
  std::optional<Answer> udp(const net::Packet& p) const;
  std::optional<Answer> icmp(const net::Packet& p) const;
  const Space& space_;
  AnswerKey key_;
  std::vector<Ip> own_;
  struct UdpProbe {
    const Slot* slot;
    const Request* request;
  };
  std::vector<UdpProbe> udp_probes_;
};

}  // namespace nora::survey
