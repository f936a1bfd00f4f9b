//! From a fact to a mail, on every database.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::{
    common::v1::TimelineRequest,
    events::accounts::{CodeRequested, PersonErased},
};
use merx_kernel::Id;
use merx_notification::{
    domain::{MailState, NewMail, Outcome},
    queries, reactions, sending, store,
    transport::Folder,
};
use merx_platform::{Delivery, rpc};

use crate::{
    bench::{Bench, on_every_mode},
    facts,
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("mails: a fact makes one mail, however often it comes", once),
        on_every_mode(
            "mails: every template is sent to whom accounts names, and nothing of it is kept",
            sent,
        ),
        on_every_mode("mails: who has no address, is erased or unknown is skipped", skipped),
        on_every_mode(
            "mails: a mail that is not taken is tried for a day, then dead, then sent again",
            retried,
        ),
        on_every_mode("mails: a refusal for good is dead at once", refused),
        on_every_mode("mails: a name that is an advertisement is not greeted", advertisements),
        on_every_mode("mails: what the viewer keeps of a person is erased with it", erased),
        on_every_mode("mails: what a crash cut off is tried again under the same Message-ID", cut_off),
        on_every_mode("mails: two processes send one mail once", two_processes),
        on_every_mode("mails: accounts away puts a mail off", accounts_away),
        on_every_mode("mails: the timeline shows mails with their tries", timeline),
        on_every_mode("mails: a mail costs one transaction when taken in and two when sent", cost),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const MAILS: &str = "SELECT COUNT(*) FROM notification_mails";

async fn once(bench: Arc<Bench>) {
    for message in [1, 1, 2] {
        bench.take(facts::envelope(message, &facts::paid())).await;
    }
    assert_eq!(bench.count(MAILS).await, 1);
    bench.send_due().await;
    bench.take(facts::envelope(1, &facts::paid())).await;
    bench.take(facts::envelope(3, &facts::paid())).await;
    bench.send_due().await;
    assert_eq!((bench.count(MAILS).await, bench.post.taken.letters().len()), (1, 1));
}

async fn sent(bench: Arc<Bench>) {
    bench.people.contact(|c| (c.guest, c.guest_token) = (true, "token".to_owned()));
    bench.take(facts::envelope(1, &facts::placed())).await;
    bench.take(facts::envelope(2, &facts::paid())).await;
    bench.take(facts::envelope(3, &facts::shipped(1, false))).await;
    bench.take(facts::envelope(4, &facts::shipped(2, true))).await;
    bench.take(facts::envelope(5, &facts::completed())).await;
    bench.take(facts::envelope(6, &facts::refunded(4))).await;
    bench.take(facts::envelope(7, &facts::cancelled("buyer", true))).await;
    bench.take(facts::envelope(8, &facts::code())).await;
    bench.send_due().await;
    let letters = bench.post.taken.to("buyer@shop.example");
    assert_eq!((letters.len(), bench.post.taken.letters().len()), (7, 8));
    let placed = letters.iter().find(|l| l.template == "order_placed").unwrap();
    assert!(placed.text.contains("https://shop.example/order-links/token?order=261120-7K3M-9QXA"));
    assert_eq!((placed.to_name.as_str(), placed.language.as_str()), ("王小明", "zh-CN"));
    assert_eq!(placed.from, "茶与器 Merx <orders@merx.example>");
    assert!(placed.message_id.ends_with("@merx.example>"));
    let code = &bench.post.taken.to("staff@shop.example")[0];
    assert!(code.text.contains("7K3M9QXA") && code.language == "en", "{}", code.text);
    for (column, canary) in [
        ("parameters", "shop.example"),
        ("parameters", "王小明"),
        ("parameters", "7K3M9QXA"),
        ("reason", "@"),
    ] {
        let sql: &'static str = Box::leak(
            format!("SELECT COUNT(*) FROM notification_mails WHERE {column} LIKE '%{canary}%'")
                .into_boxed_str(),
        );
        assert_eq!(bench.count(sql).await, 0, "{canary} is kept in {column}");
    }
}

