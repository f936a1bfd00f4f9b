//! Money and times in mails, and the mails themselves in both languages.

use std::time::Duration;

use libtest_mimic::Trial;
use merx_kernel::{Currency, Money, Timestamp};
use merx_notification::{
    domain::Template,
    templates::{Addressee, CodeToMail, Rendered, Templates},
    words::{Language, money, time},
};
use serde::Serialize;

use crate::{bench::START, facts, trials};

pub fn trials() -> Vec<Trial> {
    trials!("words":
        amounts_are_written_by_language,
        times_are_written_by_language_and_offset,
        every_mail_reads_well_in_both_languages,
        what_people_chose_is_text_never_markup,
        a_guests_mail_carries_the_link_and_a_members_does_not,
    )
}

fn amounts_are_written_by_language() {
    let rows = [
        (0, Currency::CNY, "¥0.00", "CN¥0.00"),
        (5, Currency::CNY, "¥0.05", "CN¥0.05"),
        (99_999, Currency::CNY, "¥999.99", "CN¥999.99"),
        (123_450, Currency::CNY, "¥1,234.50", "CN¥1,234.50"),
        (-123_450, Currency::CNY, "-¥1,234.50", "-CN¥1,234.50"),
        (123_456_789, Currency::USD, "US$1,234,567.89", "$1,234,567.89"),
        (1_234_567, Currency::JPY, "JP¥1,234,567", "¥1,234,567"),
        (1_234_567, Currency::KWD, "KWD\u{a0}1,234.567", "KWD\u{a0}1,234.567"),
        (100, Currency::EUR, "€1.00", "€1.00"),
    ];
    for (minor, currency, zh, en) in rows {
        let amount = Money::new(minor, currency);
        assert_eq!(
            (money(amount, Language::Chinese), money(amount, Language::English)),
            (zh.into(), en.into())
        );
    }
}

fn times_are_written_by_language_and_offset() {
    let at = Timestamp::parse_rfc3339("2026-11-20T20:05:59Z").unwrap();
    let rows = [
        (480, "2026年11月21日 04:05 (UTC+8)", "21 November 2026, 04:05 (UTC+8)"),
        (0, "2026年11月20日 20:05 (UTC)", "20 November 2026, 20:05 (UTC)"),
        (-210, "2026年11月20日 16:35 (UTC-3:30)", "20 November 2026, 16:35 (UTC-3:30)"),
    ];
    for (offset, zh, en) in rows {
        assert_eq!(
            (time(at, offset, Language::Chinese), time(at, offset, Language::English)),
            (zh.into(), en.into())
        );
    }
    for (locale, language) in
        [("zh-CN", Language::Chinese), ("en", Language::English), ("en-GB", Language::English)]
    {
        assert_eq!(Language::of(locale), language);
    }
    assert_eq!(Language::of("fr"), Language::Chinese, "the shop's own language for what it does not speak");
}

fn templates() -> Templates {
    Templates::new("茶与器 Merx", "https://shop.example", 480).unwrap()
}

fn to(language: Language) -> Addressee {
    let name = if language == Language::English { "Li Na" } else { "李娜" };
    Addressee { name: name.to_owned(), language, guest_token: String::new() }
}

fn json(fact: &impl Serialize) -> String {
    serde_json::to_string(fact).unwrap()
}

/// One of each, and the variants of those that have some.
fn all(language: Language) -> Vec<(&'static str, Rendered)> {
    let (templates, to) = (templates(), to(language));
    let order = |template, parameters: String| templates.order(template, &parameters, &to).unwrap();
    let guest = Addressee { guest_token: "tok/en+1".to_owned(), ..to.clone() };
    let code = CodeToMail {
        code: "7K3M9QXA".to_owned(),
        purpose: "staff_invitation".to_owned(),
        expires_at: START.plus(Duration::from_secs(600)),
    };
    let nobody = Addressee { name: String::new(), ..to.clone() };
    vec![
        ("order_placed", order(Template::OrderPlaced, json(&facts::placed()))),
        (
            "order_placed_guest",
            templates.order(Template::OrderPlaced, &json(&facts::placed()), &guest).unwrap(),
        ),
        ("order_paid", order(Template::OrderPaid, json(&facts::paid()))),
        (
            "order_paid_nameless",
            templates.order(Template::OrderPaid, &json(&facts::paid()), &nobody).unwrap(),
        ),
        ("order_shipped", order(Template::OrderShipped, json(&facts::shipped(1, true)))),
        ("order_shipped_part", order(Template::OrderShipped, json(&facts::shipped(1, false)))),
        ("order_shipped_v1", order(Template::OrderShipped, json(&facts::shipped_before_titles()))),
        ("order_completed", order(Template::OrderCompleted, json(&facts::completed()))),
        ("order_refunded", order(Template::OrderRefunded, json(&facts::refunded(4)))),
        (
            "order_cancelled_expired",
            order(Template::OrderCancelled, json(&facts::cancelled("expired", false))),
        ),
        ("order_cancelled_buyer", order(Template::OrderCancelled, json(&facts::cancelled("buyer", true)))),
        ("order_cancelled_staff", order(Template::OrderCancelled, json(&facts::cancelled("staff", true)))),
        ("code", templates.code(&code, &to.name, language).unwrap()),
    ]
}

