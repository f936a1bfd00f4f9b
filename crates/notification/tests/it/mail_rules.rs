//! Which fact makes which mail, and what follows a try.

use std::{collections::BTreeSet, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::Envelope;
use merx_kernel::Timestamp;
use merx_notification::domain::{
    MailState, NewMail, Outcome, Template,
    mail::{TRIED_FOR, after, identity},
};

use crate::{facts, trials};

pub fn trials() -> Vec<Trial> {
    trials!("mail_rules":
        each_fact_calls_for_its_mail,
        one_cause_is_one_mail_whatever_message_tells_it,
        what_follows_a_try,
        names_are_read_back,
    )
}

fn of(envelope: &Envelope) -> NewMail {
    NewMail::of(envelope).unwrap().unwrap()
}

fn each_fact_calls_for_its_mail() {
    let order = Some(facts::order());
    let rows = [
        (facts::envelope(1, &facts::placed()), Template::OrderPlaced, facts::order().bits(), order),
        (facts::envelope(1, &facts::paid()), Template::OrderPaid, facts::order().bits(), order),
        (facts::envelope(1, &facts::shipped(9, true)), Template::OrderShipped, 9, order),
        (facts::envelope(1, &facts::completed()), Template::OrderCompleted, facts::order().bits(), order),
        (facts::envelope(1, &facts::refunded(4)), Template::OrderRefunded, 4, order),
        (
            facts::envelope(1, &facts::cancelled("buyer", false)),
            Template::OrderCancelled,
            facts::order().bits(),
            order,
        ),
        (facts::envelope(1, &facts::code()), Template::Code, 77, None),
    ];
    let mut identities = BTreeSet::new();
    for (envelope, template, cause, order) in &rows {
        let mail = of(envelope);
        assert_eq!((mail.template, mail.cause, mail.order), (*template, *cause, *order));
        assert_eq!((mail.account, mail.message), (facts::buyer(), envelope.id));
        assert_eq!(mail.trace, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(mail.id, identity(*template, *cause));
        assert!(identities.insert(mail.id), "two mails of one identity");
        assert!(!mail.parameters.contains('@'), "a mail address is kept");
    }
    assert_eq!(rows.len(), Template::ALL.len(), "a template without a fact");
    let other = merx_contracts::events::accounts::PersonErased { account_id: facts::buyer() };
    assert_eq!(NewMail::of(&facts::envelope(1, &other)).unwrap(), None);
    let mut poison = facts::envelope(1, &facts::paid());
    poison.data = serde_json::value::RawValue::from_string("{}".to_owned()).unwrap();
    assert!(NewMail::of(&poison).unwrap_err().is("message.malformed"));
}

fn one_cause_is_one_mail_whatever_message_tells_it() {
    let once = of(&facts::envelope(1, &facts::shipped(9, true)));
    assert_eq!(once.id, of(&facts::envelope(2, &facts::shipped(9, true))).id);
    assert_ne!(once.id, of(&facts::envelope(1, &facts::shipped(10, true))).id, "each parcel has its mail");
    // An unpaid order that was revived, and cancelled again, ended twice.
    let ended = |paid| of(&facts::envelope(1, &facts::cancelled("buyer", paid))).id;
    assert_ne!(ended(false), ended(true));
    // What is kept for ever must not be made otherwise by a later program.
    assert_eq!(identity(Template::OrderPaid, 1).to_string(), "mal_20r59w9fxmv0xgftbqe73pb9mm");
}

fn what_follows_a_try() {
    let (queued, wait) = (Timestamp::from_millis(1_000_000), Duration::from_secs(60));
    let at = |after: Duration| queued.plus(after);
    let transient = || Outcome::Transient("smtp 451".to_owned());
    let rows = [
        (Outcome::Accepted, at(wait), MailState::Sent, None),
        (Outcome::Skipped("erased"), at(wait), MailState::Skipped, None),
        (Outcome::Permanent("smtp 550".to_owned()), at(wait), MailState::Dead, None),
        (transient(), at(wait), MailState::Queued, Some(at(2 * wait))),
        // The last try is at the end of the day, not given up before it.
        (transient(), at(TRIED_FOR - wait / 2), MailState::Queued, Some(at(TRIED_FOR))),
        (transient(), at(TRIED_FOR), MailState::Dead, None),
    ];
    for (outcome, now, state, next_at) in rows {
        let next = after(&outcome, queued, now, wait);
        assert_eq!((next.state, next.next_at, next.reason.as_str()), (state, next_at, outcome.reason()));
    }
}

fn names_are_read_back() {
    for template in Template::ALL {
        assert_eq!(Template::from_name(template.name()), Some(*template));
        assert_eq!(serde_json::to_value(template).unwrap(), template.name());
    }
    for state in MailState::ALL {
        assert_eq!(MailState::from_name(state.name()), Some(*state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
    assert_eq!((Template::from_name("x"), MailState::from_name("x")), (None, None));
}
