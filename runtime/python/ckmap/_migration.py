"""Migrations: plans that are proved to fit, and what their runs report."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _runtime
from ._checkpoint import Checkpoint, PathLike, Spec, as_array, open
from ._dtypes import Array
from ._errors import Issue, UsageError
from ._plan import Rules, plan, text_values, to_spec
from ._show import Progress, table_html, watcher

DEFAULT_MEMORY = 64 << 20
log = logging.getLogger("ckmap")


@dataclass
class Report:
    """What a run did.

    >>> Report(["fc.weight"], seconds=0.1).kept
    []
    """

    tensors: List[str]                                        # of the target that were made
    seconds: float
    mode: str = "save"                                        # or of load_into: "in_place", "replace", "map"
    replaced: List[str] = field(default_factory=list)         # parameters that got new memory
    mapped: List[str] = field(default_factory=list)           # parameters whose memory is now the file's, privately
    devices: Dict[str, int] = field(default_factory=dict)     # device → bytes that were placed on it
    overflowed: Dict[str, int] = field(default_factory=dict)  # values that saturated or became infinite, as the rules allow
    changed: Dict[str, int] = field(default_factory=dict)     # values that a cast changed, rounding included
    digests: Dict[str, str] = field(default_factory=dict)     # hex SHA-256 of the elements, if asked for
    files: Dict[str, int] = field(default_factory=dict)       # path → bytes
    kept: List[str] = field(default_factory=list)             # tensors of the network that keep their own values
    dropped: List[str] = field(default_factory=list)          # tensors of the source that the rules leave out
    issues: List[Issue] = field(default_factory=list)         # notes and warnings
    warnings: List[str] = field(default_factory=list)
    json: str = ""                                            # what ``ckmap apply --report`` writes

    def _repr_html_(self) -> str:
        rows = [("tensors", len(self.tensors)), ("mode", self.mode), ("new memory", len(self.replaced)), ("mapped", len(self.mapped)), ("seconds", f"{self.seconds:.3f}"), ("kept", len(self.kept)),
                ("dropped", len(self.dropped)), ("notes and warnings", len(self.issues) + len(self.warnings))]
        return table_html(("", ""), rows, "migration")


def make_report(raw: Mapping[str, Any], mode: str, migration: Any) -> Report:
    _, dropped, kept, _ = migration.bound()
    tensors = raw["tensors"]
    log.info("%s: %d tensors in %.3f s", mode, len(tensors), raw["seconds"])
    for warning in [*raw["warnings"], *(str(issue) for issue in raw["issues"] if issue.severity == "warning")]:
        log.warning("%s", warning)
    return Report(
        tensors=[t[0] for t in tensors], seconds=raw["seconds"], mode=mode, overflowed={t[0]: t[2] for t in tensors if t[2]},
        changed={t[0]: t[3] for t in tensors if t[3]}, digests={t[0]: t[1] for t in tensors if t[1]}, files=dict(raw["files"]),
        kept=[name for name, _ in kept], dropped=[name for name, _ in dropped], issues=list(raw["issues"]), warnings=list(raw["warnings"]), json=raw["json"])


class Target(NamedTuple):
    """One tensor of the target, and where it comes from.

    >>> Target("dense.weight", "f32", (4, 2), ["fc.weight"], ["transpose()"], "t.ckmap:3", False, "").sources
    ['fc.weight']
    """

    name: str
    dtype: str
    shape: Tuple[int, ...]
    sources: List[str]   # source tensors that it is made of
    ops: List[str]       # as reports show them: "transpose()"
    rule: str            # "torch2ms.ckmap:12"
    initialized: bool    # made by `init` alone
    device: str          # where `place` or a device map puts it; may be empty


class Migration:
    """A plan that is proved to fit a source and a target. No tensor has been read.

    >>> migration = migrate(example_file, "ckmap 1; migration t from pytorch to mindspore; rename fc -> dense;", example_target)
    >>> migration.targets[0].sources, migration.cost["written"]
    (['fc.weight'], 24)
    >>> for name, array in migration.tensors():
    ...     print(name, array.dtype, array.shape)
    dense.weight float32 (2, 3)
    """

    def __init__(self, handle: Any):
        self._handle = handle

    @property
    def table(self) -> str:
        """What ``ckmap plan`` prints."""
        return str(self._handle.table())

    @property
    def json(self) -> str:
        """What ``ckmap plan --format json`` prints."""
        return str(self._handle.json())

    @property
    def notes(self) -> List[Issue]:
        """Notes and warnings of the proof."""
        return list(self._handle.notes)

    @property
    def cost(self) -> Dict[str, int]:
        """Bytes: ``read`` of the source, ``written`` of the target, ``memory`` of buffers."""
        read, written, memory = self._handle.cost()
        return {"read": read, "written": written, "memory": memory}

    @property
    def targets(self) -> List[Target]:
        """The tensors that are made, in the target's order."""
        return [Target(*row) for row in self._handle.bound()[0]]

    @property
    def dropped(self) -> List[Tuple[str, str]]:
        """Source tensors that the rules leave out, each with its rule."""
        return list(self._handle.bound()[1])

    @property
    def kept(self) -> List[Tuple[str, str]]:
        """Target tensors that keep the network's own values, each with its rule."""
        return list(self._handle.bound()[2])

    @property
    def params(self) -> Dict[str, str]:
        """Parameters as bound."""
        return dict(self._handle.bound()[3])

    def save(self, path: PathLike, *, format: str = "", max_shard_size: int = 0, crc: bool = False, encrypt: str = "", key: bytes = b"",
             old_scalars: bool = False, digest: bool = False, force: bool = False, fsync: bool = True, threads: int = 0,
             max_memory: int = DEFAULT_MEMORY, progress: Progress = None) -> Report:
        """Writes a file: the same bytes as ``ckmap apply``. Complete, or not at all. Sizes are in bytes."""
        raw = self._handle.save(os.fspath(path), format, max_shard_size, crc, encrypt, key, old_scalars, digest, force, fsync, threads, max_memory,
                                watcher(progress))
        return make_report(raw, "save", self._handle)

    def tensors(self, order: Sequence[str] = (), *, threads: int = 0, max_memory: int = DEFAULT_MEMORY, views: bool = True,
                writable: bool = False) -> Iterator[Tuple[str, Array]]:
        """Names and arrays, one after another, made ahead by other threads in ``max_memory`` bytes.

        ``order``: the names that are wanted, in this order; others are not made. Arrays are read-only unless ``writable``: then a
        view of the file is private, and what is written to it changes no file.
        """
        stream = self._handle.load(list(order), threads, max_memory, views, writable)
        try:
            while True:
                tensor = stream.next()
                if tensor is None:
                    return
                yield tensor.name, as_array(tensor, writable)
        finally:
            stream.close()

    def __iter__(self) -> Iterator[Tuple[str, Array]]:
        return self.tensors()

    async def __aiter__(self) -> AsyncIterator[Tuple[str, Array]]:
        import asyncio  # not above: it takes longer to import than the package

        stream = self._handle.load([], 0, DEFAULT_MEMORY, True, False)
        loop = asyncio.get_running_loop()
        try:
            while True:
                tensor = await loop.run_in_executor(None, stream.next)
                if tensor is None:
                    return
                yield tensor.name, as_array(tensor)
        finally:
            stream.close()

    def __str__(self) -> str:
        return self.table

    def _repr_html_(self) -> str:
        rows = [(t.name, t.dtype, list(t.shape), ", ".join(t.sources), " | ".join(t.ops), t.rule) for t in self.targets]
        return table_html(("target", "dtype", "shape", "from", "by", "rule"), rows, f"{len(rows)} tensors")


