#include <algorithm>
#include <initializer_list>

#include "tests/causes/network.h"

namespace ckmap {
namespace {

bool HoldsAny(const std::string& name, std::initializer_list<const char*> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const char* part) { return name.find(part) != std::string::npos; });
}

// torchvision's VGG 11 with the names that it has without batch norms.
std::string WithoutNorms(const std::string& name) {
  static const std::vector<std::pair<const char*, const char*>> kNumbers = {
      {"features.0.", "features.0."},   {"features.4.", "features.3."},   {"features.8.", "features.6."},
      {"features.11.", "features.8."},  {"features.15.", "features.11."}, {"features.18.", "features.13."},
      {"features.22.", "features.16."}, {"features.25.", "features.18."}};
  if (!name.starts_with("features.")) return name;
  for (const auto& [with, without] : kNumbers) {
    if (name.starts_with(with)) return without + name.substr(std::string(with).size());
  }
  return "";
}

void AddAdapters(Network& n, const char* projection, bool wrapped) {
  const std::vector<TensorInfo> tensors(n.source.manifest().tensors().begin(), n.source.manifest().tensors().end());
  if (wrapped) {
    n.source.Rename([&](const std::string& name) {
      std::string base = name;
      const std::string weight = std::string(projection) + ".weight";
      if (const size_t at = base.find(weight); at != std::string::npos)
        base.replace(at, weight.size(), std::string(projection) + ".base_layer.weight");
      return "base_model.model." + base;
    });
  }
  for (const TensorInfo& tensor : tensors) {
    if (tensor.name.find(std::string(projection) + ".weight") == std::string::npos) continue;
    const std::string path =
        (wrapped ? "base_model.model." : "") + tensor.name.substr(0, tensor.name.size() - std::string("weight").size());
    n.source.Add(path + "lora_A.default.weight", tensor.dtype, {8, tensor.shape[1]});
    n.source.Add(path + "lora_B.default.weight", tensor.dtype, {tensor.shape[0], 8});
  }
}

void RemoveExperts(Side& side, std::initializer_list<const char*> experts) {
  for (const char* expert : experts) side.Remove(expert);
  side.Change([](TensorInfo& tensor) {
    if (HoldsAny(tensor.name, {"block_sparse_moe.gate.weight"})) tensor.shape[0] = 2;
  });
}

}  // namespace

// Parts that one of two networks has and the other has not.
std::vector<Mistake> MistakesOfParts() {
  const std::string vgg = "vgg/torchvision2mindcv", mindone = "mindone/hf2mindone", regnet = "regnet/timm2mindcv",
                    ghostnet = "ghostnet/timm2mindcv";
  std::vector<Mistake> mistakes;
  const auto add = [&](const char* name, const std::string& pack, const char* family, std::set<std::string> causes,
                       std::function<void(Network&)> make) {
    mistakes.push_back({name, pack, family, false, std::move(causes), std::move(make), false});
  };
  add("the target is made without batch norms", vgg, "vgg11_bn", {"norms"}, [](Network& n) {
    n.target.Rename(WithoutNorms);
    for (const TensorInfo& tensor : std::vector<TensorInfo>(n.target.manifest().tensors())) {
      if (tensor.shape.size() == 4)
        n.target.Add(tensor.name.substr(0, tensor.name.size() - 6) + "bias", tensor.dtype, {tensor.shape[0]});
    }
  });
  add("the checkpoint is of the network without batch norms", vgg, "vgg11_bn", {"norms"},
      [](Network& n) { n.source.Rename(WithoutNorms); });
  add("the norms are folded into the convolutions of the target", regnet, "regnet_x_200mf", {"norms"},
      [](Network& n) { n.target.Remove("bn."); });
  add("the norms of queries and keys are not in the target", mindone, "qwen3_mindone", {"norms"},
      [](Network& n) { n.target.Remove("_norm"); });
  add("the norms of queries and keys are not in the source", mindone, "qwen3_mindone", {"norms"},
      [](Network& n) { n.source.Remove("_norm"); });
  add("the target has half of the experts", mindone, "mixtral_mindone", {"experts"}, [](Network& n) {
    RemoveExperts(n.target, {"experts.2.", "experts.3."});
  });
  add("the source has half of the experts", mindone, "mixtral_mindone", {"experts"}, [](Network& n) {
    RemoveExperts(n.source, {"experts.2.", "experts.3."});
  });
  add("a fine-tuned checkpoint with its adapters", mindone, "qwen2_mindone", {"adapter"},
      [](Network& n) { AddAdapters(n, "q_proj", false); });
  add("a checkpoint as PEFT wraps it", mindone, "qwen3_mindone", {"adapter"},
      [](Network& n) { AddAdapters(n, "v_proj", true); });
  add("the target is made without biases", mindone, "whisper_mindone", {"biases"}, [](Network& n) {
    n.target.Rename([](const std::string& name) {
      return HoldsAny(name, {"fc1.bias", "fc2.bias"}) ? std::string() : name;
    });
  });
  add("the source has no biases in its projections", mindone, "roberta_mindone", {"biases"}, [](Network& n) {
    n.source.Rename([](const std::string& name) {
      return HoldsAny(name, {"query.bias", "key.bias", "value.bias"}) ? std::string() : name;
    });
  });
  mistakes.back().right = "\ninit \"encoder.layer.*.attention.self.{query,key,value}.bias\" = zeros;\n";
  add("the target has no squeeze and excitation", ghostnet, "ghostnet_050", {"branch", "unused"},
      [](Network& n) { n.target.Remove(".se."); });
  add("the source has no cross-attention", mindone, "whisper_mindone", {"branch", "norms", "missing"},
      [](Network& n) { n.source.Remove("encoder_attn"); });
  add("the pooler is left out of the target", mindone, "roberta_mindone", {"branch", "unused"},
      [](Network& n) { n.target.Remove("pooler"); });
  return mistakes;
}

}  // namespace ckmap
