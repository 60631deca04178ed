"""From a request to what the page shows; runs in the process that can be killed."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import numpy as np

from allbps.errors import AllBPsError
from allbps.lecture.pages import html_blocks, lead, open_system
from allbps.page import fragment
from allbps.serve.numbers import arrays
from allbps.serve.subjects import own_files, running, subject
from allbps.serve.wanted import wanted


def answer(asked: Any, target: str) -> dict[str, Any]:
    """What a page shows for a request: the derivation, or the mistake in words.

    Args:
        asked: the request, as JSON gives it.
        target: ``FILE.py:FUNCTION``, or empty.

    >>> shown = answer({"source": "formula", "formula": "sum(X W)"}, "")
    >>> [array["label"] for array in shown["arrays"]]
    ['X', 'W']
    >>> answer({"source": "formula", "formula": "X +"}, "")["error"]["what"]
    'the formula ends too early'
    """
    try:
        with np.errstate(all="ignore"):
            found = _derived(asked, target)
    except AllBPsError as error:
        found = {"error": said(error)}
    except MemoryError:
        found = {"error": {"what": "this takes more memory than a page may", "fix": "smaller ones"}}
    except Exception as error:  # a fault of allbps: the page says so, the terminal has the rest
        traceback.print_exc(file=sys.stderr)
        found = {"error": {"what": f"allbps failed: {type(error).__name__}: {error}"}}
    return found | {"files": own_files(target)}


def said(error: AllBPsError) -> dict[str, str]:
    """The parts of a message, for the page."""
    parts = {
        "what": error.what, "where": error.where, "expected": error.expected,
        "got": error.got, "fix": error.todo,
    }  # fmt: skip
    return {key: text for key, text in parts.items() if text}


def _derived(asked: Any, target: str) -> dict[str, Any]:
    request = wanted(asked)
    with running(request, target):
        about = subject(request, target)
        opened = open_system(about.system)
        html = fragment(html_blocks(opened))
    examples = list(about.system.examples)
    own = request.source in ("file", "formula")
    return {
        "title": about.system.title,
        "lead": lead(about.system),
        "remark": about.remark,
        "html": html,
        "arrays": [
            shown
            for k, example in enumerate(examples)
            for shown in arrays(example, "" if own else f"{k}/")
        ],
    }
