"""Checkpoints: names, dtypes and shapes (Spec), elements (Checkpoint, Tensor)."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import _dtypes, _runtime
from ._dtypes import Array
from ._show import table_html

PathLike = Union[str, "os.PathLike[str]"]


class TensorInfo(NamedTuple):
    """What is known of a tensor without its elements.

    ``shape`` lists axes from the outermost. ``dtype`` is ckmap's name ("f32", "bf16"). Only in a target: ``optional`` (the network
    does without it) and ``tied_to`` (the tensor that it shares its memory with). Tensors of a checkpoint with equal ``storage`` share
    bytes. ``unreadable`` says why the elements cannot be had.

    >>> TensorInfo("fc.weight", "f32", (10, 4)).shape
    (10, 4)
    """

    name: str
    dtype: str
    shape: Tuple[int, ...]
    optional: bool = False
    tied_to: str = ""
    storage: int = -1
    unreadable: str = ""


class _Elements:
    """Lends a tensor's bytes to numpy, and keeps them alive."""

    def __init__(self, tensor: Any, writable: bool):
        self._tensor = tensor
        kind = _dtypes.storage_dtype(tensor.dtype)
        self.__array_interface__ = {
            "data": (tensor.address or 0, not writable), "shape": tuple(tensor.shape), "typestr": kind.str, "version": 3,
        }


def as_array(tensor: Any, writable: bool = False) -> Array:
    """An array over the bytes of a raw tensor of ckmap._runtime: a view of the file where its bytes need no work."""
    kind = _dtypes.numpy_dtype(tensor.dtype)
    if tensor.nbytes == 0:
        empty = np.empty(tensor.shape, kind)
        empty.flags.writeable = writable
        return empty
    return np.asarray(_Elements(tensor, writable)).view(kind)


