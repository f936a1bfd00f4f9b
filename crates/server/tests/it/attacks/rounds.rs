//! T39's rounds through the shop: everything that is secret or personal is used once, rightly and wrongly, and noted.

use std::{fs, path::PathBuf, sync::Mutex};

use merx_kernel::Role;
use merx_server::{
    client::{ApiClient, Reply, text},
    demo::DemoAccount,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::raw::{Answer, LAST, answers, converse};
use crate::process::harness::{Site, until};

/// Something that must not get out.
#[derive(Clone, Debug)]
pub struct Canary {
    /// What it is.
    pub kind: &'static str,
    /// Its text.
    pub text: String,
    /// Personal data may stand in rows that can be erased; a secret in none.
    pub personal: bool,
}

/// Everything that was planted, and every refusal the shop gave.
#[derive(Default)]
pub struct Planted {
    canaries: Mutex<Vec<Canary>>,
    refusals: Mutex<Vec<String>>,
}

impl Planted {
    /// Notes a secret.
    pub fn secret(&self, kind: &'static str, text: impl Into<String>) -> String {
        self.plant(kind, text.into(), false)
    }
    /// Notes something personal.
    pub fn personal(&self, kind: &'static str, text: impl Into<String>) -> String {
        self.plant(kind, text.into(), true)
    }
    fn plant(&self, kind: &'static str, text: String, personal: bool) -> String {
        assert!(text.len() >= 8, "too short to be looked for: {kind} {text:?}");
        self.canaries.lock().unwrap().push(Canary { kind, text: text.clone(), personal });
        text
    }
    /// What was planted.
    pub fn canaries(&self) -> Vec<Canary> {
        self.canaries.lock().unwrap().clone()
    }
    /// What was refused, in the shop's words.
    pub fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap().clone()
    }

    fn refused(&self, reply: Reply, what: &str) {
        let status = reply.status.as_u16();
        assert!((400..500).contains(&status), "{what}: {status} {}", reply.body);
        self.refusals.lock().unwrap().push(format!("{what}: {}", reply.body));
    }
    fn refused_raw(&self, told: Vec<Answer>, what: &str) {
        let first = told.first().expect("an answer");
        assert!((400..500).contains(&first.status), "{what}: {}", first.status);
        self.refusals.lock().unwrap().push(format!("{what}: {}", String::from_utf8_lossy(&first.body)));
    }
}

/// One round: its number makes its canaries.
pub struct Round<'a> {
    /// The shop.
    pub site: &'a Site,
    /// What is planted.
    pub planted: &'a Planted,
    /// Which round.
    pub number: usize,
}

