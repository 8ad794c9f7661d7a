"""The servers of a run: ours, the upstream and the peers; how each is had, configured and started."""

import hashlib
import http.client
import json
import os
import subprocess
import sys
from pathlib import Path

from processes import LOAD_CORE, SERVER_CORE, free_port, wait_for

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "ci" / ".cache" / "bin"
MEMORY_REGISTRY = "github.com/google/go-containerregistry/cmd/registry@v0.22.1"
DEBIAN = ("nginx-light", "docker-registry")
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
REPOSITORY = "bench/app"


def install():
    """Builds and fetches what is not there yet."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOBIN": str(TOOLS)}

    def go(*packages, folder=ROOT):
        subprocess.run(["go", "install", *packages], cwd=folder, env=environment, check=True)

    go("./load", "./upstream", folder=ROOT / "bench")
    go(".", folder=ROOT / "bench" / "tessera")
    go(MEMORY_REGISTRY)
    script = 'source ci/lib.sh; source ci/tools.sh; install_packages "$@"'
    # Standard output is the table's.
    subprocess.run(["bash", "-euc", script, "install", *DEBIAN], cwd=ROOT, check=True, stdout=sys.stderr)


class Server:
    """A running server and where its copy of the repository is."""

    def __init__(self, name, process, port, prefix=""):
        self.name, self.process, self.port, self.prefix = name, process, port, prefix

    def path(self, tag):
        return f"/v2/{self.prefix}{REPOSITORY}/manifests/{tag}"

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={"Accept": MANIFEST_TYPE})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{self.name}: GET {path}: {answer.status} {body[:300]!r}")
        return body


def upstream(processes, scratch):
    port = free_port()
    process = processes.start([TOOLS / "upstream", "-listen", f"127.0.0.1:{port}"], LOAD_CORE, scratch / "upstream.log")
    wait_for(port, process)
    return Server("upstream", process, port)


def counts(server):
    """How often an upstream was asked, by method."""
    return json.loads(server.get("/-/counts"))


def ours(processes, scratch, binary, upstream_port, recheck, data=None):
    port = free_port()
    data = data or scratch / f"data-{port}"
    configuration = scratch / f"tlogistry-{port}.toml"
    configuration.write_text(
        f"""listen = "127.0.0.1:{port}"
public_url = "http://localhost:{port}"
data_dir = "{data}"
recheck = "{recheck}"

[log]
origin = "tlog.example/log"

[limits]
new_records_per_client_per_day = 0
new_records_per_upstream_per_day = 0
manifest_bytes_per_day = "0"

[upstreams."bench.alt"]
url = "http://127.0.0.1:{upstream_port}"
"""
    )
    log = scratch / "tlogistry.log"
    process = processes.start([binary, "serve", "--config", configuration], SERVER_CORE, log)
    wait_for(port, process, "/readyz")
    return Server("tlogistry", process, port, "bench.alt/")


def nginx(processes, scratch, upstream_port):
    port = free_port()
    folder = scratch / "nginx"
    folder.mkdir(exist_ok=True)
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""daemon off;
user root;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
{temporary}    upstream registry {{
        server 127.0.0.1:{upstream_port};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://registry;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
    )
    process = processes.start(["nginx", "-p", folder, "-c", configuration], SERVER_CORE, folder / "log")
    wait_for(port, process)
    return Server("nginx proxy_pass", process, port)


def docker_registry(processes, scratch, name, upstream_port=None):
    """Debian's registry: a store of its own, or a pull-through cache of the upstream."""
    port = free_port()
    folder = scratch / f"docker-registry-{port}"
    proxy = f"proxy:\n  remoteurl: http://127.0.0.1:{upstream_port}\n" if upstream_port else ""
    configuration = scratch / f"docker-registry-{port}.yml"
    configuration.write_text(
        f"""version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {folder}
  cache:
    blobdescriptor: inmemory
http:
  addr: 127.0.0.1:{port}
  secret: bench
{proxy}"""
    )
    log = scratch / "docker-registry.log"
    process = processes.start(["docker-registry", "serve", configuration], SERVER_CORE, log)
    wait_for(port, process)
    return Server(name, process, port)


def memory_registry(processes, scratch):
    port = free_port()
    command = [TOOLS / "registry", "-port", str(port)]
    process = processes.start(command, SERVER_CORE, "/dev/null")
    wait_for(port, process)
    return Server("ggcr cmd/registry in memory", process, port)


def push(server, source, tag):
    """Copies an image of the upstream into a registry that stores."""

    def send(method, path, body, headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300:
            raise SystemExit(f"{server.name}: {method} {path}: {answer.status} {text[:300]!r}")
        return answer.getheader("Location", "")

    manifest = source.get(source.path(tag))
    image = json.loads(manifest)
    for descriptor in [image["config"], *image["layers"]]:
        blob = source.get(f"/v2/{REPOSITORY}/blobs/{descriptor['digest']}")
        assert "sha256:" + hashlib.sha256(blob).hexdigest() == descriptor["digest"]
        location = send("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b"", {})
        path = location.split("://")[-1]
        path = path[path.index("/") :]
        joined = f"{path}{'&' if '?' in path else '?'}digest={descriptor['digest']}"
        send("PUT", joined, blob, {"Content-Type": "application/octet-stream"})
    send("PUT", server.path(tag), manifest, {"Content-Type": MANIFEST_TYPE})