def migrate(source: Union[Checkpoint, Spec, PathLike], rules: Rules, target: Union[Spec, PathLike, Any], *, config: PathLike = "",
            params: Mapping[str, object] = {}, ranks: Mapping[str, Tuple[int, int]] = {}, device_map: PathLike = "",
            root: Optional[str] = None) -> Migration:
    """Proves that rules fit a source and a target; reads no tensor.

    ``source``: a checkpoint, its path, or a Spec (then the migration can be looked at and not run). ``target``: a Spec, a live
    network, or the path of a checkpoint or a spec. ``config``: the model's config.json. ``ranks``: ``{"tp": (1, 8)}`` makes the slice
    of rank 1 of 8. ``device_map``: a file that names the device of modules. MisfitError carries every issue at once.

    >>> migrate(example_file, "ckmap 1; migration t from pytorch to mindspore;", example_target)
    Traceback (most recent call last):
    ...
    ckmap._errors.MisfitError: ...
    """
    compiled = plan(rules)
    rest = (text_values(params), os.fspath(config), {name: (index, count) for name, (index, count) in ranks.items()},
            os.fspath(device_map))
    if isinstance(source, Spec):
        return Migration(_runtime.Migration.prepare_manifest(compiled._handle, source._manifest, to_spec(target)._manifest, *rest))
    if not isinstance(source, Checkpoint):
        source = open(source, root=root or "")
    elif root is not None:
        raise UsageError(2, "`root` belongs to ckmap.open where the source is open already", [])
    if isinstance(target, (str, os.PathLike)):
        return Migration(_runtime.Migration.prepare_path(compiled._handle, source._handle, os.fspath(target), *rest))
    return Migration(_runtime.Migration.prepare(compiled._handle, source._handle, to_spec(target)._manifest, *rest))
