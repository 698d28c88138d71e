// Rules as text, bound to two manifests: what the compiler writes is what the binder reads.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "runtime/bind/bind.h"

namespace ckmap {
namespace {

using Tensors = std::vector<std::pair<std::string, Shape>>;

Manifest ManifestOf(const Tensors& tensors) {
  Manifest manifest;
  for (const auto& [name, shape] : tensors) {
    TensorInfo info;
    info.name = name;
    info.dtype = DType::kF32;
    info.shape = shape;
    REQUIRE(manifest.Add(std::move(info)));
  }
  return manifest;
}

// "target <- source source; …" in the target's order, or the issues.
std::string Bound(const std::string& rules, const Tensors& source, const Tensors& target, bool reverse = false) {
  CompileOptions options;
  options.memory_files["a.ckmap"] = "ckmap 1;\n" + rules;
  options.reverse = reverse;
  const CompileResult compiled = Compile("a.ckmap", options);
  REQUIRE_MESSAGE(compiled.plan.has_value(), RenderText(compiled.diagnostics, compiled.sources));
  const Result<BindResult> bound = Bind(*compiled.plan, ManifestOf(source), ManifestOf(target), {});
  REQUIRE_MESSAGE(bound.ok(), (bound.ok() ? "" : bound.error().message()));
  std::string text;
  if (!bound->plan) {
    for (const Issue& issue : bound->issues)
      text += fmt::format("{}: {}: {}\n", issue.code, issue.tensor, issue.message);
    return text;
  }
  for (const BoundTensor& tensor : bound->plan->tensors) {
    text += (text.empty() ? "" : "; ") + tensor.name + " <-";
    for (const BoundInput& input : tensor.inputs) text += " " + bound->plan->source[input.source].name;
  }
  return text;
}

TEST_CASE("wildcards and captures") {
  CHECK(Bound("\"a.*.b.**\" -> \"c.*.**\";", {{"a.x.b.y.z", {2}}}, {{"c.x.y.z", {2}}}) == "c.x.y.z <- a.x.b.y.z");
  CHECK(Bound("\"h.{i:int}.w\" [O, I] | transpose -> \"g.{i+1}.w\" [I, O];", {{"h.9.w", {2, 3}}},
              {{"g.10.w", {3, 2}}}) == "g.10.w <- h.9.w");
  CHECK(Bound("/^module\\.(?P<rest>.*)$/ -> \"{rest}\";", {{"module.a.w", {2}}}, {{"a.w", {2}}}) ==
        "a.w <- module.a.w");
}

TEST_CASE("lists") {
  CHECK(Bound("\"l.{i}.{q,k}.w\" | concat(axis=0) <-> \"m.{i}.qk\";", {{"l.0.q.w", {2, 3}}, {"l.0.k.w", {4, 3}}},
              {{"m.0.qk", {6, 3}}}) == "m.0.qk <- l.0.q.w l.0.k.w");
  CHECK(Bound("\"e.{e:int...}.w\" | stack(axis=0) -> \"w\";", {{"e.1.w", {3}}, {"e.0.w", {3}}}, {{"w", {2, 3}}}) ==
        "w <- e.0.w e.1.w");
  CHECK(Bound("\"w\" | unstack(axis=0) -> \"e.{e:int...}.w\";", {{"w", {2, 3}}}, {{"e.0.w", {3}}, {"e.1.w", {3}}}) ==
        "e.0.w <- w; e.1.w <- w");
  CHECK(Bound("\"qkv\" | split(axis=0) -> \"{q,k,v}.w\";", {{"qkv", {6, 2}}},
              {{"q.w", {2, 2}}, {"k.w", {2, 2}}, {"v.w", {2, 2}}}) == "q.w <- qkv; k.w <- qkv; v.w <- qkv");
  CHECK(Bound("(\"q\" | reshape(2, 1, 3)), (\"k\" | reshape(2, 1, 3)) | concat(axis=1) | reshape(4, 3) -> \"qk\";",
              {{"q", {2, 3}}, {"k", {2, 3}}}, {{"qk", {4, 3}}}) == "qk <- q k");
}

TEST_CASE("arithmetic over ranges") {
  const std::string rules = "\"b.{2*i+j}.**\" <-> \"d.{i}.r.{j}.**\" where i in 0..2, j in 0..2;";
  CHECK(Bound(rules, {{"b.0.w", {2}}, {"b.3.w", {2}}}, {{"d.0.r.0.w", {2}}, {"d.1.r.1.w", {2}}}) ==
        "d.0.r.0.w <- b.0.w; d.1.r.1.w <- b.3.w");
  CHECK(Bound(rules, {{"d.0.r.0.w", {2}}, {"d.1.r.1.w", {2}}}, {{"b.0.w", {2}}, {"b.3.w", {2}}}, true) ==
        "b.0.w <- d.0.r.0.w; b.3.w <- d.1.r.1.w");
}

TEST_CASE("layers, renames, drops, blocks") {
  const std::string rules =
      "rename fc -> dense;\nrename \"denselayer{n:int}\" -> \"cells.{n-1}\";\n"
      "layer bn { running_mean [C] <-> moving_mean; weight? [C] <-> gamma; drop steps?; }\n"
      "within \"enc.{i}\" <-> \"layers.{i}\" { \"w\" [O, I] | transpose <-> \"v\"; drop \"t\" because \"no use\"; }\n";
  CHECK(Bound(rules,
              {{"denselayer2.bn1.running_mean", {4}},
               {"denselayer2.bn1.steps", {}},
               {"fc.w", {3}},
               {"enc.0.w", {2, 3}},
               {"enc.0.t", {1}}},
              {{"cells.1.bn1.moving_mean", {4}}, {"dense.w", {3}}, {"layers.0.v", {3, 2}}}) ==
        "cells.1.bn1.moving_mean <- denselayer2.bn1.running_mean; dense.w <- fc.w; layers.0.v <- enc.0.w");
}

TEST_CASE("conditions, initial values, separators") {
  CHECK(
      Bound(
          "\"a.{i}\" -> \"b.{i}\" when target_has(\"b.{i}\");\n\"a.{i}\" -> \"c.{i}\" when not target_has(\"b.{i}\");",
          {{"a.x", {1}}, {"a.y", {1}}}, {{"b.x", {1}}, {"c.y", {1}}}) == "b.x <- a.x; c.y <- a.y");
  CHECK(Bound("init \"z.**\" = zeros;", {{"a", {1}}}, {{"a", {1}}, {"z.w", {3}}}) == "a <- a; z.w <-");
  CHECK(Bound("names \"/\" -> \".\";\nwithin \"enc\" -> \"layers\" { \"{i}\" -> \"{i}\"; }", {{"enc/w", {1}}},
              {{"layers.w", {1}}}) == "layers.w <- enc/w");
}

}  // namespace
}  // namespace ckmap
