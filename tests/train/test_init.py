"""A run may begin with the weights of a file instead of drawn ones."""

from dataclasses import replace

import numpy as np
import pytest

from allbps import nn, weights
from allbps.errors import UserFileError
from allbps.train import TrainOptions, load_weights, run


@pytest.fixture
def own():
    """Weights of the lecture's net for digits of four classes, of another kind of number."""
    drawn = nn.named("lecture").init(np.random.default_rng(7), (1, 8, 8), 4)
    return {name: array.astype(np.float16) for name, array in drawn.items()}


def test_a_run_begins_with_the_numbers_of_the_file(options, tmp_path, own):
    path = tmp_path / "mine.safetensors"
    weights.save(path, own)
    chosen = options(init=str(path), lr=0.0, epochs=1)
    run(chosen)
    _, params, _ = load_weights(chosen.folder / "weights.safetensors")
    assert params.keys() == own.keys()
    for name, array in params.items():
        np.testing.assert_array_equal(array, own[name].astype(np.float32))


def test_a_run_goes_on_without_the_file_that_it_began_with(options, tmp_path, own):
    path = tmp_path / "mine.safetensors"
    weights.save(path, own)
    chosen = options(init=str(path), schedule="constant", epochs=1)
    run(chosen)
    path.unlink()
    assert run(replace(chosen, epochs=2, resume=True)).epochs == 2


def test_weights_of_another_net_are_refused_before_anything_is_written(options, tmp_path, own):
    path = tmp_path / "mine.safetensors"
    weights.save(path, {**own, "c": np.zeros(9), "more": np.zeros(())})
    chosen = options(init=str(path))
    with pytest.raises(UserFileError) as caught:
        run(chosen)
    assert str(caught.value) == (
        f"{path} does not fit the parameters\n"
        "  expected: an entry for each of the 4 parameters, and no other\n"
        "  got:      unexpected: more ()\n"
        "            misshaped: c (9,), not (4,)\n"
        "  fix:      give weights of this --model, for as many classes"
    )
    weights.save(path, {**own, "W": own["W"].T})
    with pytest.raises(UserFileError, match=r"rewrite the file with bp\.weights\.load"):
        run(chosen)
    with pytest.raises(UserFileError, match="there is no file nowhere"):
        run(replace(chosen, init="nowhere"))
    assert not chosen.folder.exists()


def test_the_command_names_the_file():
    assert TrainOptions(init="a b.safetensors").command() == (
        "allbps train --init 'a b.safetensors'"
    )
