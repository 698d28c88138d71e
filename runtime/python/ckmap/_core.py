"""Checkpoints, plans and migrations."""

from __future__ import annotations

import asyncio
import html
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import _dtypes, _runtime
from ._errors import Issue, UsageError

PathLike = Union[str, "os.PathLike[str]"]
Progress = Union[None, bool, Callable[[int, int], None]]
Rules = Union["Plan", PathLike]

PACKS = Path(__file__).resolve().parent / "packs"
DEFAULT_MEMORY = 64 << 20


class TensorInfo(NamedTuple):
    """What is known of a tensor without its elements. ``shape`` lists axes from the outermost; ``dtype`` is ckmap's name ("f32")."""

    name: str
    dtype: str
    shape: Tuple[int, ...]
    optional: bool = False
    tied_to: str = ""
    storage: int = -1
    unreadable: str = ""


class _Elements:
    """Lends a tensor's bytes to numpy, and keeps them alive."""

    def __init__(self, tensor: Any):
        self._tensor = tensor
        kind = _dtypes.storage_dtype(tensor.dtype)
        self.__array_interface__ = {
            "data": (tensor.address or 0, True), "shape": tuple(tensor.shape), "typestr": kind.str, "version": 3,
        }


def _array(tensor: Any) -> np.ndarray:
    """A read-only array over the tensor's bytes: a view of the file where its bytes need no work."""
    kind = _dtypes.numpy_dtype(tensor.dtype)
    if tensor.nbytes == 0:
        empty = np.empty(tensor.shape, kind)
        empty.flags.writeable = False
        return empty
    return np.asarray(_Elements(tensor)).view(kind)


def _progress(progress: Progress) -> Optional[Callable[[int, int], None]]:
    if progress is None or progress is False:
        return None
    if progress is not True:
        return progress
    from tqdm.auto import tqdm

    bar = tqdm(unit="B", unit_scale=True)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return show


def _table_html(head: Sequence[str], rows: Sequence[Sequence[object]], title: str) -> str:
    shown = rows[:200]
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in shown)
    more = f"<p>and {len(rows) - len(shown)} more</p>" if len(rows) > len(shown) else ""
    return f"<p>{html.escape(title)}</p><table><tr>{''.join(f'<th>{html.escape(h)}</th>' for h in head)}</tr>{cells}</table>{more}"


class Spec(Mapping[str, TensorInfo]):
    """Names, dtypes and shapes of a checkpoint or of a network, without elements.

    >>> spec = Spec.of([TensorInfo("fc.weight", "f32", (10, 4))])
    >>> spec["fc.weight"].shape
    (10, 4)
    """

    def __init__(self, manifest: Any):
        self._manifest = manifest
        self._tensors = {row[0]: TensorInfo(*row) for row in manifest.rows()}

    @classmethod
    def of(cls, tensors: Sequence[TensorInfo], framework: str = "") -> "Spec":
        """From a list. UsageError for a name that occurs twice."""
        return cls(_runtime.Manifest.of([(t.name, t.dtype, list(t.shape), t.optional, t.tied_to) for t in tensors], framework))

    @classmethod
    def read(cls, path: PathLike) -> "Spec":
        """Of anything that has names and shapes: a checkpoint of any format, or a spec in YAML or JSON."""
        return cls(_runtime.Manifest.read(os.fspath(path)))

    @property
    def framework(self) -> str:
        return str(self._manifest.framework)

    def __getitem__(self, name: str) -> TensorInfo:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def to_yaml(self) -> str:
        """As a spec that ``--target`` takes."""
        import json

        lines = [f"framework: {self.framework}"] if self.framework else []
        lines.append("tensors:")
        for t in self._tensors.values():
            extra = (", optional: true" if t.optional else "") + (f", tied_to: {json.dumps(t.tied_to)}" if t.tied_to else "")
            lines.append(f"  - {{name: {json.dumps(t.name)}, dtype: {t.dtype}, shape: {list(t.shape)}{extra}}}")
        return "\n".join(lines) + "\n"

    def _repr_html_(self) -> str:
        return _table_html(("name", "dtype", "shape"), [(t.name, t.dtype, list(t.shape)) for t in self._tensors.values()], f"{len(self)} tensors")


