// The slices of all ranks are the whole, element for element, and a rank reads the elements of its slices alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "runtime/bind/bind.h"

namespace ckmap {
namespace {

using Element = std::pair<size_t, int64_t>;  // source tensor, offset

// Where each element of a bound tensor comes from.
std::vector<Element> Elements(const BoundTensor& tensor) {
  std::vector<Element> elements(static_cast<size_t>(NumElements(tensor.shape).value()), Element{SIZE_MAX, -1});
  for (const Piece& piece : tensor.value.pieces) {
    const size_t source =
        piece.input == kFillInput ? SIZE_MAX - 1 : tensor.inputs[static_cast<size_t>(piece.input)].source;
    for (int64_t index = 0; index < piece.elements(); ++index) {
      int64_t rest = index, from = piece.src_offset, to = piece.dst_offset;
      for (size_t axis = piece.axes.size(); axis-- > 0;) {
        from += rest % piece.axes[axis].size * piece.axes[axis].src_stride;
        to += rest % piece.axes[axis].size * piece.axes[axis].dst_stride;
        rest /= piece.axes[axis].size;
      }
      CHECK(elements[static_cast<size_t>(to)].first == SIZE_MAX);
      elements[static_cast<size_t>(to)] = {source, source == SIZE_MAX - 1 ? 0 : from};
    }
  }
  return elements;
}

struct Example {
  std::string rules;
  std::vector<std::pair<std::string, Shape>> source, target;
};

Manifest ManifestOf(const std::vector<std::pair<std::string, Shape>>& tensors) {
  Manifest manifest;
  for (const auto& [name, shape] : tensors) {
    TensorInfo info;
    info.name = name;
    info.dtype = DType::kF32;
    info.shape = shape;
    manifest.Add(std::move(info));
  }
  return manifest;
}

BoundPlan Bound(const Plan& plan, const Example& example, const std::map<std::string, Rank>& ranks) {
  BindOptions options;
  options.placement.ranks = ranks;
  Result<BindResult> bound = Bind(plan, ManifestOf(example.source), ManifestOf(example.target), options);
  REQUIRE_MESSAGE(bound.ok(), (bound.ok() ? "" : bound.error().message()));
  REQUIRE_MESSAGE(bound->plan.has_value(), bound->issues.front().message);
  return *std::move(bound->plan);
}

// Compares a rank's tensor with its part of the whole, and counts its elements.
size_t CompareSlice(const BoundTensor& whole, const BoundTensor& slice, const std::vector<TensorSlice>& cuts) {
  Shape begin(whole.shape.size(), 0);
  for (const TensorSlice& cut : cuts) begin[static_cast<size_t>(cut.axis)] = cut.begin;
  const std::vector<Element> all = Elements(whole), own = Elements(slice);
  const std::vector<int64_t> strides = RowMajorStrides(whole.shape);
  std::vector<bool> read(slice.inputs.size(), false);
  for (size_t i = 0; i < own.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), offset = 0;
    for (size_t axis = slice.shape.size(); axis-- > 0;) {
      offset += (begin[axis] + rest % slice.shape[axis]) * strides[axis];
      rest /= slice.shape[axis];
    }
    REQUIRE_MESSAGE(own[i] == all[static_cast<size_t>(offset)], whole.name, " element ", i);
    for (size_t input = 0; input < slice.inputs.size(); ++input) {
      if (slice.inputs[input].source == own[i].first) read[input] = true;
    }
  }
  for (size_t input = 0; input < read.size(); ++input)
    CHECK_MESSAGE(read[input], whole.name, ": an input that no element comes from");
  return own.size();
}

TEST_CASE("all ranks together are the whole") {
  const std::vector<Example> examples = {
      {"shard \"{q,k,v}\" axis=0 over tp; shard \"o\" axis=1 over tp; \"qkv\" | split(axis=0) | transpose() -> "
       "\"{q,k,v}\"; \"w\" -> \"o\";",
       {{"qkv", {12, 8}}, {"w", {3, 8}}, {"n", {5}}},
       {{"q", {8, 4}}, {"k", {8, 4}}, {"v", {8, 4}}, {"o", {3, 8}}, {"n", {5}}}},
      {"shard \"e\" axis=0 over ep; shard \"e\" axis=2 over tp; \"e.{i:int...}.{a,b}\" | concat(axis=0) | "
       "stack(axis=0) | permute(0, 2, 1) -> \"e\";",
       {{"e.0.a", {2, 3}}, {"e.0.b", {4, 3}}, {"e.1.a", {2, 3}}, {"e.1.b", {4, 3}}},
       {{"e", {2, 3, 6}}}},
      {"shard \"w\" axis=-1 over tp; shard \"z\" axis=0 over tp; init \"z\" = ones; \"a\", \"b\" | concat(axis=1) | "
       "reshape(2, 3, 4) | permute(2, 0, 1) | reshape(8, 3) | transpose() -> \"w\";",
       {{"a", {3, 4}}, {"b", {3, 4}}},
       {{"w", {3, 8}}, {"z", {4}}}}};
  size_t compared = 0;
  for (const Example& example : examples) {
    CompileOptions options;
    options.memory_files["a.ckmap"] = "ckmap 1;\n" + example.rules;
    const CompileResult compiled = Compile("a.ckmap", options);
    REQUIRE_MESSAGE(compiled.plan.has_value(), RenderText(compiled.diagnostics, compiled.sources));
    const BoundPlan whole = Bound(*compiled.plan, example, {});
    for (const int64_t tp : {1, 2, 4}) {
      const bool has_ep = example.rules.find("over ep") != std::string::npos;
      if (has_ep && tp == 4) continue;
      std::map<std::string, size_t> elements;
      for (int64_t rank = 0; rank < tp; ++rank) {
        for (int64_t ep = 0; ep < (has_ep ? 2 : 1); ++ep) {
          std::map<std::string, Rank> ranks = {{"tp", {rank, tp}}};
          if (has_ep) ranks["ep"] = {ep, 2};
          const BoundPlan part = Bound(*compiled.plan, example, ranks);
          REQUIRE(part.tensors.size() == whole.tensors.size());
          for (size_t i = 0; i < part.tensors.size(); ++i) {
            const auto cuts = part.slices.find(i);
            const size_t count = CompareSlice(whole.tensors[i], part.tensors[i],
                                              cuts == part.slices.end() ? std::vector<TensorSlice>() : cuts->second);
            if (cuts != part.slices.end()) elements[whole.tensors[i].name] += count;
            compared += count;
          }
        }
      }
      for (const auto& [name, count] : elements) {
        const auto tensor = std::find_if(whole.tensors.begin(), whole.tensors.end(),
                                         [&name = name](const BoundTensor& t) { return t.name == name; });
        CHECK_MESSAGE(count == static_cast<size_t>(NumElements(tensor->shape).value()), name);
      }
    }
  }
  CHECK(compared > 500);
}

}  // namespace
}  // namespace ckmap
