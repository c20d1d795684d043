// The wall as an eBPF program on XDP (law/wall.h, wall_xdp.bpf.c): loads it with the mandate inside, attaches it, and steers it through memory that
// the program reads. Capabilities (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON in the first user namespace) are needed by install only.
//
// Attached by netlink without a link descriptor: the program stays on the interface when this process ends, and is then shut by its state or by the dead
// man. An earlier wall of ours is replaced in one step. Native mode sees frames before the kernel makes anything of them; generic mode is taken only when
// asked for. A table is rewritten while the other one is in force; after the switch, membarrier(2) waits until no frame is left that began with the old one.
#include <linux/if_link.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "base/files.h"
#include "law/wall_kinds.h"
#include "law/wall_places.h"
#include "net/bpf_object.h"

namespace nora::law::wall {
namespace {

NORA_BPF_OBJECT(wall_xdp)

constexpr const char* program_name = "nora_wall";
constexpr std::uint64_t second_ns = 1'000'000'000;
// Room that the tables keep for opt-outs to come, beside twice of what they start with.
constexpr std::uint32_t spare_pages = 4096, spare_leaves = 65536, spare_places6 = 65536;
constexpr std::uint32_t most_lot = 64, lots_a_second = 1000;  // per CPU at most a thousandth of the rate lies outside the bucket
static_assert(std::tuple_size_v<decltype(counter_names)> == nora_wall_counters);

Error kernel(std::string what, int code) { return {Code::environment, what + ": " + errno_text(code < 0 ? -code : errno), {}}; }

// A map of the kernel, as memory.
template <class T>
class Shared {
 public:
  Shared() = default;
  Shared(Shared&& o) noexcept : at_(std::exchange(o.at_, nullptr)), bytes_(o.bytes_) {}
  Shared& operator=(Shared&& o) noexcept {
    std::swap(at_, o.at_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~Shared() { if (at_) ::munmap(at_, bytes_); }
  Status map(int fd, std::size_t count) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    bytes_ = (count * sizeof(T) + page - 1) / page * page;
    void* at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return pass(kernel("a table of the XDP wall cannot be mapped", 0));
    at_ = static_cast<T*>(at);
    return {};
  }
  T& operator[](std::size_t i) { return at_[i]; }

 private:
  T* at_ = nullptr;
  std::size_t bytes_ = 0;
};

nora_wall_host host_of(const Net& n) {
  std::array<std::uint8_t, 16> b = n.first;
  if (n.v4) b = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, n.first[0], n.first[1], n.first[2], n.first[3]};
  nora_wall_host h;
  std::memcpy(h.address, b.data(), 16);
  return h;
}

nora_wall_key6 key_of(const Key6& k) {
  nora_wall_key6 out;
  out.length = static_cast<std::uint32_t>(k.length);
  std::memcpy(out.address, k.first.data(), 16);
  return out;
}

// After this, no CPU runs a program that began before it.
void wait_for_frames_under_way() {
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0) ::usleep(20'000);  // a kernel without it: a frame takes microseconds
}

// The eBPF program on an interface.
struct Attached {
  std::uint32_t id = 0, mode = 0;  // XDP_ATTACHED_…
  Fd fd;                           // of ours only
};
Result<Attached> attached(const std::string& iface) {
  const auto index = static_cast<int>(::if_nametoindex(iface.c_str()));
  LIBBPF_OPTS(bpf_xdp_query_opts, q);
  if (const int r = bpf_xdp_query(index, 0, &q); r != 0) return pass(kernel("XDP cannot be asked for at " + iface, r));
  Attached out{.id = q.prog_id, .mode = q.attach_mode, .fd = {}};
  if (q.attach_mode == XDP_ATTACHED_MULTI) out.id = q.drv_prog_id;
  if (out.id == 0) return out;
  out.fd = Fd(bpf_prog_get_fd_by_id(out.id));
  bpf_prog_info info{};
  std::uint32_t length = sizeof info;
  if (!out.fd || bpf_obj_get_info_by_fd(out.fd.get(), &info, &length) != 0 || std::string_view(info.name) != program_name)
    return fail(Code::environment, fmt::format("an eBPF program that is not this wall's (id {}) is attached to \"{}\"", out.id, iface),
                fmt::format("See what it is; \"ip link set dev {} xdp off\" takes it away.", iface));
  return out;
}

class XdpWall final : public Wall {
 public:
  explicit XdpWall(net::BpfObject object, const Plan& plan) : object_(std::move(object)), plan_(plan) {}

