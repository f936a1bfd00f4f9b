//! Pictures over HTTP, and what becomes of their objects.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::Method;
use image::ImageFormat;
use libtest_mimic::Trial;
use merx_catalogue::commands::{ORPHAN_AFTER, sweep_objects, sweep_unknown};
use merx_platform::objects::{ObjectKey, ObjectStore as _};
use merx_testkit::Answer;
use serde_json::{Value, json};

use crate::{
    bench::{Bench, content},
    made::{encoded, picture},
};

pub fn trials() -> Vec<Trial> {
    crate::on_every_mode!("pictures":
        a_picture_is_added_shown_and_removed,
        the_type_is_decided_by_content,
        a_drawing_is_shown_in_a_sandbox,
        pictures_are_arranged,
        the_same_upload_again_is_the_same_picture,
        what_no_picture_uses_is_swept,
        limits_are_kept,
    )
}

async fn upload(bench: &Bench, product: &str, query: &str, bytes: Vec<u8>) -> Answer {
    let path = format!("/v1/admin/products/{product}/pictures{query}");
    let request = bench.request(Method::POST, &path).body(Body::from(bytes)).unwrap();
    merx_testkit::request(bench.staff.router(), request).await
}

fn png(width: u32) -> Vec<u8> {
    encoded(&picture(width, width / 2, 255), ImageFormat::Png)
}

fn urls(picture: &Value) -> Vec<String> {
    picture["files"].as_array().unwrap().iter().map(|f| f["url"].as_str().unwrap().to_owned()).collect()
}

async fn objects(bench: &Bench) -> usize {
    let folder = ObjectKey::new("pictures").unwrap();
    bench.objects.list(&folder, None, 1000).await.unwrap().len()
}

