"""Nets as scikit-learn estimators: in pipelines, grid searches and cross-validation.

Forward, backward and update are compiled into one native step, as by :func:`allbps.compile`.

>>> from sklearn.datasets import load_digits
>>> from allbps.sklearn import BPClassifier
>>> X, y = load_digits(return_X_y=True)
>>> net = BPClassifier(tol=1e-3, random_state=0).fit(X[:1500] / 16, y[:1500])
>>> bool(net.score(X[1500:] / 16, y[1500:]) > 0.9)
True
"""

from allbps.extras import needs

with needs("scikit-learn", extra="sklearn", purpose="scikit-learn estimators"):
    import sklearn  # noqa: F401

from allbps.sklearn.classifier import BPClassifier
from allbps.sklearn.layers import Conv, Dense, Pool
from allbps.sklearn.regressor import BPRegressor

__all__ = ["BPClassifier", "BPRegressor", "Conv", "Dense", "Pool"]
