"""Images to learn from: scikit-learn's digits, IDX files, ``.npz``, a folder of class folders."""

from allbps.data.batches import batch_order
from allbps.data.images import Dataset, Images
from allbps.data.load import load
from allbps.data.split import split

__all__ = ["Dataset", "Images", "batch_order", "load", "split"]
