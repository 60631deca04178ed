"""PyTorch's files into parameters and back: every number, or one message for all that is wrong."""

import json
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError, DtypeError, MissingExtraError, UserFileError
from allbps.weights.tensors import open_tensors


@pytest.fixture
def draw():
    return np.random.default_rng(0).standard_normal


def refused(path, like, **options):
    with pytest.raises(UserFileError) as caught:
        bp.weights.load(path, like=like, **options)
    return str(caught.value)


def same(found, expected):
    np.testing.assert_array_equal(found, expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)


def test_nested_containers_go_by_dotted_names(tmp_path, draw):
    params = {
        "fc1": {"weight": draw((4, 3)), "bias": draw(4)},
        "layers": [{"scale": draw(2)}, {"scale": np.array(2.5)}],
        "steps": np.array(3),
    }
    path = tmp_path / "net.safetensors"
    bp.weights.save(path, params)
    stored = load_file(path)
    assert sorted(stored) == [
        "fc1.bias", "fc1.weight", "layers.0.scale", "layers.1.scale", "steps",
    ]  # fmt: skip
    for like in (params, stored):
        found = bp.weights.load(path, like=like)
        assert bp.tree.same_structure(found, like)
        for new, old in zip(bp.tree.leaves(found), bp.tree.leaves(like), strict=True):
            same(new, old)
            assert not np.shares_memory(new, old)


@pytest.mark.parametrize("kind", ["float64", "float32", "float16"])
@pytest.mark.parametrize("wanted", ["float64", "float32", "float16"])
def test_kinds_of_number_are_those_of_the_parameters(tmp_path, draw, kind, wanted):
    numbers = draw((3, 2)).astype(kind)
    path = tmp_path / "net.safetensors"
    save_file({"W": numbers, "zero-d": np.array(numbers[0, 0])}, path)
    found = bp.weights.load(
        path, like={"W": np.ones((3, 2), wanted), "zero-d": np.ones((), wanted)}
    )
    same(found["W"], numbers.astype(wanted))
    same(found["zero-d"], np.asarray(numbers[0, 0], wanted))


def test_numbers_that_a_parameter_cannot_hold_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"W": np.array([1.0, 7e4, np.inf]), "n": np.array([1.0, 2.5])}, path)
    like = {"W": np.zeros(3, np.float16), "n": np.zeros(2, np.int64)}
    assert refused(path, like) == (
        f"numbers of {path} and of the parameters cannot be the same\n"
        "  got:      W: float16 cannot hold 70000.0\n"
        "            n: int64 cannot hold 2.5"
    )


def test_all_that_does_not_fit_is_named_at_once(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"a": np.zeros(2), "b": np.zeros((2, 3)), "e": np.zeros(7), "f": np.zeros(8)}, path)
    like = {"a": np.zeros(3), "b": np.zeros((2, 3)), "c": np.zeros(()), "d": np.zeros((1, 2))}
    assert refused(path, like) == (
        f"{path} does not fit the parameters\n"
        "  expected: an entry for each of the 4 parameters, and no other\n"
        "  got:      missing: c (); d (1, 2)\n"
        "            unexpected: e (7,); f (8,)\n"
        "            misshaped: a (2,), not (3,)\n"
        "  fix:      strict=False passes over what the other side lacks"
    )


def test_what_does_not_matter_may_be_passed_over(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"a": np.ones(2), "head": np.ones(9)}, path)
    like = {"a": np.zeros(2), "b": np.full(3, 5.0)}
    found = bp.weights.load(path, like=like, strict=False)
    assert found["a"].tolist() == [1, 1]
    assert found["b"].tolist() == [5, 5, 5]
    assert found["b"] is not like["b"]
    assert "missing: x" in refused(path, {"x": np.ones(2)}, strict=False)


