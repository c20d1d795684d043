// RegistrySink: sightings into the center's store. Used by app (`nora sense live`). One owner, one thread.
#pragma once

#include "registry/registry.h"
#include "sense/sensor.h"

namespace nora::sense {

class RegistrySink : public SightingSink {
 public:
  explicit RegistrySink(registry::Registry& registry) : registry_(registry) {}
  Status put(const std::vector<registry::Sighting>& batch) override {
    if (auto done = registry_.put_sightings(batch); !done) return std::unexpected(done.error());
    return {};
  }

 private:
  registry::Registry& registry_;
};

}  // namespace nora::sense
