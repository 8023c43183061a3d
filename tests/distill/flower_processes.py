"""Real SuperLink and SuperNodes on loopback, and a relay between them that counts bytes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def program(name: str) -> str | None:
    """Path of a program of this environment."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Relay:
    """Forwards TCP connections to ``target`` and counts: up = from the nodes, down = to the nodes."""

    def __init__(self, target: int) -> None:
        self.up = self.down = 0
        self._target = target
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
                outer = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            threading.Thread(target=self._pump, args=(inner, outer, "up"), daemon=True).start()
            threading.Thread(target=self._pump, args=(outer, inner, "down"), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        try:
            while data := source.recv(65536):
                with self._lock:
                    setattr(self, way, getattr(self, way) + len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@contextmanager
def federation(home: Path, nodes: int) -> Iterator[tuple[Relay, dict[str, str]]]:
    """A SuperLink and ``nodes`` SuperNodes as processes of their own; all are gone afterwards."""
    home.mkdir()
    port = free_port()
    environment = os.environ | {
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "PYTHONPATH": str(ROOT),
        "PATH": os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"])),
    }
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    )
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, *words: str) -> None:
        log = (home / f"{len(running)}.log").open("wb")
        running.append(
            subprocess.Popen(
                [str(program(name)), *words], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        )

    relay = Relay(port)
    try:
        start("flower-superlink", "--insecure", "--port", str(port), "--disable-runtime-dependency-installation")
        _wait_for(port)
        for number in range(nodes):
            start("flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{relay.port}",
                  "--port", str(free_port()), "--node-config", f"partition-id={number}")  # fmt: skip
        yield relay, environment
    finally:
        _end(running)
        relay.close()


def _end(running: list[subprocess.Popen[bytes]]) -> None:
    """Flower's own children outlive it at times: list them before anything is stopped, and wait for each."""
    import psutil

    family: list[psutil.Process] = []
    for process in running:
        try:
            parent = psutil.Process(process.pid)
            family += [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            pass
    for process in running:
        process.terminate()
    _, left = psutil.wait_procs(family, timeout=10)
    for member in left:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(left, timeout=20)
    for process in running:
        process.wait(20)


def _wait_for(port: int, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"no SuperLink on port {port} after {seconds:g} seconds")


def submit(environment: dict[str, str], config: str) -> None:
    """``flwr run`` the example app."""
    done = subprocess.run(
        [str(program("flwr")), "run", str(ROOT / "examples" / "distdd_flower"), "--run-config", config],
        env=environment, capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout, file=sys.stderr)
