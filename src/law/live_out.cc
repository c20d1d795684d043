// Live frames (law/live_out.h). Linux Documentation/bpf/bpf_prog_run.rst.
#include "law/live_out.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "law/live_layout.h"
#include "net/bpf_object.h"

NORA_BPF_OBJECT(live)

namespace nora::law {
namespace {

constexpr std::uint32_t batch = 64;                       // packets that the kernel makes at once
constexpr std::size_t spare_middle = 1024, spare_low = 8192;  // blocks kept for opt-outs that come during a survey

// A map that user space reads and writes as memory.
template <class T>
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (memory_) ::munmap(memory_, bytes_);
  }
  Status map(int fd, std::size_t count) {
    bytes_ = (count * sizeof(T) + 4095) / 4096 * 4096;
    void* m = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m == MAP_FAILED) return fail(Code::environment, "an eBPF map cannot be mapped: " + errno_text(errno));
    memory_ = static_cast<T*>(m);
    count_ = count;
    return {};
  }
  T& operator[](std::size_t i) { return memory_[i]; }
  std::size_t size() const { return count_; }

 private:
  T* memory_ = nullptr;
  std::size_t count_ = 0, bytes_ = 0;
};

}  // namespace

struct LiveOut::Parts {
  explicit Parts(net::BpfObject o) : object(std::move(o)) {}
  net::BpfObject object;
  std::unique_ptr<net::FrameOut> rest;
  Memory<live_job> jobs;
  Memory<__u64> top;
  Memory<live_middle> middle;
  Memory<live_low> low;
  Memory<live_state> state;
  int program = -1;
  std::size_t queued = 0;
  bool live_slot = false;
  std::uint64_t sent = 0;
};

LiveOut::LiveOut(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LiveOut::~LiveOut() = default;

Result<std::unique_ptr<LiveOut>> LiveOut::open(const net::InterfaceInfo& iface, const LiveRules& rules, std::unique_ptr<net::FrameOut> rest) {
  NORA_TRY(auto object, net::BpfObject::open(bpf_bytes_live(), "live"));
  auto p = std::make_unique<Parts>(std::move(object));
  p->rest = std::move(rest);
  bpf_object* o = p->object.get();
  const auto resize = [&](const char* name, std::size_t entries) { return bpf_map__set_max_entries(bpf_object__find_map_by_name(o, name), static_cast<__u32>(entries)); };
  const std::size_t middle = rules.addresses.middle().size() / 256 + spare_middle, low = rules.addresses.low().size() / 256 * 2 + spare_low;
  if (resize("middle", middle) != 0 || resize("low", low) != 0) return fail(Code::environment, "the eBPF maps cannot be sized");
  struct {
    __u32 out_if, source;
  } constants = {static_cast<__u32>(iface.index), htonl(rules.source.is_v4() ? rules.source.v4_value() : 0)};
  bpf_map* rodata = bpf_object__find_map_by_name(o, ".rodata");
  if (!rodata || bpf_map__value_size(rodata) != sizeof constants || bpf_map__set_initial_value(rodata, &constants, sizeof constants) != 0)
    return fail(Code::environment, "the eBPF constants cannot be set");
  NORA_CHECK(p->object.load());
  NORA_CHECK(p->jobs.map(p->object.map("jobs"), LIVE_JOBS));
  NORA_CHECK(p->top.map(p->object.map("top"), 65536));
  NORA_CHECK(p->middle.map(p->object.map("middle"), middle));
  NORA_CHECK(p->low.map(p->object.map("low"), low));
  NORA_CHECK(p->state.map(p->object.map("state"), 1));
  p->program = p->object.program("generate");
  auto out = std::unique_ptr<LiveOut>(new LiveOut(std::move(p)));
  NORA_CHECK(out->set_rules(rules));
  return out;
}

Status LiveOut::set_rules(const LiveRules& rules) {
  Parts& p = *parts_;
  NORA_CHECK(flush());
  const auto& t = rules.addresses;
  if (t.middle().size() / 256 > p.middle.size() || t.low().size() / 256 > p.low.size())
    return fail(Code::failed, "the opt-out list has grown beyond what the live path has room for", "Start the survey again: nora scan resume");
  // The program does not run now: nothing can see half of a table.
  for (std::size_t i = 0; i < t.low().size(); ++i) p.low[i / 256].v[i % 256] = t.low()[i];
  for (std::size_t i = 0; i < t.middle().size(); ++i) p.middle[i / 256].v[i % 256] = t.middle()[i];
  for (std::size_t i = 0; i < 65536; ++i) p.top[i] = t.top()[i];
  for (std::size_t i = 0; i < 1024; ++i) {
    __u64 bits = 0;
    for (std::size_t b = 0; b < 64; ++b) bits |= static_cast<__u64>(rules.tcp_ports.test(i * 64 + b)) << b;
    p.state[0].ports[i] = bits;
  }
  return {};
}

void LiveOut::open_for(Span span) {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  parts_->state[0].open_until_ns = static_cast<__u64>(t.tv_sec) * 1'000'000'000 + static_cast<__u64>(t.tv_nsec) + static_cast<__u64>(span.us) * 1000;
}

std::span<std::uint8_t> LiveOut::slot(std::size_t bytes) {
  Parts& p = *parts_;
  p.live_slot = bytes == LIVE_FRAME_BYTES;
  if (p.live_slot) return p.jobs[p.queued].frame;
  return p.rest->slot(bytes);
}

Status LiveOut::commit(std::size_t bytes) {
  Parts& p = *parts_;
  if (!p.live_slot) return p.rest->commit(bytes);
  if (bytes != LIVE_FRAME_BYTES) return fail(Code::failed, fmt::format("a live frame has {} bytes, not {}", LIVE_FRAME_BYTES, bytes));
  if (++p.queued == LIVE_JOBS) return flush();
  return {};
}

Status LiveOut::flush() {
  Parts& p = *parts_;
  NORA_CHECK(p.rest->flush());
  if (p.queued == 0) return {};
  live_state& s = p.state[0];
  s.next = 0;
  const std::uint64_t refused = s.refused;
  xdp_md context{};
  context.data_end = LIVE_FRAME_BYTES;
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = p.jobs[0].frame, .data_size_in = LIVE_FRAME_BYTES, .ctx_in = &context, .ctx_size_in = sizeof context,
              .repeat = static_cast<int>(p.queued), .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = batch);
  const std::size_t n = std::exchange(p.queued, 0);
  if (const int e = bpf_prog_test_run_opts(p.program, &run); e != 0) return fail(Code::failed, fmt::format("live frames: {} of {} made: {}", s.next, n, errno_text(-e)));
  const std::uint64_t stopped = s.refused - refused;
  p.sent += n - stopped;
  // Both checks read the same mandate: where they differ something is broken, and the survey ends.
  constexpr std::string_view reasons[] = {"", "not a plain SYN", "another source", "a port that is not granted", "an address outside the mandate", "its time is over"};
  if (stopped)
    return fail(Code::failed, fmt::format("the eBPF program stopped {} frames that the sender had permitted ({})", stopped, reasons[std::min<__u64>(s.why, LIVE_TIME)]));
  return {};
}

std::size_t LiveOut::round_frames() const { return LIVE_JOBS; }

std::uint64_t LiveOut::sent() const { return parts_->sent + parts_->rest->sent(); }

}  // namespace nora::law
