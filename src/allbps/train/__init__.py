"""Training a net on images: the lecture's algorithm, with everything a long run needs.

>>> import tempfile
>>> from allbps.train import TrainOptions, run
>>> with tempfile.TemporaryDirectory() as folder:
...     report = run(TrainOptions(epochs=2, out=folder))
>>> report.held_out.accuracy > 0.8
True
"""

from allbps.train.options import TrainOptions
from allbps.train.report import Report
from allbps.train.run import run
from allbps.train.weights import load_weights

__all__ = ["Report", "TrainOptions", "load_weights", "run"]
