//! T15: what Alipay signed, changed in every way a form can be changed, at the shop's own door. The guard is
//! `notification-signature`.

use std::sync::LazyLock;

use merx_alipay::{Params, PrivateKey, gateway};
use merx_simulation::{
    run::number,
    world::{Told as _, World},
};

use super::{lived, proof, seeds_for, silence, waiting};

/// Orders of one world.
const EACH: u64 = 2;
/// The fewest forms that one order must come to: else something is not tried any more.
const FORMS_MIN: usize = 300;

/// A key that is not Alipay's.
static OTHER_KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::parse(include_str!("../../../src/keys/shop.pem")).unwrap());

#[test]
fn nothing_but_what_alipay_signed_is_taken() {
    let seeds = seeds_for(number("MERX_T15", 1_000), EACH * FORMS_MIN as u64);
    let first = seeds.start;
    let tried: u64 = lived(seeds, |world| async {
        let tried = forge(&world).await;
        (world, tried)
    })
    .into_iter()
    .sum();
    let case = "the whole shop: a signed notification, mutated, at the route";
    proof("T15", case, tried, "0 accepted, 0 answered `success`, 0 kept; the base itself is accepted", first);
}

async fn forge(world: &World) -> u64 {
    let all = waiting(world, EACH).await;
    silence(world);
    let mut bases = Vec::new();
    for one in &all {
        let (attempt, code) = one.begin(world).await;
        world.sandbox.pay(&code).await.unwrap();
        let (_, form) = world.sandbox.forge(&attempt.number, &[]).await.told();
        bases.push(form);
    }
    let mut tried = 0;
    for (base, other) in bases.iter().zip(bases.iter().cycle().skip(1)) {
        let forms = mutated(base, other);
        assert!(forms.len() >= FORMS_MIN, "only {} mutations", forms.len());
        for (how, form) in forms {
            let reply = world.line.post(form.clone()).await;
            assert!(
                (400..500).contains(&reply.status) && !reply.body.contains("success"),
                "{how}: {reply:?} to {form}"
            );
            tried += 1;
        }
    }
    world.settle().await;
    for table in ["payment_notifications", "payment_alerts", "payment_postings WHERE kind <> 'sale'"] {
        assert_eq!(
            world.count(&format!("SELECT COUNT(*) FROM {table}")).await,
            0,
            "{table}: nothing of it is kept"
        );
    }
    // It was the mutations that were refused, not these notifications.
    for (one, base) in all.iter().zip(bases) {
        assert_eq!(one.status().await, "awaiting_payment");
        assert!(world.line.post(base).await.is_success());
        world.settle().await;
        assert_eq!(one.status().await, "paid");
    }
    tried
}

type Pairs<'a> = Vec<(&'a str, &'a str)>;