  Status start(const Site& site, bool generic_will_do) {
    const Places4 places(plan_, site.opt_outs);
    const auto six = places6(plan_, site.opt_outs);
    page_room_ = static_cast<std::uint32_t>(std::min<std::size_t>(2 * places.pages.size() + spare_pages, 65536));
    leaf_room_ = static_cast<std::uint32_t>(2 * places.leaves.size() + spare_leaves);
    NORA_TRY(const auto own, own_addresses());
    NORA_CHECK(room("pages", 2 * page_room_));
    NORA_CHECK(room("leaves", 2 * leaf_room_));
    for (const char* trie : {"places6_even", "places6_odd"}) NORA_CHECK(room(trie, static_cast<std::uint32_t>(2 * six.size() + spare_places6)));
    NORA_CHECK(room("hosts", static_cast<std::uint32_t>(std::max<std::size_t>(plan_.sources.size() + own.size(), 1))));
    NORA_CHECK(room("listeners", static_cast<std::uint32_t>(std::max<std::size_t>(plan_.listeners.size(), 1))));
    NORA_CHECK(write_law(site.sink));
    NORA_CHECK(object_.load());
    NORA_CHECK(tops_.map(object_.map("tops"), 2));
    NORA_CHECK(pages_.map(object_.map("pages"), 2 * page_room_));
    NORA_CHECK(leaves_.map(object_.map("leaves"), 2 * leaf_room_));
    NORA_CHECK(control_.map(object_.map(".data.control"), 1));
    cpus_ = libbpf_num_possible_cpus();
    if (cpus_ < 1) return pass(kernel("the CPUs cannot be counted", cpus_));
    for (const auto& s : plan_.sources) NORA_CHECK(put_host(s, nora_wall_is_source));
    for (const auto& a : own) NORA_CHECK(put_host(a, nora_wall_is_own));
    for (const auto& l : plan_.listeners) {
      nora_wall_listener_key key{};
      std::memcpy(key.address, host_of(l.host).address, 16);
      key.port = __builtin_bswap16(l.port);
      NORA_CHECK(put("listeners", &key, 1));
    }
    NORA_CHECK(set_opt_outs(site.opt_outs));
    return attach(site.iface, generic_will_do);
  }

  std::string_view kind() const override { return generic_ ? "xdp generic" : "xdp native"; }
  bool needs_net_admin() const override { return false; }

  Status set_opt_outs(const OptOuts& now) override {
    const std::uint32_t next = (control_[0].generation + 1) & 1;  // not in force, and no frame looks at it
    const Places4 four(plan_, now);
    if (four.pages.size() > page_room_ || four.leaves.size() > leaf_room_)
      return fail(Code::failed, fmt::format("the opt-out lists have outgrown the wall's tables ({} of {} pages, {} of {} leaves)", four.pages.size(), page_room_,
                                            four.leaves.size(), leaf_room_), "Start nora-wall again: it makes room for them.");
    const auto moved = [](std::uint32_t entry, std::uint32_t by) { return entry < nora_wall_places ? entry : entry + by; };
    for (std::size_t i = 0; i < four.leaves.size(); ++i) leaves_[next * leaf_room_ + i] = four.leaves[i];
    for (std::size_t i = 0; i < four.pages.size(); ++i)
      for (std::size_t k = 0; k < 256; ++k) pages_[next * page_room_ + i].block[k] = moved(four.pages[i].block[k], next * leaf_room_);
    for (std::size_t i = 0; i < 65536; ++i) tops_[next].block[i] = moved(four.top[i], next * page_room_);
    NORA_CHECK(write_trie(next, places6(plan_, now)));
    __atomic_store_n(&control_[0].generation, next, __ATOMIC_SEQ_CST);
    wait_for_frames_under_way();
    return {};
  }

  Status set_state(State state) override {
    const std::uint32_t value = state == State::open ? nora_wall_is_open : state == State::closing ? nora_wall_is_closing : nora_wall_is_closed;
    __atomic_store_n(&control_[0].state, value, __ATOMIC_SEQ_CST);
    return {};
  }

  Status renew(int seconds) override {
    // The kernel's own clock, not Env's: the program compares with it. In a time namespace with an offset the wall stays shut (alive_most_ns).
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    const std::uint64_t until = static_cast<std::uint64_t>(t.tv_sec + seconds) * second_ns + static_cast<std::uint64_t>(t.tv_nsec);
    __atomic_store_n(&control_[0].alive_until_ns, until, __ATOMIC_SEQ_CST);
    return {};
  }

  Result<Counters> counters() override {
    std::vector<nora_wall_cpu> all(static_cast<std::size_t>(cpus_));
    const std::uint32_t at = 0;
    if (bpf_map_lookup_elem(object_.map("cpus"), &at, all.data()) != 0)
      return fail(Code::failed, "the wall's counters cannot be read: " + errno_text(errno));
    Counters out;
    for (std::size_t i = 0; i < counter_names.size(); ++i) {
      std::uint64_t n = 0;
      for (const auto& c : all) n += c.counters[i];
      out[counter_names[i]] = n;
    }
    return out;
  }

 private:
  Status room(const char* map, std::uint32_t entries) {
    if (const int r = bpf_map__set_max_entries(bpf_object__find_map_by_name(object_.get(), map), entries); r != 0) return pass(kernel(map, r));
    return {};
  }
  Status put(const char* map, const void* key, std::uint32_t value) {
    if (bpf_map_update_elem(object_.map(map), key, &value, BPF_ANY) != 0) return pass(kernel(fmt::format("the XDP wall's table {} cannot be filled", map), 0));
    return {};
  }
  Status put_host(const Net& n, std::uint32_t what) {
    const auto key = host_of(n);
    std::uint32_t before = 0;
    (void)bpf_map_lookup_elem(object_.map("hosts"), &key, &before);  // an address may be both
    return put("hosts", &key, before | what);
  }