class Checkpoint(Mapping[str, np.ndarray]):
    """An open checkpoint: a mapping from names to arrays.

    Each array is read-only: a view of the file where its bytes need no work, else a copy. bf16 and 8-bit floats have the dtypes
    of ``ml_dtypes`` where that is installed, else unsigned integers of the same bits.
    """

    def __init__(self, handle: Any):
        self._handle = handle
        self.spec = Spec(handle.manifest)

    @property
    def path(self) -> Path:
        return Path(self._handle.path)

    @property
    def format(self) -> str:
        """"safetensors", "torch-zip", "ms-ckpt", …"""
        return str(self._handle.format)

    @property
    def metadata(self) -> Dict[str, str]:
        return dict(self._handle.metadata)

    @property
    def others(self) -> Dict[str, object]:
        """Entries that are not tensors: an epoch number, a text. None where only the kind is known."""
        return {name: value for name, _, value in self._handle.entries}

    @property
    def warnings(self) -> List[str]:
        return list(self._handle.warnings)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.spec:
            raise KeyError(name)
        return _array(self._handle.read(name))

    def tensor(self, name: str) -> Any:
        """The raw handle: ``name``, ``dtype``, ``shape``, ``address``, ``nbytes``, ``is_view``."""
        if name not in self.spec:
            raise KeyError(name)
        return self._handle.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.spec)

    def __len__(self) -> int:
        return len(self.spec)

    def __repr__(self) -> str:
        return f"<ckmap.Checkpoint {str(self.path)!r}: {self.format}, {len(self)} tensors>"

    def _repr_html_(self) -> str:
        return _table_html(("name", "dtype", "shape"), [(t.name, t.dtype, list(t.shape)) for t in self.spec.values()],
                           f"{self.path.name}: {self.format}, {len(self)} tensors")


def open(path: PathLike, *, root: str = "", key: bytes = b"", cipher: str = "", format: str = "", crc_check: bool = False,
         skip_unknown_objects: bool = False, strategy: PathLike = "", only: Sequence[str] = (), drop: Sequence[str] = (),
         specify_prefix: Sequence[str] = (), filter_prefix: Sequence[str] = (), views: bool = True) -> Checkpoint:
    """Opens a checkpoint of any format, found by its content: a file, a folder of shards or ranks, or an index.

    ``root``: of a torch file, the dict that holds the tensors ("state_dict"). ``key``: raw bytes. ``only``, ``drop``: globs
    (``*`` within a part of a name, ``**`` across). MalformedError, InputOutputError, LimitError.
    """
    return Checkpoint(_runtime.Checkpoint.open(os.fspath(path), root, key, cipher, format, crc_check, skip_unknown_objects, os.fspath(strategy),
                                               list(only), list(drop), list(specify_prefix), list(filter_prefix), views))


class Plan:
    """Compiled rules."""

    def __init__(self, handle: Any, warnings: Sequence[Issue] = ()):
        self._handle = handle
        self.warnings: List[Issue] = list(warnings)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the plan's bytes."""
        return str(self._handle.digest)

    @property
    def migration(self) -> str:
        return str(self._handle.migration)

    def __bytes__(self) -> bytes:
        return bytes(self._handle.serialize())

    def save(self, path: PathLike) -> None:
        """Writes a .ckplan."""
        Path(path).write_bytes(bytes(self))


def _pack_plan(name: str) -> Optional[Path]:
    """The plan of a pack that this package carries: "resnet", "llama/hf2mindformers"."""
    folder = PACKS / name
    exact = PACKS / f"{name}.ckplan"
    if exact.is_file() and PACKS in exact.resolve().parents:
        return exact
    plans = sorted(folder.glob("*.ckplan")) if folder.is_dir() and folder.parent == PACKS else []
    return plans[0] if len(plans) == 1 else None


def compile(rules: PathLike, *, packs: Sequence[PathLike] = (), params: Mapping[str, object] = {}, reverse: bool = False) -> Plan:
    """Compiles a .ckmap file, or text that begins with ``ckmap 1;``. ``params`` are fixed in the plan.

    CompileError carries every mistake, each with its file, line and column.

    >>> compile("ckmap 1; migration t from pytorch to mindspore; rename fc -> dense;").migration
    't'
    """
    from . import _compiler

    folders = [os.fspath(pack) for pack in packs] + ([str(PACKS)] if PACKS.is_dir() else [])
    values = {name: _value(value) for name, value in params.items()}
    text = os.fspath(rules)
    if _is_text(text):
        plan, warnings = _compiler.compile_text(text, "rules.ckmap", folders, values, reverse)
    else:
        plan, warnings = _compiler.compile(text, folders, values, reverse)
    return Plan(_runtime.Plan.parse(plan), warnings)


