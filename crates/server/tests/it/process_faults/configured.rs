//! `config/embedded.toml` documents every key, `config check` names what is wrong, and `serve` serves.

use std::{cell::RefCell, collections::BTreeSet, fs, path::Path};

use merx_accounts::Settings;
use merx_alipay::PrivateKey;
use merx_http::Limits;
use merx_platform::telemetry::LogOptions;
use merx_server::{
    client::{Reply, text},
    config::{Config, HttpConfig, OrdersConfig},
};
use serde::{
    Deserialize as _,
    de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess, Visitor, value},
};
use tempfile::TempDir;

use crate::process::harness::{Site, merx, refused};

const DOCUMENTED: &str = include_str!("../../../../../config/embedded.toml");

/// Writes down every key it is asked for, and answers something of the right type.
#[derive(Clone)]
struct Asked<'a> {
    path: Vec<&'static str>,
    keys: &'a RefCell<BTreeSet<String>>,
}

impl Asked<'_> {
    fn leaf(&self) {
        self.keys.borrow_mut().insert(self.path.join("."));
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
            self.leaf();
            visitor.visit_u64(1)
        }
    )*};
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        visitor.visit_map(Fields { of: self, left: fields.iter() })
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_some(self)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        self.leaf();
        visitor.visit_enum(variants[0].into_deserializer())
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        self.leaf();
        visitor.visit_str("127.0.0.1:1")
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        self.deserialize_str(visitor)
    }
    numbers!(deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        self.leaf();
        visitor.visit_bool(false)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        self.leaf();
        visitor.visit_seq(value::SeqDeserializer::new(std::iter::empty::<String>()))
    }
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(value::Error::custom(format!("{} has a type this test does not know", self.path.join("."))))
    }
    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct map identifier ignored_any
    }
}

struct Fields<'a> {
    of: Asked<'a>,
    left: std::slice::Iter<'static, &'static str>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = value::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, value::Error> {
        let depth = self.of.path.len();
        let Some(name) = self.left.next() else { return Ok(None) };
        self.of.path.truncate(depth);
        self.of.path.push(name);
        seed.deserialize((*name).into_deserializer()).map(Some)
    }
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, value::Error> {
        let value = seed.deserialize(self.of.clone());
        self.of.path.pop();
        value
    }
}

/// Every key of the configuration, by its path.
fn keys_there_are() -> BTreeSet<String> {
    // The loader takes it out before the rest is read.
    let keys = RefCell::new(BTreeSet::from(["version".to_owned()]));
    Config::deserialize(Asked { path: Vec::new(), keys: &keys }).expect("every type is known");
    keys.into_inner()
}

/// Every key of the file, also those that are commented out. Each has a comment above it.
fn keys_documented() -> BTreeSet<String> {
    let (mut keys, mut table, mut above) = (BTreeSet::new(), String::new(), "");
    for line in DOCUMENTED.lines() {
        let set = line.strip_prefix("# ").unwrap_or(line).split_once(" = ").map(|(name, _)| name);
        let name = set.filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        if let Some(inner) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = format!("{inner}.");
        } else if let Some(name) = name {
            assert!(above.starts_with("# "), "{table}{name} has no comment above it");
            keys.insert(format!("{table}{name}"));
        }
        above = line;
    }
    keys
}

#[test]
fn the_documented_configuration_has_every_key_and_no_other() {
    assert_eq!(keys_documented(), keys_there_are());
}

