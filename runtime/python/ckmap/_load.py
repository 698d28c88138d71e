"""Checkpoints into live networks."""

from __future__ import annotations

import bisect
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from . import _dtypes
from ._checkpoint import Checkpoint, PathLike, Spec, as_array
from ._devices import Placement, place
from ._dtypes import Array
from ._errors import MisfitError, StoppedError, UsageError
from ._migration import DEFAULT_MEMORY, Migration, Report, make_report, migrate
from ._nets import Slot, kind_of, slots_of, values_changed
from ._plan import Rules
from ._show import Progress, watcher

SAME_NAMES = "ckmap 1;\nmigration same_names from any to any;\n"
MODES = ("in_place", "replace", "map")


def load_into(net: Any, source: Union[Checkpoint, PathLike], rules: Optional[Rules] = None, *, config: PathLike = "", params: Mapping[str, object] = {},
              root: Optional[str] = None, mode: str = "in_place", buffers: Optional[bool] = None, device_map: PathLike = "",
              devices: Optional[Mapping[str, int]] = None, rename_devices: Mapping[str, str] = {}, threads: int = 0,
              max_memory: int = DEFAULT_MEMORY, progress: Progress = None) -> Report:
    """Loads a checkpoint into a live network, while converting it. Strict: every tensor of the network gets its value, or nothing is done.

    ``rules``: a .ckmap, a .ckplan, the name of a pack, text that begins with ``ckmap 1;``, or None: the names are right already.

    ``mode``: "in_place" writes into the memory that the parameters have (seen by compiled graphs too; parameters without such memory,
    lazy or strided ones or those on the meta device, get new memory). "replace" makes everything in new memory first, twice the memory,
    and adopts it only when all of it is right. "map" copies nothing that stands in the file as it is: the parameter's memory is the
    file's, privately (a page is copied when it is written to; the file must not be changed meanwhile); the rest is made in new memory,
    and the report does not count the values that casts change.
    A graph that was compiled with MindSpore's ``jit`` does not see new memory. The report says which parameters got new memory
    (``replaced``) and which are mapped (``mapped``).

    ``device_map``, ``devices``, ``rename_devices``: where parameters go, see :func:`place`. Without a device map and without `place`
    in the rules they stay where they are.

    A misfit raises MisfitError before anything is written. A failure while writing in place raises an error whose issues name the
    parameters that were not completed; so does the ``__cause__`` of KeyboardInterrupt and of an exception of ``progress``. With
    "replace" and "map" the network is as it was. While this runs, no other thread may use the network.

    >>> load_into(example_net, example_file).mode
    'in_place'
    """
    if mode not in MODES:
        raise UsageError(2, f"mode is {mode!r}; it may be {', '.join(map(repr, MODES))}", [])
    slots = slots_of(net, buffers)
    spec = Spec.of([slot.info for slot in slots], kind_of(net))
    migration = migrate(source, SAME_NAMES if rules is None else rules, spec, config=config, params=params, root=root, device_map=device_map)
    placement = _placement(net, migration, devices, rename_devices)
    kept = {name for name, _ in migration.kept}
    wanted = [slot for slot in slots if slot.info.name not in kept]
    if mode == "map":
        report = _map(migration, wanted, placement, max_memory, threads)
    else:
        report = _write(migration, wanted, placement, mode, max_memory, threads, progress)
    if placement is not None:
        report.devices = placement.bytes
    values_changed(net)
    return report


def _placement(net: Any, migration: Migration, devices: Optional[Mapping[str, int]], rename: Mapping[str, str]) -> Optional[Placement]:
    if not any(target.device for target in migration.targets):
        return None
    placement = place(migration, devices=devices, rename=rename)
    if kind_of(net) == "mindspore":
        import mindspore

        own = str(mindspore.get_context("device_target"))
        wrong = sorted({device for device in placement.where.values() if device.partition(":")[0].lower() != own.lower()})
        if wrong:
            raise MisfitError(1, f"MindSpore keeps parameters on the device of its context, {own}; tensors are placed on {', '.join(wrong)}", [])
    return placement


def _write(migration: Migration, slots: List[Slot], placement: Optional[Placement], mode: str, max_memory: int, threads: int, progress: Progress) -> Report:
    places: List[Tuple[str, int, int]] = []
    made: List[Tuple[Slot, Any]] = []
    by_name: Dict[str, Tuple[int, int]] = {}
    for slot in slots:
        name = slot.info.name
        moves = placement is not None and placement.where.get(name, "CPU") != "CPU"
        if slot.info.tied_to in by_name:  # one place for both
            address, nbytes = by_name[slot.info.tied_to]
        elif mode == "in_place" and not moves and (slot.address != 0 or slot.nbytes == 0):
            address, nbytes = slot.address, slot.nbytes
        else:
            holder, address = slot.fresh()
            nbytes = slot.nbytes
            made.append((slot, holder))
        by_name[name] = (address, nbytes)
        places.append((name, address, nbytes))
    raw = migration._handle.load_into(places, threads, max_memory, watcher(progress))
    _adopt(made, placement)
    report = make_report(raw, mode, migration._handle)
    report.replaced = [slot.info.name for slot, _ in made]
    return report


def _adopt(made: List[Tuple[Slot, Any]], placement: Optional[Placement]) -> None:
    for done, (slot, holder) in enumerate(made):
        device = placement.where.get(slot.info.name, "") if placement is not None else ""
        try:
            slot.adopt(holder, "" if device == "CPU" else device)
        except BaseException as failure:
            names = [f"`{s.info.name}`" for s, _ in made]
            raise StoppedError(6, f"`{slot.info.name}` did not take its new memory: {failure!r}. As they were: {', '.join(names[done:])}. "
                                  f"Every other parameter has its new value", []) from failure


def _map(migration: Migration, slots: List[Slot], placement: Optional[Placement], max_memory: int, threads: int) -> Report:
    start = time.monotonic()
    by_name = {slot.info.name: slot for slot in slots if not slot.info.tied_to}
    stream = migration._handle.load([], threads, max_memory, True, True)
    made: List[Tuple[Slot, Any]] = []
    mapped: List[str] = []
    taken: List[Tuple[int, int]] = []  # addresses that are given away, in order
    try:
        while True:
            tensor = stream.next()
            if tensor is None:
                break
            slot = by_name.get(tensor.name)
            if slot is None:
                continue
            array = _array(tensor)
            if tensor.is_view:
                begin, end = int(tensor.address), int(tensor.address) + int(tensor.nbytes)
                at = bisect.bisect(taken, (begin, end))
                if (at > 0 and taken[at - 1][1] > begin) or (at < len(taken) and taken[at][0] < end):
                    array = array.copy()  # two parameters that are not tied must not share memory
                else:
                    taken.insert(at, (begin, end))
                    mapped.append(tensor.name)
            made.append((slot, slot.wrap(array)))
    finally:
        stream.close()
    _adopt(made, placement)
    raw = {"tensors": [(slot.info.name, "", 0, 0) for slot in slots], "files": [], "issues": [], "warnings": [], "seconds": time.monotonic() - start, "json": ""}
    report = make_report(raw, "map", migration._handle)
    report.mapped = mapped
    views = set(mapped)
    report.replaced = [slot.info.name for slot, _ in made if slot.info.name not in views]
    return report


def _array(tensor: Any) -> Array:
    return as_array(tensor, writable=True).view(_dtypes.storage_dtype(tensor.dtype))
