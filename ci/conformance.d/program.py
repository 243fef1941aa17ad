"""The program that scripts test and measure, and where it can listen."""

import os
import socket
import subprocess
from pathlib import Path


def build(root):
    """The program: what SQUALL names, or a release build of the workspace in `root`."""
    if "SQUALL" in os.environ:
        return Path(os.environ["SQUALL"]).resolve()
    subprocess.run(["cargo", "build", "--release", "-p", "squall"], cwd=root, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "release" / "squall"


def free_port():
    """A port of the loopback address that nobody has now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
