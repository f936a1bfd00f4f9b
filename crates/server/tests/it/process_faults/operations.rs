//! What operators look at and mend while the shop is at work: events, outboxes, timers, sagas, read models.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use merx_contracts::ids::OrderId;
use merx_platform::time::SystemClock;
use merx_server::client::text;
use merx_sql::{Db, DbOptions, params};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::process::{
    buyers::{Buyer, restock},
    harness::{Site, refused, until},
};

fn json_of(site: &Site, args: &[&str]) -> Value {
    serde_json::from_str(&site.succeed(&[args, &["--json"]].concat())).expect("one JSON document")
}

fn lines_of(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON a line")).collect()
}

/// Some statements on the database of a running or resting shop, past every rule. A running shop's file is locked against a
/// second writer by Merx itself, so this goes through SQLite alone.
async fn tamper(site: &Site, statements: &[&'static str]) {
    let url = format!("sqlite:{}", Path::new(site.data()).join("merx.db").display());
    let db = Db::open(&url, DbOptions::new(Arc::new(SystemClock)), &[]).expect("opened");
    for sql in statements.iter().copied() {
        db.write("test.tamper", move |tx| tx.execute(sql, params![])).await.expect("tampered");
    }
    db.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_filtered_followed_and_shown_as_of_a_moment() {
    let mut site = Site::new(&[]);
    site.start().await;
    let mut follower = Command::new(env!("CARGO_BIN_EXE_merx"))
        .args(["events", "all", "--follow", "--json", "--data", site.data()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("merx runs");
    let mut followed = BufReader::new(follower.stdout.take().expect("piped")).lines();
    site.succeed(&["demo", "purchase"]);

    let all = lines_of(&site.succeed(&["events", "all", "--json", "--limit", "100000"]));
    assert!(all.windows(2).all(|pair| pair[0]["position"].as_i64() < pair[1]["position"].as_i64()));
    let contexts: std::collections::BTreeSet<String> = all.iter().map(|e| text(e, "/context")).collect();
    assert_eq!(contexts.into_iter().collect::<Vec<_>>(), ["inventory", "ordering", "payment"]);
    let ordering = lines_of(&site.succeed(&["events", "ordering", "--json"]));
    let of_ordering: Vec<&Value> = all.iter().filter(|e| e["context"] == "ordering").collect();
    assert_eq!(ordering.iter().collect::<Vec<_>>(), of_ordering);

    let placed = lines_of(&site.succeed(&["events", "all", "--name", "OrderPlaced", "--json"]));
    assert_eq!(placed.len(), 1);
    let bare = text(&placed[0], "/stream").trim_start_matches("stream_").to_owned();
    let order: OrderId = format!("ord_{bare}").parse().expect("an id");
    // The order, its payment and its reservation have the same bits.
    let order = order.to_string();
    let of_order = lines_of(&site.succeed(&["events", "all", "--stream", &order, "--json"]));
    let expected: Vec<&Value> = all.iter().filter(|e| text(e, "/stream").ends_with(&bare)).collect();
    assert_eq!(of_order.iter().collect::<Vec<_>>(), expected);
    let two = lines_of(&site.succeed(&["events", "ordering", "--stream", &order, "--limit", "2", "--json"]));
    assert_eq!(two, ordering[..2]);
    let after = two[1]["position"].as_i64().expect("a position").to_string();
    let rest = lines_of(&site.succeed(&["events", "ordering", "--after", &after, "--json"]));
    assert_eq!(rest, ordering[2..]);

    let moment = text(&of_order[3], "/recorded_at");
    for flag in ["--until", "--as-of"] {
        let seen = lines_of(&site.succeed(&["events", "all", "--stream", &order, flag, &moment, "--json"]));
        assert!(seen.len() >= 4 && seen.len() < of_order.len(), "{flag}: {}", seen.len());
        assert_eq!(seen, of_order[..seen.len()], "{flag}");
    }
    let readable = site.succeed(&["events", "ordering", "--limit", "1"]);
    assert!(readable.contains("OrderPlaced") && readable.contains(&bare) && readable.lines().count() == 1);
    refused(&site.run(&["events", "all", "--until", "yesterday"]), 2, &["yesterday", "RFC 3339"]);
    refused(&site.run(&["events", "all", "--stream", "ord_1"]), 2, &["ord_1", "expected an id"]);

    let mut seen = Vec::new();
    while seen.len() < all.len() {
        let line = followed.next().expect("it goes on").expect("text");
        seen.push(serde_json::from_str::<Value>(&line).expect("JSON"));
    }
    assert_eq!(seen, all, "in the same order, each once");
    let interrupted = Command::new("kill").args(["-INT", &follower.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    assert!(follower.wait().expect("reaped").success(), "Ctrl-C ends it in order");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outboxes_timers_and_sagas_are_shown_live_and_at_rest() {
    let mut site = Site::new(&[]);
    let guests = site.invite(1);
    site.start().await;
    let mut buyer = Buyer::arrive(&site, guests[0].clone()).await;
    let (path, body) = buyer.checkout().await.expect("a cart");
    let order =
        buyer.client.post(&path, &body).await.and_then(merx_server::client::Reply::ok).expect("an order");
    let order = text(&order, "/id");
    for live in [true, false] {
        if !live {
            site.stop().await;
        }
        let timers = json_of(&site, &["timers", "--context", "ordering"]);
        let deadline = &timers["items"][0];
        assert_eq!(
            (text(deadline, "/context"), &timers["more"]),
            ("ordering".to_owned(), &Value::Bool(false))
        );
        assert!(order.ends_with(&text(deadline, "/key")), "{deadline}");
        let kind = text(deadline, "/kind");
        assert_eq!(json_of(&site, &["timers", "--kind", &kind])["items"][0], *deadline);
        assert_eq!(json_of(&site, &["timers", "--kind", "no_such"])["items"], serde_json::json!([]));
        assert_eq!(
            json_of(&site, &["timers", "--context", "ordering", "--due"])["items"],
            serde_json::json!([])
        );
        assert!(site.succeed(&["timers"]).contains(&kind));

        let sagas = json_of(&site, &["saga", "list", "--status", "done", "--name", "place-order"]);
        let saga = text(&sagas["items"][0], "/id");
        let shown = json_of(&site, &["saga", "show", &saga]);
        assert_eq!(
            (text(&shown, "/status"), text(&shown, "/context")),
            ("done".to_owned(), "ordering".to_owned())
        );
        assert!(shown["steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{shown}");
        assert!(site.succeed(&["saga", "show", &saga]).contains("place-order"));
        assert_eq!(json_of(&site, &["saga", "list"])["items"], serde_json::json!([]));

        let backlog = until("everything read", || async {
            let backlog = json_of(&site, &["outbox"]);
            let behind = backlog["subscriptions"].as_array()?.iter().any(|s| s["behind"] != 0);
            (!behind).then_some(backlog)
        })
        .await;
        let ordering =
            backlog["outboxes"].as_array().expect("a list").iter().find(|o| o["context"] == "ordering");
        let ordering = ordering.expect("there");
        assert!(ordering["facts"].as_i64() > Some(0) && ordering["unsent"] == 0, "{ordering}");
        let narrow = json_of(&site, &["outbox", "--context", "ordering"]);
        assert_eq!(narrow["outboxes"].as_array().map(Vec::len), Some(1));
        assert!(site.succeed(&["outbox"]).contains("ordering"));
    }
    refused(&site.run(&["timers", "--context", "nowhere"]), 2, &["nowhere", "ordering"]);
    refused(&site.run(&["saga", "show", "sga_00000000000000000000000001"]), 1, &["There is no saga"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_shown_and_dropped_with_a_reason() {
    let mut site = Site::new(&[]);
    site.start().await;
    site.stop().await;
    super::operators::poison(&site).await;
    site.start().await;
    let letter = until("a dead letter", || async {
        let list = json_of(&site, &["dead-letters", "list"]);
        list["items"].as_array()?.first().cloned()
    })
    .await;
    let (subscription, message) = (text(&letter, "/subscription"), text(&letter, "/message"));
    let shown = json_of(&site, &["dead-letters", "show", &subscription, &message]);
    assert_eq!(
        (text(&shown, "/state"), text(&shown, "/envelope")),
        ("dead".to_owned(), "{ not JSON".to_owned())
    );
    assert!(site.succeed(&["dead-letters", "show", &subscription, &message]).contains("{ not JSON"));
    let drop = ["dead-letters", "drop", &subscription, &message];
    refused(&site.run(&drop), 2, &["--reason"]);
    refused(&site.run(&[&drop[..], &["--reason", "  "]].concat()), 2, &["say why"]);
    let dropped = site.succeed(&[&drop[..], &["--reason", "written by a test"]].concat());
    assert_eq!(dropped, format!("{message}: dropped for {subscription}: written by a test\n"));
    refused(&site.run(&[&drop[..], &["--reason", "again"]].concat()), 1, &["no such dead letter"]);
    refused(&site.run(&["dead-letters", "redrive", &subscription, &message]), 1, &["no such dead letter"]);
    for live in [true, false] {
        if !live {
            site.stop().await;
        }
        assert_eq!(site.succeed(&["dead-letters", "list"]), "0 dead letters\n");
        let told = json_of(&site, &["dead-letters", "list", "--dropped", "--subscription", &subscription]);
        assert_eq!(text(&told, "/items/0/reason"), "written by a test");
        let shown = json_of(&site, &["dead-letters", "show", &subscription, &message]);
        assert_eq!(
            (text(&shown, "/state"), text(&shown, "/reason")),
            ("dropped".to_owned(), "written by a test".to_owned())
        );
        // The books know that it was given up.
        site.succeed(&["audit"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_models_are_built_again_while_orders_are_placed() {
    let mut site = Site::new(&[]);
    let guests = site.invite(2);
    site.start().await;
    restock(&site).await;
    site.succeed(&["demo", "purchase"]);
    let untouched = json_of(&site, &["rebuild", "all"]);
    for report in untouched.as_array().expect("a list") {
        assert_eq!((&report["mended"], &report["before"]), (&Value::from(0), &report["after"]), "{report}");
        // Nobody has asked anything after the sale.
        assert!(report["events"].as_u64() > Some(0) || report["context"] == "aftersale", "{report}");
    }
    site.stop().await;
    tamper(
        &site,
        &[
            "UPDATE ordering_orders SET paid_minor = paid_minor + 1",
            "DELETE FROM ordering_lines",
            "UPDATE payment_payments SET status = 'open'",
            "UPDATE inventory_stock SET sold = sold + 5 WHERE sku = 'TEA-LJ-100'",
        ],
    )
    .await;
    assert_eq!(site.run(&["audit"]).status.code(), Some(1), "the books show it");
    site.start().await;
    let stop = CancellationToken::new();
    let mut buyers = tokio::task::JoinSet::new();
    for guest in guests {
        buyers.spawn(Buyer::arrive(&site, guest).await.shop_until(stop.clone()));
    }
    for (context, mended) in [("ordering", 2), ("payment", 1), ("inventory", 1)] {
        let told = json_of(&site, &["rebuild", context]);
        assert!(told[0]["mended"].as_u64() >= Some(mended), "{told}");
    }
    let readable = site.succeed(&["rebuild", "inventory"]);
    assert!(
        readable.contains("inventory: built again from ") && readable.contains("nothing differed"),
        "{readable}"
    );
    stop.cancel();
    let mut orders = 0;
    for buyer in buyers.join_all().await {
        orders += buyer.reckon().await.len();
    }
    assert!(orders > 0, "orders were placed meanwhile");
    site.succeed(&["audit"]);
    site.stop().await;
    // And at rest, in place.
    refused(&site.run(&["rebuild", "cart"]), 2, &["cart", "ordering, payment, inventory"]);
    let told = site.succeed(&["rebuild", "all"]);
    assert_eq!(told.matches("built again from ").count(), 4, "{told}");
    assert!(!told.contains("other than before"), "{told}");
    site.succeed(&["audit"]);
    site.start().await;
    site.succeed(&["demo", "purchase"]);
    site.stop().await;
    site.assert_no_panic();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_did_is_verified_and_every_change_to_it_shows() {
    let mut site = Site::new(&[]);
    site.start().await;
    // Staff receive goods, three times.
    restock(&site).await;
    let head = until("the record of it", || async {
        let head = json_of(&site, &["staff-audit", "head"]);
        (head["entries"].as_i64()? >= 3).then(|| text(&head, "/head"))
    })
    .await;
    assert_eq!(site.succeed(&["staff-audit", "head"]), format!("{head}\n"));
    let verified = json_of(&site, &["staff-audit", "verify", "--known", &head]);
    assert_eq!((&verified["whole"], text(&verified, "/head")), (&Value::Bool(true), head.clone()));
    let entries = json_of(&site, &["staff-audit", "list", "--action", "inventory."]);
    let entries = entries["items"].as_array().expect("a list");
    assert!(
        entries.len() >= 3 && entries.iter().all(|e| text(e, "/action").starts_with("inventory.")),
        "{entries:?}"
    );
    assert!(site.succeed(&["staff-audit", "list", "--limit", "1"]).contains("inventory."));
    refused(
        &site.run(&["staff-audit", "verify", "--known", "no head"]),
        2,
        &["--known", "merx staff-audit head"],
    );
    site.stop().await;
    for (sql, says) in [
        ("UPDATE accounts_audit SET reason = 'none' WHERE sequence = 2", "entry 2: the entry was changed"),
        ("DELETE FROM accounts_audit WHERE sequence = 2", "entry 2: the entry is missing"),
    ] {
        tamper(&site, &[sql]).await;
        let output = site.run(&["staff-audit", "verify"]);
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stdout).expect("text");
        assert!(told.contains(says), "{told}");
    }
}
