#include "desk/testing/test_center.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/files.h"
#include "cases/case_book.h"
#include "cases/metrics.h"
#include "expose/priority.h"
#include "law/test_mandate.h"
#include "registry/vulns.h"

namespace nora::desk::testing {

namespace fs = std::filesystem;
using registry::Id;

std::vector<std::string> hostile_payloads(const fs::path& file) {
  auto text = read_file(file);
  std::vector<std::string> out;
  if (!text) return out;
  auto hex = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
  for (std::size_t at = 0; at < text->size();) {
    auto end = std::min(text->find('\n', at), text->size());
    std::string_view line(text->data() + at, end - at);
    at = end + 1;
    if (line.empty() || line[0] == '#') continue;
    std::string decoded;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] != '\\' || i + 1 >= line.size()) {
        decoded += line[i];
        continue;
      }
      char c = line[++i];
      if (c == 'x' && i + 2 < line.size()) {
        decoded += static_cast<char>(hex(line[i + 1]) * 16 + hex(line[i + 2]));
        i += 2;
      } else {
        decoded += c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c == '0' ? '\0' : c;
      }
    }
    out.push_back(std::move(decoded));
  }
  return out;
}

// Counts what a page asks of the store.
class TestCenter::CountingDb : public store::Db {
 public:
  CountingDb(std::unique_ptr<store::Db> inner, TestCenter& center) : inner_(std::move(inner)), center_(center), count_(center.queries_) {}
  Result<store::Rows> query(std::string_view sql, const store::Params& params) override {
    ++count_;
    if (center_.query_takes_us_ > 0) center_.fake_.clock.sleep({center_.query_takes_us_});
    if (slow_ms_ == 0) return inner_->query(sql, params);
    auto begin = std::chrono::steady_clock::now();
    auto rows = inner_->query(sql, params);
    auto ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    if (ms >= slow_ms_) std::fprintf(stderr, "%.0f ms: %.*s\n", ms, static_cast<int>(std::min<std::size_t>(sql.size(), 160)), sql.data());
    return rows;
  }
  Result<std::int64_t> exec(std::string_view sql, const store::Params& params) override { return ++count_, inner_->exec(sql, params); }
  Status insert_many(std::string_view table, const std::vector<std::string>& columns, const store::Rows& rows, bool ignore) override {
    return ++count_, inner_->insert_many(table, columns, rows, ignore);
  }
  bool is_postgres() const override { return inner_->is_postgres(); }

 protected:
  Status begin() override { return inner_->write(is_postgres() ? "BEGIN" : "BEGIN IMMEDIATE"); }
  Status commit() override { return inner_->write("COMMIT"); }
  void rollback() override { (void)inner_->write("ROLLBACK"); }

 private:
  std::unique_ptr<store::Db> inner_;
  TestCenter& center_;
  std::atomic<std::int64_t>& count_;
  const double slow_ms_ = std::getenv("NORA_SLOW_MS") ? std::atof(std::getenv("NORA_SLOW_MS")) : 0;  // for the bench: say which queries are slow
};

// Keeps proposals in the table, as flow does, without rules: what the pages need.
class TestCenter::TableNaming : public Naming {
 public:
  TableNaming(std::string url, Clock& clock) : url_(std::move(url)), clock_(clock) {}
  Result<std::vector<identify::NamedRule>> preview(const identify::Naming& n) override {
    if (n.product.empty()) return fail(Code::usage, "a name needs a product");
    return std::vector<identify::NamedRule>{{"http_header.server", "^x " + n.product, "named:1", "named.xml", "", {7}}};
  }
  Status propose(const identify::Naming& n) override {
    return run("INSERT INTO cluster_name (cluster, vendor, product, type, proposed_by, proposed_at) VALUES (?,?,?,?,?,?)", {n.cluster, n.vendor, n.product, n.type, n.proposed_by, clock_.now()});
  }
  Result<std::int64_t> accept(Id proposal, std::string_view user) override {
    NORA_CHECK(run("UPDATE cluster_name SET accepted_by = ?, accepted_at = ? WHERE id = ?", {user, clock_.now(), proposal}));
    NORA_CHECK(run("UPDATE device SET vendor = (SELECT vendor FROM cluster_name WHERE id = ?), product = (SELECT product FROM cluster_name WHERE id = ?), cluster = '' "
                   "WHERE cluster = (SELECT cluster FROM cluster_name WHERE id = ?)", {proposal, proposal, proposal}));
    return 4;
  }
  Status undo(std::string_view cluster, std::string_view) override { return run("UPDATE cluster_name SET undone_at = ? WHERE cluster = ? AND undone_at IS NULL", {clock_.now(), cluster}); }

