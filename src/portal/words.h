// Words: how times, doors (ports), certainty and marked-up message texts are said to people, in three languages. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/instant.h"
#include "base/messages.h"
#include "exchange/portal_wire.h"
#include "http/html.h"

namespace nora::portal {

inline constexpr int jst_minutes = 9 * 60;

// Message texts may hold **strong words** and readings for easy Japanese, 調《しら》べる (ruby over the kanji before it). All else is text.
http::Html rich(std::string_view text);
std::string unmarked(std::string_view text);        // the same without marks, where only text can stand (titles, labels)
std::string day_words(Lang lang, Instant at);       // 2026年11月25日 / 25 November 2026, in Japan's time
std::string time_words(Lang lang, Instant at);      // the same with hour and minute
std::string utc_words(Instant at);                  // 2026-11-25 03:12 UTC
std::string_view sure_word(double confidence);      // high | medium | low: message ids portal.sure.<word>
std::string device_words(const Messages& messages, Lang lang, const exchange::FindingView& finding);  // "NEC Aterm …", else the kind of device
std::string door_words(const Messages& messages, Lang lang, int port, std::string_view proto);        // "Port 80 = the door to the settings page"
std::string rule_title(const Messages& messages, Lang lang, std::string_view rule);                   // exposure.<rule>.title, else a general sentence
bool bad_severity(std::string_view severity);       // medium and above: red

}  // namespace nora::portal
