#include "survey/sender.h"

#include <cap-ng.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <queue>

#include "law/budget.h"
#include "law/send.h"
#include "net/packet_socket.h"
#include "survey/answer.h"
#include "survey/daily.h"
#include "survey/next_hop.h"
#include "survey/plan.h"
#include "survey/rates.h"
#include "survey/record.h"

namespace nora::survey {
namespace {

constexpr std::size_t max_deferred = 4096;  // probes of one segment that wait for their target's turn
constexpr int max_retries_per_round = 64;   // so that a round stays short whatever waits
constexpr Span round_sleep = Span::ms(2);   // pacing is by sleeping (survey.md section 8)
constexpr Span burst = Span::ms(20);        // of the pacer
constexpr Span progress_every = Span::ms(200);
constexpr Span opt_out_every = Span::seconds(1);
constexpr std::uint16_t syn_mss = 1460;

// Holds every UDP source port that a probe can have, and drops what arrives: with a socket there, the kernel does not answer a device's
// datagram with ICMP port-unreachable. IPv6 sockets serve IPv4 too.
Result<std::vector<Fd>> hold_udp_ports() {
  std::vector<Fd> out;
  sock_filter drop[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  sock_fprog program{1, drop};
  for (int i = 0; i < udp_source_ports; ++i) {
    bool v6 = true;
    Fd fd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) {
      v6 = false;
      fd = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    }
    if (!fd) return fail(Code::environment, "cannot open a UDP socket: " + errno_text(errno));
    int on = 1, off = 0;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    auto port = htons(static_cast<std::uint16_t>(udp_source_base + i));
    int bound;
    if (v6) {
      setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
      sockaddr_in6 a{};
      a.sin6_family = AF_INET6;
      a.sin6_port = port;
      bound = bind(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a);
    } else {
      sockaddr_in a{};
      a.sin_family = AF_INET;
      a.sin_port = port;
      bound = bind(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a);
    }
    if (bound != 0)
      return fail(Code::environment, "UDP port " + std::to_string(ntohs(port)) + " is taken: " + errno_text(errno),
                  "stop the program that holds it");
    out.push_back(std::move(fd));
  }
  return out;
}

struct Pacer {  // token bucket for the whole survey
  double per_us = 0, cap = 1, tokens = 1;
  std::int64_t last_us = 0;
  Pacer(double pps, std::int64_t now_us) : per_us(pps / 1e6), cap(std::max(1.0, pps * burst.as_seconds())), last_us(now_us) {}
  bool take(std::int64_t now_us) {
    tokens = std::min(cap, tokens + static_cast<double>(now_us - last_us) * per_us);
    last_us = now_us;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  }
};

class Sender {
 public:
  Sender(law::Mandate& mandate, const Catalogue& catalogue, const Plan& plan, const Key& key, law::FrameSender frames,
         std::map<bool, net::Mac> hops, Channel& channel, Env env)
      : mandate_(mandate),
        catalogue_(catalogue),
        plan_(plan),
        key_(key),
        frames_(std::move(frames)),
        hops_(std::move(hops)),
        channel_(channel),
        env_(env),
        permutation_(plan.space.size(), plan.order),
        budget_(probe_rates(mandate.text())),
        pacer_(survey_pps(mandate.text(), plan.space.networks24()), env.clock.monotonic().us) {}

  // One segment: every index is sent once, or counted as refused with its reason.
  Status segment(const json::Object& order, Fd file);
  bool stopped() const { return stopped_; }
  Status open_daily(const std::filesystem::path& file) {
    NORA_TRY(daily_, DailyCounts::open(file, budget_, env_.clock.now()));
    return {};
  }

 private:
  enum class Try { sent, refused, wait, over };
  Try attempt(std::uint64_t index);
  std::size_t build(const Point& point, Ip source);
  Status write_records();
  Status look_up();  // messages and opt-outs between batches

