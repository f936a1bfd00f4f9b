//! Lists of products as buyers ask for them.

use std::{collections::BTreeSet, sync::Arc};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::bench::{Bench, content, later};

pub fn trials() -> Vec<Trial> {
    crate::on_every_mode!("listing":
        pages_of_every_order_hold_each_product_once,
        categories_hold_what_lies_below,
        attributes_narrow,
        prices_narrow_and_sort_as_they_are_in_force,
        words_are_looked_for_as_they_are,
        bad_input_is_named,
    )
}

async fn titles(bench: &Bench, query: &str) -> Vec<String> {
    let page = bench.buyer.get(&format!("/v1/products?{query}")).await.expect(200).body;
    page["items"].as_array().unwrap().iter().map(|p| p["title"]["en"].as_str().unwrap().to_owned()).collect()
}

/// The titles of all pages, page by page.
async fn all(bench: &Bench, query: &str) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bench.buyer.get(&format!("/v1/products?{query}{cursor}")).await.expect(200).body;
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|p| p["title"]["en"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { return seen };
        assert_eq!(items.len(), 2, "only the last page is short");
        cursor = format!("&cursor={next}");
    }
}

async fn product(bench: &Bench, name: &str, title: &str, minor: i64, more: Value) -> String {
    let mut value = content(name);
    value["title"] = json!({"zh": format!("茶{minor}"), "en": title});
    value["skus"][0]["price"]["minor"] = json!(minor);
    value["skus"][1]["price"]["minor"] = json!(minor + 500);
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bench.listed_as(value).await
}

async fn pages_of_every_order_hold_each_product_once(bench: Arc<Bench>) {
    // Equal prices and titles: the id decides.
    let made = [
        ("A", "same", 300),
        ("B", "Zebra", 100),
        ("C", "same", 300),
        ("D", "apple", 300),
        ("E", "Same", 200),
    ];
    for (name, title, minor) in made {
        product(&bench, name, title, minor, json!({})).await;
    }
    bench.drafted(content("X")).await;
    assert_eq!(all(&bench, "limit=2").await, ["Same", "apple", "same", "Zebra", "same"]);
    assert_eq!(all(&bench, "limit=2&sort=price_asc").await, ["Zebra", "Same", "same", "same", "apple"]);
    assert_eq!(all(&bench, "limit=2&sort=price_desc").await, ["apple", "same", "same", "Same", "Zebra"]);
    assert_eq!(all(&bench, "limit=2&sort=title_en").await, ["apple", "same", "same", "Same", "Zebra"]);
    let by_chinese = all(&bench, "limit=2&sort=title_zh").await;
    assert_eq!((by_chinese[0].as_str(), by_chinese.len()), ("Zebra", 5));
    let first = bench.buyer.get("/v1/products?limit=2&sort=title_en").await.expect(200).body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let other = bench.buyer.get(&format!("/v1/products?limit=2&cursor={cursor}")).await;
    other.expect_problem(400, "request.invalid");
}

async fn categories_hold_what_lies_below(bench: Arc<Bench>) {
    let tea = bench.category("tea", None, json!([])).await;
    let green = bench.category("green", Some(&tea), json!([])).await;
    let ware = bench.category("ware", None, json!([])).await;
    let (own, other) = (bench.brand("own").await, bench.brand("other").await);
    product(&bench, "A", "A", 100, json!({"category_id": tea, "brand_id": own})).await;
    product(&bench, "B", "B", 100, json!({"category_id": green, "brand_id": other})).await;
    product(&bench, "C", "C", 100, json!({"category_id": ware, "brand_id": own})).await;
    product(&bench, "D", "D", 100, json!({})).await;
    assert_eq!(titles(&bench, "category=tea").await, ["B", "A"]);
    assert_eq!(titles(&bench, &format!("category={green}")).await, ["B"]);
    assert_eq!(titles(&bench, "brand=own").await, ["C", "A"]);
    assert_eq!(titles(&bench, &format!("category=tea&brand={own}")).await, ["A"]);
    let shown = bench.buyer.get("/v1/products?category=green").await.expect(200).body;
    let path: Vec<&Value> =
        shown["items"][0]["category_path"].as_array().unwrap().iter().map(|c| &c["slug"]).collect();
    assert_eq!(path, [&json!("tea"), &json!("green")]);
}

