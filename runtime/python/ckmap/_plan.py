"""Rules: compiled to plans, and drafted from two manifests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

from . import _runtime
from ._checkpoint import Checkpoint, PathLike, Spec, open
from ._errors import Issue, UsageError

PACKS = Path(__file__).resolve().parent / "packs"
Rules = Union["Plan", PathLike]


class Plan:
    """Compiled rules.

    >>> plan = compile("ckmap 1; migration t from pytorch to mindspore; rename fc -> dense;")
    >>> plan.migration, len(plan.digest)
    ('t', 64)
    """

    def __init__(self, handle: Any, warnings: Sequence[Issue] = ()):
        self._handle = handle
        self.warnings: List[Issue] = list(warnings)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the plan's bytes."""
        return str(self._handle.digest)

    @property
    def migration(self) -> str:
        """Its name."""
        return str(self._handle.migration)

    def __bytes__(self) -> bytes:
        return bytes(self._handle.serialize())

    def save(self, path: PathLike) -> None:
        """Writes a .ckplan, which the program ``ckmap`` takes."""
        Path(path).write_bytes(bytes(self))

    def __repr__(self) -> str:
        return f"<ckmap.Plan {self.migration!r}>"


def text_value(value: object) -> str:
    """A parameter's value as ``-D`` takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def text_values(params: Mapping[str, object]) -> Dict[str, str]:
    """Parameters as ``-D`` takes them."""
    return {name: text_value(value) for name, value in params.items()}


def _is_text(rules: str) -> bool:
    return rules.lstrip().startswith("ckmap 1;")


def _folders(packs: Sequence[PathLike]) -> List[str]:
    return [os.fspath(pack) for pack in packs] + ([str(PACKS)] if PACKS.is_dir() else [])


def _pack_plan(name: str) -> Optional[Path]:
    """The plan of a pack that this package carries: "resnet", "llama/hf2mindformers"."""
    folder = PACKS / name
    exact = PACKS / f"{name}.ckplan"
    if exact.is_file() and PACKS in exact.resolve().parents:
        return exact
    plans = sorted(folder.glob("*.ckplan")) if folder.is_dir() and folder.parent == PACKS else []
    return plans[0] if len(plans) == 1 else None


def compile(rules: PathLike, *, packs: Sequence[PathLike] = (), params: Mapping[str, object] = {}, reverse: bool = False) -> Plan:
    """Compiles a .ckmap file, or text that begins with ``ckmap 1;``.

    ``packs``: folders that hold packs, before those of this package. ``params`` are fixed in the plan. ``reverse``: the plan runs
    from right to left. CompileError carries every mistake, each with its file, line and column.

    >>> compile("ckmap 1; migration t from pytorch to mindspore; rename fc -> dense;").migration
    't'
    >>> compile("ckmap 1; migration t from a to b; rename fc -> ;")
    Traceback (most recent call last):
    ...
    ckmap._errors.CompileError: ...
    """
    from . import _compiler

    values = text_values(params)
    text = os.fspath(rules)
    if _is_text(text):
        plan, warnings = _compiler.compile_text(text, "rules.ckmap", _folders(packs), values, reverse)
    else:
        plan, warnings = _compiler.compile(text, _folders(packs), values, reverse)
    return Plan(_runtime.Plan.parse(plan), warnings)


def plan(rules: Rules) -> Plan:
    """A plan of: a Plan, a .ckmap, a .ckplan, the name of a pack ("resnet"), or text that begins with ``ckmap 1;``.

    >>> plan("ckmap 1; migration t from pytorch to mindspore;").migration
    't'
    """
    if isinstance(rules, Plan):
        return rules
    name = os.fspath(rules)
    if _is_text(name) or name.endswith(".ckmap"):
        return compile(name)
    carried = _pack_plan(name) if not os.path.exists(name) else None
    return Plan(_runtime.Plan.load(str(carried) if carried else name))


class Draft(NamedTuple):
    """A first draft of rules: ``text`` compiles and binds. Names are those of target tensors.

    >>> Draft("ckmap 1;", ["fc.weight"], [], 0).decisions
    0
    """

    text: str
    certain: List[str]  # whose rule follows from names and shapes
    open: List[str]     # whose rule waits for a decision
    decisions: int      # statements `decide` in the text; with any, the draft binds and does not apply


def suggest(source: Union[Checkpoint, Spec, PathLike], target: Union[Checkpoint, Spec, PathLike, Any], *, values: bool = False, packs: Sequence[PathLike] = (),
            try_packs: bool = True, params: Mapping[str, object] = {}, config: PathLike = "") -> Draft:
    """Drafts rules from names and shapes, as ``ckmapc suggest`` does; ``target`` may be a live network.

    ``values``: both are checkpoints; every tensor is read, and equal values settle what names and shapes leave open. A Checkpoint
    that is open already is read as it was opened, with its ``root``, ``key`` and selection. ``try_packs``: a pack that takes the one
    to the other is the draft. ``params``, ``config``: for the parameters of packs.

    >>> source = Spec.of([TensorInfo("fc.weight", "f32", (10, 4))], "pytorch")
    >>> target = Spec.of([TensorInfo("dense.weight", "f32", (10, 4))], "mindspore")
    >>> suggest(source, target).certain
    ['dense.weight']
    """
    from . import _compiler

    rest = (_folders(packs), try_packs, text_values(params), os.fspath(config))
    if values:
        one, two = _opened(source), _opened(target)
        return Draft(*_compiler.suggest_by_values(one._handle, two._handle, one.path.name, two.path.name, *rest))
    left, right = to_spec(source), to_spec(target)
    return Draft(*_compiler.suggest(left._rows(), left.framework, right._rows(), right.framework, _name(source, "source"),
                                    _name(target, "target"), *rest))


def _name(side: Any, otherwise: str) -> str:
    return os.path.basename(os.fspath(side)) if isinstance(side, (str, os.PathLike)) else otherwise


def _opened(side: Any) -> Checkpoint:
    if isinstance(side, Checkpoint):
        return side
    if isinstance(side, (str, os.PathLike)):
        return open(side)
    raise UsageError(2, "`values` compares elements: source and target are checkpoints", [])


def to_spec(side: Union[Checkpoint, Spec, PathLike, Any]) -> Spec:
    """The names and shapes of a Spec, a checkpoint, a path or a live network."""
    if isinstance(side, Spec):
        return side
    if isinstance(side, Checkpoint):
        return side.spec
    if isinstance(side, (str, os.PathLike)):
        return Spec.read(side)
    from . import _nets

    return _nets.spec_of(side)