 private:
  Status run(std::string_view sql, const store::Params& params) {
    NORA_TRY(auto db, store::Db::open(url_));
    return db->write(sql, params);
  }
  std::string url_;
  Clock& clock_;
};

std::unique_ptr<TestCenter> TestCenter::make(Options options) {
  std::unique_ptr<TestCenter> center(new TestCenter);
  auto built = center->build(std::move(options));
  if (!built) {
    std::fprintf(stderr, "test center: %s\n", built.error().text().c_str());
    return nullptr;
  }
  return center;
}

TestCenter::~TestCenter() {
  desk_.reset();
  pool_.reset();
  registry_.reset();
  std::error_code error;
  if (!dir_.empty()) fs::remove_all(dir_, error);
}

Status TestCenter::build(Options options) {
  static std::atomic<int> number{0};
  dir_ = fs::temp_directory_path() / fmt::format("nora-desk-{}-{}", ::getpid(), ++number);
  fs::create_directories(dir_);
  url_ = options.store.empty() ? "sqlite:" + (dir_ / "center.db").string() : options.store;
  fake_.clock.set(*Instant::parse("2026-11-26T03:00:00Z"));
  NORA_TRY(auto registry, registry::Registry::open(url_));
  registry_.emplace(std::move(registry));
  NORA_TRY(auto messages, Messages::load(options.source / "data/messages"));
  messages_.emplace(std::move(messages));
  NORA_TRY(auto files, http::StaticFiles::load(options.source / "web"));
  files_.emplace(std::move(files));
  pool_.emplace([this]() -> Result<std::unique_ptr<store::Db>> {
    NORA_TRY(auto inner, store::Db::open(url_));
    return std::make_unique<CountingDb>(std::move(inner), *this);
  });
  users_.emplace(*pool_);
  NORA_CHECK(users_->migrate());
  for (auto [id, role] : {std::pair("analyst1", "analyst"), {"analyst2", "analyst"}, {"ops1", "operator"}, {"boss1", "approver"}, {"auditor1", "auditor"}})
    NORA_CHECK(users_->add(id, fmt::format("{} <b>", id), {role}, fake_.clock.now()));
  csrf_.emplace(Secret(Bytes(32, 9)), fake_.env());
  sessions_.emplace(*users_, *csrf_, fake_.env(), false);
  key_.emplace(SigningKey::make("center.example", fake_.random));
  NORA_TRY(auto audit, law::Audit::open(dir_ / "audit", "center.example", *key_, fake_.env()));
  audit_.emplace(std::move(audit));
  NORA_TRY(auto mandate, law::test_mandate());
  mandate_.emplace(std::move(mandate));
  NORA_TRY(auto knowledge, expose::Knowledge::load(options.source / "data/products", options.source / "data/advice"));
  knowledge_.emplace(std::move(knowledge));
  rules_ = std::make_shared<identify::RuleSet>();
  rules_->add_file("http_servers", R"x(<?xml version="1.0"?><fingerprints matches="http_header.server"><fingerprint pattern="^smpl-httpd/(\S+)"><description>sample</description>)x"
                                   R"x(<param pos="1" name="hw.version"/><param pos="0" name="hw.product" value="EC-200"/></fingerprint></fingerprints>)x");
  naming_ = std::make_unique<TableNaming>(url_, fake_.clock);

  DeskParts parts{fake_.env(), *messages_, *pool_, *users_, *csrf_, *sessions_, files_->href("nora.css"), {}, dir_ / "audit", key_->public_key(), &*mandate_, {}, &*knowledge_, {}, naming_.get(), {}, options.suppress_below, {}};
  parts.leaf = [this](std::string_view kind, const json::Object& data) -> Status {
    if (audit_broken_) return fail(Code::failed, "No space left on device (28)", "free space");
    NORA_CHECK(audit_->append(kind, data));
    return {};
  };
  parts.rules = [this] { return rules_; };
  parts.isp_names = {{"hikari", "Hikari Internet"}, {"sakura", "Sakura Net"}, {"kinmirai", "Kinmirai Building"}};
  parts.onsite = [this] { return cases::OnSite::open("sqlite:" + (dir_ / "onsite.db").string()); };
  NORA_CHECK(fill(options));
  desk_.emplace(std::move(parts));
  files_->add_routes(router_);
  sessions_->add_routes(router_, files_->href("nora.css"), "/");
  desk_->add_routes(router_);
  return {};
}

