//! What the operator must say about payment.

use merx_alipay::{PrivateKey, PublicKey};
use merx_kernel::{Error, Result, Secret};
use serde::Deserialize;

/// The `payment` part of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentConfig {
    /// The shop at Alipay.
    pub alipay: AlipayConfig,
}

/// The shop at Alipay, as the open platform's console shows it.
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
    pub private_key: Secret<String>,
    /// Alipay's public key (not the application's): PEM or bare base64.
    pub alipay_public_key: String,
    /// Where Alipay reaches `POST /v1/payments/alipay/notifications` of this shop.
    pub notify_url: String,
    /// Where the buyer's browser goes after paying.
    #[serde(default)]
    pub return_url: Option<String>,
}

impl PaymentConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// `Invalid` with each wrong value by its path; a secret is never repeated.
    pub fn check(&self) -> Result<()> {
        let alipay = &self.alipay;
        let mut wrong: Vec<(&str, String)> = Vec::new();
        let digits = |text: &str| (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        for (name, value) in [("app_id", &alipay.app_id), ("seller_id", &alipay.seller_id)] {
            if !digits(value) {
                wrong.push((name, "must be 1 to 32 digits".to_owned()));
            }
        }
        let urls = [
            ("gateway_url", Some(&alipay.gateway_url)),
            ("notify_url", Some(&alipay.notify_url)),
            ("return_url", alipay.return_url.as_ref()),
        ];
        for (name, url) in urls {
            if url.is_some_and(|url| !is_url(url)) {
                wrong.push((name, "must be an absolute http(s) URL of at most 256 characters".to_owned()));
            }
        }
        let private = PrivateKey::parse(alipay.private_key.expose());
        let public = PublicKey::parse(&alipay.alipay_public_key);
        match (&private, &public) {
            (Ok(private), Ok(public)) => {
                // Handing in one's own public key is the usual mistake; every notification would be refused.
                if private.public_key()?.to_pem()? == public.to_pem()? {
                    let hint = "is the application's own public key; Alipay's is needed, from its console";
                    wrong.push(("alipay_public_key", hint.to_owned()));
                }
            }
            _ => {
                wrong.extend(private.err().map(|e| ("private_key", e.message().to_owned())));
                wrong.extend(public.err().map(|e| ("alipay_public_key", e.message().to_owned())));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let start = Error::new(
            merx_kernel::ErrorKind::Invalid,
            "config.invalid",
            "The configuration of payment is not valid.",
        );
        Err(wrong
            .into_iter()
            .fold(start, |e, (name, why)| e.with_field(format!("payment.alipay.{name}"), why)))
    }
}

fn is_url(url: &str) -> bool {
    let scheme = url.starts_with("http://") || url.starts_with("https://");
    scheme && url.len() <= 256 && url.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some())
}
