#!/usr/bin/env python3
"""Writes tests/data/torch_objects: torch files that hold tensors beside objects of all kinds.

    make_objects.py OUT        (Python with torch 2.13 and numpy)

The classes are made up; what matters is how Python pickles them. Emulated: the functions of torch_npu and torch_xla, which write
what those libraries write. `state_dict.weight` or `w` is in every file, whatever stands beside it.
"""
import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import os
import pathlib
import sys
import types
import uuid

import numpy as np
import torch

out = sys.argv[1]
os.makedirs(out, exist_ok=True)


def module(name):
    made = types.ModuleType(name)
    sys.modules[name] = made
    return made


module("lib")
lib = module("lib.util")


def register(cls, name="lib.util"):
    cls.__module__ = name
    cls.__qualname__ = cls.__name__
    setattr(sys.modules[name], cls.__name__, cls)
    return cls


def save(name, value, **options):
    torch.save(value, os.path.join(out, name), **options)


weights = {"weight": torch.ones(2, 3)}


# ---- what stands beside a state dict


@register
class AttrDict(dict):
    pass


@register
class EasyDict(dict):  # its items are its attributes too
    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.__dict__.update(self)


@register
class ListSub(list):
    pass


@register
class SetSub(set):
    pass


@register
class OrderedSub(collections.OrderedDict):
    pass


@register
class DequeSub(collections.deque):
    pass


@register
class TupleSub(tuple):
    pass


@register
class TextSub(str):
    pass


@register
class IntSub(int):
    pass


@register
class Slots:
    __slots__ = ("a", "b")

    def __init__(self):
        self.a, self.b = torch.ones(1), 2


@register
class Cycle:
    def __init__(self):
        self.me, self.t = self, torch.ones(1)


@register
class WithState:
    def __setstate__(self, state):
        pass

    def __getstate__(self):
        return (1, [2, {"t": torch.ones(1)}])


@register
class Keywords:  # NEWOBJ_EX, or functools.partial called in the protocols that have none
    def __new__(cls, *, t=None):
        return object.__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"t": torch.ones(1)}


@register
class Color(enum.Enum):
    RED = "red"


@register
class Bits(enum.IntFlag):
    A = 1


@register
@dataclasses.dataclass
class Data:
    x: int
    t: torch.Tensor


@register
class Callback:
    def __init__(self, trainer):
        self.trainer = trainer


@register
class Trainer:
    def __init__(self):
        self.callbacks = [Callback(self), Callback(self)]
        self.best = torch.ones(1)


Pair = register(collections.namedtuple("Pair", "a b"))
register(type("NodeConfig", (), {}))


def omega():  # omegaconf: every node knows its parent
    root, child = lib.NodeConfig(), lib.NodeConfig()
    root.__dict__.update(_content={"model": child}, _parent=None)
    child.__dict__.update(_content={"dim": 4}, _parent=root)
    return root


def holding_itself(value):
    value.append(value) if isinstance(value, list) else value.update(me=value)
    return value


linear = torch.nn.Linear(2, 2)
adam = torch.optim.Adam(linear.parameters())
linear(torch.ones(2)).sum().backward()
adam.step()
scalars = {t: np.dtype(t).type(1) for t in "? b B h H i I l L e f d F D".split()}