/// The documented configuration with an operator's own values filled in.
fn filled_in(data_dir: &str, listen: &str) -> String {
    let key = || PrivateKey::generate().expect("a key");
    let (own, alipay) =
        (key().to_pem().expect("PEM"), key().public_key().and_then(|k| k.to_pem()).expect("PEM"));
    let fill = [
        ("/var/lib/merx", data_dir.to_owned()),
        ("127.0.0.1:8080", listen.to_owned()),
        ("app_id = \"FILL IN\"", "app_id = \"2021000000000001\"".to_owned()),
        ("seller_id = \"FILL IN\"", "seller_id = \"2088000000000001\"".to_owned()),
        ("private_key = \"FILL IN\"", format!("private_key = '''{own}'''")),
        ("alipay_public_key = \"FILL IN\"", format!("alipay_public_key = '''{alipay}'''")),
    ];
    fill.into_iter().fold(DOCUMENTED.to_owned(), |text, (blank, own)| {
        assert!(text.contains(blank), "{blank}");
        text.replacen(blank, &own, 1)
    })
}

#[test]
fn the_documented_values_are_the_defaults() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("shop.toml");
    fs::write(&file, filled_in("/var/lib/merx", "127.0.0.1:8080")).expect("written");
    let config = Config::load(&file).expect("a configuration");
    assert_eq!(config.http.listen, HttpConfig::default().listen);
    assert_eq!(config.http.trusted_proxies, HttpConfig::default().trusted_proxies);
    assert_eq!(config.http.limits, Limits::default());
    assert_eq!(config.accounts, Settings::default());
    assert_eq!(config.orders.payment_deadline_s, OrdersConfig::default().payment_deadline_s);
    assert_eq!(config.log, LogOptions::default());
    assert_eq!(config.database_url(), "sqlite:/var/lib/merx/merx.db");
    assert!(config.payment.alipay.expect("an Alipay").return_url.is_none());
}

/// `config check` and `serve` refuse a configuration in the same words, and make no data folder.
#[track_caller]
fn both_refuse(text: &str, says: &[&str]) {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("shop.toml"), text).expect("written");
    for command in [&["config", "check"][..], &["serve"], &["migrate"]] {
        let output = merx(folder.path(), &[command, &["--config", "shop.toml"]].concat());
        refused(&output, 1, says);
    }
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_broken_configuration_is_named_by_path() {
    let good = filled_in("data", "127.0.0.1:8080");
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    both_refuse(
        DOCUMENTED,
        &["payment.alipay.app_id: must be 1 to 32 digits", "payment.alipay.private_key: "],
    );
    both_refuse(
        &with("data_dir =", "data_dirs ="),
        &["data_dirs: is not a key", "did you mean `data_dir`?", "shop.toml"],
    );
    both_refuse(
        &with("burst_max = 240", "burst_max = \"many\""),
        &["http.limits.client_burst_max: expected", "found string"],
    );
    both_refuse(
        &with("client_burst_max", "client_bust_max"),
        &["http.limits.client_bust_max", "did you mean `client_burst_max`?"],
    );
    both_refuse(&with("data_dir = \"data\"", ""), &["data_dir: is missing"]);
    both_refuse(&with("notify_url =", "# notify_url ="), &["payment.alipay.notify_url: is missing"]);
    both_refuse(&with("version = 1", ""), &["version: is missing", "`version = 1`"]);
    both_refuse(&with("version = 1", "version = 2"), &["version: is 2", "use a newer program"]);
    both_refuse(&with("[orders]", "[orders"), &["is not TOML", "shop.toml, line "]);
    both_refuse(
        &with("trusted_proxies = []", "trusted_proxies = [\"proxy\"]"),
        &["http.trusted_proxies.0: "],
    );
    both_refuse(&with("\"text\"", "\"loud\""), &["log.format: ", "`text`", "`json`"]);
    both_refuse(&with("\"info\"", "\"a=b=c\""), &["log.level: is not a log level"]);
    both_refuse(&with("# url = \"mysql", "url = \"pgsql"), &["database.url: must begin with mysql://"]);
    // All that is out of range is told at once.
    let wild = with("headers_max = 100", "headers_max = 0")
        .replace("refresh_token_days = 30", "refresh_token_days = 366")
        .replace("payment_deadline_s = 1800", "payment_deadline_s = 60")
        .replace("https://shop.example/v1", "shop.example/v1");
    both_refuse(
        &wild,
        &[
            "http.limits.headers_max: is 0, must be from 1 to 1000",
            "accounts.refresh_token_days: is 366, must be from 1 to 365",
            "orders.payment_deadline_s: must be from 61 to 86400 seconds",
            "payment.alipay.notify_url: must be an absolute http(s) URL",
        ],
    );
    let folder = TempDir::new().expect("a folder");
    for args in [&["config", "check", "--config", "no.toml"][..], &["serve", "--config", "no.toml"]] {
        refused(&merx(folder.path(), args), 1, &["no.toml cannot be read"]);
    }
}

