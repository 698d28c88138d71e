#include "compiler/suggest/fit.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "compiler/suggest/values.h"

namespace ckmap::suggest {

Shape WithoutOnes(const Shape& shape) {
  Shape out;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(out), [](int64_t size) { return size != 1; });
  return out;
}

Layout LayoutOf(const Shape& source, const Shape& target) {
  const auto same = [](const Shape& a, const Shape& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](int64_t x, int64_t y) { return x == y || y == -1; });
  };
  if (same(source, target)) return Layout::kSame;
  if (same(WithoutOnes(source), WithoutOnes(target))) return Layout::kSqueezed;
  if (source.size() == 2 && target.size() == 2 && same({source[1], source[0]}, target)) return Layout::kTransposed;
  return Layout::kDifferent;
}

namespace {

bool FitsLeaves(const Network& source, const Leaf& a, const Network& target, const Leaf& b) {
  const Shape &from = source.Tensor(a).shape, &to = target.Tensor(b).shape;
  if (source.prints == nullptr || target.prints == nullptr) return LayoutOf(from, to) != Layout::kDifferent;
  const Fingerprint &left = (*source.prints)[a.tensor], &right = (*target.prints)[b.tensor];
  if (left.known != right.known || left.unordered != right.unordered) return false;
  return (left.known && !left.constant && NumElements(from) == NumElements(to)) ||
         LayoutOf(from, to) != Layout::kDifferent;
}

}  // namespace

bool Fits(const Network& source, const Module& a, const Network& target, const Module& b, bool lacking) {
  size_t shared = 0;
  for (const auto& [kind, leaf] : a.leaves) {
    if (kind == "count") continue;
    const auto found = b.leaves.find(kind);
    if (found == b.leaves.end() && lacking) continue;
    if (found == b.leaves.end()) return false;
    if (!FitsLeaves(source, leaf, target, found->second)) return false;
    ++shared;
  }
  const size_t wanted = b.leaves.size() - b.leaves.count("count");
  return shared > 0 && shared == wanted;
}

std::string ContentOf(const Network& network, const Module& module) {
  std::string text;
  for (const auto& [kind, leaf] : module.leaves) {
    if (kind == "count") continue;
    if (network.prints != nullptr && (*network.prints)[leaf.tensor].known) {
      const Fingerprint& print = (*network.prints)[leaf.tensor];
      text += fmt::format("{}={:x}{}", kind, print.unordered, print.constant ? "c" : "");
      if (!print.constant) continue;
    }
    Shape sizes = WithoutOnes(network.Tensor(leaf).shape);
    const bool open = std::find(sizes.begin(), sizes.end(), -1) != sizes.end();
    std::sort(sizes.begin(), sizes.end());
    text += kind + (open ? "[?]" : FormatShape(sizes));
  }
  return text;
}

bool HasValues(const Network& network, const Module& module) {
  return network.prints != nullptr && std::any_of(module.leaves.begin(), module.leaves.end(), [&](const auto& leaf) {
           const Fingerprint& print = (*network.prints)[leaf.second.tensor];
           return print.known && !print.constant;
         });
}

bool Transposed(const Network& source, const Module& a, const Network& target, const Module& b) {
  const auto left = a.leaves.find("w"), right = b.leaves.find("w");
  return left != a.leaves.end() && right != b.leaves.end() &&
         LayoutOf(source.Tensor(left->second).shape, target.Tensor(right->second).shape) == Layout::kTransposed;
}

bool Square(const Network& network, const Module& module) {
  const auto weight = module.leaves.find("w");
  if (weight == module.leaves.end()) return false;
  const Shape& shape = network.Tensor(weight->second).shape;
  return shape.size() == 2 && shape[0] == shape[1] && shape[0] > 1;
}

}  // namespace ckmap::suggest
