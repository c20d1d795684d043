#include "isp/import.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/escape.h"
#include "base/files.h"
#include "isp/kea.h"
#include "isp/radius_detail.h"

namespace nora::isp {
namespace {

constexpr std::size_t chunk_bytes = 1 << 20;
constexpr std::size_t max_small_file_bytes = std::size_t{1} << 30;  // rule and customer files are read whole

using Parser = std::function<std::size_t(std::string_view, bool, std::uint64_t)>;

Status stream(int fd, const std::filesystem::path& file, const Parser& parse) {
  std::string buffer;
  std::uint64_t offset = 0;
  for (bool at_end = false; !at_end;) {
    auto old = buffer.size();
    buffer.resize(old + chunk_bytes);
    auto n = ::read(fd, buffer.data() + old, chunk_bytes);
    if (n < 0) return fail(Code::failed, fmt::format("cannot read {}: {}", file.string(), errno_text(errno)));
    buffer.resize(old + static_cast<std::size_t>(n));
    at_end = n == 0;
    auto used = parse(buffer, at_end, offset);
    buffer.erase(0, used);
    offset += used;
  }
  return {};
}

std::string_view first_line(std::string_view text) {
  auto line = text.substr(0, text.find('\n'));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// "Mon Nov 23 03:17:43 2026" and then an attribute line.
bool is_detail(std::string_view head) {
  while (!head.empty() && (head[0] == '\n' || head[0] == '\r')) head.remove_prefix(1);
  auto nl = head.find('\n');
  return nl != head.npos && nl >= 20 && nl <= 40 && head.substr(nl + 1).starts_with('\t');
}

}  // namespace

Result<FileReport> import_file(const std::filesystem::path& path, IndexWriter& index, std::vector<Customer>& customers) {
  std::error_code ignored;
  auto file = std::filesystem::absolute(path, ignored).lexically_normal();
  Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(Code::failed, fmt::format("cannot open {}: {}", file.string(), errno_text(errno)));
  std::string head(4096, '\0');
  auto n = ::pread(fd.get(), head.data(), head.size(), 0);
  if (n < 0) return fail(Code::failed, fmt::format("cannot read {}: {}", file.string(), errno_text(errno)));
  head.resize(static_cast<std::size_t>(n));
  FileReport report;
  report.file = file.string();
  auto& counts = report.counts;
  RecordSink sink = [&](LeaseRecord&& r) { if (index.add(std::move(r))) ++counts.fresh; };
  auto line = first_line(head);
  if (line == mape_header) {
    report.format = "map-e";
    NORA_TRY(auto text, read_file(file, max_small_file_bytes));
    NORA_TRY(auto rules, parse_mape_rules(text, report.file));
    counts.records = static_cast<std::int64_t>(rules.size());
    index.set_mape(report.file, std::move(rules));
  } else if (is_kea_header(line)) {
    report.format = "kea-leases";
    auto columns = std::string(line);
    NORA_CHECK(stream(fd.get(), file, [&](auto data, bool end, auto offset) { return parse_kea_rows(data, end, columns, report.file, offset, sink, counts); }));
  } else if (is_customer_header(line)) {
    report.format = "customers";
    NORA_TRY(auto text, read_file(file, max_small_file_bytes));
    NORA_TRY(customers, parse_customers(text, report.file));
    counts.records = static_cast<std::int64_t>(customers.size());
    index.set_lines(customers);
  } else if (is_detail(head)) {
    report.format = "radius-detail";
    NORA_CHECK(stream(fd.get(), file, [&](auto data, bool end, auto offset) { return parse_radius_detail(data, end, report.file, offset, sink, counts); }));
  } else if (head.starts_with("== ") || head.contains("\n== ")) {
    report.format = "kea-hook";
    NORA_CHECK(stream(fd.get(), file, [&](auto data, bool end, auto offset) { return parse_kea_hook(data, end, report.file, offset, sink, counts); }));
  } else if (head.empty()) {
    report.format = "empty";
  } else {
    return fail(Code::bad_input, fmt::format("{}: not a format that Nora knows", to_terminal(report.file)),
                "Known are FreeRADIUS detail, Kea hook log and leases files, MAP-E rules and customers (CSV with a column \"line\")");
  }
  return report;
}

}  // namespace nora::isp
