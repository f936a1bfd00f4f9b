//! A mail as it leaves: addressed and rendered. Exists only while it is sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lettre::{
    Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{self, HeaderName, HeaderValue},
    },
};
use merx_kernel::{Id, Timestamp};
use serde::{Deserialize, Serialize};

/// A mail as it leaves.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The mail's id in public form.
    pub mail: String,
    /// The template.
    pub template: String,
    /// The same for every try.
    pub message_id: String,
    /// The sender, name and address.
    pub from: String,
    /// The recipient's address.
    pub to: String,
    /// The recipient's name; may be empty.
    pub to_name: String,
    /// zh-CN or en.
    pub language: String,
    /// When this copy was written.
    pub at: Timestamp,
    /// The subject.
    pub subject: String,
    /// The body as text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("mail", &self.mail).finish_non_exhaustive()
    }
}

/// `Auto-Submitted` (RFC 3834).
#[derive(Clone, Debug)]
struct AutoSubmitted(String);
/// `Content-Language` (RFC 3282).
#[derive(Clone, Debug)]
struct ContentLanguage(String);

impl header::Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }
    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

impl header::Header for ContentLanguage {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Language")
    }
    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

impl Letter {
    /// The recipient.
    ///
    /// # Errors
    /// `bad_address`.
    pub fn recipient(&self) -> Result<Mailbox, &'static str> {
        let name: String = self.to_name.chars().filter(|c| !c.is_control()).collect();
        let address = self.to.parse().map_err(|_| "bad_address")?;
        Ok(Mailbox::new(Some(name.trim().to_owned()).filter(|n| !n.is_empty()), address))
    }

    /// The whole message (RFC 5322): text and HTML as alternatives.
    ///
    /// # Errors
    /// `bad_address` for an address that is none.
    pub fn message(&self) -> Result<Message, &'static str> {
        let from: Mailbox = self.from.parse().map_err(|_| "bad_sender")?;
        let millis = u64::try_from(self.at.as_millis()).unwrap_or(0);
        let at: SystemTime = UNIX_EPOCH + Duration::from_millis(millis);
        // The boundary follows from the Message-ID, so that the same letter is the same bytes.
        let boundary = format!("merx_{}", boundary(&self.message_id));
        let body = MultiPart::builder()
            .kind(lettre::message::MultiPartKind::Alternative)
            .boundary(boundary)
            .singlepart(SinglePart::plain(self.text.clone()))
            .singlepart(SinglePart::html(self.html.clone()));
        Message::builder()
            .message_id(Some(self.message_id.clone()))
            .date(at)
            .from(from)
            .to(self.recipient()?)
            .subject(self.subject.clone())
            // RFC 3834: answering machines do not answer this.
            .header(AutoSubmitted("auto-generated".to_owned()))
            .header(ContentLanguage(self.language.clone()))
            .multipart(body)
            .map_err(|_| "bad_message")
    }
}

fn boundary(message_id: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message_id.as_bytes());
    Id::<()>::from_slice(&digest.as_ref()[..16]).map(Id::bare).unwrap_or_default()
}