impl Round<'_> {
    /// A word of this round that stands nowhere else.
    fn word(&self, kind: &str) -> String {
        format!("c4nary-{kind}-{:05}", self.number)
    }
    /// Sixteen digits that pass for the number of a card (Luhn).
    fn card(&self) -> String {
        let digits = format!("411111{:09}", 770_000_000 + self.number);
        let sum: u32 = digits
            .bytes()
            .rev()
            .enumerate()
            .map(|(place, byte)| match u32::from(byte - b'0') {
                digit if place % 2 == 1 => digit,
                digit if digit > 4 => 2 * digit - 9,
                digit => 2 * digit,
            })
            .sum();
        self.planted.secret("card number", format!("{digits}{}", (10 - sum % 10) % 10))
    }

    /// Notes the tokens of a session; answers who has it.
    fn session(&self, visitor: &ApiClient, tokens: &Value) -> ApiClient {
        self.planted.secret("refresh token", text(tokens, "/refresh_token"));
        visitor.with_token(self.planted.secret("access token", text(tokens, "/access_token")))
    }

    async fn log_in(&self, email: &str, password: &str) -> (ApiClient, Value) {
        let visitor = self.site.visitor();
        let body = json!({ "email": email, "password": password });
        let tokens = visitor.post("/v1/sessions", &body).await.unwrap().ok().unwrap();
        (self.session(&visitor, &tokens), tokens)
    }

    /// Everything once.
    pub async fn run(&self, buyer: &DemoAccount) {
        let password = self.wrong_log_ins(buyer).await;
        let (member, tokens) = self.log_in(&buyer.email, &buyer.password).await;
        let member = self.sessions(member, &tokens, buyer, &password).await;
        self.wrong_bodies(&member).await;
        let address = self.address(&member).await;
        self.purchase(&member, &address).await;
        self.guest().await;
        self.keys(&member).await;
        self.staff().await;
    }

    /// Many short requests with a secret wherever one can stand, each a line of the log or more.
    pub async fn chatter(&self) {
        const TIMES: usize = 25;
        let secret = self.planted.secret("secret of a refused request", self.word("chatter"));
        let get = |path: &str, line: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{line}\r\n");
        let post = |body: String| {
            let length = body.len();
            format!(
                "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        };
        let requests = [
            get("/v1/me", &format!("Authorization: Bearer {secret}\r\n")),
            get("/v1/me", &format!("Authorization: Basic {secret}\r\n")),
            get(&format!("/v1/products?access_token={secret}"), ""),
            get(&format!("/v1/orders/{secret}"), &format!("Cookie: session={secret}\r\n")),
            get(&format!("/order-links/{secret}"), &format!("Referer: http://x/order-links/{secret}\r\n")),
            get(&format!("/{secret}"), &format!("Idempotency-Key: {secret}\r\n")),
            post(format!("{{\"email\":\"a@b.example\",\"password\":[\"{secret}\"]}}")),
            post(format!("{{\"email\":\"a@b.example\",\"password\":\"{secret}")),
        ];
        let bytes = [requests.concat().repeat(TIMES).as_bytes(), LAST].concat();
        let told = answers(&converse(self.site.address(), &bytes).await);
        assert_eq!(told.len(), requests.len() * TIMES + 1, "not every request was answered");
        for answer in told.iter().filter(|answer| answer.status >= 400).take(requests.len()) {
            let body = String::from_utf8_lossy(&answer.body);
            self.planted.refusals.lock().unwrap().push(format!("chatter: {body}"));
        }
    }

    async fn wrong_log_ins(&self, buyer: &DemoAccount) -> String {
        let (visitor, plant) = (self.site.visitor(), self.planted);
        let wrong = plant.secret("wrong password", self.word("wrong-password"));
        for email in [
            buyer.email.clone(),
            plant.personal("unknown address", format!("{}@nowhere.example", self.word("who"))),
        ] {
            let body = json!({ "email": email, "password": wrong });
            plant.refused(visitor.post("/v1/sessions", &body).await.unwrap(), "a wrong password");
        }
        let half = format!("{{\"email\":\"a@b.example\",\"password\":\"{wrong}");
        let bodies =
            [half.clone(), format!("{half}\",\"password\":\"{wrong}\"}}"), format!("{half}\"}} {wrong}")];
        for body in bodies {
            let head = format!(
                "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let bytes = [head.as_bytes(), body.as_bytes(), LAST].concat();
            plant.refused_raw(answers(&converse(self.site.address(), &bytes).await), "a broken log-in");
        }
        let odd = json!({ "email": "a@b.example", "password": [wrong], "remember": wrong });
        plant.refused(visitor.post("/v1/sessions", &odd).await.unwrap(), "a log-in of another type");
        for token in [self.word("bearer-token"), format!("merx_{}", self.word("key"))] {
            let stranger = visitor.with_token(plant.secret("wrong token", token));
            plant.refused(stranger.get("/v1/me").await.unwrap(), "a wrong token");
        }
        plant.secret("new password", self.word("new-password"))
    }

    /// A new password, a fresh pair of tokens, and an old refresh token again.
    async fn sessions(&self, member: ApiClient, tokens: &Value, buyer: &DemoAccount, new: &str) -> ApiClient {
        let plant = self.planted;
        let wrong = plant.secret("wrong password", self.word("old-password"));
        let change = |old: &str| json!({ "password": old, "new_password": new });
        plant.refused(
            member.put("/v1/account/password", &change(&wrong)).await.unwrap(),
            "a wrong old password",
        );
        let short = json!({ "password": buyer.password, "new_password": plant.secret("short password", format!("c4né{:03}", self.number % 1_000)) });
        plant.refused(member.put("/v1/account/password", &short).await.unwrap(), "a short password");
        member.put("/v1/account/password", &change(&buyer.password)).await.unwrap().ok().unwrap();
        let body = json!({ "refresh_token": text(tokens, "/refresh_token") });
        let visitor = self.site.visitor();
        let fresh = visitor.post("/v1/sessions/refresh", &body).await.unwrap().ok().unwrap();
        let _ = self.session(&visitor, &fresh);
        plant.refused(visitor.post("/v1/sessions/refresh", &body).await.unwrap(), "a refresh token again");
        self.log_in(&buyer.email, new).await.0
    }

    /// What people put where it does not belong.
    async fn wrong_bodies(&self, member: &ApiClient) {
        let (plant, card) = (self.planted, self.card());
        let line = "/v1/cart/lines/CHG-65";
        for body in [
            json!({ "quantity": card }),
            json!({ "quantity": 1, "card_number": card }),
            json!({ "quantity": [{ "pan": card }] }),
        ] {
            plant.refused(member.put(line, &body).await.unwrap(), "a card number");
        }
        plant.refused(member.get(&format!("/v1/orders/{card}")).await.unwrap(), "a card number in the path");
        plant.refused(
            member.get(&format!("/v1/orders?cursor={card}")).await.unwrap(),
            "a card number in the query",
        );
        let phone = json!({ "country": "CN", "line1": [plant.personal("street", self.word("wrong-street"))], "phone": card });
        plant.refused(member.post("/v1/addresses", &phone).await.unwrap(), "a wrong address");
    }

    async fn address(&self, member: &ApiClient) -> String {
        let plant = self.planted;
        let address = json!({
            "country": "CN", "region": "浙江省", "city": "杭州市", "postcode": "310013",
            "line1": plant.personal("street", self.word("street")),
            "recipient": plant.personal("name", self.word("recipient")),
            "phone": plant.personal("phone", format!("+86 139 {:04} {:04}", 7_000 + self.number / 10_000, self.number % 10_000)),
        });
        let name = json!({ "locale": "en", "name": plant.personal("name", self.word("name")) });
        let _ = member.send(Method::PUT, "/v1/account", Some(&name), None).await.unwrap();
        text(&member.post("/v1/addresses", &address).await.unwrap().ok().unwrap(), "/id")
    }

    /// An order with a note, paid at the cashier.
    async fn purchase(&self, buyer: &ApiClient, address: &str) -> Value {
        buyer.put("/v1/cart/lines/CHG-65", &json!({ "quantity": 1 })).await.unwrap().ok().unwrap();
        let cart = buyer.get("/v1/cart").await.unwrap().ok().unwrap();
        let checkout = format!("/v1/checkouts/{}", text(&cart, "/id"));
        let quote = buyer
            .post(&format!("{checkout}/quote"), &json!({ "address_id": address }))
            .await
            .unwrap()
            .ok()
            .unwrap();
        let note = self.planted.personal("note", self.word("note"));
        let body = json!({
            "address_id": address, "note": note,
            "shipping_method": text(&quote, "/shipping_method"), "quote_id": text(&quote, "/quote_id"),
        });
        let order = buyer.post(&format!("{checkout}/orders"), &body).await.unwrap().ok().unwrap();
        let path = format!("/v1/orders/{}", text(&order, "/id"));
        let seen = |status: &'static str| {
            let path = path.clone();
            async move {
                let order = buyer.get(&path).await.unwrap().ok().unwrap();
                (text(&order, "/status") == status).then_some(order)
            }
        };
        let order = until("an order that awaits payment", || seen("awaiting_payment")).await;
        let attempts = format!("/v1/payments/{}/attempts", text(&order, "/payment_id"));
        let attempt = buyer.post(&attempts, &json!({ "method": "alipay_page" })).await.unwrap().ok().unwrap();
        buyer.pay(&text(&attempt, "/pay_url")).await.unwrap();
        until("a paid order", || seen("paid")).await
    }

    /// A visit without registering; the link in the mail lets the guest in again.
    async fn guest(&self) {
        let (visitor, plant) = (self.site.visitor(), self.planted);
        let begun = visitor.post("/v1/guests", &json!({ "locale": "en" })).await.unwrap().ok().unwrap();
        let guest = self.session(&visitor, &begun);
        let email = plant.personal("e-mail", format!("{}@guests.example", self.word("guest")));
        let contact = json!({ "email": email, "name": plant.personal("name", self.word("guest-name")), "locale": "en" });
        guest.put("/v1/guests/me", &contact).await.unwrap().ok().unwrap();
        let address = self.address(&guest).await;
        self.purchase(&guest, &address).await;
        let mail = self.mail_to(&email, "mgt_").await;
        let start = mail.find("mgt_").expect("a link in the mail");
        let token: String = mail[start..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            .collect();
        let token = plant.secret("guest link", token);
        let again =
            visitor.post("/v1/guests/sessions", &json!({ "token": token })).await.unwrap().ok().unwrap();
        let _ = self.session(&visitor, &again);
        let wrong = plant.secret("wrong guest link", format!("mgt_{}", self.word("link")));
        plant.refused(
            visitor.post("/v1/guests/sessions", &json!({ "token": wrong })).await.unwrap(),
            "a wrong link",
        );
        let _ = visitor.get(&format!("/order-links/{token}")).await.unwrap();
    }

    /// Waits for a mail in which the word is; answers its file.
    async fn mail_to(&self, email: &str, word: &str) -> String {
        let folder = PathBuf::from(self.site.data()).join("mails");
        until("a mail", || async {
            let files = fs::read_dir(&folder).ok()?;
            let texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
            texts.into_iter().find(|text| text.contains(email) && text.contains(word))
        })
        .await
    }

    /// A program's key: made, used, used wrongly.
    async fn keys(&self, member: &ApiClient) {
        let (visitor, plant) = (self.site.visitor(), self.planted);
        let body = json!({ "name": "till", "scopes": ["shop"] });
        let made = member.post("/v1/api-keys", &body).await.unwrap().ok().unwrap();
        let secret = plant.secret("API key", text(&made, "/secret"));
        visitor.with_token(secret.clone()).get("/v1/cart").await.unwrap().ok().unwrap();
        let wrong =
            plant.secret("wrong API key", format!("{}{:05}", &secret[..secret.len() - 5], self.number));
        plant.refused(visitor.with_token(wrong).get("/v1/cart").await.unwrap(), "a wrong key");
    }

    /// Somebody is invited by a mailed code; a partner is given a secret.
    async fn staff(&self) {
        let (visitor, plant) = (self.site.visitor(), self.planted);
        let demo = self.site.demo();
        let account = demo.account(Role::Administrator).unwrap();
        let (admin, _) = self.log_in(&account.email, &account.password).await;
        let email = plant.personal("e-mail", format!("{}@staff.example", self.word("staff")));
        let name = plant.personal("name", self.word("staff-name"));
        let body = json!({ "email": email, "locale": "en", "name": name, "reason": "a new till", "roles": ["support"] });
        admin.post("/v1/staff", &body).await.unwrap().ok().unwrap();
        let mail = self.mail_to(&email, "-").await;
        let code = code_in(&mail).unwrap_or_else(|| panic!("no code in {mail}"));
        let code = plant.secret("mailed code", code);
        let password = plant.secret("first password", self.word("first-password"));
        let accept = |code: &str| json!({ "email": email, "code": code, "password": password });
        let wrong = visitor.post("/v1/invitations/acceptance", &accept("0000-0000")).await.unwrap();
        plant.refused(wrong, "a wrong code");
        visitor.post("/v1/invitations/acceptance", &accept(&code)).await.unwrap().ok().unwrap();
        let hook = json!({ "description": "till", "signature": "hmac", "types": ["ordering"], "url": format!("https://partner{}.example/hooks", self.number) });
        let made = admin.post("/v1/admin/webhooks", &hook).await.unwrap().ok().unwrap();
        plant.secret("webhook secret", text(&made, "/secret"));
        let place = format!("/v1/admin/webhooks/{}", text(&made, "/id"));
        let _ = admin.send(Method::DELETE, &place, None, None).await.unwrap();
    }
}

/// `K7QM-3F9T` in a mail.
fn code_in(mail: &str) -> Option<String> {
    let symbol = |byte: u8| byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !b"ILOU".contains(&byte));
    mail.as_bytes().windows(9).find_map(|nine| {
        let fits = nine[4] == b'-' && nine.iter().enumerate().all(|(at, byte)| at == 4 || symbol(*byte));
        fits.then(|| String::from_utf8_lossy(nine).into_owned())
    })
}
