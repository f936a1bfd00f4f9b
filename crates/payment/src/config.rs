//! What the operator must say about payment.

mod keys;
mod reconciliation;

use std::{ops::RangeInclusive, path::PathBuf};

use merx_kernel::{BoundedText, Error, ErrorKind, Result, Secret};
use serde::Deserialize;

pub(crate) use keys::Keys;
pub use reconciliation::ReconciliationConfig;

use crate::domain::{Method, ProviderName};

/// The `payment` part of the configuration. At least one provider must be given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentConfig {
    /// The ways to pay that buyers are offered, the first first. Left out: page and QR code where there is Alipay, and
    /// every way of `offline` that has instructions.
    #[serde(default)]
    pub methods: Option<Vec<Method>>,
    /// The shop at Alipay.
    #[serde(default)]
    pub alipay: Option<AlipayConfig>,
    /// Money that staff confirms.
    #[serde(default)]
    pub offline: Option<OfflineConfig>,
    /// How the books are held against the bills of the providers.
    #[serde(default)]
    pub reconciliation: ReconciliationConfig,
}

/// What the buyer reads who pays without a provider.
pub type Instructions = BoundedText<1, 1000>;

/// Money that no provider moves: staff confirms that it came, and pays it back.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfflineConfig {
    /// The account to transfer to, as the buyer is told. Left out: no transfers.
    #[serde(default)]
    pub bank_transfer: Option<Instructions>,
    /// How cash is paid, as the buyer is told. Left out: no cash.
    #[serde(default)]
    pub cash_on_delivery: Option<Instructions>,
}

impl OfflineConfig {
    /// What the buyer is told who pays this way; `None` where the shop does not take it.
    pub fn instructions(&self, method: Method) -> Option<&str> {
        let text = match method {
            Method::BankTransfer => self.bank_transfer.as_ref(),
            Method::CashOnDelivery => self.cash_on_delivery.as_ref(),
            _ => None,
        };
        text.map(Instructions::as_str)
    }
}

/// The shop at Alipay, as the open platform's console shows it. Keys are given in place or by file; files are read again
/// while the shop runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlipayConfig {
    /// The application, 1 to 32 digits.
    pub app_id: String,
    /// The account that is paid, `2088…`, 1 to 32 digits.
    pub seller_id: String,
    /// The whole URL of `gateway.do`.
    pub gateway_url: String,
    /// The application's private key: PKCS#8 or PKCS#1, PEM or bare base64.
    #[serde(default)]
    pub private_key: Option<Secret<String>>,
    /// The same in a file.
    #[serde(default)]
    pub private_key_file: Option<PathBuf>,
    /// Alipay's public key (not the application's): PEM or bare base64. Not in certificate mode.
    #[serde(default)]
    pub alipay_public_key: Option<String>,
    /// The same in a file.
    #[serde(default)]
    pub alipay_public_key_file: Option<PathBuf>,
    /// In certificate mode: the application's certificate, `appCertPublicKey_….crt`, …
    #[serde(default)]
    pub app_cert_file: Option<PathBuf>,
    /// … Alipay's, `alipayCertPublicKey_RSA2.crt`, …
    #[serde(default)]
    pub alipay_cert_file: Option<PathBuf>,
    /// … and Alipay's root certificates, `alipayRootCert.crt`.
    #[serde(default)]
    pub alipay_root_cert_file: Option<PathBuf>,
    /// The AES key of contents, base64; contents are encrypted when it is given.
    #[serde(default)]
    pub aes_key: Option<Secret<String>>,
    /// The same in a file.
    #[serde(default)]
    pub aes_key_file: Option<PathBuf>,
    /// How long notifications that Alipay signed with its key of before are still taken after a new one was read.
    #[serde(default = "AlipayConfig::two_days")]
    pub old_key_accepted_s: u64,
    /// Where Alipay reaches `POST /v1/payments/alipay/notifications` of this shop.
    pub notify_url: String,
    /// Where the buyer's browser goes after paying.
    #[serde(default)]
    pub return_url: Option<String>,
}

impl AlipayConfig {
    /// A week is enough for eight notifications in 25 hours.
    const OLD_KEY_ACCEPTED_S: RangeInclusive<u64> = 0..=604_800;

    const fn two_days() -> u64 {
        172_800
    }

    /// A shop with bare keys and contents in the clear.
    pub fn new(
        app_id: impl Into<String>,
        seller_id: impl Into<String>,
        gateway_url: impl Into<String>,
        private_key: Secret<String>,
        alipay_public_key: impl Into<String>,
        notify_url: impl Into<String>,
    ) -> Self {
        Self {
            app_id: app_id.into(),
            seller_id: seller_id.into(),
            gateway_url: gateway_url.into(),
            private_key: Some(private_key),
            private_key_file: None,
            alipay_public_key: Some(alipay_public_key.into()),
            alipay_public_key_file: None,
            app_cert_file: None,
            alipay_cert_file: None,
            alipay_root_cert_file: None,
            aes_key: None,
            aes_key_file: None,
            old_key_accepted_s: Self::two_days(),
            notify_url: notify_url.into(),
            return_url: None,
        }
    }

