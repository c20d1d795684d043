// Mailer: hands one finished message to a mail server. Used by outbox; the interface is isp's own so that tests can break it.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/instant.h"

namespace nora::isp {

enum class Sending { accepted, temporary, permanent };
struct SendResult {
  Sending how = Sending::temporary;
  std::string text;        // what the server said, or the network error
};

class Mailer {
 public:
  virtual ~Mailer() = default;
  virtual SendResult send(std::string_view from, std::string_view to, ByteView message) = 0;
};

// SMTP through libcurl (RFC 5321). 4yz, silence and a lost connection are temporary; 5yz is permanent. One connection per message.
class CurlMailer : public Mailer {
 public:
  explicit CurlMailer(std::string url, Span timeout = Span::seconds(60)) : url_(std::move(url)), timeout_(timeout) {}
  SendResult send(std::string_view from, std::string_view to, ByteView message) override;

 private:
  std::string url_;
  Span timeout_;
};

}  // namespace nora::isp
