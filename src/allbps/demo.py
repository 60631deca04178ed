"""The tour that ``make demo`` gives: derive and verify the lecture, train, say what lies where."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Write the lecture's pages and a trained convnet into the folder named on the command line."""
    from allbps.commands import app

    out = Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output")
    steps = [
        ("Derive every system of the lecture", ["lecture", "--out", str(out / "lecture")]),
        ("Verify every δ of every system", ["lecture", "--check"]),
        ("Train the lecture's convnet on real images", ["train", "--out", str(out / "train")]),
    ]
    for title, arguments in steps:
        print(f"\n== {title}: allbps {' '.join(arguments)}", flush=True)
        code = app(arguments, standalone_mode=False) or 0
        if code:
            raise SystemExit(code)
    print("\nWritten:")
    print(
        f"  {out / 'lecture'}  each derivation: page, text, LaTeX, Markdown, JSON, picture, source"
    )
    print(f"  {out / 'train'}    the curve, the learned kernels, the weights, the log")
    print(f"Start with {out / 'lecture' / 'index.html'} in a browser.")


if __name__ == "__main__":
    main()