async fn a_picture_is_added_shown_and_removed(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    bench.facts().await;
    let added = upload(&bench, &product, "?alt_zh=%E8%8C%B6&alt_en=Tea", png(700)).await.expect(201).body;
    assert_eq!(added["alt"], json!({"zh": "茶", "en": "Tea"}));
    let widths: Vec<&Value> = added["files"].as_array().unwrap().iter().map(|f| &f["width"]).collect();
    assert_eq!(widths, [&json!(320), &json!(640), &json!(700)]);
    assert_eq!(bench.fact_types().await, ["staff_acted.v1", "product_changed.v1"]);
    let seen = bench.buyer.get(&format!("/v1/products/{product}")).await.expect(200).body;
    assert_eq!(seen["pictures"][0], added);
    for url in urls(&added) {
        let shown = bench.buyer.get(&url).await.expect(200);
        assert_eq!(shown.headers["content-type"], "image/jpeg");
        assert_eq!(shown.headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(shown.headers["x-content-type-options"], "nosniff");
    }
    let path = format!("/v1/admin/products/{product}/pictures/{}", added["id"].as_str().unwrap());
    bench.staff.delete(&path).await.expect(204);
    bench.staff.delete(&path).await.expect_problem(404, "catalogue.picture_not_found");
    let seen = bench.buyer.get(&format!("/v1/products/{product}")).await.expect(200).body;
    assert_eq!(seen["pictures"], json!([]));
}

async fn the_type_is_decided_by_content(bench: Arc<Bench>) {
    let product = bench.drafted(content("T")).await;
    let path = format!("/v1/admin/products/{product}/pictures");
    // A lie in the header changes nothing, in either direction.
    let lie = bench.request(Method::POST, &path).header("content-type", "image/svg+xml");
    let made = merx_testkit::request(bench.staff.router(), lie.body(Body::from(png(40))).unwrap()).await;
    let shown = bench.buyer.get(&urls(&made.expect(201).body)[0]).await.expect(200);
    assert_eq!(shown.headers["content-type"], "image/jpeg");
    for bytes in
        [b"<html><script>alert(1)</script>".to_vec(), b"GIF89a".to_vec(), Vec::new(), png(40)[..60].to_vec()]
    {
        upload(&bench, &product, "", bytes).await.expect_problem(400, "catalogue.picture_refused");
    }
    let huge = vec![0u8; 10 * 1024 * 1024 + 1];
    upload(&bench, &product, "", huge).await.expect_problem(413, "request.body_too_large");
    for path in [
        "/pictures/none",
        "/pictures/..%2Fsecret",
        "/pictures/%00",
        &format!("/pictures/{}.png", "0".repeat(64)),
    ] {
        bench.buyer.get(path).await.expect_problem(404, "catalogue.picture_not_found");
    }
    upload(&bench, "prd_00000000000000000000000009", "", png(40))
        .await
        .expect_problem(404, "catalogue.product_not_found");
}

async fn a_drawing_is_shown_in_a_sandbox(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    let drawn = br#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 30"><path d="M0 0h9"/></svg>"#;
    let added = upload(&bench, &product, "", drawn.to_vec()).await.expect(201).body;
    assert_eq!((&added["files"][0]["width"], &added["files"][0]["height"]), (&json!(40), &json!(30)));
    let shown = bench.buyer.get(&urls(&added)[0]).await.expect(200);
    assert_eq!(shown.headers["content-type"], "image/svg+xml");
    assert_eq!(shown.headers["content-security-policy"], "default-src 'none'; sandbox");
    let acting =
        br#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>alert(1)</script></svg>"#;
    upload(&bench, &product, "", acting.to_vec()).await.expect_problem(400, "catalogue.picture_refused");
}

async fn pictures_are_arranged(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    let mut ids = Vec::new();
    for width in [10, 20, 30] {
        let added = upload(&bench, &product, "", png(width)).await.expect(201).body;
        ids.push(added["id"].as_str().unwrap().to_owned());
    }
    let version = bench.admin(&product).await["version"].as_i64().unwrap();
    let path = format!("/v1/admin/products/{product}/pictures");
    let order = |ids: &[&String]| {
        let one = |id: &&String| json!({"id": id, "alt": {"zh": "图", "en": "Picture"}});
        json!({"pictures": ids.iter().map(one).collect::<Vec<_>>()})
    };
    for wrong in [order(&[&ids[0], &ids[1]]), order(&[&ids[0], &ids[1], &ids[1]]), order(&[])] {
        bench.with_version(Method::PUT, &path, version, wrong).await.expect_problem(400, "request.invalid");
    }
    let turned = order(&[&ids[2], &ids[0], &ids[1]]);
    bench.with_version(Method::PUT, &path, version, turned.clone()).await.expect(200);
    bench
        .with_version(Method::PUT, &path, version, turned)
        .await
        .expect_problem(412, "request.version_stale");
    let fourth = upload(&bench, &product, "", png(40)).await.expect(201).body;
    let shown = bench.buyer.get(&format!("/v1/products/{product}")).await.expect(200).body;
    let seen: Vec<&str> =
        shown["pictures"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap()).collect();
    assert_eq!(seen, [ids[2].as_str(), &ids[0], &ids[1], fourth["id"].as_str().unwrap()]);
    assert_eq!(shown["pictures"][0]["alt"]["en"], "Picture");
}

async fn the_same_upload_again_is_the_same_picture(bench: Arc<Bench>) {
    let product = bench.drafted(content("T")).await;
    let path = format!("/v1/admin/products/{product}/pictures");
    let send = || {
        let token = bench.staff.token().unwrap();
        let request = http::Request::post(&path)
            .header("authorization", format!("Bearer {token}"))
            .header("idempotency-key", "once");
        let (bench, request) = (bench.clone(), request.body(Body::from(png(50))).unwrap());
        async move { merx_testkit::request(bench.staff.router(), request).await }
    };
    let answers = futures_util::future::join_all((0..4).map(|_| send())).await;
    let ids: std::collections::BTreeSet<String> =
        answers.into_iter().map(|a| a.expect(201).text_at("/id")).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(bench.admin(&product).await["pictures"].as_array().unwrap().len(), 1);
}

async fn what_no_picture_uses_is_swept(bench: Arc<Bench>) {
    let (one, two) = (bench.drafted(content("A")).await, bench.drafted(content("B")).await);
    let first = upload(&bench, &one, "", png(50)).await.expect(201).body;
    let shared = upload(&bench, &two, "", png(50)).await.expect(201).body;
    assert_eq!(
        (urls(&first), objects(&bench).await),
        (urls(&shared), 1),
        "the same bytes are the same object"
    );
    upload(&bench, &one, "", png(60)).await.expect(201);
    // Refused after its files were put: nothing shows them.
    upload(&bench, "prd_00000000000000000000000009", "", png(70))
        .await
        .expect_problem(404, "catalogue.product_not_found");
    let gone = first["id"].as_str().unwrap();
    bench.staff.delete(&format!("/v1/admin/products/{one}/pictures/{gone}")).await.expect(204);
    assert_eq!((objects(&bench).await, sweep_objects(&bench.state).await.unwrap()), (3, 0), "too early");
    bench.clock.advance(ORPHAN_AFTER + Duration::from_secs(1));
    assert_eq!(sweep_objects(&bench.state).await.unwrap(), 1);
    assert_eq!((objects(&bench).await, sweep_objects(&bench.state).await.unwrap()), (2, 0));
    bench.buyer.get(&urls(&shared)[0]).await.expect(200);
    bench
        .staff
        .delete(&format!("/v1/admin/products/{two}/pictures/{}", shared["id"].as_str().unwrap()))
        .await
        .expect(204);
    assert_eq!(sweep_objects(&bench.state).await.unwrap(), 1);
    bench.buyer.get(&urls(&shared)[0]).await.expect_problem(404, "catalogue.picture_not_found");
    // What comes back is kept anew.
    let again = upload(&bench, &one, "", png(50)).await.expect(201).body;
    bench.buyer.get(&urls(&again)[0]).await.expect(200);

    let stray = ObjectKey::new("pictures/stray.jpg").unwrap();
    bench.objects.put(&stray, "x".into(), "image/jpeg").await.unwrap();
    assert_eq!(sweep_unknown(&bench.state).await.unwrap(), 1);
    assert_eq!((objects(&bench).await, bench.objects.get(&stray).await.unwrap()), (2, None));
    bench.buyer.get(&urls(&again)[0]).await.expect(200);
}

async fn limits_are_kept(bench: Arc<Bench>) {
    let product = bench.drafted(content("T")).await;
    for n in 0..20 {
        upload(&bench, &product, "", png(10 + n)).await.expect(201);
    }
    upload(&bench, &product, "", png(99)).await.expect_problem(409, "catalogue.too_many_pictures");
    let path = format!("/v1/admin/products/{product}");
    let version = bench.admin(&product).await["version"].as_i64().unwrap();
    bench.with_version(Method::DELETE, &path, version, Value::Null).await.expect(204);
    bench.clock.advance(ORPHAN_AFTER + Duration::from_secs(1));
    assert_eq!(sweep_objects(&bench.state).await.unwrap(), 21);
    assert_eq!(objects(&bench).await, 0);
}