def _is_text(rules: str) -> bool:
    return rules.lstrip().startswith("ckmap 1;")


def plan(rules: Rules) -> Plan:
    """A plan of: a Plan, a .ckmap, a .ckplan, the name of a pack ("resnet"), or text that begins with ``ckmap 1;``."""
    if isinstance(rules, Plan):
        return rules
    name = os.fspath(rules)
    if _is_text(name) or name.endswith(".ckmap"):
        return compile(name)
    carried = _pack_plan(name) if not os.path.exists(name) else None
    return Plan(_runtime.Plan.load(str(carried) if carried else name))


def _value(value: object) -> str:
    """As ``-D`` takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@dataclass
class Report:
    """What a run did."""

    tensors: List[str]
    seconds: float
    mode: str = "save"
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
        rows = [("tensors", len(self.tensors)), ("mode", self.mode), ("seconds", f"{self.seconds:.3f}"), ("kept", len(self.kept)),
                ("dropped", len(self.dropped)), ("notes and warnings", len(self.issues) + len(self.warnings))]
        return _table_html(("", ""), rows, "migration")


def _report(raw: Mapping[str, Any], mode: str, migration: Any) -> Report:
    _, dropped, kept, _ = migration.bound()
    tensors = raw["tensors"]
    return Report(
        tensors=[t[0] for t in tensors], seconds=raw["seconds"], mode=mode, overflowed={t[0]: t[2] for t in tensors if t[2]},
        changed={t[0]: t[3] for t in tensors if t[3]}, digests={t[0]: t[1] for t in tensors if t[1]}, files=dict(raw["files"]),
        kept=[name for name, _ in kept], dropped=[name for name, _ in dropped], issues=list(raw["issues"]), warnings=list(raw["warnings"]), json=raw["json"])


class Target(NamedTuple):
    """One tensor of the target, and where it comes from."""

    name: str
    dtype: str
    shape: Tuple[int, ...]
    sources: List[str]
    ops: List[str]
    rule: str
    initialized: bool
    device: str


class Migration:
    """A plan that is proved to fit a source and a target. No tensor has been read."""

    def __init__(self, handle: Any):
        self._handle = handle

    @property
    def table(self) -> str:
        """What ``ckmap plan`` prints."""
        return str(self._handle.table())

    @property
    def json(self) -> str:
        return str(self._handle.json())

    @property
    def notes(self) -> List[Issue]:
        return list(self._handle.notes)

    @property
    def cost(self) -> Dict[str, int]:
        """Bytes: ``read`` of the source, ``written`` of the target, ``memory`` of buffers."""
        read, written, memory = self._handle.cost()
        return {"read": read, "written": written, "memory": memory}

    @property
    def targets(self) -> List[Target]:
        return [Target(*row) for row in self._handle.bound()[0]]

    @property
    def params(self) -> Dict[str, str]:
        return dict(self._handle.bound()[3])

    def save(self, path: PathLike, *, format: str = "", max_shard_size: int = 0, crc: bool = False, encrypt: str = "", key: bytes = b"",
             old_scalars: bool = False, digest: bool = False, force: bool = False, fsync: bool = True, threads: int = 0,
             max_memory: int = DEFAULT_MEMORY, progress: Progress = None) -> Report:
        """Writes a file: the same bytes as ``ckmap apply``. Complete, or not at all. Sizes are in bytes."""
        raw = self._handle.save(os.fspath(path), format, max_shard_size, crc, encrypt, key, old_scalars, digest, force, fsync, threads, max_memory,
                                _progress(progress))
        return _report(raw, "save", self._handle)

    def tensors(self, order: Sequence[str] = (), *, threads: int = 0, max_memory: int = DEFAULT_MEMORY, views: bool = True) -> Iterator[Tuple[str, np.ndarray]]:
        """Names and read-only arrays, one after another, made ahead by other threads in ``max_memory`` bytes."""
        stream = self._handle.load(list(order), threads, max_memory, views)
        try:
            while True:
                tensor = stream.next()
                if tensor is None:
                    return
                yield tensor.name, _array(tensor)
        finally:
            stream.close()

    def __iter__(self) -> Iterator[Tuple[str, np.ndarray]]:
        return self.tensors()

    async def __aiter__(self) -> AsyncIterator[Tuple[str, np.ndarray]]:
        stream = self._handle.load([], 0, DEFAULT_MEMORY, True)
        loop = asyncio.get_running_loop()
        try:
            while True:
                tensor = await loop.run_in_executor(None, stream.next)
                if tensor is None:
                    return
                yield tensor.name, _array(tensor)
        finally:
            stream.close()

    def __str__(self) -> str:
        return self.table

    def _repr_html_(self) -> str:
        rows = [(t.name, t.dtype, list(t.shape), ", ".join(t.sources), " | ".join(t.ops), t.rule) for t in self.targets]
        return _table_html(("target", "dtype", "shape", "from", "by", "rule"), rows, f"{len(rows)} tensors")


def migrate(source: Union[Checkpoint, PathLike], rules: Rules, target: Union[Spec, PathLike, Any], *, config: PathLike = "",
            params: Mapping[str, object] = {}, ranks: Mapping[str, Tuple[int, int]] = {}, device_map: PathLike = "",
            root: Optional[str] = None) -> Migration:
    """Proves that rules fit a source and a target; reads no tensor.

    ``target``: a Spec, a live network, or the path of a checkpoint or a spec. ``config``: the model's config.json. ``ranks``:
    ``{"tp": (1, 8)}`` makes the slice of rank 1 of 8. MisfitError carries every issue at once.
    """
    if isinstance(source, Checkpoint):
        if root is not None:
            raise UsageError(2, "`root` belongs to ckmap.open where the source is open already", [])
        opened = source
    else:
        opened = open(source, root=root or "")
    values = {name: _value(value) for name, value in params.items()}
    rest = (values, os.fspath(config), {name: tuple(rank) for name, rank in ranks.items()}, os.fspath(device_map))
    compiled = plan(rules)
    if isinstance(target, (str, os.PathLike)):
        return Migration(_runtime.Migration.prepare_path(compiled._handle, opened._handle, os.fspath(target), *rest))
    if not isinstance(target, Spec):
        from . import _nets

        target = _nets.spec_of(target)
    return Migration(_runtime.Migration.prepare(compiled._handle, opened._handle, target._manifest, *rest))


class Verdict(NamedTuple):
    """Whether an output holds what its receipt or report says. Numbers count tensors."""

    ok: bool
    issues: List[Issue]
    tensors: int
    by_digest: int
    by_source: int

    def __bool__(self) -> bool:
        return self.ok


def verify(path: PathLike, *, report: PathLike = "", source: PathLike = "", progress: Progress = None) -> Verdict:
    """Checks a written checkpoint against the receipt that it carries, or against ``report``."""
    return Verdict(*_runtime.verify(os.fspath(path), os.fspath(report), "", os.fspath(source), _progress(progress)))


class Difference(NamedTuple):
    name: str
    kind: str  # "only_in_a", "only_in_b", "dtype", "shape", "values", "unreadable"
    in_a: str
    in_b: str
    different: int
    elements: int
    max_difference: float
    first_index: int


def diff(a: Union[Checkpoint, PathLike], b: Union[Checkpoint, PathLike], *, rtol: float = 0, atol: float = 0, progress: Progress = None) -> List[Difference]:
    """What differs between two checkpoints; an empty list if nothing does. Elements are equal if |a - b| <= atol + rtol * |b|."""
    opened = [c if isinstance(c, Checkpoint) else open(c) for c in (a, b)]
    return [Difference(*row) for row in _runtime.diff(opened[0]._handle, opened[1]._handle, rtol, atol, _progress(progress))]


class LoadVerdict(NamedTuple):
    rules: str
    fits: bool
    loaded: int
    missing: int
    unused: int
    issues: List[Issue]


def load_check(source: Union[Checkpoint, PathLike], target: Union[Spec, PathLike, Any]) -> List[LoadVerdict]:
    """Whether a checkpoint would load into a network as it is: by MindSpore's two rules and by a strict one."""
    opened = source if isinstance(source, Checkpoint) else open(source)
    if isinstance(target, (str, os.PathLike)):
        target = Spec.read(target)
    if not isinstance(target, Spec):
        from . import _nets

        target = _nets.spec_of(target)
    return [LoadVerdict(*row) for row in _runtime.load_check(opened._handle.manifest, target._manifest)]


def inspect(path: PathLike, **options: Any) -> Spec:
    """Names, dtypes and shapes of a checkpoint; ``options`` as for :func:`open`."""
    return open(path, **options).spec
