"""Build and drive the peers: a Lamport ring in C++, and the LMAX Disruptor in Java.

Both need tools that may be absent; then `absent` says what to install, and nothing is measured.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

HERE: Final = Path(__file__).resolve().parent
DISRUPTOR_JAR: Final = Path("/usr/share/java/disruptor.jar")
"""Where the Debian package libdisruptor-java puts it."""

_FLAGS: Final = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_int64
_SIGNATURES: Final = {
    "ring_open": (_POINTER, [_COUNT]),
    "ring_free": (None, [_POINTER]),
    "ring_ping": (None, [_POINTER, _POINTER, _POINTER, _COUNT, _COUNT]),
    "ring_pong": (None, [_POINTER, _POINTER, _COUNT, _COUNT]),
    "ring_produce": (None, [_POINTER, _COUNT]),
    "ring_consume": (_COUNT, [_POINTER, _COUNT]),
    "ring_push_pop": (_COUNT, [_POINTER, _COUNT]),
    "store_load": (_COUNT, [_POINTER, _COUNT]),
}


class LamportLibrary:
    """The C++ ring, compiled by g++ -O3 into a library of this process; calls do not hold the GIL."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tallyio-peer-")
        library = Path(self._folder.name) / "lamport_ring.so"
        compiler = shutil.which("g++")
        if compiler is None:
            raise FileNotFoundError(self.absent())
        subprocess.run([compiler, *_FLAGS, "-o", library, HERE / "lamport_ring.cpp"], check=True)
        self.functions: Final = ctypes.CDLL(str(library))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self.functions, name)
            function.restype, function.argtypes = result, arguments

    @staticmethod
    def absent() -> str:
        """Return what is missing, or an empty string."""
        return "" if shutil.which("g++") else "no g++ (Debian: apt-get install g++)"


class Disruptor:
    """A Java process with a ping and a pong thread, each pinned to a PU of its own."""

    def __init__(self, pus: tuple[int, int]) -> None:
        self._pus = pus
        self._folder = tempfile.TemporaryDirectory(prefix="tallyio-peer-")
        javac, java = shutil.which("javac"), shutil.which("java")
        if javac is None or java is None:
            raise FileNotFoundError(self.absent())
        source, folder = HERE / "DisruptorPing.java", self._folder.name
        subprocess.run([javac, "-cp", DISRUPTOR_JAR, "-d", folder, source], check=True)
        # A collector without threads of its own, which would run on the PUs that are measured.
        command = [java, "-XX:+UseSerialGC", "-Xms256m", "-cp", f"{DISRUPTOR_JAR}:{folder}", "DisruptorPing"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    @staticmethod
    def absent() -> str:
        """Return what is missing, or an empty string."""
        if not (shutil.which("javac") and shutil.which("java")):
            return "no Java compiler (Debian: apt-get install openjdk-17-jdk-headless)"
        return "" if DISRUPTOR_JAR.is_file() else "no Disruptor (Debian: apt-get install libdisruptor-java)"

    def __enter__(self) -> Self:
        if self._answer() != "ready":
            raise RuntimeError("the Disruptor's process did not start")
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            name = (task / "comm").read_text().strip()
            if name in {"ping", "pong"}:
                os.sched_setaffinity(int(task.name), {self._pus[name == "pong"]})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def sleep(self) -> None:
        """Stop the process: its consumer spins, and would take a PU from what is measured next."""
        self._process.send_signal(signal.SIGSTOP)

    def one_way_ns(self, messages: int) -> float:
        """Return the median of the one-way latency of `messages`."""
        self._process.send_signal(signal.SIGCONT)
        if self._process.stdin is None:
            raise RuntimeError("the Disruptor's process has no input")
        self._process.stdin.write(f"{messages}\n")
        p50, _, _ = self._answer().split()
        self.sleep()
        return float(p50)

    def _answer(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the Disruptor's process has no output")
        return self._process.stdout.readline().strip()