async fn attributes_narrow(bench: Arc<Bench>) {
    let choice = |code: &str| json!({"code": code, "name": {"zh": "色", "en": code}});
    for attribute in [
        json!({"code": "colour", "name": {"zh": "颜色", "en": "Colour"}, "kind": "choice", "filterable": true, "choices": [choice("red"), choice("blue")]}),
        json!({"code": "volume", "name": {"zh": "容量", "en": "Volume"}, "kind": "number", "unit": "ml", "filterable": true}),
        json!({"code": "organic", "name": {"zh": "有机", "en": "Organic"}, "kind": "boolean", "filterable": true}),
        json!({"code": "origin", "name": {"zh": "产地", "en": "Origin"}, "kind": "text"}),
    ] {
        bench.attribute(attribute).await;
    }
    let own = json!([{"code": "colour"}, {"code": "volume"}, {"code": "organic"}, {"code": "origin"}]);
    let cups = bench.category("cups", None, own).await;
    let of = |values: Value| json!({"category_id": cups, "attributes": values});
    product(&bench, "A", "A", 100, of(json!({"colour": "red", "volume": 120, "organic": true}))).await;
    product(&bench, "B", "B", 100, of(json!({"colour": "blue", "volume": 0.25}))).await;
    product(
        &bench,
        "C",
        "C",
        100,
        of(json!({"colour": "blue", "organic": false, "origin": {"zh": "杭州", "en": "Hangzhou"}})),
    )
    .await;
    for (filter, expected) in [
        ("colour:blue", &["C", "B"][..]),
        ("colour:red|blue", &["C", "B", "A"]),
        ("organic:true", &["A"]),
        ("organic:false", &["C"]),
        ("volume:0.25", &["B"]),
        ("volume:..120", &["B", "A"]),
        ("volume:0.3..", &["A"]),
        ("volume:1..2", &[]),
        ("colour:blue,organic:false", &["C"]),
    ] {
        let query = format!("attributes={}", filter.replace('|', "%7C"));
        assert_eq!(titles(&bench, &query).await, expected, "{filter}");
    }
    for wrong in [
        "colour",
        "size:1",
        "origin:x",
        "organic:yes",
        "volume:x..",
        "colour:RED",
        "a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1,j:1,k:1",
    ] {
        let answer = bench.buyer.get(&format!("/v1/products?attributes={wrong}")).await;
        answer.expect_problem(400, "request.invalid");
        assert_eq!(answer.body["errors"][0]["pointer"], "attributes", "{wrong}");
    }
    let shown = bench.buyer.get("/v1/products?attributes=organic:true").await.expect(200).body;
    let attributes = shown["items"][0]["attributes"].as_array().unwrap();
    let codes: Vec<&str> = attributes.iter().map(|a| a["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["colour", "volume", "organic"], "in the order of the category");
    assert_eq!((&attributes[0]["value_name"]["en"], &attributes[1]["unit"]), (&json!("red"), &json!("ml")));
}

async fn prices_narrow_and_sort_as_they_are_in_force(bench: Arc<Bench>) {
    for (name, minor) in [("A", 1000), ("B", 2000), ("C", 3000)] {
        product(&bench, name, name, minor, json!({})).await;
    }
    assert_eq!(titles(&bench, "price_min=1000&price_max=2000").await, ["B", "A"]);
    let sale = json!({"price": {"minor": 900, "currency": "CNY"}, "effective_from": later(10_000), "effective_until": later(20_000), "reason": "sale"});
    bench.post("/v1/admin/skus/C-250/prices", sale).await;
    assert_eq!(titles(&bench, "sort=price_asc").await, ["A", "B", "C"]);
    bench.clock.set(later(9_999));
    assert_eq!(titles(&bench, "price_max=950").await, [""; 0]);
    bench.clock.set(later(10_000));
    assert_eq!(
        titles(&bench, "sort=price_asc").await,
        ["C", "A", "B"],
        "nobody has been asked to do anything"
    );
    assert_eq!(titles(&bench, "price_max=950").await, ["C"]);
    let shown = bench.buyer.get("/v1/products?price_max=950").await.expect(200).body;
    assert_eq!(shown["items"][0]["skus"][1]["price"]["minor"], 900);
    bench.clock.set(later(20_000));
    assert_eq!(titles(&bench, "sort=price_asc").await, ["A", "B", "C"]);
}

async fn words_are_looked_for_as_they_are(bench: Arc<Bench>) {
    for (name, title) in [("A", "Long Jing 100% green"), ("B", "Pu'er_cake"), ("C", "Green jade")] {
        product(&bench, name, title, 100, json!({})).await;
    }
    assert_eq!(titles(&bench, "q=GREEN").await, ["Green jade", "Long Jing 100% green"]);
    assert_eq!(titles(&bench, "q=green%20long").await, ["Long Jing 100% green"]);
    assert_eq!(titles(&bench, "q=%25").await, ["Long Jing 100% green"]);
    assert_eq!(titles(&bench, "q=_").await, ["Pu'er_cake"]);
    assert_eq!(titles(&bench, "q=%21").await, [""; 0]);
    assert_eq!(titles(&bench, "q=%27er").await, ["Pu'er_cake"]);
    assert_eq!(titles(&bench, "q=%E8%8C%B6").await.len(), 3, "Chinese titles too");
}

async fn bad_input_is_named(bench: Arc<Bench>) {
    let mut named = BTreeSet::new();
    for query in [
        "limit=0",
        "limit=101",
        "cursor=x",
        "page=2",
        "sort=cheap",
        "price_min=-1",
        "price_max=x",
        "q=",
        "category=none",
        "brand=none",
        "q=a&q=b",
    ] {
        let answer = bench.buyer.get(&format!("/v1/products?{query}")).await;
        answer.expect_problem(400, "request.invalid");
        named.insert(answer.text_at("/errors/0/pointer"));
    }
    assert!(
        named.contains("price_min") && named.contains("category") && named.contains("cursor"),
        "{named:?}"
    );
    bench.buyer.get("/v1/products/nonsense").await.expect_problem(400, "request.invalid");
    let unknown = "/v1/products/prd_00000000000000000000000009";
    bench.buyer.get(unknown).await.expect_problem(404, "catalogue.product_not_found");
}
