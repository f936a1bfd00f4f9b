//! The pure rules, as tables and properties.

use std::collections::{BTreeMap, BTreeSet};

use libtest_mimic::Trial;
use merx_catalogue::domain::{
    AttributeSpec, Category, Content, Decimal, Listing, PriceRule, PublishRules, Slug, Status, Tree, Wrong,
    category::DEPTH_MAX,
    price::{NEVER, change_at, next_moment, price_at, rule_at},
};
use merx_contracts::ids::CategoryId;
use merx_kernel::{Currency, Timestamp};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::bench::{content, id};

pub fn trials() -> Vec<Trial> {
    crate::trials!("rules":
        every_rule_of_a_product_names_the_property_it_refuses,
        a_draft_may_be_unfinished_but_not_endless,
        prices_of_published_skus_stay,
        attributes_fit_their_definitions,
        definitions_fit_together,
        numbers_are_exact,
        slugs,
        of_overlapping_prices_the_last_begun_counts,
        each_change_of_price_is_told_once_and_truly,
        what_is_planned_comes_true_at_its_moment,
        plans_are_checked,
        the_tree_stays_a_tree,
    )
}

fn parsed(value: Value) -> Content {
    serde_json::from_value(value).expect("is a content")
}

fn rules<'a>(
    tree: &'a Tree,
    attributes: &'a BTreeMap<Slug, AttributeSpec>,
    first_prices: &'a BTreeMap<merx_contracts::ids::Sku, merx_kernel::Money>,
) -> PublishRules<'a> {
    static BRANDS: BTreeSet<merx_contracts::ids::BrandId> = BTreeSet::new();
    PublishRules { tree, attributes, brands: &BRANDS, currency: Currency::CNY, first_prices }
}

fn pointers(content: Value) -> Vec<String> {
    let (tree, attributes, first) = (Tree::default(), BTreeMap::new(), BTreeMap::new());
    match parsed(content).check_publishable(&rules(&tree, &attributes, &first)) {
        Ok(()) => Vec::new(),
        Err(error) => {
            assert!(error.is("catalogue.not_ready"), "{error}");
            error.fields().iter().map(|f| f.pointer.clone()).collect()
        }
    }
}

fn every_rule_of_a_product_names_the_property_it_refuses() {
    type Spoil = fn(&mut Value);
    let cases: &[(&str, Spoil)] = &[
        ("/description", |p| drop(p.as_object_mut().map(|p| p.remove("description")))),
        ("/skus", |p| p["skus"] = json!([])),
        ("/skus/1/sku", |p| p["skus"][1]["sku"] = p["skus"][0]["sku"].clone()),
        ("/skus/1/choices", |p| p["skus"][1]["choices"] = json!([0])),
        ("/skus/0/choices", |p| p["skus"][0]["choices"] = json!([2])),
        ("/skus/0/choices", |p| p["skus"][0]["choices"] = json!([])),
        ("/skus/0/price", |p| p["skus"][0]["price"] = Value::Null),
        ("/skus/0/price/minor", |p| p["skus"][0]["price"]["minor"] = json!(0)),
        ("/skus/1/price/currency", |p| p["skus"][1]["price"]["currency"] = json!("USD")),
        ("/skus/0/weight_grams", |p| p["skus"][0]["weight_grams"] = json!(1_000_001)),
        ("/skus/0/limit_per_order", |p| p["skus"][0]["limit_per_order"] = json!(0)),
        ("/skus/1/limit_per_buyer", |p| p["skus"][1]["limit_per_buyer"] = json!(1_000_001)),
        ("/options/0/values", |p| p["options"][0]["values"] = json!([])),
        ("/options", |p| p["options"] = Value::Array(vec![p["options"][0].clone(); 4])),
        ("/category_id", |p| p["category_id"] = json!(id::<merx_contracts::ids::CategoryKind>(9))),
        ("/brand_id", |p| p["brand_id"] = json!(id::<merx_contracts::ids::BrandKind>(9))),
        ("/attributes/colour", |p| p["attributes"] = json!({"colour": "red"})),
    ];
    assert_eq!(pointers(content("T")), Vec::<String>::new());
    for (pointer, spoil) in cases {
        let mut value = content("T");
        spoil(&mut value);
        assert!(pointers(value.clone()).contains(&(*pointer).to_owned()), "{pointer}: {:?}", pointers(value));
    }
}

