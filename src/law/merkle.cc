// RFC 6962 section 2.1 (law/audit.h).
#include "law/audit.h"

namespace nora::law {

Hash merkle_leaf(ByteView entry) {
  const std::uint8_t zero = 0;
  return sha256({ByteView(&zero, 1), entry});
}

Hash merkle_node(const Hash& left, const Hash& right) {
  const std::uint8_t one = 1;
  return sha256({ByteView(&one, 1), ByteView(left), ByteView(right)});
}

void MerkleEdge::add(const Hash& leaf) {
  Hash node = leaf;
  for (std::uint64_t bit = size_; bit & 1; bit >>= 1) {
    node = merkle_node(nodes_.back(), node);
    nodes_.pop_back();
  }
  nodes_.push_back(node);
  ++size_;
}

Hash MerkleEdge::root() const {
  if (nodes_.empty()) return sha256(ByteView{});
  Hash root = nodes_.back();
  for (std::size_t i = nodes_.size() - 1; i-- > 0;) root = merkle_node(nodes_[i], root);
  return root;
}

}  // namespace nora::law
