#include "isp/mail.h"

#include <gmime/gmime.h>

#include <mutex>

namespace nora::isp {
namespace {

struct Unref { void operator()(void* object) const { if (object) g_object_unref(object); } };
template <class T>
using Ref = std::unique_ptr<T, Unref>;

void init_once() {
  static std::once_flag once;  // gmime's own start; it has no shutdown that may run before other threads end
  std::call_once(once, [] { g_mime_init(); });
}

}  // namespace

Result<Bytes> to_mime(const Notice& n, Instant date) {
  init_once();
  Ref<GMimeMessage> message(g_mime_message_new(TRUE));
  g_mime_message_add_mailbox(message.get(), GMIME_ADDRESS_TYPE_FROM, n.from_name().c_str(), n.from().c_str());
  g_mime_message_add_mailbox(message.get(), GMIME_ADDRESS_TYPE_TO, nullptr, n.to().c_str());
  g_mime_message_set_subject(message.get(), n.subject().c_str(), "UTF-8");
  g_mime_message_set_message_id(message.get(), n.message_id().c_str());
  GDateTime* when = g_date_time_new_from_unix_utc(date.us / 1'000'000);
  g_mime_message_set_date(message.get(), when);
  g_date_time_unref(when);
  auto* object = GMIME_OBJECT(message.get());
  g_mime_object_set_header(object, "Auto-Submitted", "auto-generated", nullptr);
  g_mime_object_set_header(object, "X-Auto-Response-Suppress", "All", nullptr);
  Ref<GMimeTextPart> part(g_mime_text_part_new_with_subtype("plain"));
  g_mime_text_part_set_charset(part.get(), "utf-8");
  g_mime_text_part_set_text(part.get(), n.body().c_str());
  g_mime_part_set_content_encoding(GMIME_PART(part.get()), GMIME_CONTENT_ENCODING_BASE64);
  g_mime_message_set_mime_part(message.get(), GMIME_OBJECT(part.get()));
  Ref<GMimeStream> stream(g_mime_stream_mem_new());
  GMimeFormatOptions* options = g_mime_format_options_new();
  g_mime_format_options_set_newline_format(options, GMIME_NEWLINE_FORMAT_DOS);
  auto written = g_mime_object_write_to_stream(object, options, stream.get());
  g_mime_format_options_free(options);
  if (written < 0) return fail(Code::failed, "the mail could not be put together");
  GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream.get()));
  return Bytes(bytes->data, bytes->data + bytes->len);
}

}  // namespace nora::isp