fn joined(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The forms that are not the base: each with how it was made.
fn mutated(base: &str, other: &str) -> Vec<(String, String)> {
    let pairs: Pairs<'_> = base.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
    let mut all = Vec::new();
    for index in 0..pairs.len() {
        of_one_field(&pairs, index, &mut all);
    }
    whole(base, other, &pairs, &mut all);
    all.retain(|(_, form)| form != base);
    all
}

/// Everything that can be done to one field, the values still encoded as they are sent.
fn of_one_field(pairs: &[(&str, &str)], index: usize, all: &mut Vec<(String, String)>) {
    let (name, value) = pairs[index];
    let mut add = |how: &str, form: String| all.push((format!("{name}: {how}"), form));
    let with = |name: &str, value: &str| {
        let mut changed = pairs.to_vec();
        changed[index] = (name, value);
        joined(&changed)
    };
    let mut without = pairs.to_vec();
    without.remove(index);
    add("removed", joined(&without));
    add("emptied", with(name, ""));
    add("one more digit", with(name, &format!("{value}0")));
    add("a blank before", with(name, &format!("%20{value}")));
    add("a NUL behind", with(name, &format!("{value}%00")));
    add("cut", with(name, &value[..value.len().saturating_sub(1)]));
    add("another value", with(name, "1"));
    add("renamed", with(&format!("{name}x"), value));
    add("upper case name", with(&name.to_uppercase(), value));
    add("twice the same", format!("{}&{name}={value}", joined(pairs)));
    add("twice, the second another", format!("{}&{name}=1", joined(pairs)));
    add("twice, the first another", format!("{name}=1&{}", joined(pairs)));
    add("twice, the second empty", format!("{}&{name}=", joined(pairs)));
    add("not UTF-8", with(name, &format!("%FF{value}")));
    if let Some((next, next_value)) = pairs.get(index + 1) {
        let mut swapped = pairs.to_vec();
        (swapped[index].1, swapped[index + 1].1) = (next_value, value);
        add("its value and the next swapped", joined(&swapped));
        let mut merged = without.clone();
        let both = format!("{value}%26{next}%3D{next_value}");
        merged[index] = (name, &both);
        add("the next inside it", joined(&merged));
    }
}

/// What is done to the form as a whole.
fn whole(base: &str, other: &str, pairs: &[(&str, &str)], all: &mut Vec<(String, String)>) {
    let value = |of: &str, name: &str| {
        let mut found = of.split('&').filter_map(|pair| pair.split_once('='));
        found.find(|(known, _)| *known == name).unwrap().1.to_owned()
    };
    let with = |name: &str, new: &str| {
        let one = |(known, old): &(&str, &str)| format!("{known}={}", if *known == name { new } else { old });
        pairs.iter().map(one).collect::<Vec<_>>().join("&")
    };
    let mut add = |how: String, form: String| all.push((how, form));
    for name in
        ["extra", "APP_ID", "refund_fee", "trans_currency", "out_biz_no", "a.b", "%20", "trade_status%00"]
    {
        add(format!("{name} added"), format!("{base}&{name}=0.01"));
        add(format!("{name} added before"), format!("{name}=0.01&{base}"));
    }
    for kind in ["RSA", "rsa2", "RSA2%20", "HMAC", "none", "MD5", "RSA2%26sign_type%3DRSA"] {
        add(format!("sign_type {kind}"), with("sign_type", kind));
    }
    for amount in ["0.01", "84.01", "00084.00", "84", "8.4e1", "-84.00", "1000000.00"] {
        add(format!("the old signature, {amount}"), with("total_amount", amount));
    }
    for charset in ["gbk", "GB2312", "UTF-16", "utf-7", "utf8mb4", "iso-8859-1", "utf-8%00"] {
        add(format!("charset {charset}"), with("charset", charset));
    }
    let signature = value(base, "sign");
    add("the signature of another".to_owned(), with("sign", &value(other, "sign")));
    for place in (0..signature.len() - 8).step_by(11) {
        let letter = if signature[place..].starts_with('A') { "B" } else { "A" };
        let changed = format!("{}{letter}{}", &signature[..place], &signature[place + 1..]);
        if !signature[place.saturating_sub(2)..=place].contains('%') {
            add(format!("letter {place} of the signature"), with("sign", &changed));
        }
    }
    add("a byte order mark".to_owned(), format!("%EF%BB%BF{base}"));
    add("broken encoding".to_owned(), format!("{base}&extra=%zz"));
    add("an overlong slash".to_owned(), format!("{base}&extra=%C0%AF"));
    add("half of a surrogate pair".to_owned(), format!("{base}&extra=%ED%A0%80"));
    add("nothing".to_owned(), String::new());
    add("twice the whole".to_owned(), format!("{base}&{base}"));
    let mut fields = Params::from_form(base.as_bytes()).unwrap();
    for name in ["sign", "sign_type"] {
        fields.remove(name);
    }
    let foreign = gateway::signed_notification(fields, &OTHER_KEY).unwrap();
    add("signed with another key".to_owned(), foreign.to_form());
}
