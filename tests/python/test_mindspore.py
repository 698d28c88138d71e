"""Into live MindSpore cells, and the drop-in."""

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

from memory import growth  # noqa: E402

import ckmap  # noqa: E402
import ckmap.mindspore  # noqa: E402

ms.set_device("CPU")


class Net(ms.nn.Cell):
    def __init__(self):
        super().__init__()
        self.dense = ms.nn.Dense(4, 3)
        self.norm = ms.nn.BatchNorm1d(3)

    def construct(self, x):
        return self.norm(self.dense(x))


RULES = """ckmap 1;
migration t from pytorch to mindspore;
use std;
rename fc -> dense;
"""


def torch_like(path):
    random = np.random.default_rng(0)
    arrays = {"fc.weight": random.normal(size=(3, 4)), "fc.bias": random.normal(size=3), "norm.weight": random.normal(size=3),
              "norm.bias": random.normal(size=3), "norm.running_mean": random.normal(size=3), "norm.running_var": random.random(3) + 1}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    np.savez(path, **arrays)
    return arrays


def values(net):
    return {p.name: p.asnumpy().copy() for p in net.get_parameters()}


def test_load_into(tmp_path):
    arrays = torch_like(tmp_path / "s.npz")
    net = Net()
    assert dict(ckmap.spec_of(net))["norm.moving_mean"].shape == (3,)
    report = ckmap.load_into(net, tmp_path / "s.npz", RULES)
    assert report.mode == "in_place"
    got = values(net)
    np.testing.assert_array_equal(got["dense.weight"], arrays["fc.weight"])
    np.testing.assert_array_equal(got["norm.moving_variance"], arrays["norm.running_var"])


def test_compiled_networks_see_it(tmp_path):
    torch_like(tmp_path / "s.npz")
    net = Net()
    net.set_train(False)
    x = ms.Tensor(np.ones((2, 4), np.float32))
    compiled = ms.jit(net.construct)
    compiled(x)
    ckmap.load_into(net, tmp_path / "s.npz", RULES)
    np.testing.assert_allclose(compiled(x).asnumpy(), net(x).asnumpy(), rtol=1e-5, atol=1e-6)


def test_a_misfit_changes_nothing(tmp_path):
    arrays = torch_like(tmp_path / "s.npz")
    arrays["fc.weight"] = np.zeros((3, 5), np.float32)
    np.savez(tmp_path / "s.npz", **arrays)
    net = Net()
    before = values(net)
    with pytest.raises(ckmap.MisfitError):
        ckmap.load_into(net, tmp_path / "s.npz", RULES)
    for name, array in values(net).items():
        np.testing.assert_array_equal(array, before[name])


def test_lazy_parameters(tmp_path):
    torch_like(tmp_path / "s.npz")
    with ms.nn.no_init_parameters():
        net = Net()
    report = ckmap.load_into(net, tmp_path / "s.npz", RULES)
    assert report.mode == "in_place" and report.replaced
    other = Net()
    ckmap.load_into(other, tmp_path / "s.npz", RULES)
    for name, array in values(net).items():
        np.testing.assert_array_equal(array, values(other)[name])


def test_drop_in(tmp_path):
    net = Net()
    ms.save_checkpoint(net, str(tmp_path / "n.ckpt"))
    ours = ckmap.mindspore.load_checkpoint(tmp_path / "n.ckpt")
    theirs = ms.load_checkpoint(str(tmp_path / "n.ckpt"))
    assert list(ours) == list(theirs)
    for name, parameter in theirs.items():
        np.testing.assert_array_equal(ours[name].asnumpy(), parameter.asnumpy())
    other = Net()
    assert ckmap.mindspore.load_param_into_net(other, ours) == ms.load_param_into_net(Net(), theirs)
    for name, array in values(other).items():
        np.testing.assert_array_equal(array, values(net)[name])
    only = ckmap.mindspore.load_checkpoint(tmp_path / "n.ckpt", specify_prefix="dense")
    assert list(only) == list(ms.load_checkpoint(str(tmp_path / "n.ckpt"), specify_prefix="dense"))


def test_examples_run(tmp_path):
    import doctest

    ms.save_checkpoint(ms.nn.Dense(3, 2), str(tmp_path / "n.ckpt"))
    failed, ran = doctest.testmod(ckmap.mindspore, extraglobs={"example_checkpoint": tmp_path / "n.ckpt", "example_cell": ms.nn.Dense(3, 2)})
    assert ran >= 2 and failed == 0


def test_replace_and_map(tmp_path):
    torch_like(tmp_path / "s.npz")
    expected = Net()
    ckmap.load_into(expected, tmp_path / "s.npz", RULES)
    source = Net()
    ckmap.load_into(source, tmp_path / "s.npz", RULES)
    ms.save_checkpoint(source, str(tmp_path / "n.safetensors"), format="safetensors")
    content = (tmp_path / "n.safetensors").read_bytes()
    for mode in ("replace", "map"):
        net = Net()
        report = ckmap.load_into(net, tmp_path / "n.safetensors", mode=mode)
        assert report.mode == mode and (report.mapped if mode == "map" else report.replaced)
        for name, array in values(net).items():
            np.testing.assert_array_equal(array, values(expected)[name])
        net.dense.weight.asnumpy()[:] = 0
        net.set_train(True)
        net(ms.Tensor(np.ones((2, 4), np.float32))).asnumpy()
        assert (tmp_path / "n.safetensors").read_bytes() == content


def test_placement_on_another_device_is_refused(tmp_path):
    torch_like(tmp_path / "s.npz")
    net = Net()
    before = values(net)
    with pytest.raises(ckmap.MisfitError) as caught:
        ckmap.load_into(net, tmp_path / "s.npz", RULES + 'place "dense.**" on "GPU:0";', devices={"CPU": 1 << 30, "GPU:0": 1 << 30})
    assert "device of its context" in str(caught.value)
    for name, array in values(net).items():
        np.testing.assert_array_equal(array, before[name])
    report = ckmap.load_into(net, tmp_path / "s.npz", RULES + 'place "dense.**" on "CPU";')
    assert report.devices == {"CPU": 4 * (12 + 3 * 5)}


@pytest.mark.parametrize("mode", ["in_place", "replace", "map"])
def test_a_thousand_loads_keep_no_memory(mode, tmp_path):
    net = ms.nn.Dense(64, 64)
    ms.save_checkpoint(net, str(tmp_path / "n.safetensors"), format="safetensors")

    def run(times):
        for _ in range(times):
            ckmap.load_into(net, tmp_path / "n.safetensors", mode=mode)

    assert growth(run, 100, 1000) < 4 << 20  # 16 MiB would be added if one load kept the network
