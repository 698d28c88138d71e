// Fewer renames that say the same: what many share is said once. Private to compiler/suggest.
#pragma once

#include <string>
#include <vector>

#include "compiler/suggest/lines.h"

namespace ckmap::suggest {

struct Renaming {
  std::string left, right;  // as the language writes them
  friend auto operator<=>(const Renaming&, const Renaming&) = default;
};

// Renames that others may stand for. Whether these do the same has to be tried.
struct Shortening {
  std::vector<size_t> removed;  // indices
  std::vector<Renaming> added;  // fewer than those
};

// The one that saves most first.
//   a.{n:int}.q -> b.{n}.query, a.{n:int}.k -> b.{n}.key        a -> b, q -> query, k -> key
//   a.0.q -> b.0.q, a.{n:int}.q -> b.{n}.q                       a.{n:int}.q -> b.{n}.q
//   M_6b.pool -> m6b.p, M_6c.pool -> m6c.p                       M_{x:6b|6c}.pool -> m{x}.p
std::vector<Shortening> Shortenings(const std::vector<Renaming>& renames);

}  // namespace ckmap::suggest
