"""``mindspore.load_checkpoint`` and ``load_param_into_net``, strict and fast: the same arguments, for every format that ckmap reads.

Deliberate differences from MindSpore 2.10; all else gives the same values, lists and kinds of exceptions:

- Files of every format are read, whatever their names end in; ``format`` is checked for its value alone, the content decides.
- The dict has the order of the file, and texts come last. MindSpore sorts the names of a safetensors file.
- Each Parameter has its name. MindSpore's have none when they come from a safetensors file.
- ``specify_prefix`` and ``filter_prefix`` hold for every format, and together with ``choice_func``. MindSpore ignores them for
  safetensors, and ``choice_func`` where one of them is given.
- With ``net``, ``load_checkpoint`` is strict: a parameter without a value, or a name that the network does not have, raises MisfitError
  before anything is written, and the result holds the network's own Parameters. MindSpore leaves them out and only logs.
- ``strict_load=False`` neither fills parameters by the ends of their names nor converts dtypes: MisfitError, or the name is in the list.
- ``load_param_into_net`` checks all parameters before it changes the first one. MindSpore stops midway.
- A shape is taken as it is. MindSpore takes (3, 1) for (3,), and (1,) for a scalar.
- Damaged files, wrong keys and wrong checksums raise MalformedError (a ValueError). MindSpore raises ValueError or RuntimeError.
- ``remove_redundancy=True`` raises UsageError: ``ckmap.open`` joins a folder of ranks by its strategy.
- ``ckpt_file_name`` is a path; io.BytesIO is not taken.
- ``rules`` (new): rules to convert by while loading.
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from . import _nets
from ._checkpoint import Checkpoint, PathLike, open
from ._errors import MisfitError, UsageError
from ._load import load_into
from ._plan import Rules

_MODES = {"AES-GCM": "aes-gcm", "AES-CBC": "aes-cbc", "SM4-CBC": "sm4-cbc"}
Prefix = Union[None, str, List[str], Tuple[str, ...]]


class LoadError(MisfitError, RuntimeError):
    """Parameters do not fit the network. MindSpore raises RuntimeError."""


def _prefixes(prefix: Prefix) -> List[str]:
    if prefix is None:
        return []
    if not isinstance(prefix, (str, list, tuple)):
        raise TypeError(f"specify_prefix and filter_prefix are a string, a list or a tuple of strings, not {type(prefix)}")
    found = [prefix] if isinstance(prefix, str) else list(prefix)
    if any(not isinstance(one, str) for one in found):
        raise TypeError("specify_prefix and filter_prefix hold strings alone")
    if not found or "" in found:
        raise UsageError(2, "specify_prefix and filter_prefix are neither empty nor do they hold an empty string", [])
    return found


def load_checkpoint(ckpt_file_name: PathLike, net: Any = None, strict_load: bool = False, filter_prefix: Prefix = None, dec_key: Optional[bytes] = None,
                    dec_mode: str = "AES-GCM", specify_prefix: Prefix = None, choice_func: Optional[Callable[[str], bool]] = None, crc_check: bool = False,
                    remove_redundancy: bool = False, format: str = "ckpt", *, rules: Optional[Rules] = None) -> Dict[str, Any]:
    """A dict from names to Parameters (texts for entries of type str). With ``net``, its parameters get the values too.

    ValueError: nothing is left after the selection, the file is broken, or an argument makes no sense. TypeError: a prefix that is
    not a string. See the module's description for what differs from MindSpore.

    >>> sorted(load_checkpoint(example_checkpoint))
    ['bias', 'weight']
    """
    import mindspore

    for name, value, kinds in (("dec_key", dec_key, (bytes, type(None))), ("dec_mode", dec_mode, str), ("crc_check", crc_check, bool),
                               ("remove_redundancy", remove_redundancy, bool)):
        if not isinstance(value, kinds):
            raise UsageError(2, f"{name} has type {type(value).__name__}", [])  # a ValueError, as MindSpore's
    if format not in ("ckpt", "safetensors"):
        raise UsageError(2, f"format is {format!r}; it may be 'ckpt' or 'safetensors'", [])
    if dec_key is not None and dec_mode not in _MODES:
        raise UsageError(2, f"dec_mode is {dec_mode!r}; it may be {', '.join(map(repr, _MODES))}", [])
    if remove_redundancy:
        raise UsageError(2, "remove_redundancy is not taken: ckmap.open joins a folder of ranks by its strategy", [])

    def opened(only: Sequence[str] = ()) -> Checkpoint:
        return open(ckpt_file_name, key=dec_key or b"", cipher=_MODES[dec_mode] if dec_key else "", crc_check=crc_check,
                    specify_prefix=_prefixes(specify_prefix), filter_prefix=_prefixes(filter_prefix), only=only)

    source = opened()
    names = [name for name in source if choice_func is None or choice_func(name)]
    texts = {name: value for name, value in source.others.items() if isinstance(value, str) and (choice_func is None or choice_func(name))}
    if not names and not texts:
        raise UsageError(2, "nothing is left after specify_prefix, filter_prefix and choice_func", [])
    if net is not None:
        chosen = source if len(names) == len(source) else opened([_literal(name) for name in names])
        load_into(net, chosen, rules)
        return {parameter.name: parameter for parameter in net.get_parameters()}
    found: Dict[str, Any] = {}
    for name in names:
        dtype = source.spec[name].dtype
        array = np.array(source[name], copy=True).view(_nets.mindspore_storage(dtype))
        tensor = mindspore.Tensor.from_numpy(array.reshape(source.spec[name].shape))
        found[name] = mindspore.Parameter(tensor, name=name)
    found.update(texts)
    return found


def _literal(name: str) -> str:
    """The glob that matches this name alone. Names with `*` cannot be chosen one by one."""
    if any(character in name for character in "*?["):
        raise UsageError(2, f"choice_func cannot choose `{name}`, whose name is a glob", [])
    return name


def load_param_into_net(net: Any, parameter_dict: Dict[str, Any], strict_load: bool = False, remove_redundancy: bool = False) -> Tuple[List[str], List[str]]:
    """Gives parameters of a network the values of a dict, in the memory that they have. Checks all of them before it changes the first.

    Returns (parameters of the network without a value, names of the dict that the network does not have). LoadError (a RuntimeError):
    dtypes or shapes differ. TypeError: ``net`` is not a Cell, or the dict holds something that is not a Parameter.

    >>> load_param_into_net(example_cell, load_checkpoint(example_checkpoint))
    ([], [])
    """
    import mindspore

    if not isinstance(net, mindspore.nn.Cell):
        raise TypeError(f"net is a {type(net).__name__}, not a Cell")
    if not isinstance(parameter_dict, dict):
        raise TypeError(f"parameter_dict is a {type(parameter_dict).__name__}, not a dict")
    if not isinstance(strict_load, bool) or not isinstance(remove_redundancy, bool):
        raise TypeError("strict_load and remove_redundancy are bool")
    if remove_redundancy:
        raise UsageError(2, "remove_redundancy is not taken", [])
    for name, value in parameter_dict.items():
        if not isinstance(value, (mindspore.Parameter, str, list)):
            raise TypeError(f"`{name}` is a {type(value).__name__}, not a Parameter")
    values = {name: value for name, value in parameter_dict.items() if isinstance(value, mindspore.Parameter)}
    parameters = {parameter.name: parameter for parameter in net.get_parameters()}
    wrong = [f"`{name}`: the network has {parameters[name].dtype} {tuple(parameters[name].shape)}, the dict {value.dtype} {tuple(value.shape)}"
             for name, value in values.items() if name in parameters
             and (tuple(value.shape) != tuple(parameters[name].shape) or value.dtype != parameters[name].dtype)]
    if wrong:
        raise LoadError(1, "the parameters do not fit the network; nothing was changed:\n" + "\n".join(wrong), [])
    slots = {slot.info.name: slot for slot in _nets.slots_of(net)}
    for name, value in values.items():
        if name not in slots:
            continue
        array = np.ascontiguousarray(value.asnumpy())
        slot = slots[name]
        if slot.address:
            ctypes.memmove(slot.address, array.ctypes.data, slot.nbytes)
        elif slot.nbytes:
            slot.adopt(np.array(array, copy=True), "")
    return [name for name in parameters if name not in values], [name for name in parameter_dict if name not in parameters]
