//! One try of one mail: claimed in a transaction, sent, and written down in another.

use std::time::Duration;

use merx_contracts::accounts::v1::{CodeRequest, ContactRequest};
use merx_kernel::{Error, ErrorKind, Result, Timestamp};
use merx_platform::{rpc, time::Backoff, trace};

use super::LEASE;
use crate::{
    State,
    domain::{Mail, MailState, Outcome, Template, mail::after},
    store::{self, mails::TryRow},
    templates::{Addressee, CodeToMail, Rendered},
    transport::Letter,
    words::Language,
};

/// How long a failed mail waits: half a minute, a minute, … two hours.
const BACKOFF: Backoff = Backoff { min: Duration::from_secs(30), max: Duration::from_secs(2 * 3600) };
/// How long a try may take.
const TRY_MAX: Duration = Duration::from_secs(120);
/// The longest name a mail greets, and the most digits in it: a telephone number has more.
const NAME_CHARS_MAX: usize = 40;
const NAME_DIGITS_MAX: usize = 4;

/// Tries a mail once. What the database cannot take down is tried again when the claim has run out.
pub(super) async fn send(state: &State, mail: Mail) {
    let began_at = state.clock.now();
    let (claimed, until) = (mail.clone(), began_at.plus(LEASE));
    let claim = move |tx: &mut merx_sql::Tx<'_>| store::mails::claim(tx, &claimed, until);
    match state.db.write("notification.mail_sending", claim).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            tracing::warn!(mail = %mail.ask.id, error = %error.chain(), "a mail could not be taken up");
            // The row stays due; without a pause the loop would spin on a database that is away.
            state.clock.sleep(super::READ_PAUSE).await;
            return;
        }
    }
    // The mail goes on in the trace of what it tells of.
    let text = format!("00-{}-0000000000000001-01", mail.ask.trace);
    let outcome = trace::scope(text.parse().ok(), attempt(state, &mail, began_at)).await;
    if let Err(error) = record(state, &mail, began_at, outcome).await {
        tracing::warn!(mail = %mail.ask.id, error = %error.chain(), "a mail's try could not be written down");
    }
}

async fn attempt(state: &State, mail: &Mail, at: Timestamp) -> Outcome {
    let Some(transport) = &state.ways.mail else { return Outcome::Skipped("mail_off") };
    let sent = async {
        match letter(state, mail, at).await {
            Ok(Ok(letter)) => transport.send(&letter).await,
            Ok(Err(why)) => Outcome::Skipped(why),
            Err(error) => failed(mail, &error),
        }
    };
    tokio::select! {
        biased;
        outcome = sent => outcome,
        () = state.clock.sleep(TRY_MAX) => Outcome::Transient("timeout".to_owned()),
    }
}

/// A mail that could not be written: later, unless it never can.
fn failed(mail: &Mail, error: &Error) -> Outcome {
    tracing::warn!(mail = %mail.ask.id, error = %error.chain(), "a mail could not be written");
    let why =
        if error.kind() == ErrorKind::Internal { "internal".to_owned() } else { error.code().to_owned() };
    if error.kind().is_retryable() { Outcome::Transient(why) } else { Outcome::Permanent(why) }
}

/// Who it goes to and what it says; the inner error is why it goes to nobody.
async fn letter(state: &State, mail: &Mail, at: Timestamp) -> Result<Result<Letter, &'static str>> {
    let (to, name, language, words) = match mail.ask.template {
        Template::Code => match code(state, mail).await? {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        },
        _ => match order(state, mail).await? {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        },
    };
    Ok(Ok(Letter {
        mail: mail.ask.id.to_string(),
        template: mail.ask.template.name().to_owned(),
        message_id: mail.message_id(&state.sender.domain),
        from: state.sender.from.clone(),
        to,
        to_name: name,
        language: language.tag().to_owned(),
        at,
        subject: words.subject,
        text: words.text,
        html: words.html,
    }))
}

type Addressed = (String, String, Language, Rendered);

