"""A run at one width holds everyone to it, from before anything is loaded, and says who obeys."""

import os
import sys

import pytest

from allbps.bench import by_rate, held
from allbps.errors import ArgumentError


def test_peers_are_held_to_avx2_with_us():
    env = held.environment(32, {"PATH": "/bin", "XLA_FLAGS": "--xla_a"})
    assert env["PATH"] == "/bin"
    assert env["ALLBPS_VECTOR_BYTES"] == "32"
    assert env["ATEN_CPU_CAPABILITY"] == "avx2"
    assert env["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert env["XLA_FLAGS"].startswith("--xla_a --xla_cpu_max_isa=AVX2")


def test_at_another_width_only_we_are():
    assert held.environment(16, {"PATH": "/bin"}) == {"PATH": "/bin", "ALLBPS_VECTOR_BYTES": "16"}


def test_the_command_begins_again_once(monkeypatch):
    begun = []
    monkeypatch.setattr(os, "execve", lambda *how: begun.append(how))
    monkeypatch.delenv("ALLBPS_VECTOR_BYTES", raising=False)
    held.begin_again(16)
    (program, words, env) = begun.pop()
    assert (program, words) == (sys.executable, sys.orig_argv)
    monkeypatch.setenv("ALLBPS_VECTOR_BYTES", env["ALLBPS_VECTOR_BYTES"])
    held.begin_again(16)
    assert not begun


def test_a_width_that_this_cpu_has_not_is_refused():
    with pytest.raises(ArgumentError, match="width"):
        held.begin_again(48)


def test_who_uses_wider_vectors_is_named():
    rates = {"numpy": 0.97, "jax": 1.9}
    assert held.in_words(rates).endswith("numpy 97 %, jax 190 % (NOT held: wider vectors)")


@pytest.mark.parametrize("name", ["numpy", "machine"])
def test_a_rate_is_operations_a_second(name, monkeypatch):
    monkeypatch.setattr(by_rate, "TURNS", 1)
    assert 1e8 < by_rate.PROBES[name]() < 1e13
