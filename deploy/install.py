#!/usr/bin/env python3
"""Install the project into a virtual environment of this checkout. Runs on the system's Python, standard library only.

    python3 deploy/install.py [--extra cpu|gpu|none] [--venv .venv] [--dev]

Chooses the CPU or the GPU build by looking for an NVIDIA driver, and says what it chose. `--extra none` is the base
install: UI, curation on stored samples or an endpoint and audit, without torch. The commands are then in `.venv/bin`. Nothing
is done where the same install was finished before.

torch's CPU build is not on the ordinary package index everywhere. Where pip does not find it, PyTorch's own index is
asked as well; TORCH_CPU_INDEX names another one. Where only torch itself can be had as a CPU build, its companions
(torchvision, torchaudio, torchcodec), which nothing here imports, are replaced by empty packages of their names: their
CUDA builds do not load beside a CPU torch and would break transformers and vLLM.
"""

from __future__ import annotations

import argparse
import base64
import ctypes.util
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = "torch==2.13.0+cpu"
COMPANIONS = {"torchvision": "0.28.0", "torchaudio": "2.11.0", "torchcodec": "0.17.0"}
CPU_INDEX = os.environ.get("TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--extra", choices=["cpu", "gpu", "none"], help="default: gpu with an NVIDIA driver, else cpu")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--dev", action="store_true", help="also the tools of tests and checks")
    options = parser.parse_args()
    if refusal := unsupported():
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    extra = options.extra or ("gpu" if has_gpu() else "cpu")
    mark = options.venv / ".kimi-installed"
    extras = {extra, "dev" if options.dev else "none"} - {"none"}
    here, files = mark.read_text().split("|") if mark.is_file() else ("", "")
    if mark.is_file() and files == stamp() and extras <= set(here.split(",")):
        return 0
    other = {"cpu": "gpu", "gpu": "cpu"}.get(extra)
    if other in here.split(","):
        print(
            f"error: {options.venv} holds the {other} build, whose packages share names with those of {extra}: "
            f"rm -rf {options.venv}, or give --extra {other}",
            file=sys.stderr,
        )
        return 2
    extras |= {name for name in here.split(",") if name == "dev"}
    print(
        f"installing into {options.venv}: {', '.join(sorted(extras)) or 'base only'} ({reason(extra, options.extra)})",
        flush=True,
    )
    python = options.venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", options.venv], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        sources = cpu_sources(python, Path(scratch)) if extra == "cpu" else []
        if sources is None:
            return 2
        target = f"{ROOT}[{','.join(sorted(extras))}]" if extras else str(ROOT)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--progress-bar", "off"]
        done = subprocess.run(
            [*command, "-c", ROOT / "deploy" / "constraints.txt", *sources, "-e", target], check=False
        )
    if done.returncode:
        print("error: pip could not install the packages: its reason is above", file=sys.stderr)
        return 2
    mark.write_text(f"{','.join(sorted(extras))}|{stamp()}")
    return 0


def unsupported() -> str | None:
    """Why this machine can't run the project, in one line."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return f"kimi_pipeline needs Linux on x86-64, not {platform.system()} on {platform.machine()}"
    if sys.version_info[:2] != (3, 11):
        return f"kimi_pipeline needs Python 3.11, not {platform.python_version()}: run `make PYTHON=/path/to/python3.11 install`"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return "this Python has no venv module: apt install python3.11-venv"
    return None


def has_gpu() -> bool:
    """Whether an NVIDIA driver is here: its library or its tool."""
    return (ctypes.util.find_library("cuda") is not None and Path("/dev/nvidiactl").exists()) or bool(
        shutil.which("nvidia-smi")
    )


def reason(extra: str, asked: str | None) -> str:
    if asked:
        return "as asked"
    return "an NVIDIA driver was found" if extra == "gpu" else "no NVIDIA driver was found"


def stamp() -> str:
    """What an install depends on: the same files, and nothing needs to be done."""
    files = [ROOT / "pyproject.toml", ROOT / "deploy" / "constraints.txt", Path(__file__)]
    return " ".join(hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files)


def cpu_sources(python: Path, scratch: Path) -> list[str] | None:
    """pip's options for a CPU torch: none needed, PyTorch's index, or empty companions. None: it can't be had."""
    if found(python, TORCH):
        options: list[str] = []
    elif found(python, TORCH, "--extra-index-url", CPU_INDEX):
        options = ["--extra-index-url", CPU_INDEX]
    else:
        print(f"error: no {TORCH} here: set TORCH_CPU_INDEX to an index that has it", file=sys.stderr)
        return None
    pins = []
    for name, version in COMPANIONS.items():
        if found(python, f"{name}=={version}+cpu", *options):
            pins.append(f"{name}=={version}+cpu")
        else:
            empty_wheel(scratch, name, f"{version}+none")
            pins.append(f"{name}=={version}+none")
            if "--find-links" not in options:
                options += ["--find-links", str(scratch)]
    return [*options, *pins, TORCH]


def found(python: Path, requirement: str, *options: str) -> bool:
    """Whether pip finds a requirement (without fetching it: a dry run that reads metadata only)."""
    command = [python, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:"]
    command += ["--quiet", "--disable-pip-version-check", *options, requirement]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def empty_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel with metadata and no module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: empty, see deploy/install.py\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: kimi-pipeline\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
            hashed = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={hashed},{len(text)}\n"
        wheel.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")


if __name__ == "__main__":
    sys.exit(main())
