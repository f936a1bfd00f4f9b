use libtest_mimic::Trial;
use merx_kernel::{Error, ErrorKind, Secret};
use merx_platform::{config, telemetry::LogFormat};
use serde::Deserialize;

use crate::paused::plain;

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Shop {
    name: String,
    http: Http,
    log: merx_platform::telemetry::LogOptions,
    currencies: Vec<String>,
    key: Option<Secret<String>>,
    limits: std::collections::BTreeMap<String, u32>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Http {
    port: u16,
    read_timeout_ms: u64,
    secure: bool,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            name: "Merx".into(),
            http: Http::default(),
            log: Default::default(),
            currencies: vec!["CNY".into()],
            key: None,
            limits: Default::default(),
        }
    }
}
impl Default for Http {
    fn default() -> Self {
        Self { port: 8080, read_timeout_ms: 30_000, secure: false }
    }
}

pub fn trials() -> Vec<Trial> {
    vec![
        plain("config: defaults, file and environment, each over the one before", layers),
        plain("config: an environment text is read as what is asked for", environment_types),
        plain("config: every mistake names its place", mistakes),
        plain("config: all mistakes are told at once", mistakes_together),
        plain("config: a file that cannot be read says which", unreadable),
        plain("config: every key is shown with its source, and no secret", shown),
    ]
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn with_file(text: &str, pairs: &[(&str, &str)]) -> Result<Shop, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("merx.toml");
    std::fs::write(&path, text).expect("written");
    config::load(Some(&path), env(pairs))
}

fn layers() {
    let shop: Shop = config::load(None, env(&[("PATH", "/bin"), ("MERX_OTHER", "1")])).expect("defaults");
    assert_eq!((shop.name.as_str(), shop.http.port), ("Merx", 8080));

    let text = "version = 1\nname = \"Tea\"\n[http]\nport = 9000\n[log]\nformat = \"json\"\n[limits]\na = 1";
    let shop = with_file(text, &[("MERX__HTTP__PORT", "9001"), ("MERX__LIMITS__B", "2")]).expect("loads");
    assert_eq!(shop.name, "Tea");
    assert_eq!(shop.http.port, 9001);
    assert_eq!(shop.http.read_timeout_ms, 30_000);
    assert_eq!(shop.log.format, LogFormat::Json);
    assert_eq!(shop.limits.into_iter().collect::<Vec<_>>(), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}

fn environment_types() {
    let variables = [
        ("MERX__NAME", "12"),
        ("MERX__HTTP__SECURE", "true"),
        ("MERX__CURRENCIES", "CNY, JPY"),
        ("MERX__KEY", "k"),
        ("MERX__LOG__FORMAT", "json"),
    ];
    let shop: Shop = config::load(None, env(&variables)).expect("loads");
    assert_eq!(shop.name, "12");
    assert!(shop.http.secure);
    assert_eq!(shop.currencies, ["CNY", "JPY"]);
    assert_eq!(shop.key.map(|k| k.expose().clone()).as_deref(), Some("k"));
    assert_eq!(shop.log.format, LogFormat::Json);
}

fn mistakes() {
    let file = |body: &str| with_file(&format!("version = 1\n{body}"), &[]);
    let table: Vec<(Result<Shop, Error>, &str, &[&str])> = vec![
        (file("[http]\nprot = 1"), "http.prot", &["did you mean `port`?", "merx.toml"]),
        (file("colour = 1"), "colour", &["is not a key", "name, http, log", "merx.toml"]),
        (file("[http]\nport = \"a\""), "http.port", &["expected u16, found string", "merx.toml"]),
        (file("[http]\nport = 70000"), "http.port", &["70000", "u16", "merx.toml"]),
        (file("http = 3"), "http", &["expected a table, found integer", "merx.toml"]),
        (file("currencies = [\"CNY\", 3]"), "currencies.1", &["a string", "merx.toml"]),
        (file("[log]\nformat = \"xml\""), "log.format", &["xml", "`text` or `json`", "merx.toml"]),
        (with_file("name = \"x\"", &[]), "version", &["begin the file with `version = 1`"]),
        (with_file("version = 2", &[]), "version", &["use a newer program"]),
        (with_file("version = 1\nname = ", &[]), "", &["line 2", "merx.toml"]),
        (
            config::load(None, env(&[("MERX__HTTP__PORT", "lots")])),
            "http.port",
            &["expected a whole number", "environment variable MERX__HTTP__PORT"],
        ),
        (
            config::load(None, env(&[("MERX__HTTP__PROT", "1")])),
            "http.prot",
            &["did you mean `port`?", "environment variable MERX__HTTP__PROT"],
        ),
        (
            with_file("version = 1\nname = \"x\"", &[("MERX__NAME__FIRST", "1")]),
            "name",
            &["`first` cannot be set inside", "environment variable MERX__NAME__FIRST"],
        ),
    ];
    for (result, path, parts) in table {
        let error = result.expect_err(path);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "config.invalid"));
        let [field] = error.fields() else { panic!("one place: {error:?}") };
        assert_eq!(field.pointer, path, "{error:?}");
        for part in parts {
            assert!(field.detail.contains(part), "{path}: no `{part}` in: {}", field.detail);
        }
    }
    // The value may be a secret.
    let error = config::load::<Shop>(None, env(&[("MERX__HTTP__PORT", "hunter2")])).expect_err("no number");
    assert!(!error.chain().contains("hunter2"), "{error:?}");
}

