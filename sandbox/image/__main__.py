"""`python -m sandbox.image`: makes the image (or, with --root, only the root file system)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sandbox import languages
from sandbox.errors import SandboxError
from sandbox.image import build_image, build_root


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.image", description=__doc__)
    parser.add_argument("--tag", default="kimi-sandbox:latest", help="the image's name")
    parser.add_argument("--engine", help="the engine (default: DOCKER_HOST)")
    parser.add_argument("--root", type=Path, help="make this folder, or .tar, and no image")
    parser.add_argument("--languages", type=Path, default=languages.BUILT_IN, help="the table of languages")
    parser.add_argument("--suite", help="Debian's suite (default: this machine's)")
    arguments = parser.parse_args()
    try:
        table = languages.load(arguments.languages).values()
        if arguments.root:
            build_root(arguments.root, table, arguments.suite)
            print(arguments.root)
        else:
            print(build_image(arguments.tag, table, arguments.engine, arguments.suite))
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
