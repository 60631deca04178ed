"""allbps: write a forward computation, get its backward pass to read, check and run."""

from allbps.transforms import grad, hessian, jacobian, jvp, stop_gradient, value_and_grad, vjp

__version__ = "0.1.0"
__all__ = ["grad", "hessian", "jacobian", "jvp", "stop_gradient", "value_and_grad", "vjp"]
