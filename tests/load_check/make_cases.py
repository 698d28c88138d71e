#!/usr/bin/env python3
"""Asks MindSpore what load_checkpoint and load_param_into_net make of files, networks and options, and writes it down.

    python make_cases.py cases.json      needs mindspore 2.10 and numpy 1.26

cases.json: {"files": {name: hex}, "networks": {name: [[parameter, dtype, shape], …]}, "cases": [{"title", "file",
"network", "options", "loads", "loose", "strict"}]}. `loads`: whether load_checkpoint returns a dict. `loose` and
`strict`: what load_param_into_net returns with strict_load=False and True, [param_not_load, ckpt_not_load], or "raises".
"""
import fnmatch, itertools, json, os, struct, sys, tempfile

os.environ["GLOG_v"] = "4"
import numpy as np
import mindspore as ms
from mindspore import nn, Parameter, Tensor
from mindspore.train.checkpoint_pb2 import Checkpoint

CKPT = {"f16": "Float16", "f32": "Float32", "f64": "Float64", "bf16": "BFloat16", "i8": "Int8", "i16": "Int16", "i32": "Int32",
        "i64": "Int64", "u8": "UInt8", "u16": "UInt16", "u32": "UInt32", "u64": "UInt64", "bool": "Bool",
        "c64": "Complex64", "c128": "Complex128", "f8_e4m3": "Float8E4M3FN", "f8_e5m2": "Float8E5M2"}
SAFE = {"f16": "F16", "f32": "F32", "f64": "F64", "bf16": "BF16", "i8": "I8", "i16": "I16", "i32": "I32", "i64": "I64", "u8": "U8",
        "u16": "U16", "u32": "U32", "u64": "U64", "bool": "BOOL", "c64": "C64", "f8_e4m3": "F8_E4M3", "f8_e5m2": "F8_E5M2"}
SIZE = {"f16": 2, "f32": 4, "f64": 8, "bf16": 2, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "u8": 1, "u16": 2, "u32": 4, "u64": 8, "bool": 1,
        "c64": 8, "c128": 16, "f8_e4m3": 1, "f8_e5m2": 1}
MS = {"f16": ms.float16, "f32": ms.float32, "f64": ms.float64, "bf16": ms.bfloat16, "i8": ms.int8, "i16": ms.int16, "i32": ms.int32,
      "i64": ms.int64, "u8": ms.uint8, "u16": ms.uint16, "u32": ms.uint32, "u64": ms.uint64, "bool": ms.bool_, "c64": ms.complex64,
      "c128": ms.complex128}


def count(shape):
    return int(np.prod(shape)) if shape else 1


def ckpt(entries):
    """entries: (name, dtype, shape), (name, "text", value) or (name, "random_op", bytes)"""
    out = Checkpoint()
    for name, dtype, value in entries:
        entry = out.value.add()
        entry.tag = name
        if dtype == "text":
            entry.tensor.dims.append(0)
            entry.tensor.tensor_type = "str"
            entry.tensor.tensor_content = value.encode("utf-32-le")
        elif dtype == "random_op":
            entry.tensor.tensor_type = "random_op"
            entry.tensor.tensor_content = value
        else:
            entry.tensor.dims.extend(value)
            entry.tensor.tensor_type = CKPT[dtype]
            entry.tensor.tensor_content = bytes(count(value) * SIZE[dtype])
    return out.SerializeToString()


