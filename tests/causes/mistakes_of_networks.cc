#include "tests/causes/network.h"

#include <algorithm>

namespace ckmap {
namespace {

bool Holds(const std::string& name, std::initializer_list<const char*> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const char* part) { return name.find(part) != std::string::npos; });
}

void Cut(Side& side, int64_t ranks, std::initializer_list<const char*> rows,
         std::initializer_list<const char*> columns) {
  side.Change([&](TensorInfo& tensor) {
    if (Holds(tensor.name, rows)) tensor.shape[0] /= ranks;
    if (Holds(tensor.name, columns) && tensor.shape.size() == 2) tensor.shape[1] /= ranks;
  });
}

void AddLayer(Side& side, const std::string& from, const std::string& to) {
  for (TensorInfo tensor : std::vector<TensorInfo>(side.manifest().tensors())) {
    const size_t at = tensor.name.find(from);
    if (at == std::string::npos) continue;
    side.Add(tensor.name.replace(at, from.size(), to), tensor.dtype, tensor.shape);
  }
}

std::function<void(Network&)> Define(const std::string& name, const std::string& value) {
  return [=](Network& n) { n.bind.defines[name] = value; };
}

std::function<void(Network&)> Config(const std::string& from, const std::string& to) {
  return [=](Network& n) {
    const size_t at = n.bind.config_json.find(from);
    if (at != std::string::npos) n.bind.config_json.replace(at, from.size(), to);
  };
}

}  // namespace

