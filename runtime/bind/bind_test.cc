// Plans are written in protobuf's text form here, so that bind is tested without the compiler.
#include "runtime/bind/bind.h"

#include <google/protobuf/text_format.h>

#include <algorithm>

#include <doctest/doctest.h>

#include "plan.pb.h"

namespace ckmap {
namespace {

struct Tensor {
  std::string name;
  Shape shape;
  DType dtype = DType::kF32;
};

Manifest MakeManifest(const std::vector<Tensor>& tensors) {
  Manifest manifest;
  for (const Tensor& tensor : tensors) {
    TensorInfo info;
    info.name = tensor.name;
    info.dtype = tensor.dtype;
    info.shape = tensor.shape;
    REQUIRE(manifest.Add(std::move(info)));
  }
  return manifest;
}

BindResult BindText(const std::string& body, const std::vector<Tensor>& source, const std::vector<Tensor>& target,
                    const BindOptions& options = {}) {
  plan::Plan proto;
  proto.set_format(kPlanFormat);
  proto.set_edition(1);
  proto.add_files()->set_name("test.ckmap");
  REQUIRE(google::protobuf::TextFormat::MergeFromString(body, &proto));
  for (auto& file : *proto.mutable_files()) file.set_sha256(std::string(64, '0'));
  auto plan = ParsePlan(SerializePlan(proto));
  if (!plan) FAIL(plan.error().message());
  auto result = Bind(*plan, MakeManifest(source), MakeManifest(target), options);
  if (!result) FAIL(result.error().message());
  return *std::move(result);
}

std::vector<std::string> Codes(const BindResult& result) {
  std::vector<std::string> codes;
  for (const Issue& issue : result.issues) codes.push_back(issue.code + " " + issue.tensor);
  return codes;
}

const BoundTensor& Find(const BindResult& result, const std::string& name) {
  if (!result.plan) {
    for (const Issue& issue : result.issues) MESSAGE(issue.code << " " << issue.message);
  }
  REQUIRE(result.plan.has_value());
  for (const BoundTensor& tensor : result.plan->tensors) {
    if (tensor.name == name) return tensor;
  }
  FAIL("no target " << name);
  return result.plan->tensors.front();
}

TEST_CASE("without rules every name goes to itself, strictly") {
  const auto same = BindText("", {{"a.w", {2, 3}}}, {{"a.w", {2, 3}}});
  CHECK(Find(same, "a.w").rule == "same name");
  CHECK(Codes(BindText("", {{"a.w", {2}}, {"a.x", {2}}}, {{"a.w", {2}}, {"a.y", {3}}})) ==
        std::vector<std::string>{"CK1201 a.y", "CK1202 a.x"});
  CHECK(Codes(BindText("", {{"a", {2, 3}}}, {{"a", {3, 2}}})) == std::vector<std::string>{"CK1203 a"});
  CHECK(Codes(BindText("", {{"a", {2}}}, {{"a", {2}, DType::kF16}})) == std::vector<std::string>{"CK1204 a"});
}

TEST_CASE("renames rewrite whole segments at once") {
  const std::string plan = R"pb(
    renames {
      from {
        parts { literal: "a" }
        text: "a"
      }
      to {
        parts { literal: "b" }
        text: "b"
      }
      loc { line: 3 }
    }
    renames {
      from {
        parts { literal: "b" }
        text: "b"
      }
      to {
        parts { literal: "a" }
        text: "a"
      }
      loc { line: 4 }
    })pb";
  const auto result = BindText(plan, {{"a.ab", {1}}, {"b.a", {2}}}, {{"b.ab", {1}}, {"a.b", {2}}});
  CHECK(Find(result, "b.ab").rule == "test.ckmap:3");
  CHECK(Find(result, "a.b").value.shape == Shape{2});
}

constexpr const char* kSplitRule = R"pb(
  rules {
    loc { line: 7 }
    text: "qkv -> q, k, v"
    source {
      terms {
        pattern {
          text: "h.{i}.qkv"
          parts { literal: "h." }
          parts { capture { name: "i" kind: INT } }
          parts { literal: ".qkv" }
        }
        shape {
          dims {
            expr {
              call {
                function: "*"
                args { int: 3 }
                args { dim: "D" }
              }
            }
          }
          dims { bind: "D" }
        }
      }
      ops {
        name: "split"
        text: "split(axis=0)"
        args {
          name: "axis"
          value { int: 0 }
        }
      }
      ops { name: "transpose" text: "transpose()" }
    }
    target {
      terms {
        pattern {
          text: "b.{i}.{q,k,v}"
          parts { literal: "b." }
          parts { reference: "i" }
          parts { literal: "." }
          parts { alternatives { options: "q" options: "k" options: "v" } }
        }
      }
    }
  })pb";