def test_names_are_written_with_dots_or_underscores_and_may_be_given(tmp_path, draw):
    path = tmp_path / "net.safetensors"
    weight, bias = draw((4, 4)), draw(4)
    save_file({"layer1.0.conv.weight": weight, "layer1.0.conv.bias": bias}, path)
    found = bp.weights.load(path, like={"layer1_0_conv_weight": weight, "layer1_0_conv_bias": bias})
    same(found["layer1_0_conv_weight"], weight)
    like = {"W": weight, "b": bias}
    message = refused(path, like)
    names = {"W": "layer1.0.conv.weight", "b": "layer1.0.conv.bias"}
    assert f"fix:      names={dict(sorted(names.items()))}, if these are meant" in message
    for given in (names, names.__getitem__):
        found = bp.weights.load(path, like=like, names=given)
        same(found["W"], weight)
        same(found["b"], bias)
    back = tmp_path / "back.safetensors"
    bp.weights.save(back, found, names=names)
    assert load_file(back).keys() == load_file(path).keys()
    with pytest.raises(KeyError, match="there is no parameter 'V'"):
        bp.weights.load(path, like=like, names={"V": "x"})


def test_no_entry_is_given_to_two_parameters_by_likeness(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"a_b": np.ones(2)}, path)
    assert "missing: a.b" in refused(path, {"a": {"b": np.zeros(2)}, "a_b": np.zeros(2)})
    assert "missing: b" in refused(path, {"a": np.ones(2), "b": np.ones(2)}, names={"a": "a_b"})
    save_file({"a": np.ones(2), "b": np.ones(2)}, path)
    like = {"a": np.ones(2), "b": np.ones(2)}
    assert "unexpected: a" in refused(path, like, names={"a": "b"})


def test_matrices_the_other_way_round(tmp_path, draw):
    path = tmp_path / "net.safetensors"
    weight = draw((4, 3))
    save_file({"W": weight}, path)
    like = {"W": np.zeros((3, 4))}
    assert "transposed=['W'], since PyTorch's linear weights are (out, in)" in refused(path, like)
    found = bp.weights.load(path, like=like, transposed=["W"])
    same(found["W"], weight.T)
    bp.weights.save(tmp_path / "back.safetensors", found, transposed=["W"])
    same(load_file(tmp_path / "back.safetensors")["W"], weight)
    with pytest.raises(ArgumentError, match="b cannot be transposed"):
        bp.weights.load(path, like={"b": np.zeros(3)}, transposed=["b"])


def test_tied_parameters_are_written_once_and_stay_tied(tmp_path, draw):
    path = tmp_path / "net.safetensors"
    table = draw((5, 2))
    bp.weights.save(path, {"wte": table, "head": table, "bias": draw(5)})
    entries, metadata = open_tensors(path)
    assert set(entries) == {"head", "bias"}
    assert metadata == {"format": "pt", "wte": "head"}
    for like in (
        {"wte": table, "head": table, "bias": np.zeros(5)},
        {"wte": np.zeros((5, 2)), "head": np.zeros((5, 2)), "bias": np.zeros(5)},
    ):
        found = bp.weights.load(path, like=like)
        assert found["wte"] is found["head"]
        same(found["wte"], table)


def test_tied_parameters_whose_entries_differ_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"wte": np.zeros(2), "head": np.ones(2)}, path)
    one = np.zeros(2)
    assert "wte and head, which are one array, differ" in refused(path, {"wte": one, "head": one})
    assert bp.weights.load(path, like={"wte": np.zeros(2), "head": np.zeros(2)})["head"].any()


