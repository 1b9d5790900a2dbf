"""A Ray cluster for as long as a command takes: one that runs already, or one of this machine.

Ray is an extra, imported here and in the files beside this one, by functions alone.
"""

import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain.data.stream import cores
from retrain.errors import MachineError, UsageError, first_line
from retrain.files import machine_errors

LOCAL = "local"
PORT = 6379  # of Ray's head, where an address names none
PATIENCE = 10.0  # seconds for an address to answer
# Off, Ray takes 127.0.0.1 for this machine's address and listens there alone, on any system; on,
# it puts the address of a network card in its place, and listens everywhere.
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
LOCAL_STORE = 512 << 20  # bytes of the object store of a cluster of one machine


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process has joined.

    address: as the user gave it.
    """

    address: str

    def total(self, resource: str) -> int:
        """Return how many "CPU" or "GPU" its living nodes have."""
        import ray

        return int(ray.cluster_resources().get(resource, 0))


@contextlib.contextmanager
def joined(address: str) -> Iterator[Cluster]:
    """Join a cluster, and leave it afterwards.

    Args:
        address: HOST:PORT or HOST of the cluster's head; this machine must be one of its nodes.
            "local" starts a cluster of this machine's cores, which listens on 127.0.0.1 alone.

    Raises:
        UsageError: the extra is not installed, or that is no address.
        MachineError: nothing answers there, or it does not fit.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError(
            "A cluster needs Ray, which is not installed. Install it with "
            "`pip install 'retrain[cluster]'`.",
            setting="cluster",
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "1")
    place = None if address == LOCAL else _answering(address)
    with contextlib.ExitStack() as stack:
        settings = {"address": place} if place else stack.enter_context(_local_settings())
        with _own_signals():
            _start(address, settings)
        stack.callback(_leave)
        with cluster_errors():
            yield Cluster(address)


@contextlib.contextmanager
def cluster_errors() -> Iterator[None]:
    """Turn what Ray raises where the whole cluster fails into an error of one line."""
    import ray

    try:
        yield
    except (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError) as error:
        raise MachineError(
            "The object store of the cluster is full, and so is the disk behind it. Give it more "
            "memory (`ray start --object-store-memory`), or show the workers the folder itself."
        ) from error
    except ray.exceptions.RayError as error:
        raise MachineError(
            f"The cluster must stay within reach. Received: {first_line(error)}. What was finished "
            "is kept; the same command goes on from there."
        ) from error


def _answering(address: str) -> str:
    """Return the address with its port, once a connection shows that something listens there."""
    host, _, port = address.rpartition(":") if ":" in address else (address, "", str(PORT))
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(
            f"A cluster is HOST:PORT of its head, or local. Received: {address!r}.",
            setting="cluster",
        )
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (socket.gaierror, UnicodeError):
        raise MachineError(
            f"No machine is called {host!r}. Give HOST:PORT, such as 192.168.1.10:{PORT}.",
            setting="cluster",
        ) from None
    except OSError as error:
        why = error.strerror or str(error)
        raise MachineError(
            f"The cluster at {address} must answer within {PATIENCE:g} seconds. Received: {why}. "
            f"Start its head there with `ray start --head --port={port}`.",
            setting="cluster",
        ) from None
    return f"{host}:{port}"


@contextlib.contextmanager
def _local_settings() -> Iterator[dict[str, Any]]:
    """Yield what starts a cluster of this machine, in a folder that goes with it."""
    # Short, since the names of sockets below it must have no more than 107 bytes.
    place = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="retrain-", dir=place if len(place) < 20 else "/tmp")
    changed = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        LOOPBACK: "0",
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)  # else Ray would write a token to the user's home
    try:
        yield {
            "address": LOCAL,
            "num_cpus": cores(),
            "include_dashboard": False,
            "object_store_memory": LOCAL_STORE,
            "_temp_dir": folder,
        }
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


def _start(address: str, settings: dict[str, Any]) -> None:
    """Join or start the cluster, within bounds of time where it must answer.

    Raises:
        MachineError: it does not work out.
    """
    import ray
    import ray._private.worker

    # Ray would print what becomes of workers among our own output, on stdout; the pool tells it.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    failures: list[BaseException] = []

    def init() -> None:
        try:
            ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
        except BaseException as error:
            failures.append(error)

    if address == LOCAL:
        with machine_errors(Path(settings["_temp_dir"])):
            init()
    else:  # what answers may be no Ray at all, for which Ray waits without an end
        waiting = threading.Thread(target=init, daemon=True)
        waiting.start()
        waiting.join(2 * PATIENCE)
        if waiting.is_alive():
            failures.append(TimeoutError("what answers is no Ray, or wants another RAY_AUTH_TOKEN"))
    if failures:
        reason = first_line(failures[0]).rstrip(".")
        hint = (
            ""
            if address == LOCAL
            else (
                " This machine must be one of its nodes, with the same versions of Python and Ray: "
                f"`ray start --address={address}` makes it one."
            )
        )
        raise MachineError(
            f"The cluster {address} must take this machine in. Received: {reason}.{hint}",
            setting="cluster",
        ) from failures[0]


def _leave() -> None:
    import ray

    ray.shutdown()


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's own answers to signals: Ray puts its own in their place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, answer in before.items():
            signal.signal(number, answer)
