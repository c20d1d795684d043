// The right way: what the other files of this folder get wrong, done as it is meant.
// expect: compiles
#include "law/mandate.h"
#include "law/send.h"

using namespace nora;
using namespace nora::law;

Refusal probe(const Mandate& mandate, FrameSender& sender, const Target& target, ByteView frame, Instant now) {
  auto permit = mandate.permit(target, *mandate.probes().find("tcp-syn"), now);
  if (!permit) return permit.error();
  Permit mine = std::move(*permit);
  return sender.send(std::move(mine), frame, now);
}