// Device `number`: two services, findings of changing patterns, a case at an ISP. `text` stands in everything that a device says.
Status TestCenter::fill_device(int number, const std::string& text, bool hostile) {
  auto& r = *registry_;
  auto now = fake_.clock.now();
  auto ip = Ip::v4(0xCB007100u + 1 + static_cast<std::uint32_t>(number) % 90).plus(0);
  if (number >= 90) ip = *Ip::parse(fmt::format("2001:db8:1000::{:x}", number));
  auto first = now - Span::hours(30), second = now - Span::hours(2);
  std::string raw = "HTTP/1.1 401 Unauthorized\r\nServer: smpl-httpd/1.8 " + text + "\r\nWWW-Authenticate: Basic realm=\"" + text + "\"\r\n\r\n<title>" + text + "</title>";
  registry::Reply reply{registry::reply_hash("http", as_bytes(raw)), "http", to_bytes(raw), {{"http_header.server", "smpl-httpd/1.8 " + text}, {"html_title", text}}};
  std::string key_raw = "\x01\x02\x03\x04\x05" + text;
  registry::Reply binary{registry::reply_hash("snmpv3", as_bytes(key_raw)), "snmpv3", to_bytes(key_raw), {{"snmpv3.engine_id", text}}};
  std::vector<registry::ReplyRecord> records;
  for (auto [at, segment] : {std::pair(first, "full/0"), {second, "again/0"}}) {
    records.push_back({{0, {ip, {80}, Proto::tcp, at}, Span::ms(5), {}, "http", segment, 40, 400}, reply});
    records.push_back({{0, {ip, {161}, Proto::udp, at}, Span::ms(5), {}, "snmpv3", segment, 60, 120}, binary});
  }
  NORA_CHECK(r.put_replies(records));
  NORA_CHECK(r.put_outcomes({{ip, {23}, Proto::tcp, "tcp-syn", second, "closed", "again/0"}, {ip, {554}, Proto::tcp, "tcp-syn", second, "silent", "again/0"}}));
  registry::Device d;
  const bool unknown = !hostile && number % 5 == 4;
  if (!unknown) {
    d.identity.vendor = {hostile ? text : "Sample", 0.9, {"http_header.server on 80/tcp: rule nora:sample " + (hostile ? text : "")}};
    d.identity.product = {hostile ? text : fmt::format("EC-{}", 200 + number % 3), 0.9, {"html_title: " + text}};
    d.identity.firmware = {hostile ? text : "1.8", 0.9, {"html_title: " + text}};
    d.identity.type = {hostile ? text : "IP Camera", 0.9, {text}};
    d.identity.cpes = {hostile ? text : "cpe:/o:sample:ec-200_firmware:1.8"};
    d.identity.components = {hostile ? text : "cpe:/a:sample:smpl-httpd:1.8"};
  } else {
    d.cluster = cluster;
  }
  d.first_seen = first;
  d.last_seen = second;
  NORA_TRY(d.id, r.put_device(d, fmt::format("key-{}", number), "rules-1"));
  NORA_CHECK(r.put_endpoint({d.id, ip, {80}, Proto::tcp, first, second, reply.hash, 1}));
  NORA_CHECK(r.put_endpoint({d.id, ip, {161}, Proto::udp, first, second, binary.hash, 2}));
  if (number == 0) camera = d.id;

  const bool onsite = number == 3;
  cases::Codes codes(Secret(Bytes(32, 5)));
  cases::CaseBook book(r, codes);
  auto routes = cases::Routes::parse("[[isp]]\nid = \"hikari\"\nname = \"Hikari\"\ntrack = \"list\"\nkey = \"" + key_->public_key().text() + "\"\n[[isp.prefix]]\nprefix = \"203.0.113.0/25\"\nfrom = 2026-01-01T00:00:00Z\nlease_hours = 24\n"
                                     "[[isp.prefix]]\nprefix = \"2001:db8:1000::/36\"\nfrom = 2026-01-01T00:00:00Z\n[[isp]]\nid = \"kinmirai\"\nname = \"K\"\ntrack = \"on-site\"\n[[isp.prefix]]\nprefix = \"203.0.113.4/32\"\nfrom = 2026-01-01T00:00:00Z\n", "test");
  if (!routes) return pass(routes.error());
  Id case_id = 0;
  for (int k = 0; k < 2; ++k) {
    registry::StoredFinding s;
    s.finding.device = d.id;
    s.finding.rule = hostile ? text.substr(0, 200) : k == 0 ? "open-resolver" : "telnet-login";
    s.finding.pattern = static_cast<registry::Pattern>('A' + (number + k) % 4);
    s.finding.severity = static_cast<registry::Severity>(1 + number % 4);
    s.finding.rsit = "vulnerable/ddos-amplifier";
    s.finding.where = {ip, {static_cast<std::uint16_t>(k == 0 ? 80 : 161)}, k == 0 ? Proto::tcp : Proto::udp, second};
    s.finding.first_seen = first;
    s.finding.last_seen = second;
    s.finding.state = number % 3 == 0 && k == 1 ? "fixed" : "open";
    s.finding.evidence = {text};
    if (k == 0) s.finding.amplification = 12.5;
    s.advice = "general";
    s.finding_class = s.finding.rule;
    s.segment = "again/0";
    s.seen_segments = 2;
    NORA_TRY(s.finding.id, r.put_finding(s));
    NORA_CHECK(r.add_finding_event({0, s.finding.id, second, "seen_again", "survey", "rules-1", text, "again/0"}));
    NORA_TRY(case_id, book.attach(s, routes->route(ip, second), {cases::Actor::sensor, "flow", "rules-1", text, "mandate demo"}, second));
    NORA_CHECK(r.set_finding_case(s.finding.id, case_id));
  }
  if (!unknown) NORA_CHECK(fill_vulns(d.id, number, text, hostile));
  if (onsite) {
    onsite_case = case_id;
    NORA_TRY(auto store, cases::OnSite::open("sqlite:" + (dir_ / "onsite.db").string()));
    NORA_CHECK(store.open_case(case_id, "FX5U " + text, {{0, "certificate", "operator", text, "desk@example", "x509.subject on 443/tcp"}, {0, "page", "site", "Kinmirai Building " + text, "+81-3-0000-0000", "html"}}, now));
    return {};
  }
  NORA_CHECK(book.move_along(case_id, {cases::State::S1_VALIDATED, cases::State::S2_ROUTED}, {cases::Actor::sensor, "flow", "rules-1", text, ""}, second));
  auto& db = r.db();
  auto row = fmt::format("row-{}", number);
  NORA_CHECK(db.insert_many("list_row", {"list_id", "row_id", "case_id", "finding", "finding_class", "ip", "port", "proto", "at"}, {{"center-hikari-1", row, case_id, std::int64_t{1}, "open-resolver", ip, 80, 6, second}}, true));
  if (number % 2 == 0) {
    NORA_CHECK(db.insert_many("list_return", {"list_id", "isp", "sequence", "row_id", "state", "at", "handle", "detail"}, {{"center-hikari-1", "hikari", 1, row, "matched", second, "h", hostile ? text : "mail"}}, true));
    NORA_CHECK(book.move_along(case_id, {cases::State::S3_ATTRIBUTED, cases::State::S4_NOTIFIED}, {cases::Actor::isp, "isp:hikari", "", text, "contract"}, second + Span::minutes(1)));
    NORA_CHECK(book.mark_notified(case_id, second + Span::minutes(1)));
  }
  if (number == 0) {
    list_case = case_id;
    NORA_CHECK(book.set_attacked(case_id));
    NORA_CHECK(r.put_sightings({{0, ip, first, second, "darknet:demo", "mirai", "confirmed", 900, 120, {23, 2323}, {}}}));
    NORA_TRY(auto sightings, r.sightings_of(ip));
    NORA_CHECK(r.put_sighting_join({sightings.at(0).id, "joined", d.id, 0.8, "a device on this line attacked; likely this one, because its telnet stood open: " + text, 3600, now}));
  }
  return {};
}

