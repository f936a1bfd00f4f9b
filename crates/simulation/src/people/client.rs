//! A client of the public API as a good one is: it repeats what was not answered under the same key, and now and then a
//! nervous finger repeats what was.

use std::{cell::Cell, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request},
};
use merx_kernel::{Role, principal::AccountId};
use merx_testkit::Answer;
use serde_json::Value;

use super::{
    Town,
    rules::{Row, how, is_to_repeat},
};
use crate::dice::Dice;

/// How often a client comes again before it gives up.
const TRIES: u32 = 40;
/// The longest it waits in between.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Of so many acknowledged requests one is sent again at once.
const NERVOUS: u64 = 12;
/// Answers that tell a secret this once.
const TOLD_ONCE: &[&str] = &["makeApiKey", "createWebhook", "rotateWebhookSecret"];

/// In whose name a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody is logged in.
    Nobody,
    /// An account with a token of our own making.
    Account(AccountId, Role),
    /// Whoever the shop gave this token to.
    Bearer(String),
}

/// A request.
pub struct Ask {
    method: Method,
    path: String,
    body: Option<Value>,
    key: Option<String>,
    headers: Vec<(&'static str, String)>,
    also: &'static [&'static str],
    only: &'static [&'static str],
    later: &'static [&'static str],
    again: bool,
}

impl Ask {
    fn new(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        let path = path.into();
        Self {
            method,
            path,
            body,
            key: None,
            headers: Vec::new(),
            also: &[],
            only: &[],
            later: &[],
            again: true,
        }
    }
    /// GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None)
    }
    /// POST under a fresh key.
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path, Some(body))
    }
    /// PUT.
    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PUT, path, Some(body))
    }
    /// DELETE.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, None)
    }
    /// Under this key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }
    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
    /// For the version that was seen.
    #[must_use]
    pub fn seen(self, answer: &Answer) -> Self {
        let version =
            answer.headers.get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
        self.header("if-match", version)
    }
    /// These statuses and codes may be answered too.
    #[must_use]
    pub fn also(mut self, these: &'static [&'static str]) -> Self {
        self.also = these;
        self
    }
    /// Nothing but these statuses and codes may be answered.
    #[must_use]
    pub fn only(mut self, these: &'static [&'static str]) -> Self {
        self.only = these;
        self
    }
    /// These may be answered too to who asks again: the first time may have done it.
    #[must_use]
    pub fn later(mut self, these: &'static [&'static str]) -> Self {
        self.later = these;
        self
    }
    /// Who was told to come later does not.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.again = false;
        self
    }
}

/// Somebody in front of the public API.
pub struct Client<'a> {
    /// Where.
    pub town: &'a Town<'a>,
    /// In whose name.
    pub who: Who,
    /// What people call him, unique in the run.
    pub name: String,
    /// What he decides by.
    pub dice: Dice,
    sent: Cell<u64>,
}

impl<'a> Client<'a> {
    /// With dice of his own.
    pub fn new(town: &'a Town<'a>, who: Who, name: &str) -> Self {
        Self { town, who, name: name.to_owned(), dice: town.dice(name), sent: Cell::new(0) }
    }
    /// The same person where nobody knows him yet.
    pub fn elsewhere(&self, who: Who, place: &str) -> Self {
        Self::new(self.town, who, &format!("{} {place}", self.name))
    }

    /// Reads.
    pub async fn get(&self, path: impl Into<String>) -> Option<Answer> {
        self.ask(Ask::get(path)).await
    }
    /// Posts.
    pub async fn post(&self, path: impl Into<String>, body: Value) -> Option<Answer> {
        self.ask(Ask::post(path, body)).await
    }