fn a_draft_may_be_unfinished_but_not_endless() {
    let draft = parsed(json!({"title": {"zh": "茶", "en": "Tea"}}));
    assert!(draft.check_draft("").is_ok());
    let sku = |n: usize| json!({"sku": format!("S{n}"), "weight_grams": 1});
    let mut many = json!({"title": {"zh": "茶", "en": "Tea"}, "skus": (0..201).map(sku).collect::<Vec<_>>()});
    let error = parsed(many.clone()).check_draft("/content").expect_err("too many");
    assert_eq!(error.fields()[0].pointer, "/content/skus");
    many["skus"] = json!([sku(1), sku(1)]);
    assert_eq!(parsed(many).check_draft("").expect_err("twice").fields()[0].pointer, "/skus/1/sku");
    let unknown: Result<Content, _> =
        serde_json::from_value(json!({"title": {"zh": "x", "en": "x"}, "status": "listed"}));
    assert!(unknown.is_err(), "what the shop decides cannot be sent");
}

fn prices_of_published_skus_stay() {
    let first = BTreeMap::from([(
        merx_contracts::ids::Sku::new("T-100").unwrap(),
        merx_kernel::Money::new(1990, Currency::CNY),
    )]);
    let (tree, attributes) = (Tree::default(), BTreeMap::new());
    let check = |value: Value| parsed(value).check_publishable(&rules(&tree, &attributes, &first));
    assert!(check(content("T")).is_ok());
    let mut same = content("T");
    same["skus"][0]["price"] = Value::Null;
    assert!(check(same.clone()).is_ok(), "a known price need not be repeated");
    same["skus"][0]["price"] = json!({"minor": 1, "currency": "CNY"});
    assert_eq!(check(same).expect_err("changed").fields()[0].pointer, "/skus/0/price");
}

fn definitions() -> BTreeMap<Slug, AttributeSpec> {
    let all = json!([
        {"code": "origin", "name": {"zh": "产地", "en": "Origin"}, "kind": "text"},
        {"code": "volume", "name": {"zh": "容量", "en": "Volume"}, "kind": "number", "unit": "ml", "filterable": true},
        {"code": "organic", "name": {"zh": "有机", "en": "Organic"}, "kind": "boolean", "filterable": true},
        {"code": "colour", "name": {"zh": "颜色", "en": "Colour"}, "kind": "choice", "filterable": true, "choices": [
            {"code": "red", "name": {"zh": "红", "en": "Red"}}, {"code": "blue", "name": {"zh": "蓝", "en": "Blue"}}]}
    ]);
    let all: Vec<AttributeSpec> = serde_json::from_value(all).unwrap();
    all.into_iter().map(|d| (d.code.clone(), d)).collect()
}

fn attributes_fit_their_definitions() {
    let attributes = definitions();
    let own = |code: &str, required: bool| json!({"code": code, "required": required});
    let category = |bits: u128, parent: Option<u128>, own: Value| Category {
        id: id(bits),
        parent: parent.map(CategoryId::from_bits),
        ordinal: 0,
        slug: Slug::new(format!("c{bits}")).unwrap(),
        name: serde_json::from_value(json!({"zh": "类", "en": "C"})).unwrap(),
        attributes: serde_json::from_value(own).unwrap(),
        version: 1,
    };
    let tree = Tree::new(vec![
        category(1, None, json!([own("origin", false), own("colour", true)])),
        category(2, Some(1), json!([own("volume", false), own("organic", false), own("origin", true)])),
    ]);
    let first = BTreeMap::new();
    let check = |values: Value| -> Vec<String> {
        let mut value = content("T");
        value["category_id"] = json!(CategoryId::from_bits(2));
        value["attributes"] = values;
        let checked = parsed(value).check_publishable(&rules(&tree, &attributes, &first));
        checked.err().map(|e| e.fields().iter().map(|f| f.pointer.clone()).collect()).unwrap_or_default()
    };
    let origin = json!({"zh": "杭州", "en": "Hangzhou"});
    assert_eq!(check(json!({"origin": origin, "colour": "red"})), Vec::<String>::new());
    let all = json!({"origin": origin, "colour": "blue", "volume": 12.5, "organic": false});
    assert_eq!(check(all), Vec::<String>::new());
    // What the category above needs is needed below, and required anywhere is required.
    assert_eq!(check(json!({})), ["/attributes/origin", "/attributes/colour"]);
    for (code, wrong) in [
        ("colour", json!("green")),
        ("colour", json!(true)),
        ("volume", json!("twelve")),
        ("organic", json!(1)),
        ("origin", json!("hangzhou")),
    ] {
        let mut values = json!({"origin": origin, "colour": "red"});
        values[code] = wrong.clone();
        assert_eq!(check(values), [format!("/attributes/{code}")], "{wrong}");
    }
}

