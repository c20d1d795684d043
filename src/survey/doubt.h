// Doubt: what of a segment has to be sent, or sent again, after a crash (or after the sender was lost). The record file tells: what has no
// record was perhaps never sent; what has a record and no answer, and whose answer window was not over when the last word of the journal was
// written, may have been answered unheard. Everything else is settled. Used by the engine. Pure functions over a file.
#pragma once

#include <deque>
#include <filesystem>
#include <vector>

#include "survey/answered.h"
#include "survey/plan.h"

namespace nora::survey {

// What the sender is given at once: a range of places of the permutation, or a list of them.
struct Order {
  std::uint64_t from = 0, to = 0;
  std::vector<std::uint64_t> places;  // if not empty, instead of the range
  bool canary = false;                // our own hosts, asked between the others
  std::uint64_t size() const { return places.empty() ? to - from : places.size(); }
};
inline constexpr std::size_t max_order_places = 4000;  // a message holds 64 KiB
// Sorted places as few orders: long runs as ranges, the rest as lists.
std::deque<Order> orders_of(const std::vector<std::uint64_t>& places);

struct Doubt {
  std::vector<std::uint64_t> places;  // sorted; to be sent
  std::uint64_t recorded = 0;         // records in the file
  std::uint64_t again = 0;            // of the places: those that have a record, so that the device gets the probe twice
  std::uint64_t unheard = 0;          // in doubt beyond `at_most_again`: left as they are, an answer may have been lost
};

struct DoubtQuestion {
  std::uint64_t from = 0, to = 0;      // the segment
  bool all_sent = false;               // the sender had finished it: what has no record was refused
  Instant heard_until;                 // answers to what was sent at least one window before this are on the disk
  std::uint64_t at_most_again = 0;     // of what has a record
};
// Cuts a record that a crash left unfinished off the file. `probe_ids`: the catalogue's, by their number. Errors: failed (the file).
Result<Doubt> doubt(const Plan& plan, const Permutation& permutation, const std::vector<std::string>& probe_ids, const std::filesystem::path& file,
                    const DoubtQuestion& question, const Answered& answered);

// The index in the plan's space that a record names; nothing when it is not of this plan.
std::optional<std::uint64_t> index_of(const struct Record& record, const Plan& plan, const std::vector<std::string>& probe_ids);

}  // namespace nora::survey
