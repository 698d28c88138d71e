"""ckmap.parity: equal networks are equal, and faults are found where they are."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ms = pytest.importorskip("mindspore")

import ckmap  # noqa: E402

import parity_nets  # noqa: E402

ms.set_device("CPU")


def pair(name, seed, folder):
    net, other, rules, inputs = parity_nets.make(name, seed)
    torch.save(net.state_dict(), folder / "s.pth")
    ckmap.load_into(other, folder / "s.pth", rules)
    return net, other, rules, inputs


@pytest.mark.parametrize("name", ["decoder", "gpt", "convs"])
def test_equal_networks_are_equal(name, tmp_path):
    for seed in range(3):
        net, other, rules, inputs = pair(name, seed, tmp_path)
        result = ckmap.parity(net, other, inputs, rules)
        assert result.equal and bool(result), str(result)
        assert len(result.modules) >= 9 and result.modules[-1].torch == ""
    assert "equal" in result._repr_html_()


def test_faults_are_found_where_they_are(tmp_path):
    wrong, equal, ran = [], [], 0
    for seed, (name, kind, layer, apply) in enumerate(parity_nets.faults()):
        net, other, rules, inputs = pair(name, seed, tmp_path)
        expected = apply(other, layer)
        result = ckmap.parity(net, other, inputs, rules)
        ran += 1
        if result.equal:
            equal.append((name, kind, layer))
        if result.first is None or result.first.torch != expected:
            wrong.append((name, kind, layer, expected, str(result)))
    assert ran >= 60
    assert equal == []
    assert ran - len(wrong) >= ran * 55 // 60, wrong


def test_the_rule_is_named(tmp_path):
    net, other, rules, inputs = pair("gpt", 1, tmp_path)
    parity_nets.set_to(other.blocks[2].proj.weight, other.blocks[2].proj.weight.asnumpy() * 1.001)
    result = ckmap.parity(net, other, inputs, rules)
    assert result.first.torch == "h.2.proj" and result.first.mindspore == "blocks.2.proj"
    assert result.first.rules and "h.2.proj" in str(result)
    assert not result.first.equal and result.first.inputs_equal


def test_networks_that_do_not_fit(tmp_path):
    net, other, rules, inputs = pair("convs", 1, tmp_path)
    with pytest.raises(ckmap.MisfitError):
        ckmap.parity(net, other, inputs, "ckmap 1;\nmigration t from pytorch to mindspore;\n")
    with pytest.raises(ckmap.UsageError):
        ckmap.parity(other, net, inputs, rules)


def test_networks_are_left_as_they_were(tmp_path):
    net, other, rules, inputs = pair("convs", 1, tmp_path)
    net.train()
    other.set_train(True)
    before = {p.name: p.asnumpy().copy() for p in other.get_parameters()}
    ckmap.parity(net, other, inputs, rules)
    assert net.training and other.training
    for p in other.get_parameters():
        np.testing.assert_array_equal(p.asnumpy(), before[p.name])