/// Whoever orders as a guest chooses name and address: the shop must carry nobody's text to a stranger.
async fn advertisements(bench: Arc<Bench>) {
    let names = [
        ("https://evil.example/win", false),
        ("www.evil.example", false),
        ("FREE iPhone at evil.com", false),
        ("免费领奖evil.cn", false),
        ("免费领奖 evil。com", false),
        ("免费领奖 evil．com", false),
        ("a@evil", false),
        ("＠evil", false),
        ("call +1 555 0100 200 now", false),
        ("加微信 ８６５５５０１００２", false),
        ("王小明", true),
        ("J. R. R. Tolkien", true),
        ("J.R.R. Tolkien", true),
        ("O'Brien, Anne-Marie Jr.", true),
        ("阿卜杜拉·买买提", true),
    ];
    for (number, (name, greeted)) in (1u32..).zip(names) {
        bench.people.contact(|c| c.name = name.to_owned());
        let mut fact = facts::paid();
        fact.order_id = Id::from_bits(number.into());
        bench.take(facts::envelope(number.into(), &fact)).await;
        bench.send_due().await;
        let letter = bench.post.taken.letters().pop().unwrap();
        assert_eq!(bench.post.taken.letters().len(), usize::try_from(number).unwrap());
        assert_eq!(letter.to_name == name && letter.text.contains(name), greeted, "{name}: {}", letter.text);
        assert_eq!(letter.to_name.is_empty() && !letter.text.contains(name), !greeted, "{name}");
    }
    // What cannot be seen goes: it turns the text around it.
    bench.people.contact(|c| c.name = "\u{202e}moc.live\u{202c}\u{200b} Ann".to_owned());
    bench.take(facts::envelope(99, &facts::refunded(4))).await;
    bench.send_due().await;
    let letter = bench.post.taken.letters().pop().unwrap();
    assert!(!letter.text.contains(['\u{202e}', '\u{202c}', '\u{200b}']), "{}", letter.text);
}

async fn erased(bench: Arc<Bench>) {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::new(place.path());
    let state = bench.with_mails_in(folder.clone());
    bench.people.contact(|c| (c.guest, c.guest_token) = (true, "token".to_owned()));
    bench.take(facts::envelope(1, &facts::placed())).await;
    bench.take(facts::envelope(2, &facts::paid())).await;
    let other = CodeRequested { account_id: Id::from_bits(9), ..facts::code() };
    bench.take(facts::envelope(3, &other)).await;
    sending::send_due(&state).await.unwrap();
    // Once more, so that there is a second copy.
    let placed = NewMail::of(&facts::envelope(1, &facts::placed())).unwrap().unwrap().id;
    let first = folder.ids().await.unwrap();
    let copied = first.iter().find(|id| id.ends_with(&placed.to_string().replace('_', "-"))).unwrap();
    folder.keep(&folder.read(copied).await.unwrap().letter).await.unwrap();
    assert_eq!(folder.ids().await.unwrap().len(), 4);
    for message in [4, 4, 5] {
        let gone = facts::envelope(message, &PersonErased { account_id: facts::buyer() });
        let delivery =
            Delivery::new(gone, "notification.facts", bench.store.clone(), 0, bench.clock.present());
        reactions::take_fact(&state, delivery).await.unwrap();
    }
    let left = folder.ids().await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(folder.read(&left[0]).await.unwrap().letter.to, "staff@shop.example", "of somebody else");
}

async fn skipped(bench: Arc<Bench>) {
    let state_of = |message: u128, order: u128| {
        let bench = bench.clone();
        async move {
            let mut fact = facts::paid();
            fact.order_id = Id::from_bits(order);
            let envelope = facts::envelope(message, &fact);
            let id = NewMail::of(&envelope).unwrap().unwrap().id;
            bench.take(envelope).await;
            bench.send_due().await;
            let mail = queries::mail(&bench.state, id).await.unwrap().0;
            (mail.state, mail.reason)
        }
    };
    bench.people.contact(|c| c.email.clear());
    assert_eq!(state_of(1, 1).await, (MailState::Skipped, "no_address".to_owned()));
    bench.people.contact(|c| c.erased = true);
    assert_eq!(state_of(2, 2).await, (MailState::Skipped, "erased".to_owned()));
    bench.people.contact(|c| c.account_id = "acc_00000000000000000000000009".to_owned());
    assert_eq!(state_of(3, 3).await, (MailState::Skipped, "no_account".to_owned()));
    bench.people.code(|c| c.code.clear());
    let envelope = facts::envelope(4, &facts::code());
    let id = NewMail::of(&envelope).unwrap().unwrap().id;
    bench.take(envelope).await;
    bench.send_due().await;
    let mail = queries::mail(&bench.state, id).await.unwrap().0;
    assert_eq!((mail.state, mail.reason.as_str(), mail.next_at), (MailState::Skipped, "code_over", None));
    assert!(bench.post.message_ids().is_empty(), "something was sent");
}

