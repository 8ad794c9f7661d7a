//! Agreement with trees, checkpoints, cosignatures, proofs and tiles made by other implementations
//! (golang.org/x/mod, transparency-dev/formats and transparency-dev/merkle).
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tlog::{
    Error, Frontier, Hash, Node, Note, SignedCheckpoint, SigningKey, TileId, TlogProof, VerifierKey,
    leaf_hash, node_hash, prove_consistency, prove_inclusion, tiles_of_size, verify_consistency,
    verify_cosignature, verify_inclusion,
};

const VECTORS: &str = include_str!("../testdata/tlog_vectors.json");
const LARGEST: u64 = 70_000;

/// All perfect subtrees of the largest tree.
struct Tree(Vec<Vec<Hash>>);

impl Tree {
    fn new() -> Self {
        let mut levels = vec![
            (0..LARGEST).map(|index| leaf_hash(format!("entry {index}").as_bytes())).collect::<Vec<_>>(),
        ];
        while levels.last().unwrap().len() > 1 {
            let below = levels.last().unwrap();
            levels.push(below.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect());
        }
        Self(levels)
    }

    fn read(&self) -> impl FnMut(Node) -> Result<Hash, Error> + '_ {
        |node| Ok(self.0[usize::from(node.level)][usize::try_from(node.index).unwrap()])
    }

    fn frontier(&self, size: u64) -> Frontier {
        let mut frontier = Frontier::new();
        self.0[0].iter().take(usize::try_from(size).unwrap()).for_each(|leaf| frontier.push(*leaf));
        frontier
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

#[test]
fn roots_checkpoints_proofs_and_tiles_agree_with_other_implementations() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let tree = Tree::new();
    let log: VerifierKey = text(&vectors, "log_vkey").parse().unwrap();
    let key = SigningKey::from_private_form(text(&vectors, "log_skey")).unwrap();
    let witness: VerifierKey = text(&vectors, "witness_vkey").parse().unwrap();
    for vector in vectors["checkpoints"].as_array().unwrap() {
        let size = vector["size"].as_u64().unwrap();
        let root = tree.frontier(size).root();
        assert_eq!(root.to_hex(), text(vector, "root_hex"), "size {size}");
        let signed: SignedCheckpoint = text(vector, "checkpoint").parse().unwrap();
        let checkpoint = signed.verify(&log).unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (size, root));
        assert_eq!(checkpoint.clone().sign(&key).unwrap().to_string(), text(vector, "checkpoint"));
        let cosigned: Note =
            format!("{}{}", text(vector, "checkpoint"), text(vector, "cosig_line")).parse().unwrap();
        assert_eq!(verify_cosignature(&cosigned, &witness).unwrap(), vector["cosig_time"].as_u64().unwrap());
        for proof in vector["proofs"].as_array().into_iter().flatten() {
            let parsed: TlogProof = text(proof, "tlog_proof").parse().unwrap();
            assert_eq!(parsed.to_string(), text(proof, "tlog_proof"));
            let leaf = leaf_hash(format!("entry {}", parsed.index).as_bytes());
            verify_inclusion(parsed.index, size, leaf, root, &parsed.hashes).unwrap();
            assert_eq!(prove_inclusion(parsed.index, size, &mut tree.read()).unwrap(), parsed.hashes);
        }
        for proof in vector["consistency"].as_array().into_iter().flatten() {
            let old = proof["old"].as_u64().unwrap();
            let ours = prove_consistency(old, size, &mut tree.read()).unwrap();
            let theirs: Vec<&str> =
                proof["proof"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap()).collect();
            assert_eq!(ours.iter().map(Hash::to_hex).collect::<Vec<_>>(), theirs, "{old} to {size}");
            verify_consistency(old, tree.frontier(old).root(), size, root, &ours).unwrap();
        }
        let tiles: Vec<TileId> = tiles_of_size(size).collect();
        for vector in vector["tiles"].as_array().into_iter().flatten() {
            let level = u8::try_from(vector["level"].as_u64().unwrap()).unwrap();
            let index = vector["n"].as_u64().unwrap();
            let width = u16::try_from(vector["width"].as_u64().unwrap()).unwrap();
            let tile = TileId { level, index, width };
            assert!(
                tiles
                    .iter()
                    .any(|known| known.level == level && known.index == index && known.width >= width),
                "{tile}"
            );
            let start = usize::try_from(index * 256).unwrap();
            let hashes = &tree.0[usize::from(level) * 8][start..start + usize::from(width)];
            let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
            assert_eq!(Hash::of(&bytes).to_hex(), text(vector, "sha256"), "{tile}");
        }
    }
}

#[test]
fn the_roots_of_the_well_known_leaves_agree() {
    let leaves: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    for (leaf, root) in leaves.iter().zip(roots) {
        frontier.push(leaf_hash(leaf));
        assert_eq!(frontier.root().to_hex(), root);
    }
}

/// The probes of transparency-dev/merkle lie beside the project in its own workplaces only.
#[test]
fn good_and_corrupted_probes_are_told_apart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/merkle");
    let mut files = Vec::new();
    for kind in ["inclusion", "consistency"] {
        collect(&folder.join(kind), &mut files);
    }
    if files.is_empty() {
        return println!("skipped: no probes beside the project");
    }
    assert!(files.len() > 100, "{}", files.len());
    for file in files {
        let probe: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        // Whether something follows from the empty tree is answered differently there and in C2SP.
        if probe["size1"].as_u64() == Some(0) {
            continue;
        }
        let accepted = check(&probe).is_some();
        assert_eq!(accepted, !probe["wantErr"].as_bool().unwrap_or(false), "{}", file.display());
    }
}

fn check(probe: &Value) -> Option<()> {
    let proof = probe["proof"].as_array().into_iter().flatten();
    let proof: Vec<Hash> = proof.map(hash).collect::<Option<_>>()?;
    if let Some(size) = probe["treeSize"].as_u64() {
        let index = probe["leafIdx"].as_u64()?;
        return verify_inclusion(index, size, hash(&probe["leafHash"])?, hash(&probe["root"])?, &proof).ok();
    }
    let (old, new) = (probe["size1"].as_u64()?, probe["size2"].as_u64()?);
    verify_consistency(old, hash(&probe["root1"])?, new, hash(&probe["root2"])?, &proof).ok()
}

/// Some probes carry a word for "any hash", which stands for itself; nothing at all is no hash.
fn hash(value: &Value) -> Option<Hash> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    Some(Hash::from_base64(text).unwrap_or_else(|_length| Hash::of(format!("not a hash: {text}"))))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
}