TEST_CASE("a rule with captures splits into the names of the other side") {
  const auto result = BindText(kSplitRule, {{"h.0.qkv", {6, 2}}, {"h.1.qkv", {6, 2}}},
                               {{"b.0.q", {2, 2}},
                                {"b.0.k", {2, 2}},
                                {"b.0.v", {2, 2}},
                                {"b.1.q", {2, 2}},
                                {"b.1.k", {2, 2}},
                                {"b.1.v", {2, 2}}});
  const BoundTensor& k = Find(result, "b.1.k");
  CHECK(k.rule == "test.ckmap:7");
  CHECK(k.ops == std::vector<std::string>{"split(axis=0, sizes=[2, 2, 2])", "permute(1, 0)"});
  REQUIRE(result.issues.size() == 1);  // one note for the rule: three equal parts, and they are square
  CHECK(result.issues[0].message ==
        "test.ckmap:7: `b.0.q` and 5 more fit without the transpose as well: they are square");
  CHECK(result.issues[0].notes ==
        std::vector<std::string>{
            "`b.0.q` and 5 more fit with equal parts in another order, or cut group by group, as well"});
  REQUIRE(k.value.pieces.size() == 1);
  CHECK(k.value.pieces[0].src_offset == 4);
  CHECK(k.value.pieces[0].axes == std::vector<PieceAxis>{{2, 1, 2}, {2, 2, 1}});
}

// One name on either side, so that its applications repeat (repeated_application.h); sizes by name and a tensor of the
// network whose name asks for the capture.
constexpr const char* kTurnRule = R"pb(
  rules {
    loc { line: 5 }
    text: "w -> kernel"
    source {
      terms {
        pattern {
          text: "h.{i}.w"
          parts { literal: "h." }
          parts { capture { name: "i" kind: INT } }
          parts { literal: ".w" }
        }
        shape {
          dims { bind: "O" }
          dims { bind: "I" }
        }
      }
      ops { name: "transpose" text: "transpose()" }
    }
    target {
      terms {
        pattern {
          text: "b.{i}.kernel"
          parts { literal: "b." }
          parts { reference: "i" }
          parts { literal: ".kernel" }
        }
        shape {
          dims { bind: "I" }
          dims { bind: "O" }
        }
      }
    }
  })pb";

TEST_CASE("what repeats is made as if it were alone") {
  std::vector<Tensor> source, target;
  for (int64_t i = 0; i < 12; ++i) {
    // Shapes that come back, and one that every layer has another of.
    const Shape shape = i % 3 == 0 ? Shape{2, 3} : i % 3 == 1 ? Shape{4, 5} : Shape{i, 7};
    const DType dtype = i % 4 == 0 ? DType::kF16 : DType::kF32;
    source.push_back({"h." + std::to_string(i) + ".w", shape, dtype});
    target.push_back({"b." + std::to_string(i) + ".kernel", {shape[1], shape[0]}, dtype});
  }
  const auto together = BindText(kTurnRule, source, target);
  for (size_t i = 0; i < source.size(); ++i) {
    const auto alone = BindText(kTurnRule, {source[i]}, {target[i]});
    const BoundTensor &one = Find(alone, target[i].name), &all = Find(together, target[i].name);
    CHECK(one.value.pieces == all.value.pieces);
    CHECK(one.value.shape == all.value.shape);
    CHECK(one.shape == all.shape);
    CHECK(one.dtype == all.dtype);
    CHECK(one.ops == all.ops);
    CHECK(one.rule == all.rule);
    REQUIRE(all.inputs.size() == 1);
    CHECK(together.plan->source[all.inputs[0].source].name == source[i].name);
  }
}

TEST_CASE("what does not fit among applications that repeat is told as of each") {
  const auto result = BindText(kTurnRule, {{"h.0.w", {2, 3}}, {"h.1.w", {2, 3}}, {"h.2.w", {2, 3}}, {"h.3.w", {2}}},
                               {{"b.0.kernel", {3, 2}}, {"b.1.kernel", {3, 4}}, {"b.3.kernel", {2}}});
  CHECK(Codes(result) == std::vector<std::string>{"CK1203 h.3.w", "CK1203 b.1.kernel", "CK1206 b.2.kernel"});
}

TEST_CASE("a reversed plan turns the pieces round") {
  const std::string plan = std::string("reversed: true ") + kSplitRule;
  const auto result = BindText(plan, {{"b.0.q", {2, 2}}, {"b.0.k", {2, 2}}, {"b.0.v", {2, 2}}}, {{"h.0.qkv", {6, 2}}});
  const BoundTensor& qkv = Find(result, "h.0.qkv");
  REQUIRE(qkv.value.pieces.size() == 3);
  CHECK(result.plan->source[qkv.inputs[1].source].name == "b.0.k");
  CHECK(qkv.value.pieces[1].dst_offset == 4);
  CHECK(qkv.value.pieces[1].axes == std::vector<PieceAxis>{{2, 1, 2}, {2, 2, 1}});
}

