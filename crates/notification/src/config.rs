//! What the operator says about mails and webhooks.

use std::path::PathBuf;

use lettre::message::Mailbox;
use merx_http::outbound::Reach;
use merx_kernel::{Error, ErrorKind, Result, Secret};
use serde::Deserialize;

/// The `mail` and `webhooks` parts of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationConfig {
    /// Mails.
    pub mail: MailConfig,
    /// Webhooks.
    pub webhooks: WebhooksConfig,
}

/// The `mail` part.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// Where mails go: `smtps://host` (TLS from the start, port 465), `smtp://host` (STARTTLS, port 587),
    /// `smtp://127.0.0.1:25?tls=none` (this machine only) or `folder:/path` (the mail viewer). Left out: nowhere, and
    /// mails are skipped.
    pub url: Option<String>,
    /// Log-in at the mail server; left out: none.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret<String>>,
    /// The sender, `Shop <orders@shop.example>`. The name is also how mails call the shop.
    pub from: String,
    /// Where buyers reach the shop in a browser; links in mails begin with it.
    pub public_url: String,
    /// The offset of the times in mails from UTC, in minutes; 480 is Beijing.
    pub utc_offset_minutes: i32,
    /// Mails sent at the same time.
    pub concurrent_max: usize,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            url: None,
            username: None,
            password: None,
            from: "Merx <orders@merx.invalid>".to_owned(),
            public_url: "http://127.0.0.1:8080".to_owned(),
            utc_offset_minutes: 480,
            concurrent_max: 4,
        }
    }
}

/// The `webhooks` part.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Endpoints on this machine's loopback are allowed, by plain HTTP too. For trying things out only.
    pub allow_loopback: bool,
    /// Milliseconds an endpoint has to answer.
    pub timeout_ms: u64,
    /// Attempts under way at one endpoint at the same time.
    pub concurrent_per_endpoint_max: usize,
    /// Endpoints there may be.
    pub endpoints_max: usize,
    /// Days for which deliveries are kept, to look at and to replay.
    pub kept_days: u32,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            allow_loopback: false,
            timeout_ms: 20_000,
            concurrent_per_endpoint_max: 4,
            endpoints_max: 100,
            kept_days: 30,
        }
    }
}

/// Where mails go, from its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTarget {
    /// A mail server.
    Smtp {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
        /// How the connection is kept private.
        tls: SmtpTls,
    },
    /// A folder, for the mail viewer.
    Folder(PathBuf),
}

/// How a connection to a mail server is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// TLS from the first byte.
    Immediate,
    /// Asked for by STARTTLS; without it no mail is sent.
    Starttls,
    /// Not at all; this machine only.
    None,
}

impl MailTarget {
    /// Reads the URL.
    ///
    /// # Errors
    /// A sentence naming the rule.
    pub fn parse(url: &str) -> Result<Self, String> {
        let forms =
            "must be smtps://host[:port], smtp://host[:port], smtp://127.0.0.1:port?tls=none or folder:/path";
        if let Some(path) = url.strip_prefix("folder:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Folder(path)) } else { Err(forms.to_owned()) };
        }
        let (scheme, rest) = url.split_once("://").ok_or(forms)?;
        if rest.contains('@') {
            return Err("must not hold the log-in; there are mail.username and mail.password".to_owned());
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.trim_end_matches('/');
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse::<u16>().ok().filter(|p| *p > 0).ok_or(forms)?))
            }
            _ => (place, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let named = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'));
        if !named {
            return Err(forms.to_owned());
        }
        let (tls, usual) = match (scheme, query) {
            ("smtps", "") => (SmtpTls::Immediate, 465),
            ("smtp", "") => (SmtpTls::Starttls, 587),
            ("smtp", "tls=none") => (SmtpTls::None, 25),
            _ => return Err(forms.to_owned()),
        };
        let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback());
        if tls == SmtpTls::None && !loopback {
            return Err("may be without TLS on this machine only (127.0.0.1, ::1, localhost)".to_owned());
        }
        Ok(Self::Smtp { host: host.to_owned(), port: port.unwrap_or(usual), tls })
    }
}

impl MailConfig {
    /// The sender.
    ///
    /// # Errors
    /// A sentence naming the rule.
    pub fn sender(&self) -> Result<Mailbox, String> {
        self.from.parse().map_err(|_| "must be a mail address such as Shop <orders@shop.example>".to_owned())
    }

    /// Where mails go; `None` when nowhere.
    ///
    /// # Errors
    /// A sentence naming the rule.
    pub fn target(&self) -> Result<Option<MailTarget>, String> {
        self.url.as_deref().map(MailTarget::parse).transpose()
    }
}

impl WebhooksConfig {
    /// Where endpoints may be.
    pub const fn reach(&self) -> Reach {
        if self.allow_loopback { Reach::PublicAndLoopback } else { Reach::Public }
    }
}

impl NotificationConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// `config.invalid` with each wrong value by its path; a secret is never repeated.
    pub fn check(&self) -> Result<()> {
        let mut wrong: Vec<(&str, String)> = Vec::new();
        let mail = &self.mail;
        wrong.extend(mail.target().err().map(|e| ("mail.url", e)));
        wrong.extend(mail.sender().err().map(|e| ("mail.from", e)));
        if mail.username.is_some() != mail.password.is_some() {
            wrong.push(("mail.password", "must be given together with mail.username".to_owned()));
        }
        let web = mail.public_url.starts_with("https://") || mail.public_url.starts_with("http://");
        let parsed = mail.public_url.parse::<http::Uri>().is_ok_and(|u| u.host().is_some());
        if !web || !parsed || mail.public_url.len() > 256 || mail.public_url.ends_with('/') {
            let rule = "must be an http(s) URL of at most 256 characters without a slash at its end";
            wrong.push(("mail.public_url", rule.to_owned()));
        }
        let hooks = &self.webhooks;
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let ranges = [
            ("mail.concurrent_max", count(mail.concurrent_max), 1, 64),
            ("webhooks.timeout_ms", hooks.timeout_ms, 15_000, 30_000),
            ("webhooks.concurrent_per_endpoint_max", count(hooks.concurrent_per_endpoint_max), 1, 32),
            ("webhooks.endpoints_max", count(hooks.endpoints_max), 0, 1_000),
            ("webhooks.kept_days", hooks.kept_days.into(), 7, 365),
        ];
        for (key, given, min, max) in ranges {
            if !(min..=max).contains(&given) {
                wrong.push((key, format!("is {given}, must be from {min} to {max}")));
            }
        }
        if !(-720..=840).contains(&mail.utc_offset_minutes) {
            wrong.push(("mail.utc_offset_minutes", "must be from -720 to 840".to_owned()));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let start = Error::new(
            ErrorKind::Invalid,
            "config.invalid",
            "The configuration of mails and webhooks is not valid.",
        );
        Err(wrong.into_iter().fold(start, |e, (key, why)| e.with_field(key, why)))
    }
}
