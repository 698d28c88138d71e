"""Into live torch modules."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

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
    assert "new memory" in report.mode
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
