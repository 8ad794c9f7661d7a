// A tiny log with a key of its own, for proofs that no good log would give.
import { webcrypto } from "node:crypto";
import { encodeBase64 } from "../../assets/proof.mjs";

const bytes = (text) => new TextEncoder().encode(text);
const sha256 = async (...parts) =>
  new Uint8Array(await webcrypto.subtle.digest("SHA-256", Buffer.concat(parts)));

export const ORIGIN = "tlog.example/log";
export const EMPTY_ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
export const leafHash = (text) => sha256(Uint8Array.of(0), bytes(text));
export const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

const varint = (number) => Uint8Array.from(number < 128 ? [number] : [(number & 127) | 128, number >> 7]);

/** Extra data of a tag proof whose path has these bits, in any order, and the index leaf that it leads to. */
export async function presence(name, tag, { leaf, place, bits = [], count = "9", index = 9 }) {
  const key = Buffer.concat([await sha256(bytes(name)), await sha256(bytes(tag))]);
  const u64 = new Uint8Array(8);
  new DataView(u64.buffer).setBigUint64(0, BigInt(place));
  let root = await sha256(Uint8Array.of(0, 64), key, Uint8Array.of(40), u64, await leafHash(leaf));
  const path = [u64];
  for (const bit of bits) {
    const sibling = await sha256(bytes(`sibling ${bit}`));
    const right = (key[bit >> 3] >> (7 - (bit & 7))) & 1;
    root = await sha256(Uint8Array.of(1), varint(bit), ...(right ? [sibling, root] : [root, sibling]));
    path.push(varint(bit), sibling);
  }
  const lines = ["tlogistry/tag-proof/v1", count, encodeBase64(bytes(leaf)), encodeBase64(Buffer.concat(path)), ""];
  return { extra: lines.join("\n"), indexLeaf: await leafHash(`index ${index} ${count} ${encodeBase64(root)}\n`) };
}

export async function newKey() {
  const pair = await webcrypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"]);
  const key = new Uint8Array(await webcrypto.subtle.exportKey("raw", pair.publicKey));
  const id = (await sha256(bytes(`${ORIGIN}\n\x01`), key)).subarray(0, 4);
  const hex = Buffer.from(id).toString("hex");
  return {
    verifierKey: `${ORIGIN}+${hex}+${encodeBase64(Buffer.concat([Uint8Array.of(1), key]))}`,
    async line(text) {
      const signature = new Uint8Array(await webcrypto.subtle.sign({ name: "Ed25519" }, pair.privateKey, bytes(text)));
      return `— ${ORIGIN} ${encodeBase64(Buffer.concat([id, signature]))}\n`;
    },
    falseLine: `— ${ORIGIN} ${encodeBase64(Buffer.concat([id, new Uint8Array(64)]))}\n`,
    shortLine: `— ${ORIGIN} ${encodeBase64(Buffer.concat([id, new Uint8Array(63)]))}\n`,
  };
}

/** A proof that no tag is recorded in an empty log of two leaves; every part can be replaced. */
export async function emptyLogProof(key, parts = {}) {
  const rules = await leafHash("log tlogistry/v1 supersede=never\n");
  const index = await leafHash(`index 1 0 ${EMPTY_ROOT}\n`);
  const root = parts.root ?? encodeBase64(await nodeHash(rules, index));
  const text = parts.text ?? `${ORIGIN}\n2\n${root}\n`;
  const extra = parts.extra ?? "tlogistry/tag-proof/v1\n0\n-\n\n";
  const head = parts.head ?? `extra ${encodeBase64(bytes(extra))}\nindex ${parts.index ?? "1"}\n`;
  const hashes = (parts.hashes ?? [rules]).map((hash) => `${encodeBase64(hash)}\n`).join("");
  const lines = parts.lines ?? [await key.line(text)];
  return bytes(`c2sp.org/tlog-proof@v1\n${head}${hashes}\n${text}\n${lines.join("")}`);
}
