#!/usr/bin/env python3
"""Makes the small inputs of the examples, with numbers drawn from one seed: python examples/make_inputs.py (torch, safetensors).
They are in the repository: nobody needs this to run an example."""
import json
import os
import torch
from safetensors.torch import save_file

here = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(7)


def at(*parts):
    return os.path.join(here, *parts)


def norm(name, size):
    return {f"{name}.weight": torch.rand(size) + 0.5, f"{name}.bias": torch.randn(size), f"{name}.running_mean": torch.randn(size),
            f"{name}.running_var": torch.rand(size) + 0.5, f"{name}.num_batches_tracked": torch.tensor(100)}


torch.save({"conv1.weight": torch.randn(8, 3, 3, 3), **norm("bn1", 8), "conv2.weight": torch.randn(8, 8, 3, 3), **norm("bn2", 8),
            "fc.weight": torch.randn(10, 8), "fc.bias": torch.randn(10)}, at("batch_norm", "model.pth"))

pruned = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
from torch.nn.utils import prune
for layer in (pruned[0], pruned[2]):
    prune.l1_unstructured(layer, "weight", amount=0.5)
torch.save(pruned.state_dict(), at("pruned", "pruned.pth"))

save_file({"backbone.conv.weight": torch.randn(8, 3, 3, 3), "backbone.conv.bias": torch.randn(8), "head_a.weight": torch.randn(5, 8),
           "head_a.bias": torch.randn(5)}, at("incremental", "task_a.safetensors"))

save_file({"layers.0.fc.weight": torch.randint(-128, 128, (8, 4), dtype=torch.int8), "layers.0.fc.scale": torch.rand(8) / 100,
           "layers.1.fc.weight": torch.randint(-128, 128, (4, 8), dtype=torch.int8), "layers.1.fc.scale": torch.rand(4) / 100,
           "norm.weight": torch.rand(4)}, at("int8", "int8.safetensors"))

save_file({"embed.weight": torch.randn(16, 4), "pos_embed": torch.randn(1, 10, 4), "head.weight": torch.randn(3, 4)},
          at("dynamic_dims", "model.safetensors"))

torch.save({"fc.weight": torch.randn(4, 3), "fc.bias": torch.randn(4)}, at("encrypted", "secret.pth"))

towers = {}
for tower, width in (("visual", 8), ("text", 6)):
    for n in range(2):
        towers[f"{tower}.blocks.{n}.fc.weight"] = torch.randn(width, width + 1)
        towers[f"{tower}.blocks.{n}.fc.bias"] = torch.randn(width)
towers["logit_scale"] = torch.tensor(2.5)
save_file(towers, at("two_devices", "clip.safetensors"))

save_file({"stem.weight": torch.randn(8, 3), "classifier.weight": torch.randn(91, 8), "classifier.bias": torch.randn(91)},
          at("other_classes", "coco91.safetensors"))

base = {f"model.layers.{n}.self_attn.{p}_proj.weight": torch.randn(4, 4) for n in range(2) for p in "qv"}
base["model.norm.weight"] = torch.rand(4)
save_file(base, at("lora", "checkpoint", "model.safetensors"))
adapter = {}
for n in range(2):
    for p in "qv":
        adapter[f"base_model.model.model.layers.{n}.self_attn.{p}_proj.lora_A.weight"] = torch.randn(2, 4)
        adapter[f"base_model.model.model.layers.{n}.self_attn.{p}_proj.lora_B.weight"] = torch.randn(4, 2)
save_file(adapter, at("lora", "checkpoint", "adapter_model.safetensors"))

tensors = {f"_orig_mod.layers.{n}.fc.{leaf}": torch.randn(4, 4) if leaf == "weight" else torch.randn(4) for n in range(3) for leaf in ("weight", "bias")}
tensors["_orig_mod.optimizer.step"] = torch.tensor(100)
names, folder = list(tensors), at("no_target", "shards")
index = {"metadata": {"total_size": sum(t.numel() * t.element_size() for t in tensors.values())}, "weight_map": {}}
for i, part in enumerate((names[:4], names[4:])):
    file = f"model-{i + 1:05d}-of-00002.safetensors"
    save_file({name: tensors[name] for name in part}, os.path.join(folder, file))
    index["weight_map"].update({name: file for name in part})
with open(os.path.join(folder, "model.safetensors.index.json"), "w") as out:
    json.dump(index, out, indent=1)

save_file({"layer1.conv.weight": torch.randn(8, 3, 3, 3), "layer2.conv.weight": torch.randn(16, 8, 3, 3), "fc.weight": torch.randn(10, 16),
           "fc.bias": torch.randn(10)}, at("surgery", "parts", "classifier.safetensors"))
save_file({"detector.backbone.layer1.conv.weight": torch.randn(8, 3, 3, 3), "detector.backbone.layer2.conv.weight": torch.randn(16, 8, 3, 3),
           "detector.bbox_head.cls.weight": torch.randn(12, 16), "detector.bbox_head.cls.bias": torch.randn(12),
           "detector.bbox_head.reg.weight": torch.randn(4, 16), "detector.bbox_head.reg.bias": torch.randn(4)},
          at("surgery", "parts", "detector.safetensors"))
