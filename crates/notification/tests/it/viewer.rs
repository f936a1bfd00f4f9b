//! The mail viewer.

use axum::{Router, body::Body};
use http::Request;
use libtest_mimic::Trial;
use merx_notification::{
    transport::{Folder, Letter},
    viewer,
};
use merx_testkit::{Answer, request};

use crate::{
    bench::{START, on_a_runtime},
    trials,
};

pub fn trials() -> Vec<Trial> {
    trials!("viewer":
        mails_are_listed_found_and_shown_in_both_languages,
        programs_read_mails_as_json,
        a_mails_html_is_shut_in,
        other_hosts_are_turned_away,
        nobody_else_reads_the_files,
    )
}

fn letter(to: &str, subject: &str, millis: u64) -> Letter {
    Letter {
        mail: "mal_00000000000000000000000001".to_owned(),
        template: "order_paid".to_owned(),
        message_id: "<1@merx.example>".to_owned(),
        from: "Merx <orders@merx.example>".to_owned(),
        to: to.to_owned(),
        to_name: "<i>Eve</i>".to_owned(),
        language: "en".to_owned(),
        at: START.plus(std::time::Duration::from_millis(millis)),
        subject: subject.to_owned(),
        text: "Hello <b>text</b>\n".to_owned(),
        html: "<p>Hello</p><script>alert(1)</script>".to_owned(),
    }
}

async fn world() -> (tempfile::TempDir, Router) {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::new(place.path());
    folder.keep(&letter("ann@shop.example", "First <x>", 1)).await.unwrap();
    folder.keep(&letter("bob@shop.example", "Second", 2)).await.unwrap();
    folder.keep(&letter("Ann@shop.example", "Third", 3)).await.unwrap();
    (place, viewer::router(folder).unwrap())
}

async fn get(router: &Router, path: &str, host: &str) -> Answer {
    request(router, Request::get(path).header("host", host).body(Body::empty()).unwrap()).await
}

fn mails_are_listed_found_and_shown_in_both_languages() {
    on_a_runtime(async {
        let (_place, router) = world().await;
        let all = get(&router, "/?lang=en", "127.0.0.1:8026").await.expect(200);
        let (third, first) = (all.text.find("Third").unwrap(), all.text.find("First &lt;x&gt;").unwrap());
        assert!(third < first && all.text.contains("Mail viewer"), "{}", all.text);
        let chinese = get(&router, "/", "localhost:8026").await.expect(200);
        assert!(chinese.text.contains("邮件查看器") && chinese.text.contains("lang=\"zh-CN\""));
        let found = get(&router, "/?q=BOB%40&lang=en", "[::1]:8026").await.expect(200);
        assert!(found.text.contains("Second") && !found.text.contains("Third"), "{}", found.text);
        let nothing = get(&router, "/?q=%3Cscript%3E", "127.0.0.1").await.expect(200);
        assert!(
            nothing.text.contains("没有匹配的邮件") && !nothing.text.contains("<script>"),
            "{}",
            nothing.text
        );
        let id = all.text.split("/mails/").nth(1).unwrap().split('?').next().unwrap().to_owned();
        let one = get(&router, &format!("/mails/{id}?lang=en"), "127.0.0.1").await.expect(200);
        assert!(
            one.text.contains("Hello &lt;b&gt;text") && one.text.contains("&lt;i&gt;Eve"),
            "{}",
            one.text
        );
        assert!(one.text.contains("<iframe src=\"/mails/") && one.text.contains(" sandbox "), "{}", one.text);
        assert!(!one.text.contains("<script"), "{}", one.text);
        let eml = get(&router, &format!("/mails/{id}/eml"), "127.0.0.1").await.expect(200);
        assert!(
            eml.headers["content-type"] == "message/rfc822"
                && eml.text.contains("Message-ID: <1@merx.example>")
        );
        get(&router, "/mails/no-such-mail", "127.0.0.1").await.expect(404);
        get(&router, "/mails/..%2f..%2fetc%2fpasswd", "127.0.0.1").await.expect(404);
    });
}

fn programs_read_mails_as_json() {
    on_a_runtime(async {
        let (_place, router) = world().await;
        let of = |answer: &Answer| -> Vec<String> {
            answer.body["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["subject"].as_str().unwrap().to_owned())
                .collect()
        };
        let all = get(&router, "/mails", "127.0.0.1").await.expect(200);
        assert_eq!(of(&all), ["First <x>", "Second", "Third"]);
        assert_eq!(
            of(&get(&router, "/mails?to=ann@shop.example", "127.0.0.1").await),
            ["First <x>", "Third"]
        );
        let first = all.body["items"][0]["id"].as_str().unwrap();
        let after = get(&router, &format!("/mails?after={first}"), "127.0.0.1").await.expect(200);
        assert_eq!(of(&after), ["Second", "Third"]);
        let after = get(&router, "/mails?after=2026-11-20T00:00:00.002Z", "127.0.0.1").await.expect(200);
        assert_eq!(of(&after), ["Third"]);
        let empty = viewer::router(Folder::new("/nonexistent/merx-mails")).unwrap();
        assert!(of(&get(&empty, "/mails", "127.0.0.1").await.expect(200)).is_empty());
        assert!(get(&empty, "/", "127.0.0.1").await.expect(200).text.contains("还没有邮件"));
    });
}

fn a_mails_html_is_shut_in() {
    on_a_runtime(async {
        let (_place, router) = world().await;
        let all = get(&router, "/mails", "127.0.0.1").await;
        let id = all.body["items"][0]["id"].as_str().unwrap().to_owned();
        let html = get(&router, &format!("/mails/{id}/html"), "127.0.0.1").await.expect(200);
        let policy = html.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("sandbox;") && policy.contains("default-src 'none'"), "{policy}");
        for path in ["/", &format!("/mails/{id}")] {
            let page = get(&router, path, "127.0.0.1").await;
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{policy}"
            );
        }
    });
}

fn other_hosts_are_turned_away() {
    on_a_runtime(async {
        let (_place, router) = world().await;
        for host in
            ["attacker.example", "attacker.example:8026", "127.0.0.1.attacker.example", "10.0.0.1", ""]
        {
            get(&router, "/mails", host).await.expect(421);
        }
    });
}

/// The folder may have been there before, for all to look into.
fn nobody_else_reads_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    on_a_runtime(async {
        let (place, _) = world().await;
        for entry in std::fs::read_dir(place.path()).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{mode:o}");
        }
    });
}
