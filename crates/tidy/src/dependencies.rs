//! Who may depend on whom (ARCHITECTURE.md, "Direction of dependency").

use std::collections::BTreeMap;

use crate::Breach;

/// The layers from the ground up. A crate may depend on crates of lower layers only, never on its own layer.
pub const LAYERS: &[&[&str]] = &[
    &["kernel"],
    &["contracts", "alipay", "pictures"],
    &["sql"],
    &["platform"],
    &["http", "redis", "rabbit", "kafka", "etcd", "s3", "auditor", "alipay-sandbox"],
    &[
        "accounts",
        "aftersale",
        "analytics",
        "cart",
        "catalogue",
        "inventory",
        "notification",
        "ordering",
        "payment",
        "promotions",
        "shipping",
    ],
    &["gateway", "storefront", "admin"],
    &["server"],
    &["simulation", "bench", "proof"],
];

/// Crates that only tests use: anyone may have them as a development dependency, nobody as a real one but these.
const FOR_TESTS: &[&str] = &["testkit"];
const DRIVERS: &[&str] = &["redis", "rabbit", "kafka", "etcd"];

/// The bounded contexts.
pub fn contexts() -> &'static [&'static str] {
    LAYERS[5]
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&name))
}

/// Checks one crate against the layers. `dependencies` are the `merx-` crates it names without the prefix.
pub fn check(name: &str, dependencies: &[String], dev: bool) -> Vec<Breach> {
    let place = format!("crates/{name}/Cargo.toml");
    if FOR_TESTS.contains(&name) || name == "tidy" {
        return Vec::new();
    }
    let Some(own) = layer(name) else {
        return vec![Breach::at(
            &place,
            "the crate has no layer; give it one in crates/tidy/src/dependencies.rs",
        )];
    };
    let mut breaches = Vec::new();
    for dependency in dependencies {
        if FOR_TESTS.contains(&dependency.as_str()) {
            if !dev && !LAYERS[8].contains(&name) {
                breaches.push(Breach::at(&place, format!("merx-{dependency} is for tests only")));
            }
            continue;
        }
        let both_contexts = contexts().contains(&name) && contexts().contains(&dependency.as_str());
        if both_contexts {
            breaches.push(Breach::at(
                &place,
                format!("a context never depends on another ({dependency}); ask it"),
            ));
        } else if contexts().contains(&name) && DRIVERS.contains(&dependency.as_str()) {
            breaches.push(Breach::at(&place, format!("a context never names a driver ({dependency})")));
        } else if !dev && layer(dependency).is_none_or(|l| l >= own) {
            breaches.push(Breach::at(&place, format!("merx-{dependency} is not on a lower layer")));
        }
    }
    breaches
}

/// The `merx-` crates that a Cargo.toml names, as (ordinary and build, development).
///
/// # Panics
/// The text is not TOML.
pub fn merx_dependencies(cargo_toml: &str) -> (Vec<String>, Vec<String>) {
    let parsed: BTreeMap<String, toml::Value> =
        toml::from_str(cargo_toml).unwrap_or_else(|e| panic!("Cargo.toml: {e}"));
    let of = |table: &str| -> Vec<String> {
        let Some(toml::Value::Table(entries)) = parsed.get(table) else { return Vec::new() };
        entries.keys().filter_map(|k| k.strip_prefix("merx-")).map(str::to_owned).collect()
    };
    let mut ordinary = of("dependencies");
    ordinary.extend(of("build-dependencies"));
    (ordinary, of("dev-dependencies"))
}
