"""Into live torch modules."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from memory import growth  # noqa: E402

import ckmap  # noqa: E402


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)
        self.bn = torch.nn.BatchNorm1d(3)
        self.emb = torch.nn.Embedding(5, 4)
        self.head = torch.nn.Linear(4, 5, bias=False)
        self.head.weight = self.emb.weight


def test_spec_and_load(tmp_path):
    torch.manual_seed(0)
    first, second = Net(), Net()
    torch.save(first.state_dict(), tmp_path / "s.pt")
    spec = ckmap.spec_of(second)
    assert spec["head.weight"].tied_to == "emb.weight"
    assert spec["bn.num_batches_tracked"].dtype == "i64"
    addresses = {name: tensor.data_ptr() for name, tensor in second.state_dict().items()}
    report = ckmap.load_into(second, tmp_path / "s.pt")
    assert report.mode == "in_place"
    for name, tensor in second.state_dict().items():
        assert torch.equal(tensor, first.state_dict()[name]), name
        assert tensor.data_ptr() == addresses[name]
    assert second.head.weight is second.emb.weight


def test_rules_and_dtypes(tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(3, 2).to(torch.bfloat16))
    np.savez(tmp_path / "s.npz", **{"w": np.arange(6, dtype=np.float32).reshape(3, 2), "b": np.array([1, 2], np.float32)})
    rules = "ckmap 1;\nmigration t from mindspore to pytorch;\nw | transpose() -> \"0.weight\";\nb -> \"0.bias\";\ntarget { cast f32 -> bf16; }\n"
    ckmap.load_into(net, tmp_path / "s.npz", rules)
    assert torch.equal(net[0].weight.float(), torch.arange(6.0).reshape(3, 2).T)


def test_a_misfit_changes_nothing(tmp_path):
    net = Net()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = net.state_dict()
    state["fc.weight"] = torch.zeros(4, 4)
    torch.save(state, tmp_path / "s.pt")
    with pytest.raises(ckmap.MisfitError):
        ckmap.load_into(net, tmp_path / "s.pt")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_meta_and_strided_modules(tmp_path):
    source = Net()
    torch.save(source.state_dict(), tmp_path / "s.pt")
    with torch.device("meta"):
        net = Net()
    report = ckmap.load_into(net, tmp_path / "s.pt")
    assert report.mode == "in_place" and report.replaced
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name]), name
    assert net.head.weight is net.emb.weight
    conv = torch.nn.Conv2d(3, 4, 3, bias=False).to(memory_format=torch.channels_last)
    weight = torch.randn(4, 3, 3, 3)
    torch.save({"weight": weight}, tmp_path / "c.pt")
    ckmap.load_into(conv, tmp_path / "c.pt")
    assert torch.equal(conv.weight, weight) and not conv.weight.is_contiguous()


def test_autograd_notices(tmp_path):
    net = torch.nn.Linear(2, 2)
    torch.save(net.state_dict(), tmp_path / "s.pt")
    x = torch.ones(1, 2, requires_grad=True)
    out = (net(net(x))).sum()
    ckmap.load_into(net, tmp_path / "s.pt")
    with pytest.raises(RuntimeError):
        out.backward()


def test_replace_leaves_the_network_alone_when_it_fails(tmp_path):
    net = torch.nn.Linear(2, 2)
    before = net.weight.clone()
    torch.save({"weight": torch.full((2, 2), 1e300, dtype=torch.float64), "bias": torch.zeros(2, dtype=torch.float64)}, tmp_path / "s.pt")
    rules = "ckmap 1;\nmigration t from pytorch to pytorch;\ntarget { cast f64 -> f32 overflow=error; }\n"
    with pytest.raises(ckmap.MisfitError):
        ckmap.load_into(net, tmp_path / "s.pt", rules, mode="replace")
    assert torch.equal(net.weight, before)


def test_examples_run(tmp_path):
    import doctest

    from ckmap import _load, _nets

    np.savez(tmp_path / "s.npz", **{"fc.weight": np.ones((2, 3), np.float32)})
    net = torch.nn.Module()
    net.fc = torch.nn.Linear(3, 2, bias=False)
    for module in (_load, _nets):
        failed, ran = doctest.testmod(module, extraglobs={"example_net": net, "example_file": tmp_path / "s.npz"})
        assert ran >= 1 and failed == 0


def test_map_copies_nothing_and_changes_no_file(tmp_path):
    first, second = Net(), Net()
    safetensors = pytest.importorskip("safetensors.torch")
    state = first.state_dict()
    del state["head.weight"]
    safetensors.save_file(state, tmp_path / "s.safetensors")
    content = (tmp_path / "s.safetensors").read_bytes()
    rules = "ckmap 1;\nmigration t from pytorch to pytorch;\n"
    report = ckmap.load_into(second, tmp_path / "s.safetensors", rules, mode="map")
    assert report.mode == "map" and {"fc.weight", "emb.weight"} <= set(report.mapped)
    assert second.head.weight is second.emb.weight
    for name, tensor in second.state_dict().items():
        assert torch.equal(tensor, first.state_dict()[name]), name
    with torch.no_grad():
        second.fc.weight.zero_()
    assert (tmp_path / "s.safetensors").read_bytes() == content
    assert not torch.equal(second.fc.weight, first.fc.weight)
    torch.optim.SGD(second.parameters(), 0.1).step()


def test_mapped_parameters_share_nothing(tmp_path):
    np.savez(tmp_path / "s.npz", w=np.ones((64, 64), np.float32))
    net = torch.nn.ParameterDict({"a": torch.nn.Parameter(torch.zeros(64, 64)), "b": torch.nn.Parameter(torch.zeros(64, 64))})
    rules = "ckmap 1;\nmigration t from a to b;\nw -> a;\nw -> b;\n"
    report = ckmap.load_into(net, tmp_path / "s.npz", rules, mode="map")
    with torch.no_grad():
        net["a"].zero_()
    assert net["b"].sum() == 64 * 64
    assert len(report.mapped) + len(report.replaced) == 2


def test_replace_gives_new_memory(tmp_path):
    net = Net()
    torch.save(Net().state_dict(), tmp_path / "s.pt")
    before = net.fc.weight.data_ptr()
    report = ckmap.load_into(net, tmp_path / "s.pt", mode="replace")
    assert report.mode == "replace" and "fc.weight" in report.replaced and net.fc.weight.data_ptr() != before
    assert net.head.weight is net.emb.weight


def test_dlpack(tmp_path):
    state = {"w": torch.arange(6, dtype=torch.float32).reshape(2, 3), "h": torch.arange(6).to(torch.bfloat16), "b": torch.tensor([True, False]),
             "e": torch.arange(4).to(torch.float8_e4m3fn), "s": torch.tensor(3.5), "n": torch.zeros(0, 3)}
    torch.save(state, tmp_path / "s.pt")
    for writable in (False, True):
        checkpoint = ckmap.open(tmp_path / "s.pt", writable=writable)
        for name, tensor in state.items():
            try:
                got = torch.from_dlpack(checkpoint.tensor(name))
            except (RuntimeError, BufferError):
                assert name == "e"  # torch reads 8-bit floats from DLPack since 2.9 or so
                continue
            assert got.dtype == tensor.dtype and torch.equal(got.float(), tensor.float()), name
            got.zero_() if got.numel() else None
        del got
        expected = 0 if writable else 15  # a private view, or a copy
        assert checkpoint["w"].sum() == expected
        assert ckmap.open(tmp_path / "s.pt")["w"].sum() == 15
    with pytest.raises(BufferError):
        ckmap.open(tmp_path / "s.pt").tensor("w").__dlpack__(copy=False)
    assert np.asarray(checkpoint.tensor("b")).tolist() == checkpoint["b"].tolist()


PLACED = """ckmap 1;
migration t from pytorch to pytorch;
place "fc.**" on "GPU:0";
place "emb.**" on "auto";
"""


def test_devices_are_checked_before_anything_is_loaded(tmp_path):
    first, net = Net(), Net()
    torch.save(first.state_dict(), tmp_path / "s.pt")
    before = net.fc.weight.clone()
    with pytest.raises(ckmap.MisfitError) as caught:
        ckmap.load_into(net, tmp_path / "s.pt", PLACED, devices={"CPU": 1 << 30, "Ascend:0": 1 << 30})
    assert "GPU:0" in str(caught.value) and "Ascend:0" in caught.value.issues[0].notes[0]
    with pytest.raises(ckmap.MisfitError) as caught:
        ckmap.load_into(net, tmp_path / "s.pt", PLACED, devices={"CPU": 1 << 30, "GPU:0": 59})
    assert "60 bytes" in str(caught.value) and "59" in str(caught.value)
    assert torch.equal(net.fc.weight, before)
    migration = ckmap.migrate(tmp_path / "s.pt", PLACED, net)
    placement = ckmap.place(migration, devices={"CPU": 100, "Ascend:0": 1000, "Ascend:1": 2000}, rename={"GPU": "Ascend"})
    assert placement.where["fc.weight"] == "Ascend:0" and placement.where["emb.weight"] == "Ascend:1" and placement.where["bn.weight"] == "CPU"
    assert placement.where["head.weight"] == "Ascend:1" and placement.bytes == {"CPU": 56, "Ascend:0": 60, "Ascend:1": 80} and "Ascend:0" in placement._repr_html_()


def test_parameters_go_to_the_device_that_a_map_names(tmp_path):
    first = Net()
    torch.save(first.state_dict(), tmp_path / "s.pt")
    (tmp_path / "map.json").write_text('{"fc": "meta", "": "cpu"}')
    net = Net()
    report = ckmap.load_into(net, tmp_path / "s.pt", device_map=tmp_path / "map.json")
    assert net.fc.weight.is_meta and not net.emb.weight.is_meta and report.devices["meta"] == 60
    assert torch.equal(net.emb.weight, first.emb.weight)


@pytest.mark.parametrize("mode", ["in_place", "replace", "map"])
def test_a_thousand_loads_keep_no_memory(mode, tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.BatchNorm1d(64))
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file({name: tensor.clone() for name, tensor in net.state_dict().items()}, tmp_path / "s.safetensors")

    def run(times):
        for _ in range(times):
            ckmap.load_into(net, tmp_path / "s.safetensors", mode=mode)

    assert growth(run, 100, 1000) < 4 << 20  # the network alone has 17 KiB: 17 MiB would be added if one load kept it