/// `config show`: every key with its value and where it comes from.
fn shown_without_secrets(told: &dyn Fn(&[&str]) -> String) {
    let shown = told(&["config", "show"]);
    let line = |key: &str| {
        let found = shown.lines().find(|line| line.starts_with(&format!("{key} = ")));
        found.unwrap_or_else(|| panic!("no {key} in: {shown}")).to_owned()
    };
    assert!(line("payment.alipay.private_key").contains("= \"[secret]\""), "{shown}");
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    assert!(line("http.listen").ends_with("shop.toml") && line("http.listen").contains("127.0.0.1:"));
    assert!(line("orders.payment_deadline_s").contains("= 1800"));
    let json: serde_json::Value = serde_json::from_str(&told(&["config", "show", "--json"])).expect("JSON");
    let keys: BTreeSet<String> =
        json.as_array().expect("a list").iter().map(|shown| text(shown, "/key")).collect();
    // What is documented and has a value, and no other.
    assert!(keys.is_subset(&keys_there_are()), "{:?}", keys.difference(&keys_there_are()));
    assert_eq!(keys.len(), shown.lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_shop_serves_without_demo_and_sandbox() {
    let mut site = Site::configured(filled_in);
    let config = site.config();
    let at = |args: &[&str]| merx(Path::new("/"), &[args, &["--config", &config]].concat());
    let told = |args: &[&str]| String::from_utf8(at(args).stdout).expect("text");
    assert!(told(&["config", "check"]).ends_with("shop.toml: valid\n"));
    refused(&at(&["audit"]), 1, &["cannot be opened"]);
    shown_without_secrets(&told);
    let dry = told(&["migrate", "--dry-run"]);
    assert!(
        dry.contains("-- ordering 1 events\nCREATE TABLE ordering_events (")
            && dry.ends_with("Nothing was changed.\n"),
        "{dry}"
    );
    assert!(!Path::new(site.data()).exists(), "a dry run touches nothing");
    assert_eq!(told(&["migrate"]), "The tables are up to date.\n");
    assert_eq!(told(&["migrate", "--dry-run"]), "-- The tables are up to date; nothing would run.\n");
    assert_eq!(
        told(&["migrate", "--dry-run", "--json"]).split_whitespace().collect::<String>(),
        "{\"pending\":[]}"
    );

    site.start().await;
    assert!(site.stdout().contains(&format!("Merx is open at {}", site.api())), "{}", site.stdout());
    let products = site.visitor().get("/v1/products").await.and_then(Reply::ok).expect("answered");
    assert_eq!(products["items"], serde_json::json!([]), "no demo");
    refused(&at(&["serve"]), 1, &["in use by another Merx", &format!("(process {})", site.pid())]);
    refused(&at(&["migrate"]), 1, &["in use by another Merx"]);
    for live in [true, false] {
        if !live {
            site.stop().await;
        }
        assert_eq!(told(&["saga", "list"]), "0 not finished\n");
        assert_eq!(told(&["dead-letters", "list"]), "0 dead letters\n");
        assert_eq!(told(&["events", "ordering"]), "");
        assert!(told(&["audit", "--drained"]).ends_with("The books agree.\n"));
    }
    let files: BTreeSet<_> =
        fs::read_dir(site.data()).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
    assert!(
        !files.iter().any(|name| ["demo.json", "alipay-sandbox.db"].iter().any(|d| name == d)),
        "{files:?}"
    );
    // A real shop gets no demo by mistake.
    let any = "127.0.0.1:0";
    let listening = ["--listen", any, "--sandbox-listen", any, "--mail-listen", any, "--grpc-listen", any];
    let demo = [&["up", "--data", site.data()], &listening[..]].concat();
    refused(&merx(Path::new("/"), &demo), 1, &["holds a shop without a demo", "merx serve"]);
    site.assert_no_panic();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_while_the_shop_runs() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("alipay.pem");
    let fresh = || {
        let key = PrivateKey::generate().and_then(|key| key.public_key()?.to_pem()).expect("a key");
        fs::write(&file, key).expect("written");
    };
    fresh();
    let mut site = Site::configured(|data_dir, listen| {
        let text = filled_in(data_dir, listen);
        let (before, rest) = text.split_once("alipay_public_key = '''").expect("the key");
        let (_, after) = rest.split_once("'''").expect("its end");
        format!("{before}alipay_public_key_file = \"{}\"{after}", file.display())
    });
    let config = site.config();
    let at = |args: &[&str]| merx(Path::new("/"), &[args, &["--config", &config]].concat());
    let reload = || String::from_utf8(at(&["payment", "reload-keys"]).stdout).expect("text");
    assert_eq!(String::from_utf8(at(&["migrate"]).stdout).expect("text"), "The tables are up to date.\n");
    site.start().await;
    assert!(reload().starts_with("Alipay: the same keys as before"), "nothing is new");
    fresh();
    let told = reload();
    assert!(told.contains("other keys than before") && told.contains("are taken until"), "{told}");
    assert!(reload().starts_with("Alipay: the same keys as before"));
    fs::write(&file, "half a k").expect("written");
    refused(&at(&["payment", "reload-keys"]), 1, &["payment.alipay.alipay_public_key_file"]);
    site.stop().await;
    site.assert_no_panic();
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_clients_are_told_apart_and_the_end_is_announced() {
    let mut site = Site::configured(|data_dir, listen| {
        let set = [
            ("trusted_proxies = []", "trusted_proxies = [\"127.0.0.1\"]"),
            ("logins_per_minute_max = 60", "logins_per_minute_max = 1"),
            ("login_burst_max = 30", "login_burst_max = 1"),
            ("drain_notice_ms = 0", "drain_notice_ms = 3000"),
        ];
        set.into_iter().fold(filled_in(data_dir, listen), |text, (default, own)| {
            assert!(text.contains(default), "{default}");
            text.replacen(default, own, 1)
        })
    });
    site.start().await;
    // Every request on a connection of its own: the listener must be open for each.
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client");
    let log_in = async |client: &str| {
        let guess = serde_json::json!({"email": "nobody@example.com", "password": "guess"});
        let request = http.post(format!("{}/v1/sessions", site.api())).json(&guess);
        request.header("x-forwarded-for", client).send().await.expect("answered").status().as_u16()
    };
    assert_eq!(log_in("192.0.2.1").await, 401);
    assert_eq!(log_in("192.0.2.1").await, 429);
    assert_eq!(log_in("192.0.2.2").await, 401, "another client of the same proxy");
    assert_eq!(log_in("192.0.2.3, 192.0.2.2").await, 429, "what a client itself says is not believed");

    site.terminate();
    let get = async |path: &str| {
        let answer = http.get(format!("{}{path}", site.api())).send().await;
        answer.expect("the listener is open while the end is announced")
    };
    let told = loop {
        let answer = get("/readyz").await;
        if answer.status().as_u16() == 503 {
            break answer.text().await.expect("text");
        }
    };
    assert!(told.contains(r#""draining":"server.shutting_down""#), "{told}");
    assert_eq!(get("/v1/products").await.status().as_u16(), 200, "who asks meanwhile is served");
    assert!(site.ended().await.success());
    site.assert_no_panic();
}
