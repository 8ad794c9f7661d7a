//! Histories of one log submitted at once: one of them is cosigned, the others never.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::log::{Log, ORIGIN};
use crate::running::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_submissions_never_advance_from_one_size_to_two_roots() {
    for round in 0..6 {
        let place = Place::new();
        let running = Arc::new(place.start().await);
        assert_eq!(running.add(&Log::new().request(0, 2)).await.status, 200);
        let mut racing = JoinSet::new();
        for history in 0..16 {
            let running = Arc::clone(&running);
            // Some of one size, some of different sizes.
            let size = 5 + history % 3 * (round % 2);
            let request = Log::forked_at(2, &format!("history {history}")).request(2, size);
            racing.spawn(async move { (request.checkpoint().root, running.add(&request).await) });
        }
        let answers = racing.join_all().await;
        assert!(answers.iter().all(|(_, reply)| matches!(reply.status, 200 | 409)), "{answers:?}");
        let cosigned: Vec<String> = answers
            .iter()
            .filter(|(_, reply)| reply.status == 200)
            .map(|(root, _)| root.to_string())
            .collect();
        assert_eq!(cosigned.len(), 1, "{answers:?}");
        assert_eq!(running.monitored(ORIGIN).await.text().lines().nth(2), Some(cosigned[0].as_str()));
    }
}
