#include "tests/causes/network.h"

#include <fmt/format.h>

namespace ckmap {
namespace {

std::string Replaced(std::string name, const std::string& from, const std::string& to) {
  const size_t at = name.find(from);
  return at == std::string::npos ? name : name.replace(at, from.size(), to);
}

std::function<void(Network&)> Prefixed(const std::string& prefix) {
  return [prefix](Network& n) { n.source.Rename([&](const std::string& name) { return prefix + name; }); };
}

}  // namespace

std::vector<Mistake> MistakesOfNames() {
  const std::string resnet = "resnet/torchvision2mindcv";
  return {
      {"saved under DataParallel", resnet, "resnet50", false, {"prefix"}, Prefixed("module.")},
      {"saved from a compiled module", resnet, "resnet18", false, {"prefix"}, Prefixed("_orig_mod.")},
      {"compiled and under DataParallel",
       "densenet/torchvision2mindcv",
       "densenet121",
       false,
       {"prefix"},
       Prefixed("module._orig_mod.")},
      {"the encoder of a larger model", "bert/hf2mindone", "bert_mindone", false, {"prefix"}, Prefixed("bert.")},
      {"a Lightning checkpoint",
       "convnext/torchvision2mindcv",
       "convnext_tiny_tv",
       false,
       {"prefix"},
       Prefixed("model.")},
      {"DataParallel before rules with names",
       "gpt2/hf2mindformers",
       "gpt2_mindformers",
       false,
       {"prefix"},
       Prefixed("module.")},
      {"DataParallel before fused rules",
       "llama/hf2mindformers_fused",
       "llama_fused_mindformers",
       false,
       {"prefix"},
       Prefixed("module.")},
      {"the target is part of a larger cell",
       "mobilenet/v2_torchvision2mindcv",
       "mobilenet_v2",
       false,
       {"prefix"},
       [](Network& n) { n.target.Rename([](const std::string& name) { return "backbone." + name; }); }},
      {"a training checkpoint with its dicts",
       resnet,
       "resnet18",
       false,
       {"root"},
       [](Network& n) {
         n.torch = true;
         n.source.Rename([](const std::string& name) { return "state_dict." + name; });
         n.source.Add("optimizer.state.0.momentum_buffer", DType::kF32, {64, 3, 7, 7});
         n.source.Add("optimizer.state.1.momentum_buffer", DType::kF32, {64});
       }},
      {"the model beside its average",
       "efficientnet/torchvision2mindcv",
       "efficientnet_b0",
       false,
       {"root"},
       [](Network& n) {
         n.torch = true;
         std::vector<TensorInfo> copies = n.source.manifest().tensors();
         n.source.Rename([](const std::string& name) { return "model." + name; });
         for (TensorInfo& copy : copies) n.source.Add("ema." + copy.name, copy.dtype, copy.shape);
       }},
      {"optimizer state in a MindSpore target",
       resnet,
       "resnet18",
       false,
       {"training state"},
       [](Network& n) {
         for (const TensorInfo& tensor : std::vector<TensorInfo>(n.target.manifest().tensors()))
           n.target.Add("moments." + tensor.name, tensor.dtype, tensor.shape);
         n.target.Add("global_step", DType::kI32, {1});
       }},
      {"optimizer state in the source",
       "bert/hf2mindone",
       "bert_mindone",
       false,
       {"training state"},
       [](Network& n) {
         for (const TensorInfo& tensor : std::vector<TensorInfo>(n.source.manifest().tensors())) {
           n.source.Add("exp_avg." + tensor.name, tensor.dtype, tensor.shape);
           n.source.Add("exp_avg_sq." + tensor.name, tensor.dtype, tensor.shape);
         }
       }},
      {"the classifier is called otherwise",
       resnet,
       "resnet50",
       false,
       {"rename"},
       [](Network& n) {
         n.target.Rename([](const std::string& name) { return Replaced(name, "classifier.", "head."); });
       }},
      {"the blocks are called otherwise",
       "bert/hf2mindone",
       "bert_mindone",
       false,
       {"rename"},
       [](Network& n) {
         n.target.Rename([](const std::string& name) { return Replaced(name, "encoder.layer.", "encoder.blocks."); });
       }},
      {"two names differ",
       "mindone/hf2mindone",
       "vit_mindone",
       false,
       {"rename"},
       [](Network& n) {
         n.target.Rename([](const std::string& name) {
           return Replaced(Replaced(name, "intermediate.dense", "mlp.fc1"), "layernorm_before", "norm1");
         });
       }},
      {"layers are counted from 1",
       "mindone/hf2mindone",
       "opt_mindone",
       false,
       {"numbers"},
       [](Network& n) {
         n.source.Rename([](const std::string& name) {
           return Replaced(Replaced(name, "layers.1.", "layers.2."), "layers.0.", "layers.1.");
         });
       }},
      {"blocks are counted from 1 in the target",
       "densenet/torchvision2mindcv",
       "densenet121",
       true,
       {"rename", "numbers"},
       [](Network& n) { n.Replace("\"denselayer{n:int}\" -> \"cell_list.{n - 1}\";", ""); }},
      {"source and target exchanged",
       resnet,
       "resnet18",
       false,
       {"exchanged"},
       [](Network& n) { std::swap(n.source, n.target); }},
      {"source and target exchanged, of BERT",
       "bert/hf2mindformers",
       "bert_mindformers",
       false,
       {"exchanged"},
       [](Network& n) { std::swap(n.source, n.target); }},
      {"the position ids of old files",
       "bert/hf2mindformers",
       "bert_mindformers",
       true,
       {"buffers"},
       [](Network& n) {
         n.Replace("drop embeddings.position_ids? equals iota because \"a buffer that counts 0, 1, 2, …\";", "");
         n.source.Add("embeddings.position_ids", DType::kI64, {1, 16});
       }},
  };
}

}  // namespace ckmap
