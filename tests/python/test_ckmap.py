"""The Python package, without a framework: arrays, rules, migrations, errors."""

import asyncio
import doctest
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from memory import growth

import ckmap

RULES = "ckmap 1;\nmigration t from pytorch to mindspore;\nrename fc -> dense;\nconv.w [O, I] | transpose() -> conv.w [I, O] exactly \"turned\";\n"


def save_npz(path, **arrays):
    np.savez(path, **{name.replace("__", "."): array for name, array in arrays.items()})
    return path


@pytest.fixture
def source(tmp_path):
    return save_npz(tmp_path / "s.npz", fc__weight=np.arange(6, dtype=np.float32).reshape(2, 3), conv__w=np.arange(8, dtype=np.float16).reshape(2, 4))


@pytest.fixture
def target():
    return ckmap.Spec.of([ckmap.TensorInfo("dense.weight", "f32", (2, 3)), ckmap.TensorInfo("conv.w", "f16", (4, 2))], "mindspore")


def test_import_imports_no_framework():
    code = """
import sys, ckmap
assert not {'numpy', 'ckmap._runtime'} & set(sys.modules), sorted(sys.modules)
assert {'load_into', '__version__'} <= set(dir(ckmap)) and ckmap.Spec and not hasattr(ckmap, 'nothing')
assert not {'torch', 'mindspore', 'ckmap._compiler'} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", code], check=True)


def test_open_gives_arrays(source):
    checkpoint = ckmap.open(source)
    assert list(checkpoint) == ["fc.weight", "conv.w"]
    assert checkpoint.format == "npz"
    array = checkpoint["fc.weight"]
    assert array.dtype == np.float32 and not array.flags.writeable
    np.testing.assert_array_equal(array, np.arange(6).reshape(2, 3))
    del checkpoint
    np.testing.assert_array_equal(array, np.arange(6).reshape(2, 3))  # the array keeps the file open
    with pytest.raises(KeyError):
        ckmap.open(source)["nothing"]
    assert "fc.weight" in ckmap.open(source)._repr_html_()


def test_migrate_proves_and_saves(source, target, tmp_path):
    migration = ckmap.migrate(source, RULES, target)
    assert "dense.weight" in migration.table
    assert [t.name for t in migration.targets] == ["dense.weight", "conv.w"]
    assert migration.targets[1].ops == ["transpose()"] or migration.targets[1].ops
    report = migration.save(tmp_path / "out.ckpt", digest=True)
    assert report.tensors == ["dense.weight", "conv.w"] and len(report.digests) == 2
    assert (tmp_path / "out.ckpt").stat().st_size == list(report.files.values())[0]
    made = dict(migration.tensors())
    np.testing.assert_array_equal(made["conv.w"], np.arange(8, dtype=np.float16).reshape(2, 4).T)
    assert ckmap.diff(tmp_path / "out.ckpt", tmp_path / "out.ckpt") == []
    (tmp_path / "r.json").write_text(report.json)
    assert ckmap.verify(tmp_path / "out.ckpt", report=tmp_path / "r.json").ok

    async def collect():
        return [name async for name, _ in migration]

    assert asyncio.run(collect()) == ["dense.weight", "conv.w"]


def test_streams_may_be_left(source, target):
    for name, array in ckmap.migrate(source, RULES, target):
        assert name == "dense.weight"
        break


def test_an_asynchronous_iteration_may_be_cancelled(tmp_path):
    """While a tensor is awaited: the thread that makes it ends before the stream does."""
    path = save_npz(tmp_path / "big.npz", **{f"w{i}": np.ones((500, 500), np.float32) for i in range(4)})
    rules = "ckmap 1;\nmigration t from a to b;\n" + "".join(f"w{i}, w{i} | matmul() -> w{i};\n" for i in range(4))
    target = ckmap.Spec.of([ckmap.TensorInfo(f"w{i}", "f32", (500, 500)) for i in range(4)])

    async def cancel(after):
        migration = ckmap.migrate(path, rules, target)

        async def collect():
            return [name async for name, _ in migration]

        task = asyncio.ensure_future(collect())
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for attempt in range(20):
        asyncio.run(cancel(0.0005 * attempt))


def test_a_misfit_lists_everything(source):
    target = ckmap.Spec.of([ckmap.TensorInfo("dense.weight", "f32", (2, 4)), ckmap.TensorInfo("other", "f32", (1,))])
    with pytest.raises(ckmap.MisfitError) as caught:
        ckmap.migrate(source, RULES, target)
    assert caught.value.code == 1
    assert {issue.code for issue in caught.value.issues} >= {"CK1201", "CK1203"}
    assert isinstance(caught.value, ValueError)
    assert "dense.weight" in str(caught.value)


def test_rules_with_mistakes():
    with pytest.raises(ckmap.CompileError) as caught:
        ckmap.compile("ckmap 1;\nmigration t from a to b;\n\"a\" | transpos() -> \"b\";\n")
    [issue] = caught.value.issues
    assert (issue.code, issue.line) == ("CK0314", 3)


def test_files_that_are_not_there_or_broken(tmp_path):
    with pytest.raises(OSError) as caught:
        ckmap.open(tmp_path / "nothing.pth")
    assert caught.value.code == 4
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 not an archive")
    with pytest.raises(ckmap.MalformedError) as caught:
        ckmap.open(tmp_path / "broken.npz")
    assert caught.value.code == 3


def test_nothing_is_written_over_without_force(source, target, tmp_path):
    out = tmp_path / "out.npz"
    out.write_bytes(b"precious")
    with pytest.raises(ckmap.Error):
        ckmap.migrate(source, RULES, target).save(out)
    assert out.read_bytes() == b"precious"


def test_progress_and_its_exceptions(tmp_path):
    big = save_npz(tmp_path / "big.npz", w=np.zeros((4096, 4096), np.float32))
    migration = ckmap.migrate(big, "ckmap 1;\nmigration t from a to b;\nw | transpose() -> w;\n", ckmap.Spec.of([ckmap.TensorInfo("w", "f32", (4096, 4096))]))
    seen = []
    migration.save(tmp_path / "ok.npz", progress=lambda done, total: seen.append((done, total)))
    assert all(total == 4096 * 4096 * 4 for _, total in seen)

    def stop(done, total):
        raise RuntimeError("enough")

    for attempt in range(20):  # a run may end before its first report
        try:
            migration.save(tmp_path / f"stopped{attempt}.npz", progress=stop)
        except RuntimeError as error:
            assert str(error) == "enough"
            assert not (tmp_path / f"stopped{attempt}.npz").exists()


def test_keyboard_interrupt_stops_a_run(tmp_path):
    code = f"""