TEST_CASE("a size in brackets that does not hold is reported with its tensor") {
  const auto result =
      BindText(kSplitRule, {{"h.0.qkv", {6, 3}}}, {{"b.0.q", {3, 2}}, {"b.0.k", {3, 2}}, {"b.0.v", {3, 2}}});
  CHECK(Codes(result) == std::vector<std::string>{"CK1203 h.0.qkv"});
}

constexpr const char* kStackRule = R"pb(
  rules {
    loc { line: 9 }
    text: "stack"
    source {
      terms {
        pattern {
          text: "e.{e:int...}.{a,b}"
          parts { literal: "e." }
          parts { capture { name: "e" kind: INT gather: true } }
          parts { literal: "." }
          parts { alternatives { options: "a" options: "b" } }
        }
      }
      ops {
        name: "concat"
        text: "concat(axis=0)"
        args {
          name: "axis"
          value { int: 0 }
        }
      }
      ops {
        name: "stack"
        text: "stack(axis=0)"
        args {
          name: "axis"
          value { int: 0 }
        }
      }
    }
    target {
      terms {
        pattern {
          text: "all"
          parts { literal: "all" }
        }
      }
    }
  })pb";

TEST_CASE("gathered lists are complete and in numeric order") {
  std::vector<Tensor> source;
  for (int e = 0; e < 12; ++e) {
    source.push_back({"e." + std::to_string(e) + ".a", {2, 3}});
    source.push_back({"e." + std::to_string(e) + ".b", {1, 3}});
  }
  const auto result = BindText(kStackRule, source, {{"all", {12, 3, 3}}});
  const BoundTensor& all = Find(result, "all");
  REQUIRE(all.inputs.size() == 24);
  CHECK(result.plan->source[all.inputs[20].source].name == "e.10.a");

  source.erase(source.begin() + 10, source.begin() + 12);  // both parts of expert 5
  CHECK(Codes(BindText(kStackRule, source, {{"all", {12, 3, 3}}})).front().starts_with("CK1208"));
  source.erase(source.begin());  // expert 0 loses one part
  const auto codes = Codes(BindText(kStackRule, source, {{"all", {12, 3, 3}}}));
  CHECK(std::find(codes.begin(), codes.end(), "CK1207 e.0.a") != codes.end());
}

constexpr const char* kLayer = R"pb(
  layers {
    name: "bn"
    loc { line: 5 }
    rules {
      text: "running_mean <-> moving_mean"
      source {
        terms {
          pattern {
            text: "running_mean"
            parts { literal: "running_mean" }
          }
          shape { dims { bind: "C" } }
        }
      }
      target {
        terms {
          pattern {
            text: "moving_mean"
            parts { literal: "moving_mean" }
          }
        }
      }
    }
    rules {
      text: "weight? <-> gamma"
      source {
        terms {
          optional: true
          pattern {
            text: "weight"
            parts { literal: "weight" }
          }
          shape { dims { bind: "C" } }
        }
      }
      target {
        terms {
          pattern {
            text: "gamma"
            parts { literal: "gamma" }
          }
        }
      }
    }
    drops {
      optional: true
      pattern {
        text: "num"
        parts { literal: "num" }
      }
    }
  })pb";

TEST_CASE("a layer is recognised by the tensors that a module holds") {
  const auto result = BindText(
      kLayer,
      {{"x.1.running_mean", {4}}, {"x.1.weight", {4}}, {"x.1.num", {}}, {"x.2.weight", {4, 4}}, {"running_mean", {2}}},
      {{"x.1.moving_mean", {4}}, {"x.1.gamma", {4}}, {"x.2.weight", {4, 4}}, {"moving_mean", {2}}});
  CHECK(Find(result, "x.1.gamma").inputs.size() == 1);
  CHECK(Find(result, "moving_mean").shape == Shape{2});
  REQUIRE(result.plan->dropped.size() == 1);
  CHECK(result.plan->dropped[0].name == "x.1.num");
  // A module that holds anything else is another kind of layer.
  const auto other =
      BindText(kLayer, {{"x.running_mean", {4}}, {"x.other", {4}}}, {{"x.moving_mean", {4}}, {"x.other", {4}}});
  CHECK(Codes(other) == std::vector<std::string>{"CK1201 x.moving_mean", "CK1202 x.running_mean"});
}

