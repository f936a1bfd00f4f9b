//! The gateway's side of the wire, for a double: reading and verifying requests, signing answers and
//! notifications.

use merx_kernel::{Error, Result, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    answer::property_of,
    certificate::Certificate,
    content::ContentKey,
    key::{PrivateKey, PublicKey},
    params::Params,
};

/// A refusal as the gateway words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The gateway code, such as `40004`.
    pub code: &'static str,
    /// Its fixed English text.
    pub msg: &'static str,
    /// Which rule, such as `ACQ.TRADE_NOT_EXIST`.
    pub sub_code: String,
    /// The sentence for a person.
    pub sub_msg: String,
}

impl Fault {
    /// 40001: a required argument is missing.
    pub fn missing(name: &str) -> Self {
        Self {
            code: "40001",
            msg: "Missing Required Arguments",
            sub_code: format!("isv.missing-{}", name.replace('_', "-")),
            sub_msg: format!("缺少参数 {name}: the parameter is missing"),
        }
    }
    /// 40002: an argument is invalid.
    pub fn invalid(sub_code: &str, sub_msg: impl Into<String>) -> Self {
        Self {
            code: "40002",
            msg: "Invalid Arguments",
            sub_code: sub_code.to_owned(),
            sub_msg: sub_msg.into(),
        }
    }
    /// 40004: a business rule refused.
    pub fn business(sub_code: &str, sub_msg: impl Into<String>) -> Self {
        Self { code: "40004", msg: "Business Failed", sub_code: sub_code.to_owned(), sub_msg: sub_msg.into() }
    }
    /// 20000: the gateway does not know what became of the call.
    pub fn unknown() -> Self {
        Self {
            code: "20000",
            msg: "Service Currently Unavailable",
            sub_code: "isp.unknow-error".to_owned(),
            sub_msg: "系统繁忙: the outcome is unknown".to_owned(),
        }
    }

    /// The fields of the answer.
    pub fn to_fields(&self) -> Map<String, Value> {
        [("code", self.code), ("msg", self.msg), ("sub_code", &self.sub_code), ("sub_msg", &self.sub_msg)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect()
    }
}

/// A request as it reached the gateway.
#[derive(Clone, Debug)]
pub struct GatewayRequest {
    params: Params,
}

impl GatewayRequest {
    /// Reads the parameters of the query and of the form body together.
    ///
    /// # Errors
    /// A [`Fault`] for parameters that cannot be read or come twice.
    pub fn parse(query: &str, body: &[u8]) -> Result<Self, Fault> {
        let joined = [query.as_bytes(), body].join(&b'&');
        let params =
            Params::from_form(&joined).map_err(|e| Fault::invalid("isv.invalid-parameter", e.message()))?;
        Ok(Self { params })
    }

    /// A parameter with a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.get(name).filter(|value| !value.is_empty())
    }
    /// A parameter that must have a value.
    ///
    /// # Errors
    /// 40001 naming it.
    pub fn require(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| Fault::missing(name))
    }

    /// Checks the common parameters and the merchant's signature.
    ///
    /// # Errors
    /// The gateway's fault.
    pub fn verify(&self, app_id: &str, merchant: &PublicKey) -> Result<(), Fault> {
        if self.require("app_id")? != app_id {
            return Err(Fault::invalid(
                "isv.invalid-app-id",
                "无效的AppID参数: this gateway knows another app_id",
            ));
        }
        if self.require("sign_type")? != "RSA2" {
            return Err(Fault::invalid("isv.invalid-signature-type", "签名类型无效: sign_type must be RSA2"));
        }
        if !self.require("charset")?.eq_ignore_ascii_case("utf-8") {
            return Err(Fault::invalid("isv.invalid-charset", "字符集错误: charset must be utf-8"));
        }
        if self.require("version")? != "1.0" {
            return Err(Fault::invalid("isv.invalid-version", "无效的版本: version must be 1.0"));
        }
        if self.get("format").is_some_and(|format| !format.eq_ignore_ascii_case("json")) {
            return Err(Fault::invalid("isv.invalid-format", "无效的数据格式: format must be JSON"));
        }
        if Timestamp::parse_beijing(self.require("timestamp")?).is_err() {
            return Err(Fault::invalid(
                "isv.invalid-timestamp",
                "非法的时间戳: expected yyyy-MM-dd HH:mm:ss",
            ));
        }
        let sign = self.require("sign")?;
        let text = self.params.request_signing_text();
        if !merchant.verifies(text.as_bytes(), sign) {
            let sub_msg =
                format!("验签出错: the signature must be RSA2 with the app's private key over: {text}");
            return Err(Fault::invalid("isv.invalid-signature", sub_msg));
        }
        Ok(())
    }

    /// Checks the numbers of certificate mode against those of the certificates this gateway knows.
    ///
    /// # Errors
    /// 40002 for a number that is another, or missing; 40001 for a missing one.
    pub fn verify_certificates(&self, known: &CertificateMode) -> Result<(), Fault> {
        for (name, wanted) in [("app_cert_sn", &known.app_sn), ("alipay_root_cert_sn", &known.root_sn)] {
            if self.require(name)? != wanted {
                let code = format!("isv.invalid-{}", name.replace('_', "-"));
                let text =
                    format!("证书序列号无效: {name} is another certificate's; this gateway knows {wanted}");
                return Err(Fault::invalid(&code, text));
            }
        }
        Ok(())
    }

    /// Whether its content is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.get("encrypt_type").is_some()
    }

    /// The request with its content in the clear. The signature covers what was sent, so it is verified before.
    ///
    /// # Errors
    /// 40002 for a content that is not AES under `key`.
    pub fn decrypted(mut self, key: Option<&ContentKey>) -> Result<Self, Fault> {
        let Some(kind) = self.get("encrypt_type") else { return Ok(self) };
        let key = key.filter(|_| kind == "AES").ok_or_else(|| {
            let text = "加密类型无效: encrypt_type must be AES, and an AES key must have been set up";
            Fault::invalid("isv.invalid-encrypt-type", text)
        })?;
        let text = key.decrypt(self.require("biz_content")?).ok_or_else(|| {
            let text = "解密出错: biz_content is not base64 of AES-CBC with our key, zero vector and PKCS#7";
            Fault::invalid("isv.decryption-error", text)
        })?;
        self.params.set("biz_content", text);
        Ok(self)
    }

    /// The business content.
    ///
    /// # Errors
    /// 40004 `ACQ.INVALID_PARAMETER` naming what is wrong with it.
    pub fn biz_content<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let text = self.require("biz_content")?;
        serde_json::from_str(text)
            .map_err(|e| Fault::business("ACQ.INVALID_PARAMETER", format!("参数无效 biz_content: {e}")))
    }
}