async fn order(state: &State, mail: &Mail) -> Result<Result<Addressed, &'static str>> {
    let request = ContactRequest {
        account_id: mail.ask.account.to_string(),
        with_guest_token: mail.ask.template == Template::OrderPlaced,
    };
    let contact = match rpc::ask(state.accounts.clone().contact(request).await) {
        Ok(contact) => contact,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err("no_account")),
        Err(error) => return Err(error),
    };
    if contact.erased {
        return Ok(Err("erased"));
    }
    if contact.email.is_empty() {
        return Ok(Err("no_address"));
    }
    let to = Addressee {
        name: presentable(&contact.name),
        language: Language::of(&contact.locale),
        guest_token: if contact.guest { contact.guest_token } else { String::new() },
    };
    let words = state.templates.order(mail.ask.template, &mail.ask.parameters, &to)?;
    Ok(Ok((contact.email, to.name, to.language, words)))
}

async fn code(state: &State, mail: &Mail) -> Result<Result<Addressed, &'static str>> {
    let code_id = merx_contracts::ids::CodeId::from_bits(mail.ask.cause).to_string();
    let reply = match rpc::ask(state.accounts.clone().code(CodeRequest { code_id }).await) {
        Ok(reply) => reply,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err("no_code")),
        Err(error) => return Err(error),
    };
    if reply.code.is_empty() {
        return Ok(Err("code_over"));
    }
    if reply.email.is_empty() {
        return Ok(Err("no_address"));
    }
    let (name, language) = (presentable(&reply.name), Language::of(&reply.locale));
    let code = CodeToMail {
        code: reply.code,
        purpose: reply.purpose,
        expires_at: Timestamp::from_millis(reply.expires_at),
    };
    let words = state.templates.code(&code, &name, language)?;
    Ok(Ok((reply.email, name, language, words)))
}

/// A name as a mail greets it. Whoever orders chooses the name and the address: a "name" that is a link or a text would
/// make the shop send somebody's advertisement.
fn presentable(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control() && !is_unseen(*c)).collect();
    let name = name.trim();
    let suspicious = name.chars().count() > NAME_CHARS_MAX
        || name.chars().filter(|c| c.is_numeric()).count() > NAME_DIGITS_MAX
        || name.contains(['/', '／', '@', '＠'])
        || names_a_host(name);
    if suspicious { String::new() } else { name.to_owned() }
}

/// Without a width, or turning the text around them (Unicode, general category Cf, as far as it is used for tricks).
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Mail programs make a link of `shop.example` too: a point with a letter before it and two behind. `J.R.R. Tolkien` has
/// one behind.
fn names_a_host(name: &str) -> bool {
    let mut labels = name.split(['.', '．', '。', '｡']);
    let mut before = labels.next().unwrap_or_default();
    for label in labels {
        let joined = before.chars().next_back().is_some_and(char::is_alphanumeric);
        if joined && label.chars().take_while(|c| c.is_alphanumeric()).count() >= 2 {
            return true;
        }
        before = label;
    }
    false
}

async fn record(state: &State, mail: &Mail, began_at: Timestamp, outcome: Outcome) -> Result<()> {
    let now = state.clock.now();
    let number = mail.tries + 1;
    let wait = BACKOFF.wait(u32::try_from(number).unwrap_or(u32::MAX), &*state.entropy);
    let next = after(&outcome, mail.queued_at, now, wait);
    let ended = TryRow {
        round: mail.round,
        number,
        began_at,
        ended_at: now,
        outcome: outcome.name().to_owned(),
        reason: outcome.reason().chars().take(100).collect(),
    };
    if next.state == MailState::Dead {
        state.metrics.alert("mail_dead");
        let (reason, template) = (next.reason.as_str(), mail.ask.template.name());
        tracing::error!(mail = %mail.ask.id, template, reason, "a mail is dead; it can be sent again");
    }
    let mail = mail.clone();
    state
        .db
        .write("notification.mail_tried", move |tx| store::mails::record(tx, &mail, &ended, &next).map(drop))
        .await
}