beside = {
    "attr_dict": AttrDict(a=1, b=AttrDict(t=torch.ones(1))),
    "easy_dict": EasyDict(a=1, t=torch.ones(1)),
    "list_sub": ListSub([1, torch.ones(1)]),
    "list_sub_empty": ListSub(),
    "ordered_sub": OrderedSub(t=torch.ones(1)),
    "set_sub": SetSub({1}),
    "deque": collections.deque([1, torch.ones(1)], 4),
    "deque_sub": DequeSub([torch.ones(1)]),
    "tuple_sub": TupleSub((1, torch.ones(1))),
    "text_sub": TextSub("x"),
    "int_sub": IntSub(3),
    "named_tuple": Pair(1, torch.ones(1)),
    "default_dict": collections.defaultdict(AttrDict, {"t": torch.ones(1)}),
    "default_partial": collections.defaultdict(functools.partial(AttrDict, a=1), {"t": torch.ones(1)}),
    "counter": collections.Counter("aab"),
    "user_dict": collections.UserDict({"t": torch.ones(1)}),
    "chain_map": collections.ChainMap({"t": torch.ones(1)}),
    "slots": Slots(),
    "cycle": Cycle(),
    "self_list": holding_itself([torch.ones(1)]),
    "self_dict": holding_itself({"t": torch.ones(1)}),
    "with_state": WithState(),
    "keywords": Keywords(t=1),
    "enum": {Color.RED: Color.RED, "flag": Bits.A},
    "dataclass": Data(1, torch.ones(1)),
    "trainer": Trainer(),
    "omega": omega(),
    "namespace": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("/x")),
    "partial": functools.partial(torch.nn.functional.relu, torch.ones(1)),
    "function": torch.nn.functional.relu,
    "times": [datetime.datetime(2020, 1, 1), datetime.timedelta(1), datetime.date(2020, 1, 1)],
    "numbers": [decimal.Decimal("1.5"), fractions.Fraction(1, 3), uuid.UUID(int=1), 1 + 2j, 10**40, -(10**30)],
    "paths": pathlib.PurePosixPath("/x"),
    "tuple_keys": {(1, "a"): torch.ones(1), (): 2, frozenset({1}): 3, b"x": 4, 1.5: 5, None: 6},
    "sets": [set(), {1}, frozenset({2}), {torch.ones(1)}],
    "torch_values": [torch.Size([1]), torch.device("cpu"), torch.float32, torch.strided, torch.qint8],
    "builtins": [b"", b"x", bytearray(), bytearray(b"a"), slice(1, 2), range(3), ..., NotImplemented, type(None), int, str, list, object, type(...)],
    "numpy_values": [np.zeros(0, "f4"), np.array([], dtype=bool), np.dtype("f4"), np.array(["ab"]), np.zeros(2, [("a", "f4")]), np.datetime64("2020-01-01"), np.timedelta64(1, "D"), np.str_("a"), np.longdouble(1)],
    "numpy_objects": np.array([1, "a", None, np.ones(2), torch.ones(1)], dtype=object),
    "numpy_matrix": np.matrix("1 2; 3 4"),
    "numpy_masked": np.ma.masked_array([1.0, 2.0], [True, False]),
    "numpy_scalars": scalars,
    "numpy_random": np.random.RandomState(0).get_state(),
    "optimizer": adam,
    "scheduler": torch.optim.lr_scheduler.StepLR(adam, 1),
    "loss": torch.nn.CrossEntropyLoss(),
    "optimizer_state": adam.state_dict(),
}
for name, value in beside.items():
    save(name + ".pt", {"state_dict": weights, "extra": value})
for name in ("keywords", "attr_dict", "builtins", "numpy_values"):  # opcodes of the newer protocols
    save(name + "_protocol4.pt", {"state_dict": weights, "extra": beside[name]}, pickle_protocol=4)

# ---- objects that hold the weights

save("of_attr_dict.pt", {"state_dict": AttrDict(weights)})
save("of_ordered_sub.pt", OrderedSub(weights))
save("of_list_sub.pt", {"model": ListSub([weights])})


@register
class Parent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 2)
        self.again = self.fc  # one module, two names, as in its state dict
        self.fc.__dict__["parent"] = self


save("module.pt", Parent())
# Before torch 1.6: classes of modules come with their source.
sequence = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
save("legacy_module.pt", sequence, _use_new_zipfile_serialization=False)

# ---- classes of tensors

tensors = module("lib.tensors")


class MetaTensor(torch.Tensor):
    pass


class Wrapped(torch.Tensor):  # as torchao's: no storage of its own
    @staticmethod
    def __new__(cls, data, scale):
        return torch.Tensor._make_wrapper_subclass(cls, data.shape, dtype=torch.float32)

    def __init__(self, data, scale):
        self.data_, self.scale = data, scale

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments, keywords=None):
        if function is torch.ops.aten.detach.default:
            return arguments[0]
        raise NotImplementedError(function)

    __torch_function__ = torch._C._disabled_torch_function_impl


