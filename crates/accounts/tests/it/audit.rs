//! The record of what staff did: complete, in one chain, and whatever is done to it shows.

use merx_accounts::{
    audit::{self, Break, Entry, Found, Head, Why, verify_chain},
    domain::audit_chain::Act,
};
use merx_contracts::{events::staff::StaffActed, ids::AccountId};
use merx_kernel::{Id, IdGen, Role, Timestamp};
use merx_platform::Store;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    kit::{START, World, contexts, get, post, put},
    modes::on_every_mode,
};

fn chain(length: u128) -> Vec<Entry> {
    let mut head = Head::START;
    let mut entries = Vec::new();
    for n in 1..=length {
        let act = Act {
            message: Id::from_bits(n),
            at: Timestamp::from_millis(START.as_millis() + i64::try_from(n).unwrap()),
            actor: Id::from_bits(7),
            action: "catalogue.price_changed".to_owned(),
            object: format!("SKU-{n}"),
            reason: (n % 2 == 0).then(|| "sale".to_owned()),
            detail: json!({ "before": n, "after": n + 1 }).to_string(),
        };
        let entry = Entry::after(head, act);
        head = entry.head();
        entries.push(entry);
    }
    entries
}

fn broken(entries: &[Entry], known: Option<Head>) -> (i64, Why) {
    let Break { at, why } = verify_chain(entries, known).unwrap_err();
    (at, why)
}

fn a_chain_that_was_let_alone_is_whole() {
    let entries = chain(10);
    assert_eq!(verify_chain(&entries, None), Ok(entries[9].head()));
    assert_eq!(verify_chain(&[], None), Ok(Head::START));
    for earlier in &entries {
        assert_eq!(verify_chain(&entries, Some(earlier.head())), Ok(entries[9].head()), "it has grown since");
    }
    let head = entries[3].head();
    assert_eq!(Head::parse(&head.to_string()), Ok(head));
    for wrong in
        ["", "4", "4:", "x:00", "-1:00", &format!("4:{}", "g".repeat(64)), &format!("4:{}", "é".repeat(32))]
    {
        assert!(Head::parse(wrong).is_err(), "{wrong}");
    }
}

fn every_change_of_an_entry_shows() {
    type Change = fn(&mut Entry);
    let changes: [(&str, Change); 9] = [
        ("message", |e| e.message = Id::from_bits(99)),
        ("at", |e| e.at = START),
        ("actor", |e| e.actor = Id::from_bits(8)),
        ("action", |e| e.action.push('x')),
        ("object", |e| e.object = "SKU-0".to_owned()),
        ("reason away", |e| e.reason = None),
        ("reason emptied", |e| e.reason = Some(String::new())),
        ("detail", |e| e.detail = "{}".to_owned()),
        // The border between two parts moved.
        ("border", |e| {
            e.object = format!("{}{}", &e.action[e.action.len() - 1..], e.object);
            e.action.pop();
        }),
    ];
    for (name, change) in changes {
        let mut entries = chain(10);
        change(&mut entries[3]);
        assert_eq!(broken(&entries, None), (4, Why::Changed), "{name}");
    }
    let mut entries = chain(10);
    entries[3].hash[0] ^= 1;
    assert_eq!(broken(&entries, None), (4, Why::Changed));
    let mut entries = chain(10);
    entries[3].prev_hash[0] ^= 1;
    assert_eq!(broken(&entries, None), (4, Why::Unlinked));
    // Changed, and hashed anew as by somebody who knows how: the next entry tells.
    let mut entries = chain(10);
    let before = entries[2].head();
    let forged = Act {
        message: entries[3].message,
        at: entries[3].at,
        actor: Id::from_bits(8),
        action: entries[3].action.clone(),
        object: entries[3].object.clone(),
        reason: entries[3].reason.clone(),
        detail: entries[3].detail.clone(),
    };
    entries[3] = Entry::after(before, forged);
    assert_eq!(broken(&entries, None), (5, Why::Unlinked));
}

fn removal_insertion_and_reordering_show() {
    let mut removed = chain(10);
    removed.remove(3);
    assert_eq!(broken(&removed, None), (4, Why::Missing));
    // Removed, and the numbers closed up.
    for (at, entry) in removed.iter_mut().enumerate() {
        entry.sequence = i64::try_from(at).unwrap() + 1;
    }
    assert_eq!(broken(&removed, None), (4, Why::Unlinked));
    let mut first_gone = chain(10);
    first_gone.remove(0);
    assert_eq!(broken(&first_gone, None), (1, Why::Missing));
    let mut twice = chain(10);
    twice.insert(4, twice[3].clone());
    assert_eq!(broken(&twice, None), (4, Why::Misplaced));
    let mut inserted = chain(10);
    let foreign =
        Entry::after(inserted[3].head(), Act { message: Id::from_bits(99), ..act_of(&inserted[4]) });
    inserted.insert(4, foreign);
    assert_eq!(broken(&inserted, None), (5, Why::Misplaced));
    let mut swapped = chain(10);
    swapped.swap(3, 4);
    assert_eq!(broken(&swapped, None), (4, Why::Missing));
    let (three, four) = (swapped[3].sequence, swapped[4].sequence);
    (swapped[3].sequence, swapped[4].sequence) = (four, three);
    assert_eq!(broken(&swapped, None).0, 4);
}

