"""What the report says follows from the rounds; who disagrees is not timed, nor raced against."""

import json

import numpy as np
import pytest

from allbps.bench import bench as room
from allbps.bench.bench import BenchOptions, bench
from allbps.bench.command import bench as command
from allbps.bench.deadline import Deadline
from allbps.bench.peer import Peer
from allbps.bench.report import BenchReport, Entry, RowResult
from allbps.bench.rounds import interleaved, pace, too_slow
from allbps.errors import ArgumentError, NameUnknownError


def row(**entries):
    made = [Entry(name.replace("_", "."), deviation=0.0, seconds=s) for name, s in entries.items()]
    return RowResult("mlp", "an MLP", "torch in float64", made)


def test_the_ratio_is_the_median_of_each_rounds_own():
    result = row(machine=[1.0, 2.0, 1.0], torch=[2.0, 8.0, 3.0], jax=[9.0, 9.0, 9.0])
    assert result.fastest_peer.peer == "torch"
    ratios = {e.peer: result.ratio(e) for e in result.entries}
    assert ratios == {"machine": 3.0, "torch": 1.0, "jax": pytest.approx(3 / 9)}


def test_we_are_not_our_own_peer():
    assert row(machine=[1.0], numpy=[0.5]).fastest_peer is None


def test_who_computes_something_else_is_not_raced_against():
    result = row(machine=[1.0, 1.0], torch=[2.0, 2.0], jax=[0.1, 0.1])
    result.entries[2].deviation = 0.5
    assert result.fastest_peer.peer == "torch"


def test_spread_is_half_the_distance_of_the_quartiles():
    assert Entry("torch", seconds=[1.0, 2.0, 3.0, 4.0, 5.0]).spread == pytest.approx(1 / 3)
    assert Entry("torch", seconds=[1.0]).spread is None


class Fake:
    """A runner that counts."""

    def __init__(self, losses):
        self.losses, self.taken, self.turns = losses, 0, []

    def run(self, steps):
        first, self.taken = self.taken, self.taken + steps
        self.turns.append(steps)
        return np.array([self.losses(k) for k in range(first, self.taken)])


