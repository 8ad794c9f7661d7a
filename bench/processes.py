"""Starting servers on a core of their own and ending them by pid; what they cost. Knows nothing of what they serve."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request

SERVER_CORE, LOAD_CORE = "0", "1"
# Put before every command that is pinned: `chrt -f 10` keeps other users of the machine away. Never before one that may
# run on both cores, which would keep the kernel's own threads from their work.
before = []


def pinned(core, command):
    return [*before, "taskset", "-c", core, *map(str, command)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, path="/v2/", seconds=60):
    """Waits until something below 500 is answered."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"`{' '.join(process.args)}` ended by itself with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.005)
    raise SystemExit(f"`{' '.join(process.args)}` does not answer")


class Processes(contextlib.ExitStack):
    """Everything started through it is ended by its pid when the block is left."""

    def start(self, command, core, log, environment=None):
        output = open(log, "ab")
        self.callback(output.close)
        process = subprocess.Popen(
            pinned(core, command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
        )
        self.callback(end, process)
        return process


def end(process, seconds=40):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def family(pid):
    """A process and its children: nginx works in a child."""
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [pid, *(member for child in children.read().split() for member in family(int(child)))]


def processor_seconds(process):
    total = 0
    for pid in family(process.pid):
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def resident_megabytes(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS:"))
