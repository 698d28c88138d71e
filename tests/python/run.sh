#!/usr/bin/env bash
# Installs the package as a user does, `pip install .` into a fresh environment, and holds it to tests/python: first without
# a framework, then beside torch and MindSpore. PYTHON is the interpreter (Debian's otherwise); further arguments go to
# pytest. Takes a few minutes after tests/run.sh, whose compiled files it uses by ccache. The last line is `N passed, N failed`.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
. "$root/tests/setup.sh"
environment=$root/build/python-environment
pip() { "$environment/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
fail() {
  echo "error: $1" >&2
  echo "0 passed, 1 failed"
  exit 1
}

ckmap_install python3-dev python3-venv || fail "the packages that ckmap needs could not be installed"
"${PYTHON:-/usr/bin/python3}" -m venv --clear "$environment" || fail "there is no environment"
start=$SECONDS
# The compiler of tests/run.sh, by the same name: Debian's Python asks for another name of it, and ccache keeps them apart.
export CCACHE_BASEDIR=$root CXX=${CXX:-c++}
pip install "$root" || fail "pip install . ended with $?"
echo "pip install . took $((SECONDS - start)) s"

# Away from the sources, so that what was installed is what is imported.
cd "$environment" || exit 1
"$environment/bin/ckmap" --version && "$environment/bin/ckmapc" --version && "$environment/bin/ckmapc" pack list >pack-list &&
  grep -q resnet pack-list || fail "the programs of the wheel do not run"
"$environment/bin/python" -X dev -W error -c 'import ckmap; ckmap.plan("resnet")' || fail "the package does not import"
pip install -r "$root/tests/python/requirements.txt" || fail "the frameworks could not be installed"
"$environment/bin/python" -m pytest -q -p no:cacheprovider -rs --junit-xml=results.xml "$root/tests/python" "$@"
status=$?
"$environment/bin/python" - "$status" <<'COUNT'
import sys
import xml.etree.ElementTree as tree

suite = tree.parse("results.xml").getroot().find("testsuite").attrib
failed = int(suite["failures"]) + int(suite["errors"])
if sys.argv[1] != "0":
    failed = max(failed, 1)
print(f"{int(suite['tests']) - failed - int(suite['skipped'])} passed, {failed} failed")
COUNT
exit "$status"
