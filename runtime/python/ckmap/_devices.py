"""Devices: where `place` and device maps put tensors, checked against what is there before anything is loaded."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import _dtypes
from ._errors import Issue, MisfitError
from ._migration import Migration, Target
from ._show import table_html

UNLIMITED = 1 << 62


class Placement(NamedTuple):
    """Where each tensor goes, and how many bytes that puts on each device.

    >>> Placement({"fc.weight": "GPU:0"}, {"GPU:0": 24}).bytes
    {'GPU:0': 24}
    """

    where: Dict[str, str]
    bytes: Dict[str, int]

    def _repr_html_(self) -> str:
        return table_html(("device", "bytes"), sorted(self.bytes.items()), f"{len(self.where)} tensors on {len(self.bytes)} devices")


def place(migration: Migration, *, devices: Optional[Mapping[str, int]] = None, rename: Mapping[str, str] = {}) -> Placement:
    """Where a migration's `place` statements and device map put its tensors; refused if they do not fit there.

    ``devices``: free bytes of each device, by name ("CPU", "GPU:0", "Ascend:0"); None: what this process has. ``rename``: devices, or
    kinds of them, that have another name here: ``{"GPU": "Ascend"}``. Tensors without a device go to the CPU. "auto" takes the device
    with most room, module by module. MisfitError lists every device that is not there or too small.

    >>> migration = migrate(example_file, 'ckmap 1; migration t from a to b; rename fc -> dense; place "**" on "GPU:0";', example_target)
    >>> place(migration, devices={"Ascend:0": 1000}, rename={"GPU": "Ascend"}).bytes
    {'Ascend:0': 24}
    """
    room = {_canonical(name): size for name, size in (present() if devices is None else devices).items()}
    targets = migration.targets
    ties = {row[0]: row[4] for row in migration._handle.target.rows() if row[4]}  # one memory: it goes where the first of them goes
    where, sums = _assign([t for t in targets if t.name not in ties], room, rename)
    issues = _follow_ties([t for t in targets if t.name in ties], ties, where, rename) + _misfits(where, sums, room)
    if issues:
        raise MisfitError(1, "the devices do not fit; nothing was loaded:\n" + "\n".join(issue.message for issue in issues), issues)
    return Placement(where, sums)


def _assign(targets: Sequence[Target], room: Mapping[str, int], rename: Mapping[str, str]) -> Tuple[Dict[str, str], Dict[str, int]]:
    """The device of each tensor, and the bytes on each device. Tensors that name their device come first: "auto" divides what they leave."""
    where: Dict[str, str] = {}
    sums: Dict[str, int] = {}
    chosen: Dict[str, str] = {}  # module → device, of "auto"
    for t in sorted(targets, key=_is_automatic):
        if _is_automatic(t):
            module = t.name.rpartition(".")[0]
            if module not in chosen and room:
                chosen[module] = max(room, key=lambda device: (room[device] - sums.get(device, 0), device != "CPU"))
            device = chosen.get(module, "CPU")
        else:
            device = _renamed(_canonical(t.device or "CPU"), rename)
        where[t.name] = device
        sums[device] = sums.get(device, 0) + _dtypes.nbytes(t.dtype, t.shape)
    return where, sums


def _follow_ties(tied: Sequence[Target], ties: Mapping[str, str], where: Dict[str, str], rename: Mapping[str, str]) -> List[Issue]:
    """Puts tied tensors into ``where``, beside the tensor that they share memory with; an issue for each that names another device."""
    issues: List[Issue] = []
    for t in tied:
        where[t.name] = where.get(ties[t.name], "CPU")
        device = _renamed(_canonical(t.device), rename) if t.device and not _is_automatic(t) else where[t.name]
        if device != where[t.name]:
            issues.append(Issue("", "error", t.name, f"`{t.name}` is placed on `{device}`, and `{ties[t.name]}`, which it is tied to, on `{where[t.name]}`",
                                ["tied parameters are one memory"], "place both on one device"))
    return issues


def _misfits(where: Mapping[str, str], sums: Mapping[str, int], room: Mapping[str, int]) -> List[Issue]:
    """An issue for each device that is not there or too small."""
    issues: List[Issue] = []
    there = ", ".join(sorted(room)) or "none"
    for device, size in sorted(sums.items()):
        if device not in room:
            issues.append(Issue("", "error", "", f"device `{device}` is not there: {size} bytes of {sum(d == device for d in where.values())} tensors go to it",
                                [f"the devices are: {there}"], "`rename` gives a device another name, `devices` describes devices"))
        elif size > room[device]:
            issues.append(Issue("", "error", "", f"device `{device}` is too small: {size} bytes go to it, {room[device]} bytes are free", [],
                                "place modules on another device"))
    return issues


def _is_automatic(target: Target) -> bool:
    return target.device.lower() == "auto"


def _canonical(name: str) -> str:
    """"gpu:0", "cuda:0" and "GPU:0" are one device; so are "CPU" and "cpu:0"."""
    kind, _, number = name.partition(":")
    kind = {"cuda": "GPU", "gpu": "GPU", "npu": "Ascend", "ascend": "Ascend", "cpu": "CPU", "meta": "meta"}.get(kind.lower(), kind)
    return kind if kind in ("CPU", "meta") else f"{kind}:{number or 0}"


def _renamed(device: str, rename: Mapping[str, str]) -> str:
    names = {_canonical(old) if ":" in old else old.lower(): new for old, new in rename.items()}
    if device in names:
        return _canonical(names[device])
    kind, colon, number = device.partition(":")
    return _canonical(names[kind.lower()] + colon + number) if kind.lower() in names else device


def present() -> Dict[str, int]:
    """The devices of this process and their free bytes; of frameworks only if they are imported already."""
    found = {"CPU": _free_memory()}
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        found["meta"] = UNLIMITED
        for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
            found[f"GPU:{number}"] = int(torch.cuda.mem_get_info(number)[0])
    mindspore: Any = sys.modules.get("mindspore")
    if mindspore is not None:
        target = str(mindspore.get_context("device_target"))
        if target != "CPU":  # its free memory is not asked for: that would start the device
            found[f"{_canonical(target).partition(':')[0]}:{mindspore.get_context('device_id')}"] = UNLIMITED
    return found


def _free_memory() -> int:
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return UNLIMITED
