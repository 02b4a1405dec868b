"""A PyTorch source tree, read through git, and cloned at a tag where none is named."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mobileopt.android_build.process import capture, clean, stream
from mobileopt.errors import BuildError, InputError, OutputError

SCRIPT = "scripts/build_android.sh"
BENCHMARK = "binaries/speed_benchmark_torch.cc"
REPOSITORY = "https://github.com/pytorch/pytorch.git"
_TAG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?!\.))*")
_RELEASE = re.compile(r"v\d+\.\d+\.\d+")
_MINIMUM = re.compile(r"^\s*cmake_minimum_required\s*\(\s*VERSION\s+([\d.]+)", re.M | re.I)
# These would point git at another repository than the folder it is run in.
_MISLEADING = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
}
# Features of Arm v8.2 that XNNPACK compiles files for, and the variable that leaves each out.
XNNPACK_FEATURES = {"i8mm": "XNNPACK_ENABLE_ARM_I8MM", "bf16": "XNNPACK_ENABLE_ARM_BF16"}


@dataclass(frozen=True)
class Checkout:
    """What git and the files say about a source tree.

    `problem` is why it is none, else None; then the rest is empty. `script` is the text of
    build_android.sh, None where there is none; `last_tag` the newest release tag of this
    repository that has it. `benchmark` is whether the program's source is there, `lite` whether
    there is a lite interpreter, `cmake_minimum` what is asked of CMake. `features` are those of
    Arm v8.2 that its XNNPACK will be compiled for.
    """

    path: Path
    problem: str | None = None
    commit: str = ""
    tag: str | None = None
    modified: tuple[str, ...] = ()
    missing_submodules: tuple[str, ...] = ()
    moved_submodules: tuple[str, ...] = ()
    script: str | None = None
    last_tag: str | None = None
    benchmark: bool = True
    lite: bool = True
    cmake_minimum: tuple[int, ...] = ()
    features: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The tag, else the abbreviated commit, else the folder."""
        return self.tag or self.commit[:12] or str(self.path)


def check_tag(tag: str) -> str:
    """The tag itself; raises InputError for what git or a file system could take otherwise."""
    if not _TAG.fullmatch(tag) or tag.endswith((".", ".lock")) or len(tag) > 100:
        raise InputError(
            f"tag {tag[:100]!r} is not a tag's name of letters, digits and single '.', '_', '+' "
            "and '-', as in v2.8.0"
        )
    return tag


def git_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for git: never asks for a password, never looks at another repository."""
    kept = {name: value for name, value in environ.items() if name not in _MISLEADING}
    return kept | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def folder_of(tag: str, repository: str) -> str:
    """The folder a clone is kept in: its tag, and which repository it came from."""
    return f"{check_tag(tag)}-{hashlib.sha256(repository.encode()).hexdigest()[:8]}"


def clone(
    tag: str,
    into: Path,
    *,
    repository: str,
    environ: Mapping[str, str],
    log: Path,
    on_line: Callable[[str], None],
) -> None:
    """Clone `repository` at `tag`, submodules included, into the new folder `into`.

    The folder appears whole or not at all. Only a tag is fetched, never a branch of that name.
    Raises InputError for a hostile name, BuildError when git fails or the tag lacks the script.
    """
    check_tag(tag)
    _check_repository(repository)
    parent = into.parent
    for stale in parent.glob(f".part-{into.name}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    try:
        part = Path(tempfile.mkdtemp(prefix=f".part-{into.name}-", dir=parent))
    except OSError as error:
        raise OutputError(f"{parent} cannot be written: {error.strerror}") from error
    try:
        _fetch(tag, part, repository, _Git(part, git_environment(environ), log, on_line))
        part.rename(into)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def describe(path: Path, defines: tuple[str, ...], environ: Mapping[str, str]) -> Checkout:
    """Read a source tree. Never raises for what it finds: that is for the doctor to say."""
    path = path.absolute()
    problem = _problem(path, environ)
    if problem:
        return Checkout(path, problem)
    git = _Git(path, git_environment(environ))
    commit = git.say("rev-parse", "--verify", "--quiet", "HEAD").strip()
    if not commit:
        return Checkout(path, f"{path} is a git checkout without a commit")
    missing, moved = _submodules(git)
    return Checkout(
        path,
        commit=commit,
        tag=_tag(git),
        modified=_modified(git),
        missing_submodules=missing,
        moved_submodules=moved,
        script=_text(path / SCRIPT),
        last_tag=_last_tag(git),
        benchmark=(path / BENCHMARK).is_file(),
        lite="BUILD_LITE_INTERPRETER" in (_text(path / "CMakeLists.txt") or ""),
        cmake_minimum=_cmake_minimum(path),
        features=_features(path, defines),
    )


@dataclass(frozen=True)
class _Git:
    folder: Path
    environ: Mapping[str, str]
    log: Path | None = None
    on_line: Callable[[str], None] = print

    def say(self, *args: str, stdin: str = "") -> str:
        """What a git command prints, nothing when it fails."""
        done = capture(["git", *args], environ=self.environ, cwd=self.folder, stdin=stdin)
        return done.stdout if done and done.returncode == 0 else ""

    def do(self, *args: str, doing: str) -> None:
        """Run a long git command; raises BuildError with its last words."""
        assert self.log is not None
        words: list[str] = []

        def line(text: str) -> None:
            words.append(text)
            del words[:-3]
            self.on_line(text)

        argv = ["git", *args]
        if stream(argv, environ=self.environ, cwd=self.folder, log=self.log, on_line=line):
            raise BuildError(f"{doing} failed: {' '.join(words)} (log: {self.log})")


def _fetch(tag: str, part: Path, repository: str, git: _Git) -> None:
    ref = f"refs/tags/{tag}"
    git.do("init", "--quiet", doing="making a repository")
    git.do("remote", "add", "--", "origin", repository, doing="naming the repository")
    git.do(
        *("fetch", "--progress", "--depth=1", "--no-tags", "origin", f"+{ref}:{ref}"),
        doing=f"fetching tag {tag} from {clean(repository)}",
    )
    git.do("checkout", "--quiet", "--detach", ref, doing=f"checking out {tag}")
    if not (part / SCRIPT).is_file():
        # Seen before the submodules, which are most of the download.
        raise BuildError(missing_script(tag, None))
    git.do(
        *("submodule", "update", "--init", "--recursive", "--depth=1", "--progress"),
        doing=f"fetching the submodules of {tag}",
    )


def missing_script(name: str, last_tag: str | None) -> str:
    """The sentence about a checkout from after the script's removal."""
    last = (
        f"the last tag here that has it is {last_tag}"
        if last_tag
        else ("v2.8.x should be the last release that has it")
    )
    return f"{name} has no {SCRIPT}: PyTorch deleted it on 2025-07-23 (pull request 158475), {last}"


