//! Our side of the wire.

use merx_kernel::{Error, Result, Timestamp};

use crate::{
    answer,
    calls::{Call, Method},
    key::{PrivateKey, PublicKey},
    notification::Notification,
    outcome::{Outcome, conclude},
    params::Params,
};

/// A merchant of Alipay: the application, its key, and the key Alipay signs with.
#[derive(Clone, Debug)]
pub struct Merchant {
    gateway: String,
    app_id: String,
    seller_id: String,
    key: PrivateKey,
    alipay: PublicKey,
}

/// Signed parameters and where they go.
#[derive(Clone, Debug)]
pub struct SignedRequest {
    gateway: String,
    params: Params,
}

/// The parameters that official clients put into the URL; the others go into the body.
const IN_URL: &[&str] = &[
    "app_id",
    "method",
    "format",
    "charset",
    "sign_type",
    "sign",
    "timestamp",
    "version",
    "notify_url",
    "return_url",
    "app_auth_token",
];

impl Merchant {
    /// A merchant. `gateway` is the whole URL of `gateway.do`.
    pub fn new(
        gateway: impl Into<String>,
        app_id: impl Into<String>,
        seller_id: impl Into<String>,
        key: PrivateKey,
        alipay: PublicKey,
    ) -> Self {
        Self { gateway: gateway.into(), app_id: app_id.into(), seller_id: seller_id.into(), key, alipay }
    }

    /// Our application at Alipay.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }
    /// Our account at Alipay.
    pub fn seller_id(&self) -> &str {
        &self.seller_id
    }

    /// Signs a request at `now`.
    ///
    /// # Errors
    /// `alipay.request_invalid` for a value beyond Alipay's limits.
    pub fn sign<M: Method>(&self, request: &M, now: Timestamp) -> Result<SignedRequest> {
        request.check()?;
        let biz_content = serde_json::to_string(request)
            .map_err(|e| Error::internal("cannot write the business content").with_source(e))?;
        let mut params = Params::new()
            .with("app_id", self.app_id.as_str())
            .with("method", M::METHOD)
            .with("format", "JSON")
            .with("charset", "utf-8")
            .with("sign_type", "RSA2")
            .with("timestamp", now.to_beijing_string())
            .with("version", "1.0")
            .with("biz_content", biz_content);
        for (name, url) in [("notify_url", request.notify_url()), ("return_url", request.return_url())] {
            if let Some(url) = url {
                params.set(name, url);
            }
        }
        let sign = self.key.sign(params.request_signing_text().as_bytes())?;
        params.set("sign", sign);
        Ok(SignedRequest { gateway: self.gateway.clone(), params })
    }

    /// What may be concluded from the answer to `call`: only a signed answer about the same order says anything.
    pub fn conclude<C: Call>(&self, call: &C, answer: &[u8]) -> Outcome<C::Answer> {
        let believed = match answer::open(C::METHOD, answer, &self.alipay) {
            Ok(believed) => believed,
            Err(why) => return Outcome::Unknown(why),
        };
        if believed.out_trade_no.is_some_and(|no| no != call.out_trade_no().as_str()) {
            return Outcome::Unknown("the answer is about another order".to_owned());
        }
        conclude(believed.refusal, || {
            let read: C::Answer = serde_json::from_str(believed.body)
                .map_err(|e| format!("the answer does not have the fields of {}: {e}", C::METHOD))?;
            if !call.is_answered_by(&read) {
                return Err("the answer is to another call".to_owned());
            }
            Ok(read)
        })
    }

    /// Reads and verifies the form of a notification; see [`Notification::verify`].
    ///
    /// # Errors
    /// As there.
    pub fn notification(&self, form: &[u8]) -> Result<Notification> {
        Notification::verify(form, &self.alipay)
    }
}

impl SignedRequest {
    /// The content type of [`Self::post`]'s body.
    pub const CONTENT_TYPE: &'static str = "application/x-www-form-urlencoded;charset=utf-8";

    /// Everything in one URL, for a browser.
    pub fn url(&self) -> String {
        at(&self.gateway, &self.params)
    }

    /// URL with the common parameters, and the form body with the rest: how official clients call.
    pub fn post(&self) -> (String, String) {
        let (common, rest) = self.params.clone().partition(|name| IN_URL.contains(&name));
        (at(&self.gateway, &common), rest.to_form())
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }
}

fn at(gateway: &str, params: &Params) -> String {
    let joint = if gateway.contains('?') { '&' } else { '?' };
    format!("{gateway}{joint}{}", params.to_form())
}
