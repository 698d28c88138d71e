"""Beside torch and MindSpore in one process: every order of import, warnings as errors, threads, fork."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ms = pytest.importorskip("mindspore")

import ckmap  # noqa: E402
import parity_nets  # noqa: E402

ms.set_device("CPU")

# Each is used after it was imported; MindSpore and ckmap each bring protobuf.
USE = {
    "ckmap": """
import ckmap
plan = ckmap.compile("ckmap 1; migration t from pytorch to mindspore; use std; rename fc -> dense;")
assert ckmap.open(folder + "/s.pth")["fc.weight"].shape == (3, 4)
""",
    "torch": """
import torch
assert torch.load(folder + "/s.pth")["fc.weight"].shape == (3, 4)
""",
    "mindspore": """
import mindspore
mindspore.set_device("CPU")
dense = mindspore.nn.Dense(4, 3)
mindspore.save_checkpoint(dense, folder + "/" + order + ".ckpt")
""",
}
TOGETHER = """
net = mindspore.nn.Cell()
net.dense = mindspore.nn.Dense(4, 3)
ckmap.load_into(net, folder + "/s.pth", plan)
x = torch.ones(2, 4)
state = torch.load(folder + "/s.pth")
expected = x @ state["fc.weight"].T + state["fc.bias"]
assert abs(net.dense(mindspore.Tensor(x.numpy())).asnumpy() - expected.numpy()).max() < 1e-5
assert sorted(ckmap.open(folder + "/" + order + ".ckpt")) == ["bias", "weight"]
print("right")
"""
ORDERS = [("ckmap", "torch", "mindspore"), ("ckmap", "mindspore", "torch"), ("torch", "mindspore", "ckmap"), ("mindspore", "torch", "ckmap")]


def test_every_order_of_import(tmp_path):
    torch.save(torch.nn.ModuleDict({"fc": torch.nn.Linear(4, 3)}).state_dict(), tmp_path / "s.pth")
    for some in (ORDERS[:2], ORDERS[2:]):  # two at once
        running = []
        for order in some:
            code = f"folder, order = {str(tmp_path)!r}, {'-'.join(order)!r}\n" + "".join(USE[name] for name in order) + TOGETHER
            running.append((order, subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)))
        for order, process in running:
            output = process.communicate(timeout=300)[0]
            assert process.returncode == 0 and output.endswith("right\n"), (order, output)


def test_loads_under_the_development_mode(tmp_path):
    """`python -X dev -W error`: warnings of ckmap are errors, its memory is checked, and no file stays open."""
    torch.save(torch.nn.Linear(4, 3).state_dict(), tmp_path / "s.pth")
    code = f"""
import warnings
import torch
warnings.simplefilter("error")  # those of torch's own import are not ckmap's
import ckmap
for mode in ("in_place", "replace", "map"):
    net = torch.nn.Linear(4, 3)
    ckmap.load_into(net, {str(tmp_path / 's.pth')!r}, mode=mode)
    migration = ckmap.migrate({str(tmp_path / 's.pth')!r}, "ckmap 1; migration t from any to any;", net)
    migration.save({str(tmp_path)!r} + "/" + mode + ".safetensors", digest=True)
    assert ckmap.verify({str(tmp_path)!r} + "/" + mode + ".safetensors").ok
    assert len(dict(migration.tensors())) == 2
    try:
        ckmap.load_into(torch.nn.Linear(4, 4), {str(tmp_path / 's.pth')!r}, mode=mode)
    except ckmap.MisfitError:
        pass
print("right")
"""
    done = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout == "right\n", done.stderr
    assert "ckmap" not in done.stderr, done.stderr


@pytest.mark.parametrize("framework", ["torch", "mindspore"])
def test_eight_threads_load_at_once(framework, tmp_path):
    sources = []
    for seed in range(8):
        sources.append(np.random.default_rng(seed).random((64, 64)).astype(np.float32))
        np.savez(tmp_path / f"{seed}.npz", weight=sources[-1])
    wrong = []

    def run(seed):
        for mode in ("in_place", "replace", "map") * 5:
            net = torch.nn.Linear(64, 64, bias=False) if framework == "torch" else ms.nn.Dense(64, 64, has_bias=False)
            ckmap.load_into(net, tmp_path / f"{seed}.npz", mode=mode)
            values = net.weight.detach().numpy() if framework == "torch" else net.weight.asnumpy()
            if not np.array_equal(values, sources[seed]):
                wrong.append((seed, mode))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_loads_after_a_fork(tmp_path):
    """The child of a process that has loaded already loads too."""
    torch.save(torch.nn.Linear(64, 64).state_dict(), tmp_path / "s.pth")
    state = torch.load(tmp_path / "s.pth")
    ckmap.load_into(torch.nn.Linear(64, 64), tmp_path / "s.pth")
    child = os.fork()
    if child == 0:
        right = False
        try:
            net = torch.nn.Linear(64, 64)
            ckmap.load_into(net, tmp_path / "s.pth")
            right = all(np.array_equal(net.state_dict()[name].numpy(), tensor.numpy()) for name, tensor in state.items())
        finally:
            os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("name", ["decoder", "gpt", "convs"])
def test_a_live_network_gets_what_the_file_holds(name, tmp_path):
    """load_into, with no file in between, gives the bits that `save` writes and MindSpore loads, and the network answers as torch's does."""
    net, expected, rules, inputs = parity_nets.make(name, 3)
    torch.save(net.state_dict(), tmp_path / "s.pth")
    ckmap.migrate(tmp_path / "s.pth", rules, expected).save(tmp_path / "o.ckpt")
    assert ms.load_param_into_net(expected, ms.load_checkpoint(str(tmp_path / "o.ckpt")), strict_load=True) == ([], [])
    for mode in ("in_place", "replace", "map"):
        live = parity_nets.make(name, 4)[1]
        report = ckmap.load_into(live, tmp_path / "s.pth", rules, mode=mode)
        for p, q in zip(live.get_parameters(), expected.get_parameters()):
            assert p.name == q.name and p.name in report.tensors
            assert p.asnumpy().dtype == q.asnumpy().dtype and p.asnumpy().tobytes() == q.asnumpy().tobytes(), p.name
        assert ckmap.parity(net, live, inputs, rules).equal
