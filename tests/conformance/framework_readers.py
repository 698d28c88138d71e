"""Real frameworks and libraries as readers of checkpoints: each gives {name: (shape, sha256 of the little-endian bytes)}, with
None for what is in the file and no tensor for ckmap and the error for one that alone is refused, or raises what the framework raises.

Needs mindspore, safetensors and torch; and for their formats h5py, onnx and gguf, each only once a file of it is read.
"""
import glob
import hashlib
import json
import logging
import os
import tempfile

import numpy as np
import safetensors.torch
import torch

import mindspore as ms
from mindspore.train import checkpoint_pb2, mind_ir_pb2

ms.set_context(mode=ms.PYNATIVE_MODE)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def torch_bytes(tensor):
    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    tensor = tensor.as_strided((tensor.numel(),), (1,))  # contiguous() leaves odd strides where sizes are 1
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def flatten(value, name, found):
    if isinstance(value, torch.Tensor) and value.is_quantized:  # read as its parts
        parts = {"int_repr": value.int_repr()}
        if value.qscheme() == torch.per_tensor_affine:
            parts |= {"scale": torch.tensor(value.q_scale(), dtype=torch.float64), "zero_point": torch.tensor(value.q_zero_point())}
        else:
            parts |= {"scales": value.q_per_channel_scales(), "zero_points": value.q_per_channel_zero_points()}
        for part, tensor in parts.items():
            flatten(tensor, f"{name}.{part}", found)
    elif isinstance(value, torch.Tensor) and (value.is_meta or value.is_nested or value.layout != torch.strided):
        found[name] = None  # no bytes of its own, or none that are a tensor's
    elif isinstance(value, np.ndarray):
        found[name] = of_array(value)
    elif isinstance(value, torch.Tensor):
        found[name] = (list(value.shape), digest(torch_bytes(value)))
    elif isinstance(value, dict):
        for key, inner in value.items():
            flatten(inner, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            flatten(inner, f"{name}.{i}" if name else str(i), found)


def by_safetensors(path, key):
    return {n: (list(t.shape), digest(torch_bytes(t))) for n, t in safetensors.torch.load_file(path).items()}


def by_mindspore(path, key, **options):
    if key:
        options |= {"dec_key": bytes.fromhex(key[0]), "dec_mode": key[1]}
    loaded = ms.load_checkpoint(path, **{"crc_check": True} | options)
    return {n: (list(p.shape), digest(p.asnumpy().tobytes())) for n, p in loaded.items() if isinstance(p, ms.Parameter)}


def by_mindspore_without_random_ops(path, key):
    return by_mindspore(path, key, choice_func=lambda name: name != "random_op")


def by_mindspore_messages(path, key):
    """What the messages of the file hold, of which load_checkpoint takes only some dtypes and names."""
    messages = checkpoint_pb2.Checkpoint()
    with open(path, "rb") as file:
        messages.ParseFromString(file.read())
    found = {}
    for entry in messages.value:
        if entry.HasField("tensor"):  # slices of one name follow each other
            dims, content = found.get(entry.tag, (None, b""))
            found[entry.tag] = (list(entry.tensor.dims), content + entry.tensor.tensor_content)
    return {name: ([] if dims == [0] else dims, digest(content)) for name, (dims, content) in found.items()}


def by_torch(path, key, weights_only=True):
    found = {}
    flatten(torch.load(path, weights_only=weights_only, map_location="cpu"), "", found)
    return found


def by_torch_trusting(path, key):
    return by_torch(path, key, weights_only=False)


def by_torch_jit(path, key):
    found = {}
    flatten(dict(torch.jit.load(path, map_location="cpu").state_dict()), "", found)
    return found


def of_array(array):
    """None for what is no array of numbers: text, records, dates, objects, long doubles."""
    array = np.asarray(array)
    plain = array.dtype.kind in "biufc" and array.dtype.itemsize <= 16 and array.dtype not in (np.longdouble, np.clongdouble)
    if not plain and array.dtype.name not in ("bfloat16", "int4", "uint4") and not array.dtype.name.startswith("float"):
        return None
    little = array.astype(array.dtype.newbyteorder("<")) if plain else array
    return list(array.shape), digest(np.ascontiguousarray(little).tobytes())


def by_numpy(path, key):
    loaded = np.load(path)
    if isinstance(loaded, np.ndarray):
        return {os.path.splitext(os.path.basename(path))[0]: of_array(loaded)}
    found = {}
    for name in loaded.files:
        try:
            found[name] = of_array(loaded[name])
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            found[name] = None
    return found


def by_h5py(path, key):
    import h5py
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            try:
                found[name] = of_array(item[()]) if item.dtype.kind in "biufc" else None
            except Exception as error:
                found[name] = error

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def by_onnx(path, key):
    import onnx
    found = {}
    for tensor in onnx.load(path).graph.initializer:
        if tensor.data_type in (onnx.TensorProto.STRING, onnx.TensorProto.UNDEFINED):
            found[tensor.name] = None
        else:
            found[tensor.name] = of_array(onnx.numpy_helper.to_array(tensor))
    return found


def by_gguf(path, key):
    import gguf
    plain = {"F16", "F32", "F64", "I8", "I16", "I32", "I64"}
    found = {}
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.tensor_type.name == "BF16":  # its data are bytes
            found[tensor.name] = [int(size) for size in reversed(tensor.shape)], digest(tensor.data.tobytes())
        elif tensor.tensor_type.name in plain:
            found[tensor.name] = of_array(tensor.data)
        else:
            try:
                found[tensor.name] = of_array(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
            except NotImplementedError:
                found[tensor.name] = None
    return found


def by_mindir_messages(path, key):
    model = mind_ir_pb2.ModelProto()
    with open(path, "rb") as file:
        model.ParseFromString(file.read())
    return {tensor.ref_key or tensor.name[tensor.name.find(":") + 1:]: (list(tensor.dims), digest(tensor.raw_data)) for tensor in model.graph.parameter}


def by_shard_index(folder, load):
    """As transformers and MindSpore load shards: all tensors of all files that the index names."""
    found = {}
    for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json", "param_name_map.json"):
        if os.path.exists(os.path.join(folder, name)):
            with open(os.path.join(folder, name)) as file:
                weight_map = json.load(file)["weight_map"]
            for shard in sorted(set(weight_map.values())):
                found |= load(os.path.join(folder, shard), None)
            if set(weight_map) - set(found):
                raise KeyError("tensors of the index that are in no shard")
            for other in glob.glob(os.path.join(folder, "hyper_param.safetensors")):  # MindSpore's, in no index
                found |= load(other, None)
            return found
    raise FileNotFoundError("no index of shards")


def by_safetensors_index(folder, key):
    return by_shard_index(folder, by_safetensors)


def by_torch_index(folder, key):
    return by_shard_index(folder, by_torch)


def by_torch_distributed(folder, key):
    logging.getLogger("torch.distributed.checkpoint").setLevel(logging.CRITICAL)  # it tells every error twice
    from torch.distributed.checkpoint import FileSystemReader
    from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
    from torch.distributed.checkpoint.state_dict_loader import _load_state_dict
    loaded, found = {}, {}
    _load_state_dict(loaded, storage_reader=FileSystemReader(folder), planner=_EmptyStateDictLoadPlanner(), no_dist=True)
    flatten(loaded, "", found)
    return found


def by_mindspore_ranks(folder, key):
    """The ranks' slices put together by MindSpore."""
    kind = "safetensors" if glob.glob(os.path.join(folder, "rank_0", "*.safetensors")) else "ckpt"
    with tempfile.TemporaryDirectory() as out:
        (strategy,) = glob.glob(os.path.join(folder, "strategy.*"))
        ms.transform_checkpoints(folder, out, "net", strategy, None, output_format=kind)
        (merged,) = glob.glob(os.path.join(out, "rank_0", "*"))
        return by_mindspore(merged, None, format=kind)


# The first that reads the file undamaged is asked about the damaged ones too. Trusting a pickle is no risk greater than the
# fixtures are: they differ from files of our own in one bit.
READERS = {
    ".safetensors": [by_safetensors],
    ".ckpt": [by_mindspore, by_mindspore_without_random_ops, by_mindspore_messages],
    ".mindir": [by_mindir_messages],
    ".npy": [by_numpy],
    ".npz": [by_numpy],
    ".h5": [by_h5py],
    ".onnx": [by_onnx],
    ".gguf": [by_gguf],
    ".pt": [by_torch, by_torch_trusting, by_torch_jit],
}


READERS_OF_FOLDERS = [by_safetensors_index, by_torch_index, by_mindspore_ranks, by_torch_distributed]


def reader_of(path, key):
    for reader in READERS_OF_FOLDERS if os.path.isdir(path) else READERS[os.path.splitext(path)[1]]:
        try:
            reader(path, key)
            return reader
        except BaseException:  # MindSpore raises all kinds
            continue
    return None
