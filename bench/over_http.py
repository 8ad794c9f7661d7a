"""The figures over HTTP: ours and each peer on one core, the generator and the upstream on the other."""

import struct

import peers
from measure import alternate, load, say
from processes import Processes


def recorded(table, binary, scratch, rounds, duration):
    """A recorded tag whose check is still fresh: no upstream in the way."""
    say("recorded tag, check fresh")
    with Processes() as processes:
        source = peers.upstream(processes, scratch)
        us = peers.ours(processes, scratch, binary, source.port, "1h")
        memory = peers.memory_registry(processes, scratch)
        stored = peers.docker_registry(processes, scratch, "docker-registry")
        cache = peers.docker_registry(processes, scratch, "docker-registry as cache", source.port)
        for server in (memory, stored):
            peers.push(server, source, "v1")
        manifest = source.get(source.path("v1"))
        servers = (us, memory, stored, cache)
        for server in servers:
            for _ in ("recorded", "checked"):
                assert server.get(server.path("v1")) == manifest, server.name
        for method in ("GET", "HEAD"):
            run = {
                server.name: lambda server=server: load(server, server.path("v1"), method=method, duration=duration)
                for server in servers
            }
            before = peers.counts(source)
            run["tlogistry"]()
            after = peers.counts(source)
            assert after == before, f"a fresh check asked upstream: {before} {after}"
            results = alternate(rounds, run)
            figure = f"recorded tag, check fresh, {method}, 16 connections"
            is_get = method == "GET"
            table.compare(figure, results, memory.name, 1.0 if is_get else None)
            table.compare(figure, results, cache.name, 50 if is_get else None)
            table.compare(figure, results, stored.name)


def rechecked(table, binary, scratch, rounds, duration):
    """A recorded tag that is compared with upstream on every request. Tags take turns, so that no two requests for one
    tag meet and share a check."""
    say("recorded tag, upstream asked each time")
    tags = 2_000
    with Processes() as processes:
        source = peers.upstream(processes, scratch)
        us = peers.ours(processes, scratch, binary, source.port, "0s")
        proxy = peers.nginx(processes, scratch, source.port)
        load(us, us.path("v{n}"), requests=tags, duration="120s", connections=64)
        for method in ("HEAD", "GET"):
            asked = peers.counts(source)["head"]
            report = load(us, us.path("v{n}"), method=method, distinct=tags, duration=duration)
            asked = peers.counts(source)["head"] - asked
            assert asked == report["requests"], f"{asked} checks for {report['requests']} requests"
            run = {
                server.name: lambda server=server: load(
                    server, server.path("v{n}"), method=method, distinct=tags, duration=duration
                )
                for server in (us, proxy)
            }
            figure = f"recorded tag, upstream asked each time, {method}, 16 connections"
            table.compare(figure, alternate(rounds, run), proxy.name, 0.8 if method == "HEAD" else None)


def first_seen(table, binary, scratch, rounds, duration):
    """Every request is for another tag that nobody asked for before."""
    say("first seen over HTTP")
    with Processes() as processes:
        source = peers.upstream(processes, scratch)
        us = peers.ours(processes, scratch, binary, source.port, "0s")
        proxy = peers.nginx(processes, scratch, source.port)
        cache = peers.docker_registry(processes, scratch, "docker-registry as cache", source.port)
        servers = (us, proxy, cache)
        starts = {server.name: 0 for server in servers}

        def run(server):
            report = load(server, server.path("v{n}"), connections=64, start=starts[server.name], duration=duration)
            starts[server.name] = report["next"]
            return report

        results = alternate(rounds, {server.name: lambda server=server: run(server) for server in servers})
        leaves = len(tag_leaves(us))
        assert leaves == starts[us.name], f"{leaves} leaves for {starts[us.name]} tags"
        table.compare("first seen, GET, 64 clients", results, proxy.name, 0.5)
        table.compare("first seen, GET, 64 clients", results, cache.name)


def herd(table, binary, scratch):
    """A thousand clients that ask at once for a tag that nobody asked for before."""
    say("a thousand clients on one cold tag")
    with Processes() as processes:
        source = peers.upstream(processes, scratch)
        us = peers.ours(processes, scratch, binary, source.port, "0s")
        proxy = peers.nginx(processes, scratch, source.port)
        asked = {}
        for server in (us, proxy):
            before = peers.counts(source)
            report = load(server, server.path("cold"), connections=1000, requests=1000, duration="60s")
            after = peers.counts(source)
            asked[server.name] = {method: after[method] - before[method] for method in ("get", "head")}
            asked[server.name]["seconds"] = report["seconds"]
        leaves = len(tag_leaves(us))
        ours, theirs = asked[us.name], asked[proxy.name]
        table.add(
            "1,000 clients on one cold tag",
            f"{ours['get']} GET, {ours['head']} HEAD upstream, {leaves} leaf, {ours['seconds'] * 1e3:.0f} ms",
            proxy.name,
            f"{theirs['get']} GET upstream, {theirs['seconds'] * 1e3:.0f} ms",
            target="1 GET, 1 leaf",
            reached=ours["get"] == 1 and leaves == 1,
        )


def tag_leaves(server):
    """The `tag` leaves of the published log, read from its tiles."""
    size = int(server.get("/log/checkpoint").split(b"\n")[1])
    found = []
    for index in range((size + 255) // 256):
        digits = f"{index:03}" if index < 1000 else f"x{index // 1000:03}/{index % 1000:03}"
        width = min(256, size - 256 * index)
        bundle = server.get(f"/log/tile/entries/{digits}" + (f".p/{width}" if width < 256 else ""))
        at = 0
        while at < len(bundle):
            (length,) = struct.unpack_from(">H", bundle, at)
            leaf = bundle[at + 2 : at + 2 + length]
            at += 2 + length
            if leaf.startswith(b"tag "):
                found.append(leaf)
    return found
