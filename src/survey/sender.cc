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
#include "survey/holds.h"
#include "survey/next_hop.h"
#include "survey/operators.h"
#include "survey/plan.h"
#include "survey/rates.h"
#include "survey/record.h"

namespace nora::survey {
namespace {

constexpr std::size_t max_deferred = 4096;  // probes of one segment that wait for their target's turn
constexpr std::size_t max_retries_per_batch = 32;  // so that the walk goes on whatever waits
constexpr Span round_sleep = Span::ms(2);   // pacing is by sleeping; well below the burst of law::Budget
constexpr Span burst = Span::ms(10);        // of the pacer
constexpr Span progress_every = Span::ms(200);
constexpr Span opt_out_every = Span::seconds(1);
constexpr std::uint16_t syn_mss = 1460;
constexpr std::size_t syn6_bytes = 78;         // a SYN with MSS by IPv6
constexpr std::size_t udp_header_bytes = 62;   // Ethernet, IPv6, UDP
constexpr std::size_t max_held = 2000;         // places of one order that are left out because of a hold and ordered again later
constexpr std::size_t max_operators_bytes = 64u << 20;
constexpr Span longest_sleep = Span::ms(15);   // so that an order that comes meanwhile is heard

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
  Pacer(double pps, std::int64_t now_us)
      : per_us(pps / 1e6), cap(std::max(1.0, pps * burst.as_seconds())), tokens(pps > 0 ? 1 : 0), last_us(now_us) {}
  bool take(std::int64_t now_us) {
    tokens = std::min(cap, tokens + static_cast<double>(now_us - last_us) * per_us);
    last_us = now_us;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  }
};

law::Budget::Rates start_rates(const law::MandateText& m) {
  auto p = probe_rates(m);
  return {p.rate_total_pps, p.rate_per_24_pps, p.rate_per_target_pps, p.probes_per_target_per_day};
}

// What of a probe is the same for every target.
struct Prepared {
  const law::ProbeInfo* probe = nullptr;  // null: not in the catalogue
  const Request* request = nullptr;       // UDP
};

class Sender {
 public:
  Sender(law::Mandate& mandate, const Catalogue& catalogue, const Plan& plan, const Key& key, law::FrameSender frames,
         std::map<bool, net::Mac> hops, Channel& channel, law::DailyLedger ledger, Env env)
      : mandate_(mandate),
        plan_(plan),
        key_(key),
        frames_(std::move(frames)),
        hops_(std::move(hops)),
        channel_(channel),
        env_(env),
        permutation_(plan.space.size(), plan.order),
        budget_(probe_rates(mandate.text())),
        rates_(start_rates(mandate.text())),
        pacer_(survey_pps(mandate.text(), plan.space.networks24()), env.clock.monotonic().us) {
    budget_.use(std::move(ledger));
    batches_per_round_ = std::max<std::size_t>(1, frames_.round_frames() / net::send_batch);
    for (const auto* slot : plan.space.slots_in_order())
      prepared_.push_back({mandate.probes().find(slot->probe), catalogue.find(slot->probe)});
    if (auto v4 = plan.space.any(true)) syn_ = net::SynTemplate({frames_.mac(), hops_[true]}, *mandate.source_for(*v4), syn_mss);
  }

  // One segment: every index is sent once, or counted as refused with its reason.
  Status segment(const json::Object& order, Fd file);
  // Orders that may come at any time: stop, rate, hold, operators (README.md: messages).
  Status obey(const json::Object& order, const Fd& file);
  bool stopped() const { return stopped_; }

 private:
  enum class Try { sent, refused, wait, held, over };
  struct Job {
    std::uint64_t index = 0;  // place in the walk, or in the list of chosen places
    Point point;
  };
  Try attempt(const Job& job, Instant now);
  std::size_t build(const Point& point, const Prepared& what, Ip source);
  Status write_records();
  Status look_up();  // messages and opt-outs between rounds
  Status set_rates(const json::Object& order);