std::vector<Mistake> MistakesOfNetworks() {
  const std::string resnet = "resnet/torchvision2mindcv", llama = "llama/hf2mindformers",
                    mindone = "mindone/hf2mindone", fused = "llama/hf2mindformers_fused", qwen = "qwen/hf2mcore",
                    gpt = "gpt2/hf2mindformers";
  return {
      {"another number of classes",
       resnet,
       "resnet50",
       false,
       {"classes"},
       [](Network& n) { Resize(n.target, 1000, 10); },
       false},
      {"another number of classes, of MobileNet",
       "mobilenet/v2_torchvision2mindcv",
       "mobilenet_v2",
       false,
       {"classes"},
       [](Network& n) { Resize(n.target, 1000, 37); },
       false},
      {"the vocabulary is padded in the target",
       llama,
       "llama_mindformers",
       false,
       {"vocabulary"},
       [](Network& n) { Resize(n.target, 100, 128); },
       false},
      {"another vocabulary",
       mindone,
       "bert_mindone",
       false,
       {"vocabulary"},
       [](Network& n) { Resize(n.target, 100, 77); },
       false},
      {"another resolution",
       mindone,
       "vit_mindone",
       false,
       {"resolution"},
       [](Network& n) { Resize(n.target, 17, 37); },
       false},
      {"another width",
       mindone,
       "opt_mindone",
       false,
       {"width", "size"},
       [](Network& n) {
         Resize(n.target, 64, 96);
         Resize(n.target, 256, 384);
       },
       false},
      {"a smaller feed-forward",
       mindone,
       "t5_mindone",
       false,
       {"size"},
       [](Network& n) { Resize(n.target, 96, 128); },
       false},
      {"one of two ranks of the source",
       llama,
       "llama_mindformers",
       false,
       {"slice"},
       [](Network& n) {
         Cut(n.source, 2, {"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "embed_tokens", "lm_head"},
             {"o_proj", "down_proj"});
       },
       false},
      {"one of four ranks of the target",
       mindone,
       "opt_mindone",
       false,
       {"slice"},
       [](Network& n) {
         Cut(n.target, 4, {"q_proj", "k_proj", "v_proj", "fc1"}, {"out_proj.weight", "fc2.weight"});
       },
       false},
      {"a layer more in the target",
       mindone,
       "bert_mindone",
       false,
       {"layers"},
       [](Network& n) { AddLayer(n.target, "layer.1.", "layer.2."); },
       false},
      {"a layer more in the source",
       llama,
       "llama_mindformers",
       false,
       {"layers"},
       [](Network& n) { AddLayer(n.source, "layers.1.", "layers.2."); },
       false},
      {"a layer is missing in the middle",
       resnet,
       "resnet50",
       false,
       {"layers"},
       [](Network& n) { n.source.Remove("layer3.2."); },
       false},
      {"the first layer is missing",
       mindone,
       "opt_mindone",
       false,
       {"layers"},
       [](Network& n) { n.source.Remove("layers.0."); },
       false},
      {"heads of another config", qwen, "qwen3_mcore", false, {"parameter"}, Define("heads", "4"), true},
      {"key-value heads of another config",
       fused,
       "llama_fused_mindformers",
       false,
       {"parameter"},
       Define("kv_heads", "1"),
       true},
      {"heads of another config, in a fused matrix",
       fused,
       "llama_fused_mindformers",
       false,
       {"parameter"},
       Define("heads", "4"),
       true},
      {"the width of a head of another config",
       qwen,
       "qwen3_mcore",
       false,
       {"parameter"},
       Define("head_dim", "64"),
       true},
      {"a convolution of PyTorch's Conv1d",
       mindone,
       "vit_mindone",
       false,
       {"layout"},
       [](Network& n) {
         n.target.Change([](TensorInfo& t) {
           if (Holds(t.name, {"intermediate.dense.weight"})) t.shape.insert(t.shape.end(), 1);
         });
       }},
      {"kernels of height 1 in the target",
       mindone,
       "opt_mindone",
       false,
       {"layout"},
       [](Network& n) {
         n.target.Change([](TensorInfo& t) {
           if (Holds(t.name, {"fc1.weight"})) t.shape.insert(t.shape.begin() + 1, 1);
         });
       }},
      {"linear layers are [in, out] in the target",
       mindone,
       "t5_mindone",
       false,
       {"layout"},
       [](Network& n) {
         n.target.Change([](TensorInfo& t) {
           if (Holds(t.name, {"DenseReluDense"})) std::swap(t.shape[0], t.shape[1]);
         });
       }},
      {"depthwise kernels are [1, C, k, k]",
       "convnext/torchvision2mindcv",
       "convnext_tiny_tv",
       false,
       {"layout"},
       [](Network& n) {
         n.target.Change([](TensorInfo& t) {
           if (t.shape.size() == 4 && t.shape[1] == 1) std::swap(t.shape[0], t.shape[1]);
         });
       }},
      {"the target has biases",
       llama,
       "llama_mindformers",
       false,
       {"biases"},
       [](Network& n) {
         for (const char* part : {"wq", "wk", "wv"}) {
           n.target.Add(std::string("model.layers.0.attention.") + part + ".bias", DType::kF32, {64});
           n.target.Add(std::string("model.layers.1.attention.") + part + ".bias", DType::kF32, {64});
         }
       },
       false},
      {"the target lacks biases",
       mindone,
       "opt_mindone",
       false,
       {"biases"},
       [](Network& n) { n.target.Remove("proj.bias"); },
       false},
      {"the output layer is tied in the source",
       llama,
       "llama_mindformers",
       false,
       {"tied"},
       [](Network& n) { n.source.Remove("lm_head"); },
       true,
       "\"model.embed_tokens.weight\" -> \"lm_head.weight\";\n"
       "\"model.embed_tokens.weight\" -> \"model.tok_embeddings.embedding_weight\";\n"},
      {"the output layer is tied in the target",
       llama,
       "llama_mindformers",
       false,
       {"tied"},
       [](Network& n) { n.target.Remove("lm_head"); }},
      {"weights in half precision",
       mindone,
       "t5_mindone",
       false,
       {"dtype"},
       [](Network& n) { n.source.Change([](TensorInfo& t) { t.dtype = DType::kF16; }); },
       true,
       "target { cast f16 -> f32; }\n"},
      {"a target in half precision",
       resnet,
       "resnet18",
       false,
       {"dtype"},
       [](Network& n) { n.target.Change([](TensorInfo& t) { t.dtype = DType::kF16; }); },
       false},
      {"weights of 8 bits with scales",
       mindone,
       "opt_mindone",
       false,
       {"quantised"},
       [](Network& n) {
         n.source.Change([](TensorInfo& t) {
           if (t.shape.size() == 2 && Holds(t.name, {"proj.weight", "fc"})) t.dtype = DType::kI8;
         });
         for (const TensorInfo& t : std::vector<TensorInfo>(n.source.manifest().tensors())) {
           if (t.dtype == DType::kI8) n.source.Add(t.name + "_scale", DType::kF32, {t.shape[0], 1});
         }
       },
       true,
       "\"{m:path}.{l:q_proj|k_proj|v_proj|out_proj|fc1|fc2}.weight\", \"{m}.{l}.weight_scale\" | dequantize(to=f32) "
       "-> "
       "\"{m}.{l}.weight\";\n"},
      {"weights of GPTQ",
       mindone,
       "opt_mindone",
       false,
       {"quantised"},
       [](Network& n) {
         for (const TensorInfo& t : std::vector<TensorInfo>(n.source.manifest().tensors())) {
           if (!Holds(t.name, {"_proj.weight"}) || t.shape.size() != 2) continue;
           const std::string stem = t.name.substr(0, t.name.size() - 6);
           n.source.Add(stem + "qweight", DType::kI32, {t.shape[1] / 8, t.shape[0]});
           n.source.Add(stem + "qzeros", DType::kI32, {1, t.shape[0] / 8});
           n.source.Add(stem + "scales", DType::kF16, {1, t.shape[0]});
           n.source.Add(stem + "g_idx", DType::kI32, {t.shape[1]});
         }
         n.source.Remove("_proj.weight");
       },
       false},
      {"query, key and value in one matrix",
       mindone,
       "bert_mindone",
       false,
       {"fused"},
       [](Network& n) {
         n.target.Remove("self.key");
         n.target.Remove("self.value");
         n.target.Rename([](const std::string& name) {
           std::string to = name;
           const size_t at = to.find("self.query");
           return at == std::string::npos ? to : to.replace(at, 10, "self.qkv");
         });
         n.target.Change([](TensorInfo& t) {
           if (Holds(t.name, {"self.qkv"})) t.shape[0] *= 3;
         });
       },
       false},
      {"a batch axis of open size in the target",
       mindone,
       "vit_mindone",
       false,
       {"layout"},
       [](Network& n) {
         n.target.Change([](TensorInfo& t) {
           if (Holds(t.name, {"dense.bias"})) t.shape.insert(t.shape.begin(), -1);
         });
       }},
  };
}

}  // namespace ckmap