def _check_repository(repository: str) -> None:
    if repository.startswith("-") or not repository.strip() or clean(repository) != repository:
        raise InputError(f"repository {repository!r} is neither an address nor a folder")


def _problem(path: Path, environ: Mapping[str, str]) -> str | None:
    if not path.is_dir():
        return f"{path} is not a folder"
    argv = ["git", "rev-parse", "--show-toplevel"]
    done = capture(argv, environ=git_environment(environ), cwd=path)
    if done is None:
        return f"git cannot be run, so {path} cannot be told from any other folder"
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        return f"{path} is not a git checkout ({clean(said)})"
    top = Path(done.stdout.strip())
    if top.resolve() != path.resolve():
        return f"{path} lies inside the checkout {top}, it is not one itself"
    return None


def _tag(git: _Git) -> str | None:
    tags = git.say("tag", "--points-at", "HEAD", "--sort=-version:refname").split()
    usable = [tag for tag in tags if _TAG.fullmatch(tag)]
    releases = [tag for tag in usable if _RELEASE.fullmatch(tag)]
    return next(iter(releases + usable), None)


def _modified(git: _Git) -> tuple[str, ...]:
    # A build leaves untracked files behind, in submodules too; they are not modifications.
    args = ("status", "--porcelain", "--branch", "--untracked-files=no")
    said = git.say(*args, "--ignore-submodules=untracked").splitlines()
    # --branch makes a first line, so that nothing at all means that git could not tell.
    return tuple(clean(line[3:]) for line in said[1:]) if said else ("(git status failed)",)


def _submodules(git: _Git) -> tuple[tuple[str, ...], tuple[str, ...]]:
    lines = git.say("submodule", "status", "--recursive").splitlines()
    names = [(line[:1], clean(line[1:].split(" ", 1)[-1])) for line in lines]
    missing = tuple(name for mark, name in names if mark == "-")
    moved = tuple(name.rsplit(" (", 1)[0] for mark, name in names if mark in "+U")
    return missing, moved


def _last_tag(git: _Git) -> str | None:
    tags = git.say("tag", "--list", "v*", "--sort=-version:refname").split()
    releases = [tag for tag in tags if _RELEASE.fullmatch(tag)]
    asked = "".join(f"refs/tags/{tag}:{SCRIPT}\n" for tag in releases)
    answers = git.say("cat-file", "--batch-check", stdin=asked).splitlines()
    found = (
        tag
        for tag, answer in zip(releases, answers, strict=False)
        if not answer.endswith(" missing")
    )
    return next(found, None)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    except OSError:
        return None


def _cmake_minimum(path: Path) -> tuple[int, ...]:
    found = _MINIMUM.search(_text(path / "CMakeLists.txt") or "")
    return tuple(int(part) for part in found[1].split(".") if part) if found else ()


def _features(path: Path, defines: tuple[str, ...]) -> frozenset[str]:
    wanted = _text(path / "third_party/XNNPACK/CMakeLists.txt") or ""
    chosen = _text(path / "cmake/Dependencies.cmake") or ""
    off = {
        feature
        for feature, switch in XNNPACK_FEATURES.items()
        if f"{switch}=OFF" in defines or re.search(rf"set\(\s*{switch}\s+OFF\b", chosen)
    }
    return frozenset(f for f in XNNPACK_FEATURES if f"armv8.2-a+{f}" in wanted) - off