// What public sources say about the device, as flow would have judged it: one sure and used in attacks, one with the version unknown, one of a component.
Status TestCenter::fill_vulns(Id device, int number, const std::string& text, bool hostile) {
  using namespace expose;
  auto now = fake_.clock.now();
  registry::Vulns vulns(registry_->db());
  std::map<std::int64_t, std::string> texts;
  const auto key = [&](const std::string& words) {
    texts[registry::Vulns::text_key(words)] = words;
    return registry::Vulns::text_key(words);
  };
  std::vector<registry::DeviceVulnRow> rows;
  PriorityInput worst;
  for (int k = 0; k < 3; ++k) {
    PriorityInput in;
    in.verdict = k == 0 && number % 2 == 0 ? Verdict::affected_by_version : Verdict::possibly_affected;
    in.doubt = in.verdict == Verdict::affected_by_version ? Doubt::none : k == 2 ? Doubt::component : Doubt::version;
    in.exposures = {{registry::Pattern::D, hostile ? text.substr(0, 200) : "telnet-login"}};
    in.kev = in.ransomware = k == 0;
    in.kev_since = k == 0 ? hostile ? text.substr(0, 100) : "2026-02-20" : "";
    if (k < 2) in.epss = Epss{0.91234 - 0.5 * k, 0.99501, "2026-03-01"};
    if (k == 0) in.support_ended = true;
    in.support_end = k == 0 ? "2024-03-31" : "";
    Vulnerability v;
    v.id = v.record = hostile ? to_clean_utf8(text.substr(0, 100)) + std::to_string(k) : fmt::format("CVE-2026-9000{}", k + 1);
    v.source = "nvd";
    v.title_en = v.description = text + " Command Injection";
    v.title_ja = text + "におけるコマンドインジェクション";
    v.references = {hostile ? text : "https://advisories.example/2026/1"};
    v.remedies = {text};
    const auto doc = json::text(to_json(v));
    NORA_CHECK(vulns.put("nvd", {{v.record, now, {{v.id, doc, {{"sample", "x"}}}}}}));
    v.source = "kev";
    v.kev = Kev{"2026-02-20", "", "", "", "", "", true};
    if (k == 0) NORA_CHECK(vulns.put("kev", {{v.record, now, {{v.id, json::text(to_json(v)), {}}}}}));
    const auto p = priority_of(in);
    rows.push_back({v.id, static_cast<int>(*in.verdict), "nvd", key(to_clean_utf8("affected according to NVD: " + text)), key(json::text(to_json(in))), p.score});
    if (k > 0) continue;
    worst = in;
    worst.cve = v.id;
  }
  const auto most = priority_of(worst).score;
  const auto why = key(json::text(to_json(worst)));
  std::map<Id, registry::Urgency> findings;
  NORA_TRY(const auto stored, registry_->findings_of_device(device));
  for (const auto& f : stored) findings[f.finding.id] = {most - static_cast<int>(f.finding.id % 7), why};
  NORA_CHECK(vulns.put_texts(texts));
  NORA_TRY([[maybe_unused]] const auto counts, vulns.put_device_vulns(device, device, {{device, rows}}, now));
  return vulns.put_urgency(device, device, {{device, most - number % 5}}, findings);
}

