"""A small PyTorch and a small NDK: real git, a real script, a real compiler.

The script has the habits of the original: the same variables, the same unquoted words, CMake's
record of what it was told, ninja's lines. What it builds is a program that prints its flavour.
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

NATIVE, FOREIGN = {
    "x86_64": ("x86_64", "arm64-v8a"),
    "aarch64": ("arm64-v8a", "x86_64"),
}[platform.machine()]

SCRIPT = r"""#!/bin/bash
set -e
ROOT="$( cd "$(dirname "$0")"/.. ; pwd -P)"
if [ ! -d "$ANDROID_NDK" ]; then
  echo "ANDROID_NDK not a directory; did you install it under $ANDROID_NDK?"
  exit 1
fi
BEHAVIOUR="$(cat "$ROOT/behaviour" 2>/dev/null || true)"
echo "$$" >> "$ROOT/runs"
ARGS=($@)
FLAVOUR=full
for arg in "${ARGS[@]}"; do
  [ "$arg" = -DBUILD_LITE_INTERPRETER=ON ] && FLAVOUR=lite
done
BUILD_ROOT=${BUILD_ROOT:-"$ROOT/build_android"}
mkdir -p $BUILD_ROOT
cd $BUILD_ROOT
mkdir -p bin
env > "$ROOT/environment-$FLAVOUR"
pwd > "$ROOT/folder-$FLAVOUR"
printf '%s\n' "${ARGS[@]}" > "$ROOT/arguments-$FLAVOUR"
LITE=OFF; [ "$FLAVOUR" = lite ] && LITE=ON
[ "$BEHAVIOUR" = wrong-flavour ] && LITE=ON
echo "BUILD_LITE_INTERPRETER:BOOL=$LITE" > CMakeCache.txt
if [ "$BEHAVIOUR" = fail ]; then
  for n in $(seq 1 40); do echo "[$n/40] Building CXX object number-$n.o"; done
  printf 'x.cpp:1:2: \033[31merror: no such thing\033[0m\nninja: build stopped.\n'
  exit 3
fi
printf 'int puts(const char *); int main(void) { puts("%s"); return 0; }\n' $FLAVOUR > main.c
CLANG=$(echo "$ANDROID_NDK"/toolchains/llvm/prebuilt/*/bin/clang)
cat > build.ninja <<END
rule compile
  command = "$CLANG" -c main.c -o main.o
rule link
  command = "$CLANG" main.o -o bin/speed_benchmark_torch
build main.o: compile main.c
build bin/speed_benchmark_torch: link main.o
END
ninja "-j${MAX_JOBS}"
case "$BEHAVIOUR" in
  hang) echo "$$" > "$ROOT/hanging"; while :; do echo still building; sleep 0.1; done ;;
  flood) yes "[1/2] Building" ;;
  nothing) rm bin/speed_benchmark_torch ;;
  text) echo "not a program" > bin/speed_benchmark_torch ;;
  link) ln -sf /bin/sh bin/speed_benchmark_torch ;;
esac
echo "Installation completed"
"""

CLANG = r"""#!/bin/sh
here="$(dirname "$0")"
case "$1" in --version) echo "Android (7019983) clang version 9.0.9"; exit 0 ;; esac
n=$#
while [ "$n" -gt 0 ]; do
  arg="$1"; shift; n=$((n - 1))
  case "$arg" in
    --target=*) ;;
    -march=armv8.2-a+*)
      if grep -qx "${arg#-march=armv8.2-a+}" "$here/rejects" 2>/dev/null; then
        echo "clang: error: the clang compiler does not support '$arg'" >&2
        exit 1
      fi ;;
    *) set -- "$@" "$arg" ;;
  esac
done
exec cc "$@"
"""


def git(folder: Path, *args: str) -> str:
    """Run git as a made-up person; its output."""
    who = ["-c", "user.name=A Person", "-c", "user.email=person@example.org"]
    argv = ["git", *who, "-c", "protocol.file.allow=always", *args]
    return subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).stdout


def make_upstream(folder: Path) -> Path:
    """A repository with tags v2.7.1 and v2.8.0 that have the script and v2.9.0 that lacks it."""
    xnnpack = folder / "XNNPACK"
    xnnpack.mkdir(parents=True)
    git(xnnpack, "init", "--quiet", "--initial-branch=main")
    (xnnpack / "CMakeLists.txt").write_text(
        'SET_PROPERTY(SOURCE a PROPERTY COMPILE_FLAGS " -march=armv8.2-a+i8mm+fp16 ")\n'
        'SET_PROPERTY(SOURCE b PROPERTY COMPILE_FLAGS " -march=armv8.2-a+bf16 ")\n'
    )
    _commit(xnnpack, "kernels")

    top = folder / "pytorch"
    top.mkdir()
    git(top, "init", "--quiet", "--initial-branch=main")
    _write(top / "scripts/build_android.sh", SCRIPT)
    _write(top / "CMakeLists.txt", CMAKE)
    _write(top / "binaries/speed_benchmark_torch.cc", "int main() {}\n")
    _write(top / "cmake/Dependencies.cmake", 'set(XNNPACK_ENABLE_ARM_BF16 OFF CACHE BOOL "")\n')
    _write(top / ".gitignore", "runs\nhanging\nbehaviour\nenvironment-*\narguments-*\nfolder-*\n")
    git(top, "submodule", "add", "--quiet", str(xnnpack), "third_party/XNNPACK")
    _commit(top, "the last but one", "v2.7.1")
    (top / "version.txt").write_text("2.8.0\n")
    _commit(top, "the last", "v2.8.0-rc1", "v2.8.0")
    git(top, "rm", "--quiet", "-r", "scripts")
    _commit(top, "clean up old scripts", "v2.9.0")
    return top


CMAKE = """cmake_minimum_required(VERSION 3.18 FATAL_ERROR)
project(Torch CXX C)
option(BUILD_LITE_INTERPRETER "Master flag to build Lite Interpreter" OFF)
"""


def clone(upstream: Path, into: Path, tag: str = "v2.8.0") -> Path:
    """A checkout of a tag, submodules included."""
    git(into.parent, "clone", "--quiet", "--recurse-submodules", str(upstream), str(into))
    git(into, "checkout", "--quiet", "--detach", tag)
    return into


def make_ndk(folder: Path, revision: str = "21.4.7075529", rejects: str = "") -> Path:
    """An NDK whose clang is the host's compiler; `rejects` are features it does not know."""
    _write(folder / "source.properties", f"Pkg.Desc = Android NDK\nPkg.Revision = {revision}\n")
    clang = folder / "toolchains/llvm/prebuilt/linux-x86_64/bin/clang"
    _write(clang, CLANG)
    clang.chmod(0o755)
    (clang.parent / "rejects").write_text("\n".join(rejects.split()) + "\n")
    if revision.startswith(("21.", "22.")):
        _write(folder / "sources/third_party/vulkan/src/common/vulkan_wrapper.h", "")
    return folder


def runs(checkout: Path) -> int:
    """How often the script was run from a checkout."""
    path = checkout / "runs"
    return len(path.read_text().split()) if path.exists() else 0


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if path.suffix == ".sh":
        path.chmod(0o755)


def _commit(folder: Path, message: str, *tags: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", message)
    for tag in tags:
        git(folder, "tag", tag)
