"""Runs the published gandi.cli, unchanged, against a simulator.

Usage: gandi_cli.py VENV URL API_KEY ARGUMENT...

Makes the virtual environment VENV when it is missing, installs the pinned gandi.cli into it and
runs `gandi ARGUMENT...` with its API host and key set to the simulator's. Ends with gandi's exit
code. It must not patch gandi.cli: the point is that a real client works.
"""

import os
import subprocess
import sys
import tempfile
import venv

REQUIREMENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "requirements.txt")


def gandi(folder):
    """The gandi program of the virtual environment, installed when it is not there."""
    program = os.path.join(folder, "bin", "gandi")
    if not os.path.exists(program):
        venv.create(folder, with_pip=True, clear=True)
        pip = [os.path.join(folder, "bin", "pip"), "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--requirement", REQUIREMENTS], check=True, stdout=sys.stderr)
    return program


def main():
    folder, url, key, *arguments = sys.argv[1:]
    program = gandi(folder)
    with tempfile.TemporaryDirectory() as home:
        # A home of its own: the caller's own configuration of gandi.cli must not be read.
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": home,
            "GANDI_CONFIG": os.path.join(home, "config.yaml"),
            "API_HOST": url,
            "API_KEY": key,
            "NO_PROXY": "127.0.0.1",
        }
        run = subprocess.run([program, *arguments], env=environment, cwd=home)
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