fn definitions_fit_together() {
    let check = |value: Value| -> Vec<String> {
        let definition: AttributeSpec = serde_json::from_value(value).unwrap();
        let mut wrong = Wrong::default();
        definition.check("", &mut wrong);
        wrong
            .invalid()
            .err()
            .map(|e| e.fields().iter().map(|f| f.pointer.clone()).collect())
            .unwrap_or_default()
    };
    let of = |kind: &str, more: Value| {
        let mut value = json!({"code": "x", "name": {"zh": "名", "en": "Name"}, "kind": kind});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        value
    };
    let choice = |code: &str| json!({"code": code, "name": {"zh": "名", "en": "Name"}});
    assert!(check(of("number", json!({"unit": "cm", "filterable": true}))).is_empty());
    assert!(check(of("choice", json!({"choices": [choice("a"), choice("b")]}))).is_empty());
    assert_eq!(check(of("choice", json!({}))), ["/choices"]);
    assert_eq!(check(of("boolean", json!({"choices": [choice("a")]}))), ["/choices"]);
    assert_eq!(check(of("choice", json!({"choices": [choice("a"), choice("a")]}))), ["/choices"]);
    assert_eq!(check(of("text", json!({"unit": "cm"}))), ["/unit"]);
    assert_eq!(check(of("text", json!({"filterable": true}))), ["/filterable"]);
}

fn numbers_are_exact() {
    for (text, shown) in [
        ("0", "0"),
        ("-0.5", "-0.5"),
        ("12.50", "12.5"),
        ("1000000000000", "1000000000000"),
        ("0.000001", "0.000001"),
    ] {
        let number: Decimal = text.parse().unwrap();
        assert_eq!(number.to_string(), shown);
        let json = serde_json::to_string(&number).unwrap();
        assert_eq!(serde_json::from_str::<Decimal>(&json).unwrap(), number, "{json}");
    }
    for wrong in ["", "-", ".5", "5.", "1e3", "0.0000001", "1000000000000.000001", "1 2", "+1", "NaN"] {
        assert!(wrong.parse::<Decimal>().is_err(), "{wrong}");
    }
    assert!(serde_json::from_str::<Decimal>("1e300").is_err());
    TestRunner::default()
        .run(&(-1_000_000_000_000_000i64..1_000_000_000_000_000), |millionths| {
            let number = Decimal::from_millionths(millionths);
            let json = serde_json::to_string(&number).unwrap();
            prop_assert_eq!(serde_json::from_str::<Decimal>(&json).unwrap(), number);
            Ok(())
        })
        .unwrap();
}