/// `MERX_MAILS_OUT=folder` writes them there, to be looked at.
fn every_mail_reads_well_in_both_languages() {
    let out = std::env::var_os("MERX_MAILS_OUT").map(std::path::PathBuf::from);
    for language in Language::ALL {
        for (name, mail) in all(*language) {
            if let Some(folder) = &out {
                std::fs::create_dir_all(folder).unwrap();
                let text = format!("Subject: {}\n\n{}", mail.subject, mail.text);
                std::fs::write(folder.join(format!("{name}.{}.txt", language.tag())), text).unwrap();
                std::fs::write(folder.join(format!("{name}.{}.html", language.tag())), &mail.html).unwrap();
            }
            for part in [&mail.subject, &mail.text, &mail.html] {
                assert!(!part.trim().is_empty(), "{name} has an empty part");
                for left in ["{{", "{%", "undefined", "None", "---", "\n\n\n"] {
                    assert!(!part.contains(left), "{name} in {}: {left:?} is left in {part}", language.tag());
                }
            }
            assert!(
                !mail.subject.contains('\n') && mail.subject.chars().count() <= 78,
                "{name}: {}",
                mail.subject
            );
            assert!(mail.html.contains(&format!("<html lang=\"{}\">", language.tag())), "{name}");
            assert!(name == "code" || mail.text.contains(facts::NUMBER), "{name} does not say which order");
            let chinese = mail.text.chars().filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c)).count();
            // The shop's own name is Chinese in both, and so is nothing else.
            assert_eq!(*language == Language::English, chinese <= 6, "{name}: {chinese} in {}", mail.text);
        }
    }
}

fn what_people_chose_is_text_never_markup() {
    let templates = templates();
    let to = Addressee { name: "<b>Eve</b>".to_owned(), language: Language::English, ..Addressee::default() };
    let mail = templates.order(Template::OrderPlaced, &json(&facts::placed()), &to).unwrap();
    assert!(mail.html.contains("&lt;b&gt;Eve") && !mail.html.contains("<b>Eve"), "{}", mail.html);
    assert!(mail.html.contains("Longjing &amp; "), "{}", mail.html);
    assert!(mail.text.contains("Longjing & \"friends\" (100 g) x 2  CN¥1,234.50"), "{}", mail.text);
    let to = Addressee { language: Language::Chinese, ..to };
    let mail = templates.order(Template::OrderPlaced, &json(&facts::placed()), &to).unwrap();
    assert!(mail.html.contains("西湖龙井 &lt;明前&gt;"), "{}", mail.html);
    // 1,234.50 + 68.00 + 8.00 - 10.00
    assert!(
        mail.text.contains("优惠：-¥10.00") && mail.text.contains("应付金额：¥1,300.50"),
        "{}",
        mail.text
    );
}

fn a_guests_mail_carries_the_link_and_a_members_does_not() {
    let link = "https://shop.example/order-links/tok%2Fen%2B1?order=261120-7K3M-9QXA";
    for language in Language::ALL {
        for (name, mail) in all(*language) {
            let has = mail.text.contains(link) && mail.html.contains(&format!("href=\"{}\"", escaped(link)));
            assert_eq!(has, name == "order_placed_guest", "{name}: {}", mail.html);
            assert!(has || !mail.text.contains("order-links"), "{name}");
        }
    }
}

/// As the template engine writes a URL into an attribute.
fn escaped(url: &str) -> String {
    url.replace('/', "&#x2f;")
}
