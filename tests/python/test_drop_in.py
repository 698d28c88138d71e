"""ckmap.mindspore beside MindSpore's own functions: values, lists and kinds of exceptions. What differs is listed with its reason."""

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

import ckmap  # noqa: E402
import ckmap.mindspore as ours  # noqa: E402

ms.set_device("CPU")
KEY = b"0123456789abcdef"


class Net(ms.nn.Cell):
    def __init__(self, width=4):
        super().__init__()
        self.conv = ms.nn.Conv2d(2, 3, 3)
        self.dense = ms.nn.Dense(width, 3)
        self.norm = ms.nn.BatchNorm1d(3)


class Wrapped(ms.nn.Cell):
    def __init__(self):
        super().__init__()
        self.backbone = Net()


DTYPES = ["bool_", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "bfloat16"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drop_in")
    net = Net()
    ms.save_checkpoint(net, str(folder / "n.ckpt"))
    ms.save_checkpoint(net, str(folder / "crc.ckpt"), crc_check=True)
    ms.save_checkpoint(net, str(folder / "n.safetensors"), format="safetensors")
    ms.save_checkpoint(net, str(folder / "gcm.ckpt"), enc_key=KEY, enc_mode="AES-GCM")
    ms.save_checkpoint(net, str(folder / "cbc.ckpt"), enc_key=KEY, enc_mode="AES-CBC")
    ms.save_checkpoint(net, str(folder / "text.ckpt"), append_dict={"epoch": 3, "rate": 0.5, "note": "hello", "last": True})
    ms.save_checkpoint(Wrapped(), str(folder / "wrapped.ckpt"))
    for name in DTYPES:
        values = ms.Tensor(np.arange(6).reshape(2, 3).astype(np.float32)).astype(getattr(ms, name))
        ms.save_checkpoint([{"name": "t", "data": values}, {"name": "scalar", "data": ms.Tensor(2.5)}], str(folder / f"{name}.ckpt"))
    content = bytearray((folder / "crc.ckpt").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "damaged.ckpt").write_bytes(content)
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "garbage.ckpt").write_bytes(b"\xff" * 100)
    return folder


def starts(prefix):
    return lambda name: name.startswith(prefix)


# (file, keyword arguments)
LOADS = [(f"{name}.ckpt", {}) for name in DTYPES] + [
    ("n.ckpt", {}), ("n.ckpt", {"format": "ckpt"}), ("n.safetensors", {"format": "safetensors"}), ("text.ckpt", {}), ("wrapped.ckpt", {}),
    ("crc.ckpt", {}), ("crc.ckpt", {"crc_check": True}),
    ("n.ckpt", {"specify_prefix": "dense"}), ("n.ckpt", {"specify_prefix": ["dense", "norm"]}), ("n.ckpt", {"specify_prefix": ("norm.g",)}),
    ("n.ckpt", {"filter_prefix": "dense"}), ("n.ckpt", {"filter_prefix": ["conv", "norm"]}),
    ("n.ckpt", {"specify_prefix": "norm", "filter_prefix": "norm.moving"}), ("n.ckpt", {"choice_func": starts("dense")}),
    ("n.safetensors", {"format": "safetensors", "choice_func": starts("norm")}), ("text.ckpt", {"choice_func": starts("n")}),
    ("gcm.ckpt", {"dec_key": KEY}), ("gcm.ckpt", {"dec_key": KEY, "dec_mode": "AES-GCM"}), ("cbc.ckpt", {"dec_key": KEY, "dec_mode": "AES-CBC"}),
    # Those that raise:
    ("n.ckpt", {"specify_prefix": "nothing"}), ("n.ckpt", {"filter_prefix": ["conv", "dense", "norm"]}), ("n.ckpt", {"choice_func": starts("zzz")}),
    ("n.ckpt", {"specify_prefix": 3}), ("n.ckpt", {"filter_prefix": {"a": 1}}), ("n.ckpt", {"specify_prefix": []}), ("n.ckpt", {"filter_prefix": ""}),
    ("n.ckpt", {"specify_prefix": ["a", 3]}), ("n.ckpt", {"dec_key": "text"}), ("n.ckpt", {"dec_mode": 3}), ("n.ckpt", {"crc_check": 1}),
    ("n.ckpt", {"remove_redundancy": "yes"}), ("n.ckpt", {"format": "other"}), ("nothing.ckpt", {}), ("empty.ckpt", {}), ("garbage.ckpt", {}),
    ("damaged.ckpt", {"crc_check": True}), ("gcm.ckpt", {"dec_key": b"fedcba9876543210"}), ("n.ckpt", {"dec_key": KEY, "dec_mode": "ROT13"}),
]



def outcome(call):
    try:
        return "value", call()
    except Exception as error:  # noqa: BLE001
        return "error", error


def same_kind(mine, theirs):
    """An exception of ours is caught where a script catches MindSpore's; OSError is what Python raises for files."""
    kinds = [kind for kind in (ValueError, TypeError, RuntimeError, OSError) if isinstance(theirs, kind)]
    return any(isinstance(mine, kind) for kind in kinds) or (isinstance(mine, (ValueError, OSError)) and isinstance(theirs, (ValueError, RuntimeError, OSError)))


