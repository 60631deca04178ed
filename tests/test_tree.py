"""Containers of arrays: flattened in one order, rebuilt in another kind."""

from collections import namedtuple

import pytest

from allbps.errors import ArgumentError
from allbps.tree import flatten, leaves, rebuild, same_structure, tree_map

Pair = namedtuple("Pair", "left right")
TREE = {"b": [1.0, (2.0, None)], "a": Pair(3.0, {}), "c": 4.0}


def test_paths_name_the_leaves_with_dicts_in_key_order():
    assert list(flatten(TREE, "p")) == [
        ("p.a.0", 3.0), ("p.b.0", 1.0), ("p.b.1.0", 2.0), ("p.c", 4.0),
    ]  # fmt: skip


def test_rebuild_keeps_kinds_keys_and_their_order():
    built = rebuild(TREE, iter("wxyz"))
    assert built == {"b": ["x", ("y", None)], "a": Pair("w", {}), "c": "z"}
    assert list(built) == ["b", "a", "c"]
    assert isinstance(built["a"], Pair)


def test_a_leaf_alone_is_a_container():
    assert leaves(5.0) == [5.0]
    assert rebuild(5.0, iter([6.0])) == 6.0
    assert leaves(None) == []
    assert tree_map(str, 5.0) == "5.0"


def test_structure_is_keys_and_lengths():
    assert same_structure(TREE, tree_map(lambda x: -x, TREE))
    assert not same_structure([1.0, 2.0], [1.0])
    assert not same_structure([1.0], (1.0,))
    assert not same_structure({"a": 1.0}, {"b": 1.0})
    assert not same_structure(1.0, None)


def test_keys_that_cannot_be_ordered_are_refused():
    with pytest.raises(ArgumentError) as caught:
        leaves({1: 2.0, "a": 3.0})
    assert str(caught.value) == (
        "the keys of a dict of arrays cannot be sorted\n"
        "  expected: keys of one kind, such as strings\n"
        "  got:      [1, 'a']"
    )