def test_a_file_gives_its_names_and_kinds_of_number(tmp_path, draw):
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    stored = {"bn.weight": draw(3).astype(np.float16), "bn.num_batches_tracked": np.array(7)}
    save_file(stored, old, {"format": "pt", "who": "someone"})
    params = bp.weights.load(old, like={"bn_weight": np.zeros(3, np.float32)})
    bp.weights.save(new, {"bn_weight": params["bn_weight"] + 1}, like=old)
    written = load_file(new)
    same(written["bn.weight"], stored["bn.weight"] + np.float16(1))
    same(written["bn.num_batches_tracked"], stored["bn.num_batches_tracked"])
    assert open_tensors(new)[1] == {"format": "pt", "who": "someone"}
    with pytest.raises(UserFileError, match="does not fit the parameters"):
        bp.weights.save(new, {"other": np.zeros(3)}, like=old)
    with pytest.raises(UserFileError, match="float16 cannot hold 1000000"):
        bp.weights.save(new, {"bn_weight": np.full(3, 1e6)}, like=old)
    assert load_file(new).keys() == written.keys()


def test_a_net_computes_the_same_after_the_way_there_and_back(tmp_path):
    model = bp.nn.named("resnet20")
    params = model.init(np.random.default_rng(0), (1, 8, 8), 3)
    path = tmp_path / "net.safetensors"
    dotted = {
        name.replace("_", ".").replace("running.", "running_"): a for name, a in params.items()
    }
    bp.weights.save(path, dotted)
    found = bp.weights.load(path, like=model.init(np.random.default_rng(1), (1, 8, 8), 3))
    x = np.random.default_rng(2).standard_normal((2, 1, 8, 8)).astype(np.float32)
    same(model.forward(found, x), model.forward(params, x))
    assert F.relu(found["fc_bias"]).shape == (3,)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "net.safetensors"
    like = {"W": np.zeros(100)}
    bp.weights.save(path, like)
    whole = path.read_bytes()
    for broken in (whole[:-8], whole[:40], whole[:4], b"", b"hello", whole + b"more"):
        path.write_bytes(broken)
        assert refused(path, like).startswith(f"{path} is truncated, or is not a safetensors file")
    path.write_bytes(b"PK\x03\x04" + b" " * 100)
    assert refused(path, like).endswith(
        "got:      a file of torch.save\n"
        "  fix:      bp.torch.from_state(torch.load(path, weights_only=True), like=params)"
    )
    assert (
        refused(tmp_path / "no", like)
        == f"there is no file {tmp_path}/no\n  fix:      check the path"
    )
    assert refused(tmp_path, like).startswith("there is no file")


def test_numbers_that_numpy_has_not_are_named(tmp_path):
    path = tmp_path / "net.safetensors"
    bp.weights.save(path, {"W": np.zeros(2, np.uint8)})
    path.write_bytes(path.read_bytes().replace(b'"U8"', b'"F8_E4M3"').replace(b"     ", b"", 1))
    data = path.read_bytes()
    header = json.dumps({"W": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[-2:])
    assert refused(path, {"W": np.zeros(2)}).splitlines()[-1] == "  got:      F8_E4M3"


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"a": {"b": np.zeros(1)}, "a.b": np.zeros(1)}, ArgumentError, "the name a.b"),
        (np.zeros(3), ArgumentError, "a parameter needs a name"),
        ({"a": "text"}, DtypeError, "the parameter a is not an array of numbers"),
        (
            {"a": np.zeros(1, np.longdouble)},
            DtypeError,
            "the parameter a is not an array of numbers",
        ),
    ],
)
def test_parameters_that_cannot_be_written(tmp_path, params, error, message):
    with pytest.raises(error, match=message):
        bp.weights.save(tmp_path / "net.safetensors", params)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    bp.weights.save(path, {"W": np.zeros(3)})
    kept = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserFileError, match="No space left on device"):
        bp.weights.save(path, {"W": np.ones(3)})
    assert path.read_bytes() == kept
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_absent_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'allbps\[safetensors\]'"):
        bp.weights.save(tmp_path / "net.safetensors", {"W": np.zeros(1)})
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match="safetensors is needed for saving and loading"):
        bp.weights.load(tmp_path / "net.safetensors", like={"W": np.zeros(1)})
