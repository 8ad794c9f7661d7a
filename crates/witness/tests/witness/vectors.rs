//! Requests made of checkpoints, proofs and cosignatures of other implementations (golang.org/x/mod and
//! transparency-dev/formats): what they signed is what our witness answers, byte for byte.

use std::collections::BTreeSet;

use serde_json::Value;
use witness::server::Log;

use crate::running::Place;

const VECTORS: &str = include_str!("../../../tlog/testdata/tlog_vectors.json");

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn request(old: u64, proof: &Value, checkpoint: &Value) -> String {
    let hash = |hash: &Value| {
        let hex = hash.as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        format!("{}\n", tlog::base64::encode((0..64).step_by(2).map(byte).collect::<Vec<_>>()))
    };
    let proof: String = proof.as_array().unwrap().iter().map(hash).collect();
    format!("old {old}\n{proof}\n{}", text(checkpoint, "checkpoint"))
}

#[tokio::test]
async fn checkpoints_proofs_and_cosignatures_of_others_go_through_unchanged() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let checkpoints = vectors["checkpoints"].as_array().unwrap();
    let nothing = Value::Array(Vec::new());
    let mut done = BTreeSet::new();
    for new in checkpoints {
        for step in new["consistency"].as_array().into_iter().flatten() {
            let old = step["old"].as_u64().unwrap();
            if !done.insert((old, new["size"].as_u64())) {
                continue;
            }
            let Some(before) = checkpoints.iter().find(|one| one["size"] == old) else { continue };
            let mut place = Place::new();
            let key = text(&vectors, "log_vkey").parse().unwrap();
            place.logs = vec![Log { origin: "tags.example/log".to_owned(), keys: vec![key] }];
            place.clock.set(before["cosig_time"].as_i64().unwrap());
            let running = place.start().await;
            let first = running.post(request(0, &nothing, before)).await;
            assert_eq!((first.status, first.text()), (200, text(before, "cosig_line")));
            place.clock.set(new["cosig_time"].as_i64().unwrap());
            let second = running.post(request(old, &step["proof"], new)).await;
            assert_eq!((second.status, second.text()), (200, text(new, "cosig_line")), "{old}");
            let kept = running.monitored("tags.example/log").await;
            assert_eq!(kept.text(), format!("{}{}", text(new, "checkpoint"), text(new, "cosig_line")));
            running.stop().await.unwrap();
        }
    }
    assert!(done.len() > 20, "{done:?}");
}
