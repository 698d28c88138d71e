"""``mindspore.load_checkpoint`` and ``load_param_into_net``, strict and fast: the same arguments, for every format that ckmap reads.

Deliberate differences from MindSpore:

- Files of every format are read; ``format`` is not needed, the content decides.
- With ``net``, loading is strict: a parameter without a value raises MisfitError. MindSpore returns a list.
- ``strict_load=False`` neither fills parameters by the ends of their names nor converts dtypes; MisfitError names what MindSpore would do.
- ``remove_redundancy=True`` raises UsageError: a folder of ranks is joined by its strategy instead (``ckmap.open``).
- ``rules`` (new): rules to convert by while loading.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from . import _core, _nets
from ._errors import UsageError

_MODES = {"AES-GCM": "aes-gcm", "AES-CBC": "aes-cbc", "SM4-CBC": "sm4-cbc"}


def _names(prefix: Union[None, str, Sequence[str]]) -> List[str]:
    return [] if prefix is None else [prefix] if isinstance(prefix, str) else list(prefix)


def load_checkpoint(ckpt_file_name: _core.PathLike, net: Any = None, strict_load: bool = False, filter_prefix: Union[None, str, Sequence[str]] = None,
                    dec_key: Optional[bytes] = None, dec_mode: str = "AES-GCM", specify_prefix: Union[None, str, Sequence[str]] = None,
                    choice_func: Optional[Callable[[str], bool]] = None, crc_check: bool = False, remove_redundancy: bool = False,
                    format: str = "ckpt", *, rules: Optional[_core.Rules] = None) -> Dict[str, Any]:
    """A dict from names to Parameters (texts for entries of type str). With ``net``, its parameters get the values too."""
    import mindspore

    if remove_redundancy:
        raise UsageError(2, "remove_redundancy is not taken: name the folder of ranks, which is joined by its strategy", [])
    source = _core.open(ckpt_file_name, key=dec_key or b"", cipher=_MODES.get(dec_mode, dec_mode) if dec_key else "", crc_check=crc_check,
                        specify_prefix=_names(specify_prefix), filter_prefix=_names(filter_prefix))
    if choice_func is not None:
        chosen = [name for name in source if choice_func(name)]
        source = _core.open(ckpt_file_name, key=dec_key or b"", crc_check=crc_check, only=chosen) if chosen else source
    if net is not None:
        _nets.load_into(net, source, rules)
        return {name: parameter for name, parameter in ((p.name, p) for p in net.get_parameters())}
    found: Dict[str, Any] = {}
    for name in source:
        array = source[name]
        if source.spec[name].dtype == "bf16":
            from mindspore.common import np_dtype

            array = np.asarray(array).view(np_dtype.bfloat16)
        found[name] = mindspore.Parameter(mindspore.Tensor.from_numpy(np.array(array, copy=True)), name=name)
    for name, value in source.others.items():
        if isinstance(value, str):
            found[name] = value
    return found


def load_param_into_net(net: Any, parameter_dict: Dict[str, Any], strict_load: bool = False, remove_redundancy: bool = False) -> Tuple[List[str], List[str]]:
    """As MindSpore's; it checks names, dtypes and shapes of all parameters before it changes the first one.

    Returns (parameters of the network without a value, names of the dict that the network does not have), as MindSpore does.
    """
    if remove_redundancy:
        raise UsageError(2, "remove_redundancy is not taken", [])
    parameters = {parameter.name: parameter for parameter in net.get_parameters()}
    wrong = []
    for name, value in parameter_dict.items():
        parameter = parameters.get(name)
        if parameter is not None and hasattr(value, "shape") and (tuple(value.shape) != tuple(parameter.shape) or value.dtype != parameter.dtype):
            wrong.append(f"`{name}`: the network has {parameter.dtype} {tuple(parameter.shape)}, the dict {value.dtype} {tuple(value.shape)}")
    if wrong:
        from ._errors import MisfitError

        raise MisfitError(1, "the parameters do not fit the network; nothing was changed:\n" + "\n".join(wrong), [])
    for name, value in parameter_dict.items():
        if name in parameters:
            np.copyto(parameters[name].asnumpy(), value.asnumpy())
    return [name for name in parameters if name not in parameter_dict], [name for name in parameter_dict if name not in parameters]
