//! T15: nothing but what Alipay signed is accepted. The guard is `notification-signature`.

use merx_alipay::{Params, gateway};
use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};

use crate::world::{OTHER_KEY, merchant, paid_fields, signed};

#[derive(Clone, Debug)]
enum Mutation {
    Alter(Index, String),
    Append(Index, String),
    Cut(Index),
    Remove(Index),
    Rename(Index, String),
    Add(String, String),
    Repeat(Index, Option<String>),
    Swap(Index, Index),
    Merge(Index),
    OtherKey,
    SignType(&'static str),
    NewAmountUnderOldSignature(i64),
    Charset(&'static str),
    SignByte(Index, u8),
    RawBytes(Index, &'static str),
}

const SIGN_TYPES: &[&str] = &["RSA", "rsa2", "RSA2 ", "", "HMAC", "none", "RSA2&sign_type=RSA"];
const CHARSETS: &[&str] = &["gbk", "GB2312", "UTF-16", "utf-7", "utf8mb4", "iso-8859-1"];
const RAW: &[&str] = &["%FF", "%C0%AF", "%", "%4", "%ED%A0%80", "%zz"];

fn mutations() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), ".{0,24}").prop_map(|(i, text)| Mutation::Alter(i, text)),
        2 => (index(), "[ a-z0-9&=%+]{1,4}").prop_map(|(i, text)| Mutation::Append(i, text)),
        2 => index().prop_map(Mutation::Cut),
        3 => index().prop_map(Mutation::Remove),
        2 => (index(), "[a-z_]{1,12}").prop_map(|(i, name)| Mutation::Rename(i, name)),
        3 => ("[a-z_]{1,12}", ".{0,12}").prop_map(|(name, value)| Mutation::Add(name, value)),
        3 => (index(), proptest::option::of(".{0,8}")).prop_map(|(i, value)| Mutation::Repeat(i, value)),
        2 => (index(), index()).prop_map(|(i, j)| Mutation::Swap(i, j)),
        2 => index().prop_map(Mutation::Merge),
        1 => Just(Mutation::OtherKey),
        1 => select(SIGN_TYPES).prop_map(Mutation::SignType),
        2 => (1i64..1_000_000).prop_map(Mutation::NewAmountUnderOldSignature),
        1 => select(CHARSETS).prop_map(Mutation::Charset),
        2 => (index(), any::<u8>()).prop_map(|(i, byte)| Mutation::SignByte(i, byte)),
        1 => (index(), select(RAW)).prop_map(|(i, raw)| Mutation::RawBytes(i, raw)),
    ]
}

/// The mutated form, or `None` when the mutation changed nothing.
fn mutated(base: &Params, mutation: &Mutation) -> Option<String> {
    let mut pairs: Vec<(String, String)> = base.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let before = pairs.clone();
    let at = |i: &Index| i.index(before.len());
    match mutation {
        Mutation::Alter(i, text) => pairs[at(i)].1.clone_from(text),
        Mutation::Append(i, text) => pairs[at(i)].1.push_str(text),
        Mutation::Cut(i) => drop(pairs[at(i)].1.pop()),
        Mutation::Remove(i) => drop(pairs.remove(at(i))),
        Mutation::Rename(i, name) => pairs[at(i)].0.clone_from(name),
        Mutation::Add(name, value) => pairs.push((name.clone(), value.clone())),
        Mutation::Repeat(i, value) => {
            let (name, old) = before[at(i)].clone();
            pairs.push((name, value.clone().unwrap_or(old)));
        }
        Mutation::Swap(i, j) => {
            pairs[at(i)].1.clone_from(&before[at(j)].1);
            pairs[at(j)].1.clone_from(&before[at(i)].1);
        }
        Mutation::Merge(i) => {
            let first = i.index(before.len() - 1);
            let (name, value) = pairs.remove(first + 1);
            pairs[first].1.push_str(&format!("&{name}={value}"));
        }
        Mutation::OtherKey => {
            return Some(gateway::signed_notification(paid_fields(), &OTHER_KEY).unwrap().to_form());
        }
        Mutation::SignType(value) => return Some(base.clone().with("sign_type", *value).to_form()),
        Mutation::NewAmountUnderOldSignature(fen) => {
            let amount = format!("{}.{:02}", fen / 100, fen % 100);
            return (amount != "88.88").then(|| base.clone().with("total_amount", amount).to_form());
        }
        Mutation::Charset(value) => return Some(base.clone().with("charset", *value).to_form()),
        Mutation::SignByte(i, byte) => {
            let mut sign = base.get("sign")?.as_bytes().to_vec();
            let at = i.index(sign.len());
            sign[at] = *byte & 0x7f;
            let sign = String::from_utf8(sign).ok()?;
            return (Some(sign.as_str()) != base.get("sign"))
                .then(|| base.clone().with("sign", sign).to_form());
        }
        Mutation::RawBytes(i, raw) => {
            let (name, _) = &before[at(i)];
            let clean = base.to_form();
            return Some(clean.replacen(&format!("{name}="), &format!("{name}={raw}"), 1));
        }
    }
    (pairs != before).then(|| {
        let one = |(n, v): &(String, String)| Params::new().with(n.as_str(), v.as_str()).to_form();
        pairs.iter().map(one).collect::<Vec<_>>().join("&")
    })
}

/// How many random ones; `MERX_T15_RANDOM=100000` tries more.
fn cases() -> u32 {
    std::env::var("MERX_T15_RANDOM").map_or(2_000, |text| text.parse().unwrap())
}

pub fn no_mutation_of_a_signed_notification_is_accepted() {
    let base = signed(paid_fields());
    let merchant = merchant();
    assert!(merchant.notification(base.to_form().as_bytes()).is_ok(), "the base itself is accepted");
    let mut tried = 0u32;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases()) });
    let counted = std::cell::Cell::new(0u32);
    runner
        .run(&mutations(), |mutation| {
            if let Some(form) = mutated(&base, &mutation) {
                counted.set(counted.get() + 1);
                let verdict = merchant.notification(form.as_bytes());
                proptest::prop_assert!(verdict.is_err(), "accepted {form}");
            }
            Ok(())
        })
        .unwrap();
    tried += counted.get();
    // And every field once, so that chance leaves none out.
    let names: Vec<String> = base.iter().map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        let old = base.get(name).unwrap().to_owned();
        let mut without = base.clone();
        without.remove(name);
        let forms = [
            without.to_form(),
            base.clone().with(name.as_str(), format!("{old}0")).to_form(),
            format!("{}&{}", base.to_form(), Params::new().with(name.as_str(), old.as_str()).to_form()),
            format!("{}&{name}=", base.to_form()),
        ];
        for form in forms {
            tried += 1;
            assert!(merchant.notification(form.as_bytes()).is_err(), "accepted {form}");
        }
    }
    assert!(tried >= 1_000, "only {tried} mutations were tried");
    println!(
        "PROOF | T15 | the protocol itself: random mutations of a signed notification, and every field once | size={tried} | 0 accepted | \
         seed=-"
    );
}
