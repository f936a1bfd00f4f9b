//! The envelope of an answer: `{"<method>_response":{…},"sign":"…"}`. The signature covers the exact bytes of
//! the inner value, so they are cut out of the text and never written anew.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{content::ContentKey, merchant::Trusted, outcome::Refusal, outcome::SubCode};

/// The most bytes of an answer that are read.
const BYTES_MAX: usize = 256 * 1024;

/// The property that carries a method's answer.
pub(crate) fn property_of(method: &str) -> String {
    format!("{}_response", method.replace('.', "_"))
}

/// The top level of an answer, each property once, values as the very text they came in.
struct Envelope<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found: Self::Value = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if found.iter().any(|(seen, _)| *seen == name) {
                        return Err(serde::de::Error::custom(format!("`{name}` comes twice")));
                    }
                    found.push((name, value));
                }
                Ok(found)
            }
        }
        deserializer.deserialize_map(Top).map(Self)
    }
}

/// The fields every answer has.
#[derive(Deserialize)]
struct Common {
    code: String,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    sub_code: String,
    #[serde(default)]
    sub_msg: String,
    #[serde(default)]
    out_trade_no: Option<String>,
}

/// An answer whose signature was verified.
pub(crate) struct Believed<'a> {
    /// The inner value: byte for byte as it was signed, or what it held encrypted.
    pub body: Cow<'a, str>,
    /// Its codes.
    pub refusal: Refusal,
    /// The order number it names, if any.
    pub out_trade_no: Option<String>,
}

/// Opens an answer to `method`; the error says why it cannot be believed.
pub(crate) fn open<'a>(
    method: &str,
    text: &'a [u8],
    trusted: &Trusted,
    content_key: Option<&ContentKey>,
) -> Result<Believed<'a>, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("the answer has {} bytes; at most {BYTES_MAX} are read", text.len()));
    }
    let text = std::str::from_utf8(text).map_err(|_| "the answer is not UTF-8".to_owned())?;
    let Envelope(top) =
        serde_json::from_str(text).map_err(|e| format!("the answer is not a whole JSON object: {e}"))?;
    let find = |name: &str| top.iter().find(|(n, _)| n == name).map(|(_, value)| value.get());
    let property = property_of(method);
    let body = find(&property)
        .or_else(|| find("error_response"))
        .ok_or_else(|| format!("the answer has neither `{property}` nor `error_response`"))?;
    let sign = find("sign").ok_or_else(|| format!("the answer is not signed{}", told(body)))?;
    let sign: String =
        serde_json::from_str(sign).map_err(|_| "the `sign` of the answer is no text".to_owned())?;
    if let Some(sn) = &trusted.cert_sn {
        let found: Option<String> = find("alipay_cert_sn").and_then(|sn| serde_json::from_str(sn).ok());
        if found.as_ref() != Some(sn) {
            let found = found.unwrap_or_else(|| "none".to_owned());
            return Err(format!("the answer is signed under the certificate {found}, and we know {sn}"));
        }
    }
    if !trusted.key.verifies(body.as_bytes(), &sign) {
        return Err("the signature of the answer does not verify with Alipay's public key".to_owned());
    }
    let body = plain(body, content_key)?;
    let common: Common = serde_json::from_str(&body)
        .map_err(|e| format!("the signed part of the answer is malformed: {e}"))?;
    let said = if common.sub_msg.is_empty() { common.msg } else { common.sub_msg };
    let refusal =
        Refusal { code: common.code, sub_code: SubCode::from_text(&common.sub_code), sub_msg: said };
    Ok(Believed { body, refusal, out_trade_no: common.out_trade_no })
}

/// An encrypted answer is a text of base64, and the signature covers it with its quotes. A refusal may come in the clear.
fn plain<'a>(body: &'a str, content_key: Option<&ContentKey>) -> Result<Cow<'a, str>, String> {
    if !body.starts_with('"') {
        return Ok(Cow::Borrowed(body));
    }
    let key = content_key.ok_or("the answer is encrypted, and no AES key is set up")?;
    let base64: String =
        serde_json::from_str(body).map_err(|_| "the encrypted answer is no text".to_owned())?;
    let text = key.decrypt(&base64).ok_or("the answer cannot be decrypted with our AES key")?;
    Ok(Cow::Owned(text))
}

/// What an unsigned answer claims: not believed, but it is what helps a person who set up a wrong key.
fn told(body: &str) -> String {
    match serde_json::from_str::<Common>(body) {
        Ok(c) => format!(" and claims {} {} {}", c.code, c.sub_code, c.sub_msg),
        Err(_) => String::new(),
    }
}
