// What the two kinds of wall owe to each other: each takes the other's remains away. Used by wall.cc, wall_nft.cc and wall_xdp.cc only.
#pragma once

#include "law/wall.h"

namespace nora::law::wall {

Status must_exist(const std::string& iface);   // Errors: environment
void remove_nft();                              // the table of an earlier wall; nothing when there is none or no nf_tables
Status remove_xdp(const std::string& iface);  // Errors: environment when a program that is not ours is attached

}  // namespace nora::law::wall
