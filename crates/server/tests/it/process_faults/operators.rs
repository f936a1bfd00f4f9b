//! Operators' commands: on a live shop through its admin socket, on a resting one under the data lock.

use std::{path::Path, sync::Arc};

use merx_kernel::Role;
use merx_platform::time::SystemClock;
use merx_server::client::{Reply, text};
use merx_sql::{Db, DbOptions, params};
use serde_json::json;

use crate::process::{
    buyers::Buyer,
    harness::{Site, refused, until},
};

const NO_SAGA: &str = "sga_00000000000000000000000001";

/// An order that is to be cancelled while it may still be paid: its saga waits until the attempt has run out.
async fn waiting_saga(site: &Site, buyer: &mut Buyer) -> String {
    let (path, body) = buyer.checkout().await.expect("a cart");
    let order = buyer.client.post(&path, &body).await.and_then(Reply::ok).expect("an order");
    let payment = text(&order, "/payment_id");
    let attempts = format!("/v1/payments/{payment}/attempts");
    let attempt = buyer.client.post(&attempts, &json!({"method": "alipay_page"})).await;
    attempt.and_then(Reply::ok).expect("an attempt");
    let cancellation = format!("/v1/orders/{}/cancellation", text(&order, "/id"));
    let answer = buyer.client.post(&cancellation, &json!({})).await.expect("answered");
    assert_eq!(answer.status, 202, "{answer:?}");
    let list = until("a waiting saga", || async {
        Some(site.succeed(&["saga", "list"])).filter(|list| list.contains("waiting"))
    })
    .await;
    assert!(list.contains("ordering.close-order") && list.ends_with("1 not finished\n"), "{list}");
    list.split_whitespace().next().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sagas_are_listed_retried_and_abandoned_live_and_at_rest() {
    let mut site = Site::new(&[]);
    let guests = site.invite(1);
    site.start().await;
    let mut buyer = Buyer::arrive(&site, guests[0].clone()).await;
    let saga = waiting_saga(&site, &mut buyer).await;
    refused(&site.run(&["saga", "retry", NO_SAGA]), 1, &["There is no saga", NO_SAGA]);
    assert_eq!(site.succeed(&["saga", "retry", &saga]), format!("{saga}: retry done\n"));
    assert!(site.succeed(&["saga", "list"]).contains(&saga));
    // A drained audit names what is in flight; an ordinary one does not mind.
    site.succeed(&["audit"]);
    let drained = site.run(&["audit", "--drained"]);
    assert_eq!(drained.status.code(), Some(1));
    let report = String::from_utf8(drained.stdout).expect("text");
    assert!(report.contains(&saga) && report.contains("The books do NOT agree."), "{report}");

    site.stop().await;
    let list = site.succeed(&["saga", "list"]);
    assert!(list.contains(&saga), "{list}");
    refused(&site.run(&["saga", "abandon", NO_SAGA]), 1, &["There is no saga"]);
    site.succeed(&["saga", "retry", &saga]);
    assert!(site.succeed(&["saga", "list"]).contains(&saga), "it still waits");
    assert_eq!(site.succeed(&["saga", "abandon", &saga]), format!("{saga}: abandon done\n"));
    assert_eq!(site.succeed(&["saga", "list"]), "0 not finished\n");
    refused(&site.run(&["saga", "retry", &saga]), 1, &["has ended", "saga.closed"]);
    site.start().await;
    assert_eq!(site.succeed(&["saga", "list"]), "0 not finished\n");
    refused(&site.run(&["saga", "abandon", &saga]), 1, &["has ended"]);
    site.stop().await;
}

/// Puts a fact that nobody can read into the outbox of shipping, of a resting shop.
pub(super) async fn poison(site: &Site) {
    let url = format!("sqlite:{}", Path::new(site.data()).join("merx.db").display());
    let db = Db::open(&url, DbOptions::new(Arc::new(SystemClock)), &[]).expect("opened");
    let put = db.write("test.poison", |tx| {
        let position = tx.next_position();
        tx.execute(
            "INSERT INTO shipping_outbox (id, position, type, subject, envelope, published_at) VALUES (?, ?, ?, ?, ?, ?)",
            params![vec![7u8; 16], position, "shipping.shipped.v1", "ord_x", "{ not JSON", 1_795_132_800_000i64],
        )
    });
    assert_eq!(put.await.expect("put"), 1);
    db.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_driven_again_live_and_at_rest() {
    let mut site = Site::new(&[]);
    site.start().await;
    assert_eq!(site.succeed(&["dead-letters", "list"]), "0 dead letters\n");
    site.stop().await;
    poison(&site).await;
    site.start().await;
    let list = until("a dead letter", || async {
        Some(site.succeed(&["dead-letters", "list"])).filter(|list| list.ends_with("1 dead letters\n"))
    })
    .await;
    let mut words = list.split_whitespace();
    let (subscription, message) = (words.next().expect("a name"), words.next().expect("an id"));
    assert!(list.contains("shipping.shipped.v1"), "{list}");
    let metrics = site.metrics().await;
    assert!(metrics.contains("merx_alerts_total"), "{metrics}");
    let unknown = ["dead-letters", "redrive", subscription, "msg_00000000000000000000000001"];
    refused(&site.run(&unknown), 1, &["There is no such dead letter", "message.no_dead_letter"]);
    refused(&site.run(&["dead-letters", "redrive", "no.such", message]), 1, &["no.such"]);
    let again = site.succeed(&["dead-letters", "redrive", subscription, message]);
    assert_eq!(again, format!("{message}: sent to {subscription} again\n"));
    until("dead once more", || async { (site.succeed(&["dead-letters", "list"]) == list).then_some(()) })
        .await;

    site.stop().await;
    assert_eq!(site.succeed(&["dead-letters", "list"]), list);
    site.succeed(&["dead-letters", "redrive", subscription, message]);
    assert_eq!(site.succeed(&["dead-letters", "list"]), "0 dead letters\n", "it waits for the next start");
    site.start().await;
    until("dead again", || async { (site.succeed(&["dead-letters", "list"]) == list).then_some(()) }).await;
    // The rest of the shop does not mind.
    site.visitor().get("/v1/products").await.and_then(Reply::ok).expect("products");
    site.logged_in(Role::Customer).await;
    site.stop().await;
    site.assert_no_panic();
}