Status TestCenter::fill(const Options& options) {
  auto& r = *registry_;
  auto now = fake_.clock.now();
  for (auto [id, kind, hours] : {std::tuple("full", "full", 30), {"again", "remeasure", 2}}) {
    registry::Survey s;
    s.id = id;
    s.kind = kind;
    s.mandate_hash = mandate_->hash();
    s.started = now - Span::hours(hours);
    s.finished = now - Span::hours(hours) + Span::minutes(5);
    s.sent = 12'000;
    s.replies = 310;
    NORA_CHECK(r.put_survey(s));
    NORA_TRY(auto segment, r.reserve_segment({fmt::format("{}/0", id), id, 0, 0, 12'000, registry::SegmentState::reserved, "", 0, {}, 0, {}}, "node1", now, Span::minutes(5), "12:aabbccdd"));
    NORA_CHECK(r.mark_sent(segment.id, segment.fence, 12'000));
    NORA_CHECK(r.commit_segment(segment.id, segment.fence, 12'000, sha256(as_bytes("file")), "13:eeff0011"));
  }
  NORA_CHECK(r.db().insert_many("list", {"id", "isp", "sequence", "created", "not_after", "row_count", "file_name", "file_hash", "state"},
                                {{"center-hikari-1", "hikari", 1, now - Span::hours(1), now + Span::days(14), 12, "hikari-1.nora-list", Bytes(32, 3), "written"}}));
  for (int i = 0; i < 12; ++i) NORA_CHECK(fill_device(devices_++, "Live View", false));
  for (const auto& text : options.hostile) NORA_CHECK(fill_device(devices_++, text, true));
  for (int i = 0; i < options.many; ++i) NORA_CHECK(fill_device(devices_++, "Live View", false));
  for (const char* survey : {"full", "again"}) NORA_CHECK(cases::snapshot(r, survey, now));
  // The first survey saw more: what the trend needs.
  return r.db().write("UPDATE metric_snapshot SET value = value + 8 WHERE survey = 'full' AND name = 'findings_seen'");
}

std::string TestCenter::login_path(const std::string& user) {
  auto path = http::make_login_link(*users_, user, fake_.env());
  return path ? *path : "";
}

std::string TestCenter::login(const std::string& user) {
  auto path = login_path(user);
  auto answer = post("/login", [&] { http::Fields f; f.add("token", path.substr(std::string("/login/").size())); return f; }(), "");
  for (const auto& [name, value] : answer.headers)
    if (name == "Set-Cookie") return value.substr(0, value.find(';'));
  return "";
}

http::Response TestCenter::get(const std::string& target, const std::string& cookie) {
  http::Request request;
  auto mark = target.find('?');
  request.path = http::parse_path(target.substr(0, mark)).value_or("/bad");
  if (mark != target.npos) request.query = http::parse_form(target.substr(mark + 1)).value_or(http::Fields{});
  if (!cookie.empty()) request.headers.emplace_back("cookie", cookie);
  request.peer = *Ip::parse("127.0.0.1");
  request.at = fake_.clock.now();
  auto answer = router_(request);
  if (answer.stream) {
    struct Keep : http::StreamWriter {
      std::string* to;
      bool write(std::string_view bytes) override { return to->append(bytes), true; }
    } keep;
    keep.to = &answer.body;
    answer.stream(keep);
  }
  return answer;
}

http::Response TestCenter::post(const std::string& path, http::Fields form, const std::string& cookie, bool with_csrf) {
  http::Request request;
  request.method = http::Method::post;
  request.path = path;
  request.peer = *Ip::parse("127.0.0.1");
  request.at = fake_.clock.now();
  if (!cookie.empty()) request.headers.emplace_back("cookie", cookie);
  if (with_csrf) form.add("csrf", csrf_->token(request));
  request.form = std::move(form);
  return router_(request);
}

std::vector<law::AuditEntry> TestCenter::leaves() { return law::audit_read(dir_ / "audit", 0, audit_->state().size).value_or(std::vector<law::AuditEntry>{}); }

std::vector<std::string> TestCenter::staff_paths() const {
  std::vector<std::string> paths{"/",         "/definitions", "/findings", "/devices", "/cases", "/sightings", "/clusters", fmt::format("/cluster/{}", cluster), "/onsite", fmt::format("/onsite/{}", onsite_case),
                                 fmt::format("/onsite/{}/form", onsite_case), "/lists", "/list/center-hikari-1", "/runs", "/run/full", "/law", "/audit", "/users", fmt::format("/case/{}", list_case), "/host/203.0.113.1",
                                 fmt::format("/device/{}", camera), "/findings?pattern=A&state=open", "/devices?unknown=1", "/cases?stage=notified", "/host/203.0.113.90", "/findings?sort=priority", "/devices?sort=priority&cve=CVE-2026-90001",
                                 "/cases?sort=priority"};
  // Some of the hostile devices, if there are any.
  for (int i = 12; i < devices_; ++i) {
    auto ip = i < 90 ? Ip::v4(0xCB007100u + 1 + static_cast<std::uint32_t>(i)) : *Ip::parse(fmt::format("2001:db8:1000::{:x}", i));
    paths.push_back("/host/" + ip.text());
    paths.push_back(fmt::format("/device/{}", camera + i));
  }
  return paths;
}

}  // namespace nora::desk::testing
