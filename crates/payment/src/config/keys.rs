//! The keys of the shop at Alipay, read from the configuration and its files.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use merx_alipay::{Certificate, ContentKey, Merchant, PrivateKey, PublicKey};
use merx_kernel::{Error, Result, Secret};

use super::AlipayConfig;

/// The most bytes of a file of keys or certificates that are read.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What is wrong, by the name of the value.
type Wrong = Vec<(&'static str, String)>;

/// How Alipay is known to be itself.
enum Trust {
    Key(PublicKey),
    Certificates { app: String, alipay: String, root: String },
}

/// Every key, readable and fitting together.
pub(crate) struct Keys {
    private: PrivateKey,
    trust: Trust,
    content: Option<ContentKey>,
    /// A hash of all that was read: shows whether something changed, and says nothing else.
    pub digest: [u8; 32],
}

/// Reads texts, and hashes them on the way.
struct Reading {
    hash: Context,
    wrong: Wrong,
}

impl Reading {
    fn file(&mut self, name: &'static str, path: &Path) -> Option<String> {
        let read = std::fs::metadata(path).and_then(|about| {
            if about.len() > FILE_BYTES_MAX {
                return Err(std::io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
            }
            std::fs::read_to_string(path)
        });
        match read {
            Ok(text) => {
                self.hash.update(name.as_bytes());
                self.hash.update(text.as_bytes());
                Some(text)
            }
            Err(error) => {
                self.wrong.push((name, format!("{} cannot be read: {error}", path.display())));
                None
            }
        }
    }

    /// A text given in place or by file, with the name of the value it was given by. `None` after telling what is wrong.
    fn either(
        &mut self,
        names: [&'static str; 2],
        inline: Option<&str>,
        file: Option<&Path>,
        needed: bool,
    ) -> Option<(&'static str, String)> {
        match (inline, file) {
            (Some(text), None) => Some((names[0], text.to_owned())),
            (None, Some(path)) => self.file(names[1], path).map(|text| (names[1], text)),
            (Some(_), Some(_)) => {
                self.wrong.push((names[1], format!("must not be given beside {}", names[0])));
                None
            }
            (None, None) => {
                if needed {
                    self.wrong.push((names[0], format!("must be given, here or as {}", names[1])));
                }
                None
            }
        }
    }

    fn parsed<T>(&mut self, name: &'static str, parsed: Result<T>) -> Option<T> {
        parsed.map_err(|e| self.wrong.push((name, e.message().to_owned()))).ok()
    }

    fn trust(&mut self, config: &AlipayConfig) -> Option<Trust> {
        let files = [
            ("app_cert_file", &config.app_cert_file),
            ("alipay_cert_file", &config.alipay_cert_file),
            ("alipay_root_cert_file", &config.alipay_root_cert_file),
        ];
        if files.iter().all(|(_, file)| file.is_none()) {
            let names = ["alipay_public_key", "alipay_public_key_file"];
            let file = config.alipay_public_key_file.as_deref();
            let (name, text) = self.either(names, config.alipay_public_key.as_deref(), file, true)?;
            return self.parsed(name, PublicKey::parse(&text)).map(Trust::Key);
        }
        if config.alipay_public_key.is_some() || config.alipay_public_key_file.is_some() {
            let why = "must not be given in certificate mode, where Alipay's certificate has its key";
            self.wrong.push(("alipay_public_key", why.to_owned()));
        }
        let texts = files.map(|(name, file)| match file {
            Some(path) => self.file(name, path),
            None => {
                self.wrong.push((name, "certificate mode needs all three certificates".to_owned()));
                None
            }
        });
        let [Some(app), Some(alipay), Some(root)] = texts else { return None };
        let own = self.parsed("app_cert_file", Certificate::parse(&app))?;
        let theirs = self.parsed("alipay_cert_file", Certificate::parse(&alipay))?;
        self.parsed("alipay_cert_file", theirs.public_key())?;
        self.parsed("app_cert_file", own.public_key())?;
        self.parsed("alipay_root_cert_file", Certificate::root_sn(&root))?;
        Some(Trust::Certificates { app, alipay, root })
    }
}

impl Keys {
    /// Reads them.
    ///
    /// # Errors
    /// Each wrong value by its name; no text of a key is repeated.
    pub fn read(config: &AlipayConfig) -> Result<Self, Wrong> {
        let mut reading = Reading { hash: Context::new(&SHA256), wrong: Vec::new() };
        let secret = |secret: &Option<Secret<String>>| secret.as_ref().map(|secret| secret.expose().clone());
        let inline = secret(&config.private_key);
        let file = config.private_key_file.as_deref();
        let private = reading.either(["private_key", "private_key_file"], inline.as_deref(), file, true);
        let private = private
            .and_then(|(name, text)| reading.parsed(name, PrivateKey::parse(&text)).map(|key| (name, key)));
        let trust = reading.trust(config);
        let inline = secret(&config.aes_key);
        let file = config.aes_key_file.as_deref();
        let content = reading.either(["aes_key", "aes_key_file"], inline.as_deref(), file, false);
        let content = content.and_then(|(name, text)| reading.parsed(name, ContentKey::parse(&text)));
        if let (Some((name, private)), Some(trust)) = (&private, &trust) {
            reading.wrong.extend(misfit(name, private, trust).ok().flatten());
        }
        match (private, trust) {
            (Some((_, private)), Some(trust)) if reading.wrong.is_empty() => {
                let digest = reading.hash.finish();
                let digest = digest.as_ref().first_chunk::<32>().copied().unwrap_or_default();
                Ok(Self { private, trust, content, digest })
            }
            _ => Err(reading.wrong),
        }
    }

    /// The shop that has them.
    ///
    /// # Errors
    /// `Invalid` for a certificate that cannot be read.
    pub fn merchant(self, config: &AlipayConfig) -> Result<Merchant> {
        let of = |alipay| {
            Merchant::new(&config.gateway_url, &config.app_id, &config.seller_id, self.private, alipay)
        };
        let merchant = match self.trust {
            Trust::Key(key) => of(key),
            Trust::Certificates { app, alipay, root } => {
                let key = Certificate::parse(&alipay)?.public_key()?;
                of(key).with_certificates(&app, &alipay, &root)?
            }
        };
        Ok(match self.content {
            Some(key) => merchant.with_content_key(key),
            None => merchant,
        })
    }

    /// What is wrong with them, as an error.
    pub fn refused(wrong: Wrong) -> Error {
        let start = Error::new(
            merx_kernel::ErrorKind::Invalid,
            "payment.keys_invalid",
            "The keys of Alipay cannot be used; those of before stay.",
        );
        wrong.into_iter().fold(start, |e, (name, why)| e.with_field(format!("payment.alipay.{name}"), why))
    }
}

/// Keys that are readable and do not belong together.
fn misfit(name: &'static str, private: &PrivateKey, trust: &Trust) -> Result<Option<(&'static str, String)>> {
    let own = private.public_key()?.to_pem()?;
    Ok(match trust {
        // Handing in one's own public key is the usual mistake; every notification would be refused.
        Trust::Key(key) if key.to_pem()? == own => {
            let hint = "is the application's own public key; Alipay's is needed, from its console";
            Some(("alipay_public_key", hint.to_owned()))
        }
        Trust::Certificates { app, .. } if Certificate::parse(app)?.public_key()?.to_pem()? != own => {
            Some((name, "is not the key of the application's certificate".to_owned()))
        }
        _ => None,
    })
}
