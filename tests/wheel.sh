#!/bin/sh
# Build the wheel, install it with its extras into an environment of its own, in the versions that
# PYTHON has, and run the command line, the tests and the doctests against it, away from the source.
#
#   sh tests/wheel.sh PYTHON [PYTEST ARGUMENTS]
set -eu
python=$(command -v "$1")
shift
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pip="-m pip --quiet --disable-pip-version-check"

"$python" $pip wheel --no-deps --wheel-dir "$work" "$root"
wheel=$(echo "$work"/allbps-*.whl)
"$python" - "$wheel" <<'EOF'
import fnmatch, sys, zipfile

names = zipfile.ZipFile(sys.argv[1]).namelist()
for wanted in ("allbps/py.typed", "allbps/readings/page.html.jinja", "*.dist-info/licenses/LICENSE"):
    if not fnmatch.filter(names, wanted):
        sys.exit(f"{wanted} is missing from the wheel")
strangers = [name for name in names if not name.startswith(("allbps/", "allbps-"))]
if strangers:
    sys.exit(f"the wheel holds what does not belong there: {strangers}")
EOF

"$python" -m venv "$work/venv"
bin=$work/venv/bin
"$python" $pip freeze --exclude-editable >"$work/versions.txt"
"$bin/python" $pip install --constraint "$work/versions.txt" "$wheel[dev]"
(cd "$root" && cp -R tests examples docs benchmarks README.md CHANGELOG.md CONTRIBUTING.md pyproject.toml "$work")
cd "$work"
"$bin/allbps" lecture --check
"$bin/python" -c "import allbps; assert allbps.__file__.startswith('$work/venv/'), allbps.__file__"
"$bin/pytest" -n 2 -q -p no:cacheprovider "$@" tests --pyargs allbps