async fn retried(bench: Arc<Bench>) {
    let envelope = facts::envelope(1, &facts::paid());
    let id = NewMail::of(&envelope).unwrap().unwrap().id;
    bench.take(envelope).await;
    let began = bench.clock.present();
    bench.post.tell(std::iter::repeat_n(Outcome::Transient("smtp 451".to_owned()), 100));
    let mut waits = Vec::new();
    let mail = loop {
        bench.send_due().await;
        let mail = queries::mail(&bench.state, id).await.unwrap().0;
        let Some(next) = mail.next_at else { break mail };
        assert_eq!((mail.state, mail.reason.as_str()), (MailState::Queued, "smtp 451"));
        waits.push(next.since(bench.clock.present()));
        bench.clock.set(next);
    };
    assert_eq!((mail.state, mail.reason.as_str()), (MailState::Dead, "smtp 451"));
    assert_eq!(bench.clock.present().since(began), Duration::from_secs(24 * 3600), "tried for a whole day");
    assert!(waits[0] >= Duration::from_secs(15) && waits[0] <= Duration::from_secs(30), "{waits:?}");
    assert!(waits.iter().all(|w| *w <= Duration::from_secs(7_200)), "{waits:?}");
    assert!((12..40).contains(&waits.len()), "{} tries in a day", waits.len());
    assert_eq!(bench.deps.metrics.alerts("mail_dead"), 1);
    let ids = bench.post.message_ids();
    assert!(ids.iter().all(|id| *id == ids[0]), "a try had another Message-ID");
    // Sent again by hand: still the same letter, for nobody has taken it.
    bench.post.told.lock().unwrap().clear();
    let (state, at, dead) = (bench.state.clone(), bench.clock.present(), mail.clone());
    assert!(bench.deps.db.write("test", move |tx| store::mails::again(tx, &dead, at)).await.unwrap());
    bench.send_due().await;
    let (mail, tries) = queries::mail(&state, id).await.unwrap();
    assert_eq!((mail.state, mail.round, mail.tries, mail.copies), (MailState::Sent, 2, 1, 1));
    assert_eq!(bench.post.message_ids().last(), Some(&ids[0]));
    assert_eq!(tries.last().map(|t| (t.round, t.number, t.outcome.as_str())), Some((2, 1, "accepted")));
    // And once more: a further copy is another letter.
    assert!(bench.deps.db.write("test", move |tx| store::mails::again(tx, &mail, at)).await.unwrap());
    bench.send_due().await;
    assert_ne!(bench.post.message_ids().last(), Some(&ids[0]));
    assert_eq!(bench.post.taken.letters().len(), 2);
}

async fn refused(bench: Arc<Bench>) {
    bench.take(facts::envelope(1, &facts::paid())).await;
    bench.post.tell([Outcome::Permanent("smtp 550".to_owned())]);
    bench.send_due().await;
    bench.people.contact(|c| c.email = "not an address".to_owned());
    bench.take(facts::envelope(2, &facts::completed())).await;
    bench.send_due().await;
    let page = merx_kernel::PageRequest::default();
    let filter = store::mails::Filter { state: Some(MailState::Dead), ..Default::default() };
    let (dead, _) = queries::mails(&bench.state, filter, &page).await.unwrap();
    let mut reasons: Vec<_> = dead.iter().map(|m| m.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["bad_address", "smtp 550"]);
}

