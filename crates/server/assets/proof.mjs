// Checks a tag proof: a second implementation, written from the specification and the executable
// reference, apart from the Rust one, so that the two can disagree. Served as /assets/proof.js.
// Needs nothing but WebCrypto. It must accept exactly one spelling of everything.

const PROOF_HEADER = "c2sp.org/tlog-proof@v1";
const EXTRA_HEADER = "tlogistry/tag-proof/v1";
const KEY_BYTES = 64;
const VALUE_BYTES = 40;
const KEY_BITS = 512;
const MAX_PROOF = 256 * 1024;
const MAX_NOTE = 64 * 1024;
const MAX_SIGNATURES = 64;
const MAX_HASHES = 64;
const MAX_LEAF = 65535;

/** A proof that proves nothing. `steps` are those that were taken, the last one failed. */
export class ProofError extends Error {
  name = "ProofError";
  steps = [];
}

/** Hashing is impossible here: the page is not a secure context. `steps` as far as it went. */
export class NoWebCrypto extends Error {
  name = "NoWebCrypto";
  steps = [];
}

function demand(condition, why) {
  if (!condition) {
    throw new ProofError(why);
  }
}

// ------------------------------------------------------------------ bytes and spellings

const encoder = new TextEncoder();
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NUMBER = "(?:0|[1-9][0-9]{0,17})";

function concat(...parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function equal(a, b) {
  return a.length === b.length && a.every((byte, place) => byte === b[place]);
}

function utf8(bytes, what) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ProofError(`${what} is not UTF-8`);
  }
}

/** Standard base64 with padding, in its one spelling. */
export function decodeBase64(text) {
  const why = "base64 is not in its one spelling";
  demand(text.length % 4 === 0, why);
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let place = 0; place < digits; place += 1) {
    const value = ALPHABET.indexOf(text[place]);
    demand(value >= 0, why);
    held = (held << 6) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at] = held >> bits;
      at += 1;
      held &= (1 << bits) - 1;
    }
  }
  demand(held === 0, why);
  return bytes;
}

export function encodeBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const three = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const digits = [18, 12, 6, 0].map((shift) => ALPHABET[(three >> shift) & 63]);
    text += digits.slice(0, Math.min(bytes.length - at, 3) + 1).join("").padEnd(4, "=");
  }
  return text;
}

function decodeHash(text) {
  const hash = decodeBase64(text);
  demand(hash.length === 32, "a hash has not 32 bytes");
  return hash;
}

/** Digits without sign or leading zeros, below 2^64. */
export function decimal(text, what) {
  demand(/^(?:0|[1-9][0-9]{0,19})$/.test(text), `${what} is not a number in its one spelling`);
  const number = BigInt(text);
  demand(number < 1n << 64n, `${what} is beyond 64 bits`);
  return number;
}

/** LEB128 in its one spelling: the number, and what follows it. */
function uvarint(bytes) {
  let number = 0;
  for (let place = 0; place < 4; place += 1) {
    demand(place < bytes.length, "the map proof ends within a number");
    number |= (bytes[place] & 0x7f) << (7 * place);
    if (bytes[place] < 0x80) {
      demand(place === 0 || bytes[place] !== 0, "a number of the map proof is not in its one spelling");
      return [number, bytes.subarray(place + 1)];
    }
  }
  throw new ProofError("a number of the map proof is too large");
}

function encodeUvarint(number) {
  const bytes = [];
  for (; number >= 0x80; number >>>= 7) {
    bytes.push((number & 0x7f) | 0x80);
  }
  return Uint8Array.from([...bytes, number]);
}

// ------------------------------------------------------------------ names and leaves

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST = `(?:${LABEL}(?:\\.${LABEL})+|localhost)(?::[1-9][0-9]{0,4})?`;
const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const NAME = `${HOST}(?:/${COMPONENT})+`;
const TAG = "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}";
const DIGEST = "sha256:[0-9a-f]{64}";
const TIME = "(?:0|[1-9][0-9]{0,9})";
const REASON = "[!-~](?:[ -~]{0,1022}[!-~])?";
const MEDIA = [
  "oci.image.index.v1+json",
  "docker.distribution.manifest.list.v2+json",
  "oci.image.manifest.v1+json",
  "docker.distribution.manifest.v2+json",
].map((type) => `application/vnd\\.${type.replace(/[.+]/g, "\\$&")}`).join("|");

