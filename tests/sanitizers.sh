#!/bin/sh
# Runs the tests of the public headers with sanitizers: tests/sanitizers.sh [address|thread]…, by default both. `address`
# is AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer. Builds what they need in build/sanitize-NAME, and removes
# that folder when nothing was found.
#
# Files of other processes are compared in the ordinary run of library_test; here only the library runs.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tests/setup.sh"
ckmap_install
[ $# -gt 0 ] || set -- address thread
for sanitizer in "$@"; do
  case $sanitizer in
    address) flags='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' ;;
    thread) flags='-fsanitize=thread' ;;
    *)
      echo "error: $sanitizer is not a sanitizer: address or thread" >&2
      exit 2
      ;;
  esac
  build=$root/build/sanitize-$sanitizer
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS="$flags" \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO='-O1 -g1' -DCKMAP_BUILD_TESTS=ON -DCKMAP_UNITY=ON -DCKMAP_MIMALLOC=OFF >&2
  CCACHE_BASEDIR=$root cmake --build "$build" --target library_test >&2
  # The first report ends the run.
  ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
    "$build/test-bin/library_test" -tc='*Load*,*consumer*,*stop token*,*threads*,*damaged source*,*destinations*'
  rm -rf "$build"
  echo "$sanitizer: nothing found"
done