    /// Asks until it is answered, and holds the answer against the rules. `None` when the client gave up: nobody knows
    /// then what became of it.
    pub async fn ask(&self, ask: Ask) -> Option<Answer> {
        let row = self.town.rules.row(&ask.method, &ask.path);
        let key = (ask.method == Method::POST).then(|| ask.key.clone().unwrap_or_else(|| self.fresh_key()));
        let mut wait = Duration::from_secs(1);
        for tries in 0..TRIES {
            if let Some(answer) = self.once(&ask, key.as_deref()).await {
                let busy = answer.status.as_u16() == 429 && ask.again;
                if !is_to_repeat(&answer) && !busy {
                    self.judge(row, &ask, &answer, tries > 0);
                    self.town.tally.answered(row.id, &answer);
                    self.nervously(row, &ask, key.as_deref(), &answer).await;
                    return Some(answer);
                }
                self.town.tally.answered(row.id, &answer);
                wait = wait.max(retry_after(&answer));
            } else {
                self.town.tally.count("lost connection", 1);
            }
            self.town.pass(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
        self.town.tally.count("gave up", 1);
        None
    }

    fn fresh_key(&self) -> String {
        self.sent.set(self.sent.get() + 1);
        let name: String =
            self.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        format!("{name}-{}", self.sent.get())
    }

    fn judge(&self, row: &Row, ask: &Ask, answer: &Answer, again: bool) {
        let how = how(answer);
        // What was not answered may have been done: the second request then meets what the first has left.
        // A token is good for minutes, and the shop's clock may jump.
        let stale = matches!(self.who, Who::Bearer(_))
            && ["request.token_expired", "request.token_invalid"].contains(&how.as_str());
        let fits = match again {
            _ if stale => true,
            _ if ask.also.contains(&how.as_str()) => true,
            true if ask.later.contains(&how.as_str()) => true,
            true => row.names(answer) || how == "request.version_stale" || ask.only.contains(&how.as_str()),
            false if !ask.only.is_empty() => ask.only.contains(&how.as_str()),
            false => row.names(answer),
        };
        let sent = ask.body.as_ref().map(Value::to_string).unwrap_or_default();
        assert!(
            fits,
            "{} ({}): {} {} {sent} may not be answered {} {}",
            self.name, row.id, ask.method, ask.path, answer.status, answer.text
        );
    }

    /// The same again: the answer of before. The same key with something else: refused.
    async fn nervously(&self, row: &Row, ask: &Ask, key: Option<&str>, answer: &Answer) {
        let (Some(key), true) = (key, answer.status.is_success()) else { return };
        if ask.key.is_some() || !row.is_keyed() || !self.dice.one_in(NERVOUS) {
            return;
        }
        if let Some(other) = otherwise(ask)
            && let Some(refused) = self.once(&other, Some(key)).await.filter(|a| !is_to_repeat(a))
        {
            self.town.tally.answered(&format!("{} again, other body", row.id), &refused);
            refused.expect_problem(422, "request.idempotency_key_reused");
        }
        let Some(again) = self.once(ask, Some(key)).await.filter(|a| !is_to_repeat(a)) else { return };
        self.town.tally.answered(&format!("{} again", row.id), &again);
        if answer.status.as_u16() == 202 {
            // By now it may be known.
            return;
        }
        let told = |a: &Answer| (a.status, a.text_at("/id"));
        assert_eq!(
            told(&again),
            told(answer),
            "{}: {} again: {}\n{}",
            self.name,
            row.id,
            answer.text,
            again.text
        );
        if !TOLD_ONCE.contains(&row.id) {
            assert_eq!(again.body, answer.body, "{}: {} again", self.name, row.id);
        }
    }

    /// One request and its answer; `None` when the connection was lost.
    async fn once(&self, ask: &Ask, key: Option<&str>) -> Option<Answer> {
        let token = match &self.who {
            Who::Nobody => None,
            Who::Account(account, role) => self.town.world.api.as_account(*account, *role).token(),
            Who::Bearer(token) => Some(token.clone()),
        };
        let mut builder = Request::builder().method(ask.method.clone()).uri(&ask.path);
        if let Some(token) = token {
            builder = builder.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            builder = builder.header("idempotency-key", key);
        }
        for (name, value) in &ask.headers {
            builder = builder.header(*name, value);
        }
        let request = match &ask.body {
            Some(body) => {
                builder.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
            None => builder.body(Body::empty()),
        };
        self.town.sent();
        let answer = self.town.knock(request.unwrap()).await;
        let text = answer.as_ref().map_or("lost".to_owned(), |a| format!("{} {}", a.status.as_u16(), a.text));
        let trace = &self.town.world.trace;
        trace.see(format!("{} {}: {} {} -> {text}", self.town.now(), self.name, ask.method, ask.path));
        answer
    }
}

/// The same request with another word in it, where it has one.
fn otherwise(ask: &Ask) -> Option<Ask> {
    let mut body = ask.body.clone()?;
    let words = ["text", "note", "reason"].into_iter().find(|name| body[*name].is_string())?;
    body[words] = format!("{}, or not", body[words].as_str()?).into();
    let headers = ask.headers.clone();
    Some(Ask { headers, ..Ask::new(ask.method.clone(), ask.path.clone(), Some(body)) })
}

fn retry_after(answer: &Answer) -> Duration {
    let seconds = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}
