// The proof check of the pages under Node, against the vectors that the Rust crates agree with.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { webcrypto } from "node:crypto";
import {
  NoWebCrypto, ProofError, checkTagProof, decimal, decodeBase64, encodeBase64, isCanonical, parseVerifierKey,
} from "../../assets/proof.mjs";
import { EMPTY_ROOT, ORIGIN, emptyLogProof, leafHash, newKey, nodeHash, presence } from "./log.mjs";

const vectors = JSON.parse(readFileSync(new URL("../../../taglog/testdata/taglog_vectors.json", import.meta.url)));
const bytes = (text) => new TextEncoder().encode(text);
const queries = vectors.good.flatMap((log) => log.queries.map((query) => ({ ...query, vkey: log.vkey, log })));
const check = (query, changed = {}) => {
  const { proof, name, tag, vkey } = { ...query, ...changed };
  return checkTagProof(typeof proof === "string" ? bytes(proof) : proof, `${name}:${tag}`, vkey);
};
const refused = (promise, why = /./) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof ProofError, error.stack);
    assert.match(error.message, why);
    return true;
  });

test("every good proof is accepted and says what the reference says", async () => {
  assert.ok(queries.length >= 29);
  for (const query of queries) {
    const result = await check(query);
    assert.equal(result.complete, true);
    assert.equal(result.kind, query.kind);
    assert.equal(result.digest, query.digest);
    assert.equal(result.size, BigInt(query.log.size));
    assert.equal(result.origin, "tlog.example/log");
    assert.ok(result.steps.length === 6 && result.steps.every((step) => step.state === "passed" && step.detail));
  }
});

test("a proof says nothing of another tag, another name or another key", async () => {
  const other = await newKey();
  for (const query of queries) {
    await refused(check(query, { vkey: other.verifierKey }), /has not signed/);
    await refused(check(query, { vkey: query.vkey.replace("tlog.example", "log.example") }), /checkpoint is of/);
    for (const { name, tag } of query.log.queries.filter((recorded) => recorded.kind && recorded !== query)) {
      const itself = name === query.name && tag === query.tag;
      await (itself ? check(query) : refused(check(query, { name, tag })));
    }
  }
  const present = queries.find((query) => query.kind === "tag");
  await refused(check(present, { tag: "v00" }), /the leaf is about/);
  await refused(check(present, { name: "ghcr.io/org/other" }), /the leaf is about/);
  await refused(checkTagProof(bytes(present.proof), present.name, present.vkey), /one spelling of a tag/);
});

test("every changed byte of every proof is noticed", async () => {
  for (const query of queries) {
    const good = bytes(query.proof);
    for (let place = 0; place < good.length; place += 1) {
      const changed = good.slice();
      changed[place] ^= 1 << (place % 8);
      await refused(check(query, { proof: changed }));
    }
  }
});

test("every flipped bit of one proof of presence and one of absence is noticed", async () => {
  const log = vectors.good[3];
  for (const query of [log.queries[0], log.queries[2]]) {
    const good = bytes(query.proof);
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      const changed = good.slice();
      changed[bit >> 3] ^= 1 << (bit & 7);
      await refused(check({ ...query, vkey: log.vkey }, { proof: changed }));
    }
  }
});

test("what is cut off, added or doubled is noticed", async () => {
  for (const query of queries.slice(0, 12)) {
    const lines = query.proof.split("\n");
    for (let place = 0; place <= lines.length; place += 1) {
      if (place < lines.length) {
        await refused(check(query, { proof: lines.toSpliced(place, 1).join("\n") }));
        const doubled = check(query, { proof: lines.toSpliced(place, 0, lines[place]).join("\n") });
        // The log's own signature twice is still its signature.
        await (lines[place].startsWith("— ") ? doubled : refused(doubled));
      }
      await refused(check(query, { proof: lines.toSpliced(place, 0, "x").join("\n") }));
    }
    for (const changed of [
      `${query.proof}\n`,
      ` ${query.proof}`,
      `\ufeff${query.proof}`,
      query.proof.replaceAll("\n", "\r\n"),
      query.proof.slice(0, -1),
      query.proof.slice(0, query.proof.length >> 1),
      "",
    ]) {
      await refused(check(query, { proof: changed }));
    }
  }
  await refused(check(queries[0], { proof: new Uint8Array(300_000) }), /too long/);
  await refused(check(queries[0], { proof: Uint8Array.of(0xff, 0xfe) }), /UTF-8/);
});

