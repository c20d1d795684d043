// Text in a reply that names a person or an organisation: mail addresses, telephone numbers, contacts ("contact:", 担当), street addresses, names of
// companies, schools, hospitals. The desk masks it in what it shows; unmasked it goes to the owner finder of the on-site track only
// (cases::find_clues reads the reply itself). Pure functions, any thread, total on any bytes; a text is read up to max_personal_bytes, and
// beyond that everything counts as personal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nora::identify {

inline constexpr std::size_t max_personal_bytes = 256 * 1024;
inline constexpr std::size_t max_label_value_bytes = 120;   // of a contact after its label
inline constexpr std::string_view mask = "▒▒▒▒";

enum class PersonalKind { email, phone, contact, address, organisation };
std::string_view name(PersonalKind kind);

struct PersonalPart {
  std::size_t from = 0, to = 0;   // bytes [from, to)
  PersonalKind kind = PersonalKind::contact;
};

// Sorted, not overlapping. `makers`: names of device makers beside those known here; "Panasonic Corporation" in a banner names the device, nobody's home.
std::vector<PersonalPart> personal_parts(std::string_view text, const std::vector<std::string>& makers = {});

// The text with every part replaced by `mask`.
std::string without_names(std::string_view text, const std::vector<std::string>& makers = {});

}  // namespace nora::identify
