# Sourced by tests/run.sh and examples/quickstart.sh: installs what is missing to build ckmap on
# Debian 12, and configures the build. Needs a POSIX shell and, only if something is missing, root and apt.

ckmap_packages="g++ cmake ninja-build ccache pkg-config ca-certificates antlr4 libantlr4-runtime-dev libre2-dev
  libyaml-cpp-dev libprotobuf-dev protobuf-compiler doctest-dev libsimdjson-dev libssl-dev libfmt-dev libcli11-dev
  libhwy-dev libisal-dev zlib1g-dev uuid-dev libmimalloc-dev librapidcheck-dev python3"

ckmap_missing_packages() {
  for package in $ckmap_packages "$@"; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) || state=
    [ "$state" = "install ok installed" ] || printf '%s ' "$package"
  done
}

# ckmap_install [PACKAGE…]: what the build needs, and these.
ckmap_install() {
  missing=$(ckmap_missing_packages "$@")
  [ -n "$missing" ] || return 0
  echo "installing: $missing" >&2
  if [ "$(id -u)" -ne 0 ]; then
    echo "error: these packages are missing; run as root, or first: apt-get install $missing" >&2
    return 1
  fi
  # Java's packages fail where the folder of manual pages was taken out, as in small container images.
  mkdir -p /usr/share/man/man1
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q -y update >&2 || return 1
  # shellcheck disable=SC2086  # a list of packages
  apt-get -q -y install --no-install-recommends $missing >&2
}

# ckmap_build ROOT ON|OFF TARGET…: builds into ROOT/build (Release), with or without the tests.
ckmap_build() {
  root=$1 tests=$2
  shift 2
  cmake -S "$root" -B "$root/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCKMAP_BUILD_TESTS="$tests" \
    -DCKMAP_UNITY=ON >&2 || return 1
  CCACHE_BASEDIR=$root cmake --build "$root/build" --target "$@" >&2  # tests/python/run.sh compiles the same elsewhere
}