/** Replaces a line of the extra data, which no signature covers by itself. */
function withExtra(query, change) {
  const line = query.proof.split("\n")[1];
  const extra = new TextDecoder().decode(decodeBase64(line.slice(6))).split("\n");
  return query.proof.replace(line, `extra ${encodeBase64(bytes(change(extra).join("\n")))}`);
}

test("the extra data has one spelling", async () => {
  for (const query of queries) {
    assert.equal(withExtra(query, (extra) => extra), query.proof);
    for (const count of ["0$", "$0", "+$", " $", "$ ", "-$", "", "1e1", "١", "9999999999999999999"]) {
      const proof = withExtra(query, (extra) => extra.with(1, count.replace("$", extra[1])));
      await refused(check(query, { proof }));
    }
    for (const change of [
      (extra) => ["tlogistry/tag-proof/v2", ...extra.slice(1)],
      (extra) => extra.slice(0, 4),
      (extra) => [...extra, ""],
      (extra) => extra.with(2, ""),
      (extra) => extra.with(2, "--"),
      (extra) => extra.with(3, extra[3] === "" ? "AA==" : ""),
      (extra) => extra.with(3, `${extra[3]}AAAA`),
      (extra) => extra.with(3, extra[3].replace(/=*$/, "")).concat(extra[3].endsWith("=") ? [] : ["x"]),
    ]) {
      await refused(check(query, { proof: withExtra(query, change) }));
    }
  }
});

test("a number of the map proof has one spelling", async () => {
  const { vkey, queries: [, , , absent] } = vectors.good[4];
  const spelled = (change) => {
    const proof = withExtra(absent, (extra) => extra.with(3, encodeBase64(change(decodeBase64(extra[3])))));
    return check({ ...absent, vkey, proof });
  };
  assert.equal((await spelled((path) => path)).complete, true);
  // The first number is 64, the length of the other key, in one byte.
  await refused(spelled((path) => Uint8Array.of(0xc0, 0, ...path.subarray(1))), /one spelling/);
  await refused(spelled((path) => Uint8Array.of(0xc0, 0x80, 0, ...path.subarray(1))), /one spelling/);
  await refused(spelled((path) => Uint8Array.of(0xc0, 0x80, 0x80, 0x80, 0, ...path.subarray(1))), /too large/);
  await refused(spelled((path) => Uint8Array.of(63, ...path.subarray(1))), /another length/);
  await refused(spelled((path) => path.subarray(0, path.length - 1)), /within a hash/);
  await refused(spelled((path) => Uint8Array.of(...path, 0x80)), /within a number/);
});

test("the checkpoint and its signatures have one spelling and one meaning", async () => {
  const key = await newKey();
  const name = "ghcr.io/org/app";
  const proof = async (parts) => checkTagProof(await emptyLogProof(key, parts), `${name}:v1`, key.verifierKey);
  assert.equal((await proof()).kind, null);

  const rules = await leafHash("log tlogistry/v1 supersede=never\n");
  const root = encodeBase64(await nodeHash(rules, await leafHash(`index 1 0 ${EMPTY_ROOT}\n`)));
  for (const [text, why] of [
    [`${ORIGIN}\n02\n${root}\n`, /one spelling/],
    [`${ORIGIN}\n+2\n${root}\n`, /one spelling/],
    [`${ORIGIN}\n18446744073709551616\n${root}\n`, /64 bits/],
    [`${ORIGIN}\n2\n${root}\nextension\n`, /three lines/],
    [`${ORIGIN}\n2\n${root.slice(0, -2)}V=\n`, /one spelling/],
    [`${ORIGIN}\n2\n${root.replace("=", "")}\n`, /one spelling/],
    [`${ORIGIN}\n2\nAAAA\n`, /32 bytes/],
    [`${ORIGIN}\t\n2\n${root}\n`, /control/],
    [`other.example/log\n2\n${root}\n`, /checkpoint is of/],
    [`\n2\n${root}\n`, /three lines|empty line/],
  ]) {
    await refused(proof({ text }), why);
  }
  for (const index of ["01", "0", "2", "-1", "1 ", "0x1", ""]) {
    await refused(proof({ index }));
  }
  const text = `${ORIGIN}\n2\n${root}\n`;
  const good = await key.line(text);
  const grease = (number) => `— grease.example/${number} ${encodeBase64(new Uint8Array(68).fill(number))}\n`;
  const many = (count) => Array.from({ length: count }, (_, number) => grease(number));
  assert.equal((await proof({ lines: [...many(20), good] })).complete, true);
  for (const [lines, why] of [
    [[], /./],
    [[grease(1)], /has not signed/],
    [[good, key.falseLine], /does not verify/],
    [[key.shortLine], /does not verify/],
    [[...many(64), good], /too many/],
    [[good.replace("— ", "- ")], /malformed/],
    [[good.replace(" ", "  ")], /malformed/],
    [[good.trimEnd()], /does not end/],
    [[good, "— x AAAA\n"], /empty/],
    [[good.replace("\n", " x\n")], /malformed/],
  ]) {
    await refused(proof({ lines }), why);
  }
});

