#!/bin/sh
# Creates .venv with what the Makefile's targets need: bootstrap.sh [bench|test]
# Names what is missing; does nothing when the same was installed before.
set -eu

fail() {
    echo "mobileopt: $1" >&2
    exit 2
}

python=${PYTHON:-python3}
what=${1:-bench}

command -v git >/dev/null || fail "git is missing; install it (on Debian: apt-get install git)"
command -v "$python" >/dev/null ||
    fail "Python is missing: no $python on PATH; install Python 3.11 or later, or name one with PYTHON=..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old; mobileopt needs 3.11 or later (name one with PYTHON=...)"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "Python's venv module is missing; install it (on Debian: apt-get install python3-venv)"
if [ "$what" = test ]; then
    command -v cc >/dev/null ||
        fail "a C compiler is missing; the tests build a small program (on Debian: apt-get install gcc)"
fi

# A stamp of everything that decides what is installed.
stamp=".venv/.installed-$what-$(cat pyproject.toml constraints/torch-2.12.txt | git hash-object --stdin)"
[ -e "$stamp" ] && exit 0

echo "Installing into .venv (about a minute and 5 GB the first time)" >&2
[ -x .venv/bin/python ] || "$python" -m venv .venv
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
pip install --quiet --upgrade "pip>=25.1" # dependency groups
case $what in
bench) pip install --constraint constraints/torch-2.12.txt --editable ".[executorch]" ;;
test) pip install --constraint constraints/torch-2.12.txt --editable ".[executorch,fleet,frame]" --group test ;;
*) fail "unknown set of packages '$what'; known: bench, test" ;;
esac
touch "$stamp"
