#include "survey/channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace nora::survey {

Result<std::pair<Channel, Channel>> Channel::pair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return fail(Code::environment, "socketpair: " + errno_text(errno));
  return std::pair{Channel(Fd(fds[0])), Channel(Fd(fds[1]))};
}

Status Channel::send(const json::Object& body, int fd) {
  auto text = json::text(body);
  if (text.size() > max_message_bytes)
    return fail(Code::failed, "a message of " + std::to_string(text.size()) + " bytes is too long for the sender");
  iovec part{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
  }
  while (sendmsg(fd_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    return fail(Code::interrupted, "the other end of the sender's socket is gone: " + errno_text(errno));
  }
  return {};
}

Result<std::optional<Message>> Channel::receive(int wait_ms) {
  pollfd p{fd_.get(), POLLIN, 0};
  int ready = poll(&p, 1, wait_ms);
  if (ready < 0 && errno != EINTR) return fail(Code::failed, "poll: " + errno_text(errno));
  if (ready <= 0) return std::optional<Message>();
  std::string text(max_message_bytes, '\0');
  iovec part{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 4)] = {};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  auto n = recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return std::optional<Message>();
  if (n <= 0) return fail(Code::interrupted, "the other end of the sender's socket is gone");
  Message out;
  for (auto* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t k = 0; k < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++k) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + k * sizeof(int), sizeof fd);
      out.fd = Fd(fd);
    }
  }
  NORA_TRY(out.body, json::parse_object(std::string_view(text).substr(0, static_cast<std::size_t>(n))));
  return std::optional<Message>(std::move(out));
}

}  // namespace nora::survey