fn act_of(entry: &Entry) -> Act {
    Act {
        message: entry.message,
        at: entry.at,
        actor: entry.actor,
        action: entry.action.clone(),
        object: entry.object.clone(),
        reason: entry.reason.clone(),
        detail: entry.detail.clone(),
    }
}

fn truncation_and_a_new_chain_show_with_an_earlier_head() {
    let entries = chain(10);
    let head = entries[9].head();
    assert!(verify_chain(&entries[..6], None).is_ok(), "by itself a shorter chain is a chain");
    assert_eq!(broken(&entries[..6], Some(head)), (7, Why::Truncated));
    assert_eq!(broken(&[], Some(head)), (1, Why::Truncated));
    let mut other = Vec::new();
    let mut end = Head::START;
    for entry in &entries {
        let entry = Entry::after(end, Act { actor: Id::from_bits(8), ..act_of(entry) });
        end = entry.head();
        other.push(entry);
    }
    assert!(verify_chain(&other, None).is_ok());
    assert_eq!(broken(&other, Some(head)), (10, Why::Rewritten));
    assert_eq!(broken(&other, Some(entries[4].head())), (5, Why::Rewritten));
}

proptest! {
    fn no_two_entries_are_hashed_alike(
        action in "[a-z.]{0,6}", object in "[a-z.]{0,6}", reason in proptest::option::of("[a-z.]{0,6}"), cut in 0usize..6
    ) {
        let act = |action: &str, object: &str, reason: &Option<String>| Act {
            message: Id::from_bits(1), at: START, actor: Id::from_bits(7), action: action.to_owned(),
            object: object.to_owned(), reason: reason.clone(), detail: "{}".to_owned(),
        };
        let whole = format!("{action}{object}");
        let (left, right) = whole.split_at(cut.min(whole.len()));
        let (one, two) = (act(&action, &object, &reason), act(left, right, &reason));
        let same = one.action == two.action;
        prop_assert_eq!(Entry::after(Head::START, one).hash == Entry::after(Head::START, two).hash, same);
    }
}

/// Tells what staff of another context did, in one transaction.
async fn tell(world: &World, context: &'static str, acts: Vec<StaffActed>) {
    let ids: &IdGen = &world.deps.ids;
    let envelopes: Vec<_> = acts
        .iter()
        .map(|act| act.envelope(context, ids.next(), world.deps.clock.now(), None).unwrap())
        .collect();
    let outbox = Store::new(context).outbox;
    world.deps.db.write("test.tell", move |tx| outbox.publish(tx, &envelopes)).await.unwrap();
}

fn act(context: &str, n: usize) -> StaffActed {
    StaffActed {
        actor: AccountId::from_bits(7),
        action: format!("{context}.thing_done"),
        object: format!("object-{n}"),
        reason: (n.is_multiple_of(3)).then(|| "因为".to_owned()),
        detail: json!({ "b": n, "a": [1, null, "x"] }),
    }
}

async fn whole(world: &World, known: Option<Head>) -> Head {
    match audit::verify(&world.deps.db, known, |_, _| ()).await.unwrap() {
        Found::Whole(head) => head,
        Found::Broken(broken) => panic!("{broken}"),
    }
}

