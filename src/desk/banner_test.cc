// Banners: marks stand where a rule matched, what names somebody does not stand there at all.
#include "desk/banner.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cases/onsite.h"

namespace nora::desk {
namespace {

registry::Reply reply_of(std::string_view text, std::string protocol = "http") {
  registry::Reply r;
  r.protocol = std::move(protocol);
  r.bytes = to_bytes(text);
  return r;
}
bool has(const std::string& html, std::string_view text) { return html.find(text) != std::string::npos; }

TEST(Banner, MasksWhatNamesSomebodyAndMarksTheRest) {
  const auto reply = reply_of("Server: Widget/2.1\r\ncontact: kanri@example.co.jp\r\nTEL:03-1234-5678\r\n株式会社見本製作所\r\n");
  const auto html = banner("b", reply, {{8, 18}}).str();
  EXPECT_TRUE(has(html, "<mark>Widget/2.1</mark>")) << html;
  for (const char* personal : {"kanri", "example.co.jp", "03-1234", "見本"}) EXPECT_FALSE(has(html, personal)) << html;
  EXPECT_TRUE(has(html, "title=\"email\"") && has(html, "title=\"phone\"") && has(html, "title=\"organisation\"")) << html;
  EXPECT_TRUE(has(html, "contact: ")) << "the label stays";
}

TEST(Banner, AMarkThatTouchesAPersonalPartIsNotDrawn) {
  const auto reply = reply_of("realm someone@example.org end");
  const auto html = banner("b", reply, {{0, 20}, {26, 29}}).str();
  EXPECT_FALSE(has(html, "someone"));
  EXPECT_TRUE(has(html, "<mark>end</mark>")) << html;
  EXPECT_TRUE(has(html, "realm "));
}

TEST(Banner, HexIsMaskedToo) {
  std::string bytes(200, '\x01');
  bytes += "someone@example.org";
  const auto html = banner("b", reply_of(bytes, "tcp"), {}).str();
  EXPECT_FALSE(has(html, "example")) << html;
  EXPECT_FALSE(has(html, "73 6f 6d 65 6f 6e 65"));
}

TEST(Banner, ANameThatIsCutAtTheEndIsStillAName) {
  std::string text(max_shown_bytes - 4, 'x');
  text += " someone@example.org";
  EXPECT_FALSE(has(banner("b", reply_of(text), {}).str(), " som"));
}

TEST(Banner, MakersStayAndTheOwnerFinderReadsTheReplyItself) {
  const auto reply = reply_of("Kinmirai Denki Corporation\n<p>管理: 見本管理株式会社 (kanri@example.co.jp)</p>");
  EXPECT_TRUE(has(banner("b", reply, {}, {"Kinmirai Denki"}).str(), "Kinmirai Denki Corporation"));
  EXPECT_FALSE(has(banner("b", reply, {}).str(), "Kinmirai Denki Corporation"));
  registry::Observation o;
  bool found = false;
  for (const auto& clue : cases::find_clues({{o, reply}}, "")) found = found || clue.contact == "kanri@example.co.jp";
  EXPECT_TRUE(found) << "unmasked, for the on-site track only";
}

RC_GTEST_PROP(Banner, AnyReplyAndAnyMarks, ()) {
  const auto text = *rc::gen::string<std::string>();
  std::vector<ByteRange> marks;
  std::size_t at = 0;
  for (int i = 0; i < 4; ++i) {
    const auto from = at + *rc::gen::inRange<std::size_t>(0, 5), to = from + *rc::gen::inRange<std::size_t>(1, 6);
    if (to > text.size()) break;
    marks.emplace_back(from, to);
    at = to;
  }
  RC_ASSERT(banner("b", reply_of(text + " a@example.org"), marks).str().find("a@example.org") == std::string::npos);
}

}  // namespace
}  // namespace nora::desk