def safe(entries, metadata=None, order=None):
    """`order`: of the header's entries, where it is not that of the data"""
    header, end = {}, 0
    for name, dtype, shape in entries:
        size = count(shape) * SIZE[dtype]
        header[name] = {"dtype": SAFE[dtype], "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    if order is not None:
        header = {name: header[name] for name in order}
    if metadata is not None:
        header = {"__metadata__": metadata, **header}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(end)


class Net(nn.Cell):
    def __init__(self, parameters):
        super().__init__(auto_prefix=False)
        for i, (name, dtype, shape) in enumerate(parameters):
            data = Tensor(np.zeros(shape, np.float32)).astype(MS[dtype]) if dtype not in ("f32",) else Tensor(np.zeros(shape, np.float32))
            self._params[f"p{i}"] = Parameter(data, name=name)


files, networks, cases = {}, {}, []


def add(title, name, content, network, **options):
    if isinstance(content, bytes):
        files.setdefault(name, content)
        assert files[name] == content, name
    key = json.dumps(network)
    networks.setdefault(key, network)
    cases.append({"title": title, "file": name, "network": key, "options": options})


f = lambda *pairs: [(name, "f32", shape) for name, shape in pairs]

# dtypes, both formats, against one another
DTYPES = ["f16", "f32", "f64", "bf16", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool"]
for have, want in itertools.product(DTYPES, DTYPES):
    if (DTYPES.index(have) * 5 + DTYPES.index(want) * 3) % 3 and have not in ("f32", "i32"):
        continue  # a part of the matrix is enough
    add(f"{have} into {want}", f"dtype_{have}.ckpt", ckpt([("w", have, [2, 3])]), [("w", want, [2, 3])])
for have in ["c64", "c128", "f8_e4m3", "f8_e5m2"]:
    add(f"{have} in a ckpt", f"dtype_{have}.ckpt", ckpt([("w", "f32", [2]), ("z", have, [2])]), f(("w", [2])))
for have in ["c64", "f8_e4m3", "f8_e5m2", "u16", "u64", "bf16"]:
    add(f"{have} in safetensors", f"dtype_{have}.safetensors", safe([("w", "f32", [2]), ("z", have, [2])]), f(("w", [2])))
add("a type that cannot be loaded, left out by a prefix", "dtype_c64.ckpt", None, f(("w", [2])), filter_prefix=["z"])
add("a type that cannot be loaded, left out by choice_func", "dtype_c64.ckpt", None, f(("w", [2])), only=["w"])
add("a type that cannot be loaded, left out by choice_func, safetensors", "dtype_c64.safetensors", None, f(("w", [2])), only=["w"])
add("complex wanted, f32 found", "dtype_f32.ckpt", None, [("w", "c64", [2, 3])])

# shapes
SHAPES = [[], [1], [2], [2, 1], [2, 1, 1], [1, 2], [2, 3], [3, 2], [6], [6, 1], [3, 2, 1], [2, 3, 1, 1], [1, 1]]
for have, want in itertools.product(SHAPES, SHAPES):
    if (SHAPES.index(have) + 2 * SHAPES.index(want)) % 4 and have != [3, 2, 1]:
        continue
    title = f"{have} into {want}"
    name = "shape_" + "x".join(map(str, have)) + ".ckpt"
    add(title, name, ckpt([("w", "f32", have)]), f(("w", want)))
add("surplus axes and another dtype", "shape_2x1.ckpt", ckpt([("w", "f32", [2, 1])]), [("w", "f16", [2])])
add("surplus axes and a dtype of another kind", "shape_2x1.ckpt", None, [("w", "i32", [2])])
add("surplus axes, counts differ", "shape_3x2x1.ckpt", None, f(("w", [5, 2])))

# ends of names
ENDS = {
    "plain": f(("a.w", [2]), ("b.w", [2])), "module": f(("module.a.w", [2]), ("module.b.w", [2])),
    "state": f(("moments.a.w", [2]), ("b.w", [2])), "fc": f(("fc.w", [2]), ("d.w", [2])),
    "two": f(("x.a.w", [2]), ("y.b.w", [2])), "nested": f(("m.n.a.w", [2]), ("n.b.w", [2]), ("b.w", [2])),
    "shapes": f(("m.a.w", [3]), ("m.b.w", [2])), "used": f(("a.w", [2])), "order": f(("z.a.w", [2]), ("y.a.w", [2]), ("y.b.w", [2])),
    "order2": f(("y.b.w", [2]), ("y.a.w", [2]), ("z.a.w", [2])), "self": f(("a.wa.w", [2]), ("x.b.w", [2])),
    "self2": f(("a.wa.w", [2]), ("a.wb.w", [2])), "state2": f(("adam_m.a.w", [2]), ("adam_v.a.w", [2]), ("adam_m.b.w", [2])),
    "empty_end": f(("a.w.b.w", [2]),), "deep": f(("o.m.a.w", [2]), ("m.a.w", [2])),
}
WANTED = [f(("a.w", [2]), ("b.w", [2])), f(("b.w", [2]), ("a.w", [2])), f(("w", [2]), ("a.w", [2])), f(("c.w", [2]), ("a.w", [2])),
          f(("a.w", [2]), ("c.w", [2]), ("b.w", [2])), f(("accu_grads.a.w", [2]), ("a.w", [2]))]
for (name, entries), (k, wanted) in itertools.product(ENDS.items(), enumerate(WANTED)):
    suffix = "safetensors" if k % 2 else "ckpt"
    content = safe(entries) if k % 2 else ckpt(entries)
    add(f"ends of names: {name}, network {k}", f"ends_{name}.{suffix}", content, wanted)
add("accu_grads in the file and in the network", "accu.ckpt", ckpt(f(("accu_grads.w", [2]), ("w", [2]))), f(("accu_grads.w", [2]), ("w", [2])))
add("accu_grads of another shape", "accu.ckpt", None, f(("accu_grads.w", [3]), ("w", [2])))
add("accu_grads in the network alone", "shape_2.ckpt", ckpt(f(("w", [2]))), f(("accu_grads.w", [2]), ("w", [2])))
add("accu_grads_all is one, too", "shape_2.ckpt", None, f(("accu_gradsx", [2]), ("w", [2])))
add("a file of other names alone", "other.ckpt", ckpt(f(("u", [2]), ("v", [2]))), f(("x", [2]), ("y", [2])))
add("an empty prefix of one letter", "other.ckpt", None, f(("x", [2]),))

# texts
texts = [("w", "f32", [2]), ("note", "text", "hello"), ("m.v", "text", "x")]
add("texts beside parameters", "texts.ckpt", ckpt(texts), f(("w", [2])))
add("a text under a parameter's name", "texts.ckpt", None, f(("w", [2]), ("note", [2])))
add("a text at the end of a name", "texts.ckpt", None, f(("w", [2]), ("v", [2])))
add("a text under a scalar's name", "texts.ckpt", None, f(("w", [2]), ("note", [])))
add("a text, and a missing parameter", "texts.ckpt", None, f(("w", [2]), ("other", [2])))
add("only a text", "text_alone.ckpt", ckpt([("note", "text", "a")]), f(("w", [2])))
add("a text first, then a tensor with that end", "text_first.ckpt", ckpt([("t.v", "text", "x"), ("m.v", "f32", [2])]), f(("v", [2])))
add("a tensor first, then a text with that end", "text_last.ckpt", ckpt([("m.v", "f32", [2]), ("t.v", "text", "x")]), f(("v", [2])))

# random_op
random = [("w", "f32", [2]), ("random_op", "random_op", b"1234")]
add("random_op", "random_op.ckpt", ckpt(random), f(("w", [2])))
add("random_op, left out by a prefix", "random_op.ckpt", None, f(("w", [2])), filter_prefix=["random"])
add("random_op, left out by what is wanted", "random_op.ckpt", None, f(("w", [2])), specify_prefix=["w"])
add("random_op, left out by choice_func", "random_op.ckpt", None, f(("w", [2])), only=["w"])
add("random_op, kept by choice_func", "random_op.ckpt", None, f(("w", [2])), drop=["w"])

# choices of names
three = f(("a.w", [2]), ("a.b", [2]), ("c.w", [2]))
for suffix, content in [("ckpt", ckpt(three)), ("safetensors", safe(three))]:
    name = f"choice.{suffix}"
    for options in [dict(specify_prefix=["a"]), dict(filter_prefix=["a"]), dict(specify_prefix=["a"], filter_prefix=["a.b"]),
                    dict(specify_prefix=["c", "a.w"]), dict(filter_prefix=["c", "a.w"]), dict(only=["a.w"]), dict(drop=["a.w"]),
                    dict(only=["a.w"], specify_prefix=["c"]), dict(drop=["a.w"], filter_prefix=["c"]),
                    dict(only=["c.w"], filter_prefix=["x"]), dict(specify_prefix=["x"]), dict(filter_prefix=["a", "c"]),
                    dict(only=["nothing"]), dict(specify_prefix=["a"], filter_prefix=["a"])]:
        add(f"{suffix}: {options}", name, content, f(("a.w", [2]), ("c.w", [2])), **options)

# names of files
for name, content in [("right.ckpt", ckpt(three)), ("right.safetensors", safe(three)), ("ckpt_named.safetensors", ckpt(three)),
                      ("safetensors_named.ckpt", safe(three)), ("ckpt_named.pt", ckpt(three)), ("safetensors_named.bin", safe(three)),
                      ("no_ending_ckpt", ckpt(three)), ("no_ending_safetensors", safe(three)), ("upper.CKPT", ckpt(three)),
                      ("twice.safetensors.ckpt", ckpt(three)), ("twice.ckpt.safetensors", safe(three))]:
    add(f"the file is called {name}", name, content, f(("a.w", [2])))

# the layout of safetensors
add("a header in the order of the data", "layout_in_order.safetensors", safe(f(("b", [2]), ("a", [2]))), f(("a", [2]), ("b", [2])))
add("a header in another order", "layout_other_order.safetensors", safe(f(("b", [2]), ("a", [2])), order=["a", "b"]), f(("a", [2]), ("b", [2])))
add("a tensor called as an entry of the metadata", "layout_metadata.safetensors", safe(f(("format", [2]), ("a", [2])), {"format": "ms"}), f(("a", [2])))
add("the same, left out by choice_func", "layout_metadata.safetensors", None, f(("a", [2])), only=["a"])
add("metadata alone", "layout_metadata_alone.safetensors", safe(f(("a", [2])), {"format": "pt"}), f(("a", [2])))
add("Int4 by the metadata", "layout_int4.safetensors", safe([("q", "i8", [4])], {"q": "Int4"}), [("q", "i8", [4])])
add("an empty safetensors file", "layout_empty.safetensors", safe([]), f(("a", [2])))
add("an empty ckpt file", "layout_empty.ckpt", ckpt([]), f(("a", [2])))
add("redundancy taken away", "layout_redundancy.safetensors", safe(f(("a", [2])), {"remove_redundancy": "True"}), f(("a", [2])))

# names
add("a name of 1024 letters", "name_1024.ckpt", ckpt(f(("n" * 1024, [2]))), f(("n" * 1024, [2])))
add("a name of 1025 letters", "name_1025.ckpt", ckpt(f(("n" * 1025, [2]), ("w", [2]))), f(("w", [2])))
add("a name of 1025 letters, safetensors", "name_1025.safetensors", safe(f(("n" * 1025, [2]), ("w", [2]))), f(("w", [2])))
add("an ending __param_key__", "param_key.ckpt", ckpt(f(("w.__param_key__7", [2]))), f(("w", [2])))


def ask(case, folder):
    path = os.path.join(folder, case["file"])
    with open(path, "wb") as out:
        out.write(files[case["file"]])
    options = dict(case["options"])
    only, drop = options.pop("only", []), options.pop("drop", [])
    choice = None
    if only or drop:
        choice = lambda name: (not only or any(fnmatch.fnmatchcase(name, g) for g in only)) and not any(fnmatch.fnmatchcase(name, g) for g in drop)
    # As people call it: the format by the ending, else by what the file holds.
    kind = "safetensors" if files[case["file"]][8:9] == b"{" else "ckpt"
    if case["file"].endswith((".ckpt", ".safetensors")):
        kind = case["file"].rsplit(".", 1)[1]
    try:
        found = ms.load_checkpoint(path, format=kind, choice_func=choice, **options)
    except BaseException:
        return {"loads": False}
    result = {"loads": True}
    for key, strict in [("loose", False), ("strict", True)]:
        try:
            missing, unused = ms.load_param_into_net(Net(networks[case["network"]]), found, strict_load=strict)
            result[key] = [missing, unused]
        except BaseException:
            result[key] = "raises"
    return result


with tempfile.TemporaryDirectory() as folder:
    for case in cases:
        case.update(ask(case, folder))
names = {key: f"network{i}" for i, key in enumerate(networks)}
with open(sys.argv[1], "w") as out:
    out.write('{\n "files": {\n')
    out.write(",\n".join(f"  {json.dumps(name)}: {json.dumps(content.hex())}" for name, content in sorted(files.items())))
    out.write('\n },\n "networks": {\n')
    out.write(",\n".join(f"  {json.dumps(names[key])}: {json.dumps(network)}" for key, network in networks.items()))
    out.write('\n },\n "cases": [\n')
    out.write(",\n".join("  " + json.dumps({**case, "network": names[case["network"]]}) for case in cases))
    out.write("\n ]\n}\n")
print(len(cases), "cases", sum(not c["loads"] for c in cases), "files refused",
      sum(c.get("loose") == "raises" for c in cases), "raise")
