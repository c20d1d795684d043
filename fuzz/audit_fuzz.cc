// domain: law
// What an auditor, a witness or a log reads of others: checkpoints, cosigned notes, proofs, requests, tiles, entry bundles, records, names.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "law/audit_disk.h"
#include "law/audit_proof.h"
#include "law/witness.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nora;
  using namespace nora::law;
  static SeededRandom random(7);
  static const PublicKey log = SigningKey::make("center.example", random).public_key(), witness = SigningKey::make("isp1.example/witness", random).public_key();
  const ByteView bytes(data, size);
  const std::string_view text = as_text(bytes);
  if (const auto c = parse_checkpoint_text(text); c && c->text() != text) std::abort();  // one text per state
  (void)open_checkpoint(text, log);
  if (const auto own = open_own_checkpoint(text, log); own && !text.starts_with(own->text())) std::abort();
  if (const auto note = split_note(text)) {
    (void)cosignatures(*note, {witness, log});
    (void)merge_signatures(text, text);
  }
  if (const auto p = parse_proof(text)) {
    if (write_proof(*p) != text) std::abort();
    if (p->disclosed && audit_commitment(p->salt, as_bytes(p->data)) != p->entry) std::abort();
    (void)check_proof(*p, log, {witness}, 0);
  }
  (void)parse_proofs(text);
  if (const auto r = parse_request(text); r && write_request(*r) != text) std::abort();
  if (const auto t = parse_tile_path(text); t && tile_path(*t) != text) std::abort();
  if (const auto n = parse_number_path(text); n && number_path(*n) != text) std::abort();
  (void)parse_witness_key(text);
  const unsigned width = size == 0 ? 0 : data[0];
  (void)parse_tile(bytes, width);
  if (const auto entries = parse_bundle(bytes, width)) {
    Bytes out;
    for (const auto& e : *entries) put_entry(out, e);
    if (!std::equal(out.begin(), out.end(), data, data + size)) std::abort();
  }
  if (const auto records = parse_records(bytes, 1 + width % 4)) {
    Bytes out;
    for (const auto& r : *records) {
      if (end_of(r) > size) std::abort();
      if (r.shredded) continue;
      put_record(out, r.entry, r.salt, r.data);
      if (!std::equal(out.begin() + static_cast<std::ptrdiff_t>(out.size() - (end_of(r) - r.at)), out.end(), data + r.at)) std::abort();
    }
    for (const auto& r : *records) (void)r.holds();
  }
  // Proofs of any shape: the lengths and numbers are the input's.
  std::vector<Hash> path(std::min<std::size_t>(size / 32, 80));
  for (std::size_t i = 0; i < path.size(); ++i) std::copy_n(data + i * 32, 32, path[i].begin());
  if (size >= 40) {
    const std::uint64_t a = std::uint64_t{get_u32be(data)} << 32 | get_u32be(data + 4), b = std::uint64_t{get_u32be(data + 8)} << 32 | get_u32be(data + 12);
    const Hash none{};
    if (!path.empty()) {
      (void)inclusion_holds(a, b, path[0], path, none);
      (void)consistency_holds(a, b, path, path[0], none);
      (void)consistency_holds(a % 64, b % 64, path, path[0], none);
    }
  }
  return 0;
}