const FOUND = `time ${TIME}\ntype (?:${MEDIA})\nsize ${NUMBER}\n`;
const DECIDED = `time ${TIME}\nreason ${REASON}\n`;
// The kinds that the map can point to. Each pattern gives name, tag and the digest that counts.
const CURRENT = {
  tag: new RegExp(`^tag (${NAME}) (${TAG}) (${DIGEST})\n${FOUND}$`),
  seen: new RegExp(`^seen (${NAME}) (${TAG}) (${DIGEST})\n${FOUND}$`),
  supersede: new RegExp(`^supersede (${NAME}) (${TAG}) ${DIGEST} (${DIGEST})\n${DECIDED}$`),
  thaw: new RegExp(`^thaw (${NAME}) (${TAG}) (${DIGEST})\n${DECIDED}$`),
};
const ONLY_NAME = new RegExp(`^${NAME}$`);
const ONLY_TAG = new RegExp(`^${TAG}$`);
const DOCKER_ALIASES = ["docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/** Whether name and tag are the one spelling of a key: a proof about another spelling says nothing. */
export function isCanonical(name, tag) {
  if (name.length > 255 || !ONLY_NAME.test(name) || !ONLY_TAG.test(tag)) {
    return false;
  }
  const slash = name.indexOf("/");
  const [host, port] = name.slice(0, slash).split(":");
  const repository = name.slice(slash + 1);
  if (DOCKER_ALIASES.includes(host)) {
    return false;
  }
  if (host === "index.docker.io" && (port !== undefined || !repository.includes("/"))) {
    return false;
  }
  return port === undefined || (port !== "443" && Number(port) < 65536);
}

function parseCurrentLeaf(bytes) {
  demand(bytes.length <= MAX_LEAF, "the leaf is longer than any leaf of a log");
  const text = utf8(bytes, "the leaf");
  const kind = text.slice(0, Math.max(0, text.indexOf(" ")));
  demand(Object.hasOwn(CURRENT, kind), "the leaf is of a kind that the map never holds");
  const match = CURRENT[kind].exec(text);
  demand(match && isCanonical(match[1], match[2]), `the ${kind} leaf does not obey its grammar`);
  return { kind, name: match[1], tag: match[2], digest: match[3] };
}

// ------------------------------------------------------------------ parsing

/** `<name>+<key id>+<base64 of 0x01 and the key>`; the id is checked with the signature. */
export function parseVerifierKey(text) {
  const [name, id] = text.split("+", 2);
  const bytes = decodeBase64(text.slice(`${name}+${id}+`.length));
  demand(isKeyName(name) && /^[0-9a-f]{8}$/.test(id ?? ""), "the verifier key is not <name>+<id>+<key>");
  demand(bytes.length === 33 && bytes[0] === 1, "the verifier key is not an Ed25519 key");
  return { name, id, key: bytes.subarray(1) };
}

function isKeyName(name) {
  return name !== "" && !/[\p{White_Space}\p{Cc}+]/u.test(name);
}

/** A C2SP tlog-proof with the extra data of a tag proof; nothing is verified yet. */
function parseProof(bytes) {
  demand(bytes.length <= MAX_PROOF, "the proof is too long");
  const text = utf8(bytes, "the proof");
  const end = text.indexOf("\n\n");
  demand(end >= 0, "no empty line stands before the checkpoint");
  const lines = text.slice(0, end).split("\n");
  demand(lines[0] === PROOF_HEADER, `the first line is not ${PROOF_HEADER}`);
  demand(lines[1]?.startsWith("extra "), "the second line is not `extra`");
  demand(lines[2]?.startsWith("index "), "the third line is not `index`");
  demand(lines.length - 3 <= MAX_HASHES, "there are more hashes than any tree has levels");
  return {
    index: decimal(lines[2].slice(6), "the index"),
    hashes: lines.slice(3).map(decodeHash),
    ...parseExtra(decodeBase64(lines[1].slice(6))),
    ...parseCheckpoint(text.slice(end + 2)),
  };
}

function parseExtra(bytes) {
  const lines = utf8(bytes, "the extra data").split("\n");
  demand(
    lines.length === 5 && lines[0] === EXTRA_HEADER && lines[4] === "",
    "the extra data is not the four lines of a tag proof",
  );
  demand(new RegExp(`^${NUMBER}$`).test(lines[1]), "the count is not a number in its one spelling");
  return {
    count: lines[1],
    leaf: lines[2] === "-" ? null : decodeBase64(lines[2]),
    path: decodeBase64(lines[3]),
  };
}

function parseCheckpoint(note) {
  demand(encoder.encode(note).length <= MAX_NOTE, "the checkpoint is too long");
  const end = note.lastIndexOf("\n\n");
  demand(end >= 0, "no empty line stands before the signatures");
  const signed = note.slice(0, end + 1);
  demand(!/[\x00-\x09\x0b-\x1f\x7f]/.test(signed), "the checkpoint holds a control character");
  const lines = signed.slice(0, -1).split("\n");
  demand(lines.length === 3 && lines[0] !== "", "the checkpoint is not three lines");
  const signatures = note.slice(end + 2);
  demand(signatures.endsWith("\n"), "the last line does not end");
  return {
    signed,
    origin: lines[0],
    size: decimal(lines[1], "the size"),
    root: decodeHash(lines[2]),
    signatures: parseSignatures(signatures.slice(0, -1).split("\n")),
  };
}

function parseSignatures(lines) {
  demand(lines.length <= MAX_SIGNATURES, "there are too many signatures");
  return lines.map((line) => {
    const [dash, name, blob, ...more] = line.split(" ");
    const whole = dash === "—" && isKeyName(name ?? "") && blob !== undefined && more.length === 0;
    demand(whole, "a signature line is malformed");
    const bytes = decodeBase64(blob);
    demand(bytes.length > 4, "a signature line is empty");
    return { name, id: bytes.subarray(0, 4), signature: bytes.subarray(4) };
  });
}

// ------------------------------------------------------------------ hashing and checking

const LEFT = Uint8Array.of(0);
const RIGHT = Uint8Array.of(1);

function hasher(subtle) {
  const sha256 = async (...parts) => new Uint8Array(await subtle.digest("SHA-256", concat(...parts)));
  return {
    sha256,
    leaf: (data) => sha256(LEFT, data),
    node: (left, right) => sha256(RIGHT, left, right),
    mapLeaf: (key, value) =>
      sha256(LEFT, encodeUvarint(key.length), key, encodeUvarint(value.length), value),
    mapNode: (bit, left, right) => sha256(RIGHT, encodeUvarint(bit), left, right),
  };
}

function bitOf(key, place) {
  return (key[place >> 3] >> (7 - (place & 7))) & 1;
}

/** Root of the map in which `key` has `value` (`null`: is absent). */
async function mapRoot(hash, key, value, path) {
  let at = key;
  let rest = path;
  if (value === null) {
    if (rest.length === 0) {
      return hash.sha256();
    }
    [at, rest] = field(rest, KEY_BYTES);
    [value, rest] = field(rest, VALUE_BYTES);
    demand(!equal(at, key), "the map proof of absence holds the very key");
  }
  let root = await hash.mapLeaf(at, value);
  let last = KEY_BITS;
  while (rest.length > 0) {
    let bit;
    [bit, rest] = uvarint(rest);
    demand(bit < last, "the bits of the map proof do not decrease");
    demand(rest.length >= 32, "the map proof ends within a hash");
    demand(bitOf(key, bit) === bitOf(at, bit), "the map proof is of another place");
    const sibling = rest.subarray(0, 32);
    root = await (bitOf(at, bit) ? hash.mapNode(bit, sibling, root) : hash.mapNode(bit, root, sibling));
    [last, rest] = [bit, rest.subarray(32)];
  }
  return root;
}

function field(bytes, length) {
  const [found, rest] = uvarint(bytes);
  demand(found === length && rest.length >= length, "the other leaf of the map has another length");
  return [rest.subarray(0, length), rest.subarray(length)];
}

/** RFC 9162 §2.1.3.2. */
async function treeRoot(hash, index, size, leafHash, proof) {
  demand(index < size, "the index is outside the tree");
  let [fn, sn, root] = [index, size - 1n, leafHash];
  for (const sibling of proof) {
    demand(sn > 0n, "the inclusion proof is too long");
    if (fn & 1n || fn === sn) {
      root = await hash.node(sibling, root);
      while (!(fn & 1n) && fn > 0n) {
        [fn, sn] = [fn >> 1n, sn >> 1n];
      }
    } else {
      root = await hash.node(root, sibling);
    }
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  demand(sn === 0n, "the inclusion proof is too short");
  return root;
}

/** Whether the log's key signed; `null` where this browser cannot tell. */
async function isSigned(subtle, hash, log, proof) {
  const id = (await hash.sha256(encoder.encode(`${log.name}\n\x01`), log.key)).subarray(0, 4);
  const hex = Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
  demand(hex === log.id, "the verifier key does not have the id that it names");
  const lines = proof.signatures.filter((line) => line.name === log.name && equal(line.id, id));
  demand(lines.length > 0, `${log.name} has not signed the checkpoint`);
  let key;
  try {
    key = await subtle.importKey("raw", log.key, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") {
      return null;
    }
    throw new ProofError("the verifier key is no point of the curve");
  }
  for (const line of lines) {
    const ok = line.signature.length === 64
      && (await subtle.verify({ name: "Ed25519" }, key, line.signature, encoder.encode(proof.signed)));
    demand(ok, "the signature of the log does not verify");
  }
  return true;
}

/**
 * Checks the bytes of a proof about the canonical `reference` (`<host>/<repository>:<tag>`) against
 * the log's verifier key. Says nothing of earlier sizes: that is what auditors replay.
 *
 * Gives `{ complete, kind, digest, index, size, count, origin, steps }`; `kind` is null where the log
 * holds no record of the tag. `complete` is false where the signature could not be checked.
 * Throws `ProofError` for a proof that proves nothing, `NoWebCrypto` where nothing can be hashed.
 */
export async function checkTagProof(bytes, reference, verifierKey, subtle = globalThis.crypto?.subtle) {
  const steps = [];
  const step = async (title, work) => {
    const entry = { title, state: "failed", detail: "" };
    steps.push(entry);
    try {
      const detail = await work(entry);
      entry.state = entry.state === "failed" ? "passed" : entry.state;
      entry.detail = detail;
    } catch (error) {
      if (error instanceof NoWebCrypto) {
        entry.state = "unchecked";
      }
      entry.detail = error.message;
      error.steps = steps;
      throw error;
    }
  };

  const colon = reference.lastIndexOf(":");
  const [name, tag] = [reference.slice(0, colon), reference.slice(colon + 1)];
  let proof, log, leaf;
  await step("The file is a tag proof, each part in its one spelling", () => {
    log = parseVerifierKey(verifierKey);
    proof = parseProof(bytes);
    demand(proof.origin === log.name, `the checkpoint is of ${proof.origin}, the key of ${log.name}`);
    return `checkpoint of ${proof.origin} at size ${proof.size}`;
  });
  await step("It is about the last leaf of the checkpoint, so no later record is left out", () => {
    demand(proof.size > 1n && proof.index === proof.size - 1n, "the leaf is not the checkpoint’s last one");
    return `leaf ${proof.index} of ${proof.size}`;
  });
  await step("It speaks of this very tag", () => {
    demand(isCanonical(name, tag), `${reference} is not the one spelling of a tag`);
    if (proof.leaf === null) {
      return "it says that no record is there";
    }
    leaf = parseCurrentLeaf(proof.leaf);
    demand(leaf.name === name && leaf.tag === tag, `the leaf is about ${leaf.name}:${leaf.tag}`);
    demand(proof.path.length >= 8, "the map proof ends within the leaf’s place");
    leaf.index = new DataView(proof.path.buffer, proof.path.byteOffset, 8).getBigUint64(0);
    demand(
      leaf.index > 0n && leaf.index < proof.index && proof.count !== "0",
      "the leaf’s place does not fit the checkpoint",
    );
    return `${leaf.kind} leaf ${leaf.index}: ${leaf.digest}`;
  });

  const hash = hasher(subtle);
  let root;
  await step("The map holds exactly that", async () => {
    if (!subtle) {
      throw new NoWebCrypto("not a secure context, so the browser offers neither SHA-256 nor signatures");
    }
    const key = concat(await hash.sha256(encoder.encode(name)), await hash.sha256(encoder.encode(tag)));
    const value = leaf && concat(proof.path.subarray(0, 8), await hash.leaf(proof.leaf));
    root = encodeBase64(await mapRoot(hash, key, value ?? null, leaf ? proof.path.subarray(8) : proof.path));
    return `computed map root ${root}, to be found in the log next`;
  });
  await step("The log’s tree holds that map", async () => {
    const indexLeaf = encoder.encode(`index ${proof.index} ${proof.count} ${root}\n`);
    const computed = await treeRoot(hash, proof.index, proof.size, await hash.leaf(indexLeaf), proof.hashes);
    demand(equal(computed, proof.root), "the proof does not lead to the root in the checkpoint");
    return `tree root ${encodeBase64(computed)}`;
  });
  let complete = true;
  await step("The log’s key signed the checkpoint", async (entry) => {
    complete = (await isSigned(subtle, hash, log, proof)) === true;
    if (!complete) {
      entry.state = "unchecked";
      return "this browser’s WebCrypto lacks Ed25519";
    }
    return `Ed25519, key ${log.id}`;
  });
  return {
    complete,
    kind: leaf?.kind ?? null,
    digest: leaf?.digest ?? null,
    index: leaf?.index ?? null,
    size: proof.size,
    count: BigInt(proof.count),
    origin: proof.origin,
    steps,
  };
}

// ------------------------------------------------------------------ on the page of a tag

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) {
    made.className = className;
  }
  made.append(...children);
  return made;
}

