"""Containers where there is no Docker and no registry of images: root on Debian, with its packages.

podman and buildah come from Debian, and so does what the base image is made of. So this shows
that the Dockerfile builds and that the image behaves; not what upstream's base image has in it.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WHERE: Final = Path("/var/tmp/ftq-containers")  # noqa: S108  # ours alone; kept for the next run
TOOLS: Final = ("buildah", "podman", "runc", "mmdebstrap")
# By which containers find each other by name; it is no command, so it is known by its file.
NAMES: Final = ("golang-github-containernetworking-plugin-dnsname", Path("/usr/lib/cni/dnsname"))
# What a CPython that was built on this Debian is linked with, and what any image has.
PACKAGES: Final = (
    "usr-is-merged", "ca-certificates", "netbase", "tzdata", "libbz2-1.0", "libexpat1", "libffi8",
    "libgdbm6", "liblzma5", "libncursesw6", "libnsl2", "libreadline8", "libsqlite3-0", "libssl3",
    "libtirpc3", "libuuid1", "zlib1g",
)  # fmt: skip
STAND_IN: Final = Path(__file__).parent / "stand_in" / "Dockerfile"
BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"
MOST_LIMIT: Final = 16384  # buildah refuses 32768 processes and more


class LabError(RuntimeError):
    """It cannot be set up; its text says why."""


@dataclass(frozen=True, slots=True)
class Made:
    """What there is to build with.

    Attributes:
        base: The image that stands in for the one that `FROM` asks for.
        environ: With the engine's settings.
        mounts: What a build needs to reach this machine's package index.
    """

    base: str
    environ: Mapping[str, str]
    mounts: tuple[str, ...]


def missing() -> str:
    """Why it cannot be set up here; '' if it may be tried."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "no Docker, and not root on Linux"
    if not shutil.which("apt-get"):
        return "no Docker, and no apt to get podman with"
    if platform.freedesktop_os_release().get("VERSION_CODENAME") != "bookworm":
        return "no Docker, and podman's settings are known for Debian 12 only"
    return ""


def prepared(wanted: str) -> Made:
    """Install what is missing, and make the base image unless it is there.

    Args:
        wanted: The base image's name and tag.

    Raises:
        LabError: It could not be done.
    """
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    absent += [NAMES[0]] if not NAMES[1].exists() else []
    if absent:
        _run("apt-get", "-qq", "update")
        _run("apt-get", "-qq", "install", "-y", "--no-install-recommends", *absent)
    environ = _settings()
    prefix = _python(wanted)
    base = f"{wanted}-{prefix.name}-stand-in".lower()
    if subprocess.run(["podman", "image", "exists", base], env=environ, check=False).returncode:
        context = WHERE / "base"
        context.mkdir(exist_ok=True)
        _debian(context / "debian.tar")
        _copied(prefix, context / "python.tar")
        shutil.copy(STAND_IN, context)
        build = ("buildah", "build", "--isolation=chroot", "--format=docker", "--pull=never")
        _run(*build, "--tag", base, str(context), environ=environ)
    # What builds of other days left, or the disk would fill up.
    _run("podman", "image", "prune", "--force", "--filter", "until=24h", environ=environ)
    return Made(base, environ, _mounts())


def _run(*words: str, environ: Mapping[str, str] | None = None) -> str:
    environ = {**(environ or os.environ), "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            words, env=environ, capture_output=True, text=True, timeout=300, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(str(error)) from error
    if done.returncode:
        raise LabError(f"{' '.join(words)}: {(done.stderr or done.stdout)[-1500:]}")
    return done.stdout


def _settings() -> dict[str, str]:
    # runc: crun refuses a machine with both versions of cgroups. Limits: a container's must not be
    # above this machine's, which root may not raise everywhere. No systemd: files, cgroupfs.
    def limit(of: int) -> str:
        hard = resource.getrlimit(of)[1]
        most = MOST_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MOST_LIMIT)
        return f"{most}:{most}"

    files, processes = limit(resource.RLIMIT_NOFILE), limit(resource.RLIMIT_NPROC)
    (WHERE / "containers.conf").write_text(
        f'[containers]\ndefault_ulimits = ["nofile={files}", "nproc={processes}"]\n'
        'log_driver = "k8s-file"\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        'pull_policy = "never"\n[network]\nnetwork_backend = "cni"\n'
    )
    (WHERE / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{WHERE}/store"\nrunroot = "{WHERE}/run"\n'
    )
    return {
        **os.environ,
        "CONTAINERS_CONF": str(WHERE / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(WHERE / "storage.conf"),
    }


def _python(wanted: str) -> Path:
    """Where there is a CPython as in the image's name; else the one that runs the tests."""
    version = re.search(r":(\d+\.\d+)", wanted)
    assert version, wanted
    name = f"python{version[1]}"
    found = shutil.which(name)
    kept = sorted(Path.home().glob(f".pyenv/versions/{version[1]}.*/bin/{name}"), reverse=True)
    for python in (*([found] if found else []), *map(str, kept), sys.executable):
        asked = subprocess.run(
            [python, "-c", "import sys; print(sys.base_prefix)"],
            capture_output=True,
            text=True,
            check=False,
        )
        prefix = Path(asked.stdout.strip() or "/usr")
        if prefix != Path("/usr"):
            return prefix
    raise LabError("no CPython beside Debian's own, to make a base image of")


def _debian(to: Path) -> None:
    if to.exists():
        return
    part = to.with_suffix(".part")
    _run(
        "mmdebstrap", "--quiet", "--format=tar", "--variant=minbase",
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        "--aptopt=APT::Install-Recommends 0",
        *(f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("man", "locale", "doc")),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        f"--include={','.join(PACKAGES)}", "bookworm", str(part),
    )  # fmt: skip
    part.rename(to)


def _copied(prefix: Path, to: Path) -> None:
    left = re.compile(
        r"lib/python[^/]*/(site-packages/.|test/|config-)|__pycache__|\.a$|_tkinter|lib/pkgconfig"
    )

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        inside = entry.name.removeprefix("usr/local/")
        entry.uid = entry.gid = 0
        return None if left.search(inside) else entry

    [python] = [
        each for each in (prefix / "bin").glob("python3.*") if re.search(r"3\.\d+$", each.name)
    ]
    with tarfile.open(to, "w") as tar:
        for each in ("lib", f"bin/{python.name}"):
            tar.add(prefix / each, f"usr/local/{each}", filter=kept)
        link = tarfile.TarInfo("usr/local/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, python.name
        tar.addfile(link)


def _mounts() -> tuple[str, ...]:
    """This machine's certificates and pip settings, for a build and not for the image."""
    said = _run(sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list")
    given = dict(re.findall(r"^[^.]*\.([a-z-]+)='(.*)'$", said, re.MULTILINE))
    bundle = given.get("cert") or os.environ.get("SSL_CERT_FILE") or BUNDLE
    wanted = ("index-url", "extra-index-url", "proxy", "timeout", "trusted-host")
    lines = [f"{key} = {given[key]}" for key in wanted if key in given]
    conf = WHERE / "pip.conf"
    conf.write_text("\n".join(["[global]", f"cert = {BUNDLE}", *lines, ""]))
    return ("--volume", f"{bundle}:{BUNDLE}:ro", "--volume", f"{conf}:/etc/pip.conf:ro")
