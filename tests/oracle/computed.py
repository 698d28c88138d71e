"""Writes tests/data/computed: for each case a source, and what torch and numpy make of it.

    python tests/oracle/computed.py        needs torch and safetensors

Sums and products are taken in f64 and rounded once, which is what ckmap promises; so values are compared exactly, but for
functions of a mathematical library.
"""

import json
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "computed"
torch.manual_seed(7)


def rand(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


def save(name, source, target):
    save_file({k: v.clone().contiguous() for k, v in source.items()}, OUT / f"{name}.safetensors")
    save_file({k: v.clone().contiguous() for k, v in target.items()}, OUT / f"{name}_expected.safetensors")


def spread(scale, shape, block):
    for axis, size in enumerate(block):
        scale = scale.repeat_interleave(size, axis)
    return scale[tuple(slice(0, n) for n in shape)]


def fp8():
    """DeepSeek-V3's layout in small: ragged blocks, one e4m3 weight for each scale."""
    source, target = {}, {}
    for name, shape, block in [("ragged", (72, 200), (16, 64)), ("even", (32, 64), (16, 32)), ("thin", (3, 5), (128, 128))]:
        weight = (rand(*shape) * 30).to(torch.float8_e4m3fn)
        scale = torch.rand([-(-n // b) for n, b in zip(shape, block)]) * 0.01
        source |= {f"{name}.weight": weight, f"{name}.weight_scale_inv": scale}
        target[f"{name}.w"] = (weight.float() * spread(scale, shape, block)).to(torch.bfloat16)
    save("fp8", source, target)
    experts, stacked = {}, []
    for e in range(3):
        weight, scale = (rand(6, 10) * 30).to(torch.float8_e4m3fn), torch.rand(2, 3)
        experts |= {f"experts.{e}.weight": weight, f"experts.{e}.weight_scale_inv": scale}
        stacked.append((weight.float() * spread(scale, (6, 10), (4, 4))).to(torch.bfloat16).T)
    # The scales in another shard than the weights.
    folder = OUT / "fp8_experts"
    folder.mkdir(exist_ok=True)
    shards = {"model-00001-of-00002.safetensors": "weight", "model-00002-of-00002.safetensors": "weight_scale_inv"}
    places = {}
    for file, leaf in shards.items():
        part = {k: v for k, v in experts.items() if k.endswith("." + leaf)}
        save_file(part, folder / file)
        places |= {k: file for k in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    save_file({"experts.w": torch.stack(stacked)}, OUT / "fp8_experts_expected.safetensors")


def integers():
    weight = rand(6, 16)
    scale, zero = torch.rand(6, dtype=torch.float64) * 0.05 + 0.01, torch.randint(-20, 20, (6,))
    q = torch.quantize_per_channel(weight, scale, zero, 0, torch.qint8)
    tensor = torch.quantize_per_tensor(weight, 0.05, 3, torch.quint8)
    nibbles = torch.randint(0, 16, (6, 16))
    group = torch.rand(6, 4).half()
    zeros = torch.randint(0, 16, (6, 4), dtype=torch.uint8)
    packed = (nibbles[:, 0::2] | nibbles[:, 1::2] << 4).to(torch.uint8)
    words = torch.zeros(6, 2, dtype=torch.int64)
    for k in range(8):
        words |= nibbles.reshape(6, 2, 8)[:, :, k] << (4 * k)
    words = torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
    signed = torch.where(nibbles >= 8, nibbles - 16, nibbles)
    unpacked = ((nibbles - zeros.long().repeat_interleave(4, 1)).float() * group.float().repeat_interleave(4, 1))
    symmetric = signed.float() * group.float().repeat_interleave(4, 1)
    source = {
        "channel.q": q.int_repr(), "channel.scale": scale, "channel.zero": zero.to(torch.int8),
        "tensor.q": tensor.int_repr(), "tensor.scale": torch.tensor(0.05), "tensor.zero": torch.tensor([3], dtype=torch.int32),
        "four.q": packed, "four.scale": group, "four.zero": zeros,
        "word.q": words, "word.scale": group, "word.zero": zeros,
        "sym.q": packed.view(torch.int8), "sym.scale": group,
        "float.w": weight, "float.scale": scale, "float.zero": zero.to(torch.int8),
        "float.fp8_scale": torch.tensor([0.02]),
    }
    target = {
        "channel.w": ((q.int_repr().double() - zero[:, None]) * scale[:, None]).float(),
        "tensor.w": ((tensor.int_repr().float() - 3) * torch.tensor(0.05)),
        "four.w": unpacked.half(), "word.w": unpacked.half(), "sym.w": symmetric.half(),
        "float.q": (torch.clamp(torch.round(weight.double() / scale[:, None]) + zero[:, None], -128, 127)).to(torch.int8),
        "float.fp8": (weight.double() / torch.tensor([0.02]).double()).to(torch.float8_e4m3fn),
    }
    save("integers", source, target)


def lora():
    w, a, b, m = rand(40, 24), rand(4, 24), rand(40, 4), torch.rand(40) + 0.5
    conv, ca, cb = rand(8, 3, 3, 3), rand(2, 3, 3, 3), rand(8, 2, 1, 1)
    turned = rand(24, 40)
    half = rand(40, 24, dtype=torch.bfloat16)
    d = lambda *t: [x.double() for x in t]
    W, A, B, M, T = d(w, a, b, m, turned)
    delta = B @ A
    merged = W + 8 / 4 * delta
    dora = M[:, None] * merged / merged.norm(dim=1, keepdim=True)
    turned_merged = T + 8 / 4 * delta.T
    turned_dora = M[None, :] * turned_merged / turned_merged.norm(dim=0, keepdim=True)
    source = {"w": w, "A": a, "B": b, "m": m, "conv": conv, "convA": ca, "convB": cb, "turned": turned, "half": half}
    target = {
        "plain": merged.float(), "rs": (W + 8 / 4**0.5 * delta).float(), "dora": dora.float(),
        "fan": turned_merged.float(), "fan_dora": turned_dora.float(), "transposed": merged.float().T,
        "half": (half.double() + 8 / 4 * delta).to(torch.bfloat16),
        "conv": (conv.double() + 16 / 2 * (cb.double().reshape(8, 2) @ ca.double().reshape(2, 27)).reshape(8, 3, 3, 3)).float(),
    }
    save("lora", source, target)


def weight_norm():
    old = torch.nn.utils.weight_norm(torch.nn.Conv1d(3, 5, 4))
    new = torch.nn.utils.parametrizations.weight_norm(torch.nn.ConvTranspose1d(3, 5, 4), dim=1)
    source = {f"old.{k}": v.detach() for k, v in old.state_dict().items()}
    source |= {f"new.{k}": v.detach() for k, v in new.state_dict().items()}
    g, v = source["old.weight_g"].double(), source["old.weight_v"].double()
    g1, v1 = (source[f"new.parametrizations.weight.original{i}"].double() for i in (0, 1))
    target = {
        "old.weight": (v * (g / v.norm(dim=(1, 2), keepdim=True))).float(), "old.bias": source["old.bias"],
        "new.weight": (v1 * (g1 / v1.norm(dim=(0, 2), keepdim=True))).float(), "new.bias": source["new.bias"],
    }
    assert torch.allclose(target["old.weight"], old.weight) and torch.allclose(target["new.weight"], new.weight)
    save("weight_norm", source, target)


def batch_norm():
    """A convolution, a transposed one and a linear layer with a norm behind; RepVGG's three branches as one kernel."""
    eps = 1e-3
    source, target = {}, {}

    def norm(name, c):
        values = {"gamma": torch.rand(c) + 0.5, "beta": rand(c), "mean": rand(c), "var": torch.rand(c) + 0.1}
        source.update({f"{name}.{k}": v for k, v in values.items()})
        values = {k: v.double() for k, v in values.items()}
        return values, values["gamma"] / torch.sqrt(values["var"] + eps)

    for name, shape, axis in [("conv", (6, 2, 3, 3), 0), ("up", (4, 6, 2, 2), 1), ("linear", (6, 5), 0)]:
        values, factor = norm(name, 6)
        weight = rand(*shape)
        source[f"{name}.weight"] = weight
        bias = torch.zeros(6, dtype=torch.float64)
        if name != "up":
            source[f"{name}.bias"] = rand(6)
            bias = source[f"{name}.bias"].double()
        view = [-1 if k == axis else 1 for k in range(len(shape))]
        target[f"{name}.weight"] = (weight.double() * factor.view(view)).float()
        target[f"{name}.bias"] = (values["beta"] + (bias - values["mean"]) * factor).float()
    # mindcv's VGG has no biases: they go into the moving mean.
    source |= {"vgg.mean": rand(6), "vgg.bias": rand(6)}
    target["vgg.moving_mean"] = (source["vgg.mean"].double() - source["vgg.bias"].double()).float()
    save("batch_norm", source, target)
    source, target = {}, {}
    kernel, bias = torch.zeros(6, 3, 3, 3, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
    for name, weight in [("rep.3", rand(6, 3, 3, 3)), ("rep.1", rand(6, 3, 1, 1)), ("rep.0", None)]:
        values, factor = norm(name, 6)
        if weight is None:
            weight = torch.zeros(6, 3, 3, 3)
            for c in range(6):
                weight[c, c % 3, 1, 1] = 1
        else:
            source[f"{name}.weight"] = weight
        part = (weight.double() * factor.view(-1, 1, 1, 1)).float().double()
        kernel += F.pad(part, (1, 1, 1, 1)) if part.shape[-1] == 1 else part
        bias += (values["beta"] - values["mean"] * factor).float().double()
    save("repvgg", source, {"rep.weight": kernel.float(), "rep.bias": bias.float()})


def interpolate():
    pos = rand(1, 1 + 16, 5)
    grid = pos[:, 1:].reshape(1, 4, 4, 5).permute(0, 3, 1, 2).double()
    big = F.interpolate(grid, size=(6, 6), mode="bicubic", align_corners=False)
    table = rand(9, 4)
    swin = F.interpolate(table.double().T.reshape(1, 4, 3, 3), size=(7, 7), mode="bicubic", align_corners=False)
    source = {"pos_embed": pos, "table": table, "plane": rand(2, 3, 7, 9), "line": rand(2, 3, 10)}
    target = {
        "pos_embed": torch.cat([pos[:, :1], big.permute(0, 2, 3, 1).reshape(1, 36, 5).float()], 1),
        "table": swin.reshape(4, 49).T.float(),
    }
    plane, line = source["plane"].double(), source["line"].double()
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        for size in ((14, 5), (3, 20)):
            name = f"{mode.replace('-', '_')}_{size[0]}_{size[1]}"
            target[name] = F.interpolate(plane, size=size, mode=mode).float()
            if mode.startswith("bi"):
                target[f"{name}_corners"] = F.interpolate(plane, size=size, mode=mode, align_corners=True).float()
                target[f"{name}_smooth"] = F.interpolate(plane, size=size, mode=mode, antialias=True).float()
    target["line_4"] = F.interpolate(line, size=4, mode="linear").float()
    target["line_23"] = F.interpolate(line, size=23, mode="linear", align_corners=True).float()
    save("interpolate", source, target)


def values():
    a, b, row = rand(5, 7), rand(5, 7), rand(1, 7)
    embed = rand(5, 6)
    A, B = a.double(), b.double()
    batch = rand(2, 3, 4), rand(2, 4, 5)
    conv = rand(4, 3, 3, 3)
    var, mean = torch.var_mean(conv.double(), dim=(1, 2, 3), keepdim=True, unbiased=False)
    source = {"a": a, "b": b, "row": row, "embed": embed, "m": batch[0], "n": batch[1], "conv": conv,
              "A_log": torch.rand(8, 2) * 3}
    target = {
        "sum": (A + B + row.double()).float(), "difference": (A - B).float(), "product": (A * row.double()).float(),
        "mean": ((A + B) / 2).float(), "rows": (A - A.mean(0, keepdim=True).float().double()).float(),
        "matmul": (batch[0].double() @ batch[1].double()).float(), "outer": (a.double() @ b.double().T).float(),
        "l2": (A / A.norm(dim=1, keepdim=True).clamp_min(1e-12)).float(),
        "l2_columns": (A / A.norm(dim=0, keepdim=True).clamp_min(1e-12)).float(),
        "standard": ((conv.double() - mean) / torch.sqrt(var + 1e-6)).float(),
        "log": torch.log(torch.exp(source["A_log"].double()).float().double()).float(),
        "padded_mean": torch.cat([embed, embed.double().mean(0, keepdim=True).float().repeat(3, 1)]),
    }
    save("values", source, target)
    gemma = rand(9)
    save("hard_cases", {"A_log": source["A_log"], "gemma": gemma, "embed": embed}, {
        "A": (-torch.exp(source["A_log"].double())).float(),
        "gemma": (gemma.double() + 1).float(),
        "padded_last": torch.cat([embed, embed[-1:].repeat(3, 1)]),
    })


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for case in (fp8, integers, lora, weight_norm, batch_norm, interpolate, values):
        case()
