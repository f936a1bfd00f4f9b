//! The content of requests and answers under AES: key of 16 bytes, CBC, PKCS#7, an initial vector of zeroes, base64.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    cipher::{
        AES_128, AES_CBC_IV_LEN, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
        PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    iv::FixedLength,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use merx_kernel::{Error, ErrorKind, Result};

/// The bytes of the key.
const KEY_BYTES: usize = 16;

/// The key that the merchant and Alipay share for contents. Never printed.
///
/// The scheme is Alipay's: with one vector for all, equal contents show as equal. It hides contents from whoever reads
/// them on the way; that they are whole is the signature's business, which covers what was encrypted.
#[derive(Clone)]
pub struct ContentKey(Arc<[u8; KEY_BYTES]>);

fn vector() -> FixedLength<AES_CBC_IV_LEN> {
    FixedLength::from([0u8; AES_CBC_IV_LEN])
}

impl ContentKey {
    /// Reads the base64 that Alipay's console shows.
    ///
    /// # Errors
    /// `alipay.key_invalid`; the text itself is never repeated.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self(Arc::new(bytes))).ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "alipay.key_invalid",
                "the AES key of contents is the base64 of 16 bytes, as the console shows it",
            )
        })
    }

    fn unbound(&self) -> Result<UnboundCipherKey> {
        UnboundCipherKey::new(&AES_128, &*self.0)
            .map_err(|e| Error::internal("cannot set up the AES key").with_source(e))
    }

    /// The base64 of the encrypted text.
    ///
    /// # Errors
    /// `Internal` when the library refuses.
    pub fn encrypt(&self, text: &str) -> Result<String> {
        let refused = |e| Error::internal("cannot encrypt a content").with_source(e);
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(self.unbound()?).map_err(refused)?;
        let mut bytes = text.as_bytes().to_vec();
        key.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(vector())).map_err(refused)?;
        Ok(STANDARD.encode(bytes))
    }

    /// The text of what [`Self::encrypt`] made; `None` for anything else.
    pub fn decrypt(&self, base64: &str) -> Option<String> {
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(self.unbound().ok()?).ok()?;
        let mut bytes = STANDARD.decode(base64).ok()?;
        let plain = key.decrypt(&mut bytes, DecryptionContext::Iv128(vector())).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey([secret])")
    }
}
