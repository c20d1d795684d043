// Names and sentences of refusals (law/permit.h).
#include "law/permit.h"

#include <array>

namespace nora::law {
namespace {
struct Words {
  std::string_view name, sentence;
};
constexpr std::array words = {
    Words{"none", "Allowed."},
    Words{"not_yet_valid", "The mandate is not yet valid."},
    Words{"expired", "The mandate has expired."},
    Words{"outside_daily_window", "It is outside the daily window of the mandate."},
    Words{"out_of_range", "The address lies outside every range of the mandate."},
    Words{"excluded", "The address lies in a range that the mandate excludes, or in a facility that the law profile protects."},
    Words{"opted_out", "The address is on an opt-out list."},
    Words{"no_source_of_family", "The mandate has no source address of this address family."},
    Words{"port_not_granted", "The mandate does not grant this port."},
    Words{"class_not_granted", "The mandate does not grant this class of probe."},
    Words{"probe_not_in_catalogue", "The probe is not in the catalogue that the mandate names."},
    Words{"protocol_mismatch", "The probe speaks another transport protocol."},
    Words{"profile_forbids_class", "The law profile does not let this class of probe run."},
    Words{"social_probe_outside_social_range", "A control-system probe may go only into a social-impact range of the mandate."},
    Words{"credential_probe", "The probe carries a word that works as a password; the law profile has no such probes."},
    Words{"no_listener", "The mandate names no listener of this address family for a P3 probe."},
    Words{"daily_cap_reached", "The mandate's probes per target and day are used up."},
    Words{"budget_table_full", "Too many targets are tracked at once; the rate of a further one cannot be kept."},
    Words{"backed_off", "The target's network asked for less (resets or unreachable messages); it is left alone."},
    Words{"frame_unreadable", "The frame is not a readable IP packet."},
    Words{"frame_malformed", "The frame has a VLAN tag, IP options, a fragment or a wrong length."},
    Words{"frame_wrong_source", "The frame does not come from the permit's source address."},
    Words{"frame_wrong_dest", "The frame goes to another address than the permit's."},
    Words{"frame_wrong_protocol", "The frame carries another protocol than the permit's."},
    Words{"frame_wrong_port", "The frame goes to another port than the permit's."},
    Words{"permit_expired", "The permit has expired."},
};
static_assert(words.size() == static_cast<std::size_t>(Refusal::permit_expired) + 1);
}  // namespace

std::string_view name(Refusal refusal) { return words[static_cast<std::size_t>(refusal)].name; }
std::string_view sentence(Refusal refusal) { return words[static_cast<std::size_t>(refusal)].sentence; }

}  // namespace nora::law
