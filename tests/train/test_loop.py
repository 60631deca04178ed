"""The loop: epochs, early stopping, stopping by hand, and a loss that runs away."""

import json
from pathlib import Path

import pytest

from allbps.errors import DivergedError
from allbps.optim import SGD
from allbps.train import run
from allbps.train.engine import Score, State, Taken
from allbps.train.loop import finished
from allbps.train.moment import EpochRow, Moment, best_epoch
from allbps.train.options import TrainOptions


def row(epoch, held_loss):
    return EpochRow(epoch, 10 * epoch, 0.1, 1.0, 0.5, held_loss, 0.5)


def test_sums_do_not_depend_on_how_many_steps_were_taken_at_once():
    losses = tuple(0.1 * k for k in range(7))
    state = State({}, {"step": 7})
    together = Moment(state).after(state, Taken(losses, (3,) * 7, right=6, labels=21))
    one_by_one = Moment(state)
    for k, loss in enumerate(losses):
        one_by_one = one_by_one.after(state, Taken((loss,), (3,), right=k % 3, labels=3))
    assert together == one_by_one
    assert together.running == Score(one_by_one.loss_sum / 21, one_by_one.right / 21)


def test_a_run_ends_after_its_epochs_or_when_patience_does():
    losses = [3.0, 2.0, 2.5, 2.0, 2.1]
    history = tuple(row(epoch, loss) for epoch, loss in enumerate(losses, 1))
    assert best_epoch(history) == 2
    moment = Moment(State({}, {}), epoch=5, history=history)
    assert finished(TrainOptions(epochs=5), moment)
    assert not finished(TrainOptions(epochs=6), moment)
    assert finished(TrainOptions(epochs=6, patience=3), moment)
    assert not finished(TrainOptions(epochs=6, patience=4), moment)


def test_every_epoch_has_a_line_in_the_log(options):
    chosen = options(schedule="constant", lr=0.1)
    run(chosen)
    rows = [json.loads(line) for line in (chosen.folder / "log.jsonl").read_text().splitlines()]
    assert [r["epoch"] for r in rows] == [1, 2, 3]
    assert [r["steps"] for r in rows] == [12, 24, 36]
    assert {r["lr"] for r in rows} == {0.1}
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_early_stopping_keeps_the_best_weights(options):
    report = run(options(epochs=60, patience=2, lr=0.8))
    assert report.examples["for validation"] > 0
    assert report.epochs < 60
    assert report.note == (
        f"stopped after 2 epochs without improvement; kept the weights of epoch {report.epochs - 2}"
    )


def test_a_loss_that_runs_away_stops_the_run_and_names_the_cause(options):
    chosen = options(model="mlp", lr=1e30, schedule="constant")
    with pytest.raises(DivergedError) as caught:
        run(chosen)
    lines = str(caught.value).splitlines()
    assert lines[0] in ("the loss became nan in epoch 1, step 2",
                        "the loss became inf in epoch 1, step 2",
                        "the loss became nan in epoch 1, step 3")  # fmt: skip
    assert lines[1] == "  expected: finite numbers"
    assert lines[2].startswith("  got:      the first that is not: ")
    assert "mlp.py:" in lines[2]
    checkpoint = Path(chosen.out) / "checkpoint.safetensors"
    assert lines[3] == (
        "  fix:      a smaller --lr than 1e+30, or --clip 1; the state after epoch 0 is in"
        f" {checkpoint}"
    )
    assert checkpoint.is_file()


def strictly(path):
    def refuse(name):
        raise AssertionError(f"{name} in {path}")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("engine", ["machine", "numpy"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("batch_size", [8, 96])
@pytest.mark.parametrize("lr", [1e20, 1e38])
def test_a_run_that_diverges_in_any_step_saves_nothing_as_learnt(
    options, engine, optimizer, batch_size, lr
):
    """Also in the last one, whose own loss is still finite."""
    chosen = options(
        engine=engine, optimizer=optimizer, batch_size=batch_size, lr=lr, epochs=1,
        schedule="constant",
    )  # fmt: skip
    with pytest.raises(DivergedError, match=r"became|no longer finite"):
        run(chosen)
    assert {path.name for path in chosen.folder.iterdir()} == {
        "checkpoint.safetensors",
        "log.jsonl",
    }
    assert strictly(chosen.folder / "log.jsonl") == []


def test_what_was_reached_before_a_divergence_is_kept(options):
    """The rate rises until it is too high: the last good epoch can be resumed."""
    good = options(epochs=1, lr=0.1, schedule="constant")
    run(good)
    kept = (good.folder / "checkpoint.safetensors").read_bytes()
    learnt = (good.folder / "weights.safetensors").read_bytes()

    class Bursts(TrainOptions):
        def optimiser(self, steps):
            return SGD(lambda t: 0.1 if t < 12 else 1e38)

    bad = Bursts(**{**vars(good), "epochs": 2, "resume": True})
    with pytest.raises(DivergedError, match="after epoch 1 is in"):
        run(bad)
    assert (good.folder / "checkpoint.safetensors").read_bytes() == kept
    assert (good.folder / "weights.safetensors").read_bytes() == learnt
    assert len(strictly(good.folder / "log.jsonl")) == 1