async fn what_staff_did_is_asked_for() {
    let world = World::new().await;
    let admin = world.admin().await;
    let operator = world.staff("op@example.com", &[Role::Operator]).await;
    let bus = world.bus();
    for version in 1..=3 {
        let permissions = if version % 2 == 0 { ["orders_read"] } else { ["orders_write"] };
        let body = json!({ "permissions": permissions, "reason": "因为" });
        world.ask(put("/v1/roles/support", body).token(&admin).version(version)).await.is(200);
        world.pass(std::time::Duration::from_secs(60)).await;
    }
    tell(&world, "catalogue", vec![act("catalogue", 1)]).await;
    bus.settled().await.unwrap();
    let listed =
        async |query: &str| world.ask(get(format!("/v1/admin/audit?{query}")).token(&operator)).await.is(200);
    let sequences = |page: &Value| -> Vec<i64> {
        page["items"].as_array().unwrap().iter().map(|i| i["sequence"].as_i64().unwrap()).collect()
    };
    let all = listed("").await;
    assert_eq!(sequences(&all), [4, 3, 2, 1]);
    let last = &all["items"][3];
    assert_eq!((&last["actor_id"], &last["action"]), (&admin["account_id"], &json!("accounts.role_changed")));
    assert_eq!((&last["object"], &last["reason"]), (&json!("role:support"), &json!("因为")));
    assert_eq!(last["detail"]["after"], json!(["orders_write"]));
    assert_eq!(all["items"][2]["prev_hash"], last["hash"]);
    let page = listed("limit=3").await;
    let rest = listed(&format!("limit=3&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((sequences(&page).len(), sequences(&rest), &rest["next_cursor"]), (3, vec![1], &Value::Null));
    assert_eq!(sequences(&listed("action=catalogue.").await), [4]);
    assert_eq!(sequences(&listed("action=accounts.role").await), [3, 2, 1]);
    assert_eq!(sequences(&listed("object=object-1").await), [4]);
    assert_eq!(
        sequences(&listed(&format!("actor={}", admin["account_id"].as_str().unwrap())).await),
        [3, 2, 1]
    );
    let at = all["items"][2]["at"].as_str().unwrap();
    assert_eq!(sequences(&listed(&format!("from={at}&action=accounts.")).await), [3, 2]);
    assert_eq!(sequences(&listed(&format!("to={at}")).await), [1]);
    for wrong in ["cursor=x", "action=%E4%B8%AD", "limit=0", "who=me"] {
        let reply = world.ask(get(format!("/v1/admin/audit?{wrong}")).token(&operator)).await;
        reply.is_problem(400, "request.invalid");
    }
    let support = world.staff("s@example.com", &[Role::Support]).await;
    world.ask(get("/v1/admin/audit").token(&support)).await.is_problem(403, "request.forbidden");
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    let mut trials = crate::trials!("audit": a_chain_that_was_let_alone_is_whole, every_change_of_an_entry_shows,
        removal_insertion_and_reordering_show, truncation_and_a_new_chain_show_with_an_earlier_head,
        no_two_entries_are_hashed_alike; waiting what_staff_did_is_asked_for);
    trials.extend(on_every_mode("audit: what many contexts tell at once is one chain", |world| async move {
        let bus = world.bus();
        let mut told = 0;
        for context in contexts() {
            for part in 0..5 {
                let acts: Vec<_> = (0..5).map(|n| act(context, part * 5 + n)).collect();
                told += i64::try_from(acts.len()).unwrap();
                tell(&world, context, acts).await;
            }
        }
        bus.settled().await.unwrap();
        let head = whole(&world, None).await;
        assert_eq!(head.sequence, told);
        // Every message again, as after a cursor that was lost: nothing is recorded twice.
        world.sql("DELETE FROM accounts_subscriptions").await;
        let again = world.restarted().await;
        let bus = again.bus();
        tell(&again, "catalogue", vec![act("catalogue", 99)]).await;
        bus.settled().await.unwrap();
        assert_eq!(whole(&again, Some(head)).await.sequence, told + 1);
    }));
    trials.extend(on_every_mode("audit: what is done to the tables shows", |world| async move {
        let bus = world.bus();
        tell(&world, "catalogue", (0..12).map(|n| act("catalogue", n)).collect()).await;
        bus.settled().await.unwrap();
        let head = whole(&world, None).await;
        assert_eq!(head, audit::head(&world.deps.db).await.unwrap());
        let found = async |known| match audit::verify(&world.deps.db, known, |_, _| ()).await.unwrap() {
            Found::Broken(broken) => (broken.at, broken.why),
            Found::Whole(head) => panic!("nothing shows up to {head}"),
        };
        world.sql("UPDATE accounts_audit SET reason = 'another' WHERE sequence = 5").await;
        assert_eq!(found(None).await, (5, Why::Changed));
        world.sql("DELETE FROM accounts_audit WHERE sequence = 5").await;
        assert_eq!(found(None).await, (5, Why::Missing));
        world.sql("DELETE FROM accounts_audit WHERE sequence > 4").await;
        assert_eq!(found(None).await, (5, Why::Truncated), "the table of the head tells");
        world.sql("UPDATE accounts_audit_head SET sequence = 4, hash = (SELECT hash FROM accounts_audit WHERE sequence = 4)").await;
        assert_eq!(whole(&world, None).await.sequence, 4, "who changes both tables is caught by a noted head only");
        assert_eq!(found(Some(head)).await, (5, Why::Truncated));
        let admin = world.admin().await;
        world.ask(post("/v1/roles", json!({ "name": "x1", "permissions": [] })).token(&admin).key("k")).await.is(201);
        bus.settled().await.unwrap();
        assert_eq!(whole(&world, None).await.sequence, 5);
    }));
    trials
}