/** Digests and hashes as code, the rest as text. */
function withCode(text) {
  return text.split(/(\S{32,}[^\s,.])/).map((piece, place) => (place % 2 ? element("code", "", piece) : piece));
}

async function fetched(path) {
  const response = await fetch(path, { credentials: "omit", cache: "no-store" });
  if (!response.ok) {
    const why = response.status === 503 ? "it is not published yet; reload in a moment" : `status ${response.status}`;
    throw new Error(`${path} could not be fetched: ${why}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

const OWN_WORD = "The key, the proof and this check all came from this service. "
  + "To depend on none of it, use the command above with a key that reached you another way.";
const NO_CRYPTO = "Only the form of the proof was checked: over plain http a browser offers neither SHA-256 nor "
  + "signatures. Use tlogistry verify.";
const KINDS = {
  tag: "first seen and frozen",
  seen: "observed, not frozen",
  supersede: "an operator’s public re-pin",
  thaw: "an operator’s public end of freezing",
};

function outcome(result, shown) {
  const says = result.kind === null
    ? "the log holds no record of this tag"
    : `the tag means ${result.digest} by leaf ${result.index} (${result.kind}: ${KINDS[result.kind]})`;
  const at = `At size ${result.size}, ${says}.`;
  if ((result.digest ?? "") !== shown) {
    return ["failed", `${at} This page shows something else: reload it, and distrust this service if that remains.`];
  }
  if (!result.complete) {
    return ["unchecked", `${at} Who says so is not checked: a signature needs a browser with Ed25519, or tlogistry verify.`];
  }
  return ["passed", at];
}

async function check(place) {
  const { proof, reference, digest } = place.dataset;
  const list = element("ol", "steps");
  const verdict = element("p", "outcome");
  verdict.setAttribute("role", "status");
  place.append(element("h3", "", "Checked in your browser"), list, verdict);
  place.hidden = false;
  let steps = [];
  let [state, text] = ["failed", ""];
  try {
    const [bytes, key] = await Promise.all([fetched(proof), fetched("/log/vkey")]);
    const result = await checkTagProof(bytes, reference, utf8(key, "the verifier key").replace(/\n$/, ""));
    steps = result.steps;
    [state, text] = outcome(result, digest);
  } catch (error) {
    steps = error.steps ?? [];
    if (error instanceof NoWebCrypto) {
      [state, text] = ["unchecked", NO_CRYPTO];
    } else if (error instanceof ProofError) {
      text = "This proof proves nothing. Do not trust what this page says of the tag.";
    } else {
      [state, text] = ["unchecked", `Nothing was checked: ${error.message}.`];
    }
  }
  for (const { title, state: taken, detail } of steps) {
    list.append(element("li", taken, element("strong", "", taken), ` ${title}`, element("span", "", ...withCode(detail))));
  }
  list.hidden = steps.length === 0;
  verdict.classList.add(state);
  verdict.append(...withCode(text));
  place.append(element("p", "aside", OWN_WORD));
}

const place = globalThis.document?.getElementById("proof-check");
if (place) {
  await check(place);
}
