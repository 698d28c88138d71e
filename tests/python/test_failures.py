"""Failures while loading into live networks: the network is as it was, or the error names what is not complete."""

import os
import signal
import struct
import threading
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import ckmap  # noqa: E402

SIDE, COUNT = 512, 12
RULES = "ckmap 1;\nmigration t from pytorch to pytorch;\n\"w.{i}\" | transpose() -> \"p.{i}\";\ntarget { cast f64 -> f32 overflow=error; }\n"


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.p = torch.nn.ParameterList([torch.nn.Parameter(torch.full((SIDE, SIDE), -1.0)) for _ in range(COUNT)])


def arrays(seed, dtype=np.float32):
    random = np.random.default_rng(seed)
    return {f"w.{i}": random.random((SIDE, SIDE)).astype(dtype) for i in range(COUNT)}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("failures") / "s.npz"
    np.savez(path, **arrays(0))
    return path, arrays(0)


def text_of(error):
    """What the error says, with its issues and its cause."""
    parts = [str(error)] + [f"`{issue.tensor}` {issue.message}" for issue in getattr(error, "issues", [])]
    return "\n".join(parts + ([text_of(error.__cause__)] if error.__cause__ is not None else []))


def check(net, error, new):
    """Every parameter is as it was; or each is complete, or named as not complete."""
    state = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    if all((array == -1).all() for array in state.values()):
        return "untouched"
    said = text_of(error)
    for name, array in state.items():
        expected = new["w" + name[1:]].T
        assert np.array_equal(array, expected) or f"`{name}`" in said or "none of them is to be used" in said or "it is complete" in said, (name, said)
    return "named"


def damaged(path, out, tensor):
    """A copy in which one byte of a member's data differs, so that its checksum is wrong."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{tensor}.npy")
    name_length, extra_length = struct.unpack_from("<HH", content, info.header_offset + 26)
    at = info.header_offset + 30 + name_length + extra_length + info.file_size - 5
    content[at] ^= 0x40
    out.write_bytes(content)


def test_checksums(source, tmp_path):
    path, new = source
    for i in range(COUNT):
        damaged(path, tmp_path / "bad.npz", f"w.{i}")
        for mode in ("in_place", "replace", "map"):
            net = Net()
            with pytest.raises(ckmap.MalformedError) as caught:
                ckmap.load_into(net, tmp_path / "bad.npz", RULES, mode=mode)
            assert check(net, caught.value, new) == "untouched" or mode == "in_place"


def test_shapes_and_names(source, tmp_path):
    path, new = source
    for i in range(COUNT):
        for broken in ({f"w.{i}": np.zeros((SIDE, 3), np.float32)}, {f"other.{i}": np.zeros(1, np.float32)}, {f"w.{i}": np.zeros((SIDE, SIDE), np.int8)}):
            np.savez(tmp_path / "bad.npz", **{**new, **broken})
            net = Net()
            with pytest.raises(ckmap.MisfitError) as caught:
                ckmap.load_into(net, tmp_path / "bad.npz", RULES)
            assert check(net, caught.value, new) == "untouched"


def test_values_that_do_not_fit(tmp_path):
    new = arrays(1, np.float64)
    for i in range(COUNT):
        bad = {**new, f"w.{i}": new[f"w.{i}"].copy()}
        bad[f"w.{i}"][7, 9] = 1e300
        np.savez(tmp_path / "bad.npz", **bad)
        expected = {name: array.astype(np.float32) for name, array in bad.items()}
        for mode in ("in_place", "replace", "map"):
            net = Net()
            with pytest.raises(ckmap.MisfitError) as caught:
                ckmap.load_into(net, tmp_path / "bad.npz", RULES, mode=mode)
            found = check(net, caught.value, expected)
            assert found == "untouched" or mode == "in_place"


def test_exceptions_of_the_callback_and_interrupts(source):
    path, new = source
    failed = 0
    for attempt in range(60):
        net = Net()
        mode = ("in_place", "replace")[attempt % 2]

        def stop(done, total):
            raise (KeyboardInterrupt if attempt % 3 == 0 else RuntimeError)("enough")

        try:
            ckmap.load_into(net, path, RULES, mode=mode, threads=1, progress=stop, max_memory=1 << 20)
        except (RuntimeError, KeyboardInterrupt) as error:
            failed += 1
            assert error.__cause__ is not None
            assert check(net, error, new) == "untouched" or mode == "in_place"
    assert failed >= 10  # a run may end before its first report


def test_interrupts(source, monkeypatch):
    path, new = source
    random = np.random.default_rng(3)
    loading = threading.Event()

    def interrupt(number, frame):
        if loading.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        for attempt in range(20):
            net = Net()
            timer = threading.Timer(float(random.random()) * 0.05, lambda: os.kill(os.getpid(), signal.SIGINT))
            timer.start()
            loading.set()
            try:
                ckmap.load_into(net, path, RULES, threads=1, max_memory=1 << 20)
                loading.clear()
            except KeyboardInterrupt as error:
                loading.clear()
                if error.__cause__ is not None:  # else it came while Python ran, before or after the run
                    check(net, error, new)
            timer.join()
    finally:
        signal.signal(signal.SIGINT, before)


def test_memory(source, monkeypatch):
    path, new = source
    from ckmap import _nets

    for at in range(COUNT):
        net = Net()
        made = []

        def empty(*arguments, **keywords):
            made.append(1)
            if len(made) > at:
                raise MemoryError("no more")
            return torch_empty(*arguments, **keywords)

        torch_empty = torch.empty
        monkeypatch.setattr(torch, "empty", empty)
        try:
            with pytest.raises(MemoryError) as caught:
                ckmap.load_into(net, path, RULES, mode="replace")
        finally:
            monkeypatch.undo()
        assert check(net, caught.value, new) == "untouched"
    assert _nets is not None


def test_a_file_that_shrinks(source, tmp_path):
    path, new = source
    content = path.read_bytes()
    for i in range(COUNT):
        copy = tmp_path / f"s{i}.npz"
        copy.write_bytes(content)
        opened = ckmap.open(copy)
        os.truncate(copy, len(content) * i // COUNT)
        net = Net()
        with pytest.raises(ckmap.Error) as caught:
            ckmap.load_into(net, opened, RULES)
        check(net, caught.value, new)


def test_parameters_that_refuse_new_memory(source, monkeypatch):
    path, new = source
    from ckmap import _nets

    for at in range(COUNT):
        net = Net()
        with torch.device("meta"):
            net.p[at] = torch.nn.Parameter(torch.empty(SIDE, SIDE))
        slots = _nets.slots_of

        def refusing(*arguments):
            def refuse(holder, device):
                raise RuntimeError("refused")

            return [slot._replace(adopt=refuse) if slot.info.name == f"p.{at}" else slot for slot in slots(*arguments)]

        from ckmap import _load

        monkeypatch.setattr(_load, "slots_of", refusing)
        with pytest.raises(ckmap.StoppedError) as caught:
            ckmap.load_into(net, path, RULES)
        monkeypatch.undo()
        assert f"`p.{at}`" in str(caught.value)
