//! What is outside the shop: its mail server, the partners it tells, the way to Alipay.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::http::HeaderMap;
use merx_http::outbound::{Outbound, OutboundAnswer, OutboundFailure, OutboundRequest};
use merx_kernel::{Clock, Result};
use merx_notification::{
    domain::Outcome,
    transport::{Letter, MailTransport, MemoryMailbox},
};
use merx_payment::provider::{InProcess, Outbound as ToProvider};
use merx_platform::Tasks;

use crate::faults::{
    Injector, MAIL_FAILS, MAIL_FAILS_AFTER, MAIL_SLOW, WEBHOOK_FAILS, WEBHOOK_FAILS_AFTER, WEBHOOK_REFUSED,
};

/// Longer than anybody waits for a mail server.
const SLOW: Duration = Duration::from_secs(300);

/// A mail server that fails as the plan has it.
pub(super) struct Post {
    pub(super) mails: MemoryMailbox,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) faults: Arc<Injector>,
}

#[async_trait::async_trait]
impl MailTransport for Post {
    async fn send(&self, letter: &Letter) -> Outcome {
        let not_now = || Outcome::Transient("fault".to_owned());
        if self.faults.hits(MAIL_FAILS, &letter.template) {
            return not_now();
        }
        if self.faults.hits(MAIL_SLOW, &letter.template) {
            self.clock.sleep(SLOW).await;
        }
        let outcome = self.mails.send(letter).await;
        if self.faults.hits(MAIL_FAILS_AFTER, &letter.template) { not_now() } else { outcome }
    }
}

/// What a partner was told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where.
    pub url: String,
    /// With these headers.
    pub headers: HeaderMap,
    /// What.
    pub body: String,
}

/// The partners of the shop: they are at every address, and take everything. Clones are the same ones.
#[derive(Clone, Default)]
pub struct Partners {
    heard: Arc<Mutex<Vec<Told>>>,
}

impl Partners {
    /// What they heard, in order.
    pub fn heard(&self) -> Vec<Told> {
        self.heard.lock().unwrap().clone()
    }
}

pub(super) struct ToPartners {
    pub(super) partners: Partners,
    pub(super) faults: Arc<Injector>,
}

#[async_trait::async_trait]
impl Outbound for ToPartners {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundAnswer, OutboundFailure> {
        if self.faults.hits(WEBHOOK_FAILS, &request.url) {
            return Err(OutboundFailure::Unreachable);
        }
        let answer = |status| OutboundAnswer {
            status,
            headers: HeaderMap::new(),
            body: Default::default(),
            whole: true,
        };
        if self.faults.hits(WEBHOOK_REFUSED, &request.url) {
            return Ok(answer(500));
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let told = Told { url: request.url.clone(), headers: request.headers, body };
        self.partners.heard.lock().unwrap().push(told);
        if self.faults.hits(WEBHOOK_FAILS_AFTER, &request.url) {
            return Err(OutboundFailure::Broken);
        }
        Ok(answer(204))
    }
}

/// The way to Alipay. What arrived there is done, whether or not the shop lives to hear of it.
pub(super) struct ToAlipay {
    pub(super) pages: InProcess,
    pub(super) tasks: Tasks,
}

#[async_trait::async_trait]
impl ToProvider for ToAlipay {
    async fn post(&self, url: &str, content_type: &'static str, body: String) -> Result<Vec<u8>> {
        let (pages, url) = (self.pages.clone(), url.to_owned());
        let asked = async move { pages.post(&url, content_type, body).await };
        self.tasks.spawn("alipay.request", asked).await?
    }
    async fn get(&self, url: &str) -> Result<Vec<u8>> {
        self.pages.get(url).await
    }
}
