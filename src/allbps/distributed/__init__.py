"""Several workers that train together, over PyTorch's process groups; nothing else imports torch.

>>> from allbps.distributed import Workers
>>> Workers.alone().size
1
"""

from allbps.distributed.exchange import TorchExchange, exchange_of
from allbps.distributed.workers import Workers, joined

__all__ = ["TorchExchange", "Workers", "exchange_of", "joined"]