  law::Mandate& mandate_;
  const Plan& plan_;
  AnswerKey key_;
  law::FrameSender frames_;
  std::map<bool, net::Mac> hops_;  // by is_v4
  Channel& channel_;
  Env env_;
  Permutation permutation_;
  law::Budget budget_;
  law::Budget::Rates rates_;  // as they are now
  std::uint32_t operator_percent_ = probe_share_percent;
  Pacer pacer_;
  std::vector<Prepared> prepared_;  // by slot number
  net::SynTemplate syn_;
  Holds holds_;
  Operators operators_;
  std::array<Job, net::send_batch> jobs_;
  std::size_t batches_per_round_;  // then records are written and messages read
  // of the running segment
  std::int64_t number_ = 0;
  std::uint64_t refused_ = 0, sent_before_ = 0;
  std::map<law::Refusal, std::uint64_t> reasons_;
  law::Refusal over_ = law::Refusal::none;
  Span wait_{};
  Bytes records_;
  Sha256 hash_;
  Fd file_;
  Span last_progress_{}, last_opt_out_{};
  bool stopped_ = false;
};

std::size_t Sender::build(const Point& point, const Prepared& what, Ip source) {
  const auto& slot = *point.slot;
  if (slot.proto == Proto::tcp) {
    auto token = key_.syn(point.ip, slot.port);
    auto ip_id = static_cast<std::uint16_t>(token.seq);
    auto frame = frames_.slot(point.ip.is_v4() ? net::SynTemplate::bytes : syn6_bytes);
    if (point.ip.is_v4()) {
      syn_.fill(frame.data(), point.ip.v4_value(), token.source_port, slot.port, token.seq, ip_id);
      return net::SynTemplate::bytes;
    }
    net::TcpFields f;
    f.source = source;
    f.dest = point.ip;
    f.source_port = token.source_port;
    f.dest_port = slot.port;
    f.seq = token.seq;
    f.mss = syn_mss;
    return net::build_tcp(frame, {frames_.mac(), hops_[false]}, f);
  }
  auto token = key_.token(point.ip, slot.port, slot.probe);
  net::UdpFields f;
  f.source = source;
  f.dest = point.ip;
  f.source_port = key_.udp_source_port(point.ip, slot.port, slot.probe);
  f.dest_port = slot.port;
  f.ip_id = get_u16be(token.bytes.data());
  auto request = what.request->render(token, point.ip, source);
  return net::build_udp(frames_.slot(request.size() + udp_header_bytes), {frames_.mac(), hops_[point.ip.is_v4()]}, f, request);
}

Sender::Try Sender::attempt(const Job& job, Instant now) {
  using enum law::Refusal;
  const auto& point = job.point;
  auto refuse = [&](law::Refusal why) {
    if (why == not_yet_valid || why == expired || why == outside_daily_window || why == budget_table_full) {
      over_ = why;
      return Try::over;
    }
    ++refused_;
    ++reasons_[why];
    return Try::refused;
  };
  const auto& what = prepared_[point.slot_number];
  if (what.probe == nullptr) return refuse(probe_not_in_catalogue);
  auto permit = mandate_.permit({point.ip, point.slot->port}, *what.probe, now);
  if (!permit) return refuse(permit.error());
  if (holds_.size() != 0) {
    auto wait = holds_.wait(point.ip, env_.clock.monotonic());
    if (wait == held_for_good) return refuse(backed_off);
    if (wait.us > 0) return wait_ = wait, Try::held;
  }
  if (!operators_.empty()) {
    if (auto wait = operators_.take(point.ip, env_.clock.monotonic()); wait.us > 0) return wait_ = wait, Try::wait;
  }
  auto budget = budget_.take(*permit, now);
  if (budget.refusal != none) return refuse(budget.refusal);
  if (budget.wait.us > 0) {
    wait_ = budget.wait;
    return Try::wait;
  }
  auto length = build(point, what, permit->source());
  if (auto why = frames_.send(std::move(*permit), length, now); why != none) return refuse(why);
  put(records_, {now, plan_.space.record_address(point.ip), point.slot->port, what.probe->index});
  return Try::sent;
}

Status Sender::write_records() {
  NORA_CHECK(frames_.flush());
  if (file_ && !records_.empty()) NORA_CHECK(write_all(file_.get(), records_));
  hash_.update(records_);
  records_.clear();
  return {};
}

Status Sender::set_rates(const json::Object& order) {
  const auto& m = mandate_.text();
  // Never above the mandate; what is not named stays.
  auto field = [&](const char* name, std::uint32_t& value, std::uint32_t most) {
    auto v = json::int_or(order, name, -1);
    if (v >= 0) value = static_cast<std::uint32_t>(std::min<std::int64_t>(v, most));
  };
  field("pps", rates_.total_pps, m.rate_total_pps);
  field("per_24_pps", rates_.per_24_pps, m.rate_per_24_pps);
  field("per_target_pps", rates_.per_target_pps, m.rate_per_target_pps);
  field("per_target_day", rates_.per_target_day, m.probes_per_target_per_day);
  field("operator_percent", operator_percent_, 100);
  budget_.set(rates_);
  operators_.share(operator_percent_);
  pacer_ = Pacer(rates_.total_pps, env_.clock.monotonic().us);
  return channel_.send({{"op", "rate"},
                        {"pps", rates_.total_pps},
                        {"per_24_pps", rates_.per_24_pps},
                        {"per_target_pps", rates_.per_target_pps},
                        {"per_target_day", rates_.per_target_day},
                        {"operator_percent", operator_percent_}});
}

Status Sender::obey(const json::Object& order, const Fd& file) {
  auto op = json::string_or(order, "op");
  if (op == "stop") {
    stopped_ = true;
    return {};
  }
  if (op == "rate") return set_rates(order);
  if (op == "hold") {
    NORA_TRY(auto text, json::get_string(order, "prefix"));
    NORA_TRY(auto prefix, Prefix::parse(text));
    NORA_TRY(auto for_ms, json::get_int(order, "for_ms"));
    if (!Holds::fits(prefix)) return fail(Code::bad_input, "a hold is for a /24, /32, /48 or /128, not " + text);
    if (!holds_.set(prefix, for_ms, env_.clock.monotonic()))
      return fail(Code::failed, "more than " + std::to_string(Holds::max_holds) + " networks are held back", "something is wrong on the way: stop and look");
    return {};
  }
  if (op == "operators") {
    if (!file) return fail(Code::bad_input, "the sender was not given the file of operators");
    NORA_TRY(auto text, read_file("/proc/self/fd/" + std::to_string(file.get()), max_operators_bytes));
    NORA_TRY(operators_, Operators::parse(text, static_cast<std::uint32_t>(json::int_or(order, "default_pps", 0))));
    operators_.share(operator_percent_);
    return {};
  }
  return fail(Code::bad_input, "the sender does not know the order " + op.substr(0, 20));
}

Status Sender::look_up() {
  auto now = env_.clock.monotonic();
  if (now - last_opt_out_ >= opt_out_every) {
    last_opt_out_ = now;
    NORA_TRY(auto changed, mandate_.refresh_opt_out());
    NORA_CHECK(frames_.renew(mandate_, changed));
    if (changed) env_.log.info("the opt-out list changed; it is in force");
  }
  if (now - last_progress_ >= progress_every) {
    last_progress_ = now;
    NORA_CHECK(channel_.send({{"op", "progress"}, {"n", number_}, {"sent", frames_.sent() - sent_before_}, {"refused", refused_}}));
  }
  for (int i = 0; i < 16; ++i) {
    NORA_TRY(auto message, channel_.receive(0));
    if (!message) break;
    NORA_CHECK(obey(message->body, message->fd));
  }
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
  hash_ = Sha256();
  over_ = law::Refusal::none;
  sent_before_ = frames_.sent();
  using Due = std::pair<std::int64_t, std::uint64_t>;  // monotonic us, index
  std::priority_queue<Due, std::vector<Due>, std::greater<>> deferred;
  std::vector<std::uint64_t> held;
  auto place = [&](std::uint64_t index) { return chosen.empty() ? index : chosen[index]; };
  auto next = from;
  bool over = false;
  while (!over && !stopped_ && (next < to || !deferred.empty())) {
    bool paced = false;
    for (std::size_t batch = 0; batch < batches_per_round_ && !over && !paced; ++batch) {
      auto now_us = env_.clock.monotonic().us;
      auto now = env_.clock.now();
      // What waited comes first; then the walk goes on as long as there is room for what must wait. All targets of a batch are looked up in
      // memory together, then judged and sent one by one.
      std::size_t n = 0, retries = 0;
      while (n < jobs_.size()) {
        bool from_queue = !deferred.empty() && deferred.top().first <= now_us && retries < max_retries_per_batch;
        if (!from_queue && (next >= to || deferred.size() + n >= max_deferred)) break;
        if (!pacer_.take(now_us)) break;
        auto& job = jobs_[n++];
        if (from_queue) {
          job.index = deferred.top().second;
          deferred.pop();
          ++retries;
        } else {
          job.index = next++;
        }
        job.point = plan_.space.at(permutation_.at(place(job.index)));
      }
      // In a loop of its own, so that the memory reads (and page walks) of many targets overlap: half of the sender's own time was waiting.
      for (std::size_t i = 0; i < n; ++i) {
        mandate_.prefetch(jobs_[i].point.ip);
        budget_.prefetch(jobs_[i].point.ip);
      }
      paced = n < jobs_.size();
      for (std::size_t i = 0; i < n; ++i) {
        auto tried = over ? Try::over : attempt(jobs_[i], now);
        if (tried == Try::over) over = true;
        if (tried == Try::held && held.size() < max_held) held.push_back(place(jobs_[i].index));
        else if (tried == Try::wait || tried == Try::held) deferred.emplace(now_us + std::max<std::int64_t>(wait_.us, 200), jobs_[i].index);
        if (tried != Try::sent) pacer_.tokens += 1;
      }
    }
    NORA_CHECK(write_records());
    NORA_CHECK(look_up());
    if (over || (next >= to && deferred.empty())) break;
    if (!paced) continue;
    auto sleep = round_sleep;
    auto now_us = env_.clock.monotonic().us;
    if (next >= to && deferred.top().first > now_us) sleep.us = std::clamp<std::int64_t>(deferred.top().first - now_us, 200, longest_sleep.us);
    env_.clock.sleep(sleep);
  }
  NORA_CHECK(write_records());
  if (file_ && fsync(file_.get()) != 0) return fail(Code::failed, "the segment file cannot be synced: " + errno_text(errno));
  file_ = Fd();
  NORA_CHECK(budget_.ledger().sync(env_.clock.now()));
  json::Object reasons;
  for (auto [why, n] : reasons_) reasons[law::name(why)] = n;
  json::Object done{{"op", "done"},
                    {"n", number_},
                    {"sent", frames_.sent() - sent_before_},
                    {"refused", refused_},
                    {"reasons", std::move(reasons)},
                    {"sha256", to_hex(hash_.finish())},
                    {"complete", !over && !stopped_}};
  if (!held.empty()) {
    json::Array places;
    for (auto p : held) places.push_back(p);
    done["held"] = std::move(places);
  }
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
  NORA_TRY(auto frames, law::FrameSender::open(options.iface, options.send, &mandate));
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
  NORA_TRY(auto ledger, law::DailyLedger::open(options.daily, env.clock.now()));
  NORA_CHECK(drop_rights(frames.path() == "live"));
  NORA_CHECK(channel.send({{"op", "ready"},
                           {"iface", options.iface},
                           {"can", json::Array{"rate", "hold", "operators"}},
                           {"path", std::string(frames.path())},
                           {"why", frames.fell_back()}}, ring.fd()));

  Sender sender(mandate, catalogue, plan, key, std::move(frames), std::move(hops), channel, std::move(ledger), env);
  while (!sender.stopped()) {
    NORA_TRY(auto message, channel.receive(-1));
    if (!message) continue;
    if (json::string_or(message->body, "op") == "segment") NORA_CHECK(sender.segment(message->body, std::move(message->fd)));
    else NORA_CHECK(sender.obey(message->body, message->fd));
  }
  return {};
}

}  // namespace

Status drop_rights(bool keep_bpf) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(Code::environment, "no_new_privs: " + errno_text(errno));
  const auto choose = [&](capng_select_t which) {
    capng_clear(which);
    if (keep_bpf) capng_updatev(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), CAP_BPF, CAP_NET_ADMIN, -1);
    return capng_apply(which);
  };
  // The bounding set can be emptied only with CAP_SETPCAP; with no_new_privs it grants nothing anyway.
  if (choose(CAPNG_SELECT_BOTH) != 0 && choose(CAPNG_SELECT_CAPS) != 0) return fail(Code::environment, "the sender cannot drop its capabilities");
  capng_get_caps_process();
  for (int c = 0; c <= CAP_LAST_CAP; ++c)
    if (capng_have_capability(CAPNG_PERMITTED, static_cast<unsigned>(c)) && !(keep_bpf && (c == CAP_BPF || c == CAP_NET_ADMIN)))
      return fail(Code::environment, "the sender still has capabilities");
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