fn mistakes_together() {
    let text =
        "version = 1\ncolour = 1\ncurrencies = [\"CNY\", 3]\n[http]\nport = 70000\nprot = 1\nsecure = true";
    let error = with_file(text, &[("MERX__HTTP__READ_TIMEOUT_MS", "soon")]).expect_err("five mistakes");
    let mut told: Vec<&str> = error.fields().iter().map(|field| field.pointer.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["colour", "currencies.1", "http.port", "http.prot", "http.read_timeout_ms"]);

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "it is never read")]
    struct Needy {
        name: String,
        port: u16,
    }
    let wrong = "version = 1\nname = 3\nport = \"a\"";
    let error = config::load_text::<Needy>(wrong, "merx.toml").expect_err("both are wrong");
    let told: Vec<&str> = error.fields().iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(told[0], "name", "what was taken out is not told to be missing: {error:?}");
    assert!(error.fields().iter().all(|field| !field.detail.contains("is missing")), "{error:?}");
}

fn unreadable() {
    let path = std::path::Path::new("/nowhere/merx.toml");
    let error = config::load::<Shop>(Some(path), env(&[])).expect_err("is not there");
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "config.unreadable"));
    assert!(error.message().contains("/nowhere/merx.toml"));
}

fn shown() {
    #[derive(Debug, Deserialize)]
    struct Nested {
        keys: Vec<Secret<String>>,
        #[allow(dead_code, reason = "read by serde")]
        inner: Secret<std::collections::BTreeMap<String, String>>,
    }
    #[derive(Debug, Deserialize)]
    struct All {
        #[allow(dead_code, reason = "read by serde")]
        shop: Shop,
        nested: Nested,
    }
    let documented = "version = 1\n[shop]\nname = \"Merx\"\ncurrencies = [\"CNY\"]\n[shop.http]\nport = 8080\nsecure = false\n\
                      [nested]\nkeys = []\ninner = {}";
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("merx.toml");
    let text = "version = 1\n[shop]\nname = \"Tea\\nhouse\"\nkey = \"hunter1\"\n[nested]\nkeys = [\"hunter2\"]\ninner = { a = \"hunter3\" }";
    std::fs::write(&path, text).expect("written");
    let variables = env(&[("MERX__SHOP__HTTP__PORT", "9001"), ("MERX__SHOP__CURRENCIES", "CNY, JPY")]);
    let shown = config::show::<All>(Some(&path), variables, documented).expect("shown");
    let file = path.display().to_string();
    let line = |key: &str| {
        let found = shown.iter().find(|s| s.key == key).unwrap_or_else(|| panic!("no {key} in {shown:?}"));
        (found.value.as_str(), found.source.as_str())
    };
    assert_eq!(line("shop.name"), ("\"Tea\\nhouse\"", file.as_str()));
    assert_eq!(line("shop.http.port"), ("\"9001\"", "environment variable MERX__SHOP__HTTP__PORT"));
    assert_eq!(line("shop.http.secure"), ("false", "default"));
    assert_eq!(line("shop.currencies"), ("\"CNY, JPY\"", "environment variable MERX__SHOP__CURRENCIES"));
    for secret in ["shop.key", "nested.keys", "nested.inner.a"] {
        assert_eq!(line(secret), ("\"[secret]\"", file.as_str()));
    }
    assert!(!format!("{shown:?}").contains("hunter"));
    let all: All = config::load(Some(&path), env(&[])).expect("loads");
    assert_eq!(all.nested.keys[0].expose(), "hunter2", "a secret is read as before");
    let wrong = config::show::<All>(Some(&path), env(&[("MERX__SHOP__HTTP__PORT", "x")]), documented);
    assert_eq!(wrong.expect_err("no number").code(), "config.invalid");
}
