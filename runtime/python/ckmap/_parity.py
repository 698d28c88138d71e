"""Whether two networks compute the same, module by module.

Both run on the same inputs. A module of the torch network and a cell of the MindSpore network are a pair if the plan makes exactly
the cell's parameters of exactly the module's tensors. The first pair whose inputs are equal and whose outputs are not is where the
networks part. How much rounding may differ is measured: the torch network runs once more in double precision.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any, Callable, Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np

from ._checkpoint import PathLike
from ._dtypes import Array
from ._errors import UsageError
from ._migration import Migration, migrate
from ._nets import kind_of, spec_of
from ._plan import Rules
from ._show import table_html

FACTOR = 8.0  # how many times the measured rounding two right networks may differ
FLOOR = 2e-7  # of the largest value: rounding of f32 where the measured one happens to be smaller
Inputs = Union[Array, Sequence[Any], Mapping[str, Any]]


class ModuleParity(NamedTuple):
    """One pair of modules. Differences are the root mean square over all elements, and ``allowed`` is the measured tolerance.

    >>> ModuleParity("fc", "dense", 0.5, 1e-6, 0.0, 1e-6, ["t.ckmap:3"], "").equal
    False
    """

    torch: str            # "" is the network itself
    mindspore: str
    difference: float     # of the outputs
    allowed: float
    input_difference: float
    input_allowed: float
    rules: List[str]      # those that wrote the weights
    not_compared: str     # why there is no difference: "called once and twice"

    @property
    def equal(self) -> bool:
        """Whether the outputs are, as far as rounding allows."""
        return not self.not_compared and self.difference <= self.allowed

    @property
    def inputs_equal(self) -> bool:
        """Whether what the module was given is."""
        return self.input_difference <= self.input_allowed


class Parity(NamedTuple):
    """The result: ``first`` is the pair at which the networks part; None if they are equal.

    >>> Parity(True, None, [], [], []).equal
    True
    """

    equal: bool
    first: Optional[ModuleParity]
    modules: List[ModuleParity]     # in the order in which they ended
    unpaired_torch: List[str]       # modules with tensors that no cell corresponds to
    unpaired_mindspore: List[str]

    def __bool__(self) -> bool:
        return self.equal

    def __str__(self) -> str:
        if self.equal:
            return f"equal: {len(self.modules)} pairs of modules"
        if self.first is None:
            return "not equal: no pair of modules could be compared"
        one = self.first
        where = f"`{one.torch}` and `{one.mindspore}`" if one.torch or one.mindspore else "the networks themselves, outside of their modules"
        text = f"not equal: first in {where}: the outputs differ by {one.difference:.3g}, rounding explains {one.allowed:.3g}"
        return text + (f"; their weights were written by {', '.join(one.rules)}" if one.rules else "")

    def _repr_html_(self) -> str:
        rows = [(m.torch, m.mindspore, m.not_compared or f"{m.difference:.3g}", f"{m.allowed:.3g}", ", ".join(m.rules)) for m in self.modules]
        return table_html(("torch", "mindspore", "difference", "allowed", "rules"), rows, str(self))


class _Call(NamedTuple):
    inputs: List[Array]
    outputs: List[Array]


class _Pair(NamedTuple):
    torch: str
    mindspore: str
    rules: List[str]


def parity(torch_net: Any, ms_net: Any, inputs: Inputs, rules: Rules, *, config: PathLike = "", params: Mapping[str, object] = {},
           call_torch: Optional[Callable[..., Any]] = None, call_mindspore: Optional[Callable[..., Any]] = None) -> Parity:
    """Runs both networks on the same inputs, and finds the first module whose output differs.

    ``inputs``: an array, a sequence of arrays for positional arguments, or a mapping for keyword arguments; a network whose arguments
    differ is called through ``call_torch(net, *arrays)`` or ``call_mindspore(net, *tensors)``. Both networks are in evaluation mode
    meanwhile, and are not changed. MindSpore has to run in PyNative mode (hooks are not called in compiled graphs).

    Outputs are equal if the root mean square of their difference is within 8 times of what the torch network's own outputs differ by in
    single and in double precision, and if they do not differ by a common factor that rounding does not explain. MisfitError: the rules do not fit the two networks.

    >>> parity(None, None, np.zeros(1), "ckmap 1;")
    Traceback (most recent call last):
    ...
    ckmap._errors.UsageError: a NoneType is neither a mindspore.nn.Cell nor a torch.nn.Module
    """
    if kind_of(torch_net) != "torch" or kind_of(ms_net) != "mindspore":
        raise UsageError(2, "parity takes a torch.nn.Module and a mindspore.nn.Cell, in this order", [])
    migration = migrate(spec_of(torch_net), rules, spec_of(ms_net), config=config, params=params)
    pairs, alone_torch, alone_mindspore = _pairs(migration, _torch_modules(torch_net), _mindspore_cells(ms_net), spec_of(ms_net))
    single = _run_torch(torch_net, inputs, [p.torch for p in pairs], call_torch, double=False)
    double = _run_torch(torch_net, inputs, [p.torch for p in pairs], call_torch, double=True)
    other = _run_mindspore(ms_net, inputs, [p.mindspore for p in pairs], call_mindspore)
    rank = {name: i for i, name in enumerate(single)}
    pairs = [pair for pair in pairs if pair.torch in single or pair.mindspore in other]  # lists of modules are never called
    pairs.sort(key=lambda pair: rank.get(pair.torch, len(rank)))
    modules = [_compare(pair, single.get(pair.torch, []), double.get(pair.torch, []), other.get(pair.mindspore, [])) for pair in pairs]
    whole = next((m for m in modules if m.torch == ""), None)
    first = _first(modules)
    if whole is None or whole.not_compared:
        equal = first is None and any(not m.not_compared for m in modules)
    else:
        equal = whole.equal and first is None
        first = first or (None if equal else whole)
    return Parity(equal, first, modules, alone_torch, alone_mindspore)


def _first(modules: List[ModuleParity]) -> Optional[ModuleParity]:
    """Modules end before those that hold them. The first with equal inputs whose outputs differ is at fault; one whose inputs differ
    already shows that the fault is in the code of the module around it."""
    for module in modules:
        if module.equal or module.not_compared:
            continue
        if module.inputs_equal:
            return module
        around = [m for m in modules if _holds(m.torch, module.torch) and not m.equal and not m.not_compared and m.inputs_equal]
        if around:
            return max(around, key=lambda m: len(m.torch))
    return next((m for m in modules if not m.equal and not m.not_compared), None)


def _holds(outer: str, inner: str) -> bool:
    return outer != inner and (outer == "" or inner.startswith(outer + "."))


# ---- Which module became which cell ----


def _torch_modules(net: Any) -> Dict[str, Set[str]]:
    """The names of the tensors in each module that has some."""
    return _below({name: name for name in spec_of(net)}, [name for name, _ in net.named_modules()])


def _mindspore_cells(net: Any) -> Dict[str, Set[str]]:
    paths = {path: parameter.name for path, parameter in net.parameters_and_names()}
    return _below(paths, [name for name, _ in net.cells_and_names()])


def _below(paths: Mapping[str, str], modules: Iterable[str]) -> Dict[str, Set[str]]:
    found: Dict[str, Set[str]] = {}
    known = set(modules)
    for path, name in paths.items():
        for end in itertools.accumulate(path.split(".")[:-1], lambda a, b: f"{a}.{b}"):
            if end in known:
                found.setdefault(end, set()).add(name)
        found.setdefault("", set()).add(name)
    return found


def _pairs(migration: Migration, modules: Dict[str, Set[str]], cells: Dict[str, Set[str]], target: Mapping[str, Any]) -> Tuple[List[_Pair], List[str], List[str]]:
    dropped = {name for name, _ in migration.dropped}
    made: Dict[str, List[str]] = {}
    written: Dict[str, Tuple[List[str], str]] = {}
    for t in migration.targets:
        written[t.name] = (t.sources, t.rule)
        for source in t.sources:
            made.setdefault(source, []).append(t.name)
    # Modules by what the plan makes of them, outermost first; cells by what they hold.
    by_targets: Dict[FrozenSet[str], List[str]] = {}
    for name, tensors in modules.items():
        used = {tensor for tensor in tensors if tensor not in dropped}
        outcome = frozenset(itertools.chain.from_iterable(made.get(tensor, []) for tensor in used))
        if outcome:
            by_targets.setdefault(outcome, []).append(name)
    by_content: Dict[FrozenSet[str], List[str]] = {}
    for name, tensors in cells.items():
        content = frozenset(tensor for tensor in tensors if tensor in written)
        if content:
            by_content.setdefault(content, []).append(name)
    pairs: List[_Pair] = []
    for outcome, names in by_targets.items():
        found = sorted(by_content.get(outcome, []), key=lambda name: name.count(".") + bool(name))
        names = sorted(names, key=lambda name: name.count(".") + bool(name))
        if not found:
            continue
        # Wrappers hold the same tensors as what they wrap: the innermost and the outermost are pairs, the others by their place.
        together = list(zip(names, found)) if len(names) == len(found) else list(dict.fromkeys([(names[0], found[0]), (names[-1], found[-1])]))
        lines = sorted({written[tensor][1] for tensor in outcome}) if len(outcome) <= 16 else []
        pairs.extend(_Pair(one, two, lines) for one, two in together)
    paired = {pair.torch for pair in pairs}, {pair.mindspore for pair in pairs}
    return pairs, sorted(set(modules) - paired[0]), sorted(set(cells) - paired[1])


# ---- Running and comparing ----


def _arrays(value: Any) -> List[Array]:
    """The floating-point tensors in what a module takes or returns, as double precision."""
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return []
    if isinstance(value, Mapping):
        return [array for item in value.values() for array in _arrays(item)]
    if isinstance(value, (list, tuple)):
        return [array for item in value for array in _arrays(item)]
    name = type(value).__module__.partition(".")[0]
    try:
        if name == "torch":
            return [value.detach().double().cpu().numpy().copy()] if value.is_floating_point() else []
        if name == "mindspore":
            import mindspore

            return [value.astype(mindspore.float32).asnumpy().astype(np.float64)] if value.is_floating_point() else []
    except (AttributeError, TypeError):
        return []
    return []


def _run_torch(net: Any, inputs: Inputs, names: List[str], call: Optional[Callable[..., Any]], double: bool) -> Dict[str, List[_Call]]:
    import torch

    if double:
        net = copy.deepcopy(net).double()

    def convert(array: Any) -> Any:
        tensor = torch.from_numpy(np.array(array)) if isinstance(array, (np.ndarray, np.generic)) else array
        return tensor.double() if double and isinstance(tensor, torch.Tensor) and tensor.is_floating_point() else tensor

    def run() -> None:
        net.eval()
        with torch.no_grad():
            _call(net, inputs, convert, call)

    return _record(dict(net.named_modules()), names, run, with_kwargs=True)


def _run_mindspore(net: Any, inputs: Inputs, names: List[str], call: Optional[Callable[..., Any]]) -> Dict[str, List[_Call]]:
    import mindspore

    def convert(array: Any) -> Any:
        return mindspore.Tensor(np.array(array)) if isinstance(array, (np.ndarray, np.generic)) else array

    def run() -> None:
        net.set_train(False)
        _call(net, inputs, convert, call)

    return _record(dict(net.cells_and_names()), names, run)


def _record(modules: Mapping[str, Any], names: Iterable[str], run: Callable[[], None], **options: Any) -> Dict[str, List[_Call]]:
    """What the named modules take and return while ``run`` runs, in the order in which they end. ``options``: of the hooks."""
    calls: Dict[str, List[_Call]] = {}

    def hook(name: str) -> Callable[..., None]:
        def took(module: Any, positional: Any, *rest: Any) -> None:
            *keywords, output = rest
            calls.setdefault(name, []).append(_Call(_arrays(positional) + _arrays(keywords), _arrays(output)))

        return took

    handles = [modules[name].register_forward_hook(hook(name), **options) for name in dict.fromkeys(names)]
    modes = {name: module.training for name, module in modules.items()}
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
        for name, module in modules.items():
            module.training = modes[name]
    return calls


def _call(net: Any, inputs: Inputs, convert: Callable[[Any], Any], call: Optional[Callable[..., Any]]) -> None:
    positional: List[Any] = []
    keywords: Dict[str, Any] = {}
    if isinstance(inputs, Mapping):
        keywords = {name: convert(value) for name, value in inputs.items()}
    elif isinstance(inputs, (list, tuple)):
        positional = [convert(value) for value in inputs]
    else:
        positional = [convert(inputs)]
    if call is not None:
        call(net, *positional, **keywords)
    else:
        net(*positional, **keywords)


def _compare(pair: _Pair, single: List[_Call], double: List[_Call], other: List[_Call]) -> ModuleParity:
    def without(why: str) -> ModuleParity:
        return ModuleParity(pair.torch, pair.mindspore, 0.0, 0.0, 0.0, 0.0, pair.rules, why)

    if len(single) != len(other) or not single:
        return without(f"called {len(single)} times and {len(other)} times")
    worst = (0.0, 0.0)
    worst_input = (0.0, 0.0)
    for one, exact, two in zip(single, double, other):
        outputs = _distance(one.outputs, exact.outputs, two.outputs)
        if outputs is None:
            return without("outputs of different shapes: " + ", ".join(str(list(a.shape)) for a in one.outputs) + " and " +
                           ", ".join(str(list(a.shape)) for a in two.outputs))
        inputs = _distance(one.inputs[:1], exact.inputs[:1], two.inputs[:1])
        worst = max(worst, outputs, key=_excess)
        worst_input = max(worst_input, inputs or (0.0, 0.0), key=_excess)
    return ModuleParity(pair.torch, pair.mindspore, worst[0], worst[1], worst_input[0], worst_input[1], pair.rules, "")


def _excess(pair: Tuple[float, float]) -> float:
    return pair[0] - pair[1] if pair[0] <= pair[1] else pair[0] / max(pair[1], 1e-300)


def _distance(one: List[Array], exact: List[Array], two: List[Array]) -> Optional[Tuple[float, float]]:
    """(difference, what rounding explains) of the worst array; None where the shapes cannot be compared."""
    if not one or not two:
        return None if bool(one) != bool(two) else (0.0, 0.0)
    worst = (0.0, 0.0)
    for a, b, c in zip(one, exact, two):
        if a.size == 0:
            continue
        shaped = _same_shape(a, c)
        if shaped is None:
            return None
        allowed = max(FACTOR * _rms(a - b), FLOOR * _rms(a))
        found, nearest = min(((_rms(a - candidate), i) for i, candidate in enumerate(shaped)), key=lambda pair: pair[0])
        worst = max(worst, (found if np.isfinite(found) else np.inf, allowed), _common_factor(a, b, shaped[nearest]), key=_excess)
    return worst


def _common_factor(a: Array, b: Array, c: Array) -> Tuple[float, float]:
    """The part of the difference that is a factor of all elements, as another epsilon makes it. Rounding has signs that cancel, so that less of
    it is allowed here: as for a mean over the rows, which are taken as independent."""
    size = _rms(a)
    if size == 0 or not np.isfinite(size):
        return (0.0, 0.0)
    rows = int(np.prod(a.shape[:2])) if a.ndim >= 3 else a.shape[0] if a.ndim else 1
    found = abs(float(np.mean((a - c) * a))) / size
    return (found if np.isfinite(found) else np.inf, max(FACTOR * _rms(a - b) / np.sqrt(rows), FLOOR / 2 * size))


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array)))) if array.size else 0.0


def _same_shape(a: Array, c: Array) -> Optional[List[Array]]:
    """`c` in the shape of `a`: as it is, reshaped, or with other orders of axes (batch and sequence exchanged, channels last)."""
    if a.shape == c.shape:
        return [c]
    if a.size != c.size:
        return None
    found = [c.reshape(a.shape)]
    if a.ndim == c.ndim <= 4:
        found += [c.transpose(order) for order in itertools.permutations(range(c.ndim)) if tuple(c.shape[i] for i in order) == a.shape]
    return found
