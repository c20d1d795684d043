// The faces by which devices are clustered, and how a face becomes a key. Private to cluster.cc and clusterer.cc. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nora::identify {

// Faces in order of how much they tell. The first face that a device shows makes its key, so a copy whose other ports are filtered
// still falls into the same cluster. Every feature of the face takes part.
struct Face { std::string_view name; std::vector<std::string_view> features; };
const std::vector<Face>& faces();
std::string face_text(std::string_view feature, std::string_view value);       // as it takes part in the key
std::string face_key(std::string_view face, std::string_view text);            // text: one line "feature=text" per feature shown

}  // namespace nora::identify
