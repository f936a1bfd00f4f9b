use merx_alipay::{PrivateKey, PublicKey};

use crate::world::{MERCHANT_KEY, OTHER_KEY};

fn bare(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

pub fn every_format_of_a_key_is_read() {
    let pem = MERCHANT_KEY.to_pem().unwrap();
    let public_pem = MERCHANT_KEY.public_key().unwrap().to_pem().unwrap();
    let signature = MERCHANT_KEY.sign(b"text").unwrap();
    for private in [pem.clone(), bare(&pem), format!("\r\n{}\r\n", pem.replace('\n', "\r\n"))] {
        assert_eq!(PrivateKey::parse(&private).unwrap().sign(b"text").unwrap(), signature);
    }
    for public in [public_pem.clone(), bare(&public_pem)] {
        let key = PublicKey::parse(&public).unwrap();
        assert!(key.verifies(b"text", &signature));
        assert!(!key.verifies(b"text ", &signature));
        assert!(!key.verifies(b"text", &OTHER_KEY.sign(b"text").unwrap()));
        assert!(!key.verifies(b"text", &format!("{signature}\n")), "base64 is read strictly");
    }
}

pub fn a_wrong_text_is_refused_with_a_hint() {
    let pem = MERCHANT_KEY.to_pem().unwrap();
    let public_pem = MERCHANT_KEY.public_key().unwrap().to_pem().unwrap();
    let cases = [
        (PrivateKey::parse(&public_pem).err(), "private key is needed"),
        (PublicKey::parse(&pem).err(), "public key is needed"),
        (PrivateKey::parse(&bare(&public_pem)).err(), "PKCS#8 or PKCS#1"),
        (PublicKey::parse("").err(), "empty"),
        (PublicKey::parse("not base64!").err(), "neither PEM nor base64"),
        (PrivateKey::parse("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n").err(), "encrypted"),
    ];
    for (error, hint) in cases {
        let error = error.unwrap();
        assert!(error.is("alipay.key_invalid") && error.message().contains(hint), "{error}: {hint}");
        assert!(!error.chain().contains(&bare(&pem)[..40]));
    }
}

pub fn a_key_is_never_printed() {
    assert_eq!(format!("{:?}", *MERCHANT_KEY), "PrivateKey([secret])");
}
