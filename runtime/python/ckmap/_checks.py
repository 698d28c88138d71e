"""Checks of files: verify, diff, load_check."""

from __future__ import annotations

import os
from typing import Any, List, NamedTuple, Union

from . import _runtime
from ._checkpoint import Checkpoint, PathLike, Spec, open
from ._errors import Issue
from ._plan import to_spec
from ._show import Progress, watcher


class Verdict(NamedTuple):
    """Whether an output holds what its receipt or report says. Numbers count tensors.

    >>> bool(Verdict(False, [], 1, 0, 0))
    False
    """

    ok: bool
    issues: List[Issue]
    tensors: int
    by_digest: int
    by_source: int

    def __bool__(self) -> bool:
        return self.ok


def verify(
    path: PathLike, *, report: PathLike = "", source: PathLike = "", plan: PathLike = "", target: PathLike = "", progress: Progress = None
) -> Verdict:
    """Checks a written checkpoint against the receipt that it carries, or against ``report``, the JSON of its run.

    ``source`` compares what was copied as it is with the source too. ``plan``, a .ckplan file or an installed pack, is run
    on ``source`` again, and what it makes is compared; ``target``: the one that it was run for. UsageError: there is neither receipt nor report.

    >>> migration = migrate(example_file, "ckmap 1; migration t from pytorch to mindspore; rename fc -> dense;", example_target)
    >>> report = migration.save(example_folder / "verified.safetensors", digest=True)
    >>> verify(example_folder / "verified.safetensors").by_digest
    1
    """
    return Verdict(*_runtime.verify(os.fspath(path), os.fspath(report), "", os.fspath(source), os.fspath(plan), os.fspath(target),
                                    watcher(progress)))


class Difference(NamedTuple):
    """How one tensor differs. Of "values": ``different`` of ``elements``, the largest |a - b|, and the row-major index of the first.

    >>> Difference("w", "shape", "f32 [2]", "f32 [3]", 0, 0, 0.0, 0).kind
    'shape'
    """

    name: str
    kind: str  # "only_in_a", "only_in_b", "dtype", "shape", "values", "unreadable"
    in_a: str
    in_b: str
    different: int
    elements: int
    max_difference: float
    first_index: int


def diff(a: Union[Checkpoint, PathLike], b: Union[Checkpoint, PathLike], *, rtol: float = 0, atol: float = 0, progress: Progress = None) -> List[Difference]:
    """What differs between two checkpoints; an empty list if nothing does. Elements are equal if |a - b| <= atol + rtol * |b|.

    >>> diff(example_file, example_file)
    []
    """
    opened = [c if isinstance(c, Checkpoint) else open(c) for c in (a, b)]
    return [Difference(*row) for row in _runtime.diff(opened[0]._handle, opened[1]._handle, rtol, atol, watcher(progress))]


class LoadVerdict(NamedTuple):
    """What one way of loading would do: how many tensors of the network get a value, keep their own, and how many go nowhere.

    >>> LoadVerdict("strict", True, 2, 0, 0, []).fits
    True
    """

    rules: str
    fits: bool
    loaded: int
    missing: int
    unused: int
    issues: List[Issue]


def load_check(source: Union[Checkpoint, PathLike], target: Union[Spec, PathLike, Any]) -> List[LoadVerdict]:
    """Whether a checkpoint would load into a network as it is: by MindSpore's two rules and by a strict one.

    >>> [verdict.fits for verdict in load_check(example_file, example_file)]
    [True, True, True]
    """
    opened = source if isinstance(source, Checkpoint) else open(source)
    return [LoadVerdict(*row) for row in _runtime.load_check(opened._handle.manifest, to_spec(target)._manifest)]
