"""Live networks: the parameters of a MindSpore Cell or a torch Module. The class says which; no framework is imported before."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from . import _dtypes
from ._checkpoint import Spec, TensorInfo
from ._dtypes import Array
from ._errors import UsageError


class Slot(NamedTuple):
    """A parameter or buffer of a network, and how its memory is written."""

    info: TensorInfo
    address: int                          # of memory that may be written in place; 0: there is none
    nbytes: int
    fresh: Callable[[], Tuple[Any, int]]  # new memory: what holds it, its address
    wrap: Callable[[Array], Any]     # a writable array in place of what `fresh` gives
    adopt: Callable[[Any, str], None]     # makes what `fresh` or `wrap` gave the network's own, on a device ("": where it is)


def kind_of(net: Any) -> str:
    for cls in type(net).__mro__:
        top = cls.__module__.split(".")[0]
        if top == "mindspore" and cls.__name__ == "Cell":
            return "mindspore"
        if top == "torch" and cls.__name__ == "Module":
            return "torch"
    raise UsageError(2, f"a {type(net).__name__} is neither a mindspore.nn.Cell nor a torch.nn.Module", [])


# ---- MindSpore ----


def _mindspore_slots(net: Any) -> List[Slot]:
    slots: List[Slot] = []
    seen: Dict[str, str] = {}
    for path, parameter in net.parameters_and_names():
        name = parameter.name  # what MindSpore's loader goes by; it may differ from the path
        if name in seen:
            raise UsageError(2, f"two parameters are called `{name}` ({seen[name]} and {path}): MindSpore would give both one value. "
                                "Give one of them another name", [])
        seen[name] = path
        dtype = _dtypes.from_mindspore(parameter.dtype)
        if dtype is None:
            raise UsageError(2, f"`{name}` has dtype {parameter.dtype}, which cannot be written", [])
        info = TensorInfo(name, dtype, tuple(int(extent) for extent in parameter.shape))
        slots.append(_mindspore_slot(parameter, info))
    return slots


def _mindspore_slot(parameter: Any, info: TensorInfo) -> Slot:
    # Asked for afresh just before writing: data_ptr() waits for what was queued, and memory of a lazy, an offloaded or a device
    # parameter cannot be written in place.
    address = 0
    nbytes = _dtypes.nbytes(info.dtype, info.shape)
    on_device = str(getattr(parameter, "device", "CPU")).upper().split(":")[0] not in ("CPU", "NONE", "")
    if not getattr(parameter, "has_init", False) and not on_device and parameter.is_contiguous():
        address = int(parameter.data_ptr())

    def fresh() -> Tuple[Any, int]:
        array = np.empty(info.shape, mindspore_storage(info.dtype))
        return array, array.ctypes.data

    def wrap(array: Array) -> Any:
        return array.view(mindspore_storage(info.dtype))

    def adopt(array: Any, device: str) -> None:
        import mindspore

        # The device was checked before: MindSpore keeps parameters on the device of its context.
        parameter.set_data(mindspore.Tensor.from_numpy(array.reshape(info.shape)))

    return Slot(info, address, nbytes, fresh, wrap, adopt)


def mindspore_storage(dtype: str) -> np.dtype[Any]:
    if dtype == "bf16":
        from mindspore.common import np_dtype

        return np.dtype(np_dtype.bfloat16)
    return _dtypes.storage_dtype(dtype)


# ---- torch ----


def _torch_slots(net: Any, buffers: bool) -> List[Slot]:
    import torch

    slots: List[Slot] = []
    first: Dict[Any, str] = {}
    owners = _torch_owners(net)
    for name, tensor in net.state_dict(keep_vars=True).items():
        if not isinstance(tensor, torch.Tensor):
            continue  # extra state
        if not buffers and not isinstance(tensor, torch.nn.Parameter):
            continue
        if torch.nn.parameter.is_lazy(tensor):
            raise UsageError(2, f"`{name}` is lazy and has no shape yet: run the module once on an input before loading", [])
        dtype = _dtypes.from_torch(tensor.dtype)
        if dtype is None or tensor.is_sparse or tensor.is_quantized:
            raise UsageError(2, f"`{name}` has dtype {tensor.dtype} and layout {tensor.layout}, which cannot be written", [])
        # Tied tensors are one object; on the meta device all of them have address 0.
        identity = id(tensor)
        tied_to = first.get(identity, "")
        first.setdefault(identity, name)
        info = TensorInfo(name, dtype, tuple(tensor.shape), tied_to=tied_to)
        slots.append(_torch_slot(tensor, info, owners.get(identity, [])))
    return slots


def _torch_owners(net: Any) -> Dict[int, List[Tuple[Dict[str, Any], str]]]:
    """For each tensor the dicts of modules that hold it."""
    owners: Dict[int, List[Tuple[Dict[str, Any], str]]] = {}
    for module in net.modules():
        for held in (module._parameters, module._buffers):
            for leaf, tensor in held.items():
                if tensor is not None:
                    owners.setdefault(id(tensor), []).append((held, leaf))
    return owners


def _torch_slot(tensor: Any, info: TensorInfo, owners: List[Tuple[Dict[str, Any], str]]) -> Slot:
    import torch

    plain = tensor.device.type == "cpu" and tensor.is_contiguous() and not tensor.is_conj() and not tensor.is_neg()
    address = int(tensor.data_ptr()) if plain else 0

    def fresh() -> Tuple[Any, int]:
        made = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
        return made, int(made.data_ptr())

    def wrap(array: Array) -> Any:
        return torch.from_numpy(array.reshape(-1).view(np.uint8)).view(tensor.dtype).reshape(tensor.shape)

    def adopt(made: Any, device: str) -> None:
        if device:
            made = made.to(_torch_device(device))
        if "meta" in (tensor.device.type, made.device.type):
            value = torch.nn.Parameter(made, requires_grad=tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else made
            for held, leaf in owners:
                held[leaf] = value
        elif plain or device:
            tensor.data = made  # the same object: optimizers and ties hold it
        else:
            with torch.no_grad():
                tensor.copy_(made)

    return Slot(info, address, _dtypes.nbytes(info.dtype, info.shape), fresh, wrap, adopt)


def _torch_device(device: str) -> str:
    kind, _, number = device.partition(":")
    return {"GPU": "cuda", "ASCEND": "npu"}.get(kind.upper(), kind.lower()) + (f":{number}" if number else "")


# ---- both ----


def slots_of(net: Any, buffers: Optional[bool] = None) -> List[Slot]:
    if kind_of(net) == "mindspore":
        return _mindspore_slots(net)
    return _torch_slots(net, buffers is not False)


def spec_of(net: Any, *, buffers: Optional[bool] = None) -> Spec:
    """Names, dtypes, shapes and ties of a live network. ``buffers``: of a torch Module, persistent buffers too (the default).

    UsageError: two parameters have one name, a parameter has no shape yet, or its dtype cannot be written.

    >>> spec_of(example_net)["fc.weight"].shape
    (2, 3)
    """
    return Spec.of([slot.info for slot in slots_of(net, buffers)], kind_of(net))


def values_changed(net: Any) -> None:
    """Reports to autograd that the values have changed, so that a backward pass over the old ones raises."""
    if kind_of(net) == "torch":
        import torch

        tensors = [t for t in net.state_dict(keep_vars=True).values() if isinstance(t, torch.Tensor) and t.device.type != "meta"]
        torch.autograd.graph.increment_version(tensors)