async fn cut_off(bench: Arc<Bench>) {
    let envelope = facts::envelope(1, &facts::paid());
    let id = NewMail::of(&envelope).unwrap().unwrap().id;
    bench.take(envelope).await;
    // The process dies between the server's answer and our writing it down.
    let mail = queries::mail(&bench.state, id).await.unwrap().0;
    let before = mail.message_id("merx.example");
    let until = bench.clock.present().plus(Duration::from_secs(180));
    assert!(bench.deps.db.write("test", move |tx| store::mails::claim(tx, &mail, until)).await.unwrap());
    bench.send_due().await;
    assert!(bench.post.message_ids().is_empty(), "a try may still be under way elsewhere");
    bench.clock.set(until);
    bench.send_due().await;
    assert_eq!(bench.post.message_ids(), [before]);
    let mail = queries::mail(&bench.state, id).await.unwrap().0;
    assert_eq!((mail.state, mail.tries), (MailState::Sent, 2), "the one that was cut off counts");
}

async fn two_processes(bench: Arc<Bench>) {
    for message in 0..20 {
        let mut fact = facts::paid();
        fact.order_id = Id::from_bits(100 + message);
        bench.take(facts::envelope(message, &fact)).await;
    }
    let (one, other) = (bench.clone(), bench.clone());
    tokio::join!(async move { one.send_due().await }, async move { other.send_due().await });
    assert_eq!(bench.post.taken.letters().len(), 20);
}

async fn accounts_away(bench: Arc<Bench>) {
    let envelope = facts::envelope(1, &facts::paid());
    let id = NewMail::of(&envelope).unwrap().unwrap().id;
    bench.take(envelope).await;
    bench.people.fail(1);
    bench.send_due().await;
    let mail = queries::mail(&bench.state, id).await.unwrap().0;
    assert_eq!((mail.state, mail.reason.as_str()), (MailState::Queued, "accounts.away"));
    bench.clock.set(mail.next_at.unwrap());
    bench.send_due().await;
    assert_eq!(bench.post.taken.letters().len(), 1);
}

async fn timeline(bench: Arc<Bench>) {
    bench.take(facts::envelope(1, &facts::placed())).await;
    bench.post.tell([Outcome::Transient("smtp 451".to_owned())]);
    bench.send_due().await;
    bench.clock.advance(Duration::from_secs(60));
    bench.send_due().await;
    bench.clock.advance(Duration::from_secs(60));
    bench.take(facts::envelope(2, &facts::paid())).await;
    let request = TimelineRequest { order_id: facts::order().to_string() };
    let entries = rpc::ask(bench.client().timeline(request).await).unwrap().entries;
    let shown: Vec<_> = entries
        .iter()
        .map(|e| {
            let of = |key: &str| e.detail.get(key).cloned().unwrap_or_default();
            (e.name.as_str(), of("state"), of("tries"), of("outcome"), of("reason"))
        })
        .collect();
    let row = |name, state: &str, tries: &str, outcome: &str, reason: &str| {
        (name, state.to_owned(), tries.to_owned(), outcome.to_owned(), reason.to_owned())
    };
    assert_eq!(
        shown,
        [
            row("order_placed", "sent", "2", "", ""),
            row("order_placed", "", "", "transient", "smtp 451"),
            row("order_placed", "", "", "accepted", ""),
            row("order_paid", "queued", "0", "", ""),
        ]
    );
    assert!(entries.iter().all(|e| e.kind == "mail" && e.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!(entries[0].caused_by, "msg_00000000000000000000000001");
    assert_eq!(entries[1].caused_by, entries[0].id);
    let wrong = bench.client().timeline(TimelineRequest { order_id: "x".to_owned() }).await;
    assert!(rpc::ask(wrong).is_err());
}

async fn cost(bench: Arc<Bench>) {
    let before = bench.deps.db.stats();
    bench.take(facts::envelope(1, &facts::paid())).await;
    bench.send_due().await;
    let spent = bench.deps.db.stats().since(&before);
    let writes: Vec<_> = spent
        .labels
        .iter()
        .filter(|(_, s)| s.write_txs > 0)
        .map(|(l, s)| (*l, s.write_txs, s.write_statements))
        .collect();
    assert_eq!(
        writes,
        [
            ("notification.mail_sending", 1, 1),
            ("notification.mail_tried", 1, 2),
            ("notification.take_fact", 1, 3),
        ]
    );
    // A fact that calls for no mail, with nobody to tell, writes nothing.
    let before = bench.deps.db.stats();
    let fact = merx_contracts::events::accounts::PersonErased { account_id: facts::buyer() };
    bench.take(facts::envelope(2, &fact)).await;
    assert_eq!(bench.deps.db.stats().since(&before).total().write_txs, 0);
}
