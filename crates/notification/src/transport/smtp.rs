//! Through a mail server (RFC 5321).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use lettre::{
    Message,
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        extension::ClientId,
    },
};
use merx_kernel::{Error, Result};
use tokio::time::Instant;

use super::{Letter, MailTransport};
use crate::{
    config::{MailConfig, SmtpTls},
    domain::Outcome,
};

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// How long a mail may take, with its connection.
const SEND_MAX: Duration = Duration::from_secs(60);
/// How long a connection is kept for the next mail.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A mail server, and the connections to it that rest between two mails.
///
/// lettre has a pool of its own; it gives a connection back when a send is cut off in the middle, and the next mail
/// would read the answer to the one before. Here a connection comes back only after a mail was taken.
pub struct Smtp {
    host: String,
    port: u16,
    tls: SmtpTls,
    hello: ClientId,
    credentials: Option<Credentials>,
    resting_max: usize,
    resting: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl Smtp {
    /// The mail server at `host` and `port`.
    ///
    /// # Errors
    /// `Invalid` for a wrong value; `Internal` when TLS cannot be set up.
    pub fn new(config: &MailConfig, host: &str, port: u16, tls: SmtpTls) -> Result<Self> {
        let sender = config.sender().map_err(|e| Error::invalid("mail.from", e))?;
        let credentials = match (&config.username, &config.password) {
            (Some(username), Some(password)) => {
                Some(Credentials::new(username.clone(), password.expose().clone()))
            }
            _ => None,
        };
        let smtp = Self {
            host: host.to_owned(),
            port,
            tls,
            hello: ClientId::Domain(sender.email.domain().to_owned()),
            credentials,
            resting_max: config.concurrent_max,
            resting: Mutex::default(),
        };
        // Told at the start, not with the first mail.
        smtp.parameters()
            .map_err(|e| Error::internal("TLS to the mail server cannot be set up").with_source(e))?;
        Ok(smtp)
    }

    fn parameters(&self) -> Result<TlsParameters, SmtpError> {
        TlsParameters::new(self.host.clone())
    }

    fn resting(&self) -> MutexGuard<'_, Vec<(AsyncSmtpConnection, Instant)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is ready for a mail.
    async fn connection(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        loop {
            let rested = self.resting().pop();
            match rested {
                Some((mut connection, since)) if since.elapsed() < IDLE_MAX => {
                    if connection.test_connected().await {
                        return Ok(connection);
                    }
                }
                // It and those below it have rested too long.
                Some(_) => self.resting().clear(),
                None => break,
            }
        }
        let immediate = if self.tls == SmtpTls::Immediate { Some(self.parameters()?) } else { None };
        let place = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT_MAX), &self.hello, immediate, None)
                .await?;
        if self.tls == SmtpTls::Starttls {
            connection.starttls(self.parameters()?, &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    async fn hand_over(&self, message: &Message) -> Outcome {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            // Whatever is wrong with the server, our log-in or TLS, it is not the mail: it waits.
            Err(error) => return Outcome::Transient(reason(&error)),
        };
        match connection.send(message.envelope(), &message.formatted()).await {
            Ok(_) => {
                let mut resting = self.resting();
                if resting.len() < self.resting_max {
                    resting.push((connection, Instant::now()));
                }
                Outcome::Accepted
            }
            Err(error) if error.is_permanent() || error.is_client() => Outcome::Permanent(reason(&error)),
            Err(error) => Outcome::Transient(reason(&error)),
        }
    }
}

/// What went wrong, in a code: a server's words may repeat the address.
fn reason(error: &SmtpError) -> String {
    if let Some(code) = error.status() {
        return format!("smtp {code}");
    }
    let what = if error.is_client() {
        // It wants what the server does not offer: STARTTLS, a way to log in, an internationalised address.
        "unsupported"
    } else if error.is_tls() {
        "tls"
    } else if error.is_timeout() {
        "timeout"
    } else {
        "connection"
    };
    format!("smtp {what}")
}

#[async_trait]
impl MailTransport for Smtp {
    async fn send(&self, letter: &Letter) -> Outcome {
        let message = match letter.message() {
            Ok(message) => message,
            Err(why) => return Outcome::Permanent(why.to_owned()),
        };
        let sent = tokio::time::timeout(SEND_MAX, self.hand_over(&message)).await;
        let outcome = sent.unwrap_or_else(|_| Outcome::Transient("smtp timeout".to_owned()));
        if outcome != Outcome::Accepted {
            tracing::warn!(mail = %letter.mail, reason = outcome.reason(), "a mail was not taken");
        }
        outcome
    }
}
