#include "isp/smtp.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>

#include <fmt/format.h>

#include "base/escape.h"

namespace nora::isp {
namespace {

constexpr long connect_timeout_s = 10;

struct Upload { ByteView rest; };
std::size_t read_upload(char* into, std::size_t size, std::size_t count, void* data) {
  auto& upload = *static_cast<Upload*>(data);
  auto n = std::min(size * count, upload.rest.size());
  std::memcpy(into, upload.rest.data(), n);
  upload.rest = upload.rest.subspan(n);
  return n;
}

}  // namespace

SendResult CurlMailer::send(std::string_view from, std::string_view to, ByteView message) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
  if (!curl) return {Sending::temporary, "libcurl did not start"};
  auto sender = fmt::format("<{}>", from), receiver = fmt::format("<{}>", to);
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> receivers(curl_slist_append(nullptr, receiver.c_str()), &curl_slist_free_all);
  Upload upload{message};
  char error[CURL_ERROR_SIZE] = {};
  auto* c = curl.get();
  curl_easy_setopt(c, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(c, CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_TRY));
  curl_easy_setopt(c, CURLOPT_MAIL_FROM, sender.c_str());
  curl_easy_setopt(c, CURLOPT_MAIL_RCPT, receivers.get());
  curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(c, CURLOPT_READFUNCTION, read_upload);
  curl_easy_setopt(c, CURLOPT_READDATA, &upload);
  curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(message.size()));
  curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, connect_timeout_s);
  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_.us / 1000));
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error);
  auto code = curl_easy_perform(c);
  long answer = 0;
  curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &answer);
  if (code == CURLE_OK) return {Sending::accepted, fmt::format("{}", answer)};
  auto text = to_log(fmt::format("{} {}", answer, error[0] ? error : curl_easy_strerror(code)));
  // 552 at the end of data and 5yz before it are final; a broken connection after a 250 or 354 is not (RFC 5321 section 4.2.5).
  const bool refused = answer >= 500 && answer < 600;
  return {refused ? Sending::permanent : Sending::temporary, text};
}

}  // namespace nora::isp