test("the leaf must be the checkpoint’s last", async () => {
  const key = await newKey();
  const index = await leafHash(`index 0 0 ${EMPTY_ROOT}\n`);
  const hidden = await leafHash("a later record that the map does not cover\n");
  const parts = { root: encodeBase64(await nodeHash(index, hidden)), index: "0", hashes: [hidden] };
  await refused(checkTagProof(await emptyLogProof(key, parts), "ghcr.io/org/app:v1", key.verifierKey), /last one/);
  const alone = { text: `${ORIGIN}\n1\n${encodeBase64(index)}\n`, index: "0", hashes: [] };
  await refused(checkTagProof(await emptyLogProof(key, alone), "ghcr.io/org/app:v1", key.verifierKey), /last one/);
});

test("an inclusion proof has the length of its tree, whatever the log signs", async () => {
  const key = await newKey();
  const proof = async (index, hashes, root) => {
    const text = `${ORIGIN}\n${index + 1}\n${encodeBase64(root)}\n`;
    const bundle = await emptyLogProof(key, { text, index: String(index), hashes });
    return checkTagProof(bundle, "ghcr.io/org/app:v1", key.verifierKey);
  };
  const last = (index) => leafHash(`index ${index} 0 ${EMPTY_ROOT}\n`);
  const [a, b] = [await leafHash("a\n"), await leafHash("b\n")];
  assert.equal((await proof(3, [a, b], await nodeHash(b, await nodeHash(a, await last(3))))).complete, true);
  await refused(proof(3, [a], await nodeHash(a, await last(3))), /too short/);
  await refused(proof(1, [a, b], await nodeHash(b, await nodeHash(a, await last(1)))), /too long/);
});

test("a map that no honest log has is refused, whatever the log signs", async () => {
  const key = await newKey();
  const [name, tag] = ["ghcr.io/org/app", "v1"];
  const leaf = `thaw ${name} ${tag} sha256:${"0".repeat(64)}\ntime 1\nreason x\n`;
  const proof = async (parts) => {
    const { extra, indexLeaf } = await presence(name, tag, { leaf, place: 4, ...parts });
    const [a, b] = [await leafHash("a\n"), await leafHash("b\n")];
    const root = encodeBase64(await nodeHash(b, await nodeHash(a, indexLeaf)));
    const bundle = await emptyLogProof(key, { extra, text: `${ORIGIN}\n10\n${root}\n`, index: "9", hashes: [a, b] });
    return checkTagProof(bundle, `${name}:${tag}`, key.verifierKey);
  };
  for (const bits of [[], [511], [300, 256, 7, 0]]) {
    assert.equal((await proof({ bits })).kind, "thaw", String(bits));
  }
  for (const bits of [[7, 300], [7, 7], [512], [300, 256, 257]]) {
    await refused(proof({ bits }), /do not decrease/);
  }
  for (const parts of [{ place: 0 }, { place: 9 }, { place: 10 }, { place: 2n ** 63n }, { count: "0" }]) {
    await refused(proof(parts), /does not fit/);
  }
  for (const wrong of [
    leaf.replace("thaw", "moved"), leaf.replace("thaw", "constructor"), leaf.replace("time 1", "time 01"),
    leaf.replace("reason x", "reason x "), leaf.replace("reason x", "reason \u00e9"), leaf.slice(0, -1), `${leaf}\n`,
    leaf.replace("sha256:0", "sha256:A"), leaf.replace("thaw ", "thaw  "), leaf.replaceAll("\n", "\r\n"),
    leaf.replace("reason x", `reason ${"x".repeat(1025)}`), `${leaf}size 1\n`,
  ]) {
    await refused(proof({ leaf: wrong }), /grammar|kind/);
  }
});