/// The numbers of the certificates a gateway in certificate mode knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateMode {
    /// Of the merchant's application.
    pub app_sn: String,
    /// Of the root certificates.
    pub root_sn: String,
    /// Of the certificate the gateway signs under.
    pub alipay_sn: String,
}

impl CertificateMode {
    /// Of these certificates, in PEM.
    ///
    /// # Errors
    /// `alipay.certificate_invalid`.
    pub fn of(app: &str, alipay: &str, root: &str) -> Result<Self> {
        let sn = |pem| Certificate::parse(pem).map(|certificate| certificate.sn().to_owned());
        Ok(Self { app_sn: sn(app)?, root_sn: Certificate::root_sn(root)?, alipay_sn: sn(alipay)? })
    }
}

/// How an answer leaves: signed, in certificate mode with the number of the certificate, encrypted where the request was.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// What signs.
    pub key: &'a PrivateKey,
    /// The number of the certificate it is of.
    pub cert_sn: Option<&'a str>,
    /// What encrypts.
    pub content_key: Option<&'a ContentKey>,
}

impl Sealed<'_> {
    /// The text of an answer: the inner value with its slashes escaped, as Alipay's own JSON writer does, and the
    /// signature over exactly that; encrypted it is a text of base64, and the signature covers its quotes too.
    ///
    /// # Errors
    /// `Internal` when it cannot be written, encrypted or signed.
    pub fn answer(&self, method: &str, fields: &Map<String, Value>) -> Result<String> {
        let body = serde_json::to_string(fields)
            .map_err(|e| Error::internal("cannot write the answer").with_source(e))?
            .replace('/', "\\/");
        let body = match self.content_key {
            Some(key) => format!("\"{}\"", key.encrypt(&body)?),
            None => body,
        };
        let sign = self.key.sign(body.as_bytes())?;
        let sn = self.cert_sn.map(|sn| format!("\"alipay_cert_sn\":\"{sn}\",")).unwrap_or_default();
        Ok(format!("{{\"{}\":{body},{sn}\"sign\":\"{sign}\"}}", property_of(method)))
    }
}

/// An answer in the clear, signed with a bare key.
///
/// # Errors
/// As [`Sealed::answer`].
pub fn signed_answer(method: &str, fields: &Map<String, Value>, key: &PrivateKey) -> Result<String> {
    Sealed { key, cert_sn: None, content_key: None }.answer(method, fields)
}

/// Adds `sign_type` and `sign` to the fields of a notification.
///
/// # Errors
/// `Internal` when the key cannot sign.
pub fn signed_notification(fields: Params, key: &PrivateKey) -> Result<Params> {
    let sign = key.sign(fields.notification_signing_text().as_bytes())?;
    Ok(fields.with("sign_type", "RSA2").with("sign", sign))
}
