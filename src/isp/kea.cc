#include "isp/kea.h"

#include <charconv>
#include <map>

#include <fmt/format.h>

#include "base/crypto.h"
#include "base/text.h"

namespace nora::isp {
namespace {

constexpr std::size_t max_leases = 64;       // in one hook call
constexpr std::int64_t max_lifetime_s = 10LL * 366 * 86400;

std::optional<std::int64_t> number(std::string_view s) {
  std::int64_t n = 0;
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (error != std::errc{} || end != s.data() + s.size() || n < 0 || n > 253'402'300'799) return std::nullopt;
  return n;
}

using Fields = std::map<std::string_view, std::string_view>;
std::string_view get(const Fields& f, std::string_view key) {
  auto it = f.find(key);
  return it == f.end() ? std::string_view{} : it->second;
}

// Who holds it: the hardware address where there is one, else the client id or DUID.
std::string client_key(std::string_view hwaddr, std::string_view client, std::string_view duid) {
  if (!hwaddr.empty()) return fmt::format("mac:{}", hwaddr);
  if (!client.empty()) return fmt::format("client:{}", client);
  if (!duid.empty()) return fmt::format("duid:{}", duid);
  return {};
}

// Fills what both formats share; an error text or nothing.
std::string lease(LeaseRecord& r, std::string_view address, std::string_view length, std::string_view user) {
  auto ip = Ip::parse(address);
  if (!ip) return "bad address";
  int bits = ip->is_v4() ? 32 : 128;
  if (!length.empty() && !ip->is_v4()) {
    auto n = number(length);
    if (!n || *n > 128 || *n < 32) return "bad prefix length";
    bits = static_cast<int>(*n);
  }
  if (user.empty()) return "no hardware address, client id or DUID";
  if (user.size() > max_field_bytes) return "a field is too long";
  r.nas = r.nas_name = "dhcp";
  r.user = std::string(user);
  r.prefixes = {Prefix::of(*ip, bits)};
  return {};
}

void emit(LeaseRecord&& r, std::string_view raw, std::string_view file, std::uint64_t offset, const RecordSink& sink, ImportCounts& counts) {
  r.file = std::string(file);
  r.offset = offset;
  r.hash = sha256(as_bytes(raw));
  ++counts.records;
  sink(std::move(r));
}

// One lease inside a hook record: variables with the given prefix ("LEASES4_AT0_", "LEASE4_").
std::string hook_lease(const Fields& f, const std::string& prefix, bool gone, LeaseRecord& r) {
  auto v = [&](std::string_view n) { return get(f, prefix + std::string(n)); };
  auto cltt = number(v("CLTT")), lifetime = number(v("VALID_LIFETIME"));
  auto time = number(get(f, "TIME"));  // written by the hook script itself, where it does
  if (!cltt && !(gone && time)) return "no CLTT";
  if (!gone && (!lifetime || *lifetime > max_lifetime_s)) return "no VALID_LIFETIME";
  if (auto why = lease(r, v("ADDRESS"), v("PREFIX_LEN"), client_key(v("HWADDR"), v("CLIENT_ID"), v("DUID"))); !why.empty()) return why;
  r.kind = gone ? RecordKind::release : RecordKind::lease;
  r.at = Instant::seconds(gone && time ? *time : *cltt);
  r.at_known = !gone || time.has_value();
  r.lifetime = Span::seconds(gone ? 0 : *lifetime);
  return {};
}

void hook_record(std::string_view text, std::string_view file, std::uint64_t offset, bool last, const RecordSink& sink, ImportCounts& counts) {
  auto nl = text.find('\n');
  std::string_view name = text.substr(3, nl == text.npos ? nl : nl - 3);
  while (!name.empty() && (name.back() == '\r' || name.back() == ' ')) name.remove_suffix(1);
  Fields fields;
  for (std::size_t pos = nl == text.npos ? text.size() : nl + 1; pos < text.size();) {
    auto end = std::min(text.find('\n', pos), text.size());
    auto line = text.substr(pos, end - pos);
    pos = end + 1;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (auto eq = line.find('='); eq != line.npos) fields[line.substr(0, eq)] = line.substr(eq + 1);
  }
  struct Part { std::string prefix; bool gone; };
  std::vector<Part> parts;
  auto many = [&](std::string_view family, std::string_view word, bool gone) {
    auto n = number(get(fields, fmt::format("{}{}_SIZE", word, family)));
    for (std::int64_t i = 0; n && i < *n && i < static_cast<std::int64_t>(max_leases); ++i) parts.push_back({fmt::format("{}{}_AT{}_", word, family, i), gone});
  };
  if (name == "leases4_committed" || name == "leases6_committed") {
    auto family = name.substr(6, 1);
    many(family, "LEASES", false);
    many(family, "DELETED_LEASES", true);
  } else if (name == "lease4_renew" || name == "lease6_renew" || name == "lease6_rebind" || name == "lease4_recover" || name == "lease6_recover" ||
             name == "lease4_expire" || name == "lease6_expire") {  // an expired lease ran to its end: the same interval as its last renewal
    parts.push_back({fmt::format("LEASE{}_", name.substr(5, 1)), false});
  } else if (name == "lease4_release" || name == "lease6_release" || name == "lease4_decline" || name == "lease6_decline") {
    parts.push_back({fmt::format("LEASE{}_", name.substr(5, 1)), true});
  } else {
    ++counts.ignored;
    return;
  }
  // state "declined": the client says that somebody else uses the address; it is nobody's lease.
  std::vector<LeaseRecord> good;
  for (const auto& part : parts) {
    auto state = get(fields, part.prefix + "STATE");
    LeaseRecord r;
    auto why = hook_lease(fields, part.prefix, part.gone || state == "declined" || state == "1", r);
    if (why.empty()) { good.push_back(std::move(r)); continue; }
    if (last) { ++counts.incomplete; return; }  // the script may still be writing
    ++counts.refused;
    counts.complain(fmt::format("{}:{}: {}", file, offset, why));
    return;
  }
  if (good.empty()) ++counts.ignored;
  for (auto& r : good) emit(std::move(r), text, file, offset, sink, counts);
}

}  // namespace

std::size_t parse_kea_hook(std::string_view data, bool at_end, std::string_view file, std::uint64_t offset, const RecordSink& sink, ImportCounts& counts) {
  std::size_t pos = 0;
  while (pos < data.size()) {
    if (data.compare(pos, 3, "== ") != 0) {  // before the first record, or after a cut
      auto nl = data.find('\n', pos);
      if (nl == data.npos) return at_end ? data.size() : pos;
      pos = nl + 1;
      continue;
    }
    auto next = data.find("\n== ", pos);
    if (next == data.npos && !at_end) {
      if (data.size() - pos <= max_raw_record_bytes) return pos;
      ++counts.refused;
      counts.complain(fmt::format("{}:{}: a record longer than {} bytes", file, offset + pos, max_raw_record_bytes));
      return data.size();
    }
    auto end = next == data.npos ? data.size() : next + 1;
    auto text = data.substr(pos, end - pos);
    if (text.size() > max_raw_record_bytes) {
      ++counts.refused;
      counts.complain(fmt::format("{}:{}: a record longer than {} bytes", file, offset + pos, max_raw_record_bytes));
    } else if (next == data.npos && text.back() != '\n') {
      ++counts.incomplete;
    } else {
      hook_record(text, file, offset + pos, next == data.npos, sink, counts);
    }
    pos = end;
  }
  return pos;
}

bool is_kea_header(std::string_view line) { return line.starts_with("address,hwaddr,client_id,") || line.starts_with("address,duid,valid_lifetime,"); }

std::size_t parse_kea_rows(std::string_view data, bool at_end, std::string_view header, std::string_view file, std::uint64_t offset, const RecordSink& sink,
                           ImportCounts& counts) {
  while (!header.empty() && (header.back() == '\r' || header.back() == '\n')) header.remove_suffix(1);
  auto columns = split(header, ',');
  std::size_t pos = 0;
  while (pos < data.size()) {
    auto end = data.find('\n', pos);
    if (end == data.npos) {
      if (at_end) { ++counts.incomplete; return data.size(); }
      if (data.size() - pos <= max_raw_record_bytes) return pos;
      ++counts.refused;
      return data.size();
    }
    auto raw = data.substr(pos, end + 1 - pos);
    auto line = raw.substr(0, raw.size() - 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    auto here = offset + pos;
    pos = end + 1;
    if (line.empty() || line == header) continue;
    auto cells = split(line, ',');  // Kea writes a comma inside a host name as &#x2c
    Fields f;
    for (std::size_t i = 0; i < cells.size() && i < columns.size(); ++i) f[columns[i]] = cells[i];
    auto expire = number(get(f, "expire")), valid = number(get(f, "valid_lifetime"));
    std::string why;
    LeaseRecord r;
    if (cells.size() < 10) why = "too few columns";
    else if (!expire || !valid || *valid > max_lifetime_s || *valid > *expire) why = "bad expire or valid_lifetime";
    else why = lease(r, get(f, "address"), get(f, "lease_type") == "2" ? get(f, "prefix_len") : "", client_key(get(f, "hwaddr"), get(f, "client_id"), get(f, "duid")));
    if (!why.empty()) {
      ++counts.refused;
      counts.complain(fmt::format("{}:{}: {}", file, here, why));
      continue;
    }
    // A row with lifetime 0 (released) or state 1 (declined) ends the lease; when exactly, the journal does not say.
    // State 2 (expired, reclaimed) repeats a lease that ran to its end.
    bool gone = *valid == 0 || get(f, "state") == "1";
    r.kind = gone ? RecordKind::release : RecordKind::lease;
    r.at = Instant::seconds(*expire - *valid);
    r.at_known = !gone;
    r.lifetime = Span::seconds(gone ? 0 : *valid);
    emit(std::move(r), raw, file, here, sink, counts);
  }
  return pos;
}

}  // namespace nora::isp