  law::Mandate& mandate_;
  const Catalogue& catalogue_;
  const Plan& plan_;
  AnswerKey key_;
  law::FrameSender frames_;
  std::map<bool, net::Mac> hops_;  // by is_v4
  Channel& channel_;
  Env env_;
  Permutation permutation_;
  law::Budget budget_;
  DailyCounts daily_;
  Pacer pacer_;
  std::array<std::uint8_t, net::max_frame_bytes> frame_{};
  // of the running segment
  std::int64_t number_ = 0;
  std::uint64_t refused_ = 0, sent_before_ = 0;
  std::map<law::Refusal, std::uint64_t> reasons_;
  law::Refusal over_ = law::Refusal::none;
  Span wait_{};
  Bytes records_;
  std::size_t written_ = 0;
  Fd file_;
  Span last_progress_{}, last_opt_out_{};
  bool stopped_ = false;
};

std::size_t Sender::build(const Point& point, Ip source) {
  net::Link link{frames_.mac(), hops_[point.ip.is_v4()]};
  const auto& slot = *point.slot;
  if (slot.proto == Proto::tcp) {
    auto token = key_.syn(point.ip, slot.port);
    net::TcpFields f;
    f.source = source;
    f.dest = point.ip;
    f.source_port = token.source_port;
    f.dest_port = slot.port;
    f.seq = token.seq;
    f.mss = syn_mss;
    f.ip_id = static_cast<std::uint16_t>(token.seq);
    return net::build_tcp(frame_, link, f);
  }
  auto token = key_.token(point.ip, slot.port, slot.probe);
  net::UdpFields f;
  f.source = source;
  f.dest = point.ip;
  f.source_port = key_.udp_source_port(point.ip, slot.port, slot.probe);
  f.dest_port = slot.port;
  f.ip_id = get_u16be(token.bytes.data());
  return net::build_udp(frame_, link, f, catalogue_.find(slot.probe)->render(token, point.ip, source));
}

Sender::Try Sender::attempt(std::uint64_t index) {
  using enum law::Refusal;
  auto now = env_.clock.now();
  auto point = plan_.space.at(permutation_.at(index));
  auto refuse = [&](law::Refusal why) {
    if (why == not_yet_valid || why == expired || why == outside_daily_window || why == budget_table_full) {
      over_ = why;
      return Try::over;
    }
    ++refused_;
    ++reasons_[why];
    return Try::refused;
  };
  const auto* probe = mandate_.probes().find(point.slot->probe);
  if (probe == nullptr) return refuse(probe_not_in_catalogue);
  auto permit = mandate_.permit({point.ip, point.slot->port}, *probe, now);
  if (!permit) return refuse(permit.error());
  auto budget = budget_.take(*permit, now);
  if (budget.refusal != none) return refuse(budget.refusal);
  if (budget.wait.us > 0) {
    wait_ = budget.wait;
    return Try::wait;
  }
  auto length = build(point, permit->source());
  auto done = frames_.send(std::move(*permit), ByteView(frame_).first(length), now);
  if (!done) {
    env_.log.error("sending failed: " + done.error().text());
    over_ = none;
    return Try::over;
  }
  if (*done != none) return refuse(*done);
  put(records_, {now, plan_.space.record_address(point.ip), point.slot->port, probe->index});
  return Try::sent;
}

Status Sender::write_records() {
  NORA_CHECK(frames_.flush());
  if (file_ && written_ < records_.size()) NORA_CHECK(write_all(file_.get(), ByteView(records_).subspan(written_)));
  written_ = records_.size();
  return {};
}

Status Sender::look_up() {
  auto now = env_.clock.monotonic();
  if (now - last_opt_out_ >= opt_out_every) {
    last_opt_out_ = now;
    NORA_TRY(auto changed, mandate_.refresh_opt_out());
    if (changed) env_.log.info("the opt-out list changed; it is in force");
  }
  if (now - last_progress_ >= progress_every) {
    last_progress_ = now;
    NORA_CHECK(channel_.send({{"op", "progress"}, {"n", number_}, {"sent", frames_.sent() - sent_before_}, {"refused", refused_}}));
  }
  NORA_TRY(auto message, channel_.receive(0));
  if (message && json::string_or(message->body, "op") == "stop") stopped_ = true;
  return {};
}

Status Sender::segment(const json::Object& order, Fd file) {
  NORA_TRY(number_, json::get_int(order, "n"));
  std::vector<std::uint64_t> chosen;
  std::uint64_t from = 0, to = 0;
  if (const auto* list = order.if_contains("indexes")) {
    const auto* array = list->if_array();
    if (!array) return fail(Code::bad_input, "indexes is not a list");
    for (const auto& v : *array) {
      if (!v.is_int64() || v.as_int64() < 0 || static_cast<std::uint64_t>(v.as_int64()) >= plan_.space.size())
        return fail(Code::bad_input, "an index is outside the plan");
      chosen.push_back(static_cast<std::uint64_t>(v.as_int64()));
    }
    to = chosen.size();
  } else {
    NORA_TRY(auto a, json::get_int(order, "from"));
    NORA_TRY(auto b, json::get_int(order, "to"));
    if (a < 0 || b < a || static_cast<std::uint64_t>(b) > plan_.space.size())
      return fail(Code::bad_input, "the segment is outside the plan");
    from = static_cast<std::uint64_t>(a);
    to = static_cast<std::uint64_t>(b);
  }
  file_ = std::move(file);
  refused_ = 0;
  reasons_.clear();
  records_.clear();
  written_ = 0;
  over_ = law::Refusal::none;
  sent_before_ = frames_.sent();
  using Due = std::pair<std::int64_t, std::uint64_t>;  // monotonic us, index
  std::priority_queue<Due, std::vector<Due>, std::greater<>> deferred;
  auto next = from;
  bool over = false;
  while (!over && !stopped_ && (next < to || !deferred.empty())) {
    auto now_us = env_.clock.monotonic().us;
    int retries = 0;
    // What waited comes first; then the walk goes on as long as there is room for what must wait.
    while (!over) {
      bool from_queue = !deferred.empty() && deferred.top().first <= now_us && retries < max_retries_per_round;
      if (!from_queue && (next >= to || deferred.size() >= max_deferred)) break;
      if (!pacer_.take(now_us)) break;
      std::uint64_t index;
      if (from_queue) {
        index = deferred.top().second;
        deferred.pop();
        ++retries;
      } else {
        index = next++;
      }
      auto tried = attempt(chosen.empty() ? index : chosen[index]);
      if (tried == Try::over) over = true;
      if (tried == Try::wait) deferred.emplace(now_us + std::max<std::int64_t>(wait_.us, 200), index);
      if (tried != Try::sent) pacer_.tokens += 1;
    }
    NORA_CHECK(write_records());
    NORA_CHECK(look_up());
    if (over || (next >= to && deferred.empty())) break;
    auto sleep = round_sleep;
    if (next >= to && deferred.top().first > now_us) sleep.us = std::clamp<std::int64_t>(deferred.top().first - now_us, 200, 50'000);
    env_.clock.sleep(sleep);
  }
  NORA_CHECK(write_records());
  if (file_ && fsync(file_.get()) != 0) return fail(Code::failed, "the segment file cannot be synced: " + errno_text(errno));
  file_ = Fd();
  NORA_CHECK(daily_.keep(budget_, env_.clock.now()));
  json::Object reasons;
  for (auto [why, n] : reasons_) reasons[law::name(why)] = n;
  json::Object done{{"op", "done"},
                    {"n", number_},
                    {"sent", frames_.sent() - sent_before_},
                    {"refused", refused_},
                    {"reasons", std::move(reasons)},
                    {"sha256", to_hex(sha256(records_))},
                    {"complete", !over && !stopped_}};
  if (over_ != law::Refusal::none) done["why"] = std::string(law::sentence(over_));
  return channel_.send(done);
}

Status serve(const SenderOptions& options, Channel& channel, Env env) {
  NORA_TRY(auto start, channel.receive(30'000));
  if (!start || json::string_or(start->body, "op") != "start" || !start->fd)
    return fail(Code::bad_input, "the sender was not given a plan");
  NORA_TRY(auto key_text, json::get_string(start->body, "key"));
  NORA_TRY(auto key_bytes, from_hex(key_text));
  Key key{};
  if (key_bytes.size() != key.size()) return fail(Code::bad_input, "the survey key has not 16 bytes");
  std::copy(key_bytes.begin(), key_bytes.end(), key.begin());
  NORA_TRY(auto plan_text, read_file("/proc/self/fd/" + std::to_string(start->fd.get()), max_plan_bytes));
  NORA_TRY(auto plan, Plan::parse(plan_text));

  NORA_TRY(auto mandate, law::Mandate::load(options.files));
  NORA_CHECK(mandate.usable(env.clock.now()));
  if (plan.mandate != mandate.hash())
    return fail(Code::refused, "the plan was made for another mandate", "make a new plan: nora scan plan");
  if (plan.catalogue != mandate.probes().hash())
    return fail(Code::refused, "the plan was made for another probe catalogue", "make a new plan: nora scan plan");
  NORA_TRY(auto catalogue_text, read_file(options.files.catalogue));
  NORA_TRY(auto catalogue, Catalogue::parse(catalogue_text));

  // Everything that needs rights happens here.
  NORA_TRY(auto frames, law::FrameSender::open(options.iface));
  NORA_TRY(auto ring, net::PacketRing::open(options.iface));
  NORA_TRY(auto held, hold_udp_ports());
  std::map<bool, net::Mac> hops;
  for (bool v4 : {true, false}) {
    auto ip = plan.space.any(v4);
    if (!ip) continue;
    auto own = mandate.source_for(*ip);
    if (!own) return fail(Code::refused, "the mandate has no source address for " + ip->text());
    NORA_TRY(hops[v4], next_hop(options.iface, *ip, *own));
  }
  NORA_CHECK(drop_rights());
  NORA_CHECK(channel.send({{"op", "ready"}, {"iface", options.iface}}, ring.fd()));

  Sender sender(mandate, catalogue, plan, key, std::move(frames), std::move(hops), channel, env);
  NORA_CHECK(sender.open_daily(options.daily));
  while (!sender.stopped()) {
    NORA_TRY(auto message, channel.receive(-1));
    if (!message) continue;
    auto op = json::string_or(message->body, "op");
    if (op == "stop") break;
    if (op != "segment") return fail(Code::bad_input, "the sender does not know the order " + op.substr(0, 20));
    NORA_CHECK(sender.segment(message->body, std::move(message->fd)));
  }
  return {};
}

}  // namespace

Status drop_rights() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(Code::environment, "no_new_privs: " + errno_text(errno));
  capng_clear(CAPNG_SELECT_BOTH);
  // The bounding set can be emptied only with CAP_SETPCAP; with no_new_privs it grants nothing anyway.
  if (capng_apply(CAPNG_SELECT_BOTH) != 0) {
    capng_clear(CAPNG_SELECT_CAPS);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0) return fail(Code::environment, "the sender cannot drop its capabilities");
  }
  capng_get_caps_process();
  if (capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE) return fail(Code::environment, "the sender still has capabilities");
  return {};
}

Status run_sender(const SenderOptions& options, Channel channel, Env env) {
  auto done = serve(options, channel, env);
  if (!done && done.error().code != Code::interrupted)
    (void)channel.send({{"op", "error"},
                        {"code", exit_code(done.error().code)},
                        {"refused", done.error().code == Code::refused},
                        {"what", done.error().what},
                        {"fix", done.error().fix}});
  if (!done && done.error().code == Code::interrupted) return {};  // nora scan is gone: nothing more to do
  return done;
}

}  // namespace nora::survey
