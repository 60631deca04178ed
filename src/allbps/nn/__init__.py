"""Named nets: plain functions from parameters and examples to logits, and initial parameters.

Parameters are a dict of arrays. Where a net has a counterpart in PyTorch, so do its layers: the
weight of a linear layer is (out, in), that of a convolution (out, in, h, w). Recurrent layers (RNN,
LSTM, GRU and their cells) have PyTorch's names of parameters too.
"""

from allbps.errors import unknown_name
from allbps.nn.cells import GRUCell, LSTMCell, RNNCell
from allbps.nn.gpt import GPT
from allbps.nn.initial import he_normal, uniform_fan_in
from allbps.nn.lecture import LECTURE
from allbps.nn.lenet import LENET
from allbps.nn.mlp import MLP
from allbps.nn.model import Model, Params, Shape
from allbps.nn.recurrent import GRU, LSTM, RNN
from allbps.nn.resnet20 import RESNET20

__all__ = [
    "GRU",
    "LSTM",
    "MODELS",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "Model",
    "Params",
    "RNNCell",
    "Shape",
    "he_normal",
    "named",
    "uniform_fan_in",
]

MODELS = {model.name: model for model in (LECTURE, MLP, LENET, RESNET20, GPT)}


def named(name: str) -> Model:
    """The net of that name.

    Raises:
        NameUnknownError: there is none.

    """
    if name not in MODELS:
        raise unknown_name(name, list(MODELS), "net")
    return MODELS[name]
