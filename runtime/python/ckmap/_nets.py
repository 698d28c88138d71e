"""Live networks: a MindSpore Cell or a torch Module, told apart by their classes' modules. Neither framework is imported here."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import _core, _dtypes
from ._core import Checkpoint, PathLike, Progress, Report, Rules, Spec, TensorInfo
from ._errors import UsageError

SAME_NAMES = "ckmap 1;\nmigration same_names from any to any;\n"


class Slot(NamedTuple):
    """A parameter or buffer of a network, and how its memory is written."""

    info: TensorInfo
    address: int                      # of memory that may be written in place; 0: there is none
    nbytes: int
    fresh: Callable[[], Tuple[Any, int]]  # new memory of the same kind: what holds it, its address
    adopt: Callable[[Any], None]      # makes what `fresh` gave the network's own


def _kind(net: Any) -> str:
    for cls in type(net).__mro__:
        top = cls.__module__.split(".")[0]
        if top == "mindspore" and cls.__name__ == "Cell":
            return "mindspore"
        if top == "torch" and cls.__name__ == "Module":
            return "torch"
    raise UsageError(2, f"{type(net).__name__} is neither a mindspore.nn.Cell nor a torch.nn.Module", [])


def _size(info: TensorInfo) -> int:
    count = 1
    for extent in info.shape:
        count *= extent
    return count * _dtypes.storage_dtype(info.dtype).itemsize


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
    nbytes = _size(info)
    on_device = str(getattr(parameter, "device", "CPU")).upper().split(":")[0] not in ("CPU", "NONE", "")
    if not getattr(parameter, "has_init", False) and not on_device and parameter.is_contiguous():
        address = int(parameter.data_ptr())

    def fresh() -> Tuple[Any, int]:
        array = np.empty(info.shape, _mindspore_storage(info.dtype))
        return array, array.ctypes.data

    def adopt(array: Any) -> None:
        import mindspore

        if array.shape != info.shape:
            array = array.reshape(info.shape)
        parameter.set_data(mindspore.Tensor.from_numpy(array))

    return Slot(info, address, nbytes, fresh, adopt)


def _mindspore_storage(dtype: str) -> np.dtype:
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
        if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
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

    def adopt(made: Any) -> None:
        if tensor.device.type == "meta":
            value = torch.nn.Parameter(made, requires_grad=tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else made
            for held, leaf in owners:
                held[leaf] = value
        else:
            with torch.no_grad():
                tensor.copy_(made)

    return Slot(info, address, _size(info), fresh, adopt)


# ---- both ----


def _slots(net: Any, buffers: Optional[bool] = None) -> List[Slot]:
    if _kind(net) == "mindspore":
        return _mindspore_slots(net)
    return _torch_slots(net, buffers is not False)


def spec_of(net: Any, *, buffers: Optional[bool] = None) -> Spec:
    """Names, dtypes, shapes and ties of a live network. ``buffers``: of a torch Module, persistent buffers too (the default)."""
    return Spec.of([slot.info for slot in _slots(net, buffers)], _kind(net))


def load_into(net: Any, source: Union[Checkpoint, PathLike], rules: Optional[Rules] = None, *, config: PathLike = "", params: Mapping[str, object] = {},
              root: Optional[str] = None, mode: str = "in_place", buffers: Optional[bool] = None, threads: int = 0,
              max_memory: int = _core.DEFAULT_MEMORY, progress: Progress = None) -> Report:
    """Loads a checkpoint into a live network, while converting it. Strict: every tensor of the network gets its value, or nothing is done.

    ``rules``: a .ckmap, a .ckplan, the name of a pack, text that begins with ``ckmap 1;``, or None: the names are right already.
    ``mode``: "in_place" writes into the memory that the parameters have (seen by compiled graphs too; parameters without such memory,
    lazy or strided ones or those on the meta device, get new memory). "replace" makes everything in new memory first, twice the memory,
    and adopts it only when all of it is right; a graph that was compiled with MindSpore's ``jit`` does not see the new memory.

    A misfit raises MisfitError before anything is written. A failure while reading in place raises an error whose issues name the
    parameters that were not completed; with "replace" the network is as it was.

    While this runs, no other thread may use the network.
    """
    if mode not in ("in_place", "replace"):
        raise UsageError(2, f"mode is {mode!r}; it may be 'in_place' or 'replace'", [])
    slots = _slots(net, buffers)
    spec = Spec.of([slot.info for slot in slots], _kind(net))
    migration = _core.migrate(source, SAME_NAMES if rules is None else rules, spec, config=config, params=params, root=root)
    kept = {name for name, _ in migration._handle.bound()[2]}
    places: List[Tuple[str, int, int]] = []
    made: List[Tuple[Slot, Any]] = []
    by_name: Dict[str, Tuple[int, int]] = {}
    for slot in slots:
        if slot.info.name in kept:
            continue
        if slot.info.tied_to in by_name:  # one place for both
            address, nbytes = by_name[slot.info.tied_to]
        elif mode == "in_place" and (slot.address != 0 or slot.nbytes == 0):
            address, nbytes = slot.address, slot.nbytes
        else:
            holder, address = slot.fresh()
            nbytes = slot.nbytes
            made.append((slot, holder))
        by_name[slot.info.name] = (address, nbytes)
        places.append((slot.info.name, address, nbytes))
    raw = migration._handle.load_into(places, threads, max_memory, _core._progress(progress))
    for slot, holder in made:
        slot.adopt(holder)
    _after(net)
    report = _core._report(raw, mode if not made or mode == "replace" else f"in_place, new memory for {len(made)} of {len(places)}", migration._handle)
    return report


def _after(net: Any) -> None:
    """Tells autograd that the values have changed, so that a backward pass over the old ones raises."""
    if _kind(net) == "torch":
        import torch

        tensors = [t for t in net.state_dict(keep_vars=True).values() if isinstance(t, torch.Tensor) and t.device.type != "meta"]
        torch.autograd.graph.increment_version(tensors)
