//! Mails over a real connection to a mail server that behaves, and to ones that do not.

use std::{process::Stdio, sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_kernel::{PageRequest, Secret};
use merx_notification::{
    MailConfig, Ways,
    domain::{MailState, NewMail, Outcome},
    queries,
    transport::{Letter, MailTransport, of_config},
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{
    bench::{Bench, Mode, START, config, on_a_runtime, on_virtual_time},
    facts,
    smtp_server::{Manner, Server},
    trials,
};

pub fn trials() -> Vec<Trial> {
    let mut trials = trials!("smtp":
        a_mail_arrives_whole,
        what_the_server_answers_decides,
        without_the_tls_that_was_asked_for_nothing_is_sent,
        a_server_that_never_answers_is_given_up,
        a_late_answer_is_not_taken_for_the_next_mails,
        a_connection_cut_after_the_data_is_a_double_with_one_message_id,
        a_name_or_subject_cannot_add_a_header,
        the_folder_keeps_the_newest_thousand,
    );
    trials.push(real_server());
    trials
}

fn transport(port: u16, change: impl FnOnce(&mut MailConfig)) -> Arc<dyn MailTransport> {
    let mut config = config().mail;
    config.url = Some(format!("smtp://127.0.0.1:{port}?tls=none"));
    change(&mut config);
    of_config(&config).unwrap().unwrap()
}

fn letter() -> Letter {
    Letter {
        mail: "mal_00000000000000000000000001".to_owned(),
        template: "order_paid".to_owned(),
        message_id: "<0001@merx.example>".to_owned(),
        from: "\"茶与器 Merx\" <orders@merx.example>".to_owned(),
        to: "buyer@shop.example".to_owned(),
        to_name: "王小明".to_owned(),
        language: "zh-CN".to_owned(),
        at: START,
        subject: "订单 261120-7K3M-9QXA 已付款".to_owned(),
        text: ".一行以点开头\n第二行\n".to_owned(),
        html: "<p>您好</p>".to_owned(),
    }
}

fn a_mail_arrives_whole() {
    on_a_runtime(async {
        let server = Server::start().await;
        let transport = transport(server.port, |_| {});
        assert_eq!(transport.send(&letter()).await, Outcome::Accepted);
        assert_eq!(transport.send(&letter()).await, Outcome::Accepted, "over the same connection");
        let taken = server.taken();
        let mail = &taken[0];
        assert!(mail.from.starts_with("<orders@merx.example>"), "{}", mail.from);
        assert!(mail.to.starts_with("<buyer@shop.example>"), "{}", mail.to);
        assert_eq!(mail.header("Message-ID"), "<0001@merx.example>");
        assert_eq!(mail.header("Date"), "Fri, 20 Nov 2026 00:00:00 +0000");
        assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
        assert_eq!(mail.header("Content-Language"), "zh-CN");
        assert!(mail.header("Content-Type").starts_with("multipart/alternative"), "{}", mail.data);
        assert!(mail.header("Subject").starts_with("=?utf-8?b?"), "{}", mail.header("Subject"));
        assert!(mail.data.contains("text/plain") && mail.data.contains("text/html"));
        assert_eq!(taken[0].data, taken[1].data, "the same letter is the same bytes");
    });
}

fn what_the_server_answers_decides() {
    on_a_runtime(async {
        let transient = |why: &str| Outcome::Transient(why.to_owned());
        let permanent = |why: &str| Outcome::Permanent(why.to_owned());
        let rows = [
            (Manner::Recipient("550 5.1.1 <buyer@shop.example> is unknown"), permanent("smtp 550")),
            (Manner::Recipient("450 4.2.1 <buyer@shop.example> is busy"), transient("smtp 450")),
            (Manner::Data("554 5.7.1 spam"), permanent("smtp 554")),
            (Manner::Data("452 4.3.1 full"), transient("smtp 452")),
            (Manner::Greeting("421 4.3.2 later"), transient("smtp 421")),
            // Not the mail's fault: it waits until somebody has mended it.
            (Manner::Greeting("554 5.7.1 your address is listed"), transient("smtp 554")),
            (Manner::Login("535 5.7.8 wrong"), transient("smtp 535")),
            (Manner::Cut, transient("smtp connection")),
            (Manner::CutAfterData, transient("smtp connection")),
            (Manner::Accept, Outcome::Accepted),
        ];
        for (manner, expected) in rows {
            let server = Server::start().await;
            server.tell([manner]);
            let transport = transport(server.port, |config| {
                (config.username, config.password) =
                    (Some("merx".to_owned()), Some(Secret::new("pw".to_owned())));
            });
            let outcome = transport.send(&letter()).await;
            assert_eq!(outcome, expected, "{manner:?}");
            assert!(!outcome.reason().contains('@'), "an address is kept: {}", outcome.reason());
        }
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = gone.local_addr().unwrap().port();
        drop(gone);
        assert_eq!(transport(port, |_| {}).send(&letter()).await, transient("smtp connection"));
        let bad = Letter { to: "not an address".to_owned(), ..letter() };
        assert_eq!(transport(port, |_| {}).send(&bad).await, permanent("bad_address"));
    });
}

fn without_the_tls_that_was_asked_for_nothing_is_sent() {
    on_a_runtime(async {
        let server = Server::start().await;
        let starttls = transport(server.port, |c| c.url = Some(format!("smtp://127.0.0.1:{}", server.port)));
        assert_eq!(starttls.send(&letter()).await, Outcome::Transient("smtp unsupported".to_owned()));
        let immediate =
            transport(server.port, |c| c.url = Some(format!("smtps://127.0.0.1:{}", server.port)));
        assert!(matches!(immediate.send(&letter()).await, Outcome::Transient(_)));
        assert!(server.taken().is_empty());
    });
}

fn a_server_that_never_answers_is_given_up() {
    // Virtual time passes as soon as everybody waits, so the limit is reached at once.
    on_virtual_time(async {
        let server = Server::start().await;
        server.tell([Manner::Hang, Manner::Hang]);
        let transport = transport(server.port, |_| {});
        assert_eq!(transport.send(&letter()).await, Outcome::Transient("smtp timeout".to_owned()));
        assert!(server.taken().is_empty());
    });
}

fn a_late_answer_is_not_taken_for_the_next_mails() {
    on_a_runtime(async {
        let server = Server::start().await;
        let transport = transport(server.port, |_| {});
        assert_eq!(transport.send(&letter()).await, Outcome::Accepted);
        // The second mail is given up while its answer is under way; that answer must not count for the third.
        server.tell([Manner::LateData("250 2.0.0 taken, late"), Manner::Data("550 5.7.1 no")]);
        let second = letter();
        tokio::select! {
            biased;
            outcome = transport.send(&second) => panic!("{outcome:?}"),
            () = server.late() => {}
        }
        server.given_up();
        assert_eq!(transport.send(&letter()).await, Outcome::Permanent("smtp 550".to_owned()));
    });
}

fn a_connection_cut_after_the_data_is_a_double_with_one_message_id() {
    on_a_runtime(async {
        let server = Server::start().await;
        server.tell([Manner::Recipient("451 4.3.0 later"), Manner::CutAfterData]);
        let bench = Bench::new(Mode::Inline, None, |_| {}).await;
        let way = Ways { mail: Some(transport(server.port, |_| {})), web: Arc::new(bench.endpoints.clone()) };
        let accounts = merx_platform::Peer::local(
            merx_contracts::accounts::v1::accounts_server::AccountsServer::new(bench.people.clone()),
        );
        let state = merx_notification::State::new(&bench.deps, &accounts, config(), way).unwrap();
        let envelope = facts::envelope(1, &facts::paid());
        let id = NewMail::of(&envelope).unwrap().unwrap().id;
        bench.take(envelope).await;
        for _ in 0..3 {
            merx_notification::sending::send_due(&state).await.unwrap();
            bench.clock.advance(Duration::from_secs(600));
        }
        let (mail, tries) = queries::mail(&state, id).await.unwrap();
        let outcomes: Vec<_> = tries.iter().map(|t| (t.outcome.as_str(), t.reason.as_str())).collect();
        assert_eq!(mail.state, MailState::Sent);
        assert_eq!(outcomes, [("transient", "smtp 451"), ("transient", "smtp connection"), ("accepted", "")]);
        // The server took it twice, for its first answer was lost; a receiver drops the second by its Message-ID.
        let ids: Vec<_> = server.taken().iter().map(|t| t.header("Message-ID")).collect();
        assert_eq!((ids.len(), ids[0] == ids[1]), (2, true), "{ids:?}");
        let page = PageRequest::default();
        assert_eq!(queries::mails(&state, Default::default(), &page).await.unwrap().0.len(), 1);
    });
}

fn a_name_or_subject_cannot_add_a_header() {
    on_a_runtime(async {
        let server = Server::start().await;
        let evil = Letter {
            to_name: "Eve\r\nBcc: all@shop.example".to_owned(),
            subject: "Hello\r\nBcc: all@shop.example".to_owned(),
            ..letter()
        };
        drop(transport(server.port, |_| {}).send(&evil).await);
        for mail in server.taken() {
            assert_eq!(mail.header("Bcc"), "", "{}", mail.data);
        }
        let two = Letter { to: "buyer@shop.example>\r\nRCPT TO:<all@shop.example".to_owned(), ..letter() };
        assert_eq!(
            transport(server.port, |_| {}).send(&two).await,
            Outcome::Permanent("bad_address".to_owned())
        );
    });
}

fn the_folder_keeps_the_newest_thousand() {
    on_a_runtime(async {
        let place = tempfile::tempdir().unwrap();
        let folder = merx_notification::transport::Folder::new(place.path().join("mails"));
        for n in 0..1_005_u64 {
            let letter = Letter { at: START.plus(Duration::from_millis(n)), ..letter() };
            assert_eq!(folder.send(&letter).await, Outcome::Accepted);
        }
        assert_eq!(
            folder.send(&Letter { at: START.plus(Duration::from_millis(1_004)), ..letter() }).await,
            Outcome::Accepted
        );
        let ids = folder.ids().await.unwrap();
        assert_eq!(ids.len(), 1_000);
        assert!(ids[0] > ids[1] && ids[0].ends_with("-2"), "a double is kept beside the first: {}", ids[0]);
        assert_eq!(folder.read(&ids[0]).await.unwrap().letter.subject, letter().subject);
        for id in ["../merx", "..", "", "a/b", "A", "x\0"] {
            assert!(folder.read(id).await.is_none(), "{id:?}");
        }
    });
}

const AIOSMTPD: &str = "
import sys
from aiosmtpd.controller import Controller
class Keep:
    async def handle_DATA(self, server, session, envelope):
        print(envelope.rcpt_tos[0], len(envelope.content), flush=True)
        return '250 taken'
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('nobody'):
            return '550 5.1.1 no such user'
        envelope.rcpt_tos.append(address)
        return '250 fine'
c = Controller(Keep(), hostname='127.0.0.1', port=int(sys.argv[1]))
c.start()
print('ready', flush=True)
sys.stdin.read()
";

/// A Python with aiosmtpd: `scripts/services up smtp` makes one and says where.
fn python() -> String {
    std::env::var("MERX_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Against aiosmtpd, where Python has it.
fn real_server() -> Trial {
    let there = std::process::Command::new(python())
        .args(["-c", "import aiosmtpd"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !there {
        let name = "smtp::a_real_server [NOT RUN: python3 has no aiosmtpd]";
        if std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1") {
            return Trial::test(name, || Err("aiosmtpd is required here: scripts/services up smtp".into()));
        }
        return Trial::test(name, || Ok(())).with_ignored_flag(true);
    }
    Trial::test("smtp::a_real_server [aiosmtpd]", || {
        on_a_runtime(async {
            let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let mut server = tokio::process::Command::new(python())
                .args(["-c", AIOSMTPD, &port.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let mut told = BufReader::new(server.stdout.take().unwrap()).lines();
            assert_eq!(told.next_line().await.unwrap().as_deref(), Some("ready"));
            let transport = transport(port, |_| {});
            assert_eq!(transport.send(&letter()).await, Outcome::Accepted);
            assert!(told.next_line().await.unwrap().unwrap().starts_with("buyer@shop.example "));
            let nobody = Letter { to: "nobody@shop.example".to_owned(), ..letter() };
            assert_eq!(transport.send(&nobody).await, Outcome::Permanent("smtp 550".to_owned()));
        });
        Ok(())
    })
}