def equal(mine, theirs):
    assert sorted(mine) == sorted(theirs)
    for name, value in theirs.items():
        if isinstance(value, str):
            assert mine[name] == value
            continue
        assert mine[name].dtype == value.dtype and tuple(mine[name].shape) == tuple(value.shape)
        assert mine[name].name == name
        np.testing.assert_array_equal(mine[name].astype(ms.float64).asnumpy(), value.astype(ms.float64).asnumpy())


@pytest.mark.parametrize("case", range(len(LOADS)), ids=lambda i: f"{LOADS[i][0]}-{'-'.join(LOADS[i][1])}")
def test_load_checkpoint(case, files):
    name, arguments = LOADS[case]
    kind, mine = outcome(lambda: ours.load_checkpoint(files / name, **arguments))
    real_kind, theirs = outcome(lambda: ms.load_checkpoint(str(files / name), **arguments))
    assert kind == real_kind, (mine, theirs)
    if kind == "value":
        equal(mine, theirs)
        if not name.endswith("safetensors"):
            assert [name for name in mine if not isinstance(mine[name], str)] == [name for name in theirs if not isinstance(theirs[name], str)]
    else:
        assert same_kind(mine, theirs), (mine, theirs)


def parameters(**arrays):
    return {name.replace("__", "."): ms.Parameter(ms.Tensor(array), name=name.replace("__", ".")) for name, array in arrays.items()}


ones = np.ones
INTO = {
    "all": lambda f: ms.load_checkpoint(str(f / "n.ckpt")),
    "part": lambda f: ms.load_checkpoint(str(f / "n.ckpt"), specify_prefix="dense"),
    "more": lambda f: {**ms.load_checkpoint(str(f / "n.ckpt")), **parameters(extra=ones(3, np.float32))},
    "nothing of it": lambda f: parameters(other=ones(3, np.float32)),
    "empty": lambda f: {},
    "texts": lambda f: ms.load_checkpoint(str(f / "text.ckpt")),
    "shape": lambda f: parameters(dense__bias=ones(5, np.float32)),
    "rank": lambda f: parameters(dense__bias=ones((1, 3), np.float32)),
    "not a dict": lambda f: [1],
    "not parameters": lambda f: {"dense.bias": ones(3, np.float32)},
    "integers for floats": lambda f: parameters(dense__bias=ones(3, np.int32)),
}
STRICT = [False, True]


@pytest.mark.parametrize("strict", STRICT)
@pytest.mark.parametrize("name", INTO)
def test_load_param_into_net(name, strict, files):
    one, two = Net(), Net()
    equal_start = {p.name: p.asnumpy().copy() for p in one.get_parameters()}
    for p in two.get_parameters():
        p.set_data(ms.Tensor(equal_start[p.name]))
    kind, mine = outcome(lambda: ours.load_param_into_net(one, INTO[name](files), strict))
    real_kind, theirs = outcome(lambda: ms.load_param_into_net(two, INTO[name](files), strict))
    assert kind == real_kind, (mine, theirs)
    if kind == "error":
        assert same_kind(mine, theirs), (mine, theirs)
        for p in one.get_parameters():
            np.testing.assert_array_equal(p.asnumpy(), equal_start[p.name])
        return
    assert [sorted(side) for side in mine] == [sorted(side) for side in theirs]
    for p, q in zip(one.get_parameters(), two.get_parameters()):
        np.testing.assert_array_equal(p.asnumpy(), q.asnumpy())


def test_the_differences(files):
    """One check for each line of the list in ckmap.mindspore's description."""
    net = Net()
    for p in net.get_parameters():
        p.set_data(ms.Tensor(np.full(p.shape, 7, np.float32)))
    with pytest.raises(ckmap.MisfitError):  # strict
        ours.load_checkpoint(files / "wrapped.ckpt", net)
    assert all((p.asnumpy() == 7).all() for p in net.get_parameters())
    assert ours.load_param_into_net(Net(), ms.load_checkpoint(str(files / "wrapped.ckpt")))[0]  # no ends of names
    assert ms.load_param_into_net(Net(), ms.load_checkpoint(str(files / "wrapped.ckpt")))[0] == []
    with pytest.raises(RuntimeError):  # no conversion of dtypes
        ours.load_param_into_net(Net(), parameters(dense__bias=ones(3, np.float16)))
    with pytest.raises(RuntimeError):  # shapes as they are
        ours.load_param_into_net(Net(), parameters(dense__bias=ones((3, 1), np.float32)))
    assert len(ms.load_param_into_net(Net(), parameters(dense__bias=ones((3, 1), np.float32)))[0]) == 6
    assert sorted(ours.load_checkpoint(files / "n.safetensors", specify_prefix="dense")) == ["dense.bias", "dense.weight"]  # for every format
    with pytest.raises(ckmap.UsageError):
        ours.load_checkpoint(files / "n.ckpt", remove_redundancy=True)
    with pytest.raises(ckmap.MisfitError):  # all or nothing
        ours.load_param_into_net(net, {**parameters(conv__weight=ones((3, 2, 3, 3), np.float32)), **parameters(dense__bias=ones(9, np.float32))})
    assert all((p.asnumpy() == 7).all() for p in net.get_parameters())
    found = ours.load_checkpoint(files / "n.ckpt", net)
    assert found["dense.bias"] is net.dense.bias  # the network's own


def test_there_are_enough_cases():
    assert len(LOADS) + len(INTO) * len(STRICT) >= 60
