"""Writes the fixtures of the packs that quantise: data/written.safetensors, and what the libraries make of it,
data/written_NAME.oracle.safetensors.

    python tests/quant/make_written.py     needs torch, safetensors, compressed-tensors 0.20, torchao 0.18, bitsandbytes 0.50

fp8_blocks follows DeepGEMM's per_block_cast_to_fp8, which is published as source only.
"""

import pathlib

import torch
from safetensors.torch import save_file

DATA = pathlib.Path(__file__).resolve().parent / "data"


def weights():
    """Weights with what rounding and scales stumble over: rows and groups of zeros, one outlier, numbers that differ by a last
    bit, ties, the smallest numbers, blocks that are cut off."""
    torch.manual_seed(11)
    f32 = torch.randn(150, 320)
    f32[3] = 0
    f32[4, 64:128] = 0
    f32[5, 7] = 1000
    f32[6] = torch.arange(320) / 2 - 80
    f32[7] = 127 * torch.sign(f32[7])
    f32[8] *= 1e-30
    f32[9] = 0
    f32[9, 3] = 2.0**-149
    f32[10, ::2] = torch.nextafter(f32[10, 1::2], torch.tensor(9.0))
    f32[11] = -f32[11].abs()
    bf16, f16 = torch.randn(140, 256).to(torch.bfloat16), (torch.randn(70, 128) * 3).to(torch.float16)
    bf16[2] = 0
    bf16[3] = torch.arange(256) / 4 - 32
    bf16[4] *= 1e-20
    bf16[:, 128:] *= 30
    f16[1] = 0
    f16[2] *= 1e-6
    f16[3, ::3] = -0.0
    return {"layers.0.proj": f32, "layers.1.proj": bf16, "layers.2.proj": f16}


def compressed(weight, kind, **strategy):
    """What compressed-tensors' own functions give: the scale, then the quantised weight."""
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    args = QuantizationArgs(type=kind, symmetric=True, **strategy)
    if args.strategy == "tensor":
        low, high = weight.amin(), weight.amax()
    elif args.strategy == "channel":
        low, high = weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)
    else:
        groups = weight.unflatten(1, (-1, args.group_size))
        low, high = groups.amin(2), groups.amax(2)
    scale, _ = calculate_qparams(low, high, args)
    dtype = torch.float8_e4m3fn if kind == "float" else torch.int8
    return quantize(weight, scale, None, args, dtype=dtype), scale


def int8(name, weight):
    codes, scale = compressed(weight, "int", num_bits=8, strategy="channel")
    return {f"{name}.weight": codes, f"{name}.weight_scale": scale}


def fp8_channel(name, weight):
    codes, scale = compressed(weight, "float", num_bits=8, strategy="channel")
    return {f"{name}.weight": codes, f"{name}.weight_scale": scale}


def fp8_tensor(name, weight):
    codes, scale = compressed(weight, "float", num_bits=8, strategy="tensor")
    return {f"{name}.weight": codes, f"{name}.weight_scale": scale}


def pack_quantized(name, weight, bits):
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    codes, scale = compressed(weight, "int", num_bits=bits, strategy="group", group_size=64)
    return {f"{name}.weight_packed": pack_to_int32(codes, bits), f"{name}.weight_scale": scale,
            f"{name}.weight_shape": torch.tensor(weight.shape)}


def fp8_blocks(name, weight, size=128):
    rows, columns = (-(-n // size) * size for n in weight.shape)
    padded = torch.zeros(rows, columns, dtype=weight.dtype)
    padded[: weight.shape[0], : weight.shape[1]] = weight
    view = padded.view(-1, size, columns // size, size)
    scale = view.abs().float().amax(dim=(1, 3), keepdim=True).clamp(1e-4) / 448.0
    codes = (view * (1.0 / scale)).to(torch.float8_e4m3fn).view_as(padded)[: weight.shape[0], : weight.shape[1]]
    return {f"{name}.weight": codes, f"{name}.weight_scale_inv": scale.view(rows // size, columns // size)}


def bnb8(name, weight):
    from bitsandbytes.backends.default import ops

    codes, scale = ops.torch.ops.bitsandbytes.int8_vectorwise_quant.default(weight.to(torch.float16))[:2]
    return {f"{name}.weight": codes, f"{name}.SCB": scale, f"{name}.weight_format": torch.tensor(0, dtype=torch.uint8)}


def torchao_int8(name, weight):
    from torchao.quantization import Int8Tensor, PerRow

    made = Int8Tensor.from_hp(weight, PerRow())
    return {f"{name}._weight_qdata": made.qdata, f"{name}._weight_scale": made.scale,
            f"{name}._weight_zero_point": torch.zeros_like(made.scale, dtype=torch.int8)}


def torchao_fp8(name, weight):
    from torchao.quantization import Float8Tensor, PerRow
    from torchao.quantization.quantize_.common import KernelPreference

    made = Float8Tensor.from_hp(weight, granularity=PerRow(), kernel_preference=KernelPreference.TORCH)
    # Where its scale is 0 torchao divides by it, and a row of zeros becomes NaN.
    scale = torch.where(made.scale == 0, torch.finfo(weight.dtype).eps, made.scale)
    codes = torch.where(made.scale == 0, weight.float() / scale, made.qdata.float()).to(torch.float8_e4m3fn)
    return {f"{name}._weight_qdata": codes, f"{name}._weight_scale": scale}


def main():
    source = weights()
    save_file({f"{name}.weight": weight for name, weight in source.items()}, DATA / "written.safetensors")
    layouts = {"int8": int8, "fp8_channel": fp8_channel, "fp8_tensor": fp8_tensor, "fp8_blocks": fp8_blocks,
               "bnb8": bnb8, "torchao_int8": torchao_int8, "torchao_fp8": torchao_fp8}
    for bits in (3, 4, 8):
        layouts[f"int{bits}_groups"] = lambda name, weight, bits=bits: pack_quantized(name, weight, bits)
    for layout, write in layouts.items():
        made = {}
        for name, weight in source.items():
            made.update(write(name, weight))
        save_file({name: tensor.contiguous() for name, tensor in made.items()}, DATA / f"written_{layout}.oracle.safetensors")


if __name__ == "__main__":
    main()
