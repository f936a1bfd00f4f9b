//! A fact as it travels: CloudEvents 1.0 in JSON.

use merx_kernel::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::ids::MessageId;

/// Something that has happened, published by one context for the others.
pub trait Fact: Serialize + DeserializeOwned {
    /// The type with its version, `ordering.order_paid.v1`. A changed meaning is a new version.
    const TYPE: &'static str;
    /// The aggregate it is about, in public form. Facts of one subject arrive in order.
    fn subject(&self) -> String;
}

/// CloudEvents 1.0 (structured JSON). Its `id` is the identity the inbox drops duplicates by.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Always `1.0`.
    pub specversion: String,
    /// The identity, made before the transaction that publishes it.
    pub id: MessageId,
    /// `merx/<context>`.
    pub source: String,
    /// [`Fact::TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// [`Fact::subject`]; the key of order.
    pub subject: String,
    /// When it happened.
    pub time: Timestamp,
    /// W3C trace context of what caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The fact.
    pub data: Box<RawValue>,
}

impl Envelope {
    /// Wraps a fact.
    ///
    /// # Errors
    /// `Internal` when the fact cannot be written as JSON.
    pub fn new<F: Fact>(
        id: MessageId,
        time: Timestamp,
        traceparent: Option<String>,
        fact: &F,
    ) -> Result<Self> {
        let data = serde_json::value::to_raw_value(fact)
            .map_err(|e| Error::internal("a fact cannot be written as JSON").with_source(e))?;
        let context = F::TYPE.split('.').next().unwrap_or("merx");
        Ok(Self {
            specversion: "1.0".to_owned(),
            id,
            source: format!("merx/{context}"),
            kind: F::TYPE.to_owned(),
            subject: fact.subject(),
            time,
            traceparent,
            datacontenttype: "application/json".to_owned(),
            data,
        })
    }

    /// Reads the fact.
    ///
    /// # Errors
    /// `Invalid` with code `message.malformed` when the type or the data is another: a poison message.
    pub fn fact<F: Fact>(&self) -> Result<F> {
        let poison = |text: String| Error::new(merx_kernel::ErrorKind::Invalid, "message.malformed", text);
        if self.kind != F::TYPE {
            return Err(poison(format!("expected a {}, got a {}", F::TYPE, self.kind)));
        }
        serde_json::from_str(self.data.get())
            .map_err(|e| poison(format!("the data of this {} cannot be read", F::TYPE)).with_source(e))
    }

    /// The whole envelope as JSON text.
    ///
    /// # Errors
    /// `Internal` when it cannot be written.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::internal("an envelope cannot be written as JSON").with_source(e))
    }

    /// Reads [`Self::to_json`].
    ///
    /// # Errors
    /// `Invalid` with code `message.malformed`.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            Error::new(merx_kernel::ErrorKind::Invalid, "message.malformed", "not a CloudEvents envelope")
                .with_source(e)
        })
    }
}