class OwnParameter(torch.nn.Parameter):
    pass


for cls in (MetaTensor, Wrapped, OwnParameter):
    register(cls, "lib.tensors")
plain = torch.arange(6.0).reshape(2, 3)
meta = plain.clone().as_subclass(MetaTensor)
with_meta = plain.clone().as_subclass(MetaTensor)
with_meta.meta = {"affine": torch.eye(2)}
own = OwnParameter(plain.clone())
own.tp_dim = 1
save("tensor_subclass.pt", {"w": meta, "p": torch.nn.Parameter(meta), "attributes": with_meta, "own": own})
save("tensor_wrapper.pt", {"w": Wrapped(torch.ones(2, 3, dtype=torch.int8), torch.ones(2))})

# ---- views: one storage, with and without bytes in common

matrix, columns = torch.zeros(4, 6), torch.zeros(3, 4)
tied = torch.zeros(2, 2)
save("views.pt", {
    "apart": [columns[:, 0], columns[:, 1]],
    "left": matrix[:, :3], "right": matrix[:, 3:], "row": matrix[2],
    "embed": tied, "head": tied, "turned": tied.t(),
    "config": {f"k{i}": {"at": i, "flag": True} for i in range(60)},
})

# ---- other devices

for name in ("torch_npu", "torch_npu.utils", "torch_npu.npu"):
    module(name)
storage, layout = module("torch_npu.utils.storage"), module("torch_npu.npu._format")


class Format(enum.IntEnum):
    ND = 2
    NZ = 29


Format.__module__ = "torch_npu.npu._format"
layout.Format = Format


def _rebuild_npu_tensor(storage, storage_offset, size, stride, requires_grad, backward_hooks, npu_storage_info):
    return torch._utils._rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks)


_rebuild_npu_tensor.__module__ = "torch_npu.utils.storage"
storage._rebuild_npu_tensor = _rebuild_npu_tensor


class Reduced:
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def on_npu(info):
    return Reduced(_rebuild_npu_tensor, tuple(torch.Tensor._reduce_ex_internal(plain, 2)[1][:6]) + (info,))


def newer_npu():  # a description in the keys of torch's own metadata
    facts = {"npu_format_/FRACTAL_NZ": True, "base_sizes_/2/3/": True, "origin_format_/ND": True}
    return Reduced(torch._utils._rebuild_tensor_v2, tuple(torch.Tensor._reduce_ex_internal(plain, 2)[1][:6]) + (facts,))


save("npu.pt", {"enum": on_npu(Format.NZ), "number": on_npu(2), "boolean": on_npu(True), "metadata": newer_npu()})


def on_xla(array, dtype, function=torch._utils._rebuild_device_tensor_from_numpy):
    return Reduced(function, (array, dtype, "xla:0", False))


old = torch._utils._rebuild_xla_tensor
old = types.FunctionType(old.__code__, old.__globals__, "_rebuild_xla_tensor")
old.__module__, old.__qualname__ = "torch._utils", "_rebuild_xla_tensor"
torch._utils._rebuild_xla_tensor = old
save("xla.pt", {
    "f32": on_xla(plain.numpy(), torch.float32),
    "old": on_xla(plain.numpy(), torch.float32, old),
    "bf16": on_xla(plain.numpy(), torch.bfloat16),
    "bf16_transposed": on_xla(plain.numpy().T, torch.bfloat16),
    "rounded": on_xla(np.array([0.1], "f4"), torch.bfloat16),
    "hpu": Reduced(torch._utils._rebuild_device_tensor_from_cpu_tensor, (plain, torch.float32, "hpu:0", False)),
})


class Scripted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(plain.clone())
        self.sizes, self.names, self.table = [1, 2], ["a"], {"a": torch.ones(1)}

    def forward(self, x):
        return x + self.sizes[0] + len(self.names) + len(self.table)


torch.jit.script(Scripted()).save(os.path.join(out, "script.pt"))
