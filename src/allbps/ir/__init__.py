"""The graph: what an operation is (Op), one use of it (Node), a whole computation (Graph)."""

from allbps.ir.arraylike import NUMPY, OPERATORS, label, traced_among
from allbps.ir.calls import call_user, require_function
from allbps.ir.foreign import hidden_in, refuse_foreign
from allbps.ir.graph import Graph, ancestors
from allbps.ir.node import Node
from allbps.ir.notation import Formula, Notation, Precedence
from allbps.ir.op import (
    CONST,
    INPUT,
    OPS,
    Aval,
    Bad,
    NotDifferentiable,
    NotImplementedRule,
    Op,
    Rule,
    Sample,
    Stopped,
    Zero,
    apply,
    array_of,
    constant,
    is_array_of_nodes,
    lift,
    new_input,
    numpy_function,
    promote,
    values_on_demand,
)
from allbps.ir.site import Site, placed_at, user_site
from allbps.ir.traces import Observation, followed_elsewhere, observed_here, within

__all__ = [
    "CONST",
    "INPUT",
    "NUMPY",
    "OPERATORS",
    "OPS",
    "Aval",
    "Bad",
    "Formula",
    "Graph",
    "Node",
    "NotDifferentiable",
    "NotImplementedRule",
    "Notation",
    "Observation",
    "Op",
    "Precedence",
    "Rule",
    "Sample",
    "Site",
    "Stopped",
    "Zero",
    "ancestors",
    "apply",
    "array_of",
    "call_user",
    "constant",
    "followed_elsewhere",
    "hidden_in",
    "is_array_of_nodes",
    "label",
    "lift",
    "new_input",
    "numpy_function",
    "observed_here",
    "placed_at",
    "promote",
    "refuse_foreign",
    "require_function",
    "traced_among",
    "user_site",
    "values_on_demand",
    "within",
]