class Tensor:
    """The elements of one tensor of a checkpoint, in memory or as a view of the file. It speaks DLPack and numpy's array interface.

    >>> tensor = open(example_file).tensor("fc.weight")
    >>> tensor.dtype, tensor.shape, tensor.nbytes
    ('f32', (2, 3), 24)
    >>> float(np.asarray(tensor).sum())
    15.0
    """

    def __init__(self, handle: Any, writable: bool = False):
        self._handle = handle
        self._writable = writable

    @property
    def name(self) -> str:
        """In the checkpoint."""
        return str(self._handle.name)

    @property
    def dtype(self) -> str:
        """ckmap's name: "f32", "bf16", "f8_e4m3"."""
        return str(self._handle.dtype)

    @property
    def shape(self) -> Tuple[int, ...]:
        """Axes from the outermost."""
        return tuple(self._handle.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(self._handle.nbytes)

    @property
    def is_view(self) -> bool:
        """Whether the bytes are those of the file, not a copy."""
        return bool(self._handle.is_view)

    def numpy(self, *, copy: bool = False) -> Array:
        """An array; read-only unless it is a copy or the checkpoint was opened with ``writable=True``."""
        array = as_array(self._handle, self._writable)
        return array.copy() if copy else array

    @property
    def __array_interface__(self) -> Dict[str, Any]:
        return dict(self.numpy().__array_interface__)

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> Array:
        array = self.numpy(copy=bool(copy))
        if dtype is None or array.dtype == np.dtype(dtype):
            return array
        if copy is False:
            raise ValueError(f"`{self.name}` is {array.dtype}: it cannot become {np.dtype(dtype)} without a copy")
        return array.astype(dtype)

    def __dlpack__(self, **request: Any) -> Any:
        """For ``torch.from_dlpack`` and others: no copy if the checkpoint was opened with ``writable=True``, else a copy.

        DLPack gives memory that may be written to. BufferError: the dtype has no name in DLPack, or ``copy=False`` of a tensor that
        may not be written to.
        """
        copy = request.pop("copy", None)
        if self._writable and not copy:
            return _runtime.Tensor.dlpack(self._handle, False).__dlpack__(**request)
        if copy is False:
            raise BufferError(f"`{self.name}` may not be written to, and DLPack gives memory that may: open the checkpoint with writable=True")
        return _runtime.Tensor.dlpack(self._handle, True).__dlpack__(**request)

    def __dlpack_device__(self) -> Tuple[int, int]:
        return (1, 0)  # kDLCPU

    def sha256(self) -> str:
        """Hex SHA-256 of the elements, little-endian, dense and row-major: what ``--digest`` and receipts hold."""
        array = as_array(self._handle)
        return hashlib.sha256(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data if array.size else b"").hexdigest()

    def __repr__(self) -> str:
        return f"<ckmap.Tensor {self.name!r}: {self.dtype} {list(self.shape)}>"


class Spec(Mapping[str, TensorInfo]):
    """Names, dtypes and shapes of a checkpoint or of a network, without elements.

    >>> spec = Spec.of([TensorInfo("fc.weight", "f32", (10, 4))])
    >>> spec["fc.weight"].shape
    (10, 4)
    >>> print(spec.to_yaml(), end="")
    tensors:
      - {name: "fc.weight", dtype: f32, shape: [10, 4]}
    """

    def __init__(self, manifest: Any):
        self._manifest = manifest
        self._tensors = {row[0]: TensorInfo(*row) for row in manifest.rows()}

    @classmethod
    def of(cls, tensors: Sequence[TensorInfo], framework: str = "") -> "Spec":
        """From a list. UsageError: a name occurs twice, or there is no such dtype."""
        return cls(_runtime.Manifest.of([(t.name, t.dtype, list(t.shape), t.optional, t.tied_to) for t in tensors], framework))

    @classmethod
    def read(cls, path: PathLike) -> "Spec":
        """Of anything that has names and shapes: a checkpoint of any format, or a spec in YAML or JSON."""
        return cls(_runtime.Manifest.read(os.fspath(path)))

    @property
    def framework(self) -> str:
        """"mindspore", "torch", …; may be empty."""
        return str(self._manifest.framework)

    def __getitem__(self, name: str) -> TensorInfo:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def to_yaml(self) -> str:
        """As a spec that ``--target`` takes."""
        lines = [f"framework: {self.framework}"] if self.framework else []
        lines.append("tensors:")
        for t in self._tensors.values():
            extra = (", optional: true" if t.optional else "") + (f", tied_to: {json.dumps(t.tied_to)}" if t.tied_to else "")
            lines.append(f"  - {{name: {json.dumps(t.name)}, dtype: {t.dtype}, shape: {list(t.shape)}{extra}}}")
        return "\n".join(lines) + "\n"

    def _rows(self) -> List[Tuple[str, str, List[int], bool, str]]:
        return [(t.name, t.dtype, list(t.shape), t.optional, t.tied_to) for t in self._tensors.values()]

    def _repr_html_(self) -> str:
        return table_html(("name", "dtype", "shape"), [(t.name, t.dtype, list(t.shape)) for t in self._tensors.values()], f"{len(self)} tensors")


class Checkpoint(Mapping[str, Array]):
    """An open checkpoint: a mapping from names to arrays.

    Each array is a view of the file where its bytes need no work, else a copy; read-only unless the checkpoint was opened with
    ``writable=True``. bf16 and 8-bit floats have the dtypes of ``ml_dtypes`` where that is installed, else they are unsigned integers
    of the same bits. If another program shortens the file, reading a view ends the process (SIGBUS), as for every mapped file;
    ``views=False`` copies.

    >>> checkpoint = open(example_file)
    >>> list(checkpoint)
    ['fc.weight']
    >>> checkpoint["fc.weight"].shape
    (2, 3)
    """

    def __init__(self, handle: Any, writable: bool = False):
        self._handle = handle
        self._writable = writable
        self.spec = Spec(handle.manifest)

    @property
    def path(self) -> Path:
        """As it was given to :func:`open`."""
        return Path(self._handle.path)

    @property
    def format(self) -> str:
        """"safetensors", "torch-zip", "ms-ckpt", …"""
        return str(self._handle.format)

    @property
    def metadata(self) -> Dict[str, str]:
        """Texts that the file holds beside its tensors, as safetensors does."""
        return dict(self._handle.metadata)

    @property
    def others(self) -> Dict[str, object]:
        """Entries that are not tensors: an epoch number, a text. None where only the kind is known."""
        return {name: value for name, _, value in self._handle.entries}

    @property
    def warnings(self) -> List[str]:
        """Facts about the file that stop nothing, one line each."""
        return list(self._handle.warnings)

    def __getitem__(self, name: str) -> Array:
        if name not in self.spec:
            raise KeyError(name)
        return as_array(self._handle.read(name), self._writable)

    def tensor(self, name: str) -> Tensor:
        """The tensor with its dtype as ckmap names it, for DLPack too. KeyError: no tensor has this name."""
        if name not in self.spec:
            raise KeyError(name)
        return Tensor(self._handle.read(name), self._writable)

    def __iter__(self) -> Iterator[str]:
        return iter(self.spec)

    def __len__(self) -> int:
        return len(self.spec)

    def __repr__(self) -> str:
        return f"<ckmap.Checkpoint {str(self.path)!r}: {self.format}, {len(self)} tensors>"

    def _repr_html_(self) -> str:
        return table_html(("name", "dtype", "shape"), [(t.name, t.dtype, list(t.shape)) for t in self.spec.values()],
                          f"{self.path.name}: {self.format}, {len(self)} tensors")


def open(path: PathLike, *, root: str = "", key: bytes = b"", cipher: str = "", format: str = "", crc_check: bool = False,
         skip_unknown_objects: bool = False, strategy: PathLike = "", only: Sequence[str] = (), drop: Sequence[str] = (),
         specify_prefix: Sequence[str] = (), filter_prefix: Sequence[str] = (), views: bool = True, writable: bool = False) -> Checkpoint:
    """Opens a checkpoint of any format, found by its content: a file, a folder of shards or ranks, or an index.

    ``root``: of a torch file, the dict that holds the tensors ("state_dict"). ``key``: raw bytes. ``only``, ``drop``: globs
    (``*`` within a part of a name, ``**`` across). ``views``: arrays may be views of the file. ``writable``: arrays may be written
    to; pages are copied when that happens, and the file stays as it is.

    MalformedError: the file is broken, hostile, or of no known format. InputOutputError: it cannot be read. LimitError.

    >>> open(example_file, writable=True)["fc.weight"].flags.writeable
    True
    """
    return Checkpoint(_runtime.Checkpoint.open(os.fspath(path), root, key, cipher, format, crc_check, skip_unknown_objects, os.fspath(strategy),
                                               list(only), list(drop), list(specify_prefix), list(filter_prefix), views, writable), writable)


def inspect(path: PathLike, **options: Any) -> Spec:
    """Names, dtypes and shapes of a checkpoint; ``options`` as for :func:`open`.

    >>> inspect(example_file)["fc.weight"].dtype
    'f32'
    """
    return open(path, **options).spec
