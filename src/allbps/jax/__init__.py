"""allbps functions for JAX.

Inside this room ``import jax`` is JAX.
"""

from allbps.extras import needs

with needs("jax", extra="jax", purpose="allbps.jax"):
    import jax  # noqa: F401

from allbps.jax.applied import Function, function

__all__ = ["Function", "function"]