  // The mandate goes into the program's constants: the verifier takes away what this mandate does not use.
  Status write_law(bool sink) {
    nora_wall_law law{};
    for (const std::uint16_t p : plan_.tcp_ports) law.tcp_ports[p >> 5] |= 1u << (p & 31);
    for (const std::uint16_t p : plan_.udp_ports) law.udp_ports[p >> 5] |= 1u << (p & 31);
    for (const auto& s : plan_.sources) {
      const auto h = host_of(s);
      if (s.v4 && law.sources4++ == 0) law.source4[0] = h.address[3];
      if (!s.v4 && law.sources6++ == 0) std::memcpy(law.source6, h.address, 16);
    }
    law.listeners = static_cast<std::uint32_t>(plan_.listeners.size());
    law.sink = sink;
    law.rate = plan_.rate_total;
    law.burst = burst(plan_.rate_total);
    law.lot = std::clamp(plan_.rate_total / lots_a_second, 1u, most_lot);
    law.alive_most_ns = (alive_s + 1) * second_ns;
    const int r = bpf_map__set_initial_value(bpf_object__find_map_by_name(object_.get(), ".rodata.law"), &law, sizeof law);
    return r == 0 ? Status{} : fail(Code::failed, "the XDP wall's object and its program differ: " + errno_text(-r));
  }

  Status write_trie(std::uint32_t which, Places6 wanted) {
    const int fd = object_.map(which ? "places6_odd" : "places6_even");
    auto& held = held6_[which];
    for (const auto& [key, place] : held) {
      if (wanted.contains(key)) continue;
      const auto k = key_of(key);
      if (bpf_map_delete_elem(fd, &k) != 0) return pass(kernel("an IPv6 prefix cannot be taken out of the XDP wall", 0));
    }
    for (const auto& [key, place] : wanted) {
      const auto before = held.find(key);
      if (before != held.end() && before->second == place) continue;
      const auto k = key_of(key);
      const std::uint32_t value = place;
      if (bpf_map_update_elem(fd, &k, &value, BPF_ANY) != 0) return pass(kernel("an IPv6 prefix cannot be put into the XDP wall", 0));
    }
    held = std::move(wanted);
    return {};
  }

  Status attach(const std::string& iface, bool generic_will_do) {
    const auto index = static_cast<int>(::if_nametoindex(iface.c_str()));
    NORA_TRY(const Attached before, attached(iface));
    const auto set = [&](std::uint32_t mode) {
      LIBBPF_OPTS(bpf_xdp_attach_opts, o, .old_prog_fd = before.fd.get());
      return bpf_xdp_attach(index, object_.program(program_name), mode | (before.id ? XDP_FLAGS_REPLACE : XDP_FLAGS_UPDATE_IF_NOEXIST), before.id ? &o : nullptr);
    };
    int r = before.mode == XDP_ATTACHED_SKB ? -EEXIST : set(XDP_FLAGS_DRV_MODE);
    if (r == 0) return {};
    if (generic_will_do) {
      generic_ = true;
      r = set(XDP_FLAGS_SKB_MODE);
      if (r == 0) return {};
    }
    return fail(Code::environment, fmt::format("the XDP wall cannot be attached to \"{}\" in {} mode: {}", iface, generic_will_do ? "native or generic" : "native", errno_text(-r)),
                r == -ENOSPC ? "The wall's end of the veth needs at least as many receive queues as the sender's end has transmit queues." : "");
  }

  net::BpfObject object_;
  Plan plan_;
  Shared<nora_wall_top> tops_;
  Shared<nora_wall_page> pages_;
  Shared<nora_wall_leaf> leaves_;
  Shared<nora_wall_control> control_;
  std::uint32_t page_room_ = 0, leaf_room_ = 0;
  std::array<Places6, 2> held6_;
  int cpus_ = 0;
  bool generic_ = false;
};

}  // namespace

Result<std::unique_ptr<Wall>> install_xdp(const Site& site, bool generic_will_do) {
  NORA_CHECK(must_exist(site.iface));
  NORA_TRY(net::BpfObject object, net::BpfObject::open(bpf_bytes_wall_xdp(), "nora_wall"));
  auto wall = std::make_unique<XdpWall>(std::move(object), site.plan);
  NORA_CHECK(wall->start(site, generic_will_do));
  return wall;
}

Status remove_xdp(const std::string& iface) {
  const auto before = attached(iface);
  if (!before) return pass(before.error());
  if (before->id == 0) return {};
  const auto index = static_cast<int>(::if_nametoindex(iface.c_str()));
  if (const int r = bpf_xdp_detach(index, before->mode == XDP_ATTACHED_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE, nullptr); r != 0)
    return pass(kernel("the earlier XDP wall cannot be taken away", r));
  return {};
}

}  // namespace nora::law::wall