TEST_CASE("a file overrides the pack that it uses; rules of one level collide") {
  const std::string two = R"pb(
    files { name: "pack.ckmap" level: 1 }
    rules {
      text: "a -> x"
      loc { file: LEVEL line: 2 }
      source {
        terms {
          pattern {
            text: "a"
            parts { literal: "a" }
          }
        }
      }
      target {
        terms {
          pattern {
            text: "x"
            parts { literal: "x" }
          }
        }
      }
    }
    rules {
      text: "b -> x"
      loc { line: 3 }
      source {
        terms {
          pattern {
            text: "b"
            parts { literal: "b" }
          }
        }
      }
      target {
        terms {
          pattern {
            text: "x"
            parts { literal: "x" }
          }
        }
      }
    }
    drops {
      pattern {
        text: "{n}"
        parts { literal: "a" }
      }
      when { boolean: DROP }
    })pb";
  auto plan = [&](const std::string& file, const std::string& drop) {
    std::string text = two;
    text.replace(text.find("LEVEL"), 5, file);
    text.replace(text.find("DROP"), 4, drop);
    return text;
  };
  CHECK(Codes(BindText(plan("0", "false"), {{"a", {1}}, {"b", {1}}}, {{"x", {1}}})) ==
        std::vector<std::string>{"CK1205 x"});
  const auto result = BindText(plan("1", "true"), {{"a", {1}}, {"b", {1}}}, {{"x", {1}}});
  CHECK(Find(result, "x").rule == "test.ckmap:3");
}

TEST_CASE("parameters come from -D, then the config, then their default") {
  const std::string plan = R"pb(
    variables {
      name: "heads"
      is_param: true
      config_key: "num.heads"
      value { int: 2 }
    }
    variables {
      name: "dim"
      value {
        call {
          function: "/"
          args { int: 12 }
          args { variable: "heads" }
        }
      }
    }
    asserts {
      text: "dim == 4"
      condition {
        call {
          function: "=="
          args { variable: "dim" }
          args { int: 4 }
        }
      }
    })pb";
  BindOptions options;
  CHECK(Codes(BindText(plan, {}, {}, options)) == std::vector<std::string>{"CK1217 "});
  options.config_json = R"({"num": {"heads": 3}})";
  CHECK(Codes(BindText(plan, {}, {}, options)).empty());
  options.defines["heads"] = "5";
  CHECK(Codes(BindText(plan, {}, {}, options)) == std::vector<std::string>{"CK1305 "});
  options.defines["heads"] = "x";
  CHECK(Codes(BindText(plan, {}, {}, options)) == std::vector<std::string>{"CK1302 "});
  options.defines.clear();
  options.defines["haeds"] = "3";
  CHECK(Codes(BindText(plan, {}, {}, options)) == std::vector<std::string>{"CK1303 "});
}

TEST_CASE("casts and initial values are made where the plan says so") {
  const std::string plan = R"pb(
    policies { kind: CAST cast_from: "f32" cast_to: "f16" overflow: "saturate" }
    inits {
      kind: ONES
      loc { line: 4 }
      pattern {
        text: "n"
        parts { literal: "n" }
      }
    }
    inits {
      kind: KEEP
      pattern {
        text: "k"
        parts { literal: "k" }
      }
    })pb";
  const auto result = BindText(plan, {{"a", {2}}}, {{"a", {2}, DType::kF16}, {"n", {3}, DType::kBF16}, {"k", {1}}});
  REQUIRE(Find(result, "a").inputs[0].casts.size() == 1);
  CHECK(Find(result, "a").inputs[0].casts[0].overflow == Overflow::kSaturate);
  CHECK(Find(result, "n").fill == std::vector<std::byte>{std::byte{0x80}, std::byte{0x3f}});
  CHECK(result.plan->kept.front().name == "k");
}

TEST_CASE("elements that no rule reads are named") {
  const std::string plan = R"pb(
    rules {
      text: "slice"
      source {
        terms {
          pattern {
            text: "a"
            parts { literal: "a" }
          }
        }
        ops {
          name: "slice"
          text: "slice"
          args {
            name: "axis"
            value { int: 0 }
          }
          args {
            name: "end"
            value { int: 12 }
          }
        }
      }
      target {
        terms {
          pattern {
            text: "b"
            parts { literal: "b" }
          }
        }
      }
    })pb";
  const auto result = BindText(plan, {{"a", {16, 2}}}, {{"b", {12, 2}}});
  CHECK(Codes(result) == std::vector<std::string>{"CK1214 a"});  // and not that other rows would fit as well
  CHECK(result.issues[0].message == "rows 12..15 of `a` (f32 [16, 2]) are read by no rule");
}

}  // namespace
}  // namespace ckmap
