// The proof check on a page, in headless Chromium, under the content security policy of the pages.
// Skipped where there is no Chromium; CHROMIUM names another binary.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const PATIENCE = 60_000;
const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const log = JSON.parse(read("../../../taglog/testdata/taglog_vectors.json")).good[3];
const policy = read("../../src/pages/mod.rs").match(/CONTENT_SECURITY_POLICY: &str = "([^"]*)"/)[1].replace(/\\\n\s*/g, "");

/** Hands the page's words to the test as soon as the outcome is there. */
const REPORT = `
const place = document.getElementById("proof-check");
const report = () => {
  const outcome = place.querySelector(".outcome:not(:empty)");
  if (!outcome || !place.querySelector(".aside")) return setTimeout(report, 20);
  const steps = [...place.querySelectorAll(".steps > li")].map((step) => step.className);
  const [state, text, visible] = [outcome.className, outcome.textContent, place.checkVisibility()];
  fetch("/report", { method: "POST", body: JSON.stringify({ steps, state, text, visible, secure: isSecureContext }) });
};
report();`;

function page({ name, tag, shown }) {
  return `<!doctype html><title>t</title><script type="module" src="/assets/proof.js"></script>
    <script src="/report.js" defer></script>
    <div id="proof-check" data-proof="/proof" data-reference="${name}:${tag}" data-digest="${shown}" hidden></div>`;
}

/** What Chromium shows of a proof, on a page that the server says is about `query`. */
async function shown(query, host = "127.0.0.1") {
  let arrived;
  const report = new Promise((resolve) => { arrived = resolve; });
  const server = createServer((request, response) => {
    const answers = {
      "/": ["text/html; charset=utf-8", page(query)],
      "/assets/proof.js": ["text/javascript; charset=utf-8", read("../../assets/proof.mjs")],
      "/report.js": ["text/javascript", REPORT],
      "/proof": ["text/plain; charset=utf-8", query.proof],
      "/log/vkey": ["text/plain; charset=utf-8", `${query.vkey ?? log.vkey}\n`],
    };
    if (request.method === "POST") {
      let body = "";
      request.on("data", (piece) => { body += piece; });
      request.on("end", () => arrived(JSON.parse(body)));
    }
    const [type, text] = answers[request.url] ?? ["text/plain", ""];
    const status = (request.url === "/proof" && query.status) || (request.url in answers ? 200 : 404);
    const headers = { "Content-Type": type, "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff" };
    response.writeHead(status, headers);
    response.end(text);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const profile = mkdtempSync(join(tmpdir(), "proof-check-"));
  const browser = spawn(CHROMIUM, [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
    "--host-resolver-rules=MAP tlog.example 127.0.0.1",
    `--user-data-dir=${profile}`, `http://${host}:${server.address().port}/`,
  ], { stdio: "ignore", detached: true });
  const gone = new Promise((resolve) => browser.once("exit", resolve));
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("the page reported nothing")), PATIENCE).unref());
  try {
    return await Promise.race([report, late]);
  } finally {
    // The group of this very browser: its helpers hold the profile.
    process.kill(-browser.pid, "SIGKILL");
    await gone;
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

const skip = existsSync(CHROMIUM) ? false : "no Chromium here";
const of = (place, more = {}) => ({ ...log.queries[place], shown: log.queries[place].digest ?? "", ...more });

test("a good proof passes every step on the page", { skip }, async () => {
  for (const place of [1, 2]) {
    const page = await shown(of(place));
    assert.deepEqual(page.steps, Array(6).fill("passed"));
    assert.equal(page.state, "outcome passed");
    assert.ok(page.visible && page.secure);
    assert.ok(page.text.includes(log.queries[place].digest ?? "no record"), page.text);
  }
});

test("a re-pinned tag is called one", { skip }, async () => {
  assert.match((await shown(of(0))).text, /supersede: an operator’s public re-pin/);
});

test("a broken proof is refused on the page", { skip }, async () => {
  const proof = log.queries[1].proof.replace(/\n— (.*)\n$/, (line) => line.replace("KMGlN", "KMGlM"));
  const page = await shown(of(1, { proof }));
  assert.equal(page.state, "outcome failed");
  assert.equal(page.steps.at(-1), "failed");
  assert.match(page.text, /proves nothing/);
});

test("a page that shows another digest than its proof is caught", { skip }, async () => {
  const page = await shown(of(1, { shown: `sha256:${"0".repeat(64)}` }));
  assert.equal(page.state, "outcome failed");
  assert.match(page.text, /shows something else/);
});

test("over plain http the page says that it could not check", { skip }, async () => {
  const page = await shown(of(1), "tlog.example");
  assert.equal(page.secure, false);
  assert.deepEqual(page.steps, ["passed", "passed", "passed", "unchecked"]);
  assert.equal(page.state, "outcome unchecked");
});

test("a proof that is not there yet is no failure of the log", { skip }, async () => {
  const page = await shown(of(1, { status: 503 }));
  assert.equal(page.state, "outcome unchecked");
  assert.match(page.text, /not published yet/);
});