import ckmap, numpy as np, os, signal, threading
np.savez({str(tmp_path / 'm.npz')!r}, a=np.ones((1500, 1500), np.float32))
rules = 'ckmap 1;\\nmigration t from a to b;\\n' + '(((a, a | matmul()), a | matmul()), a | matmul()), a | matmul() -> a;'
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job begins with SIGINT ignored
m = ckmap.migrate({str(tmp_path / 'm.npz')!r}, rules, ckmap.Spec.of([ckmap.TensorInfo('a', 'f32', (1500, 1500))]))
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    m.save({str(tmp_path / 'o.npz')!r})
    print('finished')
except KeyboardInterrupt:
    print('interrupted', os.path.exists({str(tmp_path / 'o.npz')!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "interrupted False", done


def test_threads_and_fork(source, target):
    wrong = []

    def run():
        for _ in range(20):
            made = dict(ckmap.migrate(source, RULES, target).tensors())
            if made["conv.w"][3, 1] != 7:
                wrong.append(1)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    child = os.fork()
    if child == 0:
        os._exit(0 if len(dict(ckmap.migrate(source, RULES, target).tensors())) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_memory_stays_flat(source, target):
    def run(times):
        for _ in range(times):
            dict(ckmap.migrate(source, RULES, target).tensors())

    assert growth(run, 50, 300) < 8 << 20


def test_suggest_reads_checkpoints_as_they_were_opened(tmp_path):
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(4, 4)).astype(np.float32) for _ in range(2))
    save_npz(tmp_path / "s.npz", one__x=a, one__y=b, other=np.zeros(3, np.float32))
    save_npz(tmp_path / "t.npz", two__p=b, two__q=a)
    source, target = ckmap.open(tmp_path / "s.npz", only=["one.*"]), ckmap.open(tmp_path / "t.npz")
    assert ckmap.suggest(source, target).decisions > 0  # names and shapes leave open which is which
    by_paths = ckmap.suggest(tmp_path / "s.npz", tmp_path / "t.npz", values=True)
    assert "other" in by_paths.text
    for name in ("s.npz", "t.npz"):  # they are not opened again
        (tmp_path / name).unlink()
    draft = ckmap.suggest(source, target, values=True)
    assert draft.decisions == 0 and "other" not in draft.text and "s.npz" in draft.text
    made = dict(ckmap.migrate(source, draft.text, ckmap.Spec.of(list(target.spec.values()))).tensors())
    np.testing.assert_array_equal(made["two.p"], b)
    np.testing.assert_array_equal(made["two.q"], a)
    for wrong in (source.spec, 3):
        with pytest.raises(ckmap.UsageError):
            ckmap.suggest(source, wrong, values=True)


def test_types(tmp_path):
    """mypy --strict accepts the package, and a script that uses it as the page does."""
    pytest.importorskip("mypy")
    script = tmp_path / "use.py"
    script.write_text("""
import ckmap
from typing import Any, Dict
import numpy as np

checkpoint: ckmap.Checkpoint = ckmap.open("digits.pth")
migration = ckmap.migrate(checkpoint, "torch2ms.ckmap", "target.yaml", params={"heads": 32})
report: ckmap.Report = migration.save("digits.ckpt", digest=True)
arrays: Dict[str, "np.ndarray[Any, np.dtype[Any]]"] = dict(migration.tensors())
issues = [issue.code for issue in report.issues]
decisions: int = ckmap.suggest(checkpoint, "target.yaml").decisions
where: Dict[str, str] = ckmap.place(migration).where
""")
    # A copy: mypy would take the other packages beside an installed one for the user's own.
    package = shutil.copytree(Path(ckmap.__file__).parent, tmp_path / "ckmap")
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--cache-dir", str(tmp_path / "cache"), str(package), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_function_has_an_example_that_runs(tmp_path):
    """Each public name but the exceptions has a doctest; those of networks run in test_torch.py and test_mindspore.py."""
    from ckmap import _checkpoint, _checks, _devices, _migration, _parity, _plan

    example = save_npz(tmp_path / "s.npz", fc__weight=np.arange(6, dtype=np.float32).reshape(2, 3))
    names = dict(vars(ckmap), np=np, example_file=example, example_folder=tmp_path,
                 example_target=ckmap.Spec.of([ckmap.TensorInfo("dense.weight", "f32", (2, 3))], "mindspore"))
    for module in (_checkpoint, _checks, _devices, _migration, _parity, _plan):
        failed, ran = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        assert ran >= 2 and failed == 0, module
    missing = [name for name in ckmap.__all__ if ">>>" not in (getattr(ckmap, name).__doc__ or "") and not name.endswith(("Error", "Issue"))]
    assert missing == []


def test_the_page_does_what_it_says(tmp_path, monkeypatch):
    import re
    import shutil

    root = Path(__file__).resolve().parents[2]
    for file in (root / "examples" / "quickstart").iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (root / "runtime/python/README.md").read_text(), re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
