"""The names of dtypes, here and in numpy, torch and MindSpore."""

from __future__ import annotations

import math
from typing import Any, Optional, Sequence

import numpy as np

# Any array: older numpy wants its arguments where types are checked strictly.
Array = np.ndarray[Any, np.dtype[Any]]

_NUMPY = {
    "bool": "?", "i8": "i1", "u8": "u1", "i16": "<i2", "u16": "<u2", "i32": "<i4", "u32": "<u4", "i64": "<i8", "u64": "<u8",
    "f16": "<f2", "f32": "<f4", "f64": "<f8", "c64": "<c8", "c128": "<c16",
}
_ML_DTYPES = {
    "bf16": "bfloat16", "f8_e4m3": "float8_e4m3fn", "f8_e5m2": "float8_e5m2", "f8_e4m3fnuz": "float8_e4m3fnuz",
    "f8_e5m2fnuz": "float8_e5m2fnuz", "f8_e8m0": "float8_e8m0fnu",
}
_BYTES = {"bf16": 2, "c32": 4}
_TORCH = {
    "bool": "bool", "i8": "int8", "u8": "uint8", "i16": "int16", "u16": "uint16", "i32": "int32", "u32": "uint32", "i64": "int64", "u64": "uint64",
    "f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64", "c32": "complex32", "c64": "complex64", "c128": "complex128",
    "f8_e4m3": "float8_e4m3fn", "f8_e5m2": "float8_e5m2", "f8_e4m3fnuz": "float8_e4m3fnuz", "f8_e5m2fnuz": "float8_e5m2fnuz",
    "f8_e8m0": "float8_e8m0fnu", "f4": "float4_e2m1fn_x2",
}
_MINDSPORE = {
    "bool": "Bool", "i8": "Int8", "u8": "UInt8", "i16": "Int16", "u16": "UInt16", "i32": "Int32", "u32": "UInt32", "i64": "Int64", "u64": "UInt64",
    "f16": "Float16", "bf16": "BFloat16", "f32": "Float32", "f64": "Float64", "c64": "Complex64", "c128": "Complex128", "i4": "QInt4x2",
}
_FROM_TORCH = {name: ours for ours, name in _TORCH.items()}
_FROM_MINDSPORE = {name: ours for ours, name in _MINDSPORE.items()}


def storage_dtype(name: str) -> np.dtype[Any]:
    """A dtype of numpy's own that has as many bytes as ``name``."""
    if name in _NUMPY:
        return np.dtype(_NUMPY[name])
    return np.dtype({1: "u1", 2: "<u2", 4: "<u4"}[_BYTES.get(name, 1)])


def nbytes(name: str, shape: Sequence[int]) -> int:
    """Bytes of a dense tensor."""
    return math.prod(shape) * storage_dtype(name).itemsize


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype that means the same in numpy; with ``ml_dtypes`` also bf16 and the 8-bit floats, else unsigned integers of the same bits."""
    if name in _ML_DTYPES:
        try:
            import ml_dtypes
        except ImportError:
            return storage_dtype(name)
        found: Optional[Any] = getattr(ml_dtypes, _ML_DTYPES[name], None)
        return storage_dtype(name) if found is None else np.dtype(found)
    return storage_dtype(name)


def from_torch(dtype: Any) -> Optional[str]:
    """``torch.float32`` → ``"f32"``; None where there is none."""
    return _FROM_TORCH.get(str(dtype).replace("torch.", ""))


def from_mindspore(dtype: Any) -> Optional[str]:
    """``mindspore.float32`` → ``"f32"``; None where there is none."""
    return _FROM_MINDSPORE.get(str(dtype))


def to_torch(name: str) -> Any:
    import torch

    return getattr(torch, _TORCH[name])
