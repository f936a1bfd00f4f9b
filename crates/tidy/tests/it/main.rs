//! The rules of the house, and that each can fail.

use std::collections::BTreeSet;

use merx_tidy::{Breach, dependencies, errors, size, sources, sql};

fn none(breaches: Vec<Breach>) {
    let text: Vec<String> = breaches.into_iter().map(|b| b.0).collect();
    assert!(text.is_empty(), "{} breaches:\n{}", text.len(), text.join("\n"));
}

fn exceptions() -> Vec<(String, usize)> {
    include_str!("../../exceptions.txt")
        .lines()
        .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
        .map(|l| {
            let (name, lines) = l.rsplit_once(' ').expect("`path lines`");
            (name.to_owned(), lines.parse().expect("a number of lines"))
        })
        .collect()
}

#[test]
fn crates_depend_downwards_only() {
    let manifests = sources::files("crates", "toml");
    let mut breaches = Vec::new();
    let mut seen = 0;
    for manifest in manifests.iter().filter(|m| m.path.ends_with("/Cargo.toml")) {
        let name = manifest.path.trim_start_matches("crates/").trim_end_matches("/Cargo.toml");
        let (ordinary, dev) = dependencies::merx_dependencies(&manifest.text);
        seen += ordinary.len();
        breaches.extend(dependencies::check(name, &ordinary, false));
        breaches.extend(dependencies::check(name, &dev, true));
    }
    assert!(seen > 20, "read too few dependencies to mean anything: {seen}");
    none(breaches);
}

#[test]
fn the_dependency_rule_can_fail() {
    let names = |n: &[&str]| n.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(dependencies::check("ordering", &names(&["payment"]), false).len(), 1);
    assert_eq!(dependencies::check("ordering", &names(&["payment"]), true).len(), 1);
    assert_eq!(dependencies::check("ordering", &names(&["redis"]), false).len(), 1);
    assert_eq!(dependencies::check("sql", &names(&["platform"]), false).len(), 1);
    assert_eq!(dependencies::check("ordering", &names(&["testkit"]), false).len(), 1);
    assert_eq!(dependencies::check("unheard-of", &names(&[]), false).len(), 1);
    none(dependencies::check("ordering", &names(&["http", "kernel"]), false));
}

#[test]
fn sql_is_common_and_stands_in_the_store() {
    let mut breaches = Vec::new();
    for folder in dependencies::contexts().iter().chain(&["platform", "auditor", "alipay-sandbox"]) {
        if sources::root().join("crates").join(folder).exists() {
            for source in sources::files(&format!("crates/{folder}/src"), "rs") {
                breaches.extend(sql::check_source(&source.path, &source.text));
            }
        }
    }
    for source in sources::files("crates", "sql") {
        breaches.extend(sql::check_words(&source.path, &source.text));
        let context = source.path.split('/').nth(1).unwrap_or_default().to_owned();
        breaches.extend(sql::check_tables(&source.path, &context, &source.text));
    }
    none(breaches);
}

#[test]
fn the_sql_rule_can_fail() {
    let in_store = |text: &str| sql::check_source("crates/ordering/src/store.rs", text).len();
    assert_eq!(in_store(r#"const A: &str = "INSERT INTO ordering_orders (id) VALUES (?) RETURNING id";"#), 1);
    assert_eq!(in_store(r#"const A: &str = "SELECT id FROM payment_payments";"#), 1);
    assert_eq!(in_store(r#"const A: &str = "SELECT id FROM ordering_orders FOR UPDATE";"#), 1);
    assert_eq!(in_store(r#"const A: &str = "SELECT id FROM ordering_orders";"#), 0);
    let elsewhere = r#"fn f() { q("UPDATE ordering_orders SET status = ?"); }"#;
    assert_eq!(sql::check_source("crates/ordering/src/commands/place_order.rs", elsewhere).len(), 1);
}

#[test]
fn files_and_functions_stay_readable() {
    let exceptions = exceptions();
    let all: Vec<(String, String)> =
        sources::files("crates", "rs").into_iter().map(|s| (s.path, s.text)).collect();
    let mut breaches: Vec<Breach> = all.iter().flat_map(|(p, t)| size::check(p, t, &exceptions)).collect();
    breaches.extend(size::stale(&exceptions, &all));
    none(breaches);
}

#[test]
fn the_size_rule_can_fail_and_its_list_only_shrinks() {
    let long = format!("fn long() {{\n{}}}\n", "    work();\n".repeat(90));
    assert_eq!(size::check("a.rs", &long, &[]).len(), 1);
    assert_eq!(size::check("a.rs", &"\n".repeat(501), &[]).len(), 1);
    none(size::check("a.rs", &long, &[("a.rs::long".to_owned(), 92)]));
    let sources = vec![("a.rs".to_owned(), long)];
    assert_eq!(size::stale(&[("a.rs::long".to_owned(), 99)], &sources).len(), 1);
    assert_eq!(size::stale(&[("a.rs::gone".to_owned(), 99)], &sources).len(), 1);
    none(size::stale(&[("a.rs::long".to_owned(), 92)], &sources));
}

#[test]
fn every_error_code_has_its_page() {
    let mut codes = BTreeSet::new();
    let mut mentioned = BTreeSet::new();
    for source in sources::files("crates", "rs") {
        if source.path.contains("/src/")
            && !source.path.starts_with("crates/tidy/")
            && !source.path.starts_with("crates/testkit/")
        {
            codes.extend(errors::codes(&source.text));
            mentioned.extend(errors::mentions(&source.text));
        }
    }
    assert!(codes.len() > 20, "found too few codes to mean anything: {}", codes.len());
    let texts: Vec<(String, String)> = sources::files("docs/errors", "md")
        .into_iter()
        .map(|s| (s.path.trim_start_matches("docs/errors/").trim_end_matches(".md").to_owned(), s.text))
        .collect();
    let pages = texts.iter().map(|(c, _)| c.clone()).collect();
    none(errors::check(&codes, &mentioned, &pages, &texts));
}

#[test]
fn the_error_rule_can_fail() {
    let text = "return Err(Error::rejected(\"cart.too_many\", \"No.\"));\nlet label = \"cart.set_line\";";
    assert_eq!(errors::codes(text), BTreeSet::from(["cart.too_many".to_owned()]));
    let code = BTreeSet::from(["cart.too_many".to_owned()]);
    assert_eq!(errors::check(&code, &code, &BTreeSet::new(), &[]).len(), 1);
    assert_eq!(errors::check(&BTreeSet::new(), &BTreeSet::new(), &code, &[]).len(), 1);
    let short = [("cart.too_many".to_owned(), "# else\n".to_owned())];
    assert_eq!(errors::check(&code, &code, &code, &short).len(), 1);
}
