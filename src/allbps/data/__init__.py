"""Examples to learn from.

Images: scikit-learn's digits, IDX files, ``.npz``, a folder of class folders.
Text: a file in UTF-8.
"""

from allbps.data.batches import batch_order
from allbps.data.decoding import Decoding
from allbps.data.images import Dataset, Examples, Images
from allbps.data.load import DataWarning, load, read
from allbps.data.split import split
from allbps.data.stream import Streamed
from allbps.data.text import load_text
from allbps.data.windows import Windows

__all__ = [
    "DataWarning", "Dataset", "Decoding", "Examples", "Images", "Streamed", "Windows",
    "batch_order", "load", "load_text", "read", "split",
]  # fmt: skip