test("a proof about another spelling of a name is refused", async () => {
  const key = await newKey();
  const bundle = await emptyLogProof(key);
  for (const wrong of [
    "docker.io/library/alpine:v1", "index.docker.io/alpine:v1", "index.docker.io:80/library/alpine:v1",
    "alpine:v1", "GHCR.io/org/app:v1", "ghcr.io/Org/app:v1", "ghcr.io:443/org/app:v1",
    "ghcr.io:70000/org/app:v1", "ghcr.io./org/app:v1", "ghcr.io/org/app:", "ghcr.io/org/app:.v1",
    "ghcr.io/org/app:v1\n", "ghcr.io//app:v1", `ghcr.io/${"a".repeat(250)}:v1`, "", ":",
  ]) {
    await refused(checkTagProof(bundle, wrong, key.verifierKey), /one spelling of a tag/);
  }
  for (const name of ["localhost/x", "reg.example:5000/x/y-z", "index.docker.io/library/alpine", "a.b/c__d/e--f.g"]) {
    assert.equal(isCanonical(name, "_3.20-X"), true, name);
  }
});

test("base64, numbers and keys have one spelling", () => {
  for (let length = 0; length < 70; length += 1) {
    const random = webcrypto.getRandomValues(new Uint8Array(length));
    assert.equal(encodeBase64(random), Buffer.from(random).toString("base64"));
    assert.deepEqual(decodeBase64(encodeBase64(random)), random);
  }
  for (const wrong of [
    "A", "AA", "AA=", "AB==", "AAB=", "AA===", "====", "AA==\n", " AA==", "AA__", "AA-_", "A=A=", "AAA\u00e9", "AA==AAAA",
  ]) {
    assert.throws(() => decodeBase64(wrong), ProofError, wrong);
  }
  assert.equal(decimal("18446744073709551615", ""), 2n ** 64n - 1n);
  for (const wrong of [
    "", "00", "01", "+1", "-1", " 1", "1 ", "1\n", "1e3", "0x1", "1_0", "18446744073709551616", "١",
  ]) {
    assert.throws(() => decimal(wrong, ""), ProofError, wrong);
  }
  const good = vectors.good[0].vkey;
  assert.equal(parseVerifierKey(good).name, "tlog.example/log");
  for (const wrong of [
    "", "a", "a+b", `${good}\n`, ` ${good}`, `+${good}`, good.slice(0, -4), good.replace("+28", "+2"),
    good.replace("28c1a534", "28C1A534"), good.replace("+AY", "+BY"),
  ]) {
    assert.throws(() => parseVerifierKey(wrong), ProofError, wrong);
  }
});

test("a verifier key with another id than its own is refused", async () => {
  const query = queries[0];
  await refused(check(query, { vkey: query.vkey.replace("28c1a534", "28c1a535") }), /id/);
});

test("without Ed25519 all but the signature is checked, and that is said", async () => {
  const lacking = {
    digest: (...parts) => webcrypto.subtle.digest(...parts),
    importKey: async () => {
      throw new DOMException("no such algorithm", "NotSupportedError");
    },
  };
  for (const query of queries) {
    const result = await checkTagProof(bytes(query.proof), `${query.name}:${query.tag}`, query.vkey, lacking);
    assert.equal(result.complete, false);
    assert.equal(result.digest, query.digest);
    assert.deepEqual(result.steps.map((step) => step.state), [...Array(5).fill("passed"), "unchecked"]);
  }
  const wrong = queries[0].proof.replace(/\n— .*\n$/, (line) => line.replace("log ", "log KMGlNA"));
  await refused(checkTagProof(bytes(wrong), `${queries[0].name}:${queries[0].tag}`, queries[0].vkey, lacking));
});

test("without WebCrypto nothing is claimed but the form", async () => {
  const query = queries[0];
  await assert.rejects(checkTagProof(bytes(query.proof), `${query.name}:${query.tag}`, query.vkey, null), (error) => {
    assert.ok(error instanceof NoWebCrypto);
    assert.deepEqual(error.steps.map((step) => step.state), ["passed", "passed", "passed", "unchecked"]);
    return true;
  });
});