    /// Whether any key may change while the shop runs.
    pub(crate) const fn has_files(&self) -> bool {
        self.private_key_file.is_some()
            || self.alipay_public_key_file.is_some()
            || self.alipay_cert_file.is_some()
            || self.aes_key_file.is_some()
    }

    fn wrong(&self) -> Vec<(&'static str, String)> {
        let mut wrong: Vec<(&str, String)> = Vec::new();
        let digits = |text: &str| (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        for (name, value) in [("app_id", &self.app_id), ("seller_id", &self.seller_id)] {
            if !digits(value) {
                wrong.push((name, "must be 1 to 32 digits".to_owned()));
            }
        }
        let urls = [
            ("gateway_url", Some(&self.gateway_url)),
            ("notify_url", Some(&self.notify_url)),
            ("return_url", self.return_url.as_ref()),
        ];
        for (name, url) in urls {
            if url.is_some_and(|url| !is_url(url)) {
                wrong.push((name, "must be an absolute http(s) URL of at most 256 characters".to_owned()));
            }
        }
        wrong.extend(Keys::read(self).err().into_iter().flatten());
        if !Self::OLD_KEY_ACCEPTED_S.contains(&self.old_key_accepted_s) {
            wrong.push(("old_key_accepted_s", "must be from 0 to 604800 seconds".to_owned()));
        }
        wrong
    }
}

impl PaymentConfig {
    /// A shop that is paid through Alipay only.
    pub fn of_alipay(alipay: AlipayConfig) -> Self {
        Self { alipay: Some(alipay), ..Self::default() }
    }

    /// The ways to pay that buyers are offered, the first first.
    pub fn offered(&self) -> Vec<Method> {
        if let Some(methods) = &self.methods {
            return methods.clone();
        }
        let usual = |method: &Method| match method {
            Method::AlipayPage | Method::AlipayQr => self.alipay.is_some(),
            // Each wants a contract of its own, so it is offered when it is asked for.
            Method::AlipayWap | Method::AlipayApp => false,
            Method::BankTransfer | Method::CashOnDelivery => self.takes(*method),
        };
        Method::ALL.iter().copied().filter(usual).collect()
    }

    /// Whether the provider of a way to pay is set up for it.
    fn takes(&self, method: Method) -> bool {
        match method.provider() {
            ProviderName::Alipay => self.alipay.is_some(),
            ProviderName::Offline => {
                self.offline.as_ref().is_some_and(|offline| offline.instructions(method).is_some())
            }
        }
    }

    /// Checks every value, and reads the files of keys.
    ///
    /// # Errors
    /// `Invalid` with each wrong value by its path; a secret is never repeated.
    pub fn check(&self) -> Result<()> {
        let of_alipay = self.alipay.iter().flat_map(AlipayConfig::wrong);
        let mut wrong: Vec<(String, String)> =
            of_alipay.map(|(name, why)| (format!("payment.alipay.{name}"), why)).collect();
        if self.alipay.is_none() && self.offline.is_none() {
            wrong.push(("payment.alipay".to_owned(), "must be given, or payment.offline".to_owned()));
        }
        let of_bills = self.reconciliation.wrong().into_iter();
        wrong.extend(of_bills.map(|(name, why)| (format!("payment.reconciliation.{name}"), why)));
        let offered = self.offered();
        if offered.is_empty() && wrong.is_empty() {
            wrong.push(("payment.methods".to_owned(), "must name a way to pay".to_owned()));
        }
        for (place, method) in offered.iter().enumerate() {
            let pointer = format!("payment.methods.{place}");
            if offered[..place].contains(method) {
                wrong.push((pointer, format!("{} comes twice", method.as_str())));
            } else if !self.takes(*method) {
                let why = match method.provider() {
                    ProviderName::Alipay => "payment.alipay".to_owned(),
                    ProviderName::Offline => format!("payment.offline.{}", method.as_str()),
                };
                wrong.push((pointer, format!("{} needs {why}", method.as_str())));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let start =
            Error::new(ErrorKind::Invalid, "config.invalid", "The configuration of payment is not valid.");
        Err(wrong.into_iter().fold(start, |e, (pointer, why)| e.with_field(pointer, why)))
    }
}

fn is_url(url: &str) -> bool {
    let scheme = url.starts_with("http://") || url.starts_with("https://");
    scheme && url.len() <= 256 && url.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some())
}
