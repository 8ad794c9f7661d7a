//! Connections are kept and used again, and there are no more of them than questions at one time.

use testkit::{Auth, Quirk, When};
use tokio::task::JoinSet;

use crate::support::{client, get, head, with_image};

#[tokio::test]
async fn one_connection_does_for_any_number_of_questions() {
    let (registry, _) = with_image().await;
    let client = client(&registry);
    for _ in 0..50 {
        head(&client).await.unwrap();
        get(&client).await.unwrap();
    }
    assert_eq!((registry.total(), registry.connections()), (100, 1));
}

#[tokio::test]
async fn answers_that_are_not_read_do_not_cost_their_connection() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer());
    registry.quirk_when(When::any().authorized(true), Quirk::RedirectHops(2));
    let client = client(&registry);
    get(&client).await.unwrap();
    registry.quirk(Quirk::Status(404));
    for _ in 0..10 {
        assert!(get(&client).await.is_err());
    }
    assert_eq!((registry.total(), registry.connections()), (15, 1));
}

#[tokio::test]
async fn there_are_no_more_connections_than_questions_at_one_time() {
    let (registry, _) = with_image().await;
    let client = client(&registry);
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        asking.spawn(async move {
            for _ in 0..20 {
                head(&client).await.unwrap();
            }
        });
    }
    asking.join_all().await;
    assert!(registry.connections() <= 8, "{}", registry.connections());
}
