// What names somebody is masked; what names a device is not; nothing breaks on any bytes.
#include "identify/personal.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "identify/testdata/faces.h"

namespace nora::identify {
namespace {

std::string kinds(std::string_view text) {
  std::string out;
  for (const auto& p : personal_parts(text)) out += (out.empty() ? "" : ",") + std::string(name(p.kind)) + ":" + std::string(text.substr(p.from, p.to - p.from));
  return out;
}

TEST(Personal, MailAddressesAndTelephoneNumbers) {
  EXPECT_EQ(kinds("ask kanri@example.co.jp."), "email:kanri@example.co.jp");
  EXPECT_EQ(kinds("user@host"), "") << "no domain";
  EXPECT_EQ(kinds("TEL:03-1234-5678 FAX 03(1234)5679"), "phone:03-1234-5678,phone:03(1234)5679");
  EXPECT_EQ(kinds("call 090-1234-5678 now"), "phone:090-1234-5678");
  EXPECT_EQ(kinds("+81 3 1234 5678"), "phone:+81 3 1234 5678");
  EXPECT_EQ(kinds("電話 0120-000-000"), "phone:0120-000-000");
}

TEST(Personal, WhatLooksLikeANumberOfADeviceIsNone) {
  for (const char* text : {"Server: lighttpd/1.4.39", "SSH-2.0-OpenSSH_9.2p1 Debian-2", "2024-01-02 03:04:05", "192.0.2.17:8080", "00:00:5e:00:53:23", "version 10.01.78", "RTX1200 Rev.10.01.78",
                           "Last-Modified: Tue, 26 Nov 2024 03:04:05 GMT", "Content-Length: 0123456789", "ETag: \"0-123-4567-89ab\"", "0000-0000", "serial 0012345678", "uuid 550e8400-e29b-41d4-a716-446655440000"})
    EXPECT_EQ(kinds(text), "") << text;
}

TEST(Personal, ContactsBehindTheirLabels) {
  EXPECT_EQ(kinds("sysContact: Example Taro\nsysName: gw"), "contact:Example Taro");
  EXPECT_EQ(kinds("contact=Operations Desk; uptime=3"), "contact:Operations Desk");
  EXPECT_EQ(kinds("担当:見本 太郎<br>"), "contact:見本 太郎");
  EXPECT_EQ(kinds("連絡先: 見本係"), "contact:見本係");
  EXPECT_EQ(kinds("Location: second floor, room 3"), "address:second floor, room 3");
  for (const char* text : {"Location: /login.html", "Location: http://192.0.2.1/", "contact the shop", "admin console", "address: 192.0.2.7", "X-Admin-Mode: on"})
    EXPECT_EQ(kinds(text).find("contact:http"), std::string::npos) << text;
  EXPECT_EQ(kinds("Location: /login.html"), "");
  EXPECT_EQ(kinds("Location: http://192.0.2.1/"), "");
  EXPECT_EQ(kinds("contact the shop"), "");
  EXPECT_EQ(kinds("ip address: 192.0.2.7"), "");
}

TEST(Personal, OrganisationsAndAddressesInJapanese) {
  EXPECT_EQ(kinds("ようこそ 株式会社見本製作所 様"), "organisation:株式会社見本製作所");
  EXPECT_EQ(kinds("見本市立みほん小学校").substr(0, 13), "organisation:");
  EXPECT_EQ(kinds("サンプル病院 防犯カメラ"), "organisation:サンプル病院");
  EXPECT_EQ(kinds("〒100-0000 見本"), "address:〒100-0000 見本");
  EXPECT_EQ(kinds("見本県見本市中央1-2-3 設備"), "address:見本県見本市中央1-2-3");
  EXPECT_EQ(kinds("管理ポート"), "");
  EXPECT_EQ(kinds("管理画面: ログイン").find("organisation"), std::string::npos);
  EXPECT_EQ(kinds("東京"), "");
}

TEST(Personal, OrganisationsAndAddressesInEnglish) {
  EXPECT_EQ(kinds("Welcome to Example Widgets Co., Ltd. camera"), "organisation:Example Widgets Co., Ltd");
  EXPECT_EQ(kinds("Sample General Hospital NVR"), "organisation:Sample General Hospital");
  EXPECT_EQ(kinds("at 12 Sample Street today"), "address:12 Sample Street");
  EXPECT_EQ(kinds("the school of thought"), "");
}

TEST(Personal, TheMakerOfADeviceIsNotItsOwner) {
  for (const char* text : {"Panasonic Corporation Network Camera", "O=I-O DATA DEVICE, INC.", "Copyright Yamaha Corporation", "キヤノン株式会社 VB-S30D", "(c) Buffalo Inc."}) EXPECT_EQ(kinds(text), "") << text;
  EXPECT_TRUE(personal_parts("Kinmirai Denki Corporation", {"Kinmirai Denki"}).empty());
  EXPECT_FALSE(personal_parts("Kinmirai Denki Corporation").empty());
}

TEST(Personal, MaskedKeepsTheRest) {
  EXPECT_EQ(without_names("Server: X\r\ncontact: a@example.com\r\nModel: Y"), "Server: X\r\ncontact: ▒▒▒▒\r\nModel: Y");
  EXPECT_EQ(without_names("nothing here"), "nothing here");
  const std::string long_text(max_personal_bytes + 10, 'x');
  EXPECT_EQ(without_names(long_text).size(), max_personal_bytes + mask.size()) << "what was not read is not shown";
}

// The replies of the demo's devices identify products; masking them would blind the analyst.
TEST(Personal, FacesOfTheDemoLoseNothing) {
  for (const auto& face : testing::load_faces())
    for (const auto& reply : face.replies)
      for (const auto& kv : reply.keys)
        if (!kv.key.starts_with("x509.") && face.device != "biz-plc") { EXPECT_EQ(without_names(kv.value, {"Kinmirai Denki"}), kv.value) << face.device << " " << kv.key; }
}

// … but for the controller whose page tells where it stands and who looks after it.
TEST(Personal, ThePageOfTheDemosControllerIsMasked) {
  int masked_values = 0;
  for (const auto& face : testing::load_faces()) {
    if (face.device != "biz-plc") continue;
    for (const auto& reply : face.replies)
      for (const auto& kv : reply.keys) {
        const auto shown = without_names(kv.value);
        masked_values += shown != kv.value;
        for (const char* personal : {"@", "株式会社", "機械室"}) EXPECT_EQ(shown.find(personal), std::string::npos) << kv.key << " " << shown;
        if (kv.key == "modbus.device_id") { EXPECT_EQ(shown, kv.value); }
      }
  }
  EXPECT_GT(masked_values, 0);
}

RC_GTEST_PROP(Personal, AnyBytes, ()) {
  const auto text = *rc::gen::string<std::string>();
  std::size_t at = 0;
  for (const auto& p : personal_parts(text)) {
    RC_ASSERT(p.from >= at && p.from < p.to && p.to <= text.size());
    at = p.to;
  }
}

RC_GTEST_PROP(Personal, AMailAddressNeverSurvivesAnySurroundings, ()) {
  const auto before = *rc::gen::string<std::string>(), after = *rc::gen::string<std::string>();
  const auto text = before + " someone@example.org " + after;
  RC_ASSERT(without_names(text).find("someone@example.org") == std::string::npos);
}

}  // namespace
}  // namespace nora::identify
