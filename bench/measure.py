"""One run of the load generator, alternation of servers, medians and the table. Knows nothing of what is asked."""

import json
import statistics
import subprocess
import sys

from peers import TOOLS
from processes import LOAD_CORE, pinned, processor_seconds


def say(text):
    print(text, file=sys.stderr, flush=True)


def load(server, path, *, method="GET", connections=16, **more):
    """Sends for a while and returns the generator's report, with the server's processor time per request."""
    command = [TOOLS / "load", "-address", f"127.0.0.1:{server.port}"]
    command += ["-path", path, "-method", method, "-connections", str(connections)]
    for name, value in more.items():
        command += [f"-{name}", str(value)]
    before = processor_seconds(server.process)
    done = subprocess.run(pinned(LOAD_CORE, command), capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        raise SystemExit(f"{server.name}: {done.stderr}{done.stdout}")
    report = json.loads(done.stdout)
    report["server_microseconds"] = (processor_seconds(server.process) - before) * 1e6 / report["requests"]
    say(
        f"  {server.name}: {report['rate']:,.0f}/s, p50 {report['p50_ms']} p99 {report['p99_ms']} ms, "
        f"{report['server_microseconds']:.1f} us of the server's core each, generator {report['generator_busy']:.0%} busy"
    )
    return report


def alternate(rounds, runs):
    """Runs each of `runs` (name -> function) once a round, so that what slows the machine slows all; lists by name."""
    results = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            results[name].append(run())
    return results


def median(reports, key):
    return statistics.median(report[key] for report in reports)


class Table:
    """Rows of figures, printed as they are finished."""

    def __init__(self):
        self.rows = []

    def add(self, figure, ours, peer="", theirs="", ratio=None, target="", reached=None):
        shown = "" if ratio is None else f"{ratio:.2f}x"
        mark = "" if reached is None else ("yes" if reached else "**no**")
        self.rows.append((figure, ours, peer, theirs, shown, target, mark))
        say("| " + " | ".join(self.rows[-1]) + " |")

    def compare(self, figure, results, peer, target=None, key="rate"):
        """A row of rates: ours against `peer`, medians of the same rounds."""
        ours, theirs = results["tlogistry"], results[peer]
        ratio = median(ours, key) / median(theirs, key)

        def show(reports):
            return f"{median(reports, key):,.0f}/s, p50 {median(reports, 'p50_ms'):.2f} p99 {median(reports, 'p99_ms'):.2f} ms"

        wanted = "" if target is None else f">= {target}x"
        self.add(figure, show(ours), peer, show(theirs), ratio, wanted, None if target is None else ratio >= target)

    def __str__(self):
        head = ("figure", "tlogistry", "peer", "the peer's", "ratio", "to reach", "reached")
        lines = [head, tuple("---" for _ in head), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
