//! Certificates, as far as certificate mode needs them: the public key, and the serial numbers that name them.
//!
//! Nothing is verified here: the files come from the operator, who has them from Alipay's console, as a bare public key
//! would.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use merx_kernel::{Error, ErrorKind, Result};

use crate::key::PublicKey;

/// Object identifiers of RSA signatures begin with it (1.2.840.113549.1.1), in DER.
const RSA_SIGNATURES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];

/// The kinds of a name's parts that RFC 2253 writes by a keyword, by their identifiers in DER.
const KEYWORDS: &[(&[u8], &str)] = &[
    (&[0x55, 0x04, 0x03], "CN"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
];

fn refused(detail: &str) -> Error {
    Error::new(ErrorKind::Invalid, "alipay.certificate_invalid", detail.to_owned())
}

/// One certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    sn: String,
    key: Vec<u8>,
    is_rsa: bool,
}

impl Certificate {
    /// Reads the first certificate of a PEM text; Alipay's file holds the one it signs with first, then its issuer's.
    ///
    /// # Errors
    /// `alipay.certificate_invalid` saying what is wrong.
    pub fn parse(pem: &str) -> Result<Self> {
        let all = Self::parse_all(pem)?;
        all.into_iter().next().ok_or_else(|| refused("the text holds no certificate (BEGIN CERTIFICATE)"))
    }

    /// Reads every certificate of a PEM text.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_all(pem: &str) -> Result<Vec<Self>> {
        let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
        blocks
            .map(|block| {
                let body = block.split("-----END").next().unwrap_or_default();
                let base64: String = body.chars().filter(|c| !c.is_whitespace()).collect();
                let der = STANDARD.decode(base64).ok();
                der.and_then(|der| Self::read(&der)).ok_or_else(|| refused("a certificate cannot be read"))
            })
            .collect()
    }

    /// Certificate ::= { tbs { [0] version, serial, signature, issuer, validity, subject, key, … }, signature, bits }
    fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).take(SEQUENCE)?);
        let mut tbs = Der(certificate.take(SEQUENCE)?);
        let mut signature = Der(certificate.take(SEQUENCE)?);
        if tbs.0.first() == Some(&VERSION) {
            tbs.take(VERSION)?;
        }
        let serial = decimal(tbs.take(INTEGER)?);
        tbs.take(SEQUENCE)?;
        let issuer = name(tbs.take(SEQUENCE)?)?;
        tbs.take(SEQUENCE)?;
        tbs.take(SEQUENCE)?;
        let key = tbs.whole(SEQUENCE)?.to_vec();
        let mut sn = String::new();
        for byte in Md5::digest(format!("{issuer}{serial}")) {
            write!(sn, "{byte:02x}").ok()?;
        }
        Some(Self { sn, key, is_rsa: signature.take(OID)?.starts_with(RSA_SIGNATURES) })
    }

    /// Its serial number as Alipay makes it: MD5 over the issuer's name in the order of RFC 2253 and the decimal serial.
    pub fn sn(&self) -> &str {
        &self.sn
    }

    /// Its public key.
    ///
    /// # Errors
    /// `alipay.key_invalid` for one that is not RSA of 2048 bits or more.
    pub fn public_key(&self) -> Result<PublicKey> {
        PublicKey::from_der(&self.key)
    }

    /// The serial numbers of Alipay's root certificates: those with an RSA signature, joined by `_`. The file also holds
    /// others, which do not count.
    ///
    /// # Errors
    /// As [`Self::parse`], also when none counts.
    pub fn root_sn(pem: &str) -> Result<String> {
        let all = Self::parse_all(pem)?;
        let counted: Vec<&str> = all.iter().filter(|c| c.is_rsa).map(Self::sn).collect();
        if counted.is_empty() {
            return Err(refused("the text holds no root certificate with an RSA signature"));
        }
        Ok(counted.join("_"))
    }
}

const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const BMP_STRING: u8 = 0x1e;

/// What is left of a DER value.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Tag and content of the next value, and where it ends.
    fn next(&self) -> Option<(u8, &'a [u8], usize)> {
        let (&tag, &first) = (self.0.first()?, self.0.get(1)?);
        let (length, head) = match first {
            0..=0x7f => (usize::from(first), 2),
            0x81..=0x84 => {
                let bytes = self.0.get(2..2 + usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
                (length, 2 + bytes.len())
            }
            _ => return None,
        };
        let end = head.checked_add(length)?;
        Some((tag, self.0.get(head..end)?, end))
    }
    /// The content of the next value, which must have this tag.
    fn take(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, content, end) = self.next()?;
        self.0 = &self.0[end..];
        (tag == wanted).then_some(content)
    }
    /// The next value with its head.
    fn whole(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let before = self.0;
        self.take(wanted)?;
        Some(&before[..before.len() - self.0.len()])
    }
}

/// A name in the order of RFC 2253: the last part first.
fn name(der: &[u8]) -> Option<String> {
    let (mut rest, mut parts) = (Der(der), Vec::new());
    while !rest.0.is_empty() {
        let mut set = Der(rest.take(SET)?);
        let mut several = Vec::new();
        while !set.0.is_empty() {
            let mut pair = Der(set.take(SEQUENCE)?);
            let oid = pair.take(OID)?;
            let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid)?.1;
            let (tag, value, _) = pair.next()?;
            several.push(format!("{keyword}={}", escaped(&text(tag, value)?)));
        }
        parts.push(several.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn text(tag: u8, value: &[u8]) -> Option<String> {
    if tag != BMP_STRING {
        return String::from_utf8(value.to_vec()).ok();
    }
    let units: Vec<u16> =
        value.chunks(2).map(|pair| pair.iter().fold(0, |u, b| u << 8 | u16::from(*b))).collect();
    String::from_utf16(&units).ok()
}

/// RFC 2253, section 2.4.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut out = String::new();
    for (place, c) in value.chars().enumerate() {
        let at_the_edge = (c == ' ' && (place == 0 || place == last)) || (c == '#' && place == 0);
        if at_the_edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The decimal digits of an unsigned number; serials have up to twenty bytes.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 10).unwrap_or_default();
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or_default());
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}