class Steady(Fake):
    """Takes so many seconds a step, and some more for the first run of a length."""

    def __init__(self, clock, seconds, first=0.0):
        super().__init__(float)
        self.clock, self.seconds, self.first = clock, seconds, first

    def run(self, steps):
        self.clock[0] += self.seconds * steps + self.first * (steps not in self.turns)
        return super().run(steps)


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("allbps.bench.rounds.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("allbps.bench.rounds.REST", 0)
    return now


def turns(runners, rounds, told=lambda text: None, seconds=1e9):
    """Seconds a step of each, by rounds."""
    found = {name: [] for name in runners}
    for name, time in interleaved(runners, rounds, told, Deadline(seconds)):
        found[name].append(time)
    return found


def test_everyone_has_a_turn_in_every_round(clock):
    runners = {"a": Steady(clock, 0.01), "b": Steady(clock, 0.02)}
    said = []
    seconds = turns(runners, 3, said.append)
    assert said == ["round 1 of 3", "round 2 of 3", "round 3 of 3"]
    assert seconds == {"a": pytest.approx([0.01] * 3), "b": pytest.approx([0.02] * 3)}
    assert runners["a"].turns.count(30) == 4, "a turn of 0.3 s holds 30 steps; one to warm up"


def test_rounds_end_with_the_time_but_two_are_made(clock):
    runners = {"a": Steady(clock, 0.01), "b": Steady(clock, 0.02)}
    assert {name: len(s) for name, s in turns(runners, 5, seconds=0).items()} == {"a": 2, "b": 2}


def test_too_slow_is_who_needs_more_than_a_turn_and_twenty_times_the_fastest():
    assert too_slow({"fast": 0.01, "far": 2.0, "quick": 0.25}) == {"far"}
    assert too_slow({"fast": 0.5, "slow": 2.0}) == set()


def test_the_pace_leaves_out_what_is_compiled_for_a_length_of_run(clock):
    assert pace(Steady(clock, 0.001, first=3.0)) == pytest.approx(0.001)


def test_the_ratio_of_a_slow_peer_is_that_of_its_own_rounds():
    result = row(machine=[1.0, 1.0, 1.0], torch=[2.0, 4.0, 9.0], jax=[20.0, 40.0])
    assert result.ratio(result.entries[2]) == pytest.approx(0.1)


@pytest.fixture
def fakes(monkeypatch):
    """Three peers: right, wrong, and one that is not installed."""

    def start(losses):
        return lambda work: Fake(losses)

    starts = {"torch": start(lambda k: 1.0 + k), "jax": start(lambda k: 2.0 + k), "lost": None}
    monkeypatch.setattr(Peer, "version", property(lambda p: "" if p.name == "lost" else "1.0"))
    monkeypatch.setattr(Peer, "load", lambda p: starts[p.name])
    peers = {name: Peer(name, name, "by_none", "None") for name in starts}
    for module in (room, __import__("allbps.bench.peer", fromlist=["PEERS"])):
        monkeypatch.setattr(module, "PEERS", peers)
    expected = np.arange(1.0, 21.0)
    monkeypatch.setattr(room, "reference_losses", lambda work, runners: ("the truth", expected))
    monkeypatch.setattr("allbps.bench.rounds.TURN", 1e-6)
    monkeypatch.setattr("allbps.bench.rounds.REST", 0)


def test_a_peer_with_other_losses_is_not_timed_and_a_missing_one_is_named(fakes):
    report = bench(BenchOptions(rows=["mlp"], rounds=2, trials=False))
    assert report.missing == ["lost"]
    right, wrong = report.rows[0].entries
    assert len(right.seconds) == 2
    assert right.deviation == 0.0
    assert wrong.seconds == []
    assert wrong.deviation == 1.0
    assert wrong.note == "not timed: its losses differ by more than 0.001"
    assert not report.agrees
    assert "not installed: lost" in str(report)


def test_the_command_prints_json_writes_a_plot_and_says_by_its_exit_that_someone_disagreed(
    fakes, capsys, tmp_path
):
    import typer

    with pytest.raises(typer.Exit) as stop:
        command(rows="mlp", peers="torch,jax", rounds=1, trials=False, out=tmp_path, as_json=True)
    assert stop.value.exit_code == 1
    found = json.loads(capsys.readouterr().out)
    assert found["agrees"] is False
    assert found["rows"][0]["fastest_peer"] == "torch"
    assert [e["peer"] for e in found["rows"][0]["entries"]] == ["torch", "jax"]
    assert json.loads((tmp_path / "bench.json").read_text()) == found
    assert (tmp_path / "bench.svg").stat().st_size > 1000
    assert "| torch |" in (tmp_path / "bench.md").read_text()


def test_a_slow_peer_is_stopped_after_one_step_and_still_compared(fakes, clock, monkeypatch):
    quick, slow = Steady(clock, 0.01), Steady(clock, 9.0)
    quick.losses = slow.losses = lambda k: 1.0 + k
    starts = {"torch": lambda work: quick, "jax": lambda work: slow}
    monkeypatch.setattr(Peer, "load", lambda p: starts[p.name])
    options = BenchOptions(rows=["mlp"], peers=["torch", "jax"], rounds=3)
    tried = []
    monkeypatch.setattr(room, "cold_and_warm", lambda row, peer, *_: tried.append(peer) or NONE)
    fast, entry = bench(options).rows[0].entries
    assert slow.turns == [1, 1]
    assert (entry.deviation, entry.seconds) == (0.0, pytest.approx([9.0]))
    assert entry.note == "one step only: over 20 times the fastest's time"
    assert len(fast.seconds) == 3
    assert tried == ["torch"]


NONE = {"cold": None, "warm": None, "memory": None}


def test_what_there_is_no_time_for_is_left_out_and_said(fakes, monkeypatch):
    monkeypatch.setattr("allbps.bench.deadline.Deadline.left", 0.0)
    entry = bench(BenchOptions(rows=["mlp"], peers=["torch"], rounds=3)).rows[0].entries[0]
    assert len(entry.seconds) == 2
    assert entry.note == (
        "2 rounds: time is over; compile time and memory not measured: time is over"
    )


def test_when_time_is_over_nobody_is_begun_but_the_first_beside_us(monkeypatch):
    monkeypatch.setattr("allbps.bench.deadline.Deadline.left", 0.0)
    monkeypatch.setattr(Peer, "version", "1.0")
    monkeypatch.setattr(Peer, "load", lambda peer: lambda work: Fake(lambda k: 1.0 + k))
    monkeypatch.setattr(
        "allbps.bench.bench.reference_losses", lambda *_: ("torch in float64", 1.0 + np.arange(20))
    )
    options = BenchOptions(rows=["mlp"], peers=["machine", "torch", "jax"], rounds=2, trials=False)
    ours, torch, jax = bench(options).rows[0].entries
    assert (len(ours.seconds), len(torch.seconds), jax.seconds) == (2, 2, [])
    assert jax.note == "left out: time is over"


def test_a_peer_whose_losses_there_is_no_time_to_compare_has_one_step(fakes, clock, monkeypatch):
    monkeypatch.setattr("allbps.bench.deadline.Deadline.left", 1.0)
    quick, late = Steady(clock, 0.1), Steady(clock, 0.2)
    quick.losses = late.losses = lambda k: 1.0 + k
    starts = {"torch": lambda work: quick, "jax": lambda work: late}
    monkeypatch.setattr(Peer, "load", lambda p: starts[p.name])
    options = BenchOptions(rows=["mlp"], peers=["torch", "jax"], rounds=3, trials=False)
    fast, entry = bench(options).rows[0].entries
    assert len(fast.seconds) == 3, "the fastest beside us is compared, however late it is"
    assert late.turns == [1, 1]
    assert (entry.seconds, entry.note) == (pytest.approx([0.2]), "one step only: time is over")


def test_an_interrupt_keeps_the_rows_and_rounds_that_were_measured(
    fakes, monkeypatch, capsys, tmp_path
):
    import typer

    class Stopped(Fake):
        def run(self, steps):
            if len(self.turns) > 20:
                raise KeyboardInterrupt
            return super().run(steps)

    starts = {"torch": lambda work: Stopped(lambda k: 1.0 + k)}
    monkeypatch.setattr(Peer, "load", lambda p: starts[p.name])
    with pytest.raises(typer.Exit) as stop:
        command(rows="mlp,lenet", peers="torch", rounds=50, trials=False, out=tmp_path)
    assert stop.value.exit_code == 130
    out, err = capsys.readouterr()
    assert "mlp: MLP" in out
    assert "lenet" not in out
    assert err == "interrupted: what was measured so far is kept\n"
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["interrupted"] is True
    assert 0 < len(found["rows"][0]["entries"][0]["rounds_s"]) < 50


def test_rows_are_printed_as_they_are_done(fakes, monkeypatch, capsys):
    seen = []

    def load(peer):
        seen.append(capsys.readouterr().out)
        return lambda work: Fake(lambda k: 1.0 + k)

    monkeypatch.setattr(Peer, "load", load)
    command(rows="mlp,lenet", peers="torch", rounds=1, trials=False)
    assert seen[0].strip()
    assert "mlp: MLP" in seen[1]
    assert "lenet: LeNet" in capsys.readouterr().out


def test_a_peer_that_fails_leaves_the_others_their_turn(fakes, monkeypatch):
    def broken(work):
        raise RuntimeError("no compiler\nand more")

    starts = {"torch": lambda work: Fake(lambda k: 1.0 + k), "jax": broken}
    monkeypatch.setattr(Peer, "load", lambda p: starts[p.name])
    options = BenchOptions(rows=["mlp"], peers=["torch", "jax"], rounds=1, trials=False)
    entries = bench(options).rows[0].entries
    assert len(entries[0].seconds) == 1
    assert entries[1].note == "failed: no compiler"


def test_the_text_fits_a_terminal_and_puts_notes_below():
    result = row(machine=[0.01, 0.01], torch_channels_last=[12.3456, 12.3456])
    first = result.entries[0]
    first.cold, first.warm, first.memory, first.note = 123.4, 0.05, 2.0**30, "as one thread"
    assert str(result) == (
        "mlp: an MLP\n"
        "  peer                 ms/step spread ×fastest deviation    cold    warm    peak\n"
        "  machine                   10    ±0% 1234.56×     0e+00 123.40 s  0.05 s 1024 MB\n"
        "    as one thread\n"
        "  torch.channels.last 1.23e+04    ±0%    1.00×     0e+00"
    )


def test_markdown_shows_what_the_text_shows():
    result = row(machine=[0.001, 0.001], jax=[0.1, 0.1])
    result.entries[0].cold, result.entries[1].note = 1.5, "2 rounds only"
    assert BenchReport({"cpu": "a CPU"}, {"jax": "1.0"}, ["torch"], [result]).to_markdown() == (
        "a CPU\n\njax 1.0\n\nnot installed: torch\n\n### an MLP\n\n"
        "| peer | ms/step | spread | ×fastest | deviation | cold | warm | peak |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|\n"
        "| machine | 1 | ±0% | 100.00× | 0e+00 | 1.50 s |  |  |\n"
        "| jax | 100 | ±0% | 1.00× | 0e+00 |  |  |  |\n\n"
        "- jax: 2 rounds only\n"
    )


def test_wrong_options_are_refused():
    with pytest.raises(NameUnknownError):
        BenchOptions(rows=["lenett"])
    with pytest.raises(NameUnknownError):
        BenchOptions(peers=["tensorflow"])
    with pytest.raises(ArgumentError) as caught:
        BenchOptions(rounds=0)
    assert str(caught.value) == (
        "--rounds is out of range\n  expected: a number of at least 1\n  got:      0"
    )


def test_a_trial_in_its_own_process_finds_time_and_memory():
    from allbps.bench.trial import cold_and_warm

    found = cold_and_warm("lecture", "numpy", 5, Deadline(100))
    assert set(found) == {"cold", "warm", "memory"}
    assert found["cold"] > 0
    assert 0 <= found["memory"] < 1 << 30


def test_a_trial_that_fails_says_why():
    from allbps.bench.trial import cold_and_warm

    assert cold_and_warm("lecture", "sklearn", 5, Deadline(100))["error"]
