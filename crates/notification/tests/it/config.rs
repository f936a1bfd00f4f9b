//! What operators may say.

use libtest_mimic::Trial;
use merx_kernel::Secret;
use merx_notification::{MailTarget, NotificationConfig, SmtpTls};

use crate::trials;

pub fn trials() -> Vec<Trial> {
    trials!("config": mail_urls, wrong_values_are_named_by_their_path)
}

fn mail_urls() {
    let smtp = |host: &str, port, tls| Ok(MailTarget::Smtp { host: host.to_owned(), port, tls });
    let rows = [
        ("smtps://mx.shop.example", smtp("mx.shop.example", 465, SmtpTls::Immediate)),
        ("smtps://mx.shop.example:2465/", smtp("mx.shop.example", 2465, SmtpTls::Immediate)),
        ("smtp://mx.shop.example", smtp("mx.shop.example", 587, SmtpTls::Starttls)),
        ("smtp://127.0.0.1:1025?tls=none", smtp("127.0.0.1", 1025, SmtpTls::None)),
        ("smtp://[::1]:1025?tls=none", smtp("::1", 1025, SmtpTls::None)),
        ("smtp://localhost?tls=none", smtp("localhost", 25, SmtpTls::None)),
        ("folder:/var/mail", Ok(MailTarget::Folder("/var/mail".into()))),
    ];
    for (url, target) in rows {
        assert_eq!(MailTarget::parse(url), target, "{url}");
    }
    let refused = [
        "",
        "mx.shop.example",
        "http://mx.shop.example",
        "smtp://",
        "smtp://user:pass@mx.shop.example",
        "smtp://mx.shop.example?tls=none",
        "smtp://192.168.0.1?tls=none",
        "smtp://mx.shop.example?tls=maybe",
        "smtp://mx.shop.example:0",
        "smtp://mx.shop.example:99999",
        "smtp://mx shop",
        "folder:relative",
    ];
    for url in refused {
        assert!(MailTarget::parse(url).is_err(), "{url}");
    }
}

fn wrong_values_are_named_by_their_path() {
    NotificationConfig::default().check().unwrap();
    let mut config = NotificationConfig::default();
    config.mail.url = Some("ftp://x".to_owned());
    config.mail.from = "nobody".to_owned();
    config.mail.password = Some(Secret::new("canary".to_owned()));
    config.mail.public_url = "https://shop.example/".to_owned();
    config.mail.utc_offset_minutes = 10_000;
    config.mail.concurrent_max = 0;
    config.webhooks.timeout_ms = 1;
    config.webhooks.kept_days = 1;
    let error = config.check().unwrap_err();
    let paths: Vec<&str> = error.fields().iter().map(|f| f.pointer.as_str()).collect();
    assert_eq!(
        paths,
        [
            "mail.url",
            "mail.from",
            "mail.password",
            "mail.public_url",
            "mail.concurrent_max",
            "webhooks.timeout_ms",
            "webhooks.kept_days",
            "mail.utc_offset_minutes"
        ]
    );
    assert!(!error.chain().contains("canary") && !format!("{config:?}").contains("canary"));
}
