//! Our side of the wire.

use merx_kernel::{Error, Result, Timestamp};

use crate::{
    answer,
    calls::{Call, Method},
    certificate::Certificate,
    content::ContentKey,
    key::{PrivateKey, PublicKey},
    notification::Notification,
    outcome::{Outcome, conclude},
    params::Params,
    values::OutTradeNo,
};

/// A merchant of Alipay: the application, its key, and the key Alipay signs with.
#[derive(Clone, Debug)]
pub struct Merchant {
    gateway: String,
    app_id: String,
    seller_id: String,
    key: PrivateKey,
    alipay: Trusted,
    certificates: Option<CertificateNumbers>,
    content_key: Option<ContentKey>,
}

/// The key Alipay signs with, and in certificate mode the number of the certificate it is of.
#[derive(Clone, Debug)]
pub(crate) struct Trusted {
    pub key: PublicKey,
    pub cert_sn: Option<String>,
}

/// What a request says about certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateNumbers {
    pub app: String,
    pub root: String,
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
    "app_cert_sn",
    "alipay_root_cert_sn",
    "encrypt_type",
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
        Self {
            gateway: gateway.into(),
            app_id: app_id.into(),
            seller_id: seller_id.into(),
            key,
            alipay: Trusted { key: alipay, cert_sn: None },
            certificates: None,
            content_key: None,
        }
    }

    /// In certificate mode: the application's certificate, Alipay's, whose key takes the place of the public key, and the
    /// text of Alipay's root certificates.
    ///
    /// # Errors
    /// `alipay.certificate_invalid`, `alipay.key_invalid` for a certificate that cannot be read.
    pub fn with_certificates(mut self, app: &str, alipay: &str, root: &str) -> Result<Self> {
        let alipay = Certificate::parse(alipay)?;
        let app = Certificate::parse(app)?.sn().to_owned();
        self.alipay = Trusted { key: alipay.public_key()?, cert_sn: Some(alipay.sn().to_owned()) };
        self.certificates = Some(CertificateNumbers { app, root: Certificate::root_sn(root)? });
        Ok(self)
    }

    /// With contents encrypted by AES, those of requests and of answers.
    #[must_use]
    pub fn with_content_key(mut self, key: ContentKey) -> Self {
        self.content_key = Some(key);
        self
    }

    /// The key Alipay signs with.
    pub fn alipay_key(&self) -> &PublicKey {
        &self.alipay.key
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
        let (biz_content, encrypt_type) = match &self.content_key {
            // Encrypted first, then signed.
            Some(key) => (key.encrypt(&biz_content)?, Some("AES")),
            None => (biz_content, None),
        };
        let mut params = Params::new()
            .with("app_id", self.app_id.as_str())
            .with("method", M::METHOD)
            .with("format", "JSON")
            .with("charset", "utf-8")
            .with("sign_type", "RSA2")
            .with("timestamp", now.to_beijing_string())
            .with("version", "1.0")
            .with("biz_content", biz_content);
        let numbers = self.certificates.as_ref();
        for (name, value) in [
            ("notify_url", request.notify_url()),
            ("return_url", request.return_url()),
            ("encrypt_type", encrypt_type),
            ("app_cert_sn", numbers.map(|numbers| numbers.app.as_str())),
            ("alipay_root_cert_sn", numbers.map(|numbers| numbers.root.as_str())),
        ] {
            if let Some(value) = value {
                params.set(name, value);
            }
        }
        let sign = self.key.sign(params.request_signing_text().as_bytes())?;
        params.set("sign", sign);
        Ok(SignedRequest { gateway: self.gateway.clone(), params })
    }

    /// What may be concluded from the answer to `call`: only a signed answer about the same order says anything.
    pub fn conclude<C: Call>(&self, call: &C, answer: &[u8]) -> Outcome<C::Answer> {
        let believed = match answer::open(C::METHOD, answer, &self.alipay, self.content_key.as_ref()) {
            Ok(believed) => believed,
            Err(why) => return Outcome::Unknown(why),
        };
        let asked = call.out_trade_no().map(OutTradeNo::as_str);
        if asked.is_some() && believed.out_trade_no.as_deref().is_some_and(|no| Some(no) != asked) {
            return Outcome::Unknown("the answer is about another order".to_owned());
        }
        conclude(believed.refusal, || {
            let read: C::Answer = serde_json::from_str(&believed.body)
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
        Notification::verify(form, &self.alipay.key)
    }
}

impl SignedRequest {
    /// The content type of [`Self::post`]'s body.
    pub const CONTENT_TYPE: &'static str = "application/x-www-form-urlencoded;charset=utf-8";

    /// Everything in one URL, for a browser.
    pub fn url(&self) -> String {
        at(&self.gateway, &self.params)
    }

    /// Everything in one text, for Alipay's SDK in an app.
    pub fn order_text(&self) -> String {
        self.params.to_form()
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
