//! Asks a witness to cosign a log that exists only for this: leaves `entry <i>`, a key that everybody knows.
//! `submit URL WITNESS_KEY SIZE...` prints the cosigned checkpoint of each size; `submit` alone the log's key.

#![expect(clippy::print_stdout, reason = "an example prints what it got")]

use std::error::Error;

use tlog::{
    Checkpoint, Frontier, Hash, KeyAlgorithm, Node, SigningKey, leaf_hash, node_hash, prove_consistency,
};
use witness::{Client, Witness};

const ORIGIN: &str = "tags.example/log";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::from_seed(ORIGIN, KeyAlgorithm::Ed25519, &[1; 32])?;
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(witness_key)) = (arguments.next(), arguments.next()) else {
        println!("{}", key.verifier());
        return Ok(());
    };
    let witness = Witness::new("witness", witness_key.parse()?, &url)?;
    let client = Client::new(Client::TIMEOUT)?;
    for size in arguments {
        let size: u64 = size.parse()?;
        let mut tree = Frontier::new();
        (0..size).for_each(|index| tree.push(leaf(index)));
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: tree.root() }.sign(&key)?;
        // Where the witness stands is found out anew for each size.
        let prove = |old| prove_consistency(old, size, &mut |node| Ok::<_, tlog::Error>(root(node)));
        let cosigned = client.submit(&witness, &checkpoint, 0, prove).await?;
        let mut note = checkpoint.into_note();
        note.push(cosigned.line);
        println!("{note}");
    }
    Ok(())
}

fn leaf(index: u64) -> Hash {
    leaf_hash(format!("entry {index}").as_bytes())
}

fn root(node: Node) -> Hash {
    if node.level == 0 {
        return leaf(node.index);
    }
    let half = |index| root(Node { level: node.level - 1, index });
    node_hash(&half(node.index * 2), &half(node.index * 2 + 1))
}
