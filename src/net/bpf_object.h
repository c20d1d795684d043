// eBPF objects that are part of the program: nora_bpf() of cmake/nora.cmake compiles and embeds them, this header opens and loads them by libbpf.
// Used by law (the wall) and by senders that generate frames in the kernel. One owner, one thread. Loading needs CAP_BPF and CAP_NET_ADMIN in the
// first user namespace: where they are missing, load() says so and the caller falls back. libbpf 1.1.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

// At namespace scope: NORA_BPF_OBJECT(wall_xdp) declares bpf_bytes_wall_xdp().
#define NORA_BPF_OBJECT(name)                                                             \
  extern "C" const std::uint8_t nora_bpf_##name##_begin[], nora_bpf_##name##_end[];       \
  [[maybe_unused]] inline ::nora::ByteView bpf_bytes_##name() { return {nora_bpf_##name##_begin, nora_bpf_##name##_end}; }

namespace nora::net {

class BpfObject {
 public:
  static constexpr std::size_t log_bytes = 1u << 16;  // the end of the verifier's words is what names the cause

  // Reads the object; nothing reaches the kernel yet: sizes of maps and constants may still be set. Errors: failed.
  static Result<BpfObject> open(ByteView bytes, const std::string& name) {
    libbpf_set_print(nullptr);  // libbpf would write to stderr by itself; the errors here carry the words
    BpfObject o;
    o.name_ = name;
    o.log_ = std::make_unique<std::vector<char>>(log_bytes);
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = o.name_.c_str(), .kernel_log_buf = o.log_->data(), .kernel_log_size = log_bytes);
    o.object_.reset(bpf_object__open_mem(bytes.data(), bytes.size(), &options));
    if (!o.object_) return fail(Code::failed, fmt::format("the eBPF object {} cannot be read: {}", name, std::strerror(errno)));
    return o;
  }

  // Errors: environment, with the kernel's words.
  Status load() {
    const int r = bpf_object__load(object_.get());
    if (r == 0) return {};
    std::string words(log_->data(), ::strnlen(log_->data(), log_bytes));
    while (!words.empty() && words.back() == '\n') words.pop_back();
    words = words.substr(words.size() > 300 ? words.size() - 300 : 0);
    for (char& c : words) if (c < ' ' || c > '~') c = ' ';
    if (r == -EPERM || r == -EACCES)
      if (words.empty())
        return fail(Code::environment, fmt::format("eBPF {} may not be loaded: {}", name_, std::strerror(-r)),
                    "Loading needs CAP_BPF and CAP_NET_ADMIN in the first user namespace.");
    return fail(Code::environment, fmt::format("eBPF {} cannot be loaded: {}{}{}", name_, std::strerror(-r), words.empty() ? "" : ": ", words));
  }

  bpf_object* get() const { return object_.get(); }
  // Of a loaded object; the object keeps the descriptor. -1: there is none of that name.
  int program(const char* name) const {
    const bpf_program* p = bpf_object__find_program_by_name(object_.get(), name);
    return p ? bpf_program__fd(p) : -1;
  }
  int map(const char* name) const { return bpf_object__find_map_fd_by_name(object_.get(), name); }

 private:
  struct Close {
    void operator()(bpf_object* o) const { bpf_object__close(o); }
  };
  BpfObject() = default;
  std::string name_;
  std::unique_ptr<std::vector<char>> log_;  // libbpf keeps its address
  std::unique_ptr<bpf_object, Close> object_;
};

}  // namespace nora::net
