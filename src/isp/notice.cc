#include "isp/notice.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/escape.h"

namespace nora::isp {
namespace {

constexpr int jst_minutes = 540;
constexpr std::array<std::string_view, 5> severities{"info", "low", "medium", "high", "critical"};

int weight(const Row& r) {
  auto it = std::ranges::find(severities, r.item.severity);
  return (r.item.attacked ? 100 : 0) + static_cast<int>(it - severities.begin()) % 5;
}

std::string product_of(const exchange::ListRow& i) {
  auto name = i.vendor.empty() || i.product.starts_with(i.vendor) ? i.product : i.vendor + " " + i.product;
  return to_mail_body(name);
}

// The plain words of a language, one message.
class Writer {
 public:
  Writer(const Messages& messages, Lang lang, const Settings& s) : m_(messages), lang_(lang) {
    isp_ = lang == Lang::en ? s.name_en : s.name_ja;
    if (isp_.empty()) isp_ = s.isp;
    common_ = {{"isp", isp_}, {"phone", s.phone}, {"page", s.page}, {"portal", s.portal}};
  }
  std::string text(std::string_view id, std::vector<std::pair<std::string_view, std::string>> more = {}) const {
    more.insert(more.end(), common_.begin(), common_.end());
    return m_.get(lang_, id, more);
  }
  void line(std::string_view id, std::vector<std::pair<std::string_view, std::string>> more = {}) { out_ += text(id, std::move(more)) + "\n"; }
  void gap() { out_ += "\n"; }

  void write(const std::vector<Tied>& tied) {
    const auto& first = tied.front().row.item;
    line("notice.greeting");
    gap();
    line(first.attacked || first.finding_class == "infected" ? "notice.attacked" : "notice.exposed");
    gap();
    line("notice.found");
    auto product = product_of(first);
    line(product.empty() ? "notice.device.unknown" : first.confidence >= sure_enough ? "notice.device" : "notice.device.likely", {{"product", product}});
    if (auto title = "exposure." + first.finding_class + ".title"; m_.has(lang_, title)) line("notice.state", {{"state", m_.get(lang_, title)}});
    line("notice.time", {{"local", first.where.at.local(jst_minutes)}, {"utc", first.where.at.local(0)}});
    gap();
    line("notice.step");
    auto step = fmt::format("advice.{}.step1", first.advice);
    if (first.advice.empty() || !m_.has(lang_, step)) step = "advice.general.step1";
    out_ += m_.get(lang_, step) + "\n";
    if (m_.has(lang_, step + ".more")) out_ += m_.get(lang_, step + ".more") + "\n";
    gap();
    line("notice.then");
    line("notice.portal");
    gap();
    line("notice.code", {{"code", first.notice_code}});
    if (!first.word1.empty()) line("notice.words", {{"word1", to_mail_body(first.word1)}, {"word2", to_mail_body(first.word2)}});
    gap();
    if (tied.size() > 1) {
      line("notice.more");
      for (std::size_t i = 1; i < std::min(tied.size(), max_items); ++i) {
        const auto& item = tied[i].row.item;
        auto name = product_of(item);
        if (name.empty()) name = m_.get(lang_, "isp.unknown");
        line("notice.more.item", {{"product", name}, {"code", item.notice_code}});
      }
      gap();
    }
    for (auto id : {"notice.genuine", "notice.genuine.how", "notice.genuine.never"}) line(id);
    gap();
    for (auto id : {"notice.why", "notice.why.text", "notice.not_mine"}) line(id);
    gap();
    line("notice.signature");
  }
  const std::string& out() const { return out_; }

 private:
  const Messages& m_;
  Lang lang_;
  std::string isp_, out_;
  std::vector<std::pair<std::string_view, std::string>> common_;
};

}  // namespace

Result<Notice> Notice::make(std::vector<Tied> tied, const Subscriber& to, const Settings& s, const Messages& messages) {
  if (tied.empty()) return fail(Code::usage, "a notice needs something that was found");
  for (const auto& t : tied)
    if (t.match.line() != to.line) return fail(Code::refused, "a finding of another line");
  if (to.opted_out) return fail(Code::refused, "the subscriber asked not to be written to");
  if (to.mail.empty()) return fail(Code::refused, "no mail address is known for this line");
  for (auto [name, value] : {std::pair{"mail_from", &s.mail_from}, {"phone", &s.phone}, {"page", &s.page}, {"portal", &s.portal}})
    if (value->empty()) return fail(Code::usage, fmt::format("isp.toml lacks \"{}\", which every notice names", name), "Add it to isp.toml");
  // The worst first: it gives the one step that the mail asks for.
  std::ranges::stable_sort(tied, [](const Tied& a, const Tied& b) {
    return weight(a.row) != weight(b.row) ? weight(a.row) > weight(b.row) : a.row.item.row_id < b.row.item.row_id;
  });
  if (tied.size() > max_items) tied.erase(tied.begin() + max_items, tied.end());
  Notice n;
  n.line_ = to.line;
  n.to_ = to.mail;
  n.from_ = s.mail_from;
  n.from_name_ = to.language == Lang::en ? s.name_en : s.name_ja;
  if (n.from_name_.empty()) n.from_name_ = s.isp;
  for (const auto& t : tied) n.row_ids_.push_back(t.row.item.row_id);
  // Both languages in one mail: nobody knows who in the household reads it.
  Lang first = to.language, second = first == Lang::en ? Lang::ja : Lang::en;
  Writer a(messages, first, s), b(messages, second, s);
  a.write(tied);
  b.write(tied);
  n.subject_ = a.text("notice.subject") + " / " + b.text("notice.subject");
  n.body_ = a.out() + "\n----------------------------------------\n\n" + b.out();
  std::string id;
  for (char c : tied.front().row.item.row_id) id += (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ? c : '.';
  n.message_id_ = fmt::format("nora.{}.{}@{}", id.substr(0, 60), to_hex(sha256(as_bytes(tied.front().row.item.row_id))).substr(0, 12),
                              s.mail_from.substr(s.mail_from.find('@') + 1));
  return n;
}

std::vector<NoticeCheck> check_notice(const Notice& n) {
  const auto& b = n.body();
  auto lacks = [&](std::string_view word) { return b.find(word) == b.npos; };
  return {{"all fields filled", lacks("{") && lacks("}") && lacks("notice.") && lacks("advice.") && lacks("exposure.")},
          {"no link to log in", lacks("login?") && lacks("/login") && lacks("signin") && lacks("password=")},
          {"one number per device", !n.row_ids().empty()},
          {"length", b.size() < 16'000}};
}

}  // namespace nora::isp
