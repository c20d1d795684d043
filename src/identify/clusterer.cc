#include "identify/clusterer.h"

#include <algorithm>
#include <cstring>

#include "identify/cluster_faces.h"

namespace nora::identify {

namespace {

// Every feature of every face has a number; the numbers of a face are consecutive.
struct Feature { std::string_view name; std::size_t face = 0; };
const std::vector<Feature>& features() {
  static const std::vector<Feature> all = [] {
    std::vector<Feature> out;
    for (std::size_t f = 0; f < faces().size(); ++f) for (const auto name : faces()[f].features) out.push_back({name, f});
    return out;
  }();
  return all;
}
const std::unordered_map<std::string_view, std::uint32_t>& numbers() {
  static const std::unordered_map<std::string_view, std::uint32_t> all = [] {
    std::unordered_map<std::string_view, std::uint32_t> out;
    for (std::uint32_t i = 0; i < features().size(); ++i) out.emplace(features()[i].name, i);
    return out;
  }();
  return all;
}

}  // namespace

std::uint32_t Clusterer::intern(std::string text) {
  const auto [at, fresh] = texts_.try_emplace(std::move(text), static_cast<std::uint32_t>(text_of_.size()));
  if (fresh) text_of_.push_back(&at->first);
  return at->second;
}

void Clusterer::feature(std::string_view key, std::string_view value) {
  const auto at = numbers().find(key);
  if (at == numbers().end() || value.empty()) return;
  const auto shown = std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.feature == at->second; });
  if (shown == open_.end()) open_.push_back({at->second, key, value});
  else if (value < shown->value) shown->value = value;  // the first value in the order of values speaks
}

std::uint32_t Clusterer::end_reply() {
  for (const auto& o : open_) values_.push_back({o.feature, intern(face_text(o.key, o.value.substr(0, max_feature_bytes)))});
  starts_.push_back(static_cast<std::uint32_t>(values_.size()));
  return static_cast<std::uint32_t>(starts_.size() - 2);
}

void Clusterer::observed(registry::Id device, std::uint32_t reply) {
  if (device != device_) {
    end_device();
    device_ = device;
    now_.assign(features().size(), 0);
  }
  for (auto i = starts_[reply]; i < starts_[reply + 1]; ++i) {
    auto& slot = now_[values_[i].feature];
    if (slot == 0) slot = values_[i].text + 1;
  }
}

void Clusterer::end_device() {
  if (device_ == 0) return;
  for (std::size_t i = 0; i < features().size(); ++i) {
    if (now_[i] == 0) continue;
    // The first face that shows anything; all of its features take part.
    const auto face = features()[i].face;
    std::size_t from = i;
    while (from > 0 && features()[from - 1].face == face) --from;
    std::size_t to = i;
    while (to < features().size() && features()[to].face == face) ++to;
    std::string packed(1, static_cast<char>(face));
    packed.append(reinterpret_cast<const char*>(&now_[from]), (to - from) * sizeof now_[0]);
    const auto [at, fresh] = group_of_.try_emplace(std::move(packed), static_cast<std::uint32_t>(groups_.size()));
    if (fresh) {
      std::string text;
      for (auto f = from; f < to; ++f) if (now_[f] != 0) text += std::string(features()[f].name) + "=" + *text_of_[now_[f] - 1] + "\n";
      groups_.push_back({face_key(faces()[face].name, text), 0, device_});
    }
    ++groups_[at->second].devices;
    last_ = at->second;
    device_ = 0;
    return;
  }
  last_ = none;
  device_ = 0;
}

const std::string& Clusterer::key_of_device() {
  static const std::string nothing;
  end_device();
  return last_ == none ? nothing : groups_[last_].key;
}

std::vector<Clusterer::Group> Clusterer::finish() {
  end_device();
  auto out = groups_;
  std::sort(out.begin(), out.end(), [](const Group& a, const Group& b) { return a.devices != b.devices ? a.devices > b.devices : a.key < b.key; });
  return out;
}

}  // namespace nora::identify
