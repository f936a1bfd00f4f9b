//! RSA2: RSA PKCS#1 v1.5 with SHA-256, and the key formats merchants are handed.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use merx_kernel::{Error, ErrorKind, Result};

/// A private key that signs. Never printed.
#[derive(Clone)]
pub struct PrivateKey(Arc<KeyPair>);

/// A public key that verifies.
#[derive(Clone)]
pub struct PublicKey(Arc<ParsedPublicKey>);

fn refused(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "alipay.key_invalid", detail)
}

/// The DER bytes of a PEM text or of the bare base64 that Alipay's key tool shows.
fn der_of(text: &str, wanted: &str, foreign: &str) -> Result<Vec<u8>> {
    let mut base64 = String::with_capacity(text.len());
    for line in text.lines().map(str::trim) {
        if line.starts_with("-----BEGIN") && line.contains(foreign) {
            return Err(refused(format!("a {wanted} key is needed here, but the text says `{line}`")));
        }
        if line.starts_with("-----BEGIN") && line.contains("ENCRYPTED") {
            return Err(refused("the private key is encrypted; give it decrypted, as PKCS#8 or PKCS#1"));
        }
        if !line.starts_with("-----") {
            base64.extend(line.chars().filter(|c| !c.is_whitespace()));
        }
    }
    if base64.is_empty() {
        return Err(refused(format!("the text of the {wanted} key is empty")));
    }
    STANDARD.decode(base64).map_err(|e| {
        refused(format!("the {wanted} key is neither PEM nor base64; copy it whole, without quotes"))
            .with_source(e)
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

impl PrivateKey {
    /// Reads PKCS#8 or PKCS#1, as PEM or as bare base64, 2048 bits or more.
    ///
    /// # Errors
    /// `alipay.key_invalid` saying what is wrong with the text; the text itself is never repeated.
    pub fn parse(text: &str) -> Result<Self> {
        let der = der_of(text, "private", "PUBLIC")?;
        let pair = KeyPair::from_pkcs8(&der).or_else(|_| KeyPair::from_der(&der)).map_err(|e| {
            refused("the private key is not an RSA key of 2048 bits or more in PKCS#8 or PKCS#1")
                .with_source(e)
        })?;
        Ok(Self(Arc::new(pair)))
    }

    /// A fresh key of 2048 bits, for a demo shop or a test. Its randomness is the operating system's: keys are
    /// the one thing a seed must not decide.
    ///
    /// # Errors
    /// `Internal` when the system gives no randomness.
    pub fn generate() -> Result<Self> {
        KeyPair::generate(KeySize::Rsa2048)
            .map(|pair| Self(Arc::new(pair)))
            .map_err(|e| Error::internal("cannot make an RSA key").with_source(e))
    }

    /// PKCS#8 in PEM, to be kept in a file only its owner can read.
    ///
    /// # Errors
    /// `Internal` when the key cannot be written.
    pub fn to_pem(&self) -> Result<String> {
        let der: Pkcs8V1Der<'_> =
            self.0.as_der().map_err(|e| Error::internal("cannot write the private key").with_source(e))?;
        Ok(pem("PRIVATE KEY", der.as_ref()))
    }

    /// The public half.
    ///
    /// # Errors
    /// `Internal` when the key cannot be taken apart.
    pub fn public_key(&self) -> Result<PublicKey> {
        PublicKey::from_der(self.0.public_key().as_ref())
    }

    /// The base64 of the signature over `text`. The scheme is deterministic.
    ///
    /// # Errors
    /// `Internal` when the library refuses to sign.
    pub fn sign(&self, text: &[u8]) -> Result<String> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
            .map_err(|e| Error::internal("cannot sign with the RSA key").with_source(e))?;
        Ok(STANDARD.encode(signature))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([secret])")
    }
}

impl PublicKey {
    pub(crate) fn from_der(der: &[u8]) -> Result<Self> {
        let parsed = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map_err(|e| {
            refused("the public key is not an RSA key of 2048 bits or more (SubjectPublicKeyInfo)")
                .with_source(e)
        })?;
        Ok(Self(Arc::new(parsed)))
    }

    /// Reads a SubjectPublicKeyInfo (or a bare `RSAPublicKey`), as PEM or as bare base64.
    ///
    /// # Errors
    /// `alipay.key_invalid` saying what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_der(&der_of(text, "public", "PRIVATE")?)
    }

    /// SubjectPublicKeyInfo in PEM.
    ///
    /// # Errors
    /// `Internal` when the key cannot be written.
    pub fn to_pem(&self) -> Result<String> {
        let der: PublicKeyX509Der<'_> =
            self.0.as_der().map_err(|e| Error::internal("cannot write the public key").with_source(e))?;
        Ok(pem("PUBLIC KEY", der.as_ref()))
    }

    /// The first 16 hexadecimal digits of the SHA-256 of its DER: enough to tell keys apart.
    ///
    /// # Errors
    /// `Internal` when the key cannot be written.
    pub fn fingerprint(&self) -> Result<String> {
        let der: PublicKeyX509Der<'_> =
            self.0.as_der().map_err(|e| Error::internal("cannot write the public key").with_source(e))?;
        let hash = digest(&SHA256, der.as_ref());
        Ok(hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether `signature` (base64, strictly) is this key's over `text`.
    pub fn verifies(&self, text: &[u8], signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|bytes| self.0.verify_sig(text, &bytes).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(RSA)")
    }
}