fn slugs() {
    for good in ["a", "tea-ware", "2024-x1", &"a".repeat(60)] {
        assert!(Slug::new(good).is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "a--b", "A", "a b", "a_b", "é", &"a".repeat(61)] {
        assert!(Slug::new(bad).is_err(), "{bad}");
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}
fn rule(bits: u128, minor: i64, from: i64, until: Option<i64>) -> PriceRule {
    PriceRule { id: id(bits), minor, from: at(from), until: until.map_or(NEVER, at) }
}

fn of_overlapping_prices_the_last_begun_counts() {
    // A base price, a sale within it, a new base during the sale, and one made later for the same moment.
    let rules = [
        rule(1, 100, 10, None),
        rule(2, 80, 20, Some(50)),
        rule(3, 120, 30, None),
        rule(4, 125, 30, Some(40)),
    ];
    let table = [
        (0, 90),
        (9, 90),
        (10, 100),
        (19, 100),
        (20, 80),
        (29, 80),
        (30, 125),
        (39, 125),
        (40, 120),
        (60, 120),
    ];
    for (moment, price) in table {
        assert_eq!(price_at(90, &rules, at(moment)), price, "at {moment}");
    }
    assert_eq!(next_moment(&rules, at(20)), Some(at(30)));
    assert_eq!(next_moment(&rules, at(50)), None);
    // A rule that was taken back before it began has no moment of its own.
    assert_eq!(price_at(90, &[rule(1, 1, 10, Some(10))], at(10)), 90);
}

fn each_change_of_price_is_told_once_and_truly() {
    let rules = prop::collection::vec((1i64..6, 0i64..12, prop::option::of(1i64..8)), 0..6);
    TestRunner::default()
        .run(&rules, |drawn| {
            let rules: Vec<PriceRule> = (1u128..)
                .zip(&drawn)
                .map(|(bits, (minor, from, length))| rule(bits, *minor, *from, length.map(|l| from + l)))
                .collect();
            for moment in 0..24 {
                let (before, after) = (price_at(3, &rules, at(moment - 1)), price_at(3, &rules, at(moment)));
                // Whoever has a timer at this moment.
                let timers = rules.iter().filter(|r| r.from == at(moment) || r.until == at(moment));
                let told: Vec<(i64, i64)> =
                    timers.filter_map(|r| change_at(3, &rules, at(moment), r.id)).collect();
                let expected = if before == after { vec![] } else { vec![(before, after)] };
                prop_assert_eq!(told, expected, "at {} of {:?}", moment, rules);
                prop_assert_eq!(rule_at(&rules, at(moment)).map_or(3, |r| r.minor), after);
            }
            Ok(())
        })
        .unwrap();
}

fn what_is_planned_comes_true_at_its_moment() {
    let plan = Listing { status: Status::Unlisted, list_at: Some(at(10)), delist_at: Some(at(20)) };
    let seen: Vec<bool> = [9, 10, 19, 20, 30].iter().map(|ms| plan.is_listed(at(*ms))).collect();
    assert_eq!(seen, [false, true, true, false, false]);
    assert_eq!(
        plan.settled(at(15)),
        Listing { status: Status::Listed, list_at: None, delist_at: Some(at(20)) }
    );
    // A process that was down over both moments.
    assert_eq!(plan.settled(at(25)), Listing::of(Status::Unlisted));
}

fn plans_are_checked() {
    let (listed, unlisted) = (Listing::of(Status::Listed), Listing::of(Status::Unlisted));
    let code = |r: merx_kernel::Result<Listing>| r.err().map(|e| e.code().to_owned()).unwrap_or_default();
    let later = Some(at(20));
    assert_eq!(unlisted.list(at(10), None, None).unwrap(), listed);
    assert!(unlisted.list(at(10), later, None).unwrap().is_listed(at(20)));
    assert_eq!(code(unlisted.list(at(10), Some(at(10)), None)), "request.invalid");
    assert_eq!(code(unlisted.list(at(10), later, later)), "request.invalid");
    assert_eq!(code(listed.list(at(10), later, None)), "catalogue.already_listed");
    assert_eq!(code(unlisted.delist(at(10), None)), "catalogue.not_listed");
    assert_eq!(code(listed.delist(at(10), Some(at(10)))), "request.invalid");
    assert_eq!(listed.delist(at(10), None).unwrap(), unlisted);
    // A newer plan overrides the older, and listing now forgets both.
    let planned = unlisted.list(at(10), later, Some(at(30))).unwrap();
    assert_eq!(planned.list(at(12), None, None).unwrap(), listed);
    assert_eq!(planned.delist(at(12), Some(at(25))).unwrap().delist_at, Some(at(25)));
    assert_eq!(code(planned.delist(at(12), later)), "request.invalid");
    assert_eq!(planned.delist(at(12), None).unwrap(), unlisted);
    assert_eq!(planned.unplanned(at(12)), unlisted);
    assert_eq!(planned.unplanned(at(22)), listed, "what has happened stays");
}

fn the_tree_stays_a_tree() {
    let moves =
        prop::collection::vec((1u128..9, prop::option::of(1u128..9), prop::option::of(0u32..4)), 0..40);
    TestRunner::default()
        .run(&moves, |moves| {
            let mut all: BTreeMap<CategoryId, Category> = BTreeMap::new();
            for (bits, parent, position) in moves {
                let tree = Tree::new(all.values().cloned().collect());
                let (own, parent) = (CategoryId::from_bits(bits), parent.map(CategoryId::from_bits));
                let Ok(order) = tree.place(own, parent, position) else { continue };
                prop_assert!(parent.is_none_or(|p| all.contains_key(&p)));
                all.entry(own).or_insert_with(|| Category {
                    id: own,
                    parent,
                    ordinal: 0,
                    slug: Slug::new(format!("c{bits}")).unwrap(),
                    name: serde_json::from_value(json!({"zh": "类", "en": "C"})).unwrap(),
                    attributes: Vec::new(),
                    version: 1,
                });
                if let Some(category) = all.get_mut(&own) {
                    category.parent = parent;
                }
                for (ordinal, sibling) in (0i64..).zip(&order) {
                    if let Some(category) = all.get_mut(sibling) {
                        category.ordinal = ordinal;
                    }
                }
                let tree = Tree::new(all.values().cloned().collect());
                // Every category is reached from the top, once, and none lies too deep.
                prop_assert_eq!(tree.walk().len(), all.len());
                prop_assert!(tree.walk().iter().all(|c| tree.path(c.id).len() <= DEPTH_MAX));
                prop_assert_eq!(tree.children(parent), order.as_slice());
            }
            Ok(())
        })
        .unwrap();
}
